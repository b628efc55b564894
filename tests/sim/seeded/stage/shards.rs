//! Whether every shard sends: looked at each second once all is healed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use warmup::domain::{
    id::{MailboxId, ShardId},
    shard::{all_shards, shard_of},
};

use super::{AUDIT_EVERY_SECONDS, ENOUGH_LANES, Fixture, SHARDS, Theme, waits::Able, worker_states::WorkerStates};

impl Fixture {
    /// Looks at everything now and then, and after the healing at whether every shard sends.
    pub(super) async fn watch(&self) {
        let mut hungry: BTreeMap<ShardId, i64> = BTreeMap::new();
        let mut states = WorkerStates::new();
        let (mut second, every) = (0, self.scenario.looks_every_seconds());
        let troubles = self.scenario.troubles();
        // Before the workers stop.
        while self.now_ms() < self.scenario.lasts_ms() - 2_000 * every as i64 {
            second += every;
            self.clock.sleep(Duration::from_secs(every)).await;
            if second % AUDIT_EVERY_SECONDS == 0 {
                self.judge.audit();
            }
            let able = self.able();
            self.look_for_waits(&able, &troubles);
            self.look_at_workers(&mut states, &troubles).await;
            if self.now_ms() >= self.scenario.healed_ms && self.sends_at_once() {
                self.look_at_shards(&able, &mut hungry);
            }
        }
        self.look_for_traces().await;
    }

    /// Says whether nothing but a fault could hold up a shard: neither the cooldowns nor the caps, nor that the lanes are
    /// short and serve the more urgent.
    fn sends_at_once(&self) -> bool {
        let (theme, tempo) = (self.scenario.theme, self.scenario.tempo);
        !matches!(theme, Theme::Breaker | Theme::SenderLimits)
            && tempo.lanes >= ENOUGH_LANES
            && !self.scenario.caps_bind()
    }

    fn look_at_shards(&self, able: &BTreeMap<MailboxId, Able>, hungry: &mut BTreeMap<ShardId, i64>) {
        let now = self.now_ms();
        // Mailboxes that are due since long, so that they stand in the plan.
        let owing = able.iter().filter(|(_, able)| **able == Able::Late).map(|(mailbox, _)| shard_of(*mailbox, SHARDS));
        let owing: BTreeSet<ShardId> = owing.collect();
        let within = 1_000 * (self.scenario.tempo.lease_ttl + 2 * self.scenario.tempo.heartbeat) as i64;
        for shard in all_shards(SHARDS) {
            let sent = self.judge.last_reserved(shard).map_or(0, |at| (at - self.scenario.begins).num_milliseconds());
            if !owing.contains(&shard) {
                hungry.remove(&shard);
                continue;
            }
            let since = *hungry.entry(shard).or_insert(now);
            let waits = now - since.max(sent).max(self.scenario.healed_ms);
            if waits > within && waits <= within + 1_000 {
                self.judge.violated(format!("shard {shard} owes mails and sends none for {waits} ms"));
            }
        }
    }
}
