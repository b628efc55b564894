//! Mailboxes against their quota today that somebody looks for.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::quota::{QuotaList, QuotaStatus};
use crate::{
    adapters::postgres::view::{self, Page},
    app::census::Census,
    domain::{
        directory::{Among, Status, Wanted},
        id::UserId,
    },
};

pub use crate::adapters::postgres::view::Looked;

/// Returns a page of the mailboxes of `user`, or of all, that are switched on and so.
pub async fn quotas_found(
    pool: &PgPool,
    census: &Census,
    user: Option<UserId>,
    looked: Looked<'_>,
    page: Page,
    now: DateTime<Utc>,
) -> Result<QuotaList, sqlx::Error> {
    // Whatever it says is of the same instant as the census.
    let lately = census.lately(user, now).await?;
    let (now, one_more) = (lately.as_of, Page { limit: page.limit + 1, ..page });
    let directory = match user {
        Some(_) => None,
        None => census.directory(&lately),
    };
    let (total, mut rows) = match directory {
        Some(directory) => {
            let (total, ids) = one_more.cut(directory.find(wanted(looked)));
            (total, view::quotas_of(pool, &ids).await?)
        }
        None => view::quotas_found(pool, user, looked, one_more).await?,
    };
    let is_last = rows.len() as i64 <= page.limit;
    rows.truncate(page.limit.max(0) as usize);
    let next_cursor = rows.last().filter(|_| !is_last).map(|row| row.id.to_string());
    Ok(QuotaList { total, quotas: rows.iter().map(|row| QuotaStatus::of(row, now)).collect(), next_cursor })
}

fn wanted(Looked { part, status }: Looked<'_>) -> Wanted<'_> {
    let among = status.and_then(Status::of).map_or(Among::Judged, Among::With);
    Wanted { part, among, ..Wanted::default() }
}
