//! One batch: the free lanes take the most urgent mails together, ask the caps, reserve, and start.
//!
//! Nothing is granted or reserved for what can't start at once. At most one EVALSHA and one statement here, and one
//! statement when the batch settles.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Worker, queue::Mail, send::Send, settler::Results};
use crate::{
    domain::{
        content::{Draft, Names},
        id::{Epoch, FlightId, ShardId, UserId},
        lease::MachineTime,
        pairing::Partner,
    },
    ports::{
        Ask, CapKind, Choice, Flight, Gate, Grant, PortError, Refusal, Reservation, ReserveBatch,
        entropy::{Purpose, mailbox_key},
    },
};

/// How long free lanes and released mails are gathered into one batch, at most; day clock, like all pacing.
const GATHER: TimeDelta = TimeDelta::milliseconds(200);

/// A grant older than this is thrown away: the window it was granted in is passing. Machine clock.
const GRANT_HOLDS: Duration = Duration::from_secs(3);

/// Partners offered beside the planned one; and how many more than it has attempted when those would not do either, so
/// that a repeat is offered only behind everybody that is left.
const ALTERNATIVES: usize = 8;
const EVERYBODY: usize = 512;

/// How long everything waits when a service is away; machine clock.
const AWAY: Duration = Duration::from_millis(500);

/// Mails between their reserve and their settle, for each lane, at most: one on its way, one in the statement under way,
/// one in the next. More means that settling hangs, and a death now would leave all of them uncertain.
const UNSETTLED: usize = 4;

/// How long a mail waits whose shard is not ours for certain.
const DOUBTFUL: TimeDelta = TimeDelta::seconds(5);

/// How long a mail waits that was refused for a cause that passes by itself.
const SOON: TimeDelta = TimeDelta::seconds(30);

/// A mail with its grant, its words and what it asks of the ledger.
struct Granted {
    mail: Mail,
    draft: Draft,
    ask: Ask,
}

impl Worker {
    /// Starts what may start now.
    pub(super) async fn dispatch(&mut self, results: &Results) {
        self.gather().await;
        let now = self.ports.clock.now();
        self.not_before = now + TimeDelta::from_std(self.settings.batch_delay).unwrap_or(TimeDelta::zero());
        if self.unsettled.stuck() || self.unsettled.len() >= self.settings.max_concurrent * UNSETTLED {
            // What is finished can't be written, or not fast enough: nothing new starts meanwhile.
            return self.ports.clock.pause(AWAY).await;
        }
        let most = self.lanes.free(now).min(self.settings.batch_size);
        let (mails, epochs) = self.owned_only(now, most);
        if mails.is_empty() {
            return;
        }
        let asked = self.ports.clock.machine();
        let granted = self.ask_caps(mails, now).await;
        if granted.is_empty() {
            return;
        }
        self.reserve_and_start(granted, epochs, asked, results).await;
    }

    /// Waits a moment for more lanes and mails, unless the batch is full already.
    async fn gather(&mut self) {
        let now = self.ports.clock.now();
        let full = self.settings.max_concurrent.min(self.settings.batch_size);
        if self.lanes.free(now) < full || self.queue.released(now, full) < full {
            self.ports.clock.sleep_until(now + GATHER).await;
        }
    }

    /// Takes released mails of shards that are ours for certain; the others wait, for a late renewal can make them so.
    fn owned_only(&mut self, now: DateTime<Utc>, most: usize) -> (Vec<Mail>, Vec<(ShardId, Epoch)>) {
        let (mut mails, mut epochs) = (Vec::new(), std::collections::BTreeMap::new());
        for mail in self.queue.take(now, most) {
            match self.holdings.epoch(mail.planned.shard) {
                Some(epoch) => {
                    epochs.insert(mail.planned.shard, epoch);
                    mails.push(mail);
                }
                // Whoever owns it now plans it too; a mail of a shard that is lost for good ends with this tick.
                None => self.queue.put_back(mail, now + DOUBTFUL),
            }
        }
        (mails, epochs.into_iter().collect())
    }

    /// Asks the caps for all mails at once and returns those that were granted; the others wait as long as asked.
    async fn ask_caps(&mut self, mails: Vec<Mail>, now: DateTime<Utc>) -> Vec<Mail> {
        let users: Vec<UserId> = mails.iter().map(|mail| mail.planned.user).collect();
        let grants = match self.ports.caps.grant(self.ports.clock.caps_now(), &users).await {
            Ok(grants) => grants,
            Err(error) => {
                tracing::warn!(%error, "no caps, no mail");
                self.hold_all(now, mails).await;
                return Vec::new();
            }
        };
        let mut granted = Vec::new();
        for (mail, grant) in mails.into_iter().zip(grants) {
            match grant {
                Grant::Granted => granted.push(mail),
                Grant::Refused { cap, wait } => {
                    let wait = TimeDelta::from_std(wait.min(self.settings.rate_limit_backoff)).unwrap_or(SOON);
                    self.hold_for_cap(cap, mail.planned.user, now + wait);
                    self.queue.put_back(mail, now + wait);
                }
            }
        }
        granted
    }

    fn hold_for_cap(&mut self, cap: CapKind, user: UserId, until: DateTime<Utc>) {
        match cap {
            CapKind::GlobalHour | CapKind::GlobalMinute => self.not_before = self.not_before.max(until),
            CapKind::UserHour | CapKind::UserMinute => self.queue.hold(user, until),
        }
    }

    /// A service is away: everything waits a moment, on the machine's own time.
    async fn hold_all(&mut self, now: DateTime<Utc>, mails: Vec<Mail>) {
        for mail in mails {
            self.queue.put_back(mail, now);
        }
        self.ports.clock.pause(AWAY).await;
    }

    async fn reserve_and_start(
        &mut self,
        mails: Vec<Mail>,
        epochs: Vec<(ShardId, Epoch)>,
        asked: MachineTime,
        results: &Results,
    ) {
        let now = self.ports.clock.now();
        let granted: Vec<Granted> = mails.into_iter().map(|mail| self.words(mail)).collect();
        let batch = ReserveBatch {
            worker: self.settings.worker.clone(),
            run: self.run,
            epochs: epochs.clone(),
            now,
            asks: granted.iter().map(|granted| granted.ask.clone()).collect(),
        };
        let reservations = match self.reserve(batch).await {
            Some(Ok(reservations)) => reservations,
            Some(Err(error)) => return self.reserve_failed(error, granted, now).await,
            None => return tracing::warn!("stopping: not waiting for a reserve"),
        };
        let mut reserved = Vec::new();
        for (granted, reservation) in granted.into_iter().zip(reservations) {
            match reservation {
                Reservation::Reserved(flight) => reserved.push((granted, *flight)),
                Reservation::Refused(refusal) => self.refused(granted.mail, refusal, now),
            }
        }
        if self.ports.clock.machine().since(asked) > GRANT_HOLDS {
            return self.throw_away(reserved, now).await;
        }
        // All of a batch are known before the first can finish: so it settles as one.
        for (_, flight) in &reserved {
            self.unsettled.started(flight.id, flight.batch);
        }
        for (granted, flight) in reserved {
            self.start(granted, flight, &epochs, results);
        }
    }

    /// Gives back what was reserved under grants that are too old to be used.
    async fn throw_away(&mut self, reserved: Vec<(Granted, Flight)>, now: DateTime<Utc>) {
        tracing::warn!(mails = reserved.len(), "the ledger answered too late for the grants: nothing was started");
        let flights: Vec<FlightId> = reserved.iter().map(|(_, flight)| flight.id).collect();
        if let Err(error) = self.ports.ledger.release(&flights, now).await {
            tracing::warn!(%error, "the places are given back by the next sweep");
        }
        for (mut granted, _) in reserved {
            granted.mail.planned.attempts += 1;
            self.queue.put_back(granted.mail, now);
        }
    }

    /// Chooses words and partners, and mints the Message-ID.
    fn words(&self, mail: Mail) -> Granted {
        let planned = &mail.planned;
        let key = mailbox_key(planned.mailbox);
        let draft = self.texts.mail(self.ports.entropy.roll(Purpose::Content, key));
        let ask = Ask {
            mailbox: planned.mailbox,
            shard: planned.shard,
            day: planned.day,
            attempts: planned.attempts,
            choices: self.choices(&mail),
            message_id: format!("{}@{}", self.ports.entropy.uuid(), planned.domain),
            subject: draft.subject.clone(),
        };
        Granted { mail, draft, ask }
    }

    fn choices(&self, mail: &Mail) -> Vec<Choice> {
        let planned = &mail.planned;
        let Some(pairing) = self.pairings.get(&planned.day) else { return Vec::new() };
        let k = planned.attempts + 1;
        let dice = self.ports.entropy.roll(Purpose::Walk, mailbox_key(planned.mailbox));
        let planned_partner = pairing.planned(planned.mailbox, k).into_iter();
        let partners: Vec<Partner> = if mail.walk {
            let everybody = pairing.walk(planned.mailbox, k, dice, EVERYBODY + usize::from(k));
            let again: Vec<Partner> = everybody.iter().copied().map(Partner::again).collect();
            planned_partner.chain(everybody).chain(again).collect()
        } else {
            planned_partner.chain(pairing.walk(planned.mailbox, k, dice, ALTERNATIVES)).collect()
        };
        let choice = |partner: Partner| Choice { partner: partner.mailbox, round: partner.round as i16 };
        partners.into_iter().map(choice).collect()
    }

    /// The answer to a reserve did not come: give back whatever it may have opened.
    async fn reserve_failed(&mut self, error: PortError, granted: Vec<Granted>, now: DateTime<Utc>) {
        tracing::warn!(%error, "reserve failed: nothing was started");
        if matches!(error, PortError::Unknown(_)) {
            let asked: Vec<String> = granted.iter().map(|granted| granted.ask.message_id.clone()).collect();
            if let Err(error) = self.ports.ledger.abandon(self.run, &asked, now).await {
                tracing::warn!(%error, "what it may have reserved is given back by the next sweep");
            }
        }
        // Its attempts may have been counted: the next tick reads them again.
        let unknown = !matches!(error, PortError::Unavailable(_) | PortError::Conflict(_));
        let mails = granted.into_iter().map(|granted| granted.mail);
        if unknown {
            mails.for_each(|mail| self.queue.drop_taken(mail.planned.mailbox));
        } else {
            self.hold_all(now, mails.collect()).await;
        }
    }

    fn refused(&mut self, mut mail: Mail, refusal: Refusal, now: DateTime<Utc>) {
        tracing::debug!(mailbox = %mail.planned.mailbox, refusal = refusal.as_str(), "not reserved");
        match refusal {
            Refusal::NotCool => self.queue.put_back(mail, now + SOON),
            Refusal::NoPartner if !mail.walk => {
                mail.walk = true;
                self.queue.put_back(mail, now);
            }
            Refusal::FleetStopped => {
                self.not_before = self.not_before.max(now + SOON);
                self.queue.put_back(mail, now + SOON);
            }
            Refusal::NoPartner => {
                tracing::warn!(mailbox = %mail.planned.mailbox, "no partner can receive that was not used today");
                self.queue.drop_taken(mail.planned.mailbox);
            }
            Refusal::ShardLost
            | Refusal::SenderPaused
            | Refusal::QuotaFull
            | Refusal::Stale
            | Refusal::UserDailyLimit => self.queue.drop_taken(mail.planned.mailbox),
        }
    }

    fn start(&mut self, granted: Granted, flight: Flight, epochs: &[(ShardId, Epoch)], results: &Results) {
        let now = self.ports.clock.now();
        let (min, max) = (self.settings.cooldown_min, self.settings.cooldown_max);
        let key = mailbox_key(flight.sender.mailbox);
        let cooldown = self.between(Purpose::Cooldown, key, min, max);
        let epoch = epochs.iter().find(|(shard, _)| *shard == flight.shard).map(|(_, epoch)| *epoch);
        if let Some(more) = granted.mail.planned.after_one(now, now) {
            self.queue.owes_more(more);
        }
        self.lanes.occupy();
        let send = Send {
            mailer: Arc::clone(&self.ports.mailer),
            clock: Arc::clone(&self.ports.clock),
            gate: self.gate(flight.shard, epoch),
            text: granted.draft.text(&Names::of(&flight.sender.display_name, &flight.recipient.display_name)),
            flight,
            cooldown,
            results: results.clone(),
            tell: self.tell.clone(),
        };
        self.tracker.spawn(send.run());
    }

    fn gate(&self, shard: ShardId, epoch: Option<Epoch>) -> Gate {
        let holdings = Arc::clone(&self.holdings);
        let open = move || epoch.is_some_and(|epoch| holdings.still(shard, epoch));
        Gate { open: Arc::new(open), cancel: self.sending.clone() }
    }
}
