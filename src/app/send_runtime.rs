//! `SendRuntime` is the thread on which the worker sends mails.
//!
//! An SMTP dialogue consists of many short steps. They cost less on one thread that never hands them over, and
//! API requests do not wait behind them.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// A `SendRuntime` is a running thread. Dropping it ends the thread and cancels its remaining tasks.
pub(super) struct SendRuntime {
    handle: Handle,
    _alive: oneshot::Sender<()>,
}

impl SendRuntime {
    pub(super) fn start() -> io::Result<SendRuntime> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel();
        thread::Builder::new().name("sending".into()).spawn(move || {
            // `block_on` returns an error when the sender is dropped, which is the signal to end.
            let _ = runtime.block_on(gone);
        })?;
        Ok(SendRuntime { handle, _alive: alive })
    }

    /// Returns the handle that spawns tasks on this thread.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_spawned_there_runs_there_and_ends_with_it() {
        let sending = SendRuntime::start().unwrap();
        let name = sending.handle().spawn(async { thread::current().name().map(str::to_owned) });
        assert_eq!(name.await.unwrap().as_deref(), Some("sending"));
        let endless = sending.handle().spawn(std::future::pending::<()>());
        drop(sending);
        assert!(endless.await.unwrap_err().is_cancelled());
    }
}
