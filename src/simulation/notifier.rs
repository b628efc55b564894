//! The bell in memory.

use async_trait::async_trait;
use tokio::sync::{Mutex, broadcast};

use crate::ports::{
    PortError,
    fleet_control::{Bell, Notification},
};

/// Rings that a listener may be behind; then it hears `Ordered`, and reads what stands.
const BACKLOG: usize = 64;

/// One worker's ear at the fleet's bell.
pub struct MemoryNotifier {
    rope: broadcast::Sender<Notification>,
    ear: Mutex<Option<broadcast::Receiver<Notification>>>,
}

impl MemoryNotifier {
    /// A bell that nobody else hears yet.
    pub fn cast() -> MemoryNotifier {
        MemoryNotifier { rope: broadcast::Sender::new(BACKLOG), ear: Mutex::default() }
    }

    /// Another worker's ear at the same bell.
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
        // The rope is ours as well: it is never gone.
        listening.recv().await.unwrap_or(Notification::Ordered)
    }

    async fn ring(&self, ring: Notification) -> Result<(), PortError> {
        // Nobody listens yet: whoever begins to hears `Ordered`.
        let _ = self.rope.send(ring);
        Ok(())
    }
}
