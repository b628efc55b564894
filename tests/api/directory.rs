//! In a large fleet a part of an address is looked for in a copy of them all: it tells what Postgres would.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use warmup::{
    domain::{
        address_index::{AddressIndex, AddressQuery},
        id::UserId,
    },
    reporting::{MailboxFilter, Page, QuotaSearch, mailbox_page, quotas_found, snapshot::SnapshotCache},
};
use warmup_support::world::eventually;

use crate::client::{ADMIN, Pod, World, now};

const PATIENCE: Duration = Duration::from_secs(60);

/// More than are counted while one waits. Every seventh is Ann's, every tenth switched off.
const FLEET: &str = "
    INSERT INTO users (email) VALUES ('ann@x.test');
    INSERT INTO mailboxes (id, user_id, email, domain, username, sealed_password, smtp_host, smtp_port, smtp_security, timezone,
                           window_start, window_end, days, ramp_start, ramp_step, daily_max, reply_rate, shard, enabled,
                           verified_by)
    SELECT n, CASE n % 7 WHEN 0 THEN (SELECT id FROM users WHERE email = 'ann@x.test') ELSE (SELECT min(id) FROM users) END,
           'Box' || n || '@d' || n % 3 || '.test', 'd' || n % 3 || '.test', 'box', '\\x00', 'SMTP' || n % 2 || '.x.test', 587,
           'starttls', 'UTC', 540, 1020, 127, 28, 1, 28, 0, n % 8, n % 10 <> 0, 'admin'
    FROM generate_series(1, 2500) n;
    SELECT setval(pg_get_serial_sequence('mailboxes', 'id'), 2500);
    ANALYZE";

/// The fleet, and a census that has its copy.
async fn large() -> (World, SnapshotCache) {
    let world = World::start().await;
    sqlx::raw_sql(FLEET).execute(world.pool()).await.unwrap();
    let census = SnapshotCache::for_requests(world.pool().clone(), std::time::Duration::from_secs(600));
    eventually(PATIENCE, async || copy(&census).await.is_some()).await;
    (world, census)
}

async fn copy(census: &SnapshotCache) -> Option<Arc<AddressIndex>> {
    census.directory(&census.current(None, now()).await.unwrap())
}

/// The ids that Postgres has for a condition.
async fn stored(world: &World, condition: &str) -> Vec<i64> {
    let statement = format!("SELECT id FROM mailboxes WHERE {condition} ORDER BY id");
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(world.pool()).await.unwrap()
}

/// All that are told, page by page.
async fn listed(world: &World, census: &SnapshotCache, filter: &MailboxFilter) -> Vec<i64> {
    let (mut found, mut page) = (Vec::new(), Page { limit: 500, after: None });
    loop {
        let (total, rows) = mailbox_page(world.pool(), census, filter, page, now()).await.unwrap();
        found.extend(rows.iter().map(|row| row.id));
        page.after = found.last().copied();
        if rows.is_empty() {
            assert_eq!(total, found.len() as i64, "{filter:?}");
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_found_who_is_wanted() {
    let (world, census) = large().await;
    let filter = |search: &str, host: &str, domain: &str| {
        let given = |text: &str| (text != "-").then(|| text.to_owned());
        MailboxFilter { search: given(search), host: given(host), domain: given(domain), ..MailboxFilter::default() }
    };
    let user = MailboxFilter { user: Some("ann@x.test".to_owned()), ..filter("box77", "-", "-") };
    let state = MailboxFilter { state: Some("off".to_owned()), ..filter("box77", "-", "-") };
    for (filter, condition) in [
        (filter("BOX77", "-", "-"), "email LIKE 'Box77%'"),
        (filter("box", "-", "-"), "true"),
        (filter("", "-", "-"), "true"),
        (filter("nobody", "-", "-"), "false"),
        (filter("test\nbox", "-", "-"), "false"),
        (filter("-", "smtp1.x.test", "-"), "id % 2 = 1"),
        (filter("-", "x.test", "-"), "false"),
        (filter("-", "-", "d2.test"), "id % 3 = 2"),
        (filter("9", "smtp0.x.test", "d2.test"), "id % 3 = 2 AND id % 2 = 0 AND id::text LIKE '%9%'"),
        (state, "email LIKE 'Box77%' AND NOT enabled"),
        (user, "email LIKE 'Box77%' AND id % 7 = 0"),
    ] {
        assert_eq!(listed(&world, &census, &filter).await, stored(&world, condition).await, "{filter:?}");
    }
    assert!(copy(&census).await.is_some(), "it is still told");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_are_found_by_their_standing_that_are_switched_on() {
    let (world, census) = large().await;
    for (status, condition) in [
        (None, "email LIKE 'Box77%' AND enabled"),
        (Some("behind"), "email LIKE 'Box77%' AND enabled"),
        (Some("complete"), "false"),
    ] {
        let (looked, page) = (QuotaSearch { part: "oX77", status }, Page { limit: 5, after: None });
        let list = quotas_found(world.pool(), &census, None, looked, page, now()).await.unwrap();
        let expected = stored(&world, condition).await;
        let ids: Vec<i64> = list.quotas.iter().map(|row| row.mailbox_id).collect();
        assert_eq!((list.total, &ids[..]), (expected.len() as i64, &expected[..expected.len().min(5)]), "{status:?}");
        assert_eq!(list.next_cursor, ids.last().map(ToString::to_string), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_enrolled_or_removed_is_found_so_at_once_on_every_pod() {
    let (world, census) = large().await;
    let other = Pod::start(world.database.url(), &world.redis.url()).await;
    let found = async || {
        let answer = other.ask("GET", "/api/warmup/mailboxes?search=new@x", Some(ADMIN), None).await.json();
        let copied = copy(&census)
            .await
            .map(|copy| copy.find(AddressQuery { part: "new@x", ..AddressQuery::default() }).count());
        (answer["data"]["total"].as_i64().unwrap(), copied)
    };
    assert_eq!(found().await, (0, Some(0)));
    let new = json!({"email": "New@x.test", "password": "canary", "smtpHost": "smtp.x.test", "smtpPort": 587});
    let made = world.pod.ask("POST", "/api/warmup/mailboxes", Some(ADMIN), Some(&new)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let (told, copied) = found().await;
    assert!(told == 1 && copied.is_none_or(|copied| copied == 1), "{told} {copied:?}");
    eventually(PATIENCE, async || found().await == (1, Some(1))).await;
    assert_eq!(other.ask("DELETE", "/api/warmup/mailboxes/2501", Some(ADMIN), None).await.status, 200);
    let (told, copied) = found().await;
    assert!(told == 0 && copied.is_none_or(|copied| copied == 0), "{told} {copied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_finds_only_its_own() {
    let (world, census) = large().await;
    let ann = world.token_of("ann@x.test").await;
    let id: i64 =
        sqlx::query_scalar("SELECT id FROM users WHERE email = 'ann@x.test'").fetch_one(world.pool()).await.unwrap();
    let hers = stored(&world, "id % 7 = 0").await;
    let filter = MailboxFilter { owner: Some(UserId(id)), search: Some("box".to_owned()), ..MailboxFilter::default() };
    assert_eq!(listed(&world, &census, &filter).await, hers);
    let (looked, page) = (QuotaSearch { part: "box", status: None }, Page { limit: 500, after: None });
    let quotas = quotas_found(world.pool(), &census, Some(UserId(id)), looked, page, now()).await.unwrap();
    assert!(quotas.quotas.iter().all(|row| hers.contains(&row.mailbox_id)) && quotas.total > 0);
    for path in ["mailboxes?search=box", "mailboxes?domain=d0.test", "mailboxes?host=smtp0.x.test", "quota?search=box"]
    {
        let told = world.get_as(&ann, &format!("/api/warmup/{path}&limit=500")).await;
        let rows = [&told["mailboxes"], &told["quotas"]].into_iter().find_map(Value::as_array).unwrap();
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_i64().or(row["mailboxId"].as_i64()).unwrap()).collect();
        assert!(!ids.is_empty() && ids.iter().all(|id| hers.contains(id)), "{path}: {ids:?}");
        assert_eq!(told["total"], ids.len(), "{path}");
    }
}
