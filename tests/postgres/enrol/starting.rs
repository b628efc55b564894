//! What becomes able to send is planned at once, and judged only when it had the time for a mail.

use warmup::{
    adapters::postgres::PostgresOrders,
    domain::id::ShardId,
    ports::FleetControl,
    reporting::{fleet_status, mailbox_detail, snapshot::SnapshotCache},
};

use super::{
    commands::{ok, warmup},
    *,
};

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-24T{time}Z").parse().unwrap()
}

/// The shards for which a plan was asked for, with how often, in order.
async fn requests(pool: &PgPool) -> Vec<(ShardId, i64)> {
    let mut requests = PostgresOrders::new(pool.clone()).plan_requests().await.unwrap();
    requests.sort_unstable();
    requests
}

async fn shard_of(pool: &PgPool, email: &str) -> ShardId {
    let find = "SELECT shard FROM mailboxes WHERE email = $1";
    ShardId(sqlx::query_scalar(find).bind(email).fetch_one(pool).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_lets_mailboxes_send_asks_for_a_plan_of_their_shards() {
    let database = database().await;
    let pool = database.pool();
    assert_eq!(requests(pool).await, []);
    import(pool, &many(12)).await.unwrap();
    let shards: Vec<i32> =
        sqlx::query_scalar("SELECT DISTINCT shard FROM mailboxes ORDER BY 1").fetch_all(pool).await.unwrap();
    let imported: Vec<_> = shards.into_iter().map(|shard| (ShardId(shard), 1)).collect();
    assert_eq!(requests(pool).await, imported);

    let shard = shard_of(pool, "m3@d0.example").await;
    let times = async || requests(pool).await.into_iter().find(|(asked, _)| *asked == shard).unwrap().1;
    let quiet = &["mailbox", "pause", "m3@d0.example"];
    ok(&warmup(&database, quiet, ""));
    assert_eq!(times().await, 1, "a pause lets nobody send");
    let mut expected = 1;
    for command in [
        &["mailbox", "resume", "m3@d0.example"][..],
        &["mailbox", "set", "m3@d0.example", "--daily-max", "17"],
        &["user", "set", "operator@localhost", "--daily-limit", "500"],
    ] {
        ok(&warmup(&database, command, ""));
        expected += 1;
        assert_eq!(times().await, expected, "{command:?}");
    }
    sqlx::query(
        "INSERT INTO pauses VALUES ('host', 'smtp.d0.example', 'auth-breaker', now(), now() + interval '1 day')",
    )
    .execute(pool)
    .await
    .unwrap();
    ok(&warmup(&database, &["mailbox", "resume", "--host", "smtp.d0.example", "--yes"], ""));
    assert_eq!(times().await, expected + 1, "its host lets it send again");
}

#[tokio::test]
async fn what_was_rolled_back_asks_for_nothing_and_an_old_request_is_forgotten() {
    let database = database().await;
    let pool = database.pool();
    assert!(import(pool, &format!("{HEADER}\nnot-an-address,x,smtp.x.test,587\n")).await.is_err());
    assert_eq!(requests(pool).await, []);
    import(pool, &many(1)).await.unwrap();
    sqlx::query("UPDATE plan_requests SET requested_at = requested_at - interval '11 minutes'")
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(requests(pool).await, []);
}

#[tokio::test]
async fn mailboxes_are_starting_until_one_cooldown_has_passed() {
    let database = database().await;
    let pool = database.pool();
    let starting = async |now| starting(pool, now).await;
    import(pool, &many(3)).await.unwrap();
    assert_eq!((starting(at("09:00:05")).await, starting(at("09:09:59")).await), (3, 3));
    assert_eq!(starting(at("09:10:00")).await, 0);
    let order = "UPDATE fleet_orders SET running = true, ordered_by = 'somebody', ordered_at = '2026-11-24T12:00:00Z'";
    sqlx::query(order).execute(pool).await.unwrap();
    assert_eq!((starting(at("12:00:05")).await, starting(at("12:10:00")).await), (3, 0), "the fleet was started");
    sqlx::query("UPDATE mailboxes SET state = 'paused', reason = 'operator'").execute(pool).await.unwrap();
    assert_eq!(starting(at("12:00:05")).await, 0, "what is paused does not start");
}

async fn starting(pool: &PgPool, now: DateTime<Utc>) -> i64 {
    let (settings, _) = warmup::config::Settings::from_vars(&Default::default()).unwrap();
    fleet_status(pool, &SnapshotCache::for_commands(pool.clone(), COOLDOWN), &settings, now)
        .await
        .unwrap()
        .today
        .starting
}

/// Enrolled at 10:00 of 09:00-17:00: half of 7/8 of the seven hours that are left is over at 13:03:45.
#[tokio::test]
async fn the_day_of_the_enrolment_is_planned_from_then_on_wherever_it_is_told() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &many(4)).await.unwrap();
    sqlx::query("UPDATE mailboxes SET ramp_start = 28, daily_max = 28").execute(pool).await.unwrap();
    let planned = async |now| {
        let census = SnapshotCache::for_commands(pool.clone(), COOLDOWN).current(None, now).await.unwrap();
        let rules = ("07:00-22:00".parse().unwrap(), 1.2);
        let id = id_of(pool, "m0@d0.example").await;
        let one = mailbox_detail(pool, warmup::reporting::sql::Selection::Id(id), rules, now).await.unwrap();
        (census.totals.planned, one.unwrap().planned_by_now)
    };
    assert_eq!(planned(at("09:00:00")).await, (0, 0));
    assert_eq!(planned(at("12:03:45")).await, (4 * 14, 14));
    assert_eq!(planned(at("15:07:30")).await, (4 * 28, 28));
    assert_eq!(planned("2026-11-25T08:00:00Z".parse().unwrap()).await, (0, 0));
    assert_eq!(planned("2026-11-25T11:30:00Z".parse().unwrap()).await, (4 * 14, 14), "the next day is a whole one");
}
