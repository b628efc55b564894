//! The bell over Redis pub/sub: a connection of its own that listens, and a PUBLISH that rings.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::{Client, RedisError, aio::PubSubStream};
use tokio::{sync::Mutex, time::timeout};

use super::{Keys, Pool, pool};
use crate::ports::{
    Clock, PortError,
    orders::{Bell, Ring},
};

/// How long the line stays cut before another is laid; machine clock.
const AGAIN: Duration = Duration::from_secs(1);

/// The bell of the fleet under one prefix.
pub struct RedisBell {
    client: Client,
    pool: Pool,
    channel: String,
    clock: Arc<dyn Clock>,
    line: Mutex<Option<PubSubStream>>,
}

impl RedisBell {
    /// Listens at `url` and rings through `pool`, without connecting yet.
    ///
    /// Returns `Permanent` when the URL can't be used. It may hold a password and is never part of an error.
    pub fn new(url: &str, pool: Pool, prefix: &str, clock: Arc<dyn Clock>) -> Result<RedisBell, PortError> {
        let client = Client::open(url).map_err(|_| PortError::Permanent("REDIS_URL can't be listened at".into()))?;
        Ok(RedisBell { client, pool, channel: Keys::new(prefix).bell(), clock, line: Mutex::default() })
    }

    async fn listen(&self) -> Result<PubSubStream, RedisError> {
        let mut line = self.client.get_async_pubsub().await?;
        line.subscribe(&self.channel).await?;
        Ok(line.into_on_message())
    }
}

#[async_trait]
impl Bell for RedisBell {
    async fn next(&self) -> Ring {
        let mut line = self.line.lock().await;
        loop {
            let Some(listening) = line.as_mut() else {
                match timeout(pool::CALL_TIMEOUT, self.listen()).await {
                    Ok(Ok(listening)) => {
                        *line = Some(listening);
                        return Ring::Ordered;
                    }
                    _ => self.clock.pause(AGAIN).await,
                }
                continue;
            };
            match listening.next().await.map(|message| message.get_payload::<String>()) {
                Some(Ok(word)) => match Ring::ALL.into_iter().find(|ring| ring.as_str() == word) {
                    Some(ring) => return ring,
                    None => tracing::debug!(word, "the bell says what this release does not know"),
                },
                Some(Err(error)) => tracing::debug!(%error, "the bell says what is no text"),
                None => *line = None,
            }
        }
    }

    async fn ring(&self, ring: Ring) -> Result<(), PortError> {
        pool::query(&self.pool, redis::cmd("PUBLISH").arg(&self.channel).arg(ring.as_str())).await
    }
}
