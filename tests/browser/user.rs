//! What somebody sees who is no admin, and what a name may not do.

use crate::{script::Script, stage::Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_sees_their_own_mailboxes_and_no_orders() {
    let stage = Stage::of_two(4).await;
    let (ann, worker) = (stage.token("ann@ann.test").await, stage.start().await);
    let of_ben: i64 = sqlx::query_scalar("SELECT min(id) FROM mailboxes WHERE email LIKE 'ben%'")
        .fetch_one(stage.pool())
        .await
        .unwrap();
    let script = Script::start("user", &[("URL", &stage.url()), ("TOKEN", &ann), ("FOREIGN", &of_ben.to_string())]);
    script.ends_well().await;
    worker.kill().await;
}

/// Whoever writes a name into a database writes it onto a page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markup_in_a_name_a_reason_or_a_subject_is_text() {
    const HOSTILE: &str = r#"<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"#;
    let stage = Stage::of_two(2).await;
    let admin = stage.admin().await;
    let id: i64 = sqlx::query_scalar(
        "UPDATE mailboxes SET display_name = $1, state = 'disabled', reason = $1 WHERE email = 'ann0@ann.test' RETURNING id",
    )
    .bind(HOSTILE)
    .fetch_one(stage.pool())
    .await
    .unwrap();
    let event =
        "INSERT INTO events (at, kind, mailbox_id, reason, detail) VALUES (now(), 'sender-disabled', $1, $2, $2)";
    sqlx::query(event).bind(id).bind(HOSTILE).execute(stage.pool()).await.unwrap();
    let worker = stage.start().await;
    let vars = [("URL", &*stage.url()), ("TOKEN", &admin), ("ID", &id.to_string()), ("HOSTILE", HOSTILE)];
    Script::start("hostile", &vars).ends_well().await;
    worker.kill().await;
}
