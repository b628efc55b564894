//! `owners` sums up the daily quotas of each owner's mailboxes, for the arithmetic of the caps.

use sqlx::{FromRow, PgConnection};

use crate::domain::id::UserId;

/// An `OfOwner` counts the mailboxes of one owner that take part.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OfOwner {
    /// The owner's address.
    pub owner: String,
    pub mailboxes: i64,
    /// The sum of their daily quotas after the ramp.
    pub quota: i64,
}

/// Returns the owners with mailboxes that take part, by name; only `user`, if given.
pub async fn owners(connection: &mut PgConnection, user: Option<UserId>) -> Result<Vec<OfOwner>, sqlx::Error> {
    const OWNERS: &str = "
        SELECT u.email AS owner, of_user.mailboxes, of_user.quota
        FROM (SELECT user_id, count(*) AS mailboxes, sum(daily_max)::bigint AS quota FROM mailboxes
              WHERE enabled AND state IN ('active', 'paused') AND ($1::bigint IS NULL OR user_id = $1)
              GROUP BY user_id) AS of_user
        JOIN users u ON u.id = of_user.user_id ORDER BY 1";
    sqlx::query_as(OWNERS).bind(user.map(|user| user.0)).fetch_all(connection).await
}
