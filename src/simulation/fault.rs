//! Faults on demand: a service in memory fails as the one it stands for does.

use std::sync::{Mutex, PoisonError};

use crate::ports::PortError;

/// How a service fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is away and does nothing: `PortError::Unavailable`.
    Unavailable,
    /// It is there, runs out of time, and undoes what it did: `PortError::Slow`.
    Slow,
    /// The request is lost with its connection, before anything was done: `PortError::Unknown`.
    RequestLost,
    /// It does what was asked, and the answer is lost: `PortError::Unknown`.
    AnswerLost,
}

/// The fault that a service has now.
#[derive(Debug, Default)]
pub struct Faults {
    now: Mutex<(Option<Fault>, Lasting)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lasting {
    #[default]
    UntilMended,
    OneCall,
}

impl Faults {
    /// From here on every call fails so; `None` mends it.
    pub fn set(&self, fault: Option<Fault>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (fault, Lasting::UntilMended);
    }

    /// The next call fails so, and the ones behind it do not.
    pub fn set_once(&self, fault: Fault) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (Some(fault), Lasting::OneCall);
    }

    fn take(&self) -> Option<Fault> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = now.0;
        if now.1 == Lasting::OneCall {
            *now = (None, Lasting::UntilMended);
        }
        fault
    }

    /// Runs `operation` as the fault of the moment allows.
    pub(super) fn around<T>(&self, operation: impl FnOnce() -> T) -> Result<T, PortError> {
        match self.take() {
            None => Ok(operation()),
            Some(Fault::Unavailable) => Err(PortError::Unavailable("the fault that was asked for".into())),
            Some(Fault::Slow) => Err(PortError::Slow("the fault that was asked for".into())),
            Some(Fault::RequestLost) => Err(PortError::Unknown("the fault that was asked for".into())),
            Some(Fault::AnswerLost) => {
                operation();
                Err(PortError::Unknown("the fault that was asked for".into()))
            }
        }
    }
}
