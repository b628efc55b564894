//! A `Connector` opens connections to Redis, each with the credentials that REDIS_URL or its file has at that moment.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use redis::{AsyncConnectionConfig, Client, RedisError, aio::MultiplexedConnection};

use super::address::Address;

/// A `Reread` returns the address that the file holds now; `None` if it is unusable.
pub type Reread = Arc<dyn Fn() -> Option<Address> + Send + Sync>;

/// A `Source` provides addresses: REDIS_URL as it was at the start, and its file.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) first: Address,
    pub(super) reread: Option<Reread>,
}

impl Source {
    /// Returns the address of `node` for the next connection. The server of REDIS_URL moves to the address in the file.
    /// Another node of its cluster keeps its place and takes the credentials of the file.
    pub(super) fn fresh(&self, node: &Address) -> Address {
        let Some(named) = self.reread.as_ref().and_then(|reread| reread()) else { return node.clone() };
        match node.place().filter(|place| Some(*place) != self.first.place()) {
            Some((host, port)) => named.at(host, port),
            None => named,
        }
    }
}

/// A `Connector` opens and checks connections to one node.
pub(super) struct Connector {
    address: Address,
    source: Source,
    config: AsyncConnectionConfig,
    pings: AtomicUsize,
}

impl Connector {
    pub(super) fn new(address: Address, source: Source, config: AsyncConnectionConfig) -> Connector {
        Connector { address, source, config, pings: AtomicUsize::new(0) }
    }

    fn client(&self) -> redis::RedisResult<Client> {
        self.source.fresh(&self.address).client()
    }
}

impl managed::Manager for Connector {
    type Type = MultiplexedConnection;
    type Error = RedisError;

    async fn create(&self) -> Result<MultiplexedConnection, RedisError> {
        self.client()?.get_multiplexed_async_connection_with_config(&self.config).await
    }

    /// Checks that an idle connection still leads to a server, and that the server answers this very PING.
    async fn recycle(&self, connection: &mut MultiplexedConnection, _: &Metrics) -> RecycleResult<RedisError> {
        let number = self.pings.fetch_add(1, Ordering::Relaxed).to_string();
        // A reused connection must not carry a WATCH of its previous user.
        let mut asked = redis::Pipeline::with_capacity(2);
        asked.cmd("UNWATCH").ignore().cmd("PING").arg(&number);
        let (answer,): (String,) = asked.query_async(connection).await?;
        if answer == number { Ok(()) } else { Err(RecycleError::message("another answer to the PING")) }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::of(url, None).unwrap()
    }

    #[test]
    fn the_file_moves_the_server_and_gives_other_nodes_their_credentials() {
        let first = address("redis://:one@here:1");
        let fixed = Source { first: first.clone(), reread: None };
        assert_eq!(fixed.fresh(&first).place(), Some(("here", 1)));
        let reread: Reread = Arc::new(|| Some(address("redis://:two@there:2")));
        let source = Source { first: first.clone(), reread: Some(reread) };
        for (node, place) in [(first.clone(), ("there", 2)), (first.at("other", 3), ("other", 3))] {
            let fresh = source.fresh(&node);
            assert_eq!((fresh.place(), fresh.info().redis_settings().password()), (Some(place), Some("two")));
        }
        let unusable = Source { first: first.clone(), reread: Some(Arc::new(|| None)) };
        assert_eq!(unusable.fresh(&first).info().redis_settings().password(), Some("one"));
    }
}
