//! The capacity simulation runs the production worker through days of an imagined fleet.
//!
//! ```text
//!   settings ─▶ worker 1 ─┐                       ┌─ ledger, mailboxes  (memory adapters, forgetful)
//!               ...       ├─ ports, virtual time ─┼─ caps, leases       (memory adapters; refusals are counted)
//!               worker N ─┘                       └─ hosts              (log-normal latency; lane time is counted)
//! ```
//!
//! The simulation estimates nothing that the worker does: ticks, batches, caps, lanes, cooldowns, replies and
//! shards are real. They run on memory adapters that pass the conformance suite of Postgres and Redis. Only two
//! parts are imagined: mail hosts, which accept every mail after some time, and mailboxes, which are all alike.
//! Equal input gives an equal report.

mod bottleneck;
mod fleet;
mod gauges;
mod hosts;
mod report;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use self::fleet::SimulatedFleet;
pub use self::report::{HourOf, Report};
use crate::{config::Settings, observe::liveness::Liveness, worker::Worker};

/// The input of a simulation.
#[derive(Clone, Copy, Debug)]
pub struct SimulationInput {
    pub mailboxes: u32,
    pub workers: u32,
    pub days: u32,
    pub seed: u64,
    /// The number of owners of the mailboxes; at most the number of mailboxes.
    pub users: u32,
    /// The number of mailboxes of the largest owner; the others share the rest equally. If `None`, all shares
    /// are equal.
    pub largest_user: Option<u32>,
    /// The median time that a mail host takes for a mail.
    pub latency: Duration,
}

impl SimulationInput {
    /// Returns the number of mailboxes of the largest owner: at least an equal share, and one is left to each
    /// other owner.
    fn of_largest_user(&self) -> u32 {
        let equal = self.mailboxes.div_ceil(self.users);
        let most = self.mailboxes - (self.users - 1);
        self.largest_user.map_or(equal, |largest| largest.clamp(equal.min(most), most))
    }

    /// Returns the owner of a mailbox, both counted from 1.
    fn owner_of(&self, mailbox: u32) -> u32 {
        let share =
            |place: u32, owners: u32, among: u32| (u64::from(place) * u64::from(owners) / u64::from(among)) as u32;
        match self.largest_user {
            None => share(mailbox - 1, self.users, self.mailboxes) + 1,
            Some(_) => match mailbox.checked_sub(self.of_largest_user() + 1) {
                None => 1,
                Some(place) => share(place, self.users - 1, self.mailboxes - self.of_largest_user()) + 2,
            },
        }
    }
}

/// `Progress` shows another thread how far a simulation is.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

impl Progress {
    /// Returns the seconds of the simulated days that have passed.
    pub fn seconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs the simulation on this thread and blocks until the last day is over.
///
/// Returns an error when the caps can't be counted, or when a worker refuses to start.
pub fn simulate(settings: &Settings, question: &SimulationInput, progress: &Progress) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.context("the virtual clock does not start")?.block_on(live(settings, question, progress))
}

async fn live(settings: &Settings, question: &SimulationInput, progress: &Progress) -> anyhow::Result<Report> {
    let scene = SimulatedFleet::set(settings, question)?;
    let stop = CancellationToken::new();
    let workers = (1..=question.workers).map(|number| {
        let worker = Worker::new(scene.ports(), scene.worker_settings(number), Arc::new(Liveness::default()));
        tokio::spawn(worker.with_texts(scene.texts()).run(stop.clone()))
    });
    let workers: Vec<_> = workers.collect();
    for minute in 1..=scene.minutes() {
        scene.sleep_to_minute(minute).await;
        progress.0.store(minute * 60, Ordering::Relaxed);
    }
    stop.cancel();
    for worker in workers {
        worker.await.context("a simulated worker ended badly")??;
    }
    Ok(report::of(settings, question, &scene))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(mailboxes: u32, users: u32, largest_user: Option<u32>) -> Vec<u32> {
        let latency = Duration::ZERO;
        let question = SimulationInput { mailboxes, workers: 1, days: 1, seed: 1, users, largest_user, latency };
        let mut owned = vec![0; users as usize];
        (1..=mailboxes).for_each(|mailbox| owned[question.owner_of(mailbox) as usize - 1] += 1);
        owned
    }

    #[test]
    fn owners_have_equal_shares_unless_one_is_larger() {
        assert_eq!(owners(500, 1, None), [500]);
        assert_eq!(owners(7, 3, None), [3, 2, 2]);
        assert_eq!(owners(500, 3, Some(480)), [480, 10, 10]);
        assert_eq!(owners(500, 1, Some(500)), [500]);
        assert_eq!(owners(4, 3, Some(9)), [2, 1, 1]);
    }
}
