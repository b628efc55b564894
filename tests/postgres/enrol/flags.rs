//! `mailbox add` and `mailbox set`: the CSV's columns as flags, and passwords that are never flags.

use std::io::Write;

use secrecy::ExposeSecret;

use super::{
    commands::{ok, text, warmup},
    *,
};

const ADD: [&str; 7] = ["mailbox", "add", "Ann@X.org", "--smtp-host", "H.org", "--smtp-port", "587"];

fn add(further: &[&'static str]) -> Vec<&'static str> {
    ADD.iter().chain(further).copied().collect()
}

async fn password(pool: &PgPool, email: &str) -> String {
    let id = id_of(pool, email).await;
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed_password FROM mailboxes WHERE id = $1")
        .bind(id.0)
        .fetch_one(pool)
        .await
        .unwrap();
    sealer().inspect(id, &sealed).unwrap().password.expose_secret().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_added_with_its_flags_and_a_password_from_standard_input() {
    let database = database().await;
    let args = add(&["--daily-max", "12", "--days", "mon-fri", "--password-stdin"]);
    let told = ok(&warmup(&database, &args, &format!("{CANARY} with a blank \r\n")));
    assert!(told.starts_with("added: 1 mailbox, 1 new"), "{told}");
    assert_eq!(password(database.pool(), "ann@x.org").await, format!("{CANARY} with a blank "));
    let stored: (String, i16, i16, String) =
        sqlx::query_as("SELECT smtp_host, daily_max, days, smtp_security FROM mailboxes")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert_eq!(stored, ("h.org".to_owned(), 12, 0b1_1111, "starttls".to_owned()));
    let event: (String, String) =
        sqlx::query_as("SELECT kind, reason FROM events").fetch_one(database.pool()).await.unwrap();
    assert_eq!(event, ("mailbox-enrolled".to_owned(), "add".to_owned()));
    let again = warmup(&database, &args, CANARY);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains("Ann@X.org: is enrolled already: `warmup mailbox set`"), "{}", text(&again));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faulty_flags_are_told_at_once_and_nothing_is_written() {
    let database = database().await;
    let args = ["mailbox", "add", "nobody", "--smtp-host", "h h", "--smtp-port", "99999", "--days", "never"];
    let args = [&args[..], &["--display-name", "", "--password-stdin"]].concat();
    let refused = warmup(&database, &args, &format!("{CANARY}\u{7}"));
    assert_eq!(refused.status.code(), Some(1));
    for part in [
        "nobody: write an address",
        "--smtp-host:",
        "--smtp-port:",
        "--days:",
        "--display-name: is empty",
        "the password holds",
    ] {
        assert!(text(&refused).contains(part), "{part} is not in {}", text(&refused));
    }
    assert_eq!((count(database.pool(), "mailboxes").await, count(database.pool(), "events").await), (0, 0));
    assert_eq!(warmup(&database, &["mailbox", "add", "a@x.org"], "").status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_can_be_given_by_file_and_stdin_only_and_never_as_an_argument() {
    let database = database().await;
    let refused = warmup(&database, &ADD, CANARY);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("can't be asked for without a terminal"), "{}", text(&refused));
    for wrong in [&["--password", "x"][..], &["--password=x"], &["--password-stdin", "--password-file", "x"]] {
        assert_eq!(warmup(&database, &add(wrong), "").status.code(), Some(2), "{wrong:?}");
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{CANARY}-file").unwrap();
    let args = [&ADD[..], &["--password-file", file.path().to_str().unwrap()]].concat();
    ok(&warmup(&database, &args, ""));
    assert_eq!(password(database.pool(), "ann@x.org").await, format!("{CANARY}-file"));
    let empty = warmup(&database, &["mailbox", "set", "ann@x.org", "--password-stdin"], "\n");
    assert!(empty.status.code() == Some(1) && text(&empty).contains("the password is empty"), "{}", text(&empty));
    let missing = warmup(&database, &["mailbox", "set", "ann@x.org", "--password-file", "/nowhere/at/all"], "");
    assert!(text(&missing).contains("/nowhere/at/all cannot be opened"), "{}", text(&missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn set_changes_what_is_given_of_all_that_are_named_or_of_none() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &many(3)).await.unwrap();
    let set = |addresses: &[&'static str], rest: &[&'static str]| {
        warmup(&database, &[&["mailbox", "set"], addresses, rest].concat(), "")
    };
    let refused = set(&["m0@d0.example", "nobody@x.org"], &["--daily-max", "7"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("nobody@x.org: is not enrolled"), "{}", text(&refused));
    let most = "SELECT array_agg(daily_max ORDER BY id) FROM mailboxes";
    let limits: Vec<i16> = sqlx::query_scalar(most).fetch_one(pool).await.unwrap();
    assert_eq!(limits, [30, 30, 30]);
    let told =
        ok(&set(&["M0@d0.example", "m1@d0.example", "m0@D0.example"], &["--daily-max", "7", "--enabled", "false"]));
    assert!(told.starts_with("set: 2 mailboxes, 0 new, 2 changed"), "{told}");
    let limits: Vec<i16> = sqlx::query_scalar(most).fetch_one(pool).await.unwrap();
    assert_eq!(limits, [7, 7, 30]);
    let told = ok(&set(&["m0@d0.example"], &["--enabled", "true", "--timezone", "Asia/Tokyo", "--user", "boss@x.org"]));
    assert!(told.contains("user created: boss@x.org"), "{told}");
    assert_eq!(set(&["m0@d0.example"], &[]).status.code(), Some(2));
    assert_eq!(set(&[], &["--daily-max", "7"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_brings_back_what_the_old_one_had_disabled() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &many(2)).await.unwrap();
    sqlx::query("UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused'").execute(pool).await.unwrap();
    let told =
        ok(&warmup(&database, &["mailbox", "set", "m0@d0.example", "--password-stdin"], "another canary-nightjar"));
    assert!(told.contains("active again: m0@d0.example"), "{told}");
    assert_eq!(password(pool, "m0@d0.example").await, "another canary-nightjar");
    let states: Vec<String> =
        sqlx::query_scalar("SELECT state FROM mailboxes ORDER BY id").fetch_all(pool).await.unwrap();
    assert_eq!(states, ["active", "disabled"]);
}
