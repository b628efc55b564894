//! Whether every mailbox that could send sends in time: looked at each second, and at each reservation.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, TimeDelta};
use warmup::{
    domain::{
        id::MailboxId,
        progress::{PlannedShare, due, planned_window},
    },
    simulation::database::MailboxFacts,
};

use super::{ACTIVE, Fixture};
use crate::seeded::judge::WaitBound;

/// What a mail takes of a lane on average while all is well, with the rest after it.
const MAIL_TAKES_SECONDS: f64 = 1.0;

/// The mailboxes that take part on each date.
type Rosters = BTreeMap<NaiveDate, BTreeSet<MailboxId>>;

/// Since when a mailbox that could send is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Able {
    Due,
    /// Its window is over.
    Late,
}

impl Fixture {
    pub(super) fn look_for_waits(&self, able: &BTreeMap<MailboxId, Able>, troubles: &[(i64, i64)]) {
        let now = self.now_ms();
        if troubles.iter().any(|(from, to)| (*from..*to).contains(&now)) {
            return self.judge.nobody_waits();
        }
        let ended = troubles.iter().map(|(_, to)| *to).filter(|to| *to <= now).max().unwrap_or(0);
        let bound = WaitBound {
            well: TimeDelta::milliseconds(self.scenario.wait_ms()),
            recovery: TimeDelta::milliseconds(self.scenario.recovery_ms()),
        };
        self.judge.could_send(&able.keys().copied().collect(), bound, self.at(ended));
    }

    /// Says whether one worker has the lanes to serve all healthy mailboxes as fast as they cool down.
    fn has_enough_lanes(&self) -> bool {
        let tempo = &self.scenario.tempo;
        let cooldown = (tempo.cooldown.0 + tempo.cooldown.1) as f64 / 2.0;
        let mailboxes = self.world.mailbox_count() as f64;
        let is_enough = mailboxes * MAIL_TAKES_SECONDS <= tempo.lanes as f64 * (cooldown + MAIL_TAKES_SECONDS);
        is_enough && !self.scenario.caps_bind()
    }

    /// The mailboxes that are due, healthy, and that nothing but a fault could hold up.
    pub(super) fn able(&self) -> BTreeMap<MailboxId, Able> {
        if !self.has_enough_lanes() || !self.world.is_running() {
            return BTreeMap::new();
        }
        let facts = self.world.mailbox_facts();
        for mailbox in facts.iter().filter(|mailbox| !mailbox.has_daily_room) {
            self.judge.at_limit(mailbox.user, mailbox.day);
        }
        let days: BTreeSet<NaiveDate> = facts.iter().map(|mailbox| mailbox.day).collect();
        let roster = |day| (day, self.world.roster_of(day).into_iter().collect());
        let rosters: Rosters = days.into_iter().map(roster).collect();
        let able = facts.iter().filter_map(|mailbox| Some((mailbox, self.is_able(mailbox)?)));
        able.filter(|(mailbox, _)| self.has_partner(mailbox, &facts, &rosters))
            .map(|(mailbox, able)| (mailbox.id, able))
            .collect()
    }

    fn is_able(&self, mailbox: &MailboxFacts) -> Option<Able> {
        let (now, row) = (self.clock.now(), &mailbox.row);
        let active = ACTIVE.parse().expect("hours");
        let sends = mailbox.schedule.sending(mailbox.day, active).is_some_and(|span| span.contains(now));
        let (zone, day) = (mailbox.schedule.zone, mailbox.day);
        let window = mailbox.schedule.window.on(zone, day);
        let planned = planned_window(window, zone, day, mailbox.enrolled_at);
        let able = sends
            && mailbox.can_send
            && !row.closed
            && !mailbox.is_probing
            && mailbox.has_daily_room
            && due(mailbox.quota, row.reserved, PlannedShare::at(now, planned)) > 0
            && u32::from(row.attempts) < 2 * u32::from(mailbox.quota)
            && !self.hosts.is_in_trouble(&mailbox.host, mailbox.user)
            && !self.scenario.host_limits.contains(&*mailbox.host)
            && !self.judge.is_flying(mailbox.id)
            && self.judge.cool_from(mailbox.id).is_none_or(|cool| cool <= now);
        able.then_some(if now > window.end { Able::Late } else { Able::Due })
    }

    /// Says whether somebody of the day's roster can receive who was not written to in this round.
    fn has_partner(&self, mailbox: &MailboxFacts, all: &[MailboxFacts], rosters: &Rosters) -> bool {
        let Some(roster) = rosters.get(&mailbox.day) else { return false };
        let round = mailbox.row.attempts / (roster.len().saturating_sub(1).max(1)) as u16;
        all.iter().any(|partner| {
            partner.id != mailbox.id
                && partner.can_receive
                && !self.world.avoids(mailbox.id, partner.id)
                && roster.contains(&partner.id)
                && self.judge.is_unused(mailbox.day, mailbox.id, partner.id, round as i16)
        })
    }
}
