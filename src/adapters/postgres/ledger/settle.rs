//! This module builds the statements that end in-flight mails: three heads select the flights and their ends, and one
//! body closes them. Only a settle can be late. Its correction is a separate statement, because it reads the log: a
//! plan for any day would open the partitions of all days.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{
    Row,
    postgres::{PgRow, types::PgInterval},
};

use super::super::{classify::classify, session::Statement};
use crate::{
    domain::{
        id::{FlightId, RunId, WorkerId},
        outcome::{
            Outcome, OutcomeKind, Penalty, Stage,
            breaker::{REFUSALS_LEAST, REFUSALS_MOST, REFUSED_SHARE_PERCENT},
            escalation::EscalationSignal,
            refusals::{
                FAILING_MAILBOXES, HOST_PAUSES_MINUTES, PAIR_PAUSES_MINUTES, RefusalTarget, SENDER_PAUSES_MINUTES,
            },
            stalls::STALLED_MAILBOXES,
        },
        time::LocalDates,
    },
    ports::{PortError, Settlement, SweepRequest},
};

macro_rules! closing {
    ($results:literal, $late:literal) => {
        concat!(
            include_str!($results),
            include_str!("../sql/flights.sql"),
            include_str!($late),
            include_str!("../sql/blame.sql"),
            include_str!("../sql/close.sql")
        )
    };
}

const SETTLE: &str = closing!("../sql/settle_results.sql", "../sql/none_late.sql");
const SETTLE_LATE: &str = closing!("../sql/settle_results.sql", "../sql/late.sql");
const RELEASE: &str = closing!("../sql/release_results.sql", "../sql/none_late.sql");
const SWEEP: &str = closing!("../sql/sweep_results.sql", "../sql/none_late.sql");

pub(super) fn release(run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Statement {
    sqlx::query(RELEASE).bind(run.0).bind(message_ids.to_vec()).bind(now)
}

pub(super) fn sweep(sweep: &SweepRequest) -> Statement {
    let shards: Vec<i32> = sweep.shards.iter().map(|shard| shard.0).collect();
    sqlx::query(SWEEP)
        .bind(sweep.run.0)
        .bind(shards)
        .bind(sweep.running.clone())
        .bind(interval(sweep.older_than))
        .bind(sweep.now)
        .bind(sweep.newest.0)
        .bind(sweep.unstarted.clone())
}

/// Builds the statement that ends the flights of `results` that are still open.
pub(super) fn settle(results: &[Settlement]) -> Statement {
    bound(sqlx::query(SETTLE), results)
}

/// Builds the statement that ends open flights and corrects the uncertain rows of swept ones.
pub(super) fn settle_late(results: &[Settlement]) -> Statement {
    bound(sqlx::query(SETTLE_LATE), results)
}

fn bound(statement: Statement, results: &[Settlement]) -> Statement {
    let until = |of: fn(&Outcome) -> Option<Penalty>| -> Vec<Option<String>> {
        results.iter().map(|result| of(&result.outcome).and_then(|measure| end_of(measure, result.at))).collect()
    };
    ended(statement, results)
        .bind(column(results, |r| r.batch.0))
        .bind(until(|outcome| outcome.effects.sender))
        .bind(until(|outcome| outcome.effects.partner))
        .bind(until(|outcome| outcome.effects.host))
        .bind(until(|outcome| outcome.effects.domain))
        .bind(column(results, |r| r.reply.map(|due| due.at)))
        .bind(column(results, |r| r.reply.map(|due| due.until)))
        .bind(column(results, mark))
        .bind(column(results, |r| r.outcome.passed_auth() && !r.is_reduced))
        .bind(column(results, |r| r.trace.clone()))
        .bind(column(results, answered))
        .bind(column(results, |r| r.outcome.stalled().map(Stage::rank)))
        .bind(REFUSED_SHARE_PERCENT as i32)
        .bind(REFUSALS_LEAST as i32)
        .bind(REFUSALS_MOST as i32)
        .bind(STALLED_MAILBOXES as i32)
        .bind(column(results, |r| r.mail.message_id.clone()))
        .bind(column(results, refused))
        .bind(SENDER_PAUSES_MINUTES.to_vec())
        .bind(PAIR_PAUSES_MINUTES.to_vec())
        .bind(HOST_PAUSES_MINUTES.to_vec())
        .bind(FAILING_MAILBOXES as i32)
}

/// Binds the end of each mail: $1 to $10 of a statement about results.
fn ended(statement: Statement, results: &[Settlement]) -> Statement {
    statement
        .bind(column(results, |r| r.flight.0))
        .bind(column(results, |r| r.day))
        .bind(column(results, |r| r.outcome.fate.as_str().to_owned()))
        .bind(column(results, |r| r.at))
        .bind(column(results, |r| i32::try_from(r.latency.as_millis()).unwrap_or(i32::MAX)))
        .bind(column(results, |r| r.next_at))
        .bind(column(results, reason))
        .bind(column(results, |r| r.outcome.reply.as_ref().map(|reply| i32::from(reply.code))))
        .bind(column(results, |r| r.outcome.reply.as_ref().and_then(|reply| reply.enhanced_text())))
        .bind(column(results, notes))
}

/// Logs warnings about changes that concern many mailboxes. Only the statement that made the change returns them, so no
/// other worker logs them.
pub(super) fn warn(row: &PgRow) -> Result<(), PortError> {
    let warnings: Vec<String> = row.try_get("warnings").map_err(classify)?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(())
}

/// Builds the statement that writes the rows of `results` that the database has lost.
pub(super) fn log_lost(worker: &WorkerId, results: &[Settlement], now: DateTime<Utc>) -> Statement {
    let elsewhere = LocalDates::off_utc(now);
    ended(sqlx::query(include_str!("../sql/log_lost.sql")), results)
        .bind(column(results, |r| r.mail.message_id.clone()))
        .bind(column(results, |r| r.mailbox.0))
        .bind(column(results, |r| r.partner.0))
        .bind(column(results, |r| r.mail.user.0))
        .bind(column(results, |r| r.mail.sender.clone()))
        .bind(column(results, |r| r.mail.recipient.clone()))
        .bind(column(results, |r| r.mail.subject.clone()))
        .bind(column(results, |r| i32::from(r.mail.round)))
        .bind(column(results, |r| r.mail.answers.map(|reply| reply.0)))
        .bind(column(results, |r| r.mail.thread.clone()))
        .bind(worker.0.clone())
        .bind(now)
        .bind(elsewhere.zones)
        .bind(elsewhere.days)
}

/// Returns whether two of `results` name the same flight id.
pub(super) fn repeats_an_id(results: &[Settlement]) -> bool {
    let ids: HashSet<FlightId> = results.iter().map(|result| result.flight).collect();
    ids.len() < results.len()
}

/// Reads one of the counts that the body returns.
pub(super) fn count(row: &PgRow, column: &str) -> Result<u64, PortError> {
    row.try_get::<i64, _>(column).map(i64::unsigned_abs).map_err(classify)
}

fn column<T>(results: &[Settlement], of: impl Fn(&Settlement) -> T) -> Vec<T> {
    results.iter().map(of).collect()
}

/// The reason code by which a late answer finds the row that it may correct.
const UNCERTAIN: &str = "uncertain";

fn reason(result: &Settlement) -> Option<String> {
    match result.outcome.fate {
        OutcomeKind::Sent => None,
        OutcomeKind::Uncertain => Some(UNCERTAIN.to_owned()),
        OutcomeKind::Refused | OutcomeKind::Unstarted => Some(result.outcome.reason.to_owned()),
    }
}

fn notes(result: &Settlement) -> Option<String> {
    let Outcome { stage, note, .. } = &result.outcome;
    // A host's text reaches logs and terminals, so it must hold no control character.
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let words = || note.chars().map(printable).take(NOTE_CHARS).collect::<String>();
    (!note.is_empty()).then(|| format!("{}: {}", stage.as_str(), words()))
}

/// The length of a note in characters: longer than any useful text of a server; a reply may have 100,000 bytes.
const NOTE_CHARS: usize = 4_000;

fn mark(result: &Settlement) -> Option<&'static str> {
    match result.is_reduced {
        true => Some("reduced"),
        false => result.outcome.mark().map(EscalationSignal::as_str),
    }
}

/// Returns the target of a refusal that counts. A reduced result carries only what its row and the counters need.
fn refused(result: &Settlement) -> Option<&'static str> {
    let target = result.outcome.refusal_target().filter(|_| !result.is_reduced);
    target.map(RefusalTarget::as_str)
}

/// Returns the last answered step, from AUTH on: earlier answers of a host say nothing about a mail.
fn answered(result: &Settlement) -> Option<i32> {
    let step = result.outcome.answered().filter(|step| *step >= Stage::Auth && !result.is_reduced);
    step.map(Stage::rank)
}

/// Returns the end of a penalty as text for a timestamptz: `infinity` if only the operator ends it.
fn end_of(measure: Penalty, at: DateTime<Utc>) -> Option<String> {
    let end = match measure {
        Penalty::Strike | Penalty::Stall => return None,
        Penalty::Disable => None,
        Penalty::Pause(time) | Penalty::PauseAndHalve(time) => {
            TimeDelta::from_std(time).ok().and_then(|time| at.checked_add_signed(time))
        }
    };
    Some(end.map_or_else(|| "infinity".to_owned(), |end| end.to_rfc3339()))
}

fn interval(time: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(time.as_micros()).unwrap_or(i64::MAX) }
}
