//! A database that is set back, and the operator who fences it.

use warmup::{
    domain::shard::all_shards,
    ports::{Bell, Ledger, fleet_control::Notification},
};

use super::{Fixture, SHARDS};

impl Fixture {
    /// Lets the database lose what was committed in the last `seconds`, from when to when the fleet is to stand still.
    pub(super) async fn set_back(&self, seconds: i64, (from_ms, to_ms): (i64, i64)) {
        self.until(from_ms - 1_000 * seconds).await;
        let (backup, books) = (self.world.backup(), self.judge.ledgers());
        self.until(from_ms).await;
        self.judge.happens(format!("the database loses {seconds} s, and is fenced at {to_ms} ms"));
        self.world.restore(&backup);
        let lost = self.judge.set_back(books);
        // Each worker compares at its heartbeat, and tells the others by the order.
        self.until(from_ms + 2 * 1_000 * self.scenario.tempo.heartbeat as i64).await;
        if lost > 0 && self.world.is_running() && self.is_undisturbed((from_ms, to_ms)) {
            self.judge.violated(format!("the database lost {lost} mails, and nobody has noticed"));
        }
        self.until(to_ms).await;
        self.world.fence();
        let shards = all_shards(SHARDS);
        let epochs = self.world.epochs(&shards).await.expect("nothing fails here");
        self.judge.fenced(shards.into_iter().zip(epochs));
        self.world.start_fenced();
        self.judge.operated();
        self.bell.another().ring(Notification::Ordered).await.expect("a bell in memory rings");
    }

    /// Says whether no other trouble of services or workers was there meanwhile, or shortly before.
    fn is_undisturbed(&self, (from_ms, to_ms): (i64, i64)) -> bool {
        let troubles = self.scenario.troubles();
        let others = troubles.iter().filter(|span| **span != (from_ms, to_ms));
        !others.into_iter().any(|(began, ended)| *began < to_ms && *ended > from_ms - self.scenario.recovery_ms())
    }
}
