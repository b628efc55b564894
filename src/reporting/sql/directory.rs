//! `directory` reads all addresses together, with the other columns of an address search.

use sqlx::{FromRow, PgPool, Row, postgres::PgRow};

use super::snapshot::SnapshotVersion;
use crate::domain::address_index::{AddressIndex, IndexedMailbox, QuotaState};

/// Returns the addresses of all mailboxes that are not removed, each with its status in the last snapshot, and the
/// version of that snapshot. Returns `None` without a snapshot. The inner value is `None` if an address or a host
/// contains a line break, which enrolment rejects.
pub async fn directory(pool: &PgPool) -> Result<Option<(SnapshotVersion, Option<AddressIndex>)>, sqlx::Error> {
    // One value per column: one row per mailbox would take three times as long.
    const DIRECTORY: &str = r"
        SELECT c.taken_at, nullif(c.marked_at, '-infinity') AS marked_at, columns.*
        FROM census c, (
            SELECT coalesce(array_agg(id), '{}') AS ids, coalesce(string_agg(email, E'\n'), '') AS addresses,
                   coalesce(string_agg(host, E'\n'), '') AS hosts, coalesce(string_agg(status, E'\n'), '') AS statuses
            FROM (SELECT m.id, m.email, lower(m.smtp_host) AS host, coalesce(s.status, '') AS status
                  FROM mailboxes m LEFT JOIN standings s ON s.mailbox_id = m.id
                  WHERE m.state <> 'removed' ORDER BY m.id) AS one
        ) AS columns";
    let row = sqlx::query(DIRECTORY).fetch_optional(pool).await?;
    row.map(|row| Ok((SnapshotVersion::from_row(&row)?, bound(&row)?))).transpose()
}

fn bound(row: &PgRow) -> Result<Option<AddressIndex>, sqlx::Error> {
    let ids: Vec<i64> = row.try_get("ids")?;
    let lines = |column: &str| row.try_get::<&str, _>(column).map(|text| text.split('\n'));
    let (addresses, hosts, statuses) = (lines("addresses")?, lines("hosts")?, lines("statuses")?);
    if addresses.clone().count() != ids.len() || hosts.clone().count() != ids.len() {
        return Ok(None);
    }
    let listed = ids.into_iter().zip(addresses).zip(hosts).zip(statuses);
    Ok(Some(AddressIndex::of(listed.map(|(((id, address), host), word)| IndexedMailbox {
        id,
        address,
        host,
        status: QuotaState::of(word),
    }))))
}
