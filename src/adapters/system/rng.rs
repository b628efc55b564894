//! `SeededRng` generates random numbers: one stream per purpose and key, all from one seed.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ports::{Entropy, entropy::Purpose};

/// A `SeededRng` returns reproducible numbers: with one seed, every stream yields its numbers in whatever order streams
/// are used.
pub struct SeededRng {
    seed: [u8; 32],
    rolled: Mutex<HashMap<(u8, u64), u64>>,
}

/// The stream of unique ids, beside those of [`Purpose`].
const IDS: u8 = u8::MAX;

impl SeededRng {
    /// Returns a generator with an unknown seed.
    pub fn random() -> SeededRng {
        SeededRng::new(rand::random())
    }

    /// Returns a generator that yields the same numbers in every run.
    pub fn seeded(seed: u64) -> SeededRng {
        SeededRng::new(Sha256::digest(seed.to_be_bytes()).into())
    }

    fn new(seed: [u8; 32]) -> SeededRng {
        SeededRng { seed, rolled: Mutex::default() }
    }

    /// Returns 128 bits that look random to anyone without the seed: SHA-256 of seed, stream, key and position.
    fn next(&self, stream: u8, key: u64) -> u128 {
        let place = {
            let mut rolled = self.rolled.lock().unwrap_or_else(PoisonError::into_inner);
            let place = rolled.entry((stream, key)).or_default();
            *place += 1;
            *place
        };
        let digest = Sha256::new().chain_update(self.seed).chain_update([stream]).chain_update(key.to_be_bytes());
        let digest = digest.chain_update(place.to_be_bytes()).finalize();
        digest[..16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }
}

impl Entropy for SeededRng {
    fn next_u64(&self, purpose: Purpose, key: u64) -> u64 {
        self.next(purpose as u8, key) as u64
    }

    fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.next(IDS, 0).to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_do_not_disturb_each_other_and_replay() {
        let (one, other) = (SeededRng::seeded(7), SeededRng::seeded(7));
        let first: Vec<u64> = (0..5).map(|_| one.next_u64(Purpose::Content, 3)).collect();
        let second: Vec<u64> = (0..5)
            .map(|_| {
                other.next_u64(Purpose::FallbackPartner, 3);
                other.next_u64(Purpose::Content, 3)
            })
            .collect();
        assert_eq!(first, second);
        assert_ne!(first[0], first[1]);
        assert_ne!(SeededRng::seeded(8).next_u64(Purpose::Content, 3), first[0]);
    }

    #[test]
    fn a_range_reaches_both_its_ends_and_nothing_beyond() {
        let dice = SeededRng::seeded(1);
        let rolled: Vec<u64> = (0..200).map(|_| dice.between(Purpose::Cooldown, 0, 3, 5)).collect();
        assert!(rolled.iter().all(|n| (3..=5).contains(n)));
        assert!([3, 4, 5].iter().all(|n| rolled.contains(n)));
        assert_eq!(dice.between(Purpose::Cooldown, 0, 9, 9), 9);
    }

    #[test]
    fn ids_are_unique() {
        let dice = SeededRng::random();
        assert_ne!(dice.uuid(), dice.uuid());
    }
}
