//! An exporter says once when it fails, and once when it is well again.

use std::{
    fmt::Display,
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether what is exported, named so, fails.
#[derive(Debug)]
pub(super) struct FailureLog {
    of: &'static str,
    fails: AtomicBool,
}

impl FailureLog {
    pub(super) fn of(of: &'static str) -> FailureLog {
        FailureLog { of, fails: AtomicBool::new(false) }
    }

    /// Says what came of an export, where it is news.
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
