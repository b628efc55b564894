//! `owed_replies` counts the replies that a mailbox owes.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};

use crate::domain::id::MailboxId;

/// `Owed` counts the replies that a mailbox still owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Owed {
    pub replies: i64,
    /// The time at which the first reply falls due; it goes at the next tick after the mailbox's cooldown.
    pub first_due_at: Option<DateTime<Utc>>,
}

/// Counts the replies that `mailbox` owes.
pub async fn owed_replies(pool: &PgPool, mailbox: MailboxId) -> Result<Owed, sqlx::Error> {
    const OWED: &str = "
        SELECT count(*) AS replies, min(due_at) AS first_due_at
        FROM scheduled_replies WHERE mailbox_id = $1 AND state = 'waiting'";
    sqlx::query_as(OWED).bind(mailbox.0).fetch_one(pool).await
}
