//! This module copies the users of the older system. A user that exists here already stays as it is.

use std::collections::HashMap;

use sqlx::PgPool;

use super::{LegacyError, LegacyReport, Options, Unreadable};
use crate::{
    adapters::postgres::{
        legacy::{OldRow, USERS},
        transaction, users,
    },
    domain::enrolment::user_address,
};

/// Creates the users of `rows` that do not exist here yet. Returns the addresses of all readable users by old
/// id.
pub(super) async fn copy(
    pool: &PgPool,
    rows: &[OldRow],
    options: &Options<'_>,
    report: &mut LegacyReport,
) -> Result<HashMap<String, String>, LegacyError> {
    let mut owners = HashMap::new();
    // A dry run never commits this transaction.
    let mut transaction = transaction::begin(pool).await?;
    for row in rows {
        let id = row.get("id").unwrap_or_default();
        let address = match user_address(row.get("email").unwrap_or_default()) {
            Ok(address) => address,
            Err(message) => {
                let reason = format!("email: {message}");
                let row = row.get("id").map_or_else(|| row.place.to_string(), str::to_owned);
                report.unreadable.push(Unreadable { table: USERS.name, row, reason });
                continue;
            }
        };
        match users::add(&mut transaction, &address, role(row), None, options.now).await? {
            Some(_) => report.users.new.push(address.clone()),
            None if !owners.values().any(|known| *known == address) => report.users.known += 1,
            None => {}
        }
        owners.insert(id.to_owned(), address);
    }
    if !options.dry_run {
        transaction.commit().await?;
    }
    Ok(owners)
}

/// Returns the role of a user. Any role but admin becomes `user`, which sees its own mailboxes only.
fn role(row: &OldRow) -> &'static str {
    let is_admin = row.get("role").is_some_and(|role| role.trim().eq_ignore_ascii_case("admin"));
    if is_admin { "admin" } else { "user" }
}
