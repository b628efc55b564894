//! Guessing tokens is slow: from one address ten wrong ones at once, then one more every six seconds. Who is over is
//! refused without a look at the token, so that a guess costs no statement either.
//!
//! Behind an ingress everybody has the same address. A token that was right before is therefore looked at in any case:
//! whoever works already is not shut out by somebody else's guessing. Tokens of which nothing is known are looked at a few
//! at a time, so that many guesses at once don't slip through before the first is known to be wrong.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::{lease::MachineTime, token::TokenHash};

/// A person who mistypes, or a script that is restarted with an old token, is told so a few times.
const AT_ONCE: u32 = 10;
/// 14,400 guesses a day of 2^256.
const ONE_MORE_EVERY: Duration = Duration::from_secs(6);
/// Addresses that are remembered. When all guess, whoever comes new is counted together with all that come new.
const PEERS: usize = 4096;
/// Tokens that are remembered as right.
const KNOWN: usize = 1024;
/// Unknown tokens that are looked at at the same time.
const LOOKS: usize = 8;

/// Who guessed lately, and which tokens were right.
pub(super) struct AuthThrottle {
    /// When all wrong tokens of an address are forgiven.
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
    /// Lets a token be looked at: at once where it was right before, in its turn otherwise.
    ///
    /// Returns how long to wait where too many from `peer` were wrong.
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
        // Those before us may have been wrong.
        self.check(peer, now)?;
        Ok(look)
    }

    /// Notes that a token was right.
    pub(super) fn right(&self, token: TokenHash) {
        let mut known = lock(&self.known);
        if known.len() >= KNOWN && !known.contains(&token) {
            known.clear();
        }
        known.insert(token);
    }

    /// Notes that a token was wrong.
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

/// An IPv6 host has a whole /64 to come from. When there is no room, all newcomers are one.
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
