//! The sink is the demo's mail host: a small SMTP server that journals each mail that it accepts.
//!
//! It is a child process, so no state of the worker can reach it. It speaks like a submission host: STARTTLS,
//! AUTH, enhanced status codes. One connection carries any number of mails with one recipient each. It answers
//! 250 to a mail only after its line is in the journal, so the audit can compare the ledger with the journal.
//!
//! Some mails meet a *scenario* (see [`scenario`]): by the recipient's address, or as a random share of all
//! mails that a seed repeats.
//!
//! The sink listens on a free port of the loopback address and prints the port on stdout as `{"port":N}`. It
//! ends when its stdin closes or on SIGTERM, so it never outlives the parent, which holds the other end.

pub mod certificate;
mod child;
mod input;
mod journal;
pub mod scenario;
mod server;
mod session;

use std::path::PathBuf;

use thiserror::Error;

pub use self::{
    child::{SinkHandle, spawn},
    journal::{Acceptance, read_journal},
    server::serve,
};

/// The options of a sink.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file of the acceptances, one JSON line each.
    pub journal: PathBuf,
    /// The file for the certificate to trust, in PEM.
    pub ca: PathBuf,
    /// The share of mails that meet a scenario whatever their address, in percent.
    pub faults: u8,
    /// The seed that chooses these mails.
    pub seed: u64,
    /// The file with the one password that AUTH accepts for any user; if `None`, AUTH accepts any password.
    pub password_file: Option<PathBuf>,
}

/// The reasons why a sink does not run.
#[derive(Debug, Error)]
pub enum SinkError {
    #[error("{path}: {error}", path = .path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{path} line {line} is no acceptance: {error}", path = .path.display())]
    Journal { path: PathBuf, line: usize, error: serde_json::Error },
    #[error("the sink's certificate can't be made: {0}")]
    Certificate(String),
    #[error("the sink does not listen: {0}")]
    Listen(std::io::Error),
    #[error("{exe} does not start: {error}", exe = .exe.display())]
    Start { exe: PathBuf, error: std::io::Error },
    #[error("the sink ended or stayed silent instead of naming its port: {0}")]
    NotReady(String),
}
