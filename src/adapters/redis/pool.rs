//! A `Pool` of connections to Redis runs commands and scripts: it takes a connection, calls, and returns it, each in
//! time.
//!
//! On a cluster all our keys lie in one slot, so the pool uses one node. It starts with any node. A node that does not
//! own the slot answers MOVED with the owner; it did nothing then, so the call is repeated there. An unreachable node
//! is replaced by the next known one: first that of REDIS_URL, then the nodes that were last seen.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool::{
    Runtime,
    managed::{Object, PoolError},
};
use redis::{
    AsyncConnectionConfig, Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation, Value, aio::PubSub,
};
use tokio::{
    sync::watch,
    time::{error::Elapsed, timeout},
};

use super::{
    address::Address,
    classify::{classify, classify_unsent, is_read_only},
    connector::{Connector, Reread, Source},
};
use crate::ports::PortError;

/// The time limit to get a connection, and then of an answer. Every operation takes well under a millisecond. A grant
/// older than 3 s is discarded and a heartbeat comes every 5 s, so a later answer would be useless.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit of a PING on an idle connection before another connection is tried. A connection whose other end
/// vanished must not use up the whole time of a call.
const IDLE_TIMEOUT: Duration = Duration::from_millis(500);

/// The number of nodes that one call may move to: from an unreachable one to one that knows the owner, and to the
/// owner.
const MOVES: usize = 3;

/// A connection of the pool.
type Connection = Object<Connector>;

/// A `Pool` holds connections to the node that has our keys.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.0.source.first).field(&self.node()).finish()
    }
}

struct Shared {
    /// The addresses: REDIS_URL, and its file.
    source: Source,
    size: usize,
    node: watch::Sender<Node>,
    /// The nodes of the cluster that were last seen; none without a cluster.
    others: Mutex<Vec<Address>>,
    /// True once the nodes were read: by `check`, or by the first call if the process does not wait for Redis to start.
    looked: AtomicBool,
}

/// A `Node` is the node that the pool uses.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) address: Address,
    connections: deadpool::managed::Pool<Connector>,
}

/// A `Question` is a call to Redis.
#[derive(Clone, Copy)]
enum Question<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
    /// A script whose arguments are computed once there is a connection.
    Built(&'a (dyn Fn() -> ScriptInvocation<'a> + Sync)),
}

/// Opens a pool of at most `size` connections to `url`, without connecting yet. Certificates must chain to a public
/// root.
///
/// Returns `Permanent` if the URL can't be used. The URL may hold a password and is never part of an error.
pub fn open(url: &str, size: usize) -> Result<Pool, PortError> {
    Pool::open(Address::of(url, None)?, size)
}

impl Pool {
    /// Opens a pool of at most `size` connections, without connecting yet.
    pub fn open(address: Address, size: usize) -> Result<Pool, PortError> {
        Pool::open_fresh(address, None, size)
    }

    /// Opens a pool that reads the credentials by `reread` before each new connection. Open connections stay.
    pub fn open_fresh(address: Address, reread: Option<Reread>, size: usize) -> Result<Pool, PortError> {
        let source = Source { first: address.clone(), reread };
        let node = watch::Sender::new(Node::open(address, source.clone(), size)?);
        let (others, looked) = (Mutex::default(), AtomicBool::new(false));
        Ok(Pool(Arc::new(Shared { source, size, node, others, looked })))
    }

    /// Returns the number of connections.
    pub fn size(&self) -> usize {
        self.node().connections.status().size
    }

    pub(super) fn node(&self) -> Node {
        self.0.node.borrow().clone()
    }

    /// Returns a watch that changes whenever the pool moves to another node.
    pub(super) fn moves(&self) -> watch::Receiver<Node> {
        self.0.node.subscribe()
    }

    /// Opens a separate connection that listens to `channel`.
    pub(super) async fn listen(&self, channel: &str) -> RedisResult<PubSub> {
        let mut line = self.0.source.fresh(&self.node().address).client()?.get_async_pubsub().await?;
        line.subscribe(channel).await?;
        Ok(line)
    }

    /// Moves the pool to `address`, unless another call has already moved it away from `node`.
    fn go_on(&self, node: &Node, address: Address) -> Result<bool, PortError> {
        let next = Node::open(address, self.0.source.clone(), self.0.size)?;
        Ok(self.0.node.send_if_modified(|current| {
            let same = current.address.place() == node.address.place();
            if same {
                *current = next;
            }
            same
        }))
    }

    /// Moves to the node that a MOVED names, and reads the nodes of the cluster from it.
    async fn follow(&self, node: &Node, moved: &str) -> Result<(), PortError> {
        let Some((host, port)) = place(moved, node.address.place()) else {
            return Err(PortError::Unavailable(format!("Redis: our keys moved to `{moved}`, which is no address")));
        };
        if self.go_on(node, node.address.at(&host, port))? {
            tracing::info!("our keys are on the cluster's node {host}:{port}");
            self.refresh_nodes().await;
        }
        Ok(())
    }

    /// Stores the nodes of a cluster. If the server does not return them, the known ones stay until the next move reads
    /// them again. If the server does not answer at all, the next answered call reads them too.
    pub(super) async fn refresh_nodes(&self) {
        let node = self.node();
        let Ok(mut connection) = connection(&node).await else { return };
        let asking = redis::cmd("CLUSTER").arg("SLOTS").clone();
        let asked = timeout(CALL_TIMEOUT, asking.query_async::<Vec<Vec<Value>>>(&mut *connection));
        let Ok(answer) = asked.await else { return };
        self.0.looked.store(true, Ordering::Relaxed);
        if let Ok(slots) = answer {
            let seen = nodes(&slots, node.address.place());
            let seen = seen.into_iter().map(|(host, port)| node.address.at(&host, port)).collect();
            *self.0.others.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        }
    }

    /// Moves from an unreachable node to the next known one. Returns false without a cluster: there is no other node.
    pub(super) fn leave(&self, node: &Node) -> bool {
        let others = self.0.others.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = &self.0.source.first;
        let others = others.into_iter().filter(|other| other.place() != first.place());
        let known: Vec<Address> = [first.clone()].into_iter().chain(others).collect();
        let here = known.iter().position(|address| address.place() == node.address.place());
        let next = here.map_or(0, |here| (here + 1) % known.len());
        let elsewhere = known[next].place() != node.address.place();
        elsewhere && self.go_on(node, known[next].clone()).is_ok()
    }
}

impl Node {
    fn open(address: Address, source: Source, size: usize) -> Result<Node, PortError> {
        // The library would give up on an answer after half a second; here each call as a whole has a limit.
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CALL_TIMEOUT)).set_response_timeout(None);
        let unusable = |error: String| PortError::Permanent(format!("the pool of connections to Redis: {error}"));
        // Detects an unusable address here, and not at the first connection.
        address.client().map_err(|error| unusable(error.to_string()))?;
        let connections = deadpool::managed::Pool::builder(Connector::new(address.clone(), source, config))
            .max_size(size.max(1))
            .runtime(Runtime::Tokio1)
            .recycle_timeout(Some(IDLE_TIMEOUT))
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Node { address, connections })
    }
}

impl Question<'_> {
    async fn ask<T: FromRedisValue>(self, connection: &mut Connection) -> RedisResult<T> {
        match self {
            Question::Command(command) => command.query_async(&mut **connection).await,
            Question::Script(script) => script.invoke_async(&mut **connection).await,
            Question::Built(build) => build().invoke_async(&mut **connection).await,
        }
    }
}

/// Runs one command.
pub(super) async fn query<T: FromRedisValue>(pool: &Pool, command: &Cmd) -> Result<T, PortError> {
    ask(pool, Question::Command(command)).await?.map_err(classify)
}

/// Runs one script by its hash; only a server that does not know the script gets its text.
pub(super) async fn run<T: FromRedisValue>(pool: &Pool, script: &ScriptInvocation<'_>) -> Result<T, PortError> {
    ask(pool, Question::Script(script)).await?.map_err(classify)
}

/// Runs the script that `build` makes. It is built once there is a connection, so that its time is not outdated by the
/// wait for one.
pub(super) async fn run_built<'a, T: FromRedisValue>(
    pool: &Pool,
    build: &'a (dyn Fn() -> ScriptInvocation<'a> + Sync),
) -> Result<T, PortError> {
    ask(pool, Question::Built(build)).await?.map_err(classify)
}

/// Runs one command and returns the server's own error, if the server answers with one.
pub(super) async fn try_query<T: FromRedisValue>(pool: &Pool, command: &Cmd) -> Result<RedisResult<T>, PortError> {
    ask(pool, Question::Command(command)).await
}

/// Runs a call on the node of our keys. The inner error is the server's; the outer one means that no server answered.
async fn ask<T: FromRedisValue>(pool: &Pool, question: Question<'_>) -> Result<RedisResult<T>, PortError> {
    let mut moves = 0..MOVES;
    loop {
        let node = pool.node();
        let mut connection = match connection(&node).await {
            Ok(connection) => connection,
            Err(error @ PortError::Unavailable(_)) => match pool.leave(&node) && moves.next().is_some() {
                true => continue,
                false => return Err(error),
            },
            Err(error) => return Err(error),
        };
        let answer = timeout(CALL_TIMEOUT, question.ask(&mut connection)).await;
        match (moved(&answer), moves.next()) {
            (Some(to), Some(_)) => pool.follow(&node, &to).await?,
            _ => {
                let answer = settle(&node, connection, answer)?;
                if answer.is_ok() && !pool.0.looked.load(Ordering::Relaxed) {
                    pool.refresh_nodes().await;
                }
                return Ok(answer);
            }
        }
    }
}

/// Returns the new place of our keys if the server answered MOVED.
fn moved<T>(answer: &Result<RedisResult<T>, Elapsed>) -> Option<String> {
    match answer {
        Ok(Err(error)) if error.code() == Some("MOVED") => error.redirect_node().map(|(to, _)| to.to_owned()),
        _ => None,
    }
}

/// Parses `host:port`. An empty host means the queried server, for a node that does not know its own address.
fn place(text: &str, asked: Option<(&str, u16)>) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.trim_start_matches('[').trim_end_matches(']') {
        "" | "?" => asked?.0,
        host => host,
    };
    Some((host.to_owned(), port.parse().ok()?))
}

/// Returns the distinct nodes in an answer to CLUSTER SLOTS: each entry is two slots, then nodes as host, port, and
/// more.
fn nodes(slots: &[Vec<Value>], asked: Option<(&str, u16)>) -> Vec<(String, u16)> {
    let told = slots.iter().flat_map(|entry| entry.iter().skip(2));
    let mut nodes: Vec<(String, u16)> = told
        .filter_map(|node| {
            let Value::Array(parts) = node else { return None };
            let host: Option<String> = redis::from_redis_value(parts.first()?.clone()).ok()?;
            let port: u16 = redis::from_redis_value(parts.get(1)?.clone()).ok()?;
            place(&format!("{}:{port}", host.unwrap_or_default()), asked)
        })
        .collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

/// Takes a connection that has just answered a PING. A connection that broke while it was idle is thus found before
/// anything is sent on it, and the caller knows that nothing happened.
async fn connection(node: &Node) -> Result<Connection, PortError> {
    let at = &node.address;
    match timeout(CALL_TIMEOUT, node.connections.get()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(PoolError::Backend(error))) => Err(classify_unsent(at, error)),
        Ok(Err(error)) => Err(PortError::Unavailable(format!("Redis at {at}: {error}"))),
        Err(_) => Err(PortError::Unavailable(format!("Redis at {at}: no free connection in time"))),
    }
}

/// Handles the end of a call. A connection that fell silent is not returned to the pool, so that no other call waits
/// for it. Nor are connections to a master that became a replica: its name may lead to the new master by now.
fn settle<T>(
    node: &Node,
    connection: Connection,
    answer: Result<RedisResult<T>, Elapsed>,
) -> Result<RedisResult<T>, PortError> {
    let Ok(answer) = answer else {
        drop(Connection::take(connection));
        return Err(PortError::Unknown("Redis: no answer in time".into()));
    };
    match &answer {
        Err(error) if is_read_only(error) => {
            drop(Connection::take(connection));
            node.connections.retain(|_, _| false);
        }
        Err(error) if leaves_open(error) => drop(Connection::take(connection)),
        _ => {}
    }
    Ok(answer)
}

fn leaves_open(error: &RedisError) -> bool {
    matches!(classify(error.clone()), PortError::Unknown(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_and_no_debug_output_shows_the_password() {
        for url in ["redis://fleet:hunter2@", "redis://fleet:hunter2@host:port", "rediss://:hunter2@:1", "hunter2"] {
            let error = open(url, 1).map(|_| ()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        for url in ["redis://fleet:hunter2@127.0.0.1:1/0", "rediss://fleet:hunter2@127.0.0.1:1/0"] {
            assert!(!format!("{:?}", open(url, 1).unwrap()).contains("hunter2"));
        }
    }

    #[test]
    fn a_node_is_named_with_or_without_its_host() {
        let asked = Some(("here", 1));
        for (told, expected) in [
            ("127.0.0.1:6381", ("127.0.0.1", 6381)),
            ("cache.example.org:7", ("cache.example.org", 7)),
            ("::1:7", ("::1", 7)),
            ("[fd00::2]:7", ("fd00::2", 7)),
            (":7", ("here", 7)),
            ("?:7", ("here", 7)),
        ] {
            assert_eq!(place(told, asked), Some((expected.0.to_owned(), expected.1)), "{told}");
        }
        assert_eq!((place("nowhere", asked), place("a:b", asked)), (None, None));
    }

    #[test]
    fn a_node_that_is_away_is_left_only_where_there_is_another() {
        let pool = open("redis://one:1", 1).unwrap();
        assert!(!pool.leave(&pool.node()), "there is no cluster");
        let two = pool.node().address.at("two", 2);
        pool.0.others.lock().unwrap().push(two);
        let seen: Vec<String> = (0..3)
            .map(|_| {
                assert!(pool.leave(&pool.node()));
                pool.node().address.to_string()
            })
            .collect();
        assert_eq!(seen, ["two:2", "one:1", "two:2"]);
    }

    #[test]
    fn a_cluster_that_names_the_node_of_the_url_first_is_gone_round_all_the_same() {
        let pool = open("redis://one:1", 1).unwrap();
        let told = [("one", 1), ("three", 3), ("two", 2)].map(|(host, port)| pool.node().address.at(host, port));
        pool.0.others.lock().unwrap().extend(told);
        let seen: Vec<String> = (0..4)
            .map(|_| {
                assert!(pool.leave(&pool.node()));
                pool.node().address.to_string()
            })
            .collect();
        assert_eq!(seen, ["three:3", "two:2", "one:1", "three:3"]);
    }
}
