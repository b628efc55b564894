//! The daily duties as the record keeps them: a row for each date, and the steps that take away what is old.
//!
//! Whoever leads may be killed between any two calls, and another one may do the same at the same time: every call is
//! repeatable and one atomic step, or leaves what the next call of its kind finishes.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::error::PortError;
use crate::domain::{
    id::WorkerId,
    maintenance::{MaintenanceJob, PruneTarget},
};

/// What one call of `prune` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Rows, or whole days of the log.
    pub gone: u64,
    /// Whether there may be more: ask again.
    pub more: bool,
}

/// The record of the daily duties.
#[async_trait]
pub trait MaintenanceStore: Send + Sync {
    /// Returns the latest date up to `day` whose duties are finished. One beyond it was finished by a wrong clock, and excuses
    /// nobody.
    async fn finished(&self, day: NaiveDate) -> Result<Option<NaiveDate>, PortError>;

    /// Opens the row of `day`, or takes it over, and a row for each date between it and the latest before it: those were
    /// missed and are covered by `day`. Returns the steps that are done already, or `None` when `day` is finished.
    async fn begin(
        &self,
        worker: &WorkerId,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<Option<BTreeSet<MaintenanceJob>>, PortError>;

    /// Takes away some of what is older than `before`. It neither waits long for others nor makes them wait.
    ///
    /// Returns `Unavailable` when somebody is still using it: later.
    async fn prune(&self, kept: PruneTarget, before: NaiveDate) -> Result<PruneReport, PortError>;

    /// Notes in the row of `day` that a step is done, and how much it took away.
    async fn note(&self, day: NaiveDate, duty: MaintenanceJob, gone: u64) -> Result<(), PortError>;

    /// Finishes `day` and every earlier date that is not finished, which `day` covers. Returns whether `day` was not
    /// finished before.
    async fn finish(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<bool, PortError>;
}
