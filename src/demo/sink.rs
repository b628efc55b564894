//! The demo's mail host: a small SMTP server that journals what it accepts.
//!
//! It runs as a child process, so that nothing the worker believes can leak into it, and speaks what a submission
//! host speaks: STARTTLS, AUTH, enhanced status codes. One connection carries any number of mails with one recipient
//! each. It answers 250 to a mail only after its line is in the journal, so the journal is the truth that a proof
//! compares the ledger with.
//!
//! Some mails meet a *scenario* (see [`scenario`]): by the recipient's address, or a share of all mails by chance that
//! a seed repeats.
//!
//! It listens on a free port of the loopback address, says which on stdout as `{"port":N}`, and ends when its stdin
//! closes or on SIGTERM: it never outlives the parent that holds the other end.

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

/// How a sink behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where acceptances are written, one JSON line each.
    pub journal: PathBuf,
    /// Where the certificate to trust is written, as PEM.
    pub ca: PathBuf,
    /// The share of mails that meet a scenario whatever their address, in percent.
    pub faults: u8,
    /// Repeats which mails those are.
    pub seed: u64,
    /// Holds the one password that AUTH takes, for any user; any password is taken where `None`.
    pub password_file: Option<PathBuf>,
}

/// Why a sink does not run.
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
