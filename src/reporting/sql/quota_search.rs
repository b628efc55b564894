//! `quotas_found` searches mailboxes by a part of their address, and compares them with their quota.

use sqlx::PgPool;

use super::{
    pages::{FOUND_AT_ONCE, in_order},
    quota::{Page, QuotaRow, quotas_of},
};
use crate::domain::id::UserId;

/// A `QuotaSearch` describes the search.
#[derive(Clone, Copy, Debug)]
pub struct QuotaSearch<'a> {
    /// A part of the address, in any case.
    pub part: &'a str,
    /// The status `complete`, `on-track`, `behind` or `failing`; `None` for all.
    pub status: Option<&'a str>,
}

macro_rules! found {
    () => {
        " FROM standings
         WHERE ($1::bigint IS NULL OR user_id = $1) AND ($2::text IS NULL OR status = $2)
           AND strpos(address, lower($3)) > 0"
    };
}

/// Returns the number of matching mailboxes of `user`, or of all, and a page of them by id, from the last snapshot. The
/// search reads all addresses, and usually once.
pub async fn quotas_found(
    pool: &PgPool,
    user: Option<UserId>,
    looked: QuotaSearch<'_>,
    page: Page,
) -> Result<(i64, Vec<QuotaRow>), sqlx::Error> {
    const FEW: &str = concat!("SELECT mailbox_id", found!(), " LIMIT $4");
    const COUNT: &str = concat!("SELECT count(*)", found!());
    const IDS: &str = concat!(
        "SELECT mailbox_id",
        found!(),
        " AND ($4::bigint IS NULL OR mailbox_id > $4) ORDER BY mailbox_id LIMIT $5"
    );
    let (QuotaSearch { part, status }, user) = (looked, user.map(|user| user.0));
    let asked = |statement| sqlx::query_scalar(statement).bind(user).bind(status).bind(part);
    let (total, ids) = match in_order(asked(FEW).bind(FOUND_AT_ONCE + 1).fetch_all(pool).await?) {
        Some(all) => (all.len() as i64, page.of(&all)),
        None => {
            let total: i64 = asked(COUNT).fetch_one(pool).await?;
            (total, asked(IDS).bind(page.after).bind(page.limit).fetch_all(pool).await?)
        }
    };
    Ok((total, quotas_of(pool, &ids).await?))
}
