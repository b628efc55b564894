//! `quotas_found` compares mailboxes with their quota today, for a search by address.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::quota::{QuotaList, QuotaStatus};
use crate::{
    domain::{
        address_index::{AddressQuery, QuotaFilter, QuotaState},
        id::UserId,
    },
    reporting::{
        snapshot::SnapshotCache,
        sql::{self, Page},
    },
};

pub use crate::reporting::sql::QuotaSearch;

/// Returns a page of the enabled mailboxes of `user`, or of all, that match `looked`.
pub async fn quotas_found(
    pool: &PgPool,
    census: &SnapshotCache,
    user: Option<UserId>,
    looked: QuotaSearch<'_>,
    page: Page,
    now: DateTime<Utc>,
) -> Result<QuotaList, sqlx::Error> {
    // The result must be of the snapshot's instant.
    let lately = census.current(user, now).await?;
    let (now, one_more) = (lately.as_of, Page { limit: page.limit + 1, ..page });
    let directory = match user {
        Some(_) => None,
        None => census.directory(&lately),
    };
    let (total, mut rows) = match directory {
        Some(directory) => {
            let (total, ids) = one_more.cut(directory.find(wanted(looked)));
            (total, sql::quotas_of(pool, &ids).await?)
        }
        None => sql::quotas_found(pool, user, looked, one_more).await?,
    };
    let is_last = rows.len() as i64 <= page.limit;
    rows.truncate(page.limit.max(0) as usize);
    let next_cursor = rows.last().filter(|_| !is_last).map(|row| row.id.to_string());
    Ok(QuotaList { total, quotas: rows.iter().map(|row| QuotaStatus::of(row, now)).collect(), next_cursor })
}

fn wanted(QuotaSearch { part, status }: QuotaSearch<'_>) -> AddressQuery<'_> {
    let among = status.and_then(QuotaState::of).map_or(QuotaFilter::Judged, QuotaFilter::With);
    AddressQuery { part, among, ..AddressQuery::default() }
}
