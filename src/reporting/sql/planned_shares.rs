//! `PlannedShares` computes the planned share of each time zone and window, for the statements that compare mailboxes
//! with their plan. So Postgres's own zone database is never used, and the statements agree with the worker's plan.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use crate::domain::{
    progress::PlannedShare,
    time::{Window, today},
};

/// `PlannedShares` holds a row per zone and window of any mailbox: its today, and the share of the quota due by now.
#[derive(Clone, Debug, Default)]
pub(super) struct PlannedShares {
    pub(super) zones: Vec<String>,
    pub(super) starts: Vec<i16>,
    pub(super) ends: Vec<i16>,
    pub(super) days: Vec<NaiveDate>,
    /// The numerator of the share in microseconds; `wholes` holds the denominator.
    pub(super) parts: Vec<i64>,
    pub(super) wholes: Vec<i64>,
    /// The instant at which the window opens; `closes` and `midnights` hold the ends of window and day.
    pub(super) opens: Vec<DateTime<Utc>>,
    pub(super) closes: Vec<DateTime<Utc>>,
    pub(super) midnights: Vec<DateTime<Utc>>,
}

impl PlannedShares {
    /// Reads the zones and windows of all mailboxes, and computes their shares at `now`.
    pub(super) async fn at(pool: &PgPool, now: DateTime<Utc>) -> Result<PlannedShares, sqlx::Error> {
        const SCHEDULES: &str = "
            SELECT DISTINCT timezone, window_start, window_end FROM mailboxes WHERE state <> 'removed'";
        let schedules: Vec<(String, i16, i16)> = sqlx::query_as(SCHEDULES).fetch_all(pool).await?;
        let mut clocks = PlannedShares::default();
        for (name, start, end) in schedules {
            // This release plans nothing for a zone or window that it does not know.
            let (Ok(zone), Some(window)) = (name.parse(), Window::new(start as u16, end as u16)) else { continue };
            let day = today(zone, now);
            let span = window.on(zone, day);
            let (part, whole) = PlannedShare::at(now, span).fraction();
            clocks.opens.push(span.start);
            clocks.closes.push(span.end);
            clocks.midnights.push(Window::WHOLE_DAY.on(zone, day).end);
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

/// Expands to the WITH parts `clock`, from the parameters $1 to $6 and $10 to $12, and `judged`: all mailboxes on their
/// own today at $7. It includes mailboxes that are switched off; the fleet's sums exclude them by `enabled`. On the day
/// of its enrolment a mailbox is planned from then on, like in `domain::progress::planned_window`. A mailbox is
/// `starting` if it may send only since $13 or later, by its own state or by the fleet's start.
///
/// All joins of many mailboxes are full joins, as in `sql/candidates.sql`: they run as a hash or merge join, whatever
/// the planner estimates of tables that were never analysed.
macro_rules! judged {
    () => {
        "
    WITH clock AS (
        SELECT * FROM unnest($1::text[], $2::smallint[], $3::smallint[], $4::date[], $5::bigint[], $6::bigint[],
                             $10::timestamptz[], $11::timestamptz[], $12::timestamptz[])
            AS clock (zone, window_start, window_end, day, part, whole, opens, closes, midnight)
    ),
    started AS MATERIALIZED (
        SELECT max(ordered_at) AS at FROM fleet_orders WHERE running AND ordered_by IS NOT NULL AND ordered_at <= $7
    ),
    box AS (
        SELECT m.id, m.user_id, m.email, m.domain, m.smtp_host, m.smtp_port, m.smtp_security, m.enabled, m.state, m.paused_until, m.timezone,
               m.window_start, m.window_end, clock.day,
               m.enrolled_at > clock.opens AND m.enrolled_at < clock.midnight AS is_new, m.enrolled_at,
               CASE WHEN m.enrolled_at > clock.opens AND m.enrolled_at < clock.midnight
                    THEN LEAST(GREATEST((extract(epoch FROM $7 - LEAST(m.enrolled_at, clock.closes)) * 1000000)::bigint, 0),
                               GREATEST((extract(epoch FROM clock.closes - LEAST(m.enrolled_at, clock.closes))
                                         * 1000000)::bigint / 8 * 7, 1))
                    ELSE clock.part END AS part,
               CASE WHEN m.enrolled_at > clock.opens AND m.enrolled_at < clock.midnight
                    THEN GREATEST((extract(epoch FROM clock.closes - LEAST(m.enrolled_at, clock.closes))
                                   * 1000000)::bigint / 8 * 7, 1)
                    ELSE clock.whole END AS whole,
               coalesce(GREATEST(m.able_since, (SELECT at FROM started)) > $13, false) AS starting,
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
