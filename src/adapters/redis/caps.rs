//! The caps in Redis: one EVALSHA of `lua/caps.lua` for a batch.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use redis::Script;

use super::{Keys, Pool, pool};
use crate::{
    domain::{
        caps::{CapKind, CapLimits, CapOutOfRange, Grant, Rates},
        id::UserId,
    },
    ports::{Caps, PortError},
};

/// How long a bucket stays after its last use. A full one that expires would make a user wait that writes once a week,
/// so it is longer than a week; deleted users leave nothing behind for longer than that.
const KEPT: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// The token buckets in Redis.
pub struct RedisCaps {
    pool: Pool,
    keys: Keys,
    rates: Rates,
    script: Script,
}

impl RedisCaps {
    /// Uses the buckets under `prefix` with these limits.
    ///
    /// Returns an error when a limit can't be counted exactly in the script's numbers.
    pub fn new(pool: Pool, prefix: &str, limits: CapLimits) -> Result<RedisCaps, CapOutOfRange> {
        let script = Script::new(include_str!("../../../lua/caps.lua"));
        Ok(RedisCaps { pool, keys: Keys::new(prefix), rates: Rates::of(&limits)?, script })
    }

    /// The keys and arguments as the head of the script lists them.
    fn invocation(&self, now: Option<i64>, users: &[UserId]) -> redis::ScriptInvocation<'_> {
        let distinct = Distinct::of(users);
        let mut call = self.script.prepare_invoke();
        for kind in [CapKind::GlobalHour, CapKind::GlobalMinute] {
            call.key(self.keys.fleet_cap(kind));
        }
        for user in &distinct.users {
            for kind in [CapKind::UserHour, CapKind::UserMinute] {
                call.key(self.keys.user_cap(kind, *user));
            }
        }
        call.arg(now.map(|micros| micros.to_string()).unwrap_or_default()).arg(KEPT.as_millis() as u64);
        for kind in CapKind::ALL {
            let rate = self.rates.rate(kind);
            call.arg(rate.capacity_micros()).arg(rate.token_micros());
        }
        call.arg(distinct.of_mail);
        call
    }
}

#[async_trait]
impl Caps for RedisCaps {
    async fn grant(&self, now: Option<i64>, users: &[UserId]) -> Result<Vec<Grant>, PortError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let answers: Vec<(u64, usize)> = pool::run(&self.pool, &self.invocation(now, users)).await?;
        let grants: Option<Vec<Grant>> = answers.into_iter().map(grant).collect();
        grants
            .filter(|grants| grants.len() == users.len())
            .ok_or_else(|| PortError::Unknown("Redis: the caps script gave an answer that is none".into()))
    }
}

fn grant((wait_ms, cap): (u64, usize)) -> Option<Grant> {
    match cap.checked_sub(1) {
        None => Some(Grant::Granted),
        Some(index) => {
            let cap = *CapKind::ALL.get(index)?;
            Some(Grant::Refused { cap, wait: Duration::from_millis(wait_ms) })
        }
    }
}

/// The users of a batch, each once, and for each mail the place of its user among them, from 1.
struct Distinct {
    users: Vec<UserId>,
    of_mail: Vec<usize>,
}

impl Distinct {
    fn of(mails: &[UserId]) -> Distinct {
        let (mut users, mut places) = (Vec::new(), HashMap::new());
        let of_mail = mails
            .iter()
            .map(|user| {
                *places.entry(*user).or_insert_with(|| {
                    users.push(*user);
                    users.len()
                })
            })
            .collect();
        Distinct { users, of_mail }
    }
}
