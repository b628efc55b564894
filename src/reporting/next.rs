//! When the fleet sends next.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::mailbox_state::facts;
use crate::{
    domain::{
        next_send::{NextSend, outlook},
        time::Window,
    },
    reporting::sql::{self, Partners, Selection},
};

/// Returns when the first of all mailboxes sends next; none where no mailbox will, as things are.
pub async fn next_mail_at(
    pool: &PgPool,
    active: Window,
    daily_cap: f64,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let mailboxes = sql::mailboxes(pool, Selection::All, now).await?;
    let stopped = sql::stop_reason(pool).await?;
    // Of a mailbox that takes part; one that does not is blocked anyway.
    let others = sql::members(&mut *pool.acquire().await?).await?.len().saturating_sub(1) as i64;
    let partners = Partners { enrolled: others, receiving: others, open: others };
    let outlooks =
        mailboxes.iter().map(|mailbox| outlook(&facts(mailbox, stopped, partners, daily_cap, now), now, active));
    Ok(outlooks
        .filter_map(|outlook| match outlook {
            NextSend::Sends { at, .. } => Some(at),
            NextSend::Blocked { .. } => None,
        })
        .min())
}
