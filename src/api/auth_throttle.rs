//! `AuthThrottle` slows the guessing of tokens: ten wrong tokens at once from one address, then one more every
//! six seconds.
//!
//! A request above the limit is refused before its token is checked, so a guess costs no database statement
//! either.
//!
//! Behind an ingress all clients share one address. So a token that was right before is always checked: other
//! people's guesses do not lock out a working client. At most `LOOKS` unknown tokens are checked at once, so
//! that parallel guesses can't pass before the first is known to be wrong.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::{lease::MachineTime, token::TokenHash};

/// The number of wrong tokens that an address may send at once. It leaves room for a person who mistypes, or for
/// a script that restarts with an old token.
const AT_ONCE: u32 = 10;
/// The time until an address may send one more wrong token. It allows 14,400 guesses a day out of 2^256.
const ONE_MORE_EVERY: Duration = Duration::from_secs(6);
/// The number of remembered addresses. When the memory is full, all new addresses are counted as one.
const PEERS: usize = 4096;
/// The number of remembered right tokens.
const KNOWN: usize = 1024;
/// The number of unknown tokens that are checked at once.
const LOOKS: usize = 8;

/// An `AuthThrottle` remembers the addresses of recent guesses, and the tokens that were right.
pub(super) struct AuthThrottle {
    /// The time at which all wrong tokens of an address are forgiven.
    forgiven_at: Mutex<HashMap<IpAddr, MachineTime>>,
    known: Mutex<HashSet<TokenHash>>,
    looks: Semaphore,
}

impl Default for AuthThrottle {
    fn default() -> AuthThrottle {
        AuthThrottle { forgiven_at: Mutex::default(), known: Mutex::default(), looks: Semaphore::new(LOOKS) }
    }
}

impl AuthThrottle {
    /// Admits a token to its check: at once if it was right before, otherwise when a check is free.
    ///
    /// Returns the time to wait if too many tokens from `peer` were wrong.
    pub(super) async fn admit(
        &self,
        peer: IpAddr,
        token: &TokenHash,
        now: MachineTime,
    ) -> Result<Option<SemaphorePermit<'_>>, Duration> {
        if lock(&self.known).contains(token) {
            return Ok(None);
        }
        self.check(peer, now)?;
        let look = self.looks.acquire().await.ok();
        // The requests that were checked during the wait may have been wrong.
        self.check(peer, now)?;
        Ok(look)
    }

    /// Records that a token was right.
    pub(super) fn right(&self, token: TokenHash) {
        let mut known = lock(&self.known);
        if known.len() >= KNOWN && !known.contains(&token) {
            known.clear();
        }
        known.insert(token);
    }

    /// Records that a token was wrong.
    pub(super) fn wrong(&self, peer: IpAddr, token: &TokenHash, now: MachineTime) {
        lock(&self.known).remove(token);
        let mut peers = lock(&self.forgiven_at);
        if peers.len() >= PEERS {
            peers.retain(|_, forgiven| *forgiven > now);
        }
        let peer = counted_as(peer, &peers);
        let forgiven = peers.entry(peer).or_insert(now);
        *forgiven = (*forgiven).max(now).after(ONE_MORE_EVERY);
    }

    fn check(&self, peer: IpAddr, now: MachineTime) -> Result<(), Duration> {
        let peers = lock(&self.forgiven_at);
        let Some(forgiven) = peers.get(&counted_as(peer, &peers)) else { return Ok(()) };
        let wait = forgiven.since(now).saturating_sub(ONE_MORE_EVERY * (AT_ONCE - 1));
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }
}

/// Returns the address under which guesses of `peer` are counted. An IPv6 host can use a whole /64, so the
/// network counts as one. When the memory is full, all new addresses count as one.
fn counted_as(peer: IpAddr, peers: &HashMap<IpAddr, MachineTime>) -> IpAddr {
    let peer = match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    };
    let is_new = peers.len() >= PEERS && !peers.contains_key(&peer);
    if is_new { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { peer }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> MachineTime {
        MachineTime(Duration::from_secs(seconds))
    }

    fn peer(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[tokio::test]
    async fn ten_wrong_tokens_are_looked_at_then_one_every_six_seconds() {
        let (throttle, token) = (AuthThrottle::default(), TokenHash::of("guess"));
        for _ in 0..AT_ONCE {
            assert!(throttle.admit(peer(1), &token, at(0)).await.is_ok());
            throttle.wrong(peer(1), &token, at(0));
        }
        assert_eq!(throttle.admit(peer(1), &token, at(0)).await.unwrap_err(), Duration::from_secs(6));
        assert_eq!(throttle.admit(peer(1), &token, at(5)).await.unwrap_err(), Duration::from_secs(1));
        assert!(throttle.admit(peer(1), &token, at(6)).await.is_ok());
        throttle.wrong(peer(1), &token, at(6));
        assert!(throttle.admit(peer(1), &token, at(7)).await.is_err());
        assert!(throttle.admit(peer(2), &token, at(0)).await.is_ok(), "another address is another matter");
    }

    #[tokio::test]
    async fn whoever_was_right_before_is_not_shut_out_by_guesses_from_the_same_address() {
        let (throttle, guess, right) = (AuthThrottle::default(), TokenHash::of("guess"), TokenHash::of("right"));
        throttle.right(right);
        (0..100).for_each(|_| throttle.wrong(peer(1), &guess, at(0)));
        assert!(throttle.admit(peer(1), &right, at(0)).await.is_ok());
        throttle.wrong(peer(1), &right, at(0));
        assert!(throttle.admit(peer(1), &right, at(0)).await.is_err(), "revoked meanwhile");
    }

    #[tokio::test]
    async fn memory_is_bounded_however_many_addresses_guess() {
        let (throttle, guess) = (AuthThrottle::default(), TokenHash::of("guess"));
        for n in 0..20_000 {
            throttle.wrong(peer(n), &guess, at(0));
            throttle.right(TokenHash::of(&n.to_string()));
        }
        assert!(lock(&throttle.forgiven_at).len() <= PEERS + 1 && lock(&throttle.known).len() <= KNOWN);
        assert!(throttle.admit(peer(1_000_000), &guess, at(0)).await.is_err(), "newcomers are counted together");
        throttle.wrong(peer(1), &guess, at(1_000_000));
        assert!(lock(&throttle.forgiven_at).len() <= 2, "who is forgiven is forgotten");
    }

    #[tokio::test]
    async fn all_of_an_ipv6_network_is_one() {
        let (throttle, guess) = (AuthThrottle::default(), TokenHash::of("guess"));
        (0..10).for_each(|n| throttle.wrong(format!("2001:db8::{n}").parse().unwrap(), &guess, at(0)));
        assert!(throttle.admit("2001:db8::ffff".parse().unwrap(), &guess, at(0)).await.is_err());
        assert!(throttle.admit("2001:db8:0:1::1".parse().unwrap(), &guess, at(0)).await.is_ok());
    }
}
