//! What a tick reads, from Postgres.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgPool, Row, postgres::PgRow};

use super::{classify::classify, session::Session};
use crate::{
    domain::{
        id::{MailboxId, ReplyId, ShardId, UserId},
        pairing::Member,
        plan::Candidate,
        ramp::Ramp,
        reply::{Due, DueReply},
        time::{Schedule, Todays, Weekdays, Window},
    },
    ports::{Mailboxes, PortError},
};

/// The enrolled mailboxes.
#[derive(Clone, Debug)]
pub struct PostgresMailboxes {
    session: Session,
}

impl PostgresMailboxes {
    /// Reads through `pool`.
    pub fn new(pool: PgPool) -> PostgresMailboxes {
        PostgresMailboxes { session: Session::new(pool) }
    }
}

#[async_trait]
impl Mailboxes for PostgresMailboxes {
    async fn turn_days(&self, shards: &[ShardId], todays: &Todays, now: DateTime<Utc>) -> Result<u64, PortError> {
        let shards = numbers(shards);
        let build = || {
            sqlx::query(include_str!("sql/turn_days.sql"))
                .bind(shards.clone())
                .bind(todays.zones.clone())
                .bind(todays.days.clone())
                .bind(now)
        };
        let closed: i64 = self.session.row(build).await?.try_get(0).map_err(classify)?;
        Ok(closed.unsigned_abs())
    }

    async fn candidates(
        &self,
        shards: &[ShardId],
        todays: &Todays,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError> {
        let shards = numbers(shards);
        let build = || {
            sqlx::query(include_str!("sql/candidates.sql"))
                .bind(shards.clone())
                .bind(todays.zones.clone())
                .bind(todays.days.clone())
                .bind(now)
        };
        self.session.rows(build).await?.iter().map(candidate).collect()
    }

    async fn due_replies(
        &self,
        shards: &[ShardId],
        now: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<DueReply>, PortError> {
        let shards = numbers(shards);
        let build = || sqlx::query(include_str!("sql/due_replies.sql")).bind(shards.clone()).bind(now).bind(before);
        self.session.rows(build).await?.iter().map(due_reply).collect()
    }

    async fn roster(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<Vec<Member>, PortError> {
        self.session.rows(|| sqlx::query(include_str!("sql/make_roster.sql")).bind(day).bind(now)).await?;
        const READ: &str = "SELECT mailbox_id, user_id, domain, quota FROM roster WHERE day = $1 ORDER BY position";
        self.session.rows(|| sqlx::query(READ).bind(day)).await?.iter().map(member).collect()
    }
}

fn numbers(shards: &[ShardId]) -> Vec<i32> {
    shards.iter().map(|shard| shard.0).collect()
}

fn candidate(row: &PgRow) -> Result<Candidate, PortError> {
    let zone: &str = row.try_get("timezone").map_err(classify)?;
    let wrong = |what: &str| PortError::Permanent(format!("a mailbox has {what}"));
    Ok(Candidate {
        id: MailboxId(row.try_get("id").map_err(classify)?),
        user: UserId(row.try_get("user_id").map_err(classify)?),
        shard: ShardId(row.try_get("shard").map_err(classify)?),
        domain: text(row, "domain")?,
        host: text(row, "host")?,
        schedule: Schedule {
            zone: zone.parse().map_err(|_| wrong("an unknown time zone"))?,
            window: Window::new(small(row, "window_start")?, small(row, "window_end")?)
                .ok_or_else(|| wrong("an impossible window"))?,
            days: u8::try_from(small(row, "days")?)
                .ok()
                .and_then(Weekdays::from_bits)
                .ok_or_else(|| wrong("impossible weekdays"))?,
        },
        ramp: Ramp {
            start: small(row, "ramp_start")?,
            step: small(row, "ramp_step")?,
            daily_max: small(row, "daily_max")?,
        },
        grown: small(row, "grown")?,
        day: row.try_get("day").map_err(classify)?,
        reserved: small(row, "reserved")?,
        sent: small(row, "sent")?,
        attempts: small(row, "attempts")?,
        next_at: row.try_get("next_at").map_err(classify)?,
        last_sent_at: row.try_get("last_sent_at").map_err(classify)?,
    })
}

fn due_reply(row: &PgRow) -> Result<DueReply, PortError> {
    let zone: &str = row.try_get("timezone").map_err(classify)?;
    Ok(DueReply {
        id: ReplyId(row.try_get("id").map_err(classify)?),
        mailbox: MailboxId(row.try_get("mailbox_id").map_err(classify)?),
        user: UserId(row.try_get("user_id").map_err(classify)?),
        shard: ShardId(row.try_get("shard").map_err(classify)?),
        domain: text(row, "domain")?,
        host: text(row, "host")?,
        zone: zone.parse().map_err(|_| PortError::Permanent("a mailbox has an unknown time zone".into()))?,
        partner: MailboxId(row.try_get("partner_id").map_err(classify)?),
        message_id: row.try_get("message_id").map_err(classify)?,
        subject: row.try_get("subject").map_err(classify)?,
        due: Due { at: row.try_get("due_at").map_err(classify)?, until: row.try_get("until").map_err(classify)? },
        next_at: row.try_get("next_at").map_err(classify)?,
        trace: row.try_get("trace").map_err(classify)?,
    })
}

fn member(row: &PgRow) -> Result<Member, PortError> {
    Ok(Member {
        mailbox: MailboxId(row.try_get("mailbox_id").map_err(classify)?),
        user: UserId(row.try_get("user_id").map_err(classify)?),
        domain: text(row, "domain")?,
        quota: small(row, "quota")?,
    })
}

fn text(row: &PgRow, column: &str) -> Result<Arc<str>, PortError> {
    row.try_get::<&str, _>(column).map(Arc::from).map_err(classify)
}

/// A smallint that the schema keeps from being negative.
fn small(row: &PgRow, column: &str) -> Result<u16, PortError> {
    let value: i16 = row.try_get(column).map_err(classify)?;
    u16::try_from(value).map_err(|_| PortError::Permanent(format!("{column} is negative")))
}
