//! When a scenario's services and workers are in trouble, and how long a due mailbox may wait outside of it.
//!
//! ```text
//!   wait bound = tick + spread + cooldown + mail deadline + clock skew        while all is well
//!                + lease TTL + 2 heartbeats                                   after a trouble of services or workers
//! ```
//!
//! - *tick*: a mailbox that was refused, enrolled or resumed is planned by the next tick.
//! - *spread*: its place in that tick.
//! - *cooldown*: the mail or reply before it may have ended as the wait began.
//! - *mail deadline*: every lane may hold a mail at that time; a lane is free again by then.
//! - *clock skew*: the cooldown may have been written by a worker whose clock is ahead.
//! - *lease TTL + 2 heartbeats*: a shard has an owner again, by the contract of the leases.

use super::{Life, Scenario, What};
use crate::{link::Service, sky::Condition};

impl Scenario {
    /// Returns when services or workers are in trouble, as spans of milliseconds.
    pub fn troubles(&self) -> Vec<(i64, i64)> {
        let incidents = self.incidents.iter().filter_map(|incident| {
            let lasts_on = match incident.what {
                What::Sky(Service::Postgres, Condition::Slow(most) | Condition::DoneLate(most)) => most as i64,
                What::Sky(..)
                | What::RedisForgets
                | What::EpochsPass
                | What::RedisClock(_)
                | What::Suspended
                | What::SetBack(_) => 0,
                _ => return None,
            };
            Some((incident.from_ms, incident.to_ms + lasts_on))
        });
        incidents.chain(self.lives.iter().flat_map(|life| self.troubles_of(life))).collect()
    }

    /// A worker that works alone waits for the lease of the one before it; one that stops may take its drain's time.
    fn troubles_of(&self, life: &Life) -> Vec<(i64, i64)> {
        let (ttl_ms, drain_ms) = (1_000 * self.tempo.lease_ttl as i64, 1_000 * self.tempo.drain as i64);
        let begins = (life.begins_ms, life.begins_ms + if life.solo { ttl_ms } else { 0 });
        let stops = life.stops_ms.map(|at| (at, at + drain_ms));
        let killed = life.killed_ms.map(|at| (at, at));
        let troubles = life.troubles.iter().map(|(_, from, to)| (*from, *to));
        let jumps = life.jumps.iter().map(|(_, from, to)| (*from, *to));
        [Some(begins), stops, killed].into_iter().flatten().chain(troubles).chain(jumps).collect()
    }

    /// Returns how long a due mailbox may wait while all is well, in milliseconds.
    pub fn wait_ms(&self) -> i64 {
        let tempo = &self.tempo;
        let skews = self.lives.iter().map(|life| life.ahead_seconds).filter(|ahead| ahead.abs() <= 30);
        let (behind, ahead) = skews.fold((0, 0), |(low, high), ahead| (ahead.min(low), ahead.max(high)));
        let seconds = tempo.tick + tempo.spread + tempo.cooldown.1 + tempo.mail_deadline;
        1_000 * (seconds as i64 + ahead - behind)
    }

    /// Returns how long after a trouble of services or workers every shard has an owner that plans it, in milliseconds.
    pub fn recovery_ms(&self) -> i64 {
        1_000 * (self.tempo.lease_ttl + 2 * self.tempo.heartbeat) as i64
    }

    /// Returns how often it is looked at who waits, in seconds: often enough for the bound, and not more.
    pub fn looks_every_seconds(&self) -> u64 {
        (self.tempo.tick / 30).max(1)
    }

    /// Returns the longest wait of a due mailbox, counted from the end of a trouble.
    pub fn longest_wait_ms(&self) -> i64 {
        self.wait_ms() + self.recovery_ms()
    }
}
