//! This module binds the arrays of a reserve and reads its rows.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use sqlx::{Row, postgres::PgRow};

use super::super::{classify::classify, session::Statement};
use crate::{
    domain::{
        id::{BatchId, FlightId, MailboxId, UserId},
        mailbox::Endpoint,
        reply::ReplyPolicy,
        roster::RECEIVE_MARGIN,
        time::{LocalDates, Weekdays},
    },
    ports::{Flight, Participant, PortError, Refusal, Reservation, ReserveBatch, ReserveRequest},
};

/// Builds the one statement for a batch.
pub(super) fn statement(batch: &ReserveBatch, user_daily_cap: f64) -> Statement {
    let (shards, epochs): (Vec<i32>, Vec<i64>) = batch.epochs.iter().map(|(shard, epoch)| (shard.0, epoch.0)).unzip();
    let (asks, elsewhere) = (&batch.asks, LocalDates::off_utc(batch.now));
    let choices: Vec<(i32, i64, i32)> = (0..)
        .zip(asks)
        .flat_map(|(n, ask)| ask.choices.iter().map(move |choice| (n, choice.partner.0, i32::from(choice.round))))
        .collect();
    sqlx::query(include_str!("../sql/reserve.sql"))
        .bind(batch.worker.0.clone())
        .bind(batch.run.0)
        .bind(batch.now)
        .bind(shards)
        .bind(epochs)
        .bind((0..asks.len() as i32).collect::<Vec<_>>())
        .bind(column(asks, |ask| ask.mailbox.0))
        .bind(column(asks, |ask| ask.shard.0))
        .bind(column(asks, |ask| ask.day))
        .bind(column(asks, |ask| i32::from(ask.attempts)))
        .bind(column(asks, |ask| ask.message_id.clone()))
        .bind(column(asks, |ask| ask.subject.clone()))
        .bind(choices.iter().map(|choice| choice.0).collect::<Vec<_>>())
        .bind(choices.iter().map(|choice| choice.1).collect::<Vec<_>>())
        .bind(choices.iter().map(|choice| choice.2).collect::<Vec<_>>())
        .bind(user_daily_cap)
        .bind(column(asks, |ask| ask.answers.map(|reply| reply.0)))
        .bind(elsewhere.zones)
        .bind(elsewhere.days)
        .bind(i32::from(RECEIVE_MARGIN))
}

fn column<T>(asks: &[ReserveRequest], of: impl Fn(&ReserveRequest) -> T) -> Vec<T> {
    asks.iter().map(of).collect()
}

/// Reads one reservation per request, in order.
pub(super) fn reservations(batch: &ReserveBatch, rows: &[PgRow]) -> Result<Vec<Reservation>, PortError> {
    let mut by_place = HashMap::new();
    for row in rows {
        let n: i32 = row.try_get("n").map_err(classify)?;
        by_place.insert(n, row);
    }
    let answer = |(n, ask)| {
        let row = by_place.get(&n).ok_or_else(|| PortError::Permanent("the reserve left an ask unanswered".into()))?;
        reservation(ask, row).map_err(classify)
    };
    (0..).zip(&batch.asks).map(answer).collect()
}

/// The slots in users' days that refused mails have taken, by user and day.
pub(super) type LostPlaces = BTreeMap<(UserId, NaiveDate), i32>;

/// Counts the mails that took a slot in their user's day and were refused afterwards: another reserve took the last
/// mail that their partner may receive.
pub(super) fn lost_places(batch: &ReserveBatch, rows: &[PgRow]) -> Result<LostPlaces, sqlx::Error> {
    let mut lost = LostPlaces::new();
    for row in rows {
        if row.try_get("lost_place")? {
            let n: i32 = row.try_get("n")?;
            let ask = usize::try_from(n).ok().and_then(|n| batch.asks.get(n)).ok_or(sqlx::Error::RowNotFound)?;
            *lost.entry((UserId(row.try_get("user_id")?), ask.day)).or_default() += 1;
        }
    }
    Ok(lost)
}

/// Builds the statement that returns slots.
pub(super) fn return_places(lost: &LostPlaces) -> Statement {
    sqlx::query(include_str!("../sql/return_places.sql"))
        .bind(lost.keys().map(|(user, _)| user.0).collect::<Vec<_>>())
        .bind(lost.keys().map(|(_, day)| *day).collect::<Vec<_>>())
        .bind(lost.values().copied().collect::<Vec<_>>())
}

fn reservation(ask: &ReserveRequest, row: &PgRow) -> Result<Reservation, sqlx::Error> {
    if let Some(refusal) = row.try_get::<Option<&str>, _>("refusal")? {
        let known = Refusal::ALL.into_iter().find(|known| known.as_str() == refusal);
        return Ok(Reservation::Refused(known.unwrap_or(Refusal::Stale)));
    }
    Ok(Reservation::Reserved(Box::new(Flight {
        id: FlightId(row.try_get("flight")?),
        batch: BatchId(row.try_get("batch_id")?),
        shard: ask.shard,
        day: ask.day,
        user: UserId(row.try_get("user_id")?),
        sender: Participant {
            mailbox: ask.mailbox,
            email: row.try_get("email")?,
            display_name: row.try_get("display_name")?,
        },
        recipient: Participant {
            mailbox: MailboxId(row.try_get("partner_id")?),
            email: row.try_get("recipient")?,
            display_name: row.try_get("recipient_name")?,
        },
        round: i16::try_from(row.try_get::<i32, _>("round")?).unwrap_or_default(),
        message_id: ask.message_id.clone(),
        subject: ask.subject.clone(),
        answers: ask.answers,
        answering: answering(row)?,
        endpoint: endpoint(row)?,
        username: row.try_get("username")?,
        sealed_password: row.try_get::<Option<Vec<u8>>, _>("sealed_password")?.unwrap_or_default(),
    })))
}

fn answering(row: &PgRow) -> Result<ReplyPolicy, sqlx::Error> {
    let wrong = |what: &str| sqlx::Error::Decode(format!("the partner has {what}").into());
    let days: i16 = row.try_get("reply_days")?;
    Ok(ReplyPolicy {
        rate: u8::try_from(row.try_get::<i16, _>("reply_rate")?).map_err(|_| wrong("an impossible reply rate"))?,
        zone: row.try_get::<&str, _>("reply_zone")?.parse().map_err(|_| wrong("an unknown time zone"))?,
        days: u8::try_from(days).ok().and_then(Weekdays::from_bits).ok_or_else(|| wrong("impossible weekdays"))?,
    })
}

fn endpoint(row: &PgRow) -> Result<Endpoint, sqlx::Error> {
    let security: &str = row.try_get("smtp_security")?;
    let port: i32 = row.try_get("smtp_port")?;
    Ok(Endpoint {
        host: row.try_get("smtp_host")?,
        port: u16::try_from(port).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        security: security.parse().map_err(|error: String| sqlx::Error::Decode(error.into()))?,
    })
}
