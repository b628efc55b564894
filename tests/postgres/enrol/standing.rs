//! Pause, resume and remove, as a person orders them.

use warmup::{
    adapters::postgres::PostgresMailboxes,
    domain::{id::ShardId, time::LocalDates},
    ports::PlanningStore,
};

use super::{
    commands::{ok, text, warmup},
    *,
};

/// Twelve mailboxes, two domains and hosts (ten and two), the last two of another owner.
pub(super) async fn twelve() -> TestDatabase {
    let database = database().await;
    import(database.pool(), &many(12)).await.unwrap();
    let owner = format!("{HEADER},user\nm10@d1.example,,,,boss@x.org\nm11@d1.example,,,,boss@x.org\n");
    import(database.pool(), &owner).await.unwrap();
    sqlx::query("DELETE FROM events").execute(database.pool()).await.unwrap();
    database
}

pub(super) async fn run(pool: &PgPool, sql: &'static str) {
    sqlx::query(sql).execute(pool).await.unwrap();
}

/// Addresses in a state, with the reason.
async fn in_state(pool: &PgPool, state: &str) -> Vec<(String, Option<String>)> {
    let sql = "SELECT email, reason FROM mailboxes WHERE state = $1 ORDER BY id";
    sqlx::query_as(sql).bind(state).fetch_all(pool).await.unwrap()
}

async fn told_events(pool: &PgPool) -> Vec<String> {
    let sql = "SELECT concat_ws(' | ', kind, (SELECT email FROM mailboxes m WHERE m.id = mailbox_id), reason, detail) \
               FROM events ORDER BY id";
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_has_a_reason_and_no_end_and_resume_ends_it() {
    let database = twelve().await;
    let pool = database.pool();
    let told = ok(&warmup(&database, &["mailbox", "pause", "M0@d0.example", "m1@d0.example"], ""));
    assert!(told.starts_with("paused: 2 mailboxes"), "{told}");
    let paused: (String, Option<DateTime<Utc>>) =
        sqlx::query_as("SELECT reason, paused_until FROM mailboxes WHERE email = 'm0@d0.example'")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(paused, ("operator".to_owned(), None));
    let again = ok(&warmup(&database, &["mailbox", "pause", "m0@d0.example", "--because", "on holiday"], ""));
    assert!(again.starts_with("paused: 1 mailbox"), "{again}");
    let same = ok(&warmup(&database, &["mailbox", "pause", "m0@d0.example", "--because", "on holiday"], ""));
    assert!(
        same.contains("paused: 0 mailboxes") && same.contains("unchanged: m0@d0.example (paused: on holiday)"),
        "{same}"
    );
    ok(&warmup(&database, &["mailbox", "resume", "m0@d0.example"], ""));
    assert_eq!(in_state(pool, "paused").await, [("m1@d0.example".to_owned(), Some("operator".to_owned()))]);
    assert_eq!(
        told_events(pool).await,
        [
            "mailbox-paused | m0@d0.example | operator | ",
            "mailbox-paused | m1@d0.example | operator | ",
            "mailbox-paused | m0@d0.example | on holiday | was paused: operator",
            "mailbox-resumed | m0@d0.example | operator | was paused: on holiday",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_must_all_hold_and_ask_first() {
    let database = twelve().await;
    let pool = database.pool();
    let host = ["mailbox", "pause", "--host", "SMTP.d0.example.", "--user", "operator@localhost"];
    let refused = warmup(&database, &host, "y\n");
    assert_eq!(refused.status.code(), Some(1));
    let question = "pause 10 mailboxes of user operator@localhost, host SMTP.d0.example. \
                    (m0@d0.example, m1@d0.example, m2@d0.example and 7 more)?";
    assert!(text(&refused).contains(question) && text(&refused).contains("repeat it with --yes"), "{}", text(&refused));
    assert_eq!(in_state(pool, "paused").await, []);
    assert!(ok(&warmup(&database, &[&host[..], &["--yes"]].concat(), "")).starts_with("paused: 10 mailboxes"));
    assert_eq!(in_state(pool, "paused").await.len(), 10);
    let json = ok(&warmup(&database, &["mailbox", "resume", "--domain", "d0.example", "--yes", "--json"], ""));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["changed"].as_array().unwrap().len(), 10);
    for usage in [
        &["mailbox", "pause"][..],
        &["mailbox", "remove", "--all", "--host", "h"],
        &["mailbox", "resume", "m0@d0.example", "--all"],
        &["mailbox", "pause", "m0@d0.example", "--because", " "],
    ] {
        assert_eq!(warmup(&database, usage, "").status.code(), Some(2), "{usage:?}");
    }
    let nobody = warmup(&database, &["mailbox", "pause", "--host", "other.example", "--yes"], "");
    assert!(nobody.status.code() == Some(1) && text(&nobody).contains("no mailbox is meant"), "{}", text(&nobody));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_unknown_addresses_all_are_named_and_nothing_is_done() {
    let database = twelve().await;
    let refused = warmup(&database, &["mailbox", "pause", "m0@d0.example", "x@y.org", "z@y.org"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("x@y.org, z@y.org"), "{}", text(&refused));
    assert_eq!(in_state(database.pool(), "paused").await, []);
    assert_eq!(count(database.pool(), "events").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_clears_both_standings_and_with_a_host_its_own_pause() {
    let database = twelve().await;
    let pool = database.pool();
    run(pool, "UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused' WHERE id <= (SELECT min(id) + 4 FROM mailboxes)").await;
    run(
        pool,
        "UPDATE mailboxes SET receives = false, receive_reason = 'partner-unknown' WHERE email = 'm5@d0.example'",
    )
    .await;
    run(pool, "UPDATE mailboxes SET state = 'paused', reason = 'sender-rate', paused_until = now() + interval '1 hour' WHERE email = 'm6@d0.example'").await;
    run(
        pool,
        "INSERT INTO pauses (scope, key, reason, since, until) \
         SELECT scope, key, 'auth-breaker', now(), now() + interval '1 day' \
         FROM (VALUES ('host', 'smtp.d0.example'), ('host', 'smtp.d1.example'), ('domain', 'd0.example')) AS p (scope, key)",
    )
    .await;
    let one = ok(&warmup(&database, &["mailbox", "resume", "m0@d0.example"], ""));
    assert!(
        one.contains("but host smtp.d0.example is left alone") && one.contains("resume --host smtp.d0.example"),
        "{one}"
    );
    assert_eq!(count(pool, "pauses").await, 3);
    let told = ok(&warmup(&database, &["mailbox", "resume", "--host", "smtp.d0.example", "--yes"], ""));
    assert!(told.starts_with("resumed: 6 mailboxes"), "{told}");
    assert!(told.contains("host smtp.d0.example is not left alone any more (was: auth-breaker)"), "{told}");
    assert!(told.contains("but domain d0.example is left alone until"), "{told}");
    assert_eq!(in_state(pool, "active").await.len(), 12);
    let receive: bool = sqlx::query_scalar("SELECT bool_and(receives) FROM mailboxes").fetch_one(pool).await.unwrap();
    assert!(receive);
    let keys: Vec<String> = sqlx::query_scalar("SELECT key FROM pauses ORDER BY key").fetch_all(pool).await.unwrap();
    assert_eq!(keys, ["d0.example", "smtp.d1.example"]);
    let events = told_events(pool).await;
    assert_eq!(events.last().unwrap(), "host-resumed | operator | smtp.d0.example was paused: auth-breaker");
    assert!(
        events.contains(&"mailbox-resumed | m5@d0.example | operator | received nothing: partner-unknown".to_owned())
    );
    // Nobody is down any more: only the rest of the pauses is left to end.
    let rest = ok(&warmup(&database, &["mailbox", "resume", "--all", "--yes"], ""));
    assert!(rest.starts_with("resumed: 0 mailboxes") && count(pool, "pauses").await == 0, "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_selects_those_whom_it_stopped() {
    let database = twelve().await;
    let pool = database.pool();
    run(pool, "UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused' WHERE email LIKE 'm1%'").await;
    run(pool, "UPDATE mailboxes SET state = 'disabled', reason = 'sender-blocked' WHERE email LIKE 'm2%'").await;
    let pause = ok(&warmup(&database, &["mailbox", "pause", "--reason", "sender-blocked", "--yes"], ""));
    assert!(
        pause.contains("unchanged: m2@d0.example (disabled: sender-blocked)"),
        "a disabled one keeps its reason: {pause}"
    );
    let told = ok(&warmup(&database, &["mailbox", "resume", "--reason", "auth-refused", "--yes"], ""));
    assert!(told.starts_with("resumed: 3 mailboxes"), "{told}");
    assert_eq!(in_state(pool, "disabled").await, [("m2@d0.example".to_owned(), Some("sender-blocked".to_owned()))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn remove_erases_the_secret_keeps_the_counters_and_add_enrols_anew() {
    let database = twelve().await;
    let pool = database.pool();
    run(pool, "UPDATE mailboxes SET grown = 5 WHERE email = 'm0@d0.example'").await;
    run(pool, "INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent) SELECT id, '2026-11-24', 9, 3, 3 FROM mailboxes").await;
    let id = id_of(pool, "m0@d0.example").await;
    let told = ok(&warmup(&database, &["mailbox", "remove", "m0@d0.example", "--because", "left us"], ""));
    assert!(told.starts_with("removed: 1 mailbox"), "{told}");
    let row: (String, String, Option<Vec<u8>>) =
        sqlx::query_as("SELECT state, reason, sealed_password FROM mailboxes WHERE id = $1")
            .bind(id.0)
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(row, ("removed".to_owned(), "left us".to_owned(), None));
    assert_eq!(count(pool, "mailbox_days").await, 12);
    let shown = ok(&warmup(&database, &["mailbox", "show", "m0@d0.example"], ""));
    assert!(shown.contains("removed: left us") && shown.contains("warmup mailbox add m0@d0.example"), "{shown}");
    for command in ["pause", "resume", "test"] {
        let refused = warmup(&database, &["mailbox", command, "m0@d0.example"], "");
        assert!(
            refused.status.code() == Some(1) && text(&refused).contains("not enrolled, or removed"),
            "{}",
            text(&refused)
        );
    }
    let set = warmup(&database, &["mailbox", "set", "m0@d0.example", "--daily-max", "3"], "");
    assert!(text(&set).contains("was removed: `warmup mailbox add` enrols it anew"), "{}", text(&set));
    let twice = ok(&warmup(&database, &["mailbox", "remove", "m0@d0.example"], ""));
    assert!(twice.contains("removed: 0 mailboxes"), "{twice}");
    let add =
        ["mailbox", "add", "M0@d0.example", "--smtp-host", "smtp.d0.example", "--smtp-port", "587", "--password-stdin"];
    assert!(ok(&warmup(&database, &add, CANARY)).contains("active again: m0@d0.example"));
    let back: (i64, String, i16) =
        sqlx::query_as("SELECT id, state, grown FROM mailboxes WHERE email = 'm0@d0.example'")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(back, (id.0, "active".to_owned(), 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_paused_or_removed_is_neither_planned_nor_written_to() {
    let database = twelve().await;
    let pool = database.pool();
    ok(&warmup(&database, &["mailbox", "pause", "m0@d0.example"], ""));
    ok(&warmup(&database, &["mailbox", "remove", "m1@d0.example"], ""));
    let mailboxes = PostgresMailboxes::new(pool.clone());
    let shards: Vec<ShardId> = (0..256).map(ShardId).collect();
    let planned = mailboxes.candidates(&shards, &LocalDates::at(now()), now()).await.unwrap();
    let paired = mailboxes.roster(now().date_naive(), now(), None).await.unwrap().unwrap().members;
    assert_eq!((planned.len(), paired.len()), (10, 10));
    for gone in ["m0@d0.example", "m1@d0.example"] {
        let id = id_of(pool, gone).await;
        assert!(planned.iter().all(|one| one.id != id) && paired.iter().all(|one| one.mailbox != id), "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_narrowed_by_the_same_selectors() {
    let database = twelve().await;
    let pool = database.pool();
    run(pool, "UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused' WHERE email = 'm10@d1.example'").await;
    run(pool, "UPDATE mailboxes SET state = 'removed', reason = 'operator', sealed_password = NULL WHERE email = 'm0@d0.example'").await;
    let listed = |args: &[&'static str]| {
        let json = ok(&warmup(&database, &[&["mailbox", "list", "--json"], args].concat(), ""));
        serde_json::from_str::<serde_json::Value>(&json).unwrap().as_array().unwrap().len()
    };
    assert_eq!(listed(&[]), 11);
    assert_eq!(listed(&["--user", "Boss@x.org"]), 2);
    assert_eq!(listed(&["--user", "boss@x.org", "--state", "active"]), 1);
    assert_eq!(listed(&["--host", "smtp.d0.example"]), 9);
    assert_eq!(listed(&["--domain", "d1.example", "--reason", "auth-refused"]), 1);
    assert_eq!(listed(&["--state", "removed"]), 1);
    let none = ok(&warmup(&database, &["mailbox", "list", "--host", "nowhere.example"], ""));
    assert_eq!(none.trim(), "no mailbox is like that");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_orders_at_once_change_each_mailbox_once() {
    let database = twelve().await;
    let pool = database.pool();
    let order = |args: &'static [&'static str]| {
        let url = database.url().to_owned();
        tokio::task::spawn_blocking(move || {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_warmup"));
            command.args(args).env_clear().env("DATABASE_URL", url).output().unwrap()
        })
    };
    const PAUSE: &[&str] = &["mailbox", "pause", "--all", "--yes", "--json"];
    let racers = async { tokio::join!(order(PAUSE), order(PAUSE)) };
    let (one, other) = all_read_before_any_writes(pool, "mailboxes", 2, racers).await;
    let changed = |output: &std::process::Output| -> usize {
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json["changed"].as_array().unwrap().len()
    };
    assert_eq!(changed(&one.unwrap()) + changed(&other.unwrap()), 12);
    assert_eq!((in_state(pool, "paused").await.len(), count(pool, "events").await), (12, 12));
}
