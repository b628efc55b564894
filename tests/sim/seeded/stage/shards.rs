//! Whether every shard sends: looked at each second once all is healed.

use std::{collections::BTreeMap, time::Duration};

use warmup::domain::{
    id::{ShardId, UserId},
    shard::{all_shards, shard_of},
};

use super::{ACTIVE, AUDIT_EVERY_SECONDS, ENOUGH_LANES, SHARDS, Stage, Theme};

impl Stage {
    /// Looks at everything now and then, and after the healing at whether every shard sends.
    pub(super) async fn watch(&self) {
        let mut hungry: BTreeMap<ShardId, i64> = BTreeMap::new();
        let mut second = 0;
        while self.now_ms() < self.scenario.lasts_ms() {
            second += 1;
            self.clock.pause(Duration::from_secs(1)).await;
            if second % AUDIT_EVERY_SECONDS == 0 {
                self.judge.audit();
            }
            if self.now_ms() >= self.scenario.healed_ms && self.sends_at_once() {
                self.look_at_shards(&mut hungry);
            }
        }
    }

    /// Says whether nothing but a fault could hold up a shard: neither the cooldowns nor the caps, nor that the lanes are
    /// short and serve the more urgent.
    fn sends_at_once(&self) -> bool {
        let (theme, tempo) = (self.scenario.theme, self.scenario.tempo);
        theme != Theme::Breaker && tempo.lanes >= ENOUGH_LANES && !self.scenario.caps_bind()
    }

    fn look_at_shards(&self, hungry: &mut BTreeMap<ShardId, i64>) {
        let now = self.now_ms();
        let within = 1_000 * (self.scenario.tempo.lease_ttl + 2 * self.scenario.tempo.heartbeat) as i64;
        for shard in all_shards(SHARDS) {
            let sent = self.judge.last_reserved(shard).map_or(0, |at| (at - self.scenario.begins).num_milliseconds());
            if !self.owes(shard) {
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

    /// Says whether a mailbox of the shard could send right now.
    fn owes(&self, shard: ShardId) -> bool {
        let now = self.clock.now();
        self.world.days().into_iter().filter(|(mailbox, ..)| shard_of(*mailbox, SHARDS) == shard).any(
            |(id, day, row)| {
                let Some(mailbox) = self.world.mailbox(id) else { return false };
                let quota = mailbox.ramp.quota(mailbox.grown);
                let limited = self.scenario.daily_limits.iter().any(|(user, _)| UserId(*user) == mailbox.user);
                let hours =
                    mailbox.schedule.sending(day, ACTIVE.parse().expect("hours")).is_some_and(|s| s.contains(now));
                let window = mailbox.schedule.window.on(mailbox.schedule.zone, day);
                hours
                    && now > window.end
                    && !limited
                    && !self.scenario.host_limits.contains(&mailbox.endpoint.host)
                    && row.reserved < quota
                    && row.attempts < 2 * quota
                    && self.world.may_send_and_receive(id).0
                    && self.judge.cool_from(id).is_none_or(|cool| cool <= now)
                    && !self.judge.is_flying(id)
                    && self.world.has_open_partner(id)
            },
        )
    }
}
