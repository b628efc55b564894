//! Caps that cannot carry the enrolled mailboxes: every command that knows the enrolment says so, with the line to set.

use std::process::Command;

use super::{
    commands::{ok, text, warmup},
    *,
};

/// What is said of 500 mailboxes of one owner at defaults.
const SUM: &str = "WARMUP_USER_HOURLY_LIMIT: user operator@localhost has 500 mailboxes that should send 15000 mails a \
                   day, but 500 is one token every 7.589 s, 3320 in 7 h";
const LINE: &str = "set WARMUP_USER_HOURLY_LIMIT=2668";

fn says_it(told: &str) {
    assert!(told.contains(SUM) && told.contains(LINE), "{told}");
}

/// The simulation of so many mailboxes, with further variables.
fn simulated(database: &TestDatabase, mailboxes: &str, vars: &[(&str, &str)]) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmup"));
    command.args(["simulate", "--mailboxes", mailboxes, "--json"]).env_clear().env("DATABASE_URL", database.url());
    let output = command.envs(vars.iter().copied()).output().unwrap();
    serde_json::from_str(&ok(&output)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn import_status_and_config_check_say_which_cap_is_too_low_and_what_to_set() {
    let database = database().await;
    let file = many(500);
    says_it(&ok(&warmup(&database, &["mailbox", "import", "-", "--dry-run"], &file)));
    assert!(!ok(&warmup(&database, &["status"], "")).contains("WARMUP_USER_HOURLY_LIMIT"), "a dry run enrols nobody");

    says_it(&ok(&warmup(&database, &["mailbox", "import", "-"], &file)));
    says_it(&ok(&warmup(&database, &["mailbox", "import", "-", "--json"], &file)));
    says_it(&ok(&warmup(&database, &["status"], "")));
    says_it(&ok(&warmup(&database, &["status", "--json"], "")));
    says_it(&ok(&warmup(&database, &["config", "check"], "")));
    let listed = warmup(&database, &["mailbox", "list"], "");
    assert!(!text(&listed).contains("warning"), "only what knows the enrolment or works says it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulation_takes_the_owners_of_the_database_and_the_suggested_line_fills_the_quota() {
    let database = database().await;
    let alone = simulated(&database, "4", &[]);
    assert_eq!(alone["users"], 1, "without mailboxes there is one owner");
    import(database.pool(), &many(500)).await.unwrap();

    let enough = simulated(&database, "500", &[("WARMUP_USER_HOURLY_LIMIT", "2668")]);
    assert_eq!((&enough["users"], &enough["owed"]), (&1.into(), &15_000.into()), "{enough}");
    assert_eq!((&enough["sent"], &enough["bottleneck"]), (&15_000.into(), &"none".into()), "{enough}");
    let short = simulated(&database, "6", &[("WARMUP_USER_HOURLY_LIMIT", "8")]);
    assert!(short["bottleneck"].as_str().unwrap().contains("WARMUP_USER_HOURLY_LIMIT"), "{short}");
}

#[tokio::test(flavor = "multi_thread")]
async fn self_defeating_settings_are_no_matter_of_every_command() {
    let database = database().await;
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmup"));
        command.args(args).env_clear().env("DATABASE_URL", database.url()).env("WARMUP_MIN_DAILY_QUOTA", "4");
        text(&command.output().unwrap())
    };
    for args in [&["status"][..], &["mailbox", "list"], &["events"], &["user", "list"]] {
        assert!(!run(args).contains("is obeyed"), "{args:?}");
    }
    assert!(run(&["config", "check"]).contains("WARMUP_MIN_DAILY_QUOTA: 4 is obeyed"));
}
