//! This module finds the settings that cannot carry the enrolled mailboxes, for every place that shows them.
//!
//! The arithmetic is in `config/warnings/enrolled.rs`. This module reads the enrolment from the database, and caches
//! the result for pages that refresh every few seconds: the sums need all mailboxes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::{
    adapters::postgres::plan_requests,
    config::{EnrolledLoad, OwnerLoad, Settings, Warning},
    domain::{id::UserId, lease::MachineTime},
    ports::Clock,
    reporting::sql,
};

/// The age up to which a page gets a cached answer. An enrolment shows within this time.
const FRESH: Duration = Duration::from_secs(15);

/// Reads the enrolled mailboxes by owner; only those of `user`, if given.
pub async fn enrolled(connection: &mut PgConnection, user: Option<UserId>) -> Result<EnrolledLoad, sqlx::Error> {
    let owners = sql::owners(connection, user).await?;
    let load = |of: sql::OfOwner| {
        (of.owner, OwnerLoad { mailboxes: of.mailboxes.unsigned_abs(), quota: of.quota.unsigned_abs() })
    };
    Ok(owners.into_iter().map(load).collect())
}

/// Returns a warning for each cap, and for the lanes, that cannot carry the enrolled mailboxes. A `user` gets only the
/// warnings of the user's own caps, and none about the fleet's.
pub async fn shortfalls(pool: &PgPool, settings: &Settings, user: Option<UserId>) -> Result<Vec<Warning>, sqlx::Error> {
    let enrolled = enrolled(&mut *pool.acquire().await?, user).await?;
    Ok(match user {
        None => settings.warnings_for(&enrolled),
        Some(_) => settings.warnings_for_owners(&enrolled),
    })
}

/// A `CapacityWatch` logs each cap that cannot carry the enrolled mailboxes: at the start of a worker, and after each
/// import that makes a cap short, or short by half as much again.
#[derive(Debug, Default)]
pub(crate) struct CapacityWatch {
    /// The counter of enrolments at the last check.
    enrolments: Option<i64>,
    /// The sufficient values, by sentence without its numbers; 0 if no number suffices.
    logged: HashMap<String, u64>,
}

impl CapacityWatch {
    /// Checks every 15 seconds whether mailboxes were enrolled, until `stop`.
    pub(crate) async fn run(
        mut self,
        pool: PgPool,
        settings: Settings,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) {
        let watching = async {
            loop {
                clock.sleep(FRESH).await;
                self.look(&pool, &settings).await;
            }
        };
        let _: Option<()> = stop.run_until_cancelled(watching).await;
    }

    /// Compares the enrolled mailboxes with the caps, if mailboxes were enrolled since the last check.
    pub(crate) async fn look(&mut self, pool: &PgPool, settings: &Settings) {
        if let Err(error) = self.try_look(pool, settings).await {
            tracing::debug!(%error, "the enrolled mailboxes could not be compared with the caps");
        }
    }

    async fn try_look(&mut self, pool: &PgPool, settings: &Settings) -> Result<(), sqlx::Error> {
        let enrolments = Some(plan_requests::count(pool).await?);
        if self.enrolments != enrolments {
            let short = shortfalls(pool, settings, None).await?;
            self.newly_short(&short).iter().for_each(|warning| tracing::warn!("{warning}"));
            self.enrolments = enrolments;
        }
        Ok(())
    }

    /// Returns the warnings of `short` that were not logged yet, or whose shortage grew by half, and stores all.
    fn newly_short<'a>(&mut self, short: &'a [Warning]) -> Vec<&'a Warning> {
        let mut logged = HashMap::new();
        let mut new = Vec::new();
        for warning in short {
            let kind: String = warning.to_string().chars().filter(|c| !c.is_ascii_digit()).collect();
            let needed = warning.needed.map_or(0, u64::from);
            let before = self.logged.get(&kind).copied();
            let is_new = before.is_none_or(|before| 2 * needed > 3 * before);
            if is_new {
                new.push(warning);
            }
            logged.insert(kind, if is_new { needed } else { before.unwrap_or(needed) });
        }
        self.logged = logged;
        new
    }
}

/// An `Answer` is a cached result.
#[derive(Clone, Debug)]
struct Answer {
    at: MachineTime,
    warnings: Vec<String>,
    /// The number of shortfalls among the warnings.
    short: usize,
}

/// `CapacityCache` caches the last answers by user; the key `None` is the admins' answer.
#[derive(Debug, Default)]
pub struct CapacityCache(Mutex<HashMap<Option<UserId>, Answer>>);

impl CapacityCache {
    /// Returns the warnings that the page shows to `user`, or to an admin: those of the settings alone, and the
    /// shortfalls.
    pub async fn warnings(
        &self,
        pool: &PgPool,
        settings: &Settings,
        user: Option<UserId>,
        now: MachineTime,
    ) -> Result<Vec<String>, sqlx::Error> {
        Ok(self.answer(pool, settings, user, now).await?.warnings)
    }

    /// Returns the number of caps, lanes and mail host limits that cannot carry the enrolled mailboxes.
    pub async fn short(&self, pool: &PgPool, settings: &Settings, now: MachineTime) -> Result<usize, sqlx::Error> {
        Ok(self.answer(pool, settings, None, now).await?.short)
    }

    async fn answer(
        &self,
        pool: &PgPool,
        settings: &Settings,
        user: Option<UserId>,
        now: MachineTime,
    ) -> Result<Answer, sqlx::Error> {
        if let Some(known) = self.known(user, now) {
            return Ok(known);
        }
        let of_settings = if user.is_none() { settings.warnings() } else { Vec::new() };
        let short = shortfalls(pool, settings, user).await?;
        let warnings = of_settings.iter().chain(&short).map(ToString::to_string).collect();
        let answer = Answer { at: now, warnings, short: short.len() };
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, known| now.since(known.at) < FRESH);
        answers.insert(user, answer.clone());
        Ok(answer)
    }

    /// Clears all answers after a change of the enrolment.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn known(&self, user: Option<UserId>, now: MachineTime) -> Option<Answer> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(&user).filter(|known| now.since(known.at) < FRESH).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(name: &'static str, mails: u32, needed: Option<u32>) -> Warning {
        Warning { needed, ..Warning::new(name, format!("the fleet should send {mails} mails a day")) }
    }

    #[test]
    fn a_cap_is_logged_when_it_becomes_short_and_again_when_it_is_short_by_half_as_much_again() {
        let mut watch = CapacityWatch::default();
        let mut logged = |short: &[Warning]| watch.newly_short(short).len();
        assert_eq!(logged(&[]), 0);
        let (hour, minute) = (short("HOUR", 1_500, Some(2_668)), short("MINUTE", 1_500, None));
        assert_eq!(logged(std::slice::from_ref(&hour)), 1);
        assert_eq!(logged(&[hour.clone(), minute.clone()]), 1, "only what is new");
        assert_eq!(logged(&[short("HOUR", 1_530, Some(2_700)), minute.clone()]), 0, "one more mailbox is no news");
        assert_eq!(logged(&[short("HOUR", 2_300, Some(4_003)), minute]), 1);
        assert_eq!((logged(&[]), logged(&[hour])), (0, 1), "one that was carried meanwhile is new");
    }
}
