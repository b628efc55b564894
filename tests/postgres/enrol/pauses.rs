//! `warmup pause list|end`, and what a resume says of pauses that still hold.

use super::{
    commands::{ok, warmup},
    count,
    standing::{run, twelve},
};

const OWNED: &str = "
    INSERT INTO owner_pauses (user_id, scope, key, reason, since, until)
    SELECT 1, scope, key, 'domain-unauthenticated', now(), now() + interval '1 day'
    FROM (VALUES ('domain', 'd0.example'), ('host', 'smtp.d0.example:587')) AS p (scope, key)";

#[tokio::test(flavor = "multi_thread")]
async fn pauses_are_listed_and_ended_by_name() {
    let database = twelve().await;
    let pool = database.pool();
    assert!(ok(&warmup(&database, &["pause", "list"], "")).contains("no mail host and no domain is paused"));
    run(pool, OWNED).await;
    let listed = ok(&warmup(&database, &["pause", "list"], ""));
    assert!(listed.contains("d0.example") && listed.contains("operator@localhost"), "{listed}");
    let status = ok(&warmup(&database, &["mailbox", "show", "m0@d0.example"], ""));
    assert!(status.contains("paused: host: domain-unauthenticated"), "{status}");
    let ended = ok(&warmup(&database, &["pause", "end", "--host", "smtp.d0.example"], ""));
    assert!(ended.contains("ended: the pause of host smtp.d0.example:587 of operator@localhost"), "{ended}");
    let status = ok(&warmup(&database, &["mailbox", "show", "m0@d0.example"], ""));
    assert!(status.contains("paused: domain: domain-unauthenticated"), "{status}");
    let unknown = warmup(&database, &["pause", "end", "--domain", "d0.example", "--user", "somebody@else.test"], "");
    assert_eq!(unknown.status.code(), Some(1));
    ok(&warmup(&database, &["pause", "end", "--domain", "D0.example.", "--user", "operator@localhost"], ""));
    assert_eq!(count(pool, "owner_pauses").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_of_an_active_mailbox_says_that_its_domain_is_paused() {
    let database = twelve().await;
    run(database.pool(), OWNED).await;
    let told = ok(&warmup(&database, &["mailbox", "resume", "m0@d0.example"], ""));
    assert!(told.contains("unchanged: m0@d0.example (active)"), "{told}");
    let command = "`warmup pause end --domain d0.example --user operator@localhost` ends that";
    assert!(told.contains("but domain d0.example is left alone until") && told.contains(command), "{told}");
    let by_domain = ok(&warmup(&database, &["mailbox", "resume", "--domain", "d0.example", "--yes"], ""));
    assert!(by_domain.contains("domain d0.example is not left alone any more"), "{by_domain}");
    assert!(by_domain.contains("but host smtp.d0.example:587 is left alone until"), "{by_domain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owners_login_breaker_is_listed_shown_and_ended() {
    let database = twelve().await;
    let pool = database.pool();
    run(
        pool,
        "INSERT INTO pauses (scope, key, reason, since, until, probing, user_id, refused)
         SELECT 'login', login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security), 'auth-breaker', now(),
                now() + interval '1 hour', true, m.user_id, jsonb_build_object(m.id, now())
         FROM mailboxes m WHERE m.email = 'm0@d0.example'",
    )
    .await;
    run(pool, "UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused' WHERE email = 'm0@d0.example'").await;
    // What was counted for the host as a whole: this mailbox, and one of another owner.
    run(
        pool,
        "INSERT INTO pauses (scope, key, reason, since, until, refused)
         SELECT 'host', 'smtp.d0.example', 'auth-refused', now(), now(), jsonb_object_agg(id, now())
         FROM mailboxes WHERE email IN ('m0@d0.example', 'm11@d1.example')",
    )
    .await;
    let listed = ok(&warmup(&database, &["pause", "list"], ""));
    assert!(listed.contains("smtp.d0.example:587/starttls") && listed.contains("operator@localhost"), "{listed}");
    let shown = ok(&warmup(&database, &["mailbox", "show", "m1@d0.example"], ""));
    assert!(shown.contains("paused: host: auth-breaker"), "{shown}");
    let status = ok(&warmup(&database, &["status"], ""));
    let command = "`warmup pause end --host smtp.d0.example:587/starttls --user operator@localhost`";
    assert!(status.contains("1 disabled mailbox returns when it lets one in") && status.contains(command), "{status}");
    let resumed = ok(&warmup(&database, &["mailbox", "resume", "m0@d0.example"], ""));
    assert!(resumed.contains("but host smtp.d0.example:587/starttls is left alone until"), "{resumed}");
    let ended = ok(&warmup(&database, &["pause", "end", "--host", "smtp.d0.example:587"], ""));
    assert!(ended.contains("ended: the pause of host smtp.d0.example:587/starttls of operator@localhost"), "{ended}");
    assert_eq!(count(pool, "pauses WHERE scope = 'login'").await, 0);
    assert_eq!(count(pool, "pauses, jsonb_object_keys(refused)").await, 1, "the other owner's refusal still counts");
}
