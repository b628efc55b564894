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
