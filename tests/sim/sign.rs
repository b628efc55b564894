//! A sign that many read and some wait for. Tokio's `watch` wakes its readers in a random order, which no seed replays;
//! here they wake in the order in which they began to wait.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct OrderedWatch<T> {
    shows: Mutex<T>,
    changed: Notify,
}

impl<T: Copy + PartialEq> OrderedWatch<T> {
    pub fn showing(shows: T) -> OrderedWatch<T> {
        OrderedWatch { shows: Mutex::new(shows), changed: Notify::new() }
    }

    pub fn read(&self) -> T {
        *self.lock()
    }

    pub fn show(&self, shows: T) {
        *self.lock() = shows;
        self.changed.notify_waiters();
    }

    /// Waits until it shows what is `wanted`, and returns that.
    pub async fn wait_for(&self, wanted: impl Fn(T) -> bool) -> T {
        loop {
            // Before the look, so that no change falls between the two.
            let changed = self.changed.notified();
            let shows = self.read();
            if wanted(shows) {
                return shows;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.shows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
