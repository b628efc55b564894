//! `HostMemory` stores deviations of mail hosts from their announcements, so that not every mail discovers them again.
//!
//! A fact belongs to one endpoint: host name, port and security. The behaviour of one mailbox's host never changes the
//! treatment of another host. Facts only change the order or the size of steps, so a wrong fact costs time and no mail.
//! Each fact expires: a repaired host is treated in the usual way again.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::sasl::Mechanism;
use crate::domain::{lease::MachineTime, mailbox::Endpoint};

/// The largest number of hosts with facts; beyond it the host with the oldest facts is removed.
const HOSTS: usize = 1_024;

/// The largest number of facts of one host: more than the mechanisms and addresses that are tried.
const FACTS: usize = 24;

/// The lifetime of a fact about software, which seldom changes within a working day: refused mechanism, dropped
/// commands.
const SOFTWARE_LASTS: Duration = Duration::from_hours(6);

/// The lifetime of a dead address. It costs a quarter of a second, and outages end within minutes (RFC 8305 section 4
/// allows either order).
const ADDRESS_LASTS: Duration = Duration::from_mins(10);

/// A `HostFact` is an observed behaviour of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum HostFact {
    /// The host offers this mechanism and refuses it.
    RefusesMechanism(Mechanism),
    /// The host offers PIPELINING and does not answer all commands of one packet.
    TakesOneCommand,
    /// A connection to this address of the host failed, or another address was faster.
    DeadAddress(IpAddr),
}

impl HostFact {
    fn lasts(self) -> Duration {
        match self {
            HostFact::RefusesMechanism(_) | HostFact::TakesOneCommand => SOFTWARE_LASTS,
            HostFact::DeadAddress(_) => ADDRESS_LASTS,
        }
    }
}

/// The text completes a sentence that begins with "the mail host".
impl fmt::Display for HostFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostFact::RefusesMechanism(mechanism) => {
                write!(f, "offers AUTH {} and refuses it", mechanism.name())
            }
            HostFact::TakesOneCommand => {
                f.write_str("offers PIPELINING and does not answer several commands in one packet")
            }
            HostFact::DeadAddress(address) => write!(f, "does not answer at {address}"),
        }
    }
}

/// `HostMemory` stores the facts of all endpoints, shared by all dialogues.
#[derive(Debug, Default)]
pub(super) struct HostMemory {
    hosts: Mutex<HashMap<Endpoint, HashMap<HostFact, MachineTime>>>,
}

impl HostMemory {
    /// Stores a fact of a host, observed at `now`.
    pub(super) fn note(&self, endpoint: &Endpoint, fact: HostFact, now: MachineTime) {
        let mut hosts = self.lock();
        if !hosts.contains_key(endpoint) && hosts.len() >= HOSTS {
            forget_one(&mut hosts);
        }
        let facts = hosts.entry(endpoint.clone()).or_default();
        facts.retain(|fact, noted| now.since(*noted) < fact.lasts());
        if facts.len() < FACTS {
            facts.insert(fact, now);
        }
    }

    /// Returns whether a fact of a host is stored and still valid at `now`.
    pub(super) fn has(&self, endpoint: &Endpoint, fact: HostFact, now: MachineTime) -> bool {
        let hosts = self.lock();
        let noted = hosts.get(endpoint).and_then(|facts| facts.get(&fact));
        noted.is_some_and(|noted| now.since(*noted) < fact.lasts())
    }

    /// Removes a fact that no longer holds.
    pub(super) fn forget(&self, endpoint: &Endpoint, fact: HostFact) {
        let mut hosts = self.lock();
        if let Some(facts) = hosts.get_mut(endpoint) {
            facts.remove(&fact);
            if facts.is_empty() {
                hosts.remove(endpoint);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Endpoint, HashMap<HostFact, MachineTime>>> {
        // Poisoned only by a panic between two plain writes; at worst a fact is discovered again.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the host whose newest fact is the oldest.
fn forget_one(hosts: &mut HashMap<Endpoint, HashMap<HostFact, MachineTime>>) {
    let oldest = hosts.iter().min_by_key(|(_, facts)| facts.values().max().copied());
    if let Some(endpoint) = oldest.map(|(endpoint, _)| endpoint.clone()) {
        hosts.remove(&endpoint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mailbox::Security;

    const FACT: HostFact = HostFact::TakesOneCommand;

    fn at(seconds: u64) -> MachineTime {
        MachineTime(Duration::from_secs(seconds))
    }

    fn endpoint(host: &str, port: u16, security: Security) -> Endpoint {
        Endpoint { host: host.into(), port, security }
    }

    #[test]
    fn a_fact_is_of_one_host_port_and_security() {
        let memory = HostMemory::default();
        let host = endpoint("mail.test", 587, Security::Starttls);
        memory.note(&host, FACT, at(1));
        assert!(memory.has(&host, FACT, at(2)));
        for other in [
            endpoint("other.test", 587, Security::Starttls),
            endpoint("mail.test", 465, Security::Starttls),
            endpoint("mail.test", 587, Security::Tls),
        ] {
            assert!(!memory.has(&other, FACT, at(2)), "{other}");
        }
        assert!(!memory.has(&host, HostFact::RefusesMechanism(Mechanism::Plain), at(2)));
    }

    #[test]
    fn a_fact_is_forgotten_after_its_time_and_on_request() {
        let memory = HostMemory::default();
        let host = endpoint("mail.test", 587, Security::Starttls);
        let dead = HostFact::DeadAddress("192.0.2.1".parse().unwrap());
        for (fact, lasts) in [(FACT, 6 * 3600), (dead, 600)] {
            memory.note(&host, fact, at(100));
            assert!(memory.has(&host, fact, at(99 + lasts)) && !memory.has(&host, fact, at(100 + lasts)), "{fact:?}");
        }
        memory.note(&host, FACT, at(100));
        memory.forget(&host, FACT);
        assert!(!memory.has(&host, FACT, at(101)));
    }

    #[test]
    fn the_memory_has_bounds() {
        let memory = HostMemory::default();
        let nth = |n: usize| endpoint(&format!("mail{n}.test"), 587, Security::Starttls);
        for n in 0..=HOSTS {
            memory.note(&nth(n), FACT, at(n as u64));
        }
        assert_eq!(memory.lock().len(), HOSTS);
        assert!(!memory.has(&nth(0), FACT, at(2_000)) && memory.has(&nth(1), FACT, at(2_000)));
        for n in 0..100 {
            memory.note(&nth(1), HostFact::DeadAddress(IpAddr::from([192, 0, 2, n])), at(2_000));
        }
        assert_eq!(memory.lock()[&nth(1)].len(), FACTS);
    }
}
