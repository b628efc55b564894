//! The thread that mails are sent on. A dialogue is many short steps: they cost less where no other thread takes them over,
//! and nobody who asks the API waits behind them.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// A running thread. Ends when dropped, and what is left of its tasks with it.
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
            // An error is the end that is waited for.
            let _ = runtime.block_on(gone);
        })?;
        Ok(SendRuntime { handle, _alive: alive })
    }

    /// Where to spawn.
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
