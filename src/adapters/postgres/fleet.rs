//! Which fleet a database is: what its workers show one another, so that two fleets never share what is one fleet's.
//!
//! The uuid of the migration is in every copy of the database: staging restored from production, say. So the identity also
//! names the database within its cluster and, where the user may ask for it, the cluster. Only a copy of a whole cluster,
//! disk by disk, can't be told from what it was made of.

use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::domain::id::FleetId;

/// Returns the fleet's identity. It stays the same as long as the database stays where it is, also over a failover to a
/// physical standby.
pub async fn identity(pool: &PgPool) -> Result<FleetId, sqlx::Error> {
    const DATABASE: &str = "
        SELECT identity, (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database FROM fleet";
    let row = sqlx::query(DATABASE).fetch_one(pool).await?;
    let (identity, database): (Uuid, i64) = (row.try_get("identity")?, row.try_get("database")?);
    let cluster = cluster(pool).await?;
    Ok(FleetId(format!("{identity}/{cluster}/{database}")))
}

/// The number that initdb gave the cluster; 0 where the server does not tell our user.
async fn cluster(pool: &PgPool) -> Result<i64, sqlx::Error> {
    match sqlx::query_scalar("SELECT system_identifier FROM pg_control_system()").fetch_one(pool).await {
        Err(sqlx::Error::Database(_)) => Ok(0),
        told => told,
    }
}
