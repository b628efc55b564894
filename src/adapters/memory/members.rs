//! The members in memory, beside the leases that live as long as they do.

use std::time::Duration;

use async_trait::async_trait;

use super::leases::{Kept, MemoryLeases, extend};
use crate::{
    domain::{id::RunId, lease::MachineTime},
    ports::{LeaseKey, Member, Members, PortError, Pulse, Status},
};

impl Kept {
    fn drop_the_dead(&mut self, now: MachineTime) {
        self.members.retain(|_, (until, _)| now < *until);
    }

    fn living(&self, now: MachineTime) -> Vec<Member> {
        let living = self.members.iter().filter(|(_, (until, _))| now < *until);
        let member = |(run, (until, status)): (&RunId, &(MachineTime, Status))| Member {
            run: *run,
            until: i64::try_from(until.0.as_millis()).unwrap_or(i64::MAX),
            status: status.clone(),
        };
        living.map(member).collect()
    }
}

#[async_trait]
impl Members for MemoryLeases {
    async fn heartbeat(
        &self,
        run: RunId,
        status: &Status,
        leases: &[LeaseKey],
        ttl: Duration,
    ) -> Result<Pulse, PortError> {
        self.step(|kept, now| {
            kept.drop_the_dead(now);
            if kept.members.values().any(|(_, other)| other.fleet.differs(&status.fleet)) {
                return Err(PortError::Lost("workers of another fleet live here".into()));
            }
            let mut renew = extend(run, ttl);
            let renewed = leases.iter().map(|key| kept.on_one(*key, now, &mut renew)).collect();
            let known = kept.members.insert(run, (now.after(ttl), status.clone())).is_some();
            Ok(Pulse { known, kept: renewed, members: kept.living(now) })
        })?
    }

    async fn members(&self) -> Result<Vec<Member>, PortError> {
        self.step(|kept, now| kept.living(now))
    }

    async fn leave(&self, run: RunId) -> Result<(), PortError> {
        self.step(|kept, _| drop(kept.members.remove(&run)))
    }
}
