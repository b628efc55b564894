//! `alerts` detects mailboxes whose quota is in danger. It records an event when a snapshot finds that a mailbox falls
//! far behind its plan, or fails, and another event when that is over.
//!
//! ```text
//!   none ── behind by two mails and a fifth of the quota, no event today ────▶ behind   (quota-behind)
//!   none, behind ── disabled, or three failures in a row, no event today ────▶ failing  (quota-failing)
//!   behind, failing ── neither ──────────────────────────────────────────────▶ none     (quota-recovered)
//! ```
//!
//! The events are few for a reason: a mailbox is one mail behind between any two of its mails, and an outage makes all
//! mailboxes fall behind together. So an alert ends only once the mailbox has caught up with its plan, and each kind
//! begins once a day per mailbox. If many mailboxes of one owner change in one snapshot, the first 20 get events and
//! one event counts the others. So 100,000 mailboxes of 1,000 owners cause 21,000 events in an outage, and not one each
//! per snapshot.
//!
//! A *starting* mailbox, enrolled, resumed or started less than a cooldown ago, does not fall behind yet.
//!
//! A mailbox that the operator has switched off or paused without an end owes nothing: its alert ends as `set-aside`.

/// Expands to parts of a WITH list after `judged`: the previous alert of each mailbox (`was`) and the new one
/// (`alert`), the events of the changes, and the number of alerts for each user. $7 now.
macro_rules! alerts {
    () => {
        "
    , faced AS (
        SELECT j.*, s.alert AS was, s.behind_on, s.failing_on, s.address, s.day AS known_day,
               (s.user_id, s.day, s.quota, s.sent, s.status)
               IS DISTINCT FROM (j.user_id, j.day, j.quota, j.sent, j.status) AS differs,
               j.enabled AND (j.state IN ('active', 'disabled') OR j.paused_until IS NOT NULL) AS takes_part
        FROM judged j FULL JOIN standings s ON s.mailbox_id = j.id
        WHERE COALESCE(j.id IS NOT NULL, false)
    ),
    noted AS MATERIALIZED (
        SELECT *, CASE
            WHEN NOT takes_part THEN NULL
            WHEN status = 'failing' AND (was = 'failing' OR failing_on IS DISTINCT FROM day) THEN 'failing'
            WHEN status = 'failing' THEN was
            WHEN status = 'behind' AND was = 'behind' THEN 'behind'
            WHEN status = 'behind' AND NOT starting AND behind_on IS DISTINCT FROM day AND expected - sent >= GREATEST(2, 0.2 * quota)
            THEN 'behind' END AS alert
        FROM faced
    ),
    turned AS (
        SELECT id, user_id, coalesce('quota-' || alert, 'quota-recovered') AS kind,
               CASE WHEN alert = 'behind' THEN 'behind-plan'
                    WHEN alert = 'failing' THEN CASE state WHEN 'disabled' THEN 'disabled' ELSE 'failed-in-a-row' END
                    WHEN NOT takes_part THEN 'set-aside' WHEN known_day <> day THEN 'new-day' ELSE 'caught-up' END AS reason,
               format('%s of %s sent, %s planned by now', sent, quota, floor(expected)) AS detail,
               expected - sent AS lag
        FROM noted WHERE alert IS DISTINCT FROM was
    ),
    ranked AS (
        SELECT *, row_number() OVER (PARTITION BY user_id, kind ORDER BY lag DESC, id) AS place,
               count(*) OVER (PARTITION BY user_id, kind) - 20 AS further
        FROM turned
    ),
    told AS (
        INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
        SELECT $7, kind, id, user_id, reason, detail FROM ranked WHERE place <= 20
        UNION ALL
        SELECT $7, kind, NULL, user_id, 'many', format('%s further mailboxes at the same time', further)
        FROM ranked WHERE place = 1 AND further > 0
    ),
    alarmed AS (
        SELECT coalesce(user_id, 0) AS user_id, count(*) AS mailboxes
        FROM noted WHERE alert IS NOT NULL GROUP BY GROUPING SETS ((user_id), ())
    )
    "
    };
}

pub(super) use alerts;
