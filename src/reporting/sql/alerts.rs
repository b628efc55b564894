//! Whose quota is in danger: a mailbox that falls far behind its plan, or fails, is told as an event when a census finds it so,
//! and once more when it is over.
//!
//! ```text
//!   nothing ── two mails and a fifth of the quota too few, not yet told today ──▶ behind   (quota-behind)
//!   nothing, behind ── disabled, or three failures in a row, not yet told today ─▶ failing  (quota-failing)
//!   behind, failing ── neither any more ─────────────────────────────────────────▶ nothing  (quota-recovered)
//! ```
//!
//! Why so little is told: a mailbox is a mail short between any two of its mails, and an outage makes all of them fall behind
//! together. So being behind ends only once the plan is caught up with, each kind begins once a day for each mailbox, and of
//! one owner's that turn in the same census the first are told by name and the others in one event. 100,000 mailboxes of 1,000
//! owners in an outage are so 21,000 events, and not one in each census.
//!
//! A mailbox that is *starting*, because it was enrolled, resumed or started less than a cooldown ago, does not fall behind yet.
//!
//! What an operator has switched off or paused without an end owes nothing: its alert ends as `set-aside`.

/// `judged` with what was known and told (`was`), and what is told from now on (`alert`); the events of those that turned;
/// and how many an alert is out for, for each user. $7 now.
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
