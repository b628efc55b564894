//! `MaintenanceStore` records the maintenance jobs of each date and deletes old rows.
//!
//! The leader may be killed between any two calls, and another leader may run the same jobs at the same time. Therefore
//! every call is repeatable. It is one atomic step, or the next call of its kind completes it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::error::PortError;
use crate::domain::{
    id::WorkerId,
    maintenance::{MaintenanceJob, PruneTarget},
};

/// The result of one call of `prune`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// The number of deleted rows, or of deleted days of the log.
    pub gone: u64,
    /// True if more rows may be old: call `prune` again.
    pub more: bool,
}

/// The record of the maintenance jobs.
#[async_trait]
pub trait MaintenanceStore: Send + Sync {
    /// Returns the latest date up to `day` whose jobs are finished. A later date was finished by a wrong clock, and is
    /// ignored.
    async fn finished(&self, day: NaiveDate) -> Result<Option<NaiveDate>, PortError>;

    /// Opens the row of `day`, or takes it over. Adds a row for each date that was missed since the latest row before,
    /// and that `day` now covers. Returns the jobs that are already done, or `None` when `day` is finished.
    async fn begin(
        &self,
        worker: &WorkerId,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<Option<BTreeSet<MaintenanceJob>>, PortError>;

    /// Deletes some of the rows that are older than `before`. It neither waits long for other statements nor blocks
    /// them.
    ///
    /// Returns `Unavailable` when another statement still uses the rows; the caller tries later.
    async fn prune(&self, kept: PruneTarget, before: NaiveDate) -> Result<PruneReport, PortError>;

    /// Records in the row of `day` that a job is done, with the number of deleted rows.
    async fn note(&self, day: NaiveDate, duty: MaintenanceJob, gone: u64) -> Result<(), PortError>;

    /// Finishes `day` and all earlier unfinished dates, which `day` covers. Returns whether this call finished `day`.
    async fn finish(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<bool, PortError>;
}
