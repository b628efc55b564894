//! `Faults` injects the faults of a service into its adapter in memory.

use std::sync::{Mutex, PoisonError};

use crate::ports::PortError;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service is away and does nothing: `PortError::Unavailable`.
    Unavailable,
    /// The service runs out of time and undoes its work: `PortError::Slow`.
    Slow,
    /// The request is lost before the service executes it: `PortError::Unknown`.
    RequestLost,
    /// The service executes the request, and its answer is lost: `PortError::Unknown`.
    AnswerLost,
}

/// The present fault of a service.
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
    /// Makes every call fail with `fault`, until `None` ends it.
    pub fn set(&self, fault: Option<Fault>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (fault, Lasting::UntilMended);
    }

    /// Makes only the next call fail with `fault`.
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

    /// Runs `operation` with the present fault.
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
