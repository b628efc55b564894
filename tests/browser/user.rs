//! What somebody sees who is no admin, and what a name may not do.

use warmup_support::smtp::{FaultyHost, Script as HostScript};

use crate::{script::Script, stage::Fixture};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_sees_their_own_mailboxes_and_no_orders() {
    let stage = Fixture::of_two(4).await;
    let (ann, worker) = (stage.token("ann@ann.test").await, stage.start().await);
    let of_ben: i64 = sqlx::query_scalar("SELECT min(id) FROM mailboxes WHERE email LIKE 'ben%'")
        .fetch_one(stage.pool())
        .await
        .unwrap();
    let script = Script::start("user", &[("URL", &stage.url()), ("TOKEN", &ann), ("FOREIGN", &of_ben.to_string())]);
    script.ends_well().await;
    worker.kill().await;
}

/// The last code that the host took.
fn code(host: &FaultyHost) -> String {
    let is_code = |line: &&str| line.len() == 14 && [4, 9].iter().all(|place| line.as_bytes()[*place] == b'-');
    host.heard().lines().map(str::trim).rfind(is_code).expect("the host took a code").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_verifies_a_mailbox_with_the_code_that_the_page_sends() {
    const MAILBOX: &str = "ann1@ann.test";
    let (stage, host) = (Fixture::of_two(2).await, FaultyHost::start(HostScript::usual()).await);
    let port = host.port();
    let operators = "email,password,smtp_host,smtp_port,smtp_security,ramp_start,daily_max,reply_rate";
    stage.import(&format!("{operators}\nbox@op.test,secret,127.0.0.1,{port},none,1,1,0\n")).await;
    // As a user enrols it.
    let id: i64 = sqlx::query_scalar("UPDATE mailboxes SET verified_by = NULL WHERE email = $1 RETURNING id")
        .bind(MAILBOX)
        .fetch_one(stage.pool())
        .await
        .unwrap();
    let verified_by = async || {
        let query = "SELECT verified_by FROM mailboxes WHERE id = $1";
        sqlx::query_scalar::<_, Option<String>>(query).bind(id).fetch_one(stage.pool()).await.unwrap()
    };
    let (ann, worker) = (stage.token("ann@ann.test").await, stage.start().await);
    let vars = [("URL", &*stage.url()), ("TOKEN", &ann), ("MAILBOX", MAILBOX), ("ID", &id.to_string())];
    let mut script = Script::start("verify", &vars);

    script.comes_to("sent").await;
    script.go_on_with(&code(&host)).await;
    script.comes_to("not verified").await;
    assert_eq!(verified_by().await, None);
    script.go_on().await;
    script.ends_well().await;
    assert_eq!(verified_by().await.as_deref(), Some("code"));
    worker.kill().await;
}

/// Whoever writes a name into a database writes it onto a page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markup_in_a_name_a_reason_or_a_subject_is_text() {
    const HOSTILE: &str = r#"<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"#;
    let stage = Fixture::of_two(2).await;
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
