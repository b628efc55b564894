//! What people ask the database: how the mailboxes and the fleet stand. Nothing here is on the path of a mail, and no
//! answer holds a sealed password.

mod fleet;
mod logs;
mod mailbox;

use sqlx::PgConnection;

pub use self::{
    fleet::{Batch, Fleet, fleet},
    logs::{LogFilter, LogView, logs},
    mailbox::{Day, MailboxView, Selection, last_days, mailboxes},
};
use crate::domain::partners::Member;

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
