//! Ports that count what holds mails up: what the caps refuse, and how long lanes rest.

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

/// The caps, with their answers counted.
pub(super) struct CountedCaps {
    caps: MemoryCaps,
    answers: Mutex<Answers>,
}

/// What the caps said so far.
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

/// One stream of dice for everything: nothing happens at once here, so the order of the rolls is the same each time.
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

    /// How long all lanes have rested so far, and will after the mails that they have.
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
