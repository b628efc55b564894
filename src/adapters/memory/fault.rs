//! Faults on demand: a service in memory fails as the one it stands for does.

use std::sync::{Mutex, PoisonError};

use crate::ports::PortError;

/// How a service fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is away and does nothing: `PortError::Unavailable`.
    Unavailable,
    /// It does what was asked, and the answer is lost: `PortError::Unknown`.
    AnswerLost,
}

/// The fault that a service has now.
#[derive(Debug, Default)]
pub struct Faults {
    now: Mutex<Option<Fault>>,
}

impl Faults {
    /// From here on every call fails so; `None` mends it.
    pub fn set(&self, fault: Option<Fault>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Runs `operation` as the fault of the moment allows.
    pub(super) fn around<T>(&self, operation: impl FnOnce() -> T) -> Result<T, PortError> {
        let fault = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            None => Ok(operation()),
            Some(Fault::Unavailable) => Err(PortError::Unavailable("the fault that was asked for".into())),
            Some(Fault::AnswerLost) => {
                operation();
                Err(PortError::Unknown("the fault that was asked for".into()))
            }
        }
    }
}
