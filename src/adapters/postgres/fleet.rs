//! `identity` identifies the fleet of a database. Workers compare identities, so that two fleets never share leases.
//!
//! The uuid of the migration is in every copy of the database, for example in a staging database restored from
//! production. So the identity also names the database within its cluster and, if the user may read it, the cluster.
//! Only a copy of a whole cluster, disk by disk, has the identity of its original.

use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::domain::id::FleetId;

/// Returns the fleet's identity. It is stable as long as the database stays in its cluster, also over a failover to a
/// physical standby.
pub async fn identity(pool: &PgPool) -> Result<FleetId, sqlx::Error> {
    const DATABASE: &str = "
        SELECT identity, (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database FROM fleet";
    let row = sqlx::query(DATABASE).fetch_one(pool).await?;
    let (identity, database): (Uuid, i64) = (row.try_get("identity")?, row.try_get("database")?);
    let cluster = cluster(pool).await?;
    Ok(FleetId(format!("{identity}/{cluster}/{database}")))
}

/// Returns the cluster's number from initdb; 0 if our user may not read it.
async fn cluster(pool: &PgPool) -> Result<i64, sqlx::Error> {
    match sqlx::query_scalar("SELECT system_identifier FROM pg_control_system()").fetch_one(pool).await {
        Err(sqlx::Error::Database(_)) => Ok(0),
        told => told,
    }
}
