//! `FairQueue` chooses the released mail that takes the next free lane.
//!
//! ```text
//!   mail hosts ──earliest turn──▶ host ──earliest turn──▶ user of it ──most urgent──▶ mail
//!                 window free?             window free?      every 4th turn: longest rested
//! ```
//!
//! - *Shares*: hosts, and the users of a host, take turns in proportion to their released mails
//!   (`domain/lane_share.rs`). A host that occupies its share of the lanes goes after the hosts that do not.
//! - *Windows*: a host and each of its users have a window (`domain/host_window.rs`). A user's timeouts narrow the
//!   user's own window. They narrow the host's window if another user has timeouts too, or if the host has no other
//!   user. So no user can slow a host down for others.
//! - *Doubt*: a host is in doubt until its first answer in time, and after a timeout until its next answer in time. A
//!   user is in doubt if the host answers other users only. All in doubt share at most a third of the lanes, by their
//!   turns.
//! - *No idle lane*: a lane stays free only if no released mail may go by these rules. A worker with a single user on a
//!   single host has no one to protect, and uses no window.
//!
//! The bound: a released mail that the windows admit goes after at most eight times as many others as are released. Its
//! user has a turn in each round of its host in which the user has mails. Within four times as many turns the mail is
//! the longest rested. In a round each host and each user has one turn more than it has mails.

mod host;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use self::host::Host;
use crate::domain::{
    host_window::HostSign,
    id::{MailboxId, UserId},
    plan::MailboxPlan,
    urgency::Urgency,
};

/// A position in an order of turns: the virtual time, then the urgency of the next mail.
type Turn<K> = (u64, Reverse<Urgency>, K);

/// A released mail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Released<'a> {
    pub(super) host: &'a Arc<str>,
    pub(super) user: UserId,
    pub(super) mailbox: MailboxId,
    pub(super) urgency: Urgency,
    /// The end of the mailbox's last cooldown; `None` if it has not sent on this day.
    pub(super) rested_at: Option<DateTime<Utc>>,
}

impl<'a> From<&'a MailboxPlan> for Released<'a> {
    fn from(planned: &'a MailboxPlan) -> Released<'a> {
        let MailboxPlan { host, user, mailbox, urgency, rested_at, .. } = planned;
        Released { host, user: *user, mailbox: *mailbox, urgency: *urgency, rested_at: *rested_at }
    }
}

/// The lines in which hosts wait for a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Hosts that answer in time.
    Prompt,
    /// Hosts in doubt. Their mails go only while all in doubt occupy less than a third of the lanes.
    InDoubt,
    /// Hosts that already occupy their share of the lanes. The line exists only during one choice of mails.
    Sated,
}

/// A change of a host: it became slow, or it answers in time again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::worker) enum HostTurn {
    Slow(Arc<str>),
    Prompt(Arc<str>),
}

/// The mail ends for which the queue waits, because each would release another mail.
#[derive(Debug, Default)]
pub(in crate::worker) struct AwaitedEnds {
    /// The hosts of those mails.
    pub(in crate::worker) hosts: Vec<Arc<str>>,
    /// True if the end of any mail counts.
    pub(in crate::worker) all: bool,
}

/// A `FairQueue` holds the released mails by host, user and urgency (`queue/fair.rs`).
#[derive(Debug)]
pub(super) struct FairQueue {
    lanes: usize,
    /// All hosts of any plan so far, with their state.
    hosts: HashMap<Arc<str>, Host>,
    lines: [BTreeSet<Turn<Arc<str>>>; 3],
    /// The number of released mails of the hosts in each line.
    open: [usize; 3],
    /// The virtual time of the turns of hosts.
    now: u64,
    /// The number of occupied lanes; `busy_in_doubt` counts those of hosts and users in doubt.
    busy: usize,
    busy_in_doubt: usize,
    /// The host and the user of each mail that occupies a lane.
    occupants: HashMap<MailboxId, (Arc<str>, UserId)>,
    /// Users that wait because too many lanes are in doubt.
    doubtful_users: Vec<(Arc<str>, UserId)>,
    has_company: bool,
    awaited: Vec<Arc<str>>,
}

impl FairQueue {
    /// Creates the queue of a worker with this number of lanes.
    pub(super) fn new(lanes: usize) -> FairQueue {
        FairQueue {
            lanes,
            hosts: HashMap::new(),
            lines: Default::default(),
            open: [0; 3],
            now: 0,
            busy: 0,
            busy_in_doubt: 0,
            occupants: HashMap::new(),
            doubtful_users: Vec::new(),
            has_company: false,
            awaited: Vec::new(),
        }
    }

    /// Adds a released mail.
    pub(super) fn insert(&mut self, mail: Released<'_>) {
        self.meet(mail.host, mail.user);
        self.change(mail.host, |host| host.insert(mail));
    }

    /// Removes a mail, if the queue has it.
    pub(super) fn remove(&mut self, mail: Released<'_>) {
        self.change(mail.host, |host| host.remove(mail));
    }

    /// Returns whether a mail may go now. Also true if only `next` can find out.
    pub(super) fn may_go(&self) -> bool {
        let in_doubt = self.has_room_for_doubt() && !self.line(Line::InDoubt).is_empty();
        in_doubt || !self.line(Line::Prompt).is_empty()
    }

    /// Returns the estimated number of mails that may go, up to `most`.
    pub(super) fn open(&self, most: usize) -> usize {
        let in_doubt = if self.has_room_for_doubt() { self.open[Line::InDoubt as usize] } else { 0 };
        (self.open[Line::Prompt as usize] + in_doubt).min(most)
    }

    /// Returns the mailbox of the next mail. Hosts and users that may not go are parked.
    pub(super) fn next(&mut self) -> Option<MailboxId> {
        while let Some((line, name)) = self.next_host() {
            let host = self.hosts.get(&name)?;
            if self.has_company && host.is_full() {
                self.awaited.push(Arc::clone(&name));
                self.change(&name, |host| host.is_parked = true);
            } else if line != Line::Sated && self.has_its_share(host) {
                self.change(&name, |host| host.is_sated = true);
            } else if let Some(user) = self.unable_user(host) {
                self.park(&name, user);
            } else {
                return host.next_mailbox();
            }
        }
        None
    }

    /// Gives the next mail a lane, and charges its host and user one turn.
    pub(super) fn hand_out(&mut self, mail: Released<'_>) {
        self.free(mail.mailbox, HostSign::Nothing);
        let turn = self.change(mail.host, |host| host.take_turn(mail));
        self.now = self.now.max(turn.unwrap_or_default());
        self.occupants.insert(mail.mailbox, (Arc::clone(mail.host), mail.user));
    }

    /// Ends a choice of several mails: the hosts in the `Sated` line return to their usual line.
    pub(super) fn end_choice(&mut self) {
        while let Some((_, _, name)) = self.lines[Line::Sated as usize].first().cloned() {
            self.change(&name, |host| host.is_sated = false);
        }
    }

    /// Returns whether `user` may submit a reply to the host `name` now.
    pub(super) fn has_room(&self, name: &str, user: UserId) -> bool {
        let Some(host) = self.hosts.get(name).filter(|_| self.has_company) else { return true };
        let in_doubt = host.window.is_in_doubt() || host.is_late(user);
        !host.is_full() && !host.is_user_full(user) && (!in_doubt || self.has_room_for_doubt())
    }

    /// Gives a lane to a reply, which is not in this queue.
    pub(super) fn occupy(&mut self, name: &Arc<str>, user: UserId, mailbox: MailboxId) {
        self.free(mailbox, HostSign::Nothing);
        self.meet(name, user);
        self.change(name, |host| host.occupy(user));
        self.occupants.insert(mailbox, (Arc::clone(name), user));
    }

    /// Takes back the lane of `mailbox`, if it has one, and records the sign of its mail's end. Returns the change of
    /// the host, if any.
    pub(super) fn free(&mut self, mailbox: MailboxId, sign: HostSign) -> Option<HostTurn> {
        let (name, user) = self.occupants.remove(&mailbox)?;
        let turned = self.change(&name, |host| {
            let was_slow = host.window.is_slow();
            host.free(user, sign);
            (was_slow, host.window.is_slow())
        });
        if self.has_room_for_doubt() {
            for (name, user) in std::mem::take(&mut self.doubtful_users) {
                self.change(&name, |host| host.unpark(user));
            }
        }
        match turned? {
            (false, true) => Some(HostTurn::Slow(name)),
            (true, false) => Some(HostTurn::Prompt(name)),
            _ => None,
        }
    }

    /// Returns the slow hosts, sorted by name.
    pub(super) fn slow_hosts(&self) -> Vec<Arc<str>> {
        let slow = self.hosts.iter().filter(|(_, host)| host.window.is_slow());
        let mut slow: Vec<Arc<str>> = slow.map(|(name, _)| Arc::clone(name)).collect();
        slow.sort_unstable();
        slow
    }

    /// Returns the mail ends that would release another mail. Each host is returned once only.
    pub(super) fn take_awaited(&mut self) -> AwaitedEnds {
        let is_waiting = !self.line(Line::InDoubt).is_empty() || !self.doubtful_users.is_empty();
        AwaitedEnds { hosts: std::mem::take(&mut self.awaited), all: is_waiting && !self.has_room_for_doubt() }
    }

    fn line(&self, line: Line) -> &BTreeSet<Turn<Arc<str>>> {
        &self.lines[line as usize]
    }

    fn has_room_for_doubt(&self) -> bool {
        !self.has_company || self.busy_in_doubt < (self.lanes / 3).max(1)
    }

    /// Returns the host with the earliest turn among those that may go, with its line.
    fn next_host(&self) -> Option<(Line, Arc<str>)> {
        let first = |line: Line| self.line(line).first().map(|turn| (turn, line));
        let in_doubt = first(Line::InDoubt).filter(|_| self.has_room_for_doubt());
        let next = [first(Line::Prompt), in_doubt].into_iter().flatten().min_by_key(|(turn, _)| *turn);
        let ((_, _, name), line) = next.or_else(|| self.first_sated())?;
        Some((line, Arc::clone(name)))
    }

    fn first_sated(&self) -> Option<(&Turn<Arc<str>>, Line)> {
        let may_go = |host: &Host| !host.window.is_in_doubt() || self.has_room_for_doubt();
        let mut sated = self.line(Line::Sated).iter();
        sated.find(|(_, _, name)| self.hosts.get(name).is_some_and(may_go)).map(|turn| (turn, Line::Sated))
    }

    /// Returns whether a host occupies its share of the lanes: its share of all released and in-flight mails.
    fn has_its_share(&self, host: &Host) -> bool {
        let all = self.open.iter().sum::<usize>() + self.busy;
        host.busy >= (self.lanes * (host.open() + host.busy) / all.max(1)).max(1)
    }

    /// Returns the user of `host` with the earliest turn if no mail of that user may go now.
    fn unable_user(&self, host: &Host) -> Option<UserId> {
        let user = host.next_user().filter(|_| self.has_company)?;
        (host.is_user_full(user) || (host.is_late(user) && !self.has_room_for_doubt())).then_some(user)
    }

    fn park(&mut self, name: &Arc<str>, user: UserId) {
        let is_full = self.hosts.get(name).is_some_and(|host| host.is_user_full(user));
        if is_full {
            self.awaited.push(Arc::clone(name));
        } else {
            self.doubtful_users.push((Arc::clone(name), user));
        }
        self.change(name, |host| host.park(user));
    }

    /// Adds a user of a host, and the host, if they are new.
    fn meet(&mut self, name: &Arc<str>, user: UserId) {
        let (lanes, now) = (self.lanes, self.now);
        let is_another = !self.hosts.is_empty() && !self.hosts.contains_key(name);
        let host = self.hosts.entry(Arc::clone(name)).or_insert_with(|| Host::new(lanes, now, user));
        self.has_company |= host.meet(user) | is_another;
    }

    /// Changes a host and moves it to its new position.
    fn change<T>(&mut self, name: &Arc<str>, change: impl FnOnce(&mut Host) -> T) -> Option<T> {
        let host = self.hosts.get_mut(name)?;
        let (busy, in_doubt, open) = (host.busy, host.busy_in_doubt(), host.open());
        let changed = change(host);
        self.busy = self.busy + host.busy - busy;
        self.busy_in_doubt = self.busy_in_doubt + host.busy_in_doubt() - in_doubt;
        let before = host.place.take();
        host.place = host.place_from(name, before.is_some(), self.now);
        if let Some((line, _)) = &before {
            self.open[*line as usize] -= open;
        }
        if let Some((line, _)) = &host.place {
            self.open[*line as usize] += host.open();
        }
        if before != host.place {
            before.map(|(line, turn)| self.lines[line as usize].remove(&turn));
            host.place.clone().map(|(line, turn)| self.lines[line as usize].insert(turn));
        }
        Some(changed)
    }
}

#[cfg(test)]
mod tests;
