//! The bell in memory.

use async_trait::async_trait;
use tokio::sync::{Mutex, broadcast};

use crate::ports::{
    PortError,
    orders::{Bell, Ring},
};

/// Rings that a listener may be behind; then it hears `Ordered`, and reads what stands.
const BACKLOG: usize = 64;

/// One worker's ear at the fleet's bell.
pub struct MemoryBell {
    rope: broadcast::Sender<Ring>,
    ear: Mutex<Option<broadcast::Receiver<Ring>>>,
}

impl MemoryBell {
    /// A bell that nobody else hears yet.
    pub fn cast() -> MemoryBell {
        MemoryBell { rope: broadcast::Sender::new(BACKLOG), ear: Mutex::default() }
    }

    /// Another worker's ear at the same bell.
    pub fn another(&self) -> MemoryBell {
        MemoryBell { rope: self.rope.clone(), ear: Mutex::default() }
    }
}

#[async_trait]
impl Bell for MemoryBell {
    async fn next(&self) -> Ring {
        let mut ear = self.ear.lock().await;
        let Some(listening) = ear.as_mut() else {
            *ear = Some(self.rope.subscribe());
            return Ring::Ordered;
        };
        // The rope is ours as well: it is never gone.
        listening.recv().await.unwrap_or(Ring::Ordered)
    }

    async fn ring(&self, ring: Ring) -> Result<(), PortError> {
        // Nobody listens yet: whoever begins to hears `Ordered`.
        let _ = self.rope.send(ring);
        Ok(())
    }
}
