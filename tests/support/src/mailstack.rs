//! `MailStack` starts real mail servers: a private Postfix with AUTH that delivers by LMTP to a private
//! Dovecot, on free loopback ports.
//!
//! ```text
//!   warmup ──STARTTLS or TLS, AUTH──▶ Postfix ──queue──▶ LMTP ──▶ Dovecot ──▶ vmail/<domain>/<user>/Maildir
//!                                        └──AUTH──▶ Dovecot's auth socket
//! ```
//!
//! Both servers move to the background, so neither is a child of this process; the watcher is. The watcher's
//! stdin ends with this process, even if the process is killed. Then the watcher stops both servers by their
//! own commands (that of Postfix ends with SIGKILL), and kills Dovecot if it still runs.
//!
//! The master process of Postfix requires root. Without root, Postfix or Dovecot the test fails and names the
//! missing part.

mod identity;
mod store;
mod text;

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

pub use self::{identity::Authority, store::Delivered};

/// The accounts that may log in, and the recipients.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// The address and the password of each login.
    pub logins: Vec<(String, String)>,
    /// The logins that the server does not know as recipients.
    pub unknown: Vec<String>,
}

/// A running Postfix and Dovecot. Both end when it is dropped.
pub struct MailStack {
    ports: Ports,
    watcher: Option<Child>,
    folder: TempDir,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    starttls: u16,
    tls: u16,
    lmtp: u16,
}

/// The script of the watcher: it stops the servers in the folder `$1` once its stdin ends.
const WATCHER: &str = r#"
dir=$1
while read -r _; do :; done
postfix -c "$dir/postfix" stop
doveadm -c "$dir/dovecot.conf" stop
pid=$(cat "$dir/run/master.pid") && kill -s KILL "$pid"
rm -rf -- "$dir"
"#;

/// The number of attempts: another process may take a free port before its server binds it.
const ATTEMPTS: u32 = 5;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const INSTALL: &str = "install them: make setup, or apt install postfix dovecot-imapd dovecot-lmtpd dovecot-sieve";

impl MailStack {
    /// Starts both servers with a certificate of `authority` for the host name `localhost` only.
    pub async fn start(authority: &Authority, accounts: Accounts) -> MailStack {
        let authority = authority.clone();
        // The following steps block: they run processes that move to the background.
        let started = tokio::task::spawn_blocking(move || {
            check_machine();
            let mut complaint = String::new();
            for _ in 0..ATTEMPTS {
                match MailStack::try_start(&authority, &accounts) {
                    Ok(stack) => return stack,
                    Err(log) => complaint = log,
                }
            }
            panic!("Postfix and Dovecot do not start:\n{complaint}");
        });
        started.await.expect("the servers start")
    }

    /// Returns the port that offers STARTTLS, like port 587.
    pub fn starttls_port(&self) -> u16 {
        self.ports.starttls
    }

    /// Returns the port with TLS from the first byte, like port 465.
    pub fn tls_port(&self) -> u16 {
        self.ports.tls
    }

    /// Returns the log of Postfix.
    pub fn postfix_log(&self) -> String {
        self.read("postfix.log")
    }

    /// Returns the log of Dovecot, which includes every failed login.
    pub fn dovecot_log(&self) -> String {
        self.read("dovecot.log")
    }

    /// Changes the logins: from now on only these may log in, with these passwords.
    pub fn change_passwords(&self, logins: Vec<(String, String)>) {
        let accounts = Accounts { logins, unknown: vec![] };
        // Dovecot reads the file again if it was replaced.
        let (new, passwd) = (self.path().join("passwd.new"), self.path().join("passwd"));
        fs::write(&new, text::passwd(&accounts)).expect("the folder is ours");
        fs::rename(new, passwd).expect("the folder is ours");
    }

    /// Makes Postfix hold all mails that it accepts from now on, without delivery.
    pub fn hold(&self) {
        let main_cf = self.path().join("postfix/main.cf");
        let text = fs::read_to_string(&main_cf).expect("the file is ours");
        let holds = text + "smtpd_end_of_data_restrictions = check_client_access static:HOLD\n";
        fs::write(main_cf, holds).expect("the folder is ours");
        let reloaded = run(self.path(), "postfix", &["-c".as_ref(), &self.path().join("postfix"), "reload".as_ref()]);
        assert!(reloaded, "Postfix does not reload:\n{}", self.postfix_log());
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn try_start(authority: &Authority, accounts: &Accounts) -> Result<MailStack, String> {
        let folder = tempfile::Builder::new().prefix("warmup-mail-").tempdir().expect("a temporary folder");
        let ports = free_ports();
        lay_out(folder.path(), ports, authority, accounts);
        // The watcher starts first, so that it stops every server that starts.
        let stack = MailStack { ports, watcher: Some(watch(folder.path())), folder };
        let (dovecot, postfix) = (stack.path().join("dovecot.conf"), stack.path().join("postfix"));
        let started = run(stack.path(), "dovecot", &["-c".as_ref(), &dovecot])
            && run(stack.path(), "postfix", &["-c".as_ref(), &postfix, "start".as_ref()]);
        match started {
            true => Ok(stack),
            false => Err([stack.read("start.log"), stack.dovecot_log(), stack.postfix_log()].concat()),
        }
    }
}

impl Drop for MailStack {
    fn drop(&mut self) {
        if let Some(mut watcher) = self.watcher.take() {
            drop(watcher.stdin.take());
            let _ = watcher.wait();
        }
    }
}

fn check_machine() {
    for program in ["postfix", "dovecot", "doveadm"] {
        let found = PATH.split(':').any(|folder| Path::new(folder).join(program).exists());
        assert!(found, "{program} is missing; these tests run on a real Postfix and Dovecot: {INSTALL}");
    }
    let root = fs::metadata("/proc/self").is_ok_and(|us| std::os::unix::fs::MetadataExt::uid(&us) == 0);
    assert!(root, "these tests start a private Postfix, whose master runs as root only: run them as root");
}

fn lay_out(dir: &Path, ports: Ports, authority: &Authority, accounts: &Accounts) {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    for name in ["postfix", "spool", "data", "run", "state", "vmail"] {
        fs::create_dir(dir.join(name)).expect("a fresh folder takes folders");
    }
    give(&dir.join("data"), user("postfix"));
    give(&dir.join("vmail"), user("nobody"));
    let (certificate, key) = authority.issue("localhost");
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).expect("a fresh folder takes files");
    write("certificate.pem", &certificate);
    write("key.pem", &key);
    write("passwd", &text::passwd(accounts));
    write("dovecot.conf", &text::dovecot(dir, ports, user("nobody")));
    write("postfix/main.cf", &text::main_cf(dir, ports, &daemon_folder()));
    write("postfix/master.cf", &text::master_cf(ports));
    write("postfix/domains", &text::domains(accounts));
    write("postfix/mailboxes", &text::mailboxes(accounts));
}

fn give(path: &Path, (uid, gid): (u32, u32)) {
    chown(path, Some(uid), Some(gid)).expect("root gives its folders away");
}

/// Returns the user id and the group id of `name` from `passwd(5)`.
fn user(name: &str) -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let ours = fields.next()? == name;
        let ids = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        ours.then_some(ids)
    });
    found.unwrap_or_else(|| panic!("this machine has no user {name}: {INSTALL}"))
}

/// Returns the daemon folder of this Postfix by its defaults, because it may have no configuration.
fn daemon_folder() -> String {
    let asked = Command::new("postconf").args(["-d", "-h", "daemon_directory"]).env("PATH", PATH).output();
    let told = asked.expect("postconf comes with Postfix").stdout;
    String::from_utf8_lossy(&told).trim().to_owned()
}

fn watch(dir: &Path) -> Child {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", WATCHER, "warmup-mailstack"]).arg(dir).env("PATH", PATH).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("there is a shell")
}

/// Runs a program that moves to the background. Its output goes to a file, because a daemon keeps the output open.
fn run(dir: &Path, program: &str, args: &[&Path]) -> bool {
    let log = || fs::OpenOptions::new().create(true).append(true).open(dir.join("start.log")).expect("our folder");
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", PATH).stdin(Stdio::null()).stdout(log()).stderr(log());
    command.status().expect("the program was found a moment ago").success()
}

/// Returns ports that were all free at one moment, so that they differ.
fn free_ports() -> Ports {
    let sockets = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [starttls, tls, lmtp] = sockets.each_ref().map(|socket| socket.local_addr().expect("a bound socket").port());
    Ports { starttls, tls, lmtp }
}

/// Returns all files below `dir`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            Ok(kind) if kind.is_file() => vec![entry.path()],
            _ => vec![],
        })
        .collect()
}
