//! Settings that cannot carry the enrolled mailboxes, for every place that shows them.
//!
//! The arithmetic is in `config/warnings/enrolled.rs`. Here are the enrolment, as the database has it, and a short memory
//! for pages that ask every few seconds: the sums are read from all mailboxes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgConnection, PgPool};

use crate::{
    adapters::postgres::view,
    config::{EnrolledLoad, OwnerLoad, Settings, Warning},
    domain::{id::UserId, lease::MachineTime},
};

/// The age up to which a page is served an earlier answer. An enrolment shows within this time.
const FRESH: Duration = Duration::from_secs(15);

/// Reads the enrolled mailboxes by owner; only those of `user` where one is given.
pub async fn enrolled(connection: &mut PgConnection, user: Option<UserId>) -> Result<EnrolledLoad, sqlx::Error> {
    let owners = view::owners(connection, user).await?;
    let load = |of: view::OfOwner| {
        (of.owner, OwnerLoad { mailboxes: of.mailboxes.unsigned_abs(), quota: of.quota.unsigned_abs() })
    };
    Ok(owners.into_iter().map(load).collect())
}

/// Returns a warning for each cap, and for the lanes, that cannot carry the enrolled mailboxes. Of the fleet's caps a user
/// who is no admin is told nothing: `user` gets the warnings of the user's own caps.
pub async fn shortfalls(pool: &PgPool, settings: &Settings, user: Option<UserId>) -> Result<Vec<Warning>, sqlx::Error> {
    let enrolled = enrolled(&mut *pool.acquire().await?, user).await?;
    Ok(match user {
        None => settings.warnings_for(&enrolled),
        Some(_) => settings.warnings_for_owners(&enrolled),
    })
}

/// Logs each cap that cannot carry the enrolled mailboxes, once at the start of a worker.
pub(super) async fn warn_at_start(pool: &PgPool, settings: &Settings) {
    match shortfalls(pool, settings, None).await {
        Ok(short) => short.iter().for_each(|warning| tracing::warn!("{warning}")),
        Err(error) => tracing::debug!(%error, "the enrolled mailboxes could not be compared with the caps"),
    }
}

/// What was last found.
#[derive(Clone, Debug)]
struct Answer {
    at: MachineTime,
    warnings: Vec<String>,
    /// How many of them are shortfalls.
    short: usize,
}

/// The last answers, by user; without one for admins.
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

    /// Returns how many caps, lanes and limits of mail hosts cannot carry the enrolled mailboxes.
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

    /// Forgets all answers: the enrolment has changed.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn known(&self, user: Option<UserId>, now: MachineTime) -> Option<Answer> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(&user).filter(|known| now.since(known.at) < FRESH).cloned()
    }
}
