//! `warmup user`.

use super::{
    commands::{ok, text, warmup},
    *,
};

#[tokio::test(flavor = "multi_thread")]
async fn users_are_added_changed_and_listed() {
    let database = database().await;
    ok(&warmup(&database, &["user", "add", "Boss@X.org", "--daily-limit", "100"], ""));
    let twice = warmup(&database, &["user", "add", "boss@x.org"], "");
    assert!(twice.status.code() == Some(1) && text(&twice).contains("is a user already"), "{}", text(&twice));
    let set = ok(&warmup(&database, &["user", "set", "BOSS@x.org", "--role", "admin", "--daily-limit", "none"], ""));
    assert_eq!(set.trim(), "set: boss@x.org: role admin (was user), daily limit none (was 100)");
    let same = ok(&warmup(&database, &["user", "set", "boss@x.org", "--role", "admin"], ""));
    assert_eq!(same.trim(), "unchanged: boss@x.org");
    let listed: serde_json::Value =
        serde_json::from_str(&ok(&warmup(&database, &["user", "list", "--json"], ""))).unwrap();
    assert_eq!((listed[1]["email"].as_str(), listed[1]["role"].as_str()), (Some("boss@x.org"), Some("admin")));
    assert!(listed[1]["dailyLimit"].is_null());
    let events: Vec<(String, String)> =
        sqlx::query_as("SELECT kind, detail FROM events ORDER BY id").fetch_all(database.pool()).await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1], ("user-changed".to_owned(), "role admin (was user), daily limit none (was 100)".to_owned()));
    for usage in [
        &["user", "set", "boss@x.org"][..],
        &["user", "set", "boss@x.org", "--role", "king"],
        &["user", "set", "boss@x.org", "--daily-limit", "-1"],
        &["user", "set", "--role", "user"],
    ] {
        assert_eq!(warmup(&database, usage, "").status.code(), Some(2), "{usage:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_users_are_all_named_and_the_last_admin_stays_one() {
    let database = database().await;
    let unknown = warmup(&database, &["user", "set", "a@x.org", "operator@localhost", "b@x.org", "--role", "user"], "");
    assert!(text(&unknown).contains("no such user: a@x.org, b@x.org"), "{}", text(&unknown));
    let last = warmup(&database, &["user", "set", "operator@localhost", "--role", "user"], "");
    assert!(last.status.code() == Some(1) && text(&last).contains("no admin left"), "{}", text(&last));
    let role: String = sqlx::query_scalar("SELECT role FROM users").fetch_one(database.pool()).await.unwrap();
    assert_eq!((role.as_str(), count(database.pool(), "events").await), ("admin", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_daily_limit_counts_what_went_out_today_before_it() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &many(3)).await.unwrap();
    let days = "INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent, reply_attempts, closed) \
                SELECT id, day::date, 9, 4, 4, 1, day = '2026-11-23' FROM mailboxes, unnest(ARRAY['2026-11-23', '2026-11-24']) AS day";
    sqlx::query(days).execute(pool).await.unwrap();
    ok(&warmup(&database, &["user", "set", "operator@localhost", "--daily-limit", "20"], ""));
    let counted: Vec<(String, i32)> =
        sqlx::query_as("SELECT day::text, reserved FROM user_days").fetch_all(pool).await.unwrap();
    assert_eq!(counted, [("2026-11-24".to_owned(), 15)]);
}
