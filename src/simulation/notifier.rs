//! `MemoryNotifier` sends notifications between simulated workers in memory.

use async_trait::async_trait;
use tokio::sync::{Mutex, broadcast};

use crate::ports::{
    PortError,
    fleet_control::{Bell, Notification},
};

/// The maximum number of unread notifications. A listener that lags further behind receives `Ordered` instead.
const BACKLOG: usize = 64;

/// The subscription of one worker to the fleet's notifications.
pub struct MemoryNotifier {
    rope: broadcast::Sender<Notification>,
    ear: Mutex<Option<broadcast::Receiver<Notification>>>,
}

impl MemoryNotifier {
    /// Creates the first subscription of a fleet.
    pub fn cast() -> MemoryNotifier {
        MemoryNotifier { rope: broadcast::Sender::new(BACKLOG), ear: Mutex::default() }
    }

    /// Creates the subscription of another worker of the fleet.
    pub fn another(&self) -> MemoryNotifier {
        MemoryNotifier { rope: self.rope.clone(), ear: Mutex::default() }
    }
}

#[async_trait]
impl Bell for MemoryNotifier {
    async fn next(&self) -> Notification {
        let mut ear = self.ear.lock().await;
        let Some(listening) = ear.as_mut() else {
            *ear = Some(self.rope.subscribe());
            return Notification::Ordered;
        };
        // The sender is in `self`, so the channel is never closed.
        listening.recv().await.unwrap_or(Notification::Ordered)
    }

    async fn ring(&self, ring: Notification) -> Result<(), PortError> {
        // Without a listener nothing is lost: each begins with `Ordered`.
        let _ = self.rope.send(ring);
        Ok(())
    }
}
