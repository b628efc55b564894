//! `Resolver` caches the addresses of mail hosts for [`FRESH`], because a worker's mailboxes share few hosts.
//!
//! The cache stores the answers of the system's resolver. `connect.rs` decides for each mail whether an address may be
//! connected to. An answer whose addresses all fail is removed.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::net::lookup_host;

use crate::domain::lease::MachineTime;

/// The lifetime of an answer, by the machine clock; the system's resolver does not report its time to live.
const FRESH: Duration = Duration::from_secs(30);

/// `Resolver` stores the recent answers of the system's resolver.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    answers: Mutex<HashMap<String, CachedAddresses>>,
}

#[derive(Debug)]
struct CachedAddresses {
    addresses: Vec<IpAddr>,
    asked: MachineTime,
}

impl Resolver {
    /// Returns a resolver with one cached answer: at `asked`, `host` was at `addresses`.
    #[cfg(test)]
    pub(super) fn told(host: &str, addresses: &[IpAddr], asked: MachineTime) -> Resolver {
        let answer = CachedAddresses { addresses: addresses.to_vec(), asked };
        Resolver { answers: Mutex::new(HashMap::from([(host.to_owned(), answer)])) }
    }

    /// Returns the addresses of `host`, in the resolver's order; an empty list if the answer is empty.
    pub(super) async fn addresses(&self, host: &str, now: MachineTime) -> io::Result<Vec<IpAddr>> {
        if let Some(known) = self.known(host, now) {
            return Ok(known);
        }
        let addresses: Vec<IpAddr> = lookup_host((host, 0)).await?.map(|found: SocketAddr| found.ip()).collect();
        let mut answers = self.lock();
        answers.retain(|_, answer| answer.is_fresh(now));
        answers.insert(host.to_owned(), CachedAddresses { addresses: addresses.clone(), asked: now });
        Ok(addresses)
    }

    /// Removes the cached answer of `host`; the next caller resolves it again.
    pub(super) fn forget(&self, host: &str) {
        self.lock().remove(host);
    }

    fn known(&self, host: &str, now: MachineTime) -> Option<Vec<IpAddr>> {
        self.lock().get(host).filter(|answer| answer.is_fresh(now)).map(|answer| answer.addresses.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, CachedAddresses>> {
        // Poisoned only by a panic between two plain writes; the map stays consistent.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedAddresses {
    fn is_fresh(&self, now: MachineTime) -> bool {
        now.since(self.asked) < FRESH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> MachineTime {
        MachineTime(Duration::from_secs(seconds))
    }

    /// Returns a resolver that cached another address of this host at second 100.
    fn moved() -> (Resolver, IpAddr) {
        let elsewhere = "192.0.2.1".parse().unwrap();
        (Resolver::told("127.0.0.1", &[elsewhere], at(100)), elsewhere)
    }

    #[tokio::test]
    async fn an_answer_is_used_for_half_a_minute() {
        let (resolver, elsewhere) = moved();
        assert_eq!(resolver.addresses("127.0.0.1", at(129)).await.unwrap(), [elsewhere]);
        assert_eq!(resolver.addresses("127.0.0.1", at(130)).await.unwrap(), ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(resolver.addresses("127.0.0.1", at(131)).await.unwrap(), ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[tokio::test]
    async fn what_is_forgotten_is_asked_again() {
        let (resolver, _) = moved();
        resolver.forget("127.0.0.1");
        assert_eq!(resolver.addresses("127.0.0.1", at(101)).await.unwrap(), ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[tokio::test]
    async fn answers_that_are_old_are_not_kept() {
        let (resolver, _) = moved();
        resolver.addresses("127.0.0.2", at(200)).await.unwrap();
        assert_eq!(resolver.lock().len(), 1);
    }
}
