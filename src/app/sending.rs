//! The thread that mails are sent on. A dialogue is many short steps: they cost less where no other thread takes them over,
//! and nobody who asks the API waits behind them.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// A running thread. Ends when dropped, and what is left of its tasks with it.
pub(super) struct SendingThread {
    handle: Handle,
    _alive: oneshot::Sender<()>,
}

impl SendingThread {
    pub(super) fn start() -> io::Result<SendingThread> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel();
        thread::Builder::new().name("sending".into()).spawn(move || {
            // An error is the end that is waited for.
            let _ = runtime.block_on(gone);
        })?;
        Ok(SendingThread { handle, _alive: alive })
    }

    /// Where to spawn.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}
