//! `FailureLog` logs once when an export begins to fail, and once when it succeeds again.

use std::{
    fmt::Display,
    sync::atomic::{AtomicBool, Ordering},
};

/// The state of the export of one kind of data.
#[derive(Debug)]
pub(super) struct FailureLog {
    of: &'static str,
    fails: AtomicBool,
}

impl FailureLog {
    pub(super) fn of(of: &'static str) -> FailureLog {
        FailureLog { of, fails: AtomicBool::new(false) }
    }

    /// Logs the result of an export if it differs from the previous one.
    pub(super) fn note<E: Display>(&self, exported: &Result<(), E>) {
        let of = self.of;
        match (exported, self.fails.swap(exported.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => {
                tracing::warn!(%error, "{of} can't be exported and are lost until they can; mails go on");
            }
            (Ok(()), true) => tracing::info!("{of} are exported again"),
            _ => {}
        }
    }
}
