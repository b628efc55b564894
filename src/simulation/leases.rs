//! `MemoryLeases` stores the leases and the members in memory. They expire on the machine clock.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{Fault, Faults};
use crate::{
    domain::{id::RunId, lease::MachineTime, ledger_mark::LedgerMark},
    ports::{Clock, LeaseKey, Leases, MemberStatus, PortError},
};

/// The owner of a lease, and the end of the lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    pub(super) owner: RunId,
    pub(super) until: MachineTime,
}

/// The state of one server. Every operation on it is one atomic step.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) holders: HashMap<LeaseKey, Holder>,
    pub(super) members: BTreeMap<RunId, (MachineTime, MemberStatus)>,
    /// The mark of the database's progress, with the identity of its fleet.
    pub(super) mark: Option<(String, LedgerMark)>,
}

/// The leases and members in memory. All simulated workers share them.
pub struct MemoryLeases {
    kept: Mutex<Kept>,
    clock: Arc<dyn Clock>,
    faults: Faults,
    skew_micros: AtomicI64,
}

impl MemoryLeases {
    /// Creates leases that are all free. `clock` replaces the server's clock.
    pub fn new(clock: Arc<dyn Clock>) -> MemoryLeases {
        MemoryLeases { kept: Mutex::default(), clock, faults: Faults::default(), skew_micros: AtomicI64::new(0) }
    }

    /// Makes every call fail with `fault`, until `None` ends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.faults.set(fault);
    }

    /// Sets the lead of the server's time over the clock, in microseconds.
    pub fn set_skew_micros(&self, skew: i64) {
        self.skew_micros.store(skew, Ordering::Relaxed);
    }

    /// Loses all leases and members, like FLUSHALL or a restart.
    pub fn lose(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }

    /// Returns the owner of each valid lease, ordered by key. A lease on a shard is valid only while its owner is a
    /// member.
    pub fn holders(&self) -> BTreeMap<LeaseKey, RunId> {
        let (kept, now) = (self.kept.lock().unwrap_or_else(PoisonError::into_inner), self.clock.machine());
        let binds = |key: &LeaseKey, owner| !matches!(key, LeaseKey::Shard(_)) || kept.lives(owner, now);
        let held = kept.holders.iter().filter(|(key, holder)| now < holder.until && binds(key, holder.owner));
        held.map(|(key, holder)| (*key, holder.owner)).collect()
    }

    /// Runs one operation as an atomic step, with the present fault.
    pub(super) fn step<T>(&self, operation: impl FnOnce(&mut Kept, MachineTime) -> T) -> Result<T, PortError> {
        self.faults.around(|| {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            operation(&mut kept, self.clock.machine())
        })
    }

    /// Runs `change` on each lease in one atomic step, with its present holder; an expired lease has no holder.
    fn on_each(
        &self,
        keys: &[LeaseKey],
        mut change: impl FnMut(&mut Option<Holder>, MachineTime) -> bool,
    ) -> Result<Vec<bool>, PortError> {
        self.step(|kept, now| keys.iter().map(|key| kept.on_one(*key, now, &mut change)).collect())
    }
}

impl Kept {
    pub(super) fn on_one(
        &mut self,
        key: LeaseKey,
        now: MachineTime,
        change: &mut impl FnMut(&mut Option<Holder>, MachineTime) -> bool,
    ) -> bool {
        let kept = self.holders.entry(key);
        let mut holder = match &kept {
            Entry::Occupied(kept) => Some(*kept.get()).filter(|holder| now < holder.until),
            Entry::Vacant(_) => None,
        };
        let answer = change(&mut holder, now);
        match (kept, holder) {
            (kept, Some(holder)) => drop(kept.insert_entry(holder)),
            (Entry::Occupied(kept), None) => drop(kept.remove()),
            (Entry::Vacant(_), None) => {}
        }
        answer
    }
}

/// Returns a change that extends a lease which `owner` still holds.
pub(super) fn extend(owner: RunId, ttl: Duration) -> impl FnMut(&mut Option<Holder>, MachineTime) -> bool {
    move |holder, now| match holder {
        Some(holder) if holder.owner == owner => {
            holder.until = now.after(ttl);
            true
        }
        _ => false,
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
        self.on_each(keys, extend(owner, ttl))
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
