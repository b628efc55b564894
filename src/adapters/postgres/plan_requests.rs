//! This module requests the planning of mailboxes before the next tick. The requests are rows of the transaction that
//! enables the mailboxes, so none is lost and none is visible too early.

use sqlx::{PgConnection, PgPool};

use crate::domain::id::MailboxId;

/// Requests the planning of the shards of `mailboxes`. It must be the last statement of a transaction: until its end no
/// other transaction can request the same shards.
pub async fn request(connection: &mut PgConnection, mailboxes: &[MailboxId]) -> Result<(), sqlx::Error> {
    const REQUEST: &str = "
        INSERT INTO plan_requests AS p (shard, requested_at)
        SELECT m.shard, clock_timestamp()
        FROM mailboxes m JOIN unnest($1::bigint[]) AS asked (id) ON m.id = asked.id
        GROUP BY m.shard
        ORDER BY m.shard
        ON CONFLICT (shard) DO UPDATE SET requests = p.requests + 1, requested_at = EXCLUDED.requested_at";
    let ids: Vec<i64> = mailboxes.iter().map(|mailbox| mailbox.0).collect();
    sqlx::query(REQUEST).bind(ids).execute(connection).await.map(drop)
}

/// Returns a number that changes whenever mailboxes are enrolled, enabled or resumed.
pub async fn count(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT COALESCE(sum(requests), 0)::bigint FROM plan_requests").fetch_one(pool).await
}

/// Returns the mailboxes of these users, hosts (lower case) or domains that are not removed.
pub async fn mailboxes_of(
    connection: &mut PgConnection,
    users: &[i64],
    hosts: &[&str],
    domains: &[&str],
) -> Result<Vec<MailboxId>, sqlx::Error> {
    const FIND: &str = "
        SELECT id FROM mailboxes
        WHERE state <> 'removed' AND (user_id = ANY ($1) OR lower(smtp_host) = ANY ($2) OR domain = ANY ($3))";
    let found: Vec<i64> = sqlx::query_scalar(FIND).bind(users).bind(hosts).bind(domains).fetch_all(connection).await?;
    Ok(found.into_iter().map(MailboxId).collect())
}
