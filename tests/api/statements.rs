//! Only `/logs` reads the log: Postgres says so itself, by what it counts of each statement.

use sqlx::PgPool;

use crate::{
    client::{ADMIN, World},
    stage::morning,
    walk::{body, documented, routes},
};

const LOGS: &str = "/api/warmup/logs";

/// Asks every route that is known once, and those that answer without an end for one event.
async fn ask_all(world: &World, token: &str, is_asked: impl Fn(&str) -> bool) {
    for (method, route, path) in routes().filter(|(_, route, _)| is_asked(route)) {
        if route.ends_with("/stream") {
            world.pod.follow(path, token).await.next().await.unwrap();
            continue;
        }
        let body = body(method, route);
        let body = body.as_ref().map(|(kind, text)| (*kind, text.as_str()));
        let answer = world.pod.ask_with(&method.to_uppercase(), path, Some(token), body).await;
        assert!(answer.status < 500 && answer.status != 401, "{method} {path}: {answer:?}");
    }
}

/// The statements of this database since the last reset, and those of them that name the log or one of its days.
async fn statements(pool: &PgPool) -> (i64, Vec<String>) {
    const COUNT: &str = "
        SELECT count(*) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()";
    const NAMING: &str = "
        SELECT s.query FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
        WHERE s.query ~* '\\mlogs(_\\d+)?\\M' AND s.query !~ 'pg_stat_statements'";
    (
        sqlx::query_scalar(COUNT).fetch_one(pool).await.unwrap(),
        sqlx::query_scalar(NAMING).fetch_all(pool).await.unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_but_logs_reads_the_log() {
    let world = morning().await;
    // The walk revokes the first one.
    world.token_of("boss@ben.test").await;
    let ann = world.token_of("ann@x.test").await;
    let pool = world.pool();
    const RESET: &str =
        "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = current_database()";
    sqlx::query("CREATE EXTENSION pg_stat_statements").execute(pool).await.unwrap();
    sqlx::query(RESET).execute(pool).await.unwrap();
    for (method, path) in documented(&world).await {
        let is_known = routes().any(|(verb, route, _)| verb == method && route == path);
        assert!(is_known, "{method} {path} is not asked here: say in tests/api/walk.rs how");
    }
    for token in [&ann, ADMIN] {
        ask_all(&world, token, |route| route != LOGS).await;
    }
    let (count, naming) = statements(pool).await;
    assert!(count > 50, "only {count} statements were counted");
    assert!(naming.is_empty(), "{naming:#?}");
    ask_all(&world, ADMIN, |route| route == LOGS).await;
    let (_, naming) = statements(pool).await;
    assert!(!naming.is_empty(), "the log is read, and this would not have seen it");
}
