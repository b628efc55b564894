//! The plan of one tick lists the mailboxes that must send before the next tick, with their mails and release
//! times.
//!
//! The most urgent mailbox comes first. The *spread* orders the releases: the most urgent mailbox may start
//! at once, the last one after the spread. A mailbox with several due mails sends them one after another, as
//! its cooldown allows.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    daily_room::DailyRoom,
    id::{MailboxId, ShardId, UserId},
    probe::{Probe, ProbeCandidate, keep_one_each},
    progress::{PlannedShare, due, planned_window},
    ramp::Ramp,
    time::{Schedule, Span, Window},
    urgency::{QuotaProgress, Urgency},
};

/// A mailbox that may send now (enabled, neither paused nor disabled), with its current day.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub id: MailboxId,
    pub user: UserId,
    pub shard: ShardId,
    /// The domain of its address, without `@`; its Message-IDs end in this domain.
    pub domain: Arc<str>,
    /// True if the mailbox exchanges mails with other owners' mailboxes.
    pub verified: bool,
    /// The mail host to which it submits, in lower case.
    pub host: Arc<str>,
    pub schedule: Schedule,
    pub ramp: Ramp,
    /// The number of earlier days that counted for the ramp.
    pub grown: u16,
    /// The date in the mailbox's time zone at the moment of reading.
    pub day: NaiveDate,
    /// The mails of today that are sent, uncertain or in flight.
    pub reserved: u16,
    pub sent: u16,
    /// The mails of today that were started or are reserved; the next partner is the one of level `attempts +
    /// 1`. An unstarted mail gives its attempt back.
    pub attempts: u16,
    /// The end of the cooldown.
    pub next_at: Option<DateTime<Utc>>,
    pub last_sent_at: Option<DateTime<Utc>>,
    pub enrolled_at: DateTime<Utc>,
    /// The mails and replies since the last sent one that failed or are uncertain.
    pub failed_in_row: u16,
    /// The open login breaker of its host, or of its owner at this host; one mailbox probes it.
    pub probe: Option<Probe>,
}

/// The instants and settings of one tick.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    pub now: DateTime<Utc>,
    pub next: DateTime<Utc>,
    /// `WARMUP_CRON_SPREAD_MINUTES`.
    pub spread: TimeDelta,
    /// `WARMUP_ACTIVE_HOURS`: the hours in which a mailbox may catch up.
    pub active: Window,
    /// `WARMUP_QUOTA_PRIORITY_BOOST`.
    pub boost: f64,
    /// The shortest time between two mails of a mailbox.
    pub cooldown: TimeDelta,
}

/// The mails that one mailbox must start before the next tick.
#[derive(Clone, Debug, PartialEq)]
pub struct MailboxPlan {
    pub mailbox: MailboxId,
    pub user: UserId,
    pub shard: ShardId,
    pub domain: Arc<str>,
    pub verified: bool,
    pub host: Arc<str>,
    pub day: NaiveDate,
    pub attempts: u16,
    /// The mails still to start; at least 1.
    pub owed: u16,
    pub urgency: Urgency,
    /// The earliest start of the next mail.
    pub release_at: DateTime<Utc>,
    /// The end of the cooldown after its last mail; `None` if it has not sent on this day.
    pub rested_at: Option<DateTime<Utc>>,
    /// The exclusive end of this plan: the next tick, or the end of the day's sending.
    pub until: DateTime<Utc>,
    standing: QuotaProgress,
    window: Span,
    boost: f64,
    probe: Option<Probe>,
}

impl MailboxPlan {
    /// Returns the rest of the plan after one mail was attempted at `now` and the mailbox cools down until
    /// `next_at`. Returns `None` if nothing is left.
    pub fn after_attempt(mut self, now: DateTime<Utc>, next_at: DateTime<Utc>) -> Option<MailboxPlan> {
        self.owed = self.owed.checked_sub(1).filter(|left| *left > 0)?;
        self.attempts += 1;
        self.standing.reserved += 1;
        self.standing.last_sent_at = Some(now);
        self.urgency = Urgency::of(&self.standing, PlannedShare::at(now, self.window), self.boost);
        (self.release_at, self.rested_at) = (next_at, Some(next_at));
        (next_at < self.until).then_some(self)
    }

    /// Returns the due mails, limited to those that can start before `until` with `cooldown` between two
    /// mails.
    fn startable(&self, cooldown: TimeDelta) -> u16 {
        let left = (self.until - self.release_at).num_milliseconds();
        let starts = match cooldown.num_milliseconds() {
            _ if left <= 0 => 0,
            0 => i64::MAX,
            cooldown => (left - 1) / cooldown + 1,
        };
        self.owed.min(u16::try_from(starts).unwrap_or(u16::MAX))
    }
}

/// Returns the due mails of all candidates, the most urgent mailbox first, with releases spread in that
/// order.
pub fn plan(candidates: &[Candidate], tick: &Tick) -> Vec<MailboxPlan> {
    plan_within(candidates, tick, &mut DailyRoom::default())
}

/// Plans within the daily limits of the users. The mailboxes of a user share `room`, and no mailbox takes
/// more of it than it can use before the next tick.
pub fn plan_within(candidates: &[Candidate], tick: &Tick, room: &mut DailyRoom) -> Vec<MailboxPlan> {
    plan_beside(candidates, tick, room, |_| None)
}

/// Plans within `room` while an earlier plan is still running. A mailbox that waits in the earlier plan keeps
/// its release time, which `release_of` returns; only the other mailboxes are spread. So no mailbox waits
/// longer because others were planned.
pub fn plan_beside(
    candidates: &[Candidate],
    tick: &Tick,
    room: &mut DailyRoom,
    release_of: impl Fn(MailboxId) -> Option<DateTime<Utc>>,
) -> Vec<MailboxPlan> {
    let mut hours = Hours::default();
    let owed = |candidate| owed(candidate, hours.of(candidate, tick)?, tick);
    let mut planned: Vec<MailboxPlan> = candidates.iter().filter_map(owed).collect();
    // Sort by a cached key: it moves each of the long rows only once.
    planned.sort_by_cached_key(|mail| std::cmp::Reverse(mail.urgency));
    if !room.is_boundless() {
        share_room(&mut planned, room, tick.cooldown);
    }
    // A mailbox that can't start before the next tick does not probe.
    keep_one_each(&mut planned, tick.now, |mail| {
        let (mailbox, failed_in_row) = (mail.mailbox, mail.standing.failed_in_row);
        let probe = mail.probe.as_ref().filter(|_| mail.release_at < mail.until)?;
        Some(ProbeCandidate { mailbox, failed_in_row, probe })
    });
    let releases: Vec<Option<DateTime<Utc>>> = planned.iter().map(|mail| release_of(mail.mailbox)).collect();
    let new = releases.iter().filter(|release| release.is_none()).count();
    let count = i128::try_from(new).unwrap_or(i128::MAX).max(1);
    let spread = tick.spread.num_microseconds().unwrap_or(0);
    let mut places = 0i128..;
    for (mail, release) in planned.iter_mut().zip(releases) {
        let turn = release.unwrap_or_else(|| {
            // A place is below the count, so its release lies within the spread.
            let place = places.next().unwrap_or_default();
            tick.now + TimeDelta::microseconds(i64::try_from(i128::from(spread) * place / count).unwrap_or(spread))
        });
        mail.release_at = mail.release_at.max(turn);
    }
    planned.retain(|mail| mail.release_at < mail.until);
    planned
}

/// Reduces the plan to the mails that `room` allows.
fn share_room(planned: &mut Vec<MailboxPlan>, room: &mut DailyRoom, cooldown: TimeDelta) {
    let asked: Vec<_> = planned.iter().map(|mail| (mail.user, mail.day, mail.startable(cooldown))).collect();
    for (mail, mails) in planned.iter_mut().zip(room.share(&asked)) {
        mail.owed = mails;
    }
    planned.retain(|mail| mail.owed > 0);
}

/// The sending hours of a mailbox on its day.
#[derive(Clone, Copy, Debug)]
struct SendingHours {
    sending: Span,
    window: Span,
}

/// A cache of the last mailbox's hours. Most mailboxes have the hours of the one before, and time zone
/// lookups are slow.
#[derive(Debug, Default)]
struct Hours(Option<(Schedule, NaiveDate, Option<SendingHours>)>);

impl Hours {
    /// Returns the hours of a mailbox, or `None` if it may not send at this tick.
    fn of(&mut self, candidate: &Candidate, tick: &Tick) -> Option<SendingHours> {
        let (schedule, day) = (candidate.schedule, candidate.day);
        if let Some((_, _, hours)) = self.0.filter(|known| (known.0, known.1) == (schedule, day)) {
            return hours;
        }
        let sending = schedule.sending(day, tick.active).filter(|span| span.contains(tick.now));
        let hours = sending.map(|sending| SendingHours { sending, window: schedule.window.on(schedule.zone, day) });
        self.0 = Some((schedule, day, hours));
        hours
    }
}

fn owed(candidate: &Candidate, SendingHours { sending, window }: SendingHours, tick: &Tick) -> Option<MailboxPlan> {
    let quota = candidate.ramp.quota(candidate.grown);
    let window = planned_window(window, candidate.schedule.zone, candidate.day, candidate.enrolled_at);
    let owed = due(quota, candidate.reserved, PlannedShare::at(tick.next, window));
    if owed == 0 || u32::from(candidate.attempts) >= u32::from(quota) * 2 {
        return None;
    }
    let Candidate { id, reserved, sent, last_sent_at, failed_in_row, .. } = *candidate;
    let standing = QuotaProgress { mailbox: id, quota, reserved, sent, last_sent_at, failed_in_row };
    Some(MailboxPlan {
        mailbox: id,
        user: candidate.user,
        shard: candidate.shard,
        domain: Arc::clone(&candidate.domain),
        verified: candidate.verified,
        host: Arc::clone(&candidate.host),
        day: candidate.day,
        attempts: candidate.attempts,
        owed,
        urgency: Urgency::of(&standing, PlannedShare::at(tick.now, window), tick.boost),
        release_at: candidate.next_at.unwrap_or(tick.now).max(tick.now),
        rested_at: candidate.next_at,
        until: tick.next.min(sending.end),
        standing,
        window,
        boost: tick.boost,
        probe: candidate.probe.clone(),
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::daily_room::UserDay;

    fn at(hour: u32, minute: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 24, hour, minute, 0).unwrap()
    }

    fn tick(hour: u32, minute: u32) -> Tick {
        let now = at(hour, minute);
        Tick {
            now,
            next: now + TimeDelta::minutes(15),
            spread: TimeDelta::minutes(10),
            active: "07:00-22:00".parse().unwrap(),
            boost: 2.0,
            cooldown: TimeDelta::zero(),
        }
    }

    fn candidate(id: i64, reserved: u16) -> Candidate {
        Candidate {
            id: MailboxId(id),
            user: UserId(1),
            shard: ShardId(0),
            domain: "a.test".into(),
            verified: true,
            host: "mail.test".into(),
            schedule: Schedule {
                zone: chrono_tz::UTC,
                window: "09:00-17:00".parse().unwrap(),
                days: crate::domain::time::Weekdays::ALL,
            },
            ramp: Ramp { start: 30, step: 0, daily_max: 30 },
            grown: 0,
            day: at(0, 0).date_naive(),
            reserved,
            sent: reserved,
            attempts: reserved,
            next_at: None,
            last_sent_at: None,
            enrolled_at: DateTime::UNIX_EPOCH,
            failed_in_row: 0,
            probe: None,
        }
    }

    #[test]
    fn a_mailbox_that_is_enrolled_during_its_window_owes_from_then_on() {
        let enrolled = Candidate { enrolled_at: at(13, 0), ..candidate(1, 0) };
        let planned = plan(std::slice::from_ref(&enrolled), &tick(13, 0)).remove(0);
        // The share is 15 of 210 minutes; these are 7/8 of the remaining window.
        assert_eq!((planned.owed, planned.release_at), (3, at(13, 0)));
        assert_eq!(plan(&[candidate(1, 0)], &tick(13, 0))[0].owed, 19);
        let tomorrow = Candidate { day: at(0, 0).date_naive().succ_opt().unwrap(), ..enrolled };
        let morning = tick(13, 0).now + TimeDelta::hours(20);
        let next = Tick { now: morning, next: morning + TimeDelta::minutes(15), ..tick(13, 0) };
        assert_eq!(plan(&[tomorrow], &next)[0].owed, 2, "as any other");
    }

    #[test]
    fn those_that_wait_keep_their_release_and_the_others_are_spread_among_themselves() {
        let candidates = [candidate(1, 10), candidate(2, 0), candidate(3, 5), candidate(4, 6)];
        let release_of = |id: MailboxId| (id.0 != 1 && id.0 != 4).then(|| at(13, 1));
        let planned = plan_beside(&candidates, &tick(13, 0), &mut DailyRoom::default(), release_of);
        let releases: Vec<_> = planned.iter().map(|mail| (mail.mailbox.0, mail.release_at)).collect();
        assert_eq!(releases, [(2, at(13, 1)), (3, at(13, 1)), (4, at(13, 0)), (1, at(13, 5))]);
    }

    #[test]
    fn nothing_is_due_before_the_window_opens() {
        assert!(plan(&[candidate(1, 0)], &tick(8, 45)).is_empty());
        assert!(plan(&[candidate(1, 0)], &tick(6, 0)).is_empty());
    }

    #[test]
    fn the_first_tick_owes_the_share_of_the_next() {
        let planned = plan(&[candidate(1, 0)], &tick(9, 0));
        assert_eq!((planned[0].owed, planned[0].until), (2, at(9, 15)));
    }

    #[test]
    fn what_is_short_at_the_windows_end_is_caught_up_until_the_active_hours_end() {
        assert_eq!(plan(&[candidate(1, 28)], &tick(17, 0))[0].owed, 2);
        assert_eq!(plan(&[candidate(1, 28)], &tick(21, 50))[0].until, at(22, 0));
        assert!(plan(&[candidate(1, 28)], &tick(22, 0)).is_empty());
    }

    #[test]
    fn the_most_urgent_is_released_first_and_the_last_within_the_spread() {
        let planned = plan(&[candidate(1, 10), candidate(2, 0), candidate(3, 5)], &tick(13, 0));
        let order: Vec<i64> = planned.iter().map(|mail| mail.mailbox.0).collect();
        assert_eq!(order, [2, 3, 1]);
        assert_eq!(planned[0].release_at, at(13, 0));
        assert_eq!(planned[2].release_at, at(13, 6) + TimeDelta::seconds(40));
    }

    #[test]
    fn a_cooldown_delays_the_release_and_may_pass_the_tick() {
        let mut cooling = candidate(1, 0);
        cooling.next_at = Some(at(13, 4));
        assert_eq!(plan(std::slice::from_ref(&cooling), &tick(13, 0))[0].release_at, at(13, 4));
        cooling.next_at = Some(at(13, 15));
        assert!(plan(&[cooling], &tick(13, 0)).is_empty());
    }

    #[test]
    fn of_the_mailboxes_behind_an_open_breaker_one_that_owes_something_tries() {
        let behind = |was_let_in| Some(Probe { key: "mail.test".into(), was_let_in });
        let cooling = Candidate { probe: behind(true), next_at: Some(at(13, 15)), ..candidate(1, 0) };
        let done = Candidate { probe: behind(true), ..candidate(2, 30) };
        let new = Candidate { probe: behind(false), ..candidate(3, 0) };
        let known = Candidate { probe: behind(true), ..candidate(4, 10) };
        let planned = |candidates: &[&Candidate]| -> Vec<i64> {
            let candidates: Vec<Candidate> = candidates.iter().map(|it| (*it).clone()).collect();
            plan(&candidates, &tick(13, 0)).iter().map(|mail| mail.mailbox.0).collect()
        };
        assert_eq!(planned(&[&cooling, &done, &new, &known, &candidate(5, 10)]), [4, 5]);
        assert_eq!(planned(&[&cooling, &done, &new]), [3], "nobody else owes anything now");
    }

    #[test]
    fn twice_the_quota_in_attempts_is_the_end() {
        let mut failing = candidate(1, 0);
        failing.attempts = 60;
        assert!(plan(&[failing], &tick(13, 0)).is_empty());
    }

    #[test]
    fn a_user_s_daily_limit_is_planned_for_the_most_urgent_and_holds_nobody_else() {
        let (other, day) = (UserId(2), at(0, 0).date_naive());
        let candidates = [candidate(1, 13), candidate(2, 10), Candidate { user: other, ..candidate(3, 10) }];
        let mut room = DailyRoom::new([UserDay { user: UserId(1), day, left: 11 }]);
        let planned = plan_within(&candidates, &tick(13, 0), &mut room);
        let owed = |id: i64| planned.iter().find(|mail| mail.mailbox == MailboxId(id)).map(|mail| mail.owed);
        assert_eq!((owed(2), owed(1), owed(3)), (Some(6), Some(5), Some(9)));
        assert_eq!(room.take(UserId(1), day, 1), 0);
    }

    /// With 5 minutes between two mails a mailbox starts 3 mails before the next tick. So it takes no room for all of
    /// its 9 due mails.
    #[test]
    fn a_plan_takes_no_more_of_a_daily_limit_than_it_can_use_before_the_next_tick() {
        let day = at(0, 0).date_naive();
        let tick = Tick { cooldown: TimeDelta::minutes(5), ..tick(13, 0) };
        let cooling = Candidate { next_at: Some(at(13, 11)), ..candidate(2, 10) };
        let gone = Candidate { next_at: Some(at(13, 15)), ..candidate(3, 10) };
        let mut room = DailyRoom::new([UserDay { user: UserId(1), day, left: 20 }]);
        let planned = plan_within(&[candidate(1, 10), cooling, gone], &tick, &mut room);
        assert_eq!(planned.iter().map(|mail| (mail.mailbox.0, mail.owed)).collect::<Vec<_>>(), [(1, 3), (2, 1)]);
        assert_eq!(room.take(UserId(1), day, 99), 16);
    }

    #[test]
    fn several_owed_mails_come_one_after_another() {
        let mail = plan(&[candidate(1, 0)], &tick(9, 0)).remove(0);
        let next = mail.after_attempt(at(9, 1), at(9, 6)).unwrap();
        assert_eq!((next.owed, next.attempts, next.release_at), (1, 1, at(9, 6)));
        assert_eq!(next.after_attempt(at(9, 7), at(9, 12)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_plan_never_owes_more_than_the_quota(reserved in 0u16..40, hour in 0u32..24, quarter in 0u32..4) {
            for mail in plan(&[candidate(1, reserved)], &tick(hour, quarter * 15)) {
                prop_assert!(mail.owed + reserved <= 30);
                prop_assert!(mail.release_at >= at(hour, quarter * 15) && mail.release_at < mail.until);
            }
        }
    }
}
