//! The demo's mail host as a process of its own. Its journal names the recipient of each mail that it accepted.

use tempfile::TempDir;
use warmup::demo::sink::{Acceptance, Options, SinkHandle, read_journal, spawn};

/// A running sink. Dropping it kills the process.
pub struct Sink {
    handle: SinkHandle,
    _folder: TempDir,
}

impl Sink {
    pub async fn start() -> Sink {
        let folder = TempDir::new().unwrap();
        let (journal, ca) = (folder.path().join("journal.jsonl"), folder.path().join("ca.pem"));
        let options = Options { journal, ca, faults: 0, seed: 0, password_file: None };
        let handle = spawn(env!("CARGO_BIN_EXE_warmup").as_ref(), &options).await.unwrap();
        Sink { handle, _folder: folder }
    }

    pub fn port(&self) -> u16 {
        self.handle.port()
    }

    /// The value for `WARMUP_TLS_CA_FILE`.
    pub fn ca_file(&self) -> String {
        self.handle.ca_file().display().to_string()
    }

    /// The mails that it accepted, in order.
    pub fn accepted(&self) -> Vec<Acceptance> {
        read_journal(self.handle.journal()).unwrap()
    }
}
