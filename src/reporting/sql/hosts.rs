//! `hosts` sums up the mailboxes on each mail host.

use sqlx::{FromRow, PgConnection};

/// An `OnHost` counts the mailboxes of one host that take part.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OnHost {
    /// The host in lower case.
    pub host: String,
    pub mailboxes: i64,
    /// The sum of their daily quotas after the ramp.
    pub quota: i64,
}

/// Returns the hosts with mailboxes that take part, by name.
pub async fn hosts(connection: &mut PgConnection) -> Result<Vec<OnHost>, sqlx::Error> {
    const HOSTS: &str = "
        SELECT lower(smtp_host) AS host, count(*) AS mailboxes, sum(daily_max)::bigint AS quota FROM mailboxes
        WHERE enabled AND state IN ('active', 'paused') GROUP BY 1 ORDER BY 1";
    sqlx::query_as(HOSTS).fetch_all(connection).await
}
