//! `SmtpSink` runs Postfix's own `smtp-sink`, which accepts and counts every mail. A machine without it fails
//! the test.

use std::{
    fs::{File, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::{NamedTempFile, TempDir};
use tokio::net::TcpStream;

use crate::headers::{bare, header};

/// A running `smtp-sink` on 127.0.0.1. It is killed when dropped.
pub struct SmtpSink {
    port: u16,
    child: Child,
    counters: NamedTempFile,
    dumps: Option<TempDir>,
}

/// An accepted mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The envelope's sender and recipient.
    pub from: String,
    pub to: String,
    /// The Message-ID without angle brackets.
    pub message_id: String,
}

impl SmtpSink {
    /// Starts a sink on a free port.
    ///
    /// `smtp-sink` can't choose a port itself, so the function tries free ports until the sink gets one.
    pub async fn start() -> SmtpSink {
        SmtpSink::start_with(false).await
    }

    /// Starts a sink that stores its accepted mails for `mails`.
    pub async fn keeping() -> SmtpSink {
        SmtpSink::start_with(true).await
    }

    async fn start_with(keeping: bool) -> SmtpSink {
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let port = port.expect("the loopback address has a free port").port();
            let mut sink = SmtpSink::on(port, keeping.then(dump_folder));
            if sink.listens().await {
                return sink;
            }
        }
        panic!("smtp-sink does not start: try `{} -c 127.0.0.1:2525 1024` by hand", program().display());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the number of accepted mails. The sink counts a mail before it answers the final dot.
    pub fn taken(&self) -> u64 {
        let text = std::fs::read_to_string(self.counters.path()).expect("the counters are a file of ours");
        let last = text.rsplit("mesg=").next().filter(|_| text.contains("mesg="));
        last.map_or(0, |count| count.trim().parse().expect("mesg= is followed by a number"))
    }

    /// Returns the accepted mails with their envelopes. The sink writes a mail before it answers the final
    /// dot.
    pub fn mails(&self) -> Vec<Taken> {
        let dumps = self.dumps.as_ref().expect("only a sink that was started by `keeping` keeps mails");
        let files = std::fs::read_dir(dumps.path()).expect("the folder is ours");
        let text = |file: std::io::Result<std::fs::DirEntry>| {
            std::fs::read(file.expect("the folder can be listed").path()).expect("a dump of ours can be read")
        };
        files.map(|file| Taken::read(&String::from_utf8_lossy(&text(file)))).collect()
    }

    fn on(port: u16, dumps: Option<TempDir>) -> SmtpSink {
        let counters = NamedTempFile::new().expect("a temporary file can be made");
        let stdout = File::create(counters.path()).expect("the temporary file can be written");
        let mut command = Command::new(program());
        // Only root can switch to nobody, and only root must.
        if is_root() {
            command.args(["-u", "nobody"]);
        }
        if let Some(dumps) = &dumps {
            command.arg("-d").arg(dumps.path().join("mail."));
        }
        command.args(["-c", &format!("127.0.0.1:{port}"), "1024"]);
        let child = command.stdout(Stdio::from(stdout)).stderr(Stdio::null()).spawn().expect("smtp-sink starts");
        SmtpSink { port, child, counters, dumps }
    }

    /// Waits until the sink accepts connections. Returns false if it ended because the port was taken
    /// meanwhile.
    async fn listens(&mut self) -> bool {
        for _ in 0..1000 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

impl Taken {
    /// Parses a dump: the envelope in smtp-sink's own header fields, then the mail as received.
    fn read(dump: &str) -> Taken {
        let value = |name| bare(header(dump, name));
        Taken { from: value("X-Mail-Args"), to: value("X-Rcpt-Args"), message_id: value("Message-ID") }
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates a folder that smtp-sink can write to as nobody.
fn dump_folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder can be made");
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("the folder is ours");
    folder
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
}

fn program() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain(["/usr/sbin".into(), "/usr/libexec/postfix".into()]);
    let mut programs = folders.map(|folder| folder.join("smtp-sink"));
    programs.find(|path| path.exists()).expect("smtp-sink is missing: install Postfix")
}
