//! `Worker::on_tick` plans the owned shards: it closes the past days, sweeps orphans, reads the candidates and fills
//! the queue.
//!
//! Shards are planned in parts (`parts.rs`). A part outside the tick is planned after a shard was acquired, or when an
//! operator enrolled, enabled or resumed mailboxes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use tracing::{Instrument, Span, field};

use super::{DayPairing, Event, Worker};
use crate::{
    domain::{
        daily_room::{DailyRoom, UserDay},
        id::{ShardId, UserId},
        pairing::Pairing,
        plan::{MailboxPlan, Tick, plan_beside, plan_within},
        reply::DueReply,
        time::{LocalDates, next_tick, today},
    },
    observe::{mail_spans::ParentSpan, spans},
    ports::{PortError, Roster, SweepRequest},
};

/// The wait after a failed tick. Machine clock.
const RETRY: Duration = Duration::from_secs(1);

/// The time after the mail deadline at which an in-flight mail of another run counts as an orphan.
const ORPHANED_AFTER: Duration = Duration::from_secs(10);

/// The mails of a plan that are spread over the tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    All,
    /// Mails of mailboxes that have no waiting mail yet.
    New,
}

impl Worker {
    /// Plans all owned shards and returns the time of the next tick.
    pub(super) async fn on_tick(&mut self) -> DateTime<Utc> {
        let shards: BTreeSet<ShardId> = self.holdings.owned().into_iter().collect();
        let now = self.ports.clock.now();
        if !self.clock_watch.is_right() {
            // The next heartbeat compares the clock again.
            return now + TimeDelta::from_std(self.settings.heartbeat).unwrap_or(TimeDelta::zero());
        }
        self.sweep();
        if shards.is_empty() || !self.is_fleet_running {
            return next_tick(now, self.interval());
        }
        self.parts.add(shards);
        self.plan_part().await;
        next_tick(now, self.interval())
    }

    /// Plans the next part. A failed part stays in the list.
    pub(super) async fn plan_part(&mut self) {
        if !self.clock_watch.is_right() {
            // The first tick by the right clock plans them all.
            return self.parts.clear();
        }
        let part = self.parts.next();
        if let Ok(mailboxes) = self.plan_shards(&part, Spread::All).await {
            self.parts.planned(&part, mailboxes);
        }
        if self.bench.is_benched() {
            self.parts.clear();
        }
    }

    /// Drops the removed shards from the plan, and plans the added shards at once.
    pub(super) async fn on_change(&mut self) {
        let gone = self.holdings.take_gone();
        if !gone.is_empty() {
            self.parts.remove(&gone);
            self.queue.forget(&gone);
            self.replies.replace(&gone, Vec::new(), self.ports.clock.now());
        }
        // A suspended worker hands its shards over. A worker with a wrong clock plans them in its first tick by a right
        // clock.
        let fresh = self.holdings.take_fresh();
        if !fresh.is_empty() && !self.bench.is_benched() && self.clock_watch.is_right() {
            self.sweep();
            self.parts.add(fresh);
            self.plan_part().await;
        }
    }

    /// Plans the requested shards that this worker owns, in parts of the usual size, beside the present plan. The
    /// owners of the other shards plan them when they acquire them; a stopped fleet plans at its start. The caller
    /// checks the clock, because a wrong clock would close today and open another day.
    pub(super) async fn on_requested(&mut self) {
        let requested = std::mem::take(&mut self.requested);
        if !self.is_fleet_running {
            return;
        }
        let mut ours = self.holdings.owned();
        ours.retain(|shard| requested.contains(shard));
        let later = ours.split_off(ours.len().min(self.parts.at_once()));
        self.requested.extend(later);
        let part: BTreeSet<ShardId> = ours.into_iter().collect();
        if !part.is_empty() && self.plan_shards(&part, Spread::New).await.is_err() {
            self.requested.extend(part);
        }
    }

    /// Plans `shards` and returns the number of their candidates. After a failure the caller may retry at once: the
    /// next part is smaller, this call has waited, or the worker is suspended.
    async fn plan_shards(&mut self, shards: &BTreeSet<ShardId>, spread: Spread) -> Result<usize, PortError> {
        let span = tracing::info_span!(
            target: spans::TARGET,
            spans::TICK,
            warmup.worker = %self.settings.worker,
            warmup.shards = shards.len(),
            warmup.mailboxes = field::Empty,
            warmup.mails = field::Empty,
            warmup.replies = field::Empty,
            otel.status_code = field::Empty,
            otel.status_description = field::Empty,
        );
        self.tick_span = ParentSpan::of(&span);
        let planned = self.read_and_plan(shards, spread).instrument(span.clone()).await;
        match &planned {
            Ok(_) => self.tick_worked(self.ports.clock.now()),
            // Postgres is available, and another worker would cause the same load. Smaller parts help, a suspension
            // does not. Only a single shard that is too slow counts as a failure.
            Err(error @ PortError::Slow(_)) if self.parts.too_slow(shards) => {
                span.record("otel.status_code", "ERROR").record("otel.status_description", error.kind());
                tracing::warn!(%error, shards = shards.len(), "tick too slow for Postgres: fewer mailboxes are planned at once");
            }
            Err(error) => {
                span.record("otel.status_code", "ERROR").record("otel.status_description", error.kind());
                if !self.tick_failed(shards.iter().copied().collect(), error) {
                    tracing::warn!(%error, shards = shards.len(), "tick failed: it is repeated");
                    self.ports.clock.sleep(RETRY).await;
                }
            }
        }
        planned
    }

    async fn read_and_plan(&mut self, shards: &BTreeSet<ShardId>, spread: Spread) -> Result<usize, PortError> {
        let now = self.ports.clock.now();
        self.prepare(now).await?;
        let list: Vec<ShardId> = shards.iter().copied().collect();
        let todays = LocalDates::at(now);
        let closed = self.ports.mailboxes.roll_over_days(&list, &todays, now).await?;
        let candidates = self.ports.mailboxes.candidates(&list, &todays, now).await?;
        let read = candidates.len();
        let users: BTreeSet<UserId> = candidates.iter().map(|candidate| candidate.user).collect();
        let mut room = self.daily_room(users, shards, &todays).await?;
        let tick = self.tick_at(now);
        let plan = match spread {
            Spread::All => plan_within(&candidates, &tick, &mut room),
            Spread::New => plan_beside(&candidates, &tick, &mut room, |mailbox| self.queue.release_of(mailbox)),
        };
        // There may be 100,000 candidates, and a roster with as many entries is read next.
        drop(candidates);
        let mut replies = self.ports.mailboxes.due_replies(&list, now, next_tick(now, self.interval())).await?;
        // Replies beyond the daily limit are read again at the next tick.
        replies.retain(|DueReply { user, zone, .. }| room.take(*user, today(*zone, now), 1) == 1);
        self.load_pairings(&plan, now).await?;
        let mails: u32 = plan.iter().map(|mail| u32::from(mail.owed)).sum();
        tracing::info!(
            at = %now.format("%Y-%m-%d %H:%M"),
            shards = list.len(),
            candidates = read,
            mailboxes = plan.len(),
            mails,
            replies = replies.len(),
            closed,
            "tick"
        );
        let span = Span::current();
        span.record("warmup.mailboxes", plan.len())
            .record("warmup.mails", mails)
            .record("warmup.replies", replies.len());
        self.queue.replace(shards, plan);
        self.replies.replace(shards, replies, now);
        self.note_slow_hosts();
        Ok(read)
    }

    /// Reads the rest of the daily limits of `users` for `shards`, less the mails that other shards have planned.
    async fn daily_room(
        &mut self,
        users: BTreeSet<UserId>,
        shards: &BTreeSet<ShardId>,
        todays: &LocalDates,
    ) -> Result<DailyRoom, PortError> {
        let users: Vec<UserId> = users.into_iter().collect();
        let user_days = self.ports.ledger.daily_room(&users, &todays.dates()).await?;
        for UserDay { user, day, .. } in user_days.iter().filter(|user_day| user_day.left == 0) {
            self.limit_warnings.warn(*user, *day);
        }
        let mut room = DailyRoom::new(user_days);
        if !room.is_boundless() {
            for (user, day, mails) in self.queue.planned_beside(shards) {
                room.take(user, day, mails);
            }
        }
        Ok(room)
    }

    fn tick_at(&self, now: DateTime<Utc>) -> Tick {
        Tick {
            now,
            next: next_tick(now, self.interval()),
            spread: TimeDelta::from_std(self.settings.tick_spread).unwrap_or(TimeDelta::zero()),
            active: self.settings.active_hours,
            boost: self.settings.quota_priority_boost,
            cooldown: TimeDelta::from_std(self.settings.cooldown_min).unwrap_or(TimeDelta::zero()),
        }
    }

    pub(super) fn interval(&self) -> TimeDelta {
        TimeDelta::from_std(self.settings.tick_interval).unwrap_or(TimeDelta::minutes(15))
    }

    /// Prepares the ledger for the rows of the coming days, once per date.
    pub(super) async fn prepare(&mut self, now: DateTime<Utc>) -> Result<(), PortError> {
        if self.prepared != Some(now.date_naive()) {
            self.ports.ledger.prepare(now).await?;
            self.prepared = Some(now.date_naive());
        }
        Ok(())
    }

    /// Reads the newest roster of each day in the plan, and forgets past days.
    async fn load_pairings(&mut self, plan: &[MailboxPlan], now: DateTime<Utc>) -> Result<(), PortError> {
        let over = now.date_naive() - Days::new(3);
        self.pairings.retain(|day, _| *day > over);
        let days: BTreeSet<NaiveDate> = plan.iter().map(|mail| mail.day).collect();
        for day in days {
            let known = self.pairings.get(&day).map(|known| known.version);
            if known.is_some() && self.parts.has_roster(day) {
                continue;
            }
            let roster = self.ports.mailboxes.roster(day, now, known).await?;
            self.parts.note_roster(day);
            let Some(Roster { version, members }) = roster else { continue };
            tracing::info!(%day, version, mailboxes = members.len(), "roster");
            self.pairings.insert(day, DayPairing { version, pairing: Pairing::new(members) });
        }
        Ok(())
    }

    /// Settles the orphans of the owned shards in a task beside the loop; sending does not wait for it.
    fn sweep(&self) {
        let sweep = SweepRequest {
            worker: self.settings.worker.clone(),
            run: self.run,
            shards: self.holdings.owned(),
            running: self.unsettled.running(),
            unstarted: self.unstarted.message_ids(),
            newest: self.unsettled.newest(),
            older_than: self.settings.mail_deadline + ORPHANED_AFTER,
            now: self.ports.clock.now(),
        };
        let (ledger, tell) = (Arc::clone(&self.ports.ledger), self.events_tx.clone());
        let (unstarted, asked) = (Arc::clone(&self.unstarted), self.ports.clock.machine());
        self.tracker.spawn(async move {
            let swept = ledger.sweep(&sweep).await;
            if swept.is_ok() {
                unstarted.forget_swept(asked, sweep.older_than);
            }
            match swept {
                Ok(swept) if swept.uncertain + swept.released > 0 => {
                    tracing::warn!(uncertain = swept.uncertain, released = swept.released, "swept orphaned mails");
                    if swept.released > 0 {
                        // The channel is closed only after the loop has ended, when nothing is planned.
                        let _ = tell.send(Event::Released);
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "sweep failed: the next tick repeats it"),
            }
        });
    }
}
