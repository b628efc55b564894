//! These are the conformance cases of the `MaintenanceStore` port.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, Utc};
use warmup::{
    domain::{
        id::WorkerId,
        maintenance::{MaintenanceJob, PruneTarget},
    },
    ports::{MaintenanceStore, PortError},
};

/// A row of the maintenance jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub day: NaiveDate,
    pub covered_by: Option<NaiveDate>,
    pub attempts: u32,
    pub finished: bool,
}

/// The world of one implementation, empty at first.
#[async_trait]
pub trait DutiesWorld: Send + Sync {
    fn duties(&self) -> Arc<dyn MaintenanceStore>;
    /// Writes finished data of kind `kept` for that date. Not for `Cleanups`.
    async fn write(&self, kept: PruneTarget, day: NaiveDate);
    /// Writes a mailbox's day that is not closed.
    async fn write_open_day(&self, day: NaiveDate);
    /// Writes a closed day with an in-flight mail.
    async fn write_flying_day(&self, day: NaiveDate);
    /// Returns the dates of the remaining data of kind `kept`, in order.
    async fn left(&self, kept: PruneTarget) -> Vec<NaiveDate>;
    /// Returns the rows of the maintenance jobs, in order.
    async fn rows(&self) -> Vec<Row>;
    /// Stops the service from this call on.
    async fn go_away(&self);
}

/// Expands to a test of each case, in its own module.
#[macro_export]
macro_rules! duties_conformance {
    ($world:path) => {
        $crate::conformance_cases!(
            $crate::conformance::duties, $world,
            the_first_date_ever_has_no_dates_before_it
            a_date_is_finished_once_and_not_begun_again
            the_next_leader_learns_what_is_done
            what_is_noted_stays_as_it_was_noted_first
            dates_that_were_missed_get_a_row_each_and_are_covered
            a_date_that_a_wrong_clock_finished_ahead_of_time_excuses_nobody
            a_date_that_was_left_unfinished_is_covered_by_the_next
            what_is_older_goes_and_the_rest_stays
            a_day_that_is_not_over_stays
            old_rows_of_the_duties_go_unless_they_are_unfinished
            a_record_that_is_away_is_unavailable_or_unknown
        );
    };
}

const DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a date that exists");
const LOGS: MaintenanceJob = MaintenanceJob::Retire(PruneTarget::Logs);

fn now() -> DateTime<Utc> {
    DAY.and_hms_opt(0, 5, 0).expect("a time that exists").and_utc()
}

fn one() -> WorkerId {
    WorkerId("one".into())
}

fn row(day: NaiveDate, covered_by: Option<NaiveDate>, finished: bool) -> Row {
    Row { day, covered_by, attempts: 1, finished }
}

pub async fn the_first_date_ever_has_no_dates_before_it(world: &dyn DutiesWorld) {
    let duties = world.duties();
    assert_eq!(duties.finished(DAY).await.unwrap(), None);
    assert_eq!(duties.begin(&one(), DAY, now()).await.unwrap(), Some(BTreeSet::new()));
    assert_eq!(world.rows().await, [row(DAY, None, false)]);
    assert_eq!(duties.finished(DAY).await.unwrap(), None, "begun is not finished");
}

pub async fn a_date_is_finished_once_and_not_begun_again(world: &dyn DutiesWorld) {
    let duties = world.duties();
    duties.begin(&one(), DAY, now()).await.unwrap();
    assert!(duties.finish(DAY, now()).await.unwrap());
    assert!(!duties.finish(DAY, now()).await.unwrap(), "it was finished before");
    assert_eq!(duties.begin(&one(), DAY, now()).await.unwrap(), None);
    assert_eq!(duties.finished(DAY).await.unwrap(), Some(DAY));
    assert_eq!(world.rows().await, [row(DAY, None, true)]);
}

pub async fn the_next_leader_learns_what_is_done(world: &dyn DutiesWorld) {
    let duties = world.duties();
    duties.begin(&one(), DAY, now()).await.unwrap();
    duties.note(DAY, MaintenanceJob::Partitions, 0).await.unwrap();
    duties.note(DAY, LOGS, 3).await.unwrap();
    let done = duties.begin(&WorkerId("other".into()), DAY, now()).await.unwrap();
    assert_eq!(done, Some(BTreeSet::from([MaintenanceJob::Partitions, LOGS])));
    assert_eq!(world.rows().await, [Row { attempts: 2, ..row(DAY, None, false) }]);
}

pub async fn what_is_noted_stays_as_it_was_noted_first(world: &dyn DutiesWorld) {
    let duties = world.duties();
    duties.begin(&one(), DAY, now()).await.unwrap();
    duties.note(DAY, LOGS, 3).await.unwrap();
    duties.note(DAY, LOGS, 0).await.unwrap();
    duties.note(DAY + Days::new(1), LOGS, 1).await.unwrap();
    assert_eq!(world.rows().await.len(), 1, "a date that was not begun is not noted");
    assert_eq!(duties.begin(&one(), DAY, now()).await.unwrap(), Some(BTreeSet::from([LOGS])));
}

pub async fn dates_that_were_missed_get_a_row_each_and_are_covered(world: &dyn DutiesWorld) {
    let (duties, later) = (world.duties(), DAY + Days::new(10));
    duties.begin(&one(), DAY, now()).await.unwrap();
    duties.finish(DAY, now()).await.unwrap();
    assert_eq!(duties.begin(&one(), later, now()).await.unwrap(), Some(BTreeSet::new()));
    assert!(duties.finish(later, now()).await.unwrap());
    let mut rows = vec![row(DAY, None, true)];
    rows.extend((1..10).map(|days| row(DAY + Days::new(days), Some(later), true)));
    rows.push(row(later, None, true));
    assert_eq!(world.rows().await, rows);
    assert!(!duties.finish(DAY + Days::new(5), now()).await.unwrap());
}

pub async fn a_date_that_a_wrong_clock_finished_ahead_of_time_excuses_nobody(world: &dyn DutiesWorld) {
    let (duties, future) = (world.duties(), DAY + Days::new(400));
    duties.begin(&one(), future, now()).await.unwrap();
    assert!(duties.finish(future, now()).await.unwrap());
    assert_eq!(duties.finished(DAY).await.unwrap(), None);
    assert_eq!(duties.begin(&one(), DAY, now()).await.unwrap(), Some(BTreeSet::new()));
    assert!(duties.finish(DAY, now()).await.unwrap());
    assert_eq!(duties.finished(DAY + Days::new(1)).await.unwrap(), Some(DAY));
}

pub async fn a_date_that_was_left_unfinished_is_covered_by_the_next(world: &dyn DutiesWorld) {
    let (duties, next) = (world.duties(), DAY + Days::new(1));
    duties.begin(&one(), DAY, now()).await.unwrap();
    duties.begin(&one(), next, now()).await.unwrap();
    assert_eq!(duties.finished(next).await.unwrap(), None);
    assert!(duties.finish(next, now()).await.unwrap());
    assert_eq!(world.rows().await, [row(DAY, Some(next), true), row(next, None, true)]);
}

pub async fn what_is_older_goes_and_the_rest_stays(world: &dyn DutiesWorld) {
    let duties = world.duties();
    for duty in MaintenanceJob::ALL {
        let MaintenanceJob::Retire(kept) = duty else { continue };
        if kept == PruneTarget::Cleanups {
            continue;
        }
        for days in [0, 1, 2, 3] {
            world.write(kept, DAY - Days::new(days)).await;
        }
        let before = DAY - Days::new(1);
        assert!(retire_all(&*duties, kept, before).await > 0, "{kept:?}");
        assert_eq!(world.left(kept).await, [before, DAY], "{kept:?}");
        assert_eq!(retire_all(&*duties, kept, before).await, 0, "{kept:?}: again");
        assert_eq!(world.left(kept).await, [before, DAY], "{kept:?}: again");
    }
}

async fn retire_all(duties: &dyn MaintenanceStore, kept: PruneTarget, before: NaiveDate) -> u64 {
    let mut gone = 0;
    loop {
        let retired = duties.prune(kept, before).await.unwrap();
        gone += retired.gone;
        if !retired.more {
            return gone;
        }
    }
}

pub async fn a_day_that_is_not_over_stays(world: &dyn DutiesWorld) {
    let duties = world.duties();
    let (open, flying) = (DAY - Days::new(9), DAY - Days::new(8));
    world.write_open_day(open).await;
    world.write_flying_day(flying).await;
    world.write(PruneTarget::MailboxDays, DAY - Days::new(7)).await;
    assert_eq!(retire_all(&*duties, PruneTarget::MailboxDays, DAY).await, 1);
    assert_eq!(world.left(PruneTarget::MailboxDays).await, [open, flying]);
}

pub async fn old_rows_of_the_duties_go_unless_they_are_unfinished(world: &dyn DutiesWorld) {
    let duties = world.duties();
    for days in [0, 1] {
        duties.begin(&one(), DAY + Days::new(days), now()).await.unwrap();
        duties.finish(DAY + Days::new(days), now()).await.unwrap();
    }
    duties.begin(&one(), DAY + Days::new(2), now()).await.unwrap();
    assert_eq!(retire_all(&*duties, PruneTarget::Cleanups, DAY + Days::new(9)).await, 2);
    assert_eq!(world.rows().await, [row(DAY + Days::new(2), None, false)]);
}

pub async fn a_record_that_is_away_is_unavailable_or_unknown(world: &dyn DutiesWorld) {
    let duties = world.duties();
    duties.finished(DAY).await.unwrap();
    world.go_away().await;
    // A request over a connection that breaks has an unknown result; on a new connection it did not happen.
    let away = |error| matches!(error, PortError::Unavailable(_) | PortError::Unknown(_));
    assert!(duties.finished(DAY).await.is_err_and(away));
    assert!(duties.begin(&one(), DAY, now()).await.is_err_and(away));
    assert!(duties.prune(PruneTarget::Logs, DAY).await.is_err_and(away));
    assert!(duties.prune(PruneTarget::Events, DAY).await.is_err_and(away));
    assert!(duties.note(DAY, LOGS, 0).await.is_err_and(away));
    assert!(duties.finish(DAY, now()).await.is_err_and(away));
}
