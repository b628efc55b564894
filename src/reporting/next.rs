//! `next_mail_at` predicts the time of the fleet's next mail.

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

/// Returns the time at which the first mailbox sends next; `None` if no mailbox will send in the present state.
pub async fn next_mail_at(
    pool: &PgPool,
    active: Window,
    daily_cap: f64,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let mailboxes = sql::mailboxes(pool, Selection::All, now).await?;
    let stopped = sql::stop_reason(pool).await?;
    // Counted for a mailbox that takes part; any other one is blocked anyway.
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
