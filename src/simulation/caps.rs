//! `MemoryCaps` implements the caps port with `CapsModel` (`caps_model.rs`).

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::caps_model::CapsModel;
use super::{Fault, Faults};
use crate::{
    domain::caps::{CapLimits, CapOutOfRange, CapRequest, Connection, Grant, HostCaps, Rates},
    ports::{Caps, Clock, PortError},
};

/// The token buckets in memory. All simulated workers share them.
pub struct MemoryCaps {
    buckets: Mutex<CapsModel>,
    hosts: HostCaps,
    clock: Arc<dyn Clock>,
    faults: Faults,
}

impl MemoryCaps {
    /// Creates cold buckets. `clock` replaces the server's own time.
    ///
    /// Returns an error if a limit can't be counted exactly, like the Redis adapter.
    pub fn new(limits: CapLimits, clock: Arc<dyn Clock>) -> Result<MemoryCaps, CapOutOfRange> {
        let buckets = Mutex::new(CapsModel::new(Rates::of(&limits)?));
        Ok(MemoryCaps { buckets, hosts: HostCaps::default(), clock, faults: Faults::default() })
    }

    /// Adds the limits of mail hosts.
    pub fn with_hosts(self, hosts: HostCaps) -> MemoryCaps {
        let buckets = self.buckets.into_inner().unwrap_or_else(PoisonError::into_inner).with_hosts(hosts.clone());
        MemoryCaps { buckets: Mutex::new(buckets), hosts, ..self }
    }

    /// Makes every call fail with `fault`, until `None` ends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.faults.set(fault);
    }

    /// Loses all buckets, like FLUSHALL or a restart from an older copy.
    pub fn lose(&self) {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).lose();
    }
}

#[async_trait]
impl Caps for MemoryCaps {
    async fn grant(
        &self,
        now: Option<i64>,
        asks: &[CapRequest],
        closed: &[Connection],
    ) -> Result<Vec<Grant>, PortError> {
        self.faults.around(|| {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            let now = now.unwrap_or_else(|| self.clock.now().timestamp_micros());
            buckets.grant(now, asks, closed)
        })
    }

    fn counts_connections(&self, host: &str) -> bool {
        self.hosts.counts_connections(host)
    }
}
