//! This module stores the operator's own templates in the database, so that every worker of a fleet uses them.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{
    enrol::{self, Event},
    transaction,
};
use crate::domain::content::{Kind, Source};

/// Returns the stored templates, in the order of their source file.
pub async fn stored(pool: &PgPool) -> Result<Vec<Source>, sqlx::Error> {
    const READ: &str = "SELECT kind, subject, body FROM templates ORDER BY kind, position";
    let rows: Vec<(String, Option<String>, String)> = sqlx::query_as(READ).fetch_all(pool).await?;
    rows.into_iter().map(|(kind, subject, body)| Ok(Source { kind: read_kind(&kind)?, subject, body })).collect()
}

fn read_kind(word: &str) -> Result<Kind, sqlx::Error> {
    let unknown = || sqlx::Error::Decode(format!("`{word}` in table templates is no kind of this release").into());
    Kind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(unknown)
}

/// Replaces all stored templates by `sources`, and records an event. If `sources` is empty, the built-in templates
/// apply.
pub async fn replace(
    pool: &PgPool,
    sources: &[Source],
    now: DateTime<Utc>,
    reason: &'static str,
) -> Result<(), sqlx::Error> {
    let mut transaction = transaction::begin(pool).await?;
    // Serializes concurrent imports; a concurrent reader sees the old set completely.
    sqlx::query("LOCK TABLE templates IN SHARE ROW EXCLUSIVE MODE").execute(&mut *transaction).await?;
    sqlx::query("DELETE FROM templates").execute(&mut *transaction).await?;
    insert(&mut transaction, sources, now).await?;
    let event = Event {
        kind: "templates-changed",
        mailbox: None,
        user: None,
        reason: reason.to_owned(),
        detail: format!("{} stored", sources.len()),
    };
    enrol::record(&mut transaction, &[event], now).await?;
    transaction.commit().await
}

async fn insert(connection: &mut PgConnection, sources: &[Source], now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    const INSERT: &str = "
        INSERT INTO templates (kind, position, subject, body, imported_at)
        SELECT kind, position, subject, body, $1
        FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS new (kind, subject, body, position)";
    sqlx::query(INSERT)
        .bind(now)
        .bind(sources.iter().map(|source| source.kind.as_str()).collect::<Vec<_>>())
        .bind(sources.iter().map(|source| source.subject.as_deref()).collect::<Vec<_>>())
        .bind(sources.iter().map(|source| source.body.as_str()).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}
