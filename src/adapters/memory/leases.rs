//! The leases in memory, which run out on the machine clock.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{Fault, Faults};
use crate::{
    domain::{id::RunId, lease::MachineTime},
    ports::{Clock, LeaseKey, Leases, PortError},
};

/// Who holds a lease, and until when.
#[derive(Clone, Copy, Debug)]
struct Holder {
    owner: RunId,
    until: MachineTime,
}

/// Leases in memory, shared by all who hold it.
pub struct MemoryLeases {
    holders: Mutex<HashMap<LeaseKey, Holder>>,
    clock: Arc<dyn Clock>,
    faults: Faults,
    skew_micros: AtomicI64,
}

impl MemoryLeases {
    /// Starts with every lease free. `clock` stands for the server's.
    pub fn new(clock: Arc<dyn Clock>) -> MemoryLeases {
        MemoryLeases { holders: Mutex::default(), clock, faults: Faults::default(), skew_micros: AtomicI64::new(0) }
    }

    /// From here on every call fails so; `None` mends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.faults.set(fault);
    }

    /// Puts the server's time ahead of the clock by so much.
    pub fn set_skew_micros(&self, skew: i64) {
        self.skew_micros.store(skew, Ordering::Relaxed);
    }

    /// Forgets every lease, as FLUSHALL or a restart does.
    pub fn lose(&self) {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Runs `change` on each lease in one step, with whoever holds it now: one that ran out has no holder.
    fn on_each(
        &self,
        keys: &[LeaseKey],
        mut change: impl FnMut(&mut Option<Holder>, MachineTime) -> bool,
    ) -> Result<Vec<bool>, PortError> {
        self.faults.around(|| {
            let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.machine();
            let mut on_one = |key: &LeaseKey| {
                let mut holder = holders.remove(key).filter(|holder| now < holder.until);
                let answer = change(&mut holder, now);
                holders.extend(holder.map(|holder| (*key, holder)));
                answer
            };
            keys.iter().map(&mut on_one).collect()
        })
    }
}

#[async_trait]
impl Leases for MemoryLeases {
    async fn acquire(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.on_each(keys, |holder, now| {
            let free = holder.is_none_or(|holder| holder.owner == owner);
            if free {
                *holder = Some(Holder { owner, until: now.after(ttl) });
            }
            free
        })
    }

    async fn renew(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.on_each(keys, |holder, now| match holder {
            Some(holder) if holder.owner == owner => {
                holder.until = now.after(ttl);
                true
            }
            _ => false,
        })
    }

    async fn release(&self, owner: RunId, keys: &[LeaseKey]) -> Result<(), PortError> {
        self.on_each(keys, |holder, _| holder.take_if(|holder| holder.owner == owner).is_some()).map(drop)
    }

    async fn skew(&self, now: i64) -> Result<i64, PortError> {
        self.faults.around(|| {
            let server = self.clock.now().timestamp_micros() + self.skew_micros.load(Ordering::Relaxed);
            server - now
        })
    }
}
