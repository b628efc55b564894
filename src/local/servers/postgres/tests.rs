use sqlx::{Connection, PgConnection, Row};

use super::*;

async fn shown(connection: &mut PgConnection, setting: &str) -> String {
    sqlx::query("SELECT current_setting($1)").bind(setting).fetch_one(connection).await.unwrap().get(0)
}

#[tokio::test]
async fn a_durable_cluster_keeps_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let first = PrivatePostgres::start(dir.path(), Durability::Durable).await.unwrap();
    let mut connection = PgConnection::connect(first.url()).await.unwrap();
    assert_eq!(shown(&mut connection, "fsync").await, "on");
    sqlx::query("CREATE TABLE kept (word text)").execute(&mut connection).await.unwrap();
    first.stop().await;

    let again = PrivatePostgres::start(dir.path(), Durability::Durable).await.unwrap();
    let mut connection = PgConnection::connect(again.url()).await.unwrap();
    sqlx::query("INSERT INTO kept VALUES ('still here')").execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_temporary_cluster_waits_for_no_disk_and_vanishes() {
    let postgres = PrivatePostgres::temporary().await.unwrap();
    let folder = postgres.folder.path.clone();
    let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
    assert_eq!(shown(&mut connection, "fsync").await, "off");
    assert!(folder.join("data").exists());
    postgres.stop().await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let postgres = PrivatePostgres::temporary().await.unwrap();
    let (_, address) = postgres.url().split_once('@').unwrap();
    let error = PgConnection::connect(&format!("postgres://warmup:guess@{address}")).await.unwrap_err();
    assert!(error.to_string().contains("password authentication failed"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_come_up_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = PrivatePostgres::start(dir.path(), Durability::Throwaway).await.unwrap();
    let error = PrivatePostgres::start(dir.path(), Durability::Throwaway).await.unwrap_err();
    assert!(error.to_string().contains("postmaster.pid"), "{error}");
    drop(postgres);
}
