//! What is asked on a terminal: a password without echo, a question that wants a yes.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::*;

/// A command whose standard input and error are a terminal, and our end of it.
struct Terminal {
    child: Child,
    ours: File,
    seen: String,
}

impl Terminal {
    fn run(database: &TestDatabase, args: &[&str]) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = || File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmup"));
        command.args(args).env_clear().env("DATABASE_URL", database.url());
        command.env("WARMUP_MASTER_KEY", STANDARD.encode(KEY));
        command.stdin(theirs()).stderr(theirs()).stdout(Stdio::piped());
        Terminal { child: command.spawn().unwrap(), ours: File::from(ours), seen: String::new() }
    }

    /// Reads until the terminal shows `words`.
    fn shows(&mut self, words: &str) {
        let mut bytes = [0; 256];
        while !self.seen.contains(words) {
            let read = self.ours.read(&mut bytes).unwrap_or(0);
            assert!(read > 0, "{words} is not in {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }

    fn types(&mut self, line: &str) {
        self.ours.write_all(line.as_bytes()).unwrap();
    }

    /// Waits for the end: what was printed, and what the terminal showed.
    fn ends(mut self) -> (Option<i32>, String, String) {
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        let code = self.child.wait().unwrap().code();
        let mut bytes = [0; 4096];
        // The end of a terminal that nobody holds any more is an error on Linux.
        while let Ok(read) = self.ours.read(&mut bytes) {
            if read == 0 {
                break;
            }
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        (code, printed, self.seen)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_asked_for_and_not_shown() {
    let database = database().await;
    let add = ["mailbox", "add", "a@x.org", "--smtp-host", "h.org", "--smtp-port", "587"];
    let mut terminal = Terminal::run(&database, &add);
    terminal.shows("password: ");
    terminal.types(&format!("{CANARY}\n"));
    let (code, printed, seen) = terminal.ends();
    assert_eq!(code, Some(0), "{seen}");
    assert!(printed.starts_with("added: 1 mailbox") && !seen.contains(CANARY), "{seen}");
    let mut set = Terminal::run(&database, &["mailbox", "set", "a@x.org", "--password"]);
    set.shows("password: ");
    set.types(&format!("{CANARY}\n"));
    let (code, printed, seen) = set.ends();
    assert!(
        code == Some(0) && printed.starts_with("set: 1 mailbox, 0 new, 0 changed, 1 unchanged"),
        "{printed} {seen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_yes_is_a_yes() {
    let database = database().await;
    import(database.pool(), &many(4)).await.unwrap();
    let active = "SELECT count(*) FROM mailboxes WHERE state = 'active'";
    for (answer, code, left) in [("\n", 1, 4), ("no\n", 1, 4), ("y\n", 0, 0)] {
        let mut terminal = Terminal::run(&database, &["mailbox", "remove", "--all"]);
        terminal.shows("remove (its password is erased) 4 mailboxes of all");
        terminal.shows("[y/N]");
        terminal.types(answer);
        let (ended, printed, _) = terminal.ends();
        assert_eq!(ended, Some(code), "{printed}");
        let active: i64 = sqlx::query_scalar(active).fetch_one(database.pool()).await.unwrap();
        assert_eq!(active, left, "{answer:?}");
    }
}
