//! `RedisNotifier` sends notifications by PUBLISH and receives them on its own pub/sub connection.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::{
    Msg, RedisError, Value,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use super::{
    Keys, Pool,
    pool::{self, Node},
};
use crate::ports::{
    Clock, PortError,
    fleet_control::{Bell, Notification},
};

/// The wait before a failed subscription is opened again; machine clock.
const AGAIN: Duration = Duration::from_secs(1);

/// The silence after which the subscription is pinged: a dead connection is as silent as one without notifications.
/// Machine clock.
const QUIET: Duration = Duration::from_secs(5);

/// A `RedisNotifier` sends and receives the notifications of the fleet under one prefix.
pub struct RedisNotifier {
    pool: Pool,
    channel: String,
    clock: Arc<dyn Clock>,
    line: Mutex<Option<Subscription>>,
}

/// A `Subscription` is a listening connection, and a watch on the node of the fleet's keys. Any node of a cluster
/// forwards the messages of the others; a node that has left the cluster does not.
struct Subscription {
    asking: PubSubSink,
    listening: PubSubStream,
    moves: watch::Receiver<Node>,
}

impl RedisNotifier {
    /// Creates a notifier on the node of `pool`, without connecting yet.
    pub fn new(pool: Pool, prefix: &str, clock: Arc<dyn Clock>) -> RedisNotifier {
        RedisNotifier { pool, channel: Keys::new(prefix).bell(), clock, line: Mutex::default() }
    }

    async fn listen(&self) -> Result<Subscription, RedisError> {
        let moves = self.pool.moves();
        let (asking, listening) = self.pool.listen(&self.channel).await?.split();
        Ok(Subscription { asking, listening, moves })
    }

    /// Opens a subscription, or waits a moment before the next attempt.
    async fn lay(&self) -> Option<Subscription> {
        let node = self.pool.node();
        match timeout(pool::CALL_TIMEOUT, self.listen()).await {
            Ok(Ok(line)) => return Some(line),
            Ok(Err(error)) => tracing::debug!(%error, "the bell can't be listened to"),
            Err(_) => tracing::debug!("the bell can't be listened to: no answer in time"),
        }
        self.pool.leave(&node);
        self.clock.sleep(AGAIN).await;
        None
    }
}

impl Subscription {
    /// Returns the next message; `None` if the subscription is broken.
    async fn next(&mut self, clock: &dyn Clock) -> Option<Msg> {
        loop {
            tokio::select! {
                biased;
                moved = self.moves.changed() => {
                    drop(moved);
                    return None;
                }
                message = self.listening.next() => return message,
                () = clock.sleep(QUIET) => {}
            }
            if !self.answers().await {
                tracing::debug!("the bell's line is dead");
                return None;
            }
        }
    }

    async fn answers(&mut self) -> bool {
        matches!(timeout(pool::CALL_TIMEOUT, self.asking.ping::<Value>()).await, Ok(Ok(_)))
    }
}

#[async_trait]
impl Bell for RedisNotifier {
    async fn next(&self) -> Notification {
        let mut line = self.line.lock().await;
        loop {
            let Some(laid) = line.as_mut() else {
                *line = self.lay().await;
                if line.is_some() {
                    return Notification::Ordered;
                }
                continue;
            };
            match laid.next(&*self.clock).await.map(|message| message.get_payload::<String>()) {
                Some(Ok(word)) => match Notification::ALL.into_iter().find(|ring| ring.as_str() == word) {
                    Some(ring) => return ring,
                    None => tracing::debug!(word, "the bell says what this release does not know"),
                },
                Some(Err(error)) => tracing::debug!(%error, "the bell says what is no text"),
                None => *line = None,
            }
        }
    }

    async fn ring(&self, ring: Notification) -> Result<(), PortError> {
        pool::query(&self.pool, redis::cmd("PUBLISH").arg(&self.channel).arg(ring.as_str())).await
    }
}
