//! `RedisCluster` starts several Redis masters on this machine, each with its part of the slots, which a test
//! may move.

use std::time::Duration;

use redis::cmd;

use crate::{mailstack::Authority, redis_server::RedisServer, world::eventually};

/// The longest wait for an agreement, on a busy machine; normally it takes a second or two.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOTS: usize = 16_384;

/// A cluster of running masters.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts `size` masters that share all slots, and waits until all of them agree.
    pub async fn start(size: usize) -> RedisCluster {
        let mut nodes = Vec::new();
        for _ in 0..size {
            nodes.push(RedisServer::start_with(&["--cluster-enabled", "yes"]).await);
        }
        RedisCluster::join(nodes).await
    }

    /// Starts `size` masters with TLS; the nodes announce the name in their certificate.
    pub async fn start_encrypted(authority: &Authority, size: usize) -> RedisCluster {
        let hostname = ["--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"];
        let arguments = [&["--cluster-enabled", "yes"][..], &hostname].concat();
        let mut nodes = Vec::new();
        for _ in 0..size {
            nodes.push(RedisServer::start_encrypted(authority, &arguments).await);
        }
        RedisCluster::join(nodes).await
    }

    async fn join(nodes: Vec<RedisServer>) -> RedisCluster {
        let size = nodes.len();
        for (n, node) in nodes.iter().enumerate() {
            let (first, last) = (SLOTS * n / size, SLOTS * (n + 1) / size - 1);
            node.run::<()>(cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(first).arg(last)).await;
        }
        for node in &nodes[1..] {
            let meet = cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(nodes[0].port()).arg(nodes[0].bus()).clone();
            node.run::<()>(&meet).await;
        }
        let cluster = RedisCluster { nodes };
        eventually(PATIENCE, async || cluster.agrees().await).await;
        cluster
    }

    /// Returns node `n`, from 0.
    pub fn node(&self, n: usize) -> &RedisServer {
        &self.nodes[n]
    }

    /// Returns the number of the node that owns `key`.
    pub async fn owner(&self, key: &str) -> usize {
        let slot = self.slot(key).await;
        for (n, node) in self.nodes.iter().enumerate() {
            if self.owns(node, slot).await {
                return n;
            }
        }
        panic!("nobody has slot {slot}")
    }

    /// Moves the slot of `key`, with all its keys, to node `to`, as an operator reshards a cluster.
    pub async fn move_slot(&self, key: &str, to: usize) {
        let (slot, from) = (self.slot(key).await, self.owner(key).await);
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let (source_id, target_id) = (id(source).await, id(target).await);
        set_slot(target, slot, "IMPORTING", &source_id).await;
        set_slot(source, slot, "MIGRATING", &target_id).await;
        loop {
            let some = cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(100).clone();
            let keys: Vec<String> = source.run(&some).await;
            if keys.is_empty() {
                break;
            }
            let mut migrate = cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(target.port()).arg("").arg(0).arg(5_000).arg("KEYS").arg(keys);
            source.run::<String>(&migrate).await;
        }
        for node in [target, source] {
            set_slot(node, slot, "NODE", &target_id).await;
        }
        eventually(PATIENCE, async || self.agrees().await).await;
    }

    /// Kills node `n`; the other nodes stay.
    pub fn kill(&mut self, n: usize) {
        self.nodes[n].kill();
    }

    /// Moves all slots of node `dead` to node `to` and forgets `dead`, as for a lost master with lost data.
    pub async fn take_over(&self, key: &str, dead: usize, to: usize) {
        let slot = self.slot_at(key, to).await;
        let living = || self.nodes.iter().enumerate().filter(move |(n, _)| *n != dead).map(|(_, node)| node);
        let target = id(&self.nodes[to]).await;
        for node in living() {
            let nodes: String = node.run(cmd("CLUSTER").arg("NODES")).await;
            let at = format!("127.0.0.1:{}@", self.nodes[dead].port());
            let gone = nodes.lines().find(|line| line.contains(&at)).and_then(|line| line.split(' ').next());
            let gone = gone.expect("it was a node of theirs").to_owned();
            node.run::<()>(cmd("CONFIG").arg("SET").arg("cluster-require-full-coverage").arg("no")).await;
            node.run::<()>(cmd("CLUSTER").arg("FORGET").arg(gone)).await;
        }
        let bump = cmd("CLUSTER").arg("BUMPEPOCH").clone();
        for node in living() {
            set_slot(node, slot, "NODE", &target).await;
        }
        self.nodes[to].run::<()>(&bump).await;
    }

    async fn slot_at(&self, key: &str, n: usize) -> u16 {
        self.nodes[n].run(cmd("CLUSTER").arg("KEYSLOT").arg(key)).await
    }

    /// Returns true if all nodes serve and know all nodes.
    async fn agrees(&self) -> bool {
        for node in &self.nodes {
            let told: String = node.run(cmd("CLUSTER").arg("INFO")).await;
            let known = format!("cluster_known_nodes:{}\r", self.nodes.len());
            if !told.contains("cluster_state:ok") || !told.contains(&known) {
                return false;
            }
        }
        true
    }

    async fn slot(&self, key: &str) -> u16 {
        self.nodes[0].run(cmd("CLUSTER").arg("KEYSLOT").arg(key)).await
    }

    async fn owns(&self, node: &RedisServer, slot: u16) -> bool {
        let nodes: String = node.run(cmd("CLUSTER").arg("NODES")).await;
        let myself = nodes.lines().find(|line| line.contains("myself")).unwrap_or_default();
        let ranges = myself.split(' ').skip(8).filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?)
        });
        ranges.into_iter().any(|range| range.contains(&slot))
    }
}

async fn id(node: &RedisServer) -> String {
    node.run(cmd("CLUSTER").arg("MYID")).await
}

async fn set_slot(node: &RedisServer, slot: u16, what: &str, id: &str) {
    node.run::<()>(cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(what).arg(id)).await
}
