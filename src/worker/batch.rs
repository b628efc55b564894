//! `Worker::dispatch` fills the free lanes with one batch: it asks the caps, reserves the mails and starts them.
//!
//! Only mails that can start at once are granted and reserved. A batch costs at most one EVALSHA and one statement
//! here, and one statement when it settles.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Worker, compose::ComposedMail, connections::OpenConnection, delivery::DeliveryTask, grants::GrantedBatch,
    outbound::OutboundMail, owned_shards::ShardGuard, settler::ResultSender,
};
use crate::{
    domain::{
        content::Names,
        id::{Epoch, ShardId},
        lease::MachineTime,
    },
    observe::mail_spans::{BatchSpans, BatchTimestamps},
    ports::{
        Flight, PortError, Refusal, Reservation, ReserveBatch, SendPermit,
        entropy::{Purpose, mailbox_key},
    },
};

/// The maximum time for which a batch waits for more free lanes and released mails. Day clock, like all pacing.
const BATCH_WINDOW: TimeDelta = TimeDelta::milliseconds(200);

/// The maximum age of a grant at its use, because the window of its cap passes. Machine clock.
const MAX_GRANT_AGE: Duration = Duration::from_secs(3);

/// The wait of all mails while a service is away. Machine clock.
const SERVICE_RETRY_DELAY: Duration = Duration::from_millis(500);

/// The maximum number of unsettled mails per lane: one in the lane, one in the present statement, one in the next. A
/// higher number means that settling hangs, and if the worker died all of them would be uncertain.
const MAX_UNSETTLED_PER_LANE: usize = 4;

/// The wait of a mail while the worker is not certain to own its shard. Day clock.
pub(super) const LEASE_RETRY_DELAY: TimeDelta = TimeDelta::seconds(5);

/// The wait of a mail after a refusal whose cause ends by itself. Day clock.
pub(super) const REFUSAL_RETRY_DELAY: TimeDelta = TimeDelta::seconds(30);

impl Worker {
    /// Starts the mails that may start now.
    pub(super) async fn dispatch(&mut self, results: &ResultSender) {
        let now = self.ports.clock.now();
        if !self.has_gathered(now) {
            return;
        }
        if !self.clock_watch.is_right() {
            self.paused_until = now + LEASE_RETRY_DELAY;
            return;
        }
        self.paused_until = now + TimeDelta::from_std(self.settings.batch_delay).unwrap_or(TimeDelta::zero());
        if self.unsettled.is_blocked() || self.unsettled.len() >= self.settings.max_concurrent * MAX_UNSETTLED_PER_LANE
        {
            // Postgres can't store the results, or not fast enough, so no mail starts meanwhile.
            return self.ports.clock.sleep(SERVICE_RETRY_DELAY).await;
        }
        let most =
            self.lanes.free(now).min(self.settings.batch_size).min(self.batch_limit).min(self.backoff.batch_limit());
        let (letters, pledge) = self.owned_only(now, most);
        if letters.is_empty() {
            return;
        }
        let asked = self.ports.clock.machine();
        let mut granted = self.ask_caps(letters, now).await;
        let answered = self.ports.clock.machine();
        self.keep_owned(&mut granted, &pledge);
        if granted.letters.is_empty() {
            return;
        }
        self.reserve_and_start(granted, pledge, (asked, answered), results).await;
    }

    /// Returns whether a batch starts now: it is full, or its window is over.
    fn has_gathered(&mut self, now: DateTime<Utc>) -> bool {
        let since = *self.batch_open_since.get_or_insert(now);
        let enough = self.fills_a_batch(now) || now >= since + BATCH_WINDOW;
        if enough {
            self.batch_open_since = None;
        }
        enough
    }

    /// Returns whether the next batch is full: more lanes or mails would not make it larger.
    fn fills_a_batch(&mut self, now: DateTime<Utc>) -> bool {
        let full = self.lanes.batch();
        self.lanes.free(now) >= full && self.queue.released(now, full) >= full
    }

    /// Returns the time until which an open batch waits for more lanes and mails.
    pub(super) fn gathers_until(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        let gathering = self.batch_open_since;
        match gathering {
            Some(since) if !self.fills_a_batch(now) => since + BATCH_WINDOW,
            _ => DateTime::<Utc>::MIN_UTC,
        }
    }

    /// Takes released mails of shards that this worker certainly owns, and guards these shards. The other mails wait,
    /// because a late renewal may still arrive. The mails of lost and draining shards leave the plan by themselves.
    fn owned_only(&mut self, now: DateTime<Utc>, most: usize) -> (Vec<OutboundMail>, ShardGuard) {
        let (mut letters, mut pledge) = (Vec::new(), self.holdings.pledge());
        for letter in self.take_letters(now, most) {
            if pledge.add(letter.shard()) {
                letters.push(letter);
            } else {
                self.put_back(letter, now + LEASE_RETRY_DELAY);
            }
        }
        (letters, pledge)
    }

    /// Puts back the granted mails of shards that this worker is not certain to own: the caps answered late, or the
    /// process was suspended meanwhile. Their connections are given back.
    fn keep_owned(&mut self, granted: &mut GrantedBatch, pledge: &ShardGuard) {
        let now = self.ports.clock.now();
        for letter in std::mem::take(&mut granted.letters) {
            let shard = letter.shard();
            if pledge.epoch(shard).is_some_and(|epoch| self.holdings.is_owned(shard, epoch)) {
                granted.letters.push(letter);
            } else {
                drop(granted.open.remove(&letter.mailbox()));
                self.put_back(letter, now + LEASE_RETRY_DELAY);
            }
        }
    }

    /// Puts all mails back and waits, because a service is away. Machine clock.
    pub(super) async fn hold_all(&mut self, now: DateTime<Utc>, letters: Vec<OutboundMail>) {
        for letter in letters {
            self.put_back(letter, now);
        }
        self.ports.clock.sleep(SERVICE_RETRY_DELAY).await;
    }

    async fn reserve_and_start(
        &mut self,
        granted: GrantedBatch,
        pledge: ShardGuard,
        (asked, answered): (MachineTime, MachineTime),
        results: &ResultSender,
    ) {
        let GrantedBatch { letters, mut open } = granted;
        let pledge = Arc::new(pledge);
        let now = self.ports.clock.now();
        let granted: Vec<ComposedMail> = letters.into_iter().map(|letter| self.compose(letter)).collect();
        let batch = ReserveBatch {
            worker: self.settings.worker.clone(),
            run: self.run,
            epochs: pledge.epochs(),
            now,
            asks: granted.iter().map(|granted| granted.ask.clone()).collect(),
        };
        let known = self.set_back.newest_flight();
        let reservations = match self.reserve(batch, &pledge).await {
            Some(Ok(reservations)) => reservations,
            Some(Err(error)) => return self.reserve_failed(error, granted, now).await,
            None => return tracing::warn!("stopping: not waiting for a reserve"),
        };
        let mut reserved = Vec::new();
        for (granted, reservation) in granted.into_iter().zip(reservations) {
            match reservation {
                Reservation::Reserved(flight) => reserved.push((granted, *flight)),
                Reservation::Refused(refusal) => self.refused(granted.letter, refusal, now),
            }
        }
        let moments = BatchTimestamps { asked, granted: answered, reserved: self.ports.clock.machine() };
        if !self.set_back.record_flights(known, reserved.iter().map(|(_, flight)| flight.id)) {
            return self.let_rest(reserved, now).await;
        }
        if moments.reserved.since(asked) > MAX_GRANT_AGE {
            return self.throw_away(reserved, now).await;
        }
        self.backoff.reset();
        let reserved = self.without_moved(reserved, now).await;
        // Before the first mail can finish, so that the batch settles as one.
        for (_, flight) in &reserved {
            self.unsettled.started(flight);
        }
        let trail = BatchSpans::of(&self.tick_span, &self.settings.worker.0, reserved.len(), moments);
        let mut sends = Vec::with_capacity(reserved.len());
        for (granted, flight) in reserved {
            let open = open.remove(&flight.sender.mailbox);
            sends.push(self.take_lane(granted, flight, open, &pledge, (results, &trail)));
        }
        self.start(sends);
    }

    /// Releases the mails whose grants are too old, and puts them back.
    async fn throw_away(&mut self, reserved: Vec<(ComposedMail, Flight)>, now: DateTime<Utc>) {
        let mails = reserved.len();
        self.vitals.add_expired_grants(mails);
        if self.backoff.record_expired(self.ports.clock.machine()) {
            tracing::warn!(
                mails,
                "Postgres answered too late for the grants of a batch: nothing of it was started, and fewer mails are asked \
                 for until it is fast again"
            );
        } else {
            tracing::debug!(mails, "Postgres answered too late for the grants of another batch");
        }
        self.release(&reserved, now).await;
        for (granted, _) in reserved {
            self.put_back(granted.letter, now);
        }
    }

    /// Releases the mails that a set-back database has reserved. The loop starts no mail until the fleet is fenced.
    async fn let_rest(&mut self, reserved: Vec<(ComposedMail, Flight)>, now: DateTime<Utc>) {
        self.release(&reserved, now).await;
        reserved.iter().for_each(|(granted, _)| self.drop_mail(&granted.letter));
    }

    /// Releases the mails of mailboxes that have moved to another host since the caps were asked, and returns the other
    /// mails. The next tick plans the moved mailboxes with their new host.
    async fn without_moved(
        &mut self,
        reserved: Vec<(ComposedMail, Flight)>,
        now: DateTime<Utc>,
    ) -> Vec<(ComposedMail, Flight)> {
        let stays = |(granted, flight): &(ComposedMail, Flight)| {
            flight.endpoint.host.eq_ignore_ascii_case(granted.letter.host())
        };
        let (reserved, moved): (Vec<_>, Vec<_>) = reserved.into_iter().partition(stays);
        if !moved.is_empty() {
            tracing::info!(mails = moved.len(), "mailboxes have changed their host since they were planned");
            self.release(&moved, now).await;
            moved.iter().for_each(|(granted, _)| self.drop_mail(&granted.letter));
        }
        reserved
    }

    async fn release(&self, reserved: &[(ComposedMail, Flight)], now: DateTime<Utc>) {
        let mails: Vec<String> = reserved.iter().map(|(_, flight)| flight.message_id.clone()).collect();
        if let Err(error) = self.ports.ledger.release(self.run, &mails, now).await {
            tracing::warn!(%error, "the places are given back by the next sweep");
            self.unstarted.record(mails, self.ports.clock.machine());
        }
    }

    /// Handles a failed reserve: releases the mails that it may have reserved, and puts back or drops all mails.
    async fn reserve_failed(&mut self, error: PortError, granted: Vec<ComposedMail>, now: DateTime<Utc>) {
        tracing::warn!(%error, "reserve failed: nothing was started");
        if matches!(error, PortError::Unknown(_)) {
            let asked: Vec<String> = granted.iter().map(|granted| granted.ask.message_id.clone()).collect();
            if let Err(error) = self.ports.ledger.release(self.run, &asked, now).await {
                tracing::warn!(%error, "what it may have reserved is given back by the next sweep");
            }
            // Also after a successful release, because Postgres may execute the reserve later still.
            self.unstarted.record(asked, self.ports.clock.machine());
        }
        // The reserve may have counted the attempts. An early tick reads them again, also for shards without other
        // mails.
        let unknown = !matches!(
            error,
            PortError::Unavailable(_)
                | PortError::Unwritable(_)
                | PortError::Slow(_)
                | PortError::Denied(_)
                | PortError::Conflict(_)
        );
        let letters = granted.into_iter().map(|granted| granted.letter);
        if unknown {
            letters.for_each(|letter| self.drop_mail(&letter));
            self.next_tick = self.next_tick.min(now + LEASE_RETRY_DELAY);
        } else {
            self.hold_all(now, letters.collect()).await;
        }
    }

    fn refused(&mut self, letter: OutboundMail, refusal: Refusal, now: DateTime<Utc>) {
        tracing::debug!(mailbox = %letter.mailbox(), refusal = refusal.as_str(), "not reserved");
        let scope = letter.refusal_scope(now);
        if refusal == Refusal::UserDailyLimit {
            self.limit_warnings.warn(scope.user, scope.day);
        }
        self.queue.learn(refusal, scope);
        match (refusal, letter) {
            (Refusal::NotCool, letter) => self.put_back(letter, now + REFUSAL_RETRY_DELAY),
            (Refusal::FleetStopped, letter) => {
                self.paused_until = self.paused_until.max(now + REFUSAL_RETRY_DELAY);
                self.put_back(letter, now + REFUSAL_RETRY_DELAY);
            }
            (Refusal::NoPartner | Refusal::PartnersFull, OutboundMail::Mail(mut mail)) if !mail.walk => {
                mail.walk = true;
                self.queue.put_back(mail, now);
            }
            (Refusal::PartnersFull, OutboundMail::Mail(mail)) => {
                tracing::warn!(mailbox = %mail.planned.mailbox, "all partners have received what they may today");
                self.queue.drop_taken(mail.planned.mailbox);
            }
            (Refusal::NoPartner, OutboundMail::Mail(mail)) => {
                tracing::warn!(mailbox = %mail.planned.mailbox, "no partner can receive that was not used today");
                self.queue.drop_taken(mail.planned.mailbox);
            }
            (
                Refusal::NoPartner
                | Refusal::PartnersFull
                | Refusal::ShardLost
                | Refusal::SenderPaused
                | Refusal::HostPaused
                | Refusal::DomainPaused
                | Refusal::QuotaFull
                | Refusal::Stale
                | Refusal::UserDailyLimit,
                letter,
            ) => self.drop_mail(&letter),
        }
    }

    /// Takes a lane for a mail and collects everything that its delivery needs.
    fn take_lane(
        &mut self,
        granted: ComposedMail,
        flight: Flight,
        connection: Option<OpenConnection>,
        pledge: &ShardGuard,
        (results, trail): (&ResultSender, &BatchSpans),
    ) -> DeliveryTask {
        let now = self.ports.clock.now();
        let (min, max) = (self.settings.cooldown_min, self.settings.cooldown_max);
        let key = mailbox_key(flight.sender.mailbox);
        let cooldown = self.between(Purpose::Cooldown, key, min, max);
        let rest = self.between(Purpose::LaneRest, 0, self.settings.stagger_min, self.settings.stagger_max);
        let (thread, intent) = (granted.thread(), self.intent(&flight));
        let (answers, host) = (granted.answered_trace(), granted.letter.shared_host());
        if let OutboundMail::Mail(mail) = granted.letter
            && let Some(more) = mail.planned.after_attempt(now, now)
        {
            self.queue.owes_more(more);
        }
        self.lanes.occupy();
        DeliveryTask {
            mailer: Arc::clone(&self.ports.mailer),
            clock: Arc::clone(&self.ports.clock),
            gate: self.gate(flight.shard, pledge.epoch(flight.shard)),
            text: granted.draft.text(&Names::of(&flight.sender.display_name, &flight.recipient.display_name)),
            thread,
            intent,
            flight,
            host,
            connection,
            cooldown,
            lanes: Arc::clone(&self.lanes),
            rest,
            results: results.clone(),
            trail: trail.clone(),
            answers,
            events_tx: self.events_tx.clone(),
        }
    }

    /// Starts all mails of a batch, with a single wake-up of the send runtime.
    fn start(&self, sends: Vec<DeliveryTask>) {
        let tracker = self.tracker.clone();
        let all = async move {
            sends.into_iter().for_each(|send| drop(tracker.spawn(send.run())));
        };
        match &self.send_runtime {
            Some(runtime) => self.tracker.spawn_on(all, runtime),
            None => self.tracker.spawn(all),
        };
    }

    fn gate(&self, shard: ShardId, epoch: Option<Epoch>) -> SendPermit {
        let holdings = Arc::clone(&self.holdings);
        let open = move || epoch.is_some_and(|epoch| holdings.is_owned(shard, epoch));
        SendPermit { open: Arc::new(open), cancel: self.sending.clone() }
    }
}
