//! `warmup events`.

use super::{
    commands::{ok, text, warmup},
    *,
};

async fn told(pool: &PgPool, rows: &str) {
    let insert = format!(
        "INSERT INTO events (at, kind, mailbox_id, reason, detail) \
         SELECT at::timestamptz, kind, (SELECT id FROM mailboxes WHERE email = mailbox), reason, detail \
         FROM (VALUES {rows}) AS e (at, kind, mailbox, reason, detail)"
    );
    sqlx::query(sqlx::AssertSqlSafe(insert)).execute(pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_come_last_and_in_words() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &many(2)).await.unwrap();
    sqlx::query("DELETE FROM events").execute(pool).await.unwrap();
    told(
        pool,
        "('2026-11-24 09:00Z', 'sender-paused', 'm0@d0.example', 'sender-rate', 'until 10:00'), \
         ('2026-11-24 10:00Z', 'sender-disabled', 'm1@d0.example', 'auth-refused', ''), \
         ('2026-11-24 11:00Z', 'host-paused', NULL, 'host-trouble', 'smtp.d0.example until 11:01')",
    )
    .await;
    let events = |args: &[&'static str]| ok(&warmup(&database, &[&["events"], args].concat(), ""));
    assert_eq!(
        events(&[]).lines().collect::<Vec<_>>(),
        [
            "2026-11-24 09:00:00 UTC  m0@d0.example: stopped sending for a while (sender-rate), until 10:00",
            "2026-11-24 10:00:00 UTC  m1@d0.example: stopped sending until it is resumed (auth-refused)",
            "2026-11-24 11:00:00 UTC  mail host left alone for a while (host-trouble), smtp.d0.example until 11:01",
        ]
    );
    assert!(events(&["--limit", "1"]).contains("mail host"));
    assert_eq!(events(&["--mailbox", "M1@d0.example"]).lines().count(), 1);
    assert_eq!(events(&["--kind", "sender-paused"]).lines().count(), 1);
    assert_eq!(events(&["--since", "2026-11-24T10:00:00Z"]).lines().count(), 2);
    assert!(events(&["--kind", "unheard-of"]).contains("there are host-paused, sender-disabled, sender-paused"));
    let json: serde_json::Value = serde_json::from_str(&events(&["--json", "--limit", "2"])).unwrap();
    assert_eq!((json[0]["mailbox"].as_str(), json[1]["kind"].as_str()), (Some("m1@d0.example"), Some("host-paused")));
    let nobody = warmup(&database, &["events", "--mailbox", "x@y.org"], "");
    assert!(nobody.status.code() == Some(1) && text(&nobody).contains("there is no mailbox x@y.org"));
    assert_eq!(warmup(&database, &["events", "--since", "yesterday"], "").status.code(), Some(2));
}
