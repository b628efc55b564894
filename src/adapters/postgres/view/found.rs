//! Mailboxes against their quota that somebody looks for by a part of their address.

use sqlx::PgPool;

use super::quota::{Page, QuotaRow, told};
use crate::domain::id::UserId;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    /// A part of the address, in any case.
    pub part: &'a str,
    /// `complete`, `on-track`, `behind` or `failing`; none for all.
    pub status: Option<&'a str>,
}

macro_rules! found {
    () => {
        " FROM standings s JOIN mailboxes m ON m.id = s.mailbox_id
         WHERE ($1::bigint IS NULL OR s.user_id = $1) AND ($2::text IS NULL OR s.status = $2)
           AND strpos(lower(m.email), lower($3)) > 0"
    };
}

/// Returns how many mailboxes of `user`, or of all, are so, and a page of them, by id, as they were counted last.
pub async fn quotas_found(
    pool: &PgPool,
    user: Option<UserId>,
    looked: Looked<'_>,
    page: Page,
) -> Result<(i64, Vec<QuotaRow>), sqlx::Error> {
    const COUNT: &str = concat!("SELECT count(*)", found!());
    const ROWS: &str = concat!(
        "SELECT s.mailbox_id AS id, m.email, s.day, s.quota, s.sent, s.status, m.timezone, m.window_start, m.window_end",
        found!(),
        " AND ($4::bigint IS NULL OR s.mailbox_id > $4) ORDER BY s.mailbox_id LIMIT $5"
    );
    let (Looked { part, status }, user) = (looked, user.map(|user| user.0));
    let (total,): (i64,) = sqlx::query_as(COUNT).bind(user).bind(status).bind(part).fetch_one(pool).await?;
    let rows = sqlx::query_as(ROWS).bind(user).bind(status).bind(part).bind(page.after).bind(page.limit);
    Ok((total, told(rows.fetch_all(pool).await?)?))
}
