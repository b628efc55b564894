//! What people ask the database: how the mailboxes and the fleet stand. Nothing here is on the path of a mail, and no
//! answer holds a sealed password.

mod clocks;
mod day;
mod events;
mod fleet;
mod found;
mod history;
mod hosts;
mod logs;
mod mailbox;
mod pace;
mod pages;
mod quota;
mod replies;
mod upkeep;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgPool};

pub use self::{
    day::{WindowSums, by_window, quarters},
    events::{Asked, Event, events, kinds},
    fleet::{Batch, Fleet, fleet},
    found::{Looked, quotas_found},
    history::{History, histories},
    hosts::{OnHost, hosts},
    logs::{LogFilter, LogView, logs},
    mailbox::{Day, MailboxView, Selection, last_days, mailbox_id, mailboxes},
    pace::{Pace, in_flight, pace},
    pages::{EventFilter, LogEntry, LogPageFilter, MailboxFilter, event_page, log_page, mailbox_ids, owns},
    quota::{Glance, Page, QuotaRow, Totals, glance, quota_of, quotas, totals},
    replies::{Owed, owed_replies},
    upkeep::{Upkeep, upkeep},
};
use crate::domain::{id::MailboxId, partners::Member};

/// How many others there are to write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Partners {
    /// That take part, also while they are paused.
    pub enrolled: i64,
    /// Of those, that can be written to now.
    pub receiving: i64,
}

/// Counts the partners that `mailbox` has at `now`.
pub async fn partners(pool: &PgPool, mailbox: MailboxId, now: DateTime<Utc>) -> Result<Partners, sqlx::Error> {
    const PARTNERS: &str = "
        SELECT count(*) AS enrolled,
               count(*) FILTER (WHERE (state = 'active' OR paused_until <= $2) AND (receives OR receive_until <= $2))
                   AS receiving
        FROM mailboxes WHERE enabled AND state IN ('active', 'paused') AND id <> $1";
    sqlx::query_as(PARTNERS).bind(mailbox.0).bind(now).fetch_one(pool).await
}

/// Returns the mailboxes that take part in the pairing, with the quota that each will have when it is warmed up.
pub async fn members(connection: &mut PgConnection) -> Result<Vec<Member>, sqlx::Error> {
    const MEMBERS: &str = "
        SELECT m.email, u.email, m.domain, m.daily_max FROM mailboxes m JOIN users u ON u.id = m.user_id
        WHERE m.enabled AND m.state IN ('active', 'paused') ORDER BY m.id";
    let rows: Vec<(String, String, String, i16)> = sqlx::query_as(MEMBERS).fetch_all(connection).await?;
    let member = |(email, owner, domain, quota)| Member {
        email,
        owner,
        domain,
        quota: u16::try_from(quota).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(member).collect())
}
