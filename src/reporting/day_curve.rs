//! `day_curve` computes the day as a curve: the mails that the plan expects by each moment, and the mails sent.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::{
    domain::{
        id::UserId,
        planned_curve::{Cohort, STEP, planned, sample_times},
        time::Span,
    },
    reporting::{
        snapshot::{SnapshotCache, StatsSnapshot},
        sql::{self, WindowSums},
    },
};

/// The sum of each mailbox's own today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DayCurve {
    /// The sum of today's quotas.
    pub quota: i64,
    /// Mails that the plan requires by now.
    pub planned_by_now: i64,
    pub sent_by_now: i64,
    /// The planned mails, a quarter of an hour apart, from the first window's start to the last one's end.
    pub planned: Vec<CurvePoint>,
    /// The sent mails until now, by batches; for a user who is no admin by the last two hours.
    pub sent: Vec<CurvePoint>,
}

/// The number of mails by a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Reached)]
pub struct CurvePoint {
    pub at: DateTime<Utc>,
    pub mails: i64,
}

/// Reads the curve of the mailboxes of `user`, or of all.
pub async fn day_curve(
    pool: &PgPool,
    census: &SnapshotCache,
    user: Option<UserId>,
    now: DateTime<Utc>,
) -> Result<DayCurve, sqlx::Error> {
    // The sent mails are of the snapshot's instant, so the planned ones are too.
    let StatsSnapshot { as_of: now, totals, .. } = census.current(user, now).await?;
    let windows = totals.windows;
    let cohorts: Vec<Cohort> = windows.iter().filter_map(cohort).collect();
    let moments = sample_times(&cohorts);
    let begins = moments.first().copied().unwrap_or(now);
    let went = match user {
        None => quarters(pool, begins, now).await?,
        Some(_) => hours(&windows, now),
    };
    let sent_by_now = windows.iter().map(|window| window.sent).sum();
    let reached = |at| CurvePoint { at, mails: planned(&cohorts, at) };
    Ok(DayCurve {
        quota: cohorts.iter().map(|cohort| cohort.quota).sum(),
        planned_by_now: planned(&cohorts, now),
        sent_by_now,
        planned: moments.into_iter().map(reached).collect(),
        sent: backwards(sent_by_now, &went, begins, now),
    })
}

fn cohort(window: &WindowSums) -> Option<Cohort> {
    Some(Cohort { window: window.span()?, quota: window.quota })
}

async fn quarters(pool: &PgPool, begins: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<SentCount>, sqlx::Error> {
    let quarters = sql::quarters(pool, begins, now).await?;
    let went = |(start, mails)| SentCount { span: Span { start, end: start + STEP }, mails };
    Ok(quarters.into_iter().map(went).collect())
}

/// Returns the mails sent in this hour and in the previous one.
fn hours(windows: &[WindowSums], now: DateTime<Utc>) -> Vec<SentCount> {
    const HOUR: TimeDelta = TimeDelta::hours(1);
    let into = TimeDelta::minutes(now.minute().into()) + TimeDelta::seconds(now.second().into());
    let hour = now - into - TimeDelta::nanoseconds(now.nanosecond().into());
    let sum = |count: fn(&WindowSums) -> i64| windows.iter().map(count).sum();
    vec![
        SentCount { span: Span { start: hour - HOUR, end: hour }, mails: sum(|window| window.hour_before) },
        SentCount { span: Span { start: hour, end: hour + HOUR }, mails: sum(|window| window.hour_sent) },
    ]
}

/// A `SentCount` is the number of mails sent in a span.
struct SentCount {
    span: Span,
    mails: i64,
}

/// Counts back from a certain number: the mails sent until now, minus those sent since each moment. A batch may belong
/// to another day in some zone. So the curve never falls below 0, and begins at `begins`.
fn backwards(sent: i64, went: &[SentCount], begins: DateTime<Utc>, now: DateTime<Utc>) -> Vec<CurvePoint> {
    let mut left = sent;
    let mut reached = vec![CurvePoint { at: now, mails: sent }];
    let told = |went: &&SentCount| went.mails > 0 && went.span.start >= begins && went.span.start < now;
    for SentCount { span, mails } in went.iter().rev().filter(told) {
        // Without mails the curve is level.
        if span.end < reached[reached.len() - 1].at {
            reached.push(CurvePoint { at: span.end, mails: left });
        }
        left = (left - mails).max(0);
        reached.push(CurvePoint { at: span.start, mails: left });
    }
    if reached[reached.len() - 1].at > begins {
        reached.push(CurvePoint { at: begins, mails: 0 });
    }
    reached.reverse();
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-11-24T{time}:00Z").parse().unwrap()
    }

    fn quarter(start: &str, mails: i64) -> SentCount {
        SentCount { span: Span { start: at(start), end: at(start) + STEP }, mails }
    }

    fn line(sent: i64, went: &[SentCount]) -> Vec<(String, i64)> {
        let reached = backwards(sent, went, at("09:00"), at("10:20"));
        reached.iter().map(|reached| (reached.at.format("%H:%M").to_string(), reached.mails)).collect()
    }

    #[test]
    fn a_day_is_counted_back_from_what_is_certain_and_level_where_nothing_went() {
        let went = [quarter("09:00", 3), quarter("09:15", 2), quarter("10:15", 4)];
        let expected = [("09:00", 0), ("09:15", 3), ("09:30", 5), ("10:15", 5), ("10:20", 9)];
        assert_eq!(line(9, &went), expected.map(|(time, mails)| (time.to_owned(), mails)));
    }

    #[test]
    fn what_another_day_sent_takes_nothing_below_zero_and_nothing_is_told_before_the_first_window() {
        let went = [quarter("08:00", 50), quarter("09:45", 50)];
        let expected = [("09:00", 0), ("09:45", 0), ("10:00", 9), ("10:20", 9)];
        assert_eq!(line(9, &went), expected.map(|(time, mails)| (time.to_owned(), mails)));
    }
}
