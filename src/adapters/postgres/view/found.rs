//! Mailboxes against their quota today that somebody looks for by a part of their address.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{
    clocks::{Clocks, judged},
    quota::{Page, QuotaRow, bound},
};
use crate::domain::id::UserId;

/// Of those that are judged, where `$10` is the status and `$11` the part of the address.
macro_rules! found {
    () => {
        " FROM judged
         WHERE enabled AND ($10::text IS NULL OR status = $10) AND strpos(lower(email), lower($11)) > 0"
    };
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    /// A part of the address, in any case.
    pub part: &'a str,
    /// `complete`, `on-track`, `behind` or `failing`; none for all.
    pub status: Option<&'a str>,
}

/// Returns how many mailboxes of `user`, or of all, are so, and a page of them, by id.
pub async fn quotas_found(
    pool: &PgPool,
    user: Option<UserId>,
    looked: Looked<'_>,
    page: Page,
    now: DateTime<Utc>,
) -> Result<(i64, Vec<QuotaRow>), sqlx::Error> {
    const COUNT: &str = concat!(judged!(), "SELECT count(*)", found!());
    const ROWS: &str = concat!(
        judged!(),
        "SELECT id, email, day, quota, sent, status, opens, closes",
        found!(),
        " AND ($12::bigint IS NULL OR id > $12) ORDER BY id LIMIT $13"
    );
    let (Looked { part, status }, clocks) = (looked, Clocks::at(pool, now).await?);
    let count = bound(sqlx::query_as(COUNT), clocks.clone(), user).bind(status).bind(part);
    let (total,): (i64,) = count.fetch_one(pool).await?;
    let rows = bound(sqlx::query_as(ROWS), clocks, user).bind(status).bind(part).bind(page.after).bind(page.limit);
    Ok((total, rows.fetch_all(pool).await?))
}
