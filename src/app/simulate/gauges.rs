//! `CountedCaps` and `CountedDice` are ports that count the waits of mails: refusals of the caps, and rests of
//! the lanes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use uuid::Uuid;

use crate::{
    ports::{CapKind, CapRequest, Caps, Connection, Entropy, Grant, PortError, entropy::Purpose},
    simulation::MemoryCaps,
};

/// `CountedCaps` wraps the caps and counts their answers.
pub(super) struct CountedCaps {
    caps: MemoryCaps,
    answers: Mutex<Answers>,
}

/// The answers of the caps so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    pub(super) granted: u64,
    pub(super) refused: BTreeMap<CapKind, u64>,
}

impl CountedCaps {
    pub(super) fn over(caps: MemoryCaps) -> CountedCaps {
        CountedCaps { caps, answers: Mutex::default() }
    }

    pub(super) fn answers(&self) -> Answers {
        self.counting().clone()
    }

    fn counting(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Caps for CountedCaps {
    async fn grant(
        &self,
        now: Option<i64>,
        asks: &[CapRequest],
        closed: &[Connection],
    ) -> Result<Vec<Grant>, PortError> {
        let grants = self.caps.grant(now, asks, closed).await?;
        let mut answers = self.counting();
        for grant in &grants {
            match grant {
                Grant::Granted => answers.granted += 1,
                Grant::Refused { cap, .. } => *answers.refused.entry(*cap).or_default() += 1,
            }
        }
        Ok(grants)
    }

    fn counts_connections(&self, host: &str) -> bool {
        self.caps.counts_connections(host)
    }
}

/// `CountedDice` draws all random numbers from one seeded stream. Nothing runs in parallel here, so the order of
/// the draws is the same in each run.
pub(super) struct CountedDice(Mutex<Rolled>);

struct Rolled {
    dice: ChaCha8Rng,
    ids: u64,
    rested: Duration,
}

impl CountedDice {
    pub(super) fn seeded(seed: u64) -> CountedDice {
        let dice = ChaCha8Rng::seed_from_u64(seed);
        CountedDice(Mutex::new(Rolled { dice, ids: 0, rested: Duration::ZERO }))
    }

    /// Returns the total rest of all lanes so far, including the rests after the mails in progress.
    pub(super) fn rested(&self) -> Duration {
        self.rolled().rested
    }

    fn rolled(&self) -> MutexGuard<'_, Rolled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entropy for CountedDice {
    fn next_u64(&self, _purpose: Purpose, _key: u64) -> u64 {
        self.rolled().dice.next_u64()
    }

    fn uuid(&self) -> Uuid {
        let mut rolled = self.rolled();
        rolled.ids += 1;
        Uuid::from_u64_pair(rolled.ids, rolled.dice.next_u64())
    }

    fn between(&self, purpose: Purpose, _key: u64, low: u64, high: u64) -> u64 {
        let mut rolled = self.rolled();
        let between = match high.checked_sub(low).filter(|more| *more > 0) {
            Some(more) => low + ((u128::from(rolled.dice.next_u64()) * (u128::from(more) + 1)) >> 64) as u64,
            None => low,
        };
        if purpose == Purpose::LaneRest {
            rolled.rested += Duration::from_micros(between);
        }
        between
    }
}
