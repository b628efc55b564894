//! The commands as a person runs them, and the canary: no password in anything they print, or in the database.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

/// Runs `warmup` with `args` on `database`, `input` on its standard input.
pub fn warmup(database: &TestDatabase, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_warmup"))
        .args(args)
        .env_clear()
        .env("DATABASE_URL", database.url())
        .env("WARMUP_MASTER_KEY", STANDARD.encode(KEY))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have closed it already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_database_to_a_list_of_mailboxes() {
    let database = world::empty_postgres().await;
    let refused = warmup(&database, &["status"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("run `warmup migrate`"), "{}", text(&refused));
    assert!(ok(&warmup(&database, &["migrate"], "")).contains("the database is at migration"));

    let dry = ok(&warmup(&database, &["mailbox", "import", "-", "--dry-run"], &many(2)));
    assert!(dry.starts_with("dry run, nothing was written: 2 mailboxes, 2 new, 0 changed, 0 unchanged"), "{dry}");
    assert_eq!(
        ok(&warmup(&database, &["mailbox", "list"], "")).trim(),
        "no mailbox is enrolled: `warmup mailbox import FILE.csv`"
    );
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(many(2).as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    assert!(ok(&warmup(&database, &["mailbox", "import", path], "")).starts_with("imported: 2 mailboxes, 2 new"));

    let list = ok(&warmup(&database, &["mailbox", "list"], ""));
    assert!(list.contains("m0@d0.example") && list.contains("operator@localhost") && list.contains("active"), "{list}");
    let show = ok(&warmup(&database, &["mailbox", "show", "M1@D0.example"], ""));
    assert!(show.contains("sends next") && show.contains("smtp.d0.example:587 (starttls)"), "{show}");
    let status = ok(&warmup(&database, &["status"], ""));
    assert!(status.contains("2 enabled") && status.contains("256 shards of nobody"), "{status}");
    let missing = warmup(&database, &["mailbox", "show", "nobody@x.org"], "");
    assert!(missing.status.code() == Some(1) && text(&missing).contains("there is no mailbox"), "{}", text(&missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_listed_is_listed_as_json_too() {
    let database = database().await;
    let json = |args: &[&str], input: &str| -> serde_json::Value {
        serde_json::from_slice(&warmup(&database, args, input).stdout).unwrap()
    };
    let report = json(&["mailbox", "import", "-", "--json"], &many(2));
    assert_eq!((report["new"][1].as_str(), report["unchanged"].as_u64()), (Some("m1@d0.example"), Some(0)));
    let faults = json(&["mailbox", "import", "-", "--json"], &csv(&["x,canary-nightjar,h,0"]));
    assert_eq!(
        (faults["faults"][0]["line"].as_u64(), faults["faults"][1]["column"].as_str()),
        (Some(2), Some("smtp_port"))
    );
    assert_eq!(json(&["mailbox", "list", "--json"], "")[0]["email"], "m0@d0.example");
    assert_eq!(json(&["mailbox", "show", "m0@d0.example", "--json"], "")["dailyMax"], 30);
    let status = json(&["status", "--json"], "");
    assert_eq!((status["enabled"].as_u64(), status["shards"][0]["shards"].as_u64()), (Some(2), Some(256)));
    assert_eq!(json(&["migrate", "--json"], "")["applied"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_ever_printed_or_stored_readably() {
    let database = database().await;
    let secret = database.url().split(['/', '@', ':']).nth(4).unwrap().to_owned();
    let slipped =
        format!("{HEADER}\n{CANARY},{CANARY},{CANARY},{CANARY}\na@x.org,{CANARY},{CANARY} {CANARY},{CANARY}\n");
    let unquoted = format!("{HEADER}\na@x.org,{CANARY},{CANARY},h.org,587\n");
    let headless = format!("a@x.org,{CANARY},h.org,587\n");
    let odd_header = format!("{CANARY},password,smtp_host,smtp_port\na@x.org,{CANARY},h.org,587\n");
    let open_quote = format!("{HEADER}\na@x.org,\"{CANARY},h.org,587\nb@x.org,{CANARY},h.org,587\n");
    let secret_line = format!("{CANARY}-7\n");
    let changed = many(2).replace(CANARY, &format!("{CANARY}-2"));
    let import = &["mailbox", "import", "-"][..];
    let mut printed = String::new();
    for (args, input) in [
        (&["mailbox", "import", "-", "--dry-run"][..], &many(2)),
        (import, &many(2)),
        (import, &changed),
        (&["mailbox", "import", "-", "--json"], &many(3)),
        (import, &slipped),
        (import, &unquoted),
        (import, &headless),
        (import, &odd_header),
        (import, &open_quote),
        (&["mailbox", "import", "-", "--json"], &slipped),
        (&["mailbox", "list"], &String::new()),
        (&["mailbox", "list", "--json"], &String::new()),
        (&["mailbox", "show", "m0@d0.example"], &String::new()),
        (&["mailbox", "show", "m0@d0.example", "--json"], &String::new()),
        (&["status"], &String::new()),
        (&["status", "--json"], &String::new()),
        (&["migrate"], &String::new()),
        (
            &["mailbox", "add", "new@x.org", "--smtp-host", "h.org", "--smtp-port", "587", "--password-stdin"],
            &secret_line,
        ),
        (&["mailbox", "add", "odd@x.org", "--smtp-host", "h h", "--smtp-port", "0", "--password-stdin"], &secret_line),
        (&["mailbox", "set", "m0@d0.example", "--password-stdin", "--json"], &secret_line),
        (&["mailbox", "set", "m0@d0.example", "--password-stdin"], &format!("{CANARY}\n{CANARY}")),
        (&["mailbox", "pause", "m0@d0.example"], &String::new()),
        (&["mailbox", "resume", "m0@d0.example", "--json"], &String::new()),
        (&["mailbox", "remove", "m1@d0.example"], &String::new()),
        (&["user", "list"], &String::new()),
        (&["events", "--json"], &String::new()),
        (&["keys", "rotate", "--key-stdin"], &format!("{CANARY}\n")),
    ] {
        printed.push_str(&text(&warmup(&database, args, input)));
    }
    assert!(printed.contains("m0@d0.example") && printed.contains("faults"));
    let key = STANDARD.encode(KEY);
    for hidden in [CANARY, &key, &secret] {
        assert!(!printed.contains(hidden), "{hidden} is in {printed}");
    }
    let stored = dump(database.pool()).await;
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(stored.contains("m0@d0.example") && !stored.contains(CANARY) && !stored.contains(&hex));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_named_without_its_password() {
    let run = |url: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmup"));
        let output = command.args(["status"]).env_clear().env("DATABASE_URL", url).output().unwrap();
        (output.status.code(), text(&output))
    };
    // Nothing listens on port 1 of this machine.
    let (code, told) = run("postgres://user:canary-nightjar@127.0.0.1:1/warm");
    assert_eq!(code, Some(1));
    assert!(told.contains("127.0.0.1:1 (database warm)") && !told.contains(CANARY), "{told}");
    let database = database().await;
    let wrong = database.url().replacen(database.url().split(['/', '@', ':']).nth(4).unwrap(), CANARY, 1);
    let (code, told) = run(&wrong);
    assert_eq!(code, Some(1));
    assert!(told.contains("authentication failed") && !told.contains(CANARY), "{told}");
}
