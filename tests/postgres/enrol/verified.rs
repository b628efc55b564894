//! What verifies a mailbox at its enrolment, and the event of each change, by every way there is but the code
//! (`tests/api/verification.rs`).

use warmup::{
    admin::import::{Changed, Owner, import_for},
    domain::id::UserId,
};

use super::{
    commands::{ok, warmup},
    standing::run,
    *,
};

const WITH_USER: &str = "email,password,smtp_host,smtp_port,user";
const UNVERIFIED: &str = "UPDATE mailboxes SET verified_by = NULL";

/// A database with Ann's a@own.example, enrolled by an admin, then `verified_by` that, and no event but those to come.
async fn anns(verified_by: Option<&'static str>) -> TestDatabase {
    let database = database().await;
    let pool = database.pool();
    import(pool, &admins("ann@x.org")).await.unwrap();
    run(pool, "INSERT INTO users (email) VALUES ('ben@y.org')").await;
    sqlx::query("UPDATE mailboxes SET verified_by = $1").bind(verified_by).execute(pool).await.unwrap();
    run(pool, "TRUNCATE events, plan_requests").await;
    database
}

/// The file by which an admin enrols a@own.example for `user`.
fn admins(user: &str) -> String {
    format!("{WITH_USER}\na@own.example,{CANARY},h.org,587,{user}\n")
}

/// What `user`, who is no admin, imports.
async fn import_by(pool: &PgPool, user: &str, line: &str) -> ImportReport {
    let id = sqlx::query_scalar("SELECT id FROM users WHERE email = $1").bind(user).fetch_one(pool).await.unwrap();
    let owner = Owner { id: UserId(id), address: user.to_owned(), most: 10 };
    let options = Options { now: now(), dry_run: false, progress: &|_, _| {} };
    import_for(pool, &sealer(), &RULES, csv(&[line]).as_bytes(), Some(&owner), &options).await.unwrap()
}

/// The events of verification, each of which must be of the mailbox's owner.
async fn events(pool: &PgPool) -> Vec<String> {
    let query = "
        SELECT format('%s %s %s', e.kind, e.reason, e.detail)
        FROM events e JOIN mailboxes m ON m.id = e.mailbox_id AND m.user_id = e.user_id
        WHERE e.kind IN ('mailbox-verified', 'mailbox-unverified') ORDER BY e.id";
    sqlx::query_scalar(query).fetch_all(pool).await.unwrap()
}

async fn verified_by(pool: &PgPool) -> Option<String> {
    sqlx::query_scalar("SELECT verified_by FROM mailboxes").fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admins_import_verifies_a_known_mailbox_that_is_otherwise_unchanged() {
    let database = anns(None).await;
    let pool = database.pool();
    let wanted = [Changed { email: "a@own.example".to_owned(), columns: vec!["verified"] }];
    let dry = import_with(pool, &admins("ann@x.org"), true).await.unwrap();
    assert_eq!((&dry.changed[..], dry.unchanged), (&wanted[..], 0));
    assert_eq!((verified_by(pool).await, events(pool).await.len()), (None, 0));

    let report = import(pool, &admins("ann@x.org")).await.unwrap();
    assert_eq!((&report.changed[..], report.unchanged), (&wanted[..], 0));
    assert_eq!(verified_by(pool).await.as_deref(), Some("admin"));
    assert_eq!(count(pool, "plan_requests").await, 1, "the workers are asked to plan its shard");
    let again = import(pool, &admins("ann@x.org")).await.unwrap();
    assert_eq!((again.changed.len(), again.unchanged), (0, 1));
    assert_eq!(events(pool).await, ["mailbox-verified admin "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_import_of_a_known_mailbox_verifies_nothing() {
    let database = anns(None).await;
    let pool = database.pool();
    let line = format!("a@own.example,{CANARY},h.org,587");
    assert_eq!(import_by(pool, "ann@x.org", &line).await.unchanged, 1);
    let changed = import_by(pool, "ann@x.org", &format!("a@own.example,{CANARY},h.org,465")).await;
    assert_eq!(changed.changed.len(), 1);
    assert_eq!((verified_by(pool).await, events(pool).await.len()), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_mailbox_that_a_confirmed_domain_verifies_at_once_has_an_event_of_it() {
    let database = anns(None).await;
    let pool = database.pool();
    ok(&warmup(&database, &["domain", "verify", "new.example", "--user", "ann@x.org"], ""));
    import_by(pool, "ann@x.org", &format!("b@new.example,{CANARY},h.org,587")).await;
    import_by(pool, "ann@x.org", &format!("c@other.example,{CANARY},h.org,587")).await;
    import(pool, &csv(&[&format!("d@other.example,{CANARY},h.org,587")])).await.unwrap();
    assert_eq!(events(pool).await, ["mailbox-verified domain new.example"], "an admin's enrolment says it by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_another_owner_voids_a_code_or_a_domain_with_an_event() {
    for (by, wanted) in [("code", "mailbox-unverified code "), ("domain", "mailbox-unverified domain own.example")] {
        let database = anns(Some(by)).await;
        ok(&warmup(&database, &["mailbox", "set", "a@own.example", "--user", "ben@y.org"], ""));
        assert_eq!(verified_by(database.pool()).await, None);
        assert_eq!(events(database.pool()).await, [wanted]);
    }
    let database = anns(Some("admin")).await;
    ok(&warmup(&database, &["mailbox", "set", "a@own.example", "--user", "ben@y.org"], ""));
    assert_eq!(
        (verified_by(database.pool()).await.as_deref(), events(database.pool()).await.len()),
        (Some("admin"), 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_the_owner_of_the_domain_verifies_with_an_event() {
    let database = anns(None).await;
    ok(&warmup(&database, &["domain", "verify", "own.example", "--user", "ben@y.org"], ""));
    ok(&warmup(&database, &["mailbox", "set", "a@own.example", "--user", "ben@y.org"], ""));
    assert_eq!(verified_by(database.pool()).await.as_deref(), Some("domain"));
    assert_eq!(events(database.pool()).await, ["mailbox-verified domain own.example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_after_a_removal_writes_the_event_if_it_verifies() {
    let database = anns(None).await;
    let pool = database.pool();
    let remove = async || {
        ok(&warmup(&database, &["mailbox", "remove", "a@own.example", "--yes"], ""));
    };
    let line = format!("a@own.example,{CANARY},h.org,587");
    remove().await;
    import_by(pool, "ann@x.org", &line).await;
    assert_eq!((verified_by(pool).await, events(pool).await.len()), (None, 0), "nothing verified it");

    remove().await;
    ok(&warmup(&database, &["domain", "verify", "own.example", "--user", "ann@x.org"], ""));
    assert_eq!(events(pool).await.len(), 0, "it is removed");
    import_by(pool, "ann@x.org", &line).await;
    assert_eq!(events(pool).await, ["mailbox-verified domain own.example"]);

    run(pool, UNVERIFIED).await;
    run(pool, "TRUNCATE events").await;
    remove().await;
    import(pool, &admins("ann@x.org")).await.unwrap();
    assert_eq!(events(pool).await, ["mailbox-verified admin "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_domain_writes_one_event_of_each_mailbox_and_its_revocation_too() {
    let database = anns(None).await;
    for (command, wanted) in [("verify", 1), ("verify", 1), ("revoke", 2)] {
        ok(&warmup(&database, &["domain", command, "own.example", "--user", "ann@x.org"], ""));
        assert_eq!(events(database.pool()).await.len(), wanted, "{command}");
    }
    assert_eq!(
        events(database.pool()).await,
        ["mailbox-verified domain own.example", "mailbox-unverified domain own.example"]
    );
}
