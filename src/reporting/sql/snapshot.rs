//! `refresh` takes a statistics snapshot: it compares every mailbox with its plan at one instant, and stores the result
//! with sums for each user. Every number about many mailboxes comes from the last snapshot, so all are of one instant,
//! on every pod.
//!
//! A mailbox that has fallen far behind or fails since the last snapshot, or has recovered, causes an event
//! (`reporting/sql/alerts.rs`).
//!
//! A snapshot reads the rows that settlements write, and locks none of them. It writes only changed rows.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::{FromRow, PgConnection, PgPool};

use super::{
    alerts::alerts,
    planned_shares::{PlannedShares, judged},
};
use crate::{
    adapters::postgres::transaction,
    domain::{
        id::UserId,
        time::{Span, Window},
    },
};

/// `Totals` sums up each mailbox's own today.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Totals {
    /// The number of mailboxes that are not removed. The next four fields count those that may send, are switched off,
    /// are paused (or their host or domain is), or are disabled.
    pub enrolled: i64,
    pub may_send: i64,
    pub off: i64,
    pub paused: i64,
    pub disabled: i64,
    /// The sum of today's quotas of the mailboxes that may send.
    pub owed: i64,
    /// The number of enabled mailboxes.
    pub mailboxes: i64,
    /// The number of mailboxes that sent today.
    pub active: i64,
    pub sent: i64,
    pub replied: i64,
    pub failed: i64,
    pub uncertain: i64,
    /// The number of enabled mailboxes with a quota today; `filled` counts those that sent all of it.
    pub owing: i64,
    pub filled: i64,
    /// The whole mails that the plan requires by now, of the mailboxes that take part.
    pub planned: i64,
    pub complete: i64,
    pub on_track: i64,
    pub behind: i64,
    pub failing: i64,
    /// The mails sent in this hour so far; `hour_before` counts those of the previous hour.
    pub hour_sent: i64,
    pub hour_before: i64,
    /// The number of mailboxes whose last mail went within the last minute.
    pub minute_sent: i64,
    /// The mailboxes furthest behind their plan; `best` lists the fullest of those that sent.
    pub furthest: Vec<i64>,
    pub best: Vec<i64>,
    /// The sums by window.
    pub windows: Vec<WindowSums>,
    /// The number of mailboxes with an alert: far behind their plan, or failing.
    pub alarmed: i64,
}

/// `WindowSums` sums up the mailboxes whose windows are one span of one day.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WindowSums {
    pub timezone: String,
    /// The start and the end of the window, in minutes of the day.
    pub window_start: u16,
    pub window_end: u16,
    pub day: NaiveDate,
    /// The quota of the mailboxes that take part.
    pub quota: i64,
    /// The mails of all these mailboxes on that day; the next two fields count this hour and the previous one.
    pub sent: i64,
    pub hour_sent: i64,
    pub hour_before: i64,
    /// The start of the plan, to the minute, for mailboxes that were enrolled on that day within its window.
    #[serde(default)]
    pub planned_from: Option<DateTime<Utc>>,
    /// The number of mailboxes with a quota that may send only since less than a cooldown. The next two fields hold the
    /// mails that they sent, and the mails that the plan requires of them by now.
    #[serde(default)]
    pub starting: i64,
    #[serde(default)]
    pub starting_sent: i64,
    #[serde(default)]
    pub starting_planned: i64,
}

impl WindowSums {
    /// Returns the span of the window, or the rest of it for mailboxes that were enrolled within it. Returns `None` for
    /// a zone that this release does not know.
    pub fn span(&self) -> Option<Span> {
        let zone = self.timezone.parse().ok()?;
        let span = Window::new(self.window_start, self.window_end)?.on(zone, self.day);
        let start = self.planned_from.map_or(span.start, |from| from.clamp(span.start, span.end));
        Some(Span { start, ..span })
    }
}

/// `Throughput` counts recent mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Throughput {
    /// The mails and replies granted in the last hour, without unused returned ones; `minute_used` counts the last
    /// minute.
    pub hour_used: i64,
    pub minute_used: i64,
    /// The mails sent, among those of the last hour.
    pub hour_sent: i64,
    /// The average time from the start of a batch to its last end in ms, of the last hour's batches.
    pub batch_ms: i64,
}

/// `Age` states how current the last snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Age {
    pub age_ms: i64,
    pub took_ms: i64,
    /// True if counted data changed since the snapshot.
    pub is_marked: bool,
    /// The number of counted mailboxes.
    pub enrolled: i64,
}

/// A `SnapshotVersion` identifies a snapshot and the last change of counted data, by the database's clock. Every cache
/// of fleet data depends on these two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct SnapshotVersion {
    pub taken_at: DateTime<Utc>,
    /// The time of the last marked change; `None` without one.
    pub marked_at: Option<DateTime<Utc>>,
}

/// A `SnapshotRow` is the result of the last snapshot.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct SnapshotRow {
    pub as_of: DateTime<Utc>,
    #[sqlx(flatten)]
    pub edition: SnapshotVersion,
    #[sqlx(flatten)]
    pub age: Age,
    #[sqlx(flatten)]
    pub pace: Throughput,
    /// The sums; `None` for a user without a mailbox.
    #[sqlx(json(nullable))]
    pub totals: Option<Totals>,
}

/// Returns the last snapshot of `user`, or of all; `None` if there is none yet.
pub async fn counted(pool: &PgPool, user: Option<UserId>) -> Result<Option<SnapshotRow>, sqlx::Error> {
    const COUNTED: &str = "
        SELECT c.as_of, c.taken_at, nullif(c.marked_at, '-infinity') AS marked_at,
               (extract(epoch FROM clock_timestamp() - c.taken_at) * 1000)::bigint AS age_ms, c.took_ms,
               c.marked_at > c.taken_at AS is_marked, whole.enrolled, c.hour_used, c.minute_used, c.hour_sent, c.batch_ms,
               to_jsonb(t) AS totals
        FROM census c JOIN totals whole ON whole.user_id = 0 LEFT JOIN totals t ON t.user_id = $1";
    sqlx::query_as(COUNTED).bind(user.map_or(0, |user| user.0)).fetch_optional(pool).await
}

/// Marks a change of counted data, so that the next caller gets new numbers.
pub async fn mark(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE census SET marked_at = clock_timestamp()").execute(pool).await.map(drop)
}

/// `IfBusy` decides what `refresh` does while another process takes a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfBusy {
    /// Returns at once.
    Skip,
    /// Waits for the other snapshot, and takes another one only if the other began before the request.
    Wait,
}

/// Takes a snapshot at `now`, unless another process just took one. A mailbox is starting for the time of `cooldown`.
pub async fn refresh(
    pool: &PgPool,
    now: DateTime<Utc>,
    cooldown: TimeDelta,
    meanwhile: IfBusy,
) -> Result<(), sqlx::Error> {
    const BEGIN: &str = "
        SELECT set_config('statement_timeout', '60s', true), set_config('lock_timeout', '60s', true),
               set_config('work_mem', '64MB', true), set_config('jit', 'off', true)";
    const TRY: &str = "SELECT pg_try_advisory_xact_lock(hashtext('warmup census'))";
    const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('warmup census'))";
    const NEWER: &str = "SELECT EXISTS (SELECT FROM census WHERE taken_at >= $1 AND marked_at < taken_at)";
    let clocks = PlannedShares::at(pool, now).await?;
    let mut transaction = transaction::begin(pool).await?;
    let asked: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *transaction).await?;
    sqlx::query(BEGIN).execute(&mut *transaction).await?;
    match meanwhile {
        IfBusy::Skip => {
            let is_ours: bool = sqlx::query_scalar(TRY).fetch_one(&mut *transaction).await?;
            if !is_ours {
                return Ok(());
            }
        }
        IfBusy::Wait => {
            sqlx::query(LOCK).execute(&mut *transaction).await?;
            if sqlx::query_scalar(NEWER).bind(asked).fetch_one(&mut *transaction).await? {
                return Ok(());
            }
        }
    }
    sqlx::query(CENSUS)
        .bind(clocks.zones)
        .bind(clocks.starts)
        .bind(clocks.ends)
        .bind(clocks.days)
        .bind(clocks.parts)
        .bind(clocks.wholes)
        .bind(now)
        .bind(LISTED)
        .bind(summed_since(&mut transaction, now).await?)
        .bind(clocks.opens)
        .bind(clocks.closes)
        .bind(clocks.midnights)
        .bind(now - cooldown)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// The age from which a quarter's sum is final: a batch settles within the hour. Later corrections appear in the days,
/// and not in the curve.
const BATCH_SETTLES: TimeDelta = TimeDelta::hours(1);
/// The largest age of the quarters of an hour that are summed up again: no day in any zone is further back. The
/// statement deletes quarters after four days.
const LINE_KEPT: TimeDelta = TimeDelta::days(3);

/// Returns the time from which the quarters of an hour are summed up again.
async fn summed_since(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<DateTime<Utc>, sqlx::Error> {
    let last: Option<DateTime<Utc>> = sqlx::query_scalar("SELECT as_of FROM census").fetch_optional(connection).await?;
    let oldest = now - LINE_KEPT;
    Ok(last.map_or(oldest, |last| (last.min(now) - BATCH_SETTLES).max(oldest)))
}

/// The number of listed mailboxes: the best, and the furthest behind.
const LISTED: i32 = 10;

/// The statement of the snapshot: $7 now, $8 the length of each list, $9 the time from which batches are summed up
/// again; the other parameters are those of `PlannedShares`.
const CENSUS: &str = concat!(
    judged!(),
    alerts!(),
    "
    , changed AS (
        INSERT INTO standings (mailbox_id, user_id, day, quota, sent, status, address, alert, behind_on, failing_on)
        SELECT n.id, n.user_id, n.day, n.quota, n.sent, n.status, lower(n.email), n.alert,
               CASE WHEN n.alert = 'behind' AND n.was IS DISTINCT FROM 'behind' THEN n.day ELSE n.behind_on END,
               CASE WHEN n.alert = 'failing' AND n.was IS DISTINCT FROM 'failing' THEN n.day ELSE n.failing_on END
        FROM noted n
        WHERE n.enabled AND (n.address = '' OR n.differs
                             OR n.alert IS DISTINCT FROM n.was)
        ON CONFLICT (mailbox_id) DO UPDATE
        SET (user_id, day, quota, sent, status, address, alert, behind_on, failing_on)
            = (EXCLUDED.user_id, EXCLUDED.day, EXCLUDED.quota, EXCLUDED.sent, EXCLUDED.status, EXCLUDED.address,
               EXCLUDED.alert, EXCLUDED.behind_on, EXCLUDED.failing_on)
    ),
    gone AS (
        DELETE FROM standings WHERE mailbox_id = ANY (ARRAY(
            SELECT s.mailbox_id
            FROM standings s FULL JOIN (SELECT id FROM judged WHERE enabled) AS j ON j.id = s.mailbox_id
            WHERE COALESCE(s.mailbox_id IS NOT NULL AND j.id IS NULL, false)))
    ),
    went AS (
        INSERT INTO quarters (at, mails)
        SELECT date_bin('15 minutes', started_at, 'epoch') AS at, sum(sent - replied)::bigint
        FROM batches WHERE started_at >= date_bin('15 minutes', $9, 'epoch') AND started_at <= $7 GROUP BY 1
        ON CONFLICT (at) DO UPDATE SET mails = EXCLUDED.mails WHERE quarters.mails <> EXCLUDED.mails
    ),
    past AS (DELETE FROM quarters WHERE at < $7 - interval '4 days'),
    held AS MATERIALIZED (
        SELECT ARRAY(SELECT key FROM pauses WHERE scope = 'host' AND (until > $7 OR probing)) AS hosts,
               ARRAY(SELECT user_id || ' ' || key FROM owner_pauses WHERE until > $7) AS of_owners,
               ARRAY(SELECT key FROM pauses WHERE scope = 'login' AND (until > $7 OR probing)) AS logins
    ),
    stood AS (
        SELECT judged.*, CASE WHEN state = 'disabled' THEN 'disabled' WHEN NOT enabled THEN 'off'
                              WHEN state = 'paused' AND (paused_until IS NULL OR paused_until > $7)
                                   OR lower(smtp_host) = ANY (held.hosts) OR user_id || ' ' || domain = ANY (held.of_owners)
                                   OR user_id || ' ' || lower(smtp_host) || ':' || smtp_port = ANY (held.of_owners)
                                   OR held.logins <> '{}'
                                      AND login_key(user_id, smtp_host, smtp_port, smtp_security) = ANY (held.logins)
                              THEN 'paused' ELSE 'active' END AS standing
        FROM judged, held
    ),
    sums AS (
        SELECT coalesce(user_id, 0) AS user_id, count(*) AS enrolled,
               count(*) FILTER (WHERE standing = 'active') AS may_send, count(*) FILTER (WHERE standing = 'off') AS off,
               count(*) FILTER (WHERE standing = 'paused') AS paused,
               count(*) FILTER (WHERE standing = 'disabled') AS disabled,
               coalesce(sum(quota) FILTER (WHERE standing = 'active'), 0)::bigint AS owed,
               count(*) FILTER (WHERE enabled) AS mailboxes, count(*) FILTER (WHERE sent > 0) AS active,
               coalesce(sum(sent), 0)::bigint AS sent, coalesce(sum(replied), 0)::bigint AS replied,
               coalesce(sum(failed), 0)::bigint AS failed, coalesce(sum(uncertain), 0)::bigint AS uncertain,
               count(*) FILTER (WHERE enabled AND quota > 0) AS owing,
               count(*) FILTER (WHERE enabled AND quota > 0 AND sent >= quota) AS filled,
               coalesce(floor(sum(expected) FILTER (
                   WHERE enabled AND (state = 'active' OR state = 'paused' AND paused_until IS NOT NULL))), 0)::bigint
                   AS planned,
               count(*) FILTER (WHERE enabled AND status = 'complete') AS complete,
               count(*) FILTER (WHERE enabled AND status = 'on-track') AS on_track,
               count(*) FILTER (WHERE enabled AND status = 'behind') AS behind,
               count(*) FILTER (WHERE enabled AND status = 'failing') AS failing,
               coalesce(sum(CASE WHEN hour = this_hour THEN hour_sent END), 0)::bigint AS hour_sent,
               coalesce(sum(CASE WHEN hour = this_hour THEN hour_before
                                 WHEN hour = this_hour - interval '1 hour' THEN hour_sent END), 0)::bigint AS hour_before,
               count(*) FILTER (WHERE last_sent_at > $7 - interval '1 minute') AS minute_sent
        FROM stood, (SELECT date_trunc('hour', $7, 'UTC') AS this_hour) AS clock
        GROUP BY GROUPING SETS ((user_id), ())
    ),
    furthest AS (
        SELECT coalesce(user_id, 0) AS user_id, array_agg(id ORDER BY expected - sent DESC, id) AS ids FROM (
            SELECT user_id, id, expected, sent,
                   row_number() OVER (PARTITION BY user_id ORDER BY expected - sent DESC, id) AS place
            FROM judged WHERE enabled AND status = 'behind') AS ranked
        WHERE place <= $8 GROUP BY GROUPING SETS ((user_id), ())
    ),
    best AS (
        SELECT coalesce(user_id, 0) AS user_id, array_agg(id ORDER BY fill DESC, sent DESC, id) AS ids FROM (
            SELECT user_id, id, sent, fill, row_number() OVER (PARTITION BY user_id ORDER BY fill DESC, sent DESC, id) AS place
            FROM (SELECT user_id, id, sent, sent::float8 / GREATEST(quota, 1) AS fill
                  FROM judged WHERE enabled AND sent > 0) AS filled) AS ranked
        WHERE place <= $8 GROUP BY GROUPING SETS ((user_id), ())
    ),
    cohorts AS (
        SELECT coalesce(user_id, 0) AS user_id, timezone, window_start, window_end, day, planned_from,
               count(*) FILTER (WHERE is_starting) AS starting,
               coalesce(sum(sent) FILTER (WHERE is_starting), 0)::bigint AS starting_sent,
               coalesce(ceil(sum(expected) FILTER (WHERE is_starting)), 0)::bigint AS starting_planned,
               coalesce(sum(quota) FILTER (
                   WHERE enabled AND (state = 'active' OR state = 'paused' AND paused_until IS NOT NULL)), 0)::bigint
                   AS quota,
               sum(sent)::bigint AS sent,
               coalesce(sum(CASE WHEN hour = this_hour THEN hour_sent END), 0)::bigint AS hour_sent,
               coalesce(sum(CASE WHEN hour = this_hour THEN hour_before
                                 WHEN hour = this_hour - interval '1 hour' THEN hour_sent END), 0)::bigint AS hour_before
        FROM (
            SELECT *, starting AND enabled AND quota > 0 AND (state = 'active' OR state = 'paused' AND paused_until IS NOT NULL)
                          AS is_starting,
                   CASE WHEN is_new THEN date_bin('1 minute', enrolled_at, 'epoch') + interval '1 minute' END AS planned_from
            FROM judged
        ) AS judged, (SELECT date_trunc('hour', $7, 'UTC') AS this_hour) AS clock
        GROUP BY GROUPING SETS ((user_id, timezone, window_start, window_end, day, planned_from),
                                (timezone, window_start, window_end, day, planned_from))
    ),
    windows AS (
        SELECT user_id,
               jsonb_agg(to_jsonb(cohorts) - 'user_id'
                         ORDER BY timezone, window_start, window_end, day, planned_from) AS lines
        FROM cohorts GROUP BY user_id
    ),
    whole AS (
        SELECT sums.*, coalesce(furthest.ids[:$8], '{}') AS furthest, coalesce(best.ids[:$8], '{}') AS best,
               coalesce(windows.lines, '[]') AS windows, coalesce(alarmed.mailboxes, 0) AS alarmed
        FROM sums FULL JOIN furthest USING (user_id) FULL JOIN best USING (user_id) FULL JOIN windows USING (user_id)
             FULL JOIN alarmed USING (user_id)
    ),
    forgotten AS (
        DELETE FROM totals WHERE user_id = ANY (ARRAY(
            SELECT t.user_id FROM totals t FULL JOIN whole ON whole.user_id = t.user_id
            WHERE COALESCE(t.user_id IS NOT NULL AND whole.user_id IS NULL, false)))
    ),
    summed AS (
        INSERT INTO totals (user_id, enrolled, may_send, off, paused, disabled, owed, mailboxes, active, sent, replied,
                            failed, uncertain, owing, filled, planned, complete, on_track, behind, failing, hour_sent,
                            hour_before, minute_sent, furthest, best, windows, alarmed)
        SELECT whole.* FROM whole LEFT JOIN totals t USING (user_id) WHERE t IS DISTINCT FROM whole
        ON CONFLICT (user_id) DO UPDATE
        SET (enrolled, may_send, off, paused, disabled, owed, mailboxes, active, sent, replied, failed, uncertain, owing,
             filled, planned, complete, on_track, behind, failing, hour_sent, hour_before, minute_sent, furthest, best,
             windows, alarmed)
            = (EXCLUDED.enrolled, EXCLUDED.may_send, EXCLUDED.off, EXCLUDED.paused, EXCLUDED.disabled, EXCLUDED.owed,
               EXCLUDED.mailboxes, EXCLUDED.active, EXCLUDED.sent, EXCLUDED.replied, EXCLUDED.failed, EXCLUDED.uncertain,
               EXCLUDED.owing, EXCLUDED.filled, EXCLUDED.planned, EXCLUDED.complete, EXCLUDED.on_track, EXCLUDED.behind,
               EXCLUDED.failing, EXCLUDED.hour_sent, EXCLUDED.hour_before, EXCLUDED.minute_sent, EXCLUDED.furthest,
               EXCLUDED.best, EXCLUDED.windows, EXCLUDED.alarmed)
        RETURNING 1
    ),
    pace AS (
        SELECT coalesce(sum(processed - released), 0)::bigint AS hour_used,
               coalesce(sum(processed - released) FILTER (WHERE started_at > $7 - interval '1 minute'), 0)::bigint
                   AS minute_used,
               coalesce(sum(sent - replied), 0)::bigint AS hour_sent,
               coalesce(round(avg(extract(epoch FROM finished_at - started_at) * 1000)), 0)::bigint AS batch_ms
        FROM batches WHERE started_at > $7 - interval '1 hour' AND started_at <= $7
    )
    INSERT INTO census (as_of, taken_at, took_ms, hour_used, minute_used, hour_sent, batch_ms)
    SELECT $7, statement_timestamp(),
           (extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000)::bigint, pace.*
    FROM pace, (SELECT count(*) FROM summed) AS once
    ON CONFLICT (id) DO UPDATE
    SET (as_of, taken_at, took_ms, hour_used, minute_used, hour_sent, batch_ms)
        = (EXCLUDED.as_of, EXCLUDED.taken_at, EXCLUDED.took_ms, EXCLUDED.hour_used, EXCLUDED.minute_used,
           EXCLUDED.hour_sent, EXCLUDED.batch_ms)"
);
