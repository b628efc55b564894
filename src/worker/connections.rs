//! `Connections` tracks the connections to mail hosts that limit them: the caps grant each, and the worker gives it
//! back.
//!
//! The worker gives closed connections back with the cap request of the next batch, so that they cost no call of their
//! own. Without a batch within [`LINGER`] one call gives all of them back, because another worker may wait for them. A
//! connection that can't be given back expires by itself (`domain/caps/connections.rs`).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    domain::{
        id::{RunId, UserId},
        lease::MachineTime,
    },
    ports::{CapRequest, Caps, Clock, Connection, ConnectionId},
};

/// The time for which a closed connection waits for the next batch. Machine clock.
const LINGER: Duration = Duration::from_secs(1);

/// The counted connections of one run.
pub(super) struct Connections {
    run: RunId,
    /// The number of connection ids created so far.
    named: u64,
    closed: Arc<ReturnQueue>,
}

/// The closed connections that are not given back yet.
struct ReturnQueue {
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    connections: Vec<Connection>,
    /// The time since which the first of them waits.
    since: Option<MachineTime>,
}

/// A connection that may be open. Dropping it means that it is closed, or was never opened.
pub(super) struct OpenConnection {
    connection: Option<Connection>,
    closed: Arc<ReturnQueue>,
}

impl Connections {
    pub(super) fn new(run: RunId, clock: Arc<dyn Clock>) -> Connections {
        Connections { run, named: 0, closed: Arc::new(ReturnQueue { clock, waiting: Mutex::default() }) }
    }

    /// Creates the cap request of one mail.
    pub(super) fn ask(&mut self, user: UserId, host: &str) -> CapRequest {
        self.named += 1;
        CapRequest { user, host: host.to_owned(), slot: ConnectionId { run: self.run, number: self.named } }
    }

    /// Records that the caps granted this connection.
    pub(super) fn taken(&self, connection: Connection) -> OpenConnection {
        OpenConnection { connection: Some(connection), closed: Arc::clone(&self.closed) }
    }

    /// Takes the closed connections, to give them back now.
    pub(super) fn take_closed(&self) -> Vec<Connection> {
        std::mem::take(&mut *self.closed.lock()).connections
    }

    /// Keeps connections that could not be given back.
    pub(super) fn keep(&self, closed: Vec<Connection>) {
        self.closed.add(closed);
    }

    /// Returns the time at which closed connections are given back without a batch.
    pub(super) fn give_back_at(&self) -> Option<MachineTime> {
        self.closed.lock().since.map(|since| since.after(LINGER))
    }

    /// Gives all closed connections back with one call. The returned future borrows nothing from the worker.
    pub(super) fn give_back(&self, caps: &Arc<dyn Caps>) -> impl Future<Output = ()> + Send + 'static {
        let (caps, closed, connections) = (Arc::clone(caps), Arc::clone(&self.closed), self.take_closed());
        async move {
            if let Err(error) = caps.grant(closed.clock.caps_now(), &[], &connections).await {
                tracing::debug!(%error, connections = connections.len(), "connections are not given back");
                closed.add(connections);
            }
        }
    }
}

impl ReturnQueue {
    fn add(&self, more: Vec<Connection>) {
        if more.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        waiting.since.get_or_insert(self.clock.machine());
        waiting.connections.extend(more);
    }

    /// Locks the list. A lock is poisoned only by a panic between two plain writes, so the list is complete.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.closed.add(self.connection.take().into_iter().collect());
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::{
            caps::{CapLimits, HostCaps},
            hosts::{HostLimits, read},
        },
        ports::Grant,
        simulation::{Fault, MemoryCaps, VirtualClock},
    };

    const WIDE: CapLimits =
        CapLimits { global_hour: 90_000, global_minute: 90_000, user_hour: 90_000, user_minute: 90_000, burst: 0.5 };

    fn world() -> (Connections, Arc<MemoryCaps>, Arc<dyn Clock>) {
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(DateTime::UNIX_EPOCH));
        let limits = HostLimits::with(read("a.org connections=1").unwrap());
        let hosts = HostCaps::of(&limits, 0.5, Duration::from_secs(60)).unwrap();
        let caps = Arc::new(MemoryCaps::new(WIDE, Arc::clone(&clock)).unwrap().with_hosts(hosts));
        (Connections::new(RunId(Uuid::nil()), Arc::clone(&clock)), caps, clock)
    }

    /// Asks for one connection.
    async fn ask(connections: &mut Connections, caps: &MemoryCaps) -> (bool, Connection) {
        let ask = connections.ask(UserId(1), "a.org");
        let granted = caps.grant(None, std::slice::from_ref(&ask), &[]).await.unwrap();
        (granted == [Grant::Granted], ask.connection())
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_connection_waits_a_second_for_a_batch_and_is_given_back_once() {
        let (mut connections, caps, clock) = world();
        ask(&mut connections, &caps).await;
        clock.sleep(Duration::from_secs(61)).await;
        let (granted, connection) = ask(&mut connections, &caps).await;
        let open = connections.taken(connection);
        assert!(granted && connections.give_back_at().is_none());
        drop(open);
        assert_eq!(connections.give_back_at(), Some(clock.machine().after(LINGER)));
        let caps_port: Arc<dyn Caps> = caps.clone();
        connections.give_back(&caps_port).await;
        assert!(connections.give_back_at().is_none());
        assert!(ask(&mut connections, &caps).await.0, "it is free again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_given_back_is_not_forgotten() {
        let (connections, caps, _) = world();
        let connection = Connection { host: "a.org".into(), slot: ConnectionId { run: RunId(Uuid::nil()), number: 7 } };
        drop(connections.taken(connection.clone()));
        caps.set_fault(Some(Fault::Unavailable));
        let caps_port: Arc<dyn Caps> = caps.clone();
        connections.give_back(&caps_port).await;
        assert_eq!(connections.take_closed(), [connection]);
    }
}
