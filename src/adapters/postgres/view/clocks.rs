//! Where each kind of day stands: the statements that judge mailboxes against their plan are told it, so that Postgres's
//! own zone database is never asked, and what they say is what the worker plans by.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use crate::domain::{
    progress::Share,
    time::{Window, today},
};

/// For each zone and window that a mailbox has: its today, and how much of the quota should have gone by now.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks {
    pub(super) zones: Vec<String>,
    pub(super) starts: Vec<i16>,
    pub(super) ends: Vec<i16>,
    pub(super) days: Vec<NaiveDate>,
    /// The share of the quota, as a fraction: `part` of `whole` microseconds.
    pub(super) parts: Vec<i64>,
    pub(super) wholes: Vec<i64>,
}

impl Clocks {
    /// Reads which zones and windows there are, and computes where they stand at `now`.
    pub(super) async fn at(pool: &PgPool, now: DateTime<Utc>) -> Result<Clocks, sqlx::Error> {
        const SCHEDULES: &str = "
            SELECT DISTINCT timezone, window_start, window_end FROM mailboxes WHERE state <> 'removed'";
        let schedules: Vec<(String, i16, i16)> = sqlx::query_as(SCHEDULES).fetch_all(pool).await?;
        let mut clocks = Clocks::default();
        for (name, start, end) in schedules {
            // What this release does not know it plans nothing for.
            let (Ok(zone), Some(window)) = (name.parse(), Window::new(start as u16, end as u16)) else { continue };
            let day = today(zone, now);
            let (part, whole) = Share::at(now, window.on(zone, day)).fraction();
            clocks.zones.push(name);
            clocks.starts.push(start);
            clocks.ends.push(end);
            clocks.days.push(day);
            clocks.parts.push(part);
            clocks.wholes.push(whole);
        }
        Ok(clocks)
    }
}

/// The clocks as the first six parameters, and all mailboxes as `judged`: each as it stands on its own today. Those switched off are there; what judges the fleet leaves them out by `enabled`.
///
/// All joins of many mailboxes are full joins, as in `sql/candidates.sql`: they run as a hash or merge join whatever the
/// planner estimates of tables that were never analysed.
macro_rules! judged {
    () => {
        "
    WITH clock AS (
        SELECT * FROM unnest($1::text[], $2::smallint[], $3::smallint[], $4::date[], $5::bigint[], $6::bigint[])
            AS clock (zone, window_start, window_end, day, part, whole)
    ),
    box AS (
        SELECT m.id, m.user_id, m.email, m.domain, m.smtp_host, m.enabled, m.state, m.paused_until, m.timezone, m.window_start,
               m.window_end, clock.day, clock.part,
               clock.whole,
               CASE WHEN d.day IS NOT NULL THEN d.quota::int
                    WHEN (m.days >> (extract(isodow FROM clock.day)::int - 1)) & 1 = 1
                    THEN LEAST(m.daily_max, m.ramp_start + m.grown::int * m.ramp_step)
                    ELSE 0 END AS quota,
               coalesce(d.sent, 0)::int AS sent, coalesce(d.failed, 0) AS failed, coalesce(d.uncertain, 0) AS uncertain,
               coalesce(d.replied, 0) AS replied, d.last_sent_at, d.hour, coalesce(d.hour_sent, 0) AS hour_sent,
               coalesce(d.hour_before, 0) AS hour_before,
               m.state = 'disabled' OR coalesce(d.failed_in_row, 0) >= 3 AS failing
        FROM (SELECT * FROM mailboxes WHERE state <> 'removed') AS m
        FULL JOIN clock ON clock.zone = m.timezone AND clock.window_start = m.window_start
                       AND clock.window_end = m.window_end
        FULL JOIN (SELECT * FROM mailbox_days WHERE day = ANY ($4)) AS d ON d.mailbox_id = m.id AND d.day = clock.day
        WHERE COALESCE(m.id IS NOT NULL AND clock.zone IS NOT NULL, false)
    ),
    judged AS (
        SELECT *, quota::numeric * part / whole AS expected,
               CASE WHEN failing THEN 'failing' WHEN sent >= quota THEN 'complete'
                    WHEN sent::bigint * whole < quota::bigint * part THEN 'behind' ELSE 'on-track' END AS status
        FROM box
    )
    "
    };
}

pub(super) use judged;
