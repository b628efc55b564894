//! `Host` holds the window of one mail host, its users with their windows, and the released mails of each.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{Line, Released, Turn};
use crate::domain::{
    host_window::{HostSign, HostWindow},
    id::{MailboxId, UserId},
    lane_share::LaneShare,
    urgency::Urgency,
};

/// The period of turns at which the longest rested mailbox of a user goes, whatever its urgency.
const TURN_OF_THE_LONGEST_RESTED: usize = 4;

/// A `Host` is one mail host in the `FairQueue`.
#[derive(Debug)]
pub(super) struct Host {
    share: LaneShare,
    pub(super) window: HostWindow,
    /// The number of lanes that its mails occupy.
    pub(super) busy: usize,
    /// True while no mail to the host may go until one of its mails ends.
    pub(super) is_parked: bool,
    pub(super) is_sated: bool,
    /// Its position in a line.
    pub(super) place: Option<(Line, Turn<Arc<str>>)>,
    lanes: usize,
    users: HashMap<UserId, HostUser>,
    order: BTreeSet<Turn<UserId>>,
    /// The virtual time of the turns of users.
    now: u64,
    /// The number of released mails of the users in `order`.
    open: usize,
    /// The number of lanes of users whose last mail was not answered in time.
    busy_of_late_users: usize,
    late_by: LateBy,
    first_user: UserId,
    has_several_users: bool,
}

/// The users without an answer in time since the host's last answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LateBy {
    Nobody,
    One(UserId),
    Several,
}

/// The mails of a user to one host.
#[derive(Debug)]
struct HostUser {
    share: LaneShare,
    window: HostWindow,
    busy: usize,
    is_parked: bool,
    by_urgency: BTreeSet<(Urgency, MailboxId)>,
    by_rest: BTreeSet<(Option<DateTime<Utc>>, MailboxId)>,
    turns: usize,
    place: Option<Turn<UserId>>,
}

impl Host {
    /// Creates a host without any answer yet; its first mail is of `user`.
    pub(super) fn new(lanes: usize, now: u64, user: UserId) -> Host {
        Host {
            share: LaneShare::joined(now),
            window: HostWindow::unknown(lanes),
            busy: 0,
            is_parked: false,
            is_sated: false,
            place: None,
            lanes,
            users: HashMap::new(),
            order: BTreeSet::new(),
            now: 0,
            open: 0,
            busy_of_late_users: 0,
            late_by: LateBy::Nobody,
            first_user: user,
            has_several_users: false,
        }
    }

    /// Adds a user, if it is new. Returns whether the host has several users.
    pub(super) fn meet(&mut self, user: UserId) -> bool {
        let (lanes, now) = (self.lanes, self.now);
        self.users.entry(user).or_insert_with(|| HostUser::new(lanes, now));
        self.has_several_users |= user != self.first_user;
        self.has_several_users
    }

    pub(super) fn insert(&mut self, mail: Released<'_>) {
        self.change(mail.user, |user| user.insert(mail));
    }

    pub(super) fn remove(&mut self, mail: Released<'_>) {
        self.change(mail.user, |user| user.remove(mail));
    }

    /// Gives a mail a lane at the turn of its host and user. Returns the virtual time of the host's turn.
    pub(super) fn take_turn(&mut self, mail: Released<'_>) -> u64 {
        let turn = self.change(mail.user, |user| {
            user.remove(mail);
            user.busy += 1;
            user.turns += 1;
            user.share.take_turn()
        });
        self.now = self.now.max(turn.unwrap_or_default());
        self.busy += 1;
        self.share.take_turn()
    }

    /// Gives a lane to a mail outside the lines: a reply.
    pub(super) fn occupy(&mut self, user: UserId) {
        self.busy += 1;
        self.change(user, |user| user.busy += 1);
    }

    /// Takes back a lane of `user` and records the sign of the mail's end.
    pub(super) fn free(&mut self, user: UserId, sign: HostSign) {
        self.busy = self.busy.saturating_sub(1);
        self.is_parked = false;
        self.change(user, |user| {
            user.busy = user.busy.saturating_sub(1);
            user.is_parked = false;
            user.window.note(sign);
        });
        if self.is_its_doing(user, sign) {
            self.window.note(sign);
        }
        if self.users.get(&user).is_some_and(HostUser::is_forgettable) {
            self.users.remove(&user);
        }
    }

    /// Returns whether the end of a mail of `user` counts against the host. One user alone does not: the user's
    /// settings may be wrong, or chosen to make the host look silent.
    fn is_its_doing(&mut self, user: UserId, sign: HostSign) -> bool {
        match sign {
            HostSign::Nothing => return false,
            HostSign::Prompt => self.late_by = LateBy::Nobody,
            HostSign::Slow | HostSign::Silent => {
                self.late_by = match self.late_by {
                    LateBy::Nobody => LateBy::One(user),
                    LateBy::One(other) if other == user => LateBy::One(user),
                    LateBy::One(_) | LateBy::Several => LateBy::Several,
                }
            }
        }
        sign == HostSign::Prompt || !self.has_several_users || self.late_by == LateBy::Several
    }

    pub(super) fn is_full(&self) -> bool {
        self.busy >= self.window.size()
    }

    pub(super) fn is_user_full(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|user| user.busy >= user.window.size())
    }

    /// Returns whether the last mail of `user` was not answered in time.
    pub(super) fn is_late(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|user| user.window.is_late())
    }

    /// Keeps a user from taking turns.
    pub(super) fn park(&mut self, user: UserId) {
        self.change(user, |user| user.is_parked = true);
    }

    /// Ends the parking of a user; the user takes turns again.
    pub(super) fn unpark(&mut self, user: UserId) {
        self.change(user, |user| user.is_parked = false);
    }

    /// Returns the number of its released mails that stand in line.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Returns the number of lanes that the host occupies in doubt.
    pub(super) fn busy_in_doubt(&self) -> usize {
        if self.window.is_in_doubt() { self.busy } else { self.busy_of_late_users }
    }

    /// Returns the user with the earliest turn.
    pub(super) fn next_user(&self) -> Option<UserId> {
        self.order.first().map(|(_, _, user)| *user)
    }

    /// Returns the mailbox that goes at the host's turn.
    pub(super) fn next_mailbox(&self) -> Option<MailboxId> {
        self.users.get(&self.next_user()?)?.next_mailbox()
    }

    /// Returns its position in a line at the virtual time `now`. A host that had none before (`has_stood` is false)
    /// rejoins.
    pub(super) fn place_from(&mut self, name: &Arc<str>, has_stood: bool, now: u64) -> Option<(Line, Turn<Arc<str>>)> {
        self.share.weigh(self.open);
        let Some((_, urgency, _)) = self.order.first().filter(|_| !self.is_parked) else {
            self.is_sated = false;
            return None;
        };
        if !has_stood {
            self.share.rejoin(now);
        }
        let line = match () {
            () if self.is_sated => Line::Sated,
            () if self.window.is_in_doubt() => Line::InDoubt,
            () => Line::Prompt,
        };
        Some((line, (self.share.turn(), *urgency, Arc::clone(name))))
    }

    /// Changes the state of a user and moves the user to its new position.
    fn change<T>(&mut self, id: UserId, change: impl FnOnce(&mut HostUser) -> T) -> Option<T> {
        let user = self.users.get_mut(&id)?;
        let (open, busy_late) = (user.open(), user.busy_late());
        let changed = change(user);
        let before = user.place.take();
        user.place = user.place_from(id, before.is_some(), self.now);
        self.open = self.open + user.open() - open;
        self.busy_of_late_users = self.busy_of_late_users + user.busy_late() - busy_late;
        if before != user.place {
            before.map(|turn| self.order.remove(&turn));
            user.place.map(|turn| self.order.insert(turn));
        }
        Some(changed)
    }
}

impl HostUser {
    fn new(lanes: usize, now: u64) -> HostUser {
        HostUser {
            share: LaneShare::joined(now),
            window: HostWindow::whole(lanes),
            busy: 0,
            is_parked: false,
            by_urgency: BTreeSet::new(),
            by_rest: BTreeSet::new(),
            turns: 0,
            place: None,
        }
    }

    fn insert(&mut self, mail: Released<'_>) {
        self.by_urgency.insert((mail.urgency, mail.mailbox));
        self.by_rest.insert((mail.rested_at, mail.mailbox));
    }

    fn remove(&mut self, mail: Released<'_>) {
        self.by_urgency.remove(&(mail.urgency, mail.mailbox));
        self.by_rest.remove(&(mail.rested_at, mail.mailbox));
    }

    /// Returns whether forgetting the user loses nothing.
    fn is_forgettable(&self) -> bool {
        self.busy == 0 && self.by_urgency.is_empty() && !self.window.is_late()
    }

    fn open(&self) -> usize {
        if self.place.is_some() { self.by_urgency.len() } else { 0 }
    }

    fn busy_late(&self) -> usize {
        if self.window.is_late() { self.busy } else { 0 }
    }

    fn next_mailbox(&self) -> Option<MailboxId> {
        let most_urgent = || self.by_urgency.last().map(|(_, mailbox)| *mailbox);
        let longest_rested = || self.by_rest.first().map(|(_, mailbox)| *mailbox);
        if (self.turns + 1).is_multiple_of(TURN_OF_THE_LONGEST_RESTED) { longest_rested() } else { most_urgent() }
    }

    fn place_from(&mut self, id: UserId, has_stood: bool, now: u64) -> Option<Turn<UserId>> {
        self.share.weigh(self.by_urgency.len());
        let (urgency, _) = *self.by_urgency.last().filter(|_| !self.is_parked)?;
        if !has_stood {
            self.share.rejoin(now);
        }
        Some((self.share.turn(), Reverse(urgency), id))
    }
}
