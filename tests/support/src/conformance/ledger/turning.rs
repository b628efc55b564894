//! These cases check the reads and writes of a tick: the rollover of days, and the rosters.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use warmup::{
    domain::{outcome::OutcomeKind, ramp::Ramp, time::LocalDates},
    ports::Roster,
};

use super::{DAY, LedgerWorld, Life, SHARD, ask, end, enrol, noon};

fn next_day() -> NaiveDate {
    DAY + Days::new(1)
}

async fn turn(world: &dyn LedgerWorld) -> u64 {
    let tomorrow = noon() + Days::new(1);
    world.mailboxes().roll_over_days(&[SHARD], &LocalDates::at(tomorrow), tomorrow).await.unwrap()
}

pub async fn a_day_closes_once_and_a_good_one_raises_the_ramp(world: &dyn LedgerWorld) {
    enrol(world, 3, 2).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    assert_eq!(turn(world).await, 3);
    assert_eq!(turn(world).await, 0, "once");
    assert_eq!((world.grown(1).await, world.grown(2).await), (1, 0), "half a quota counts, none does not");
    assert!(world.day(1, DAY).await.closed);
    let today = world.day(1, next_day()).await;
    assert_eq!((today.quota, today.reserved, today.closed), (2, 0, false));
}

pub async fn a_day_that_is_today_again_is_opened_and_takes_its_growth_back(world: &dyn LedgerWorld) {
    enrol(world, 3, 2).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    // A clock that runs 400 days ahead closes today, and is then corrected.
    let ahead = noon() + Days::new(400);
    assert_eq!(world.mailboxes().roll_over_days(&[SHARD], &LocalDates::at(ahead), ahead).await.unwrap(), 3);
    assert_eq!((world.grown(1).await, world.day(1, DAY).await.closed), (1, true));
    for _ in 0..2 {
        assert_eq!(world.mailboxes().roll_over_days(&[SHARD], &LocalDates::at(noon()), noon()).await.unwrap(), 0);
    }
    assert_eq!((world.grown(1).await, world.grown(2).await), (0, 0));
    let day = world.day(1, DAY).await;
    assert_eq!((day.closed, day.late, day.reserved, day.sent), (false, false, 1, 1));
    assert_eq!(world.day(1, ahead.date_naive()).await.quota, 0, "the day that was opened ahead is gone");
    let reopened = world.events().await.into_iter().filter(|(kind, ..)| kind == "day-reopened").count();
    assert_eq!(reopened, 3, "once for each mailbox");
    life.fly(ask(1, 1, &[3])).await;
    assert_eq!(turn(world).await, 3);
    assert_eq!(world.grown(1).await, 1, "it counts once, when it is over");
}

pub async fn a_short_day_is_late_with_an_event(world: &dyn LedgerWorld) {
    enrol(world, 2, 1).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    turn(world).await;
    assert_eq!((world.day(1, DAY).await.late, world.day(2, DAY).await.late), (false, true));
    let late: Vec<_> = world.events().await.into_iter().filter(|(kind, ..)| kind == "day-short").collect();
    assert_eq!(late, [("day-short".to_owned(), Some(2), "late".to_owned())]);
}

pub async fn a_weekday_without_a_window_owes_nothing(world: &dyn LedgerWorld) {
    world.enrol(1, 1, 5, "a.test", 127).await;
    // Every weekday except Tuesday.
    world.enrol(2, 1, 5, "a.test", 127 & !2).await;
    Life::begin(world).await;
    assert_eq!((world.day(1, DAY).await.quota, world.day(2, DAY).await.quota), (5, 0));
    assert_eq!(newer(world, None).await, Some((1, vec![1])));
}

pub async fn a_roster_is_made_once_and_not_again_for_another_quota(world: &dyn LedgerWorld) {
    world.enrol(2, 1, 5, "b.test", 127).await;
    world.enrol(1, 1, 3, "c.test", 127).await;
    world.enrol(3, 1, 4, "a.test", 127).await;
    world.enrol(4, 1, 0, "a.test", 127).await;
    Life::begin(world).await;
    let roster = world.mailboxes().roster(DAY, noon(), None).await.unwrap().unwrap();
    let lines: Vec<_> = roster.members.iter().map(|m| (m.mailbox.0, &*m.domain, m.quota)).collect();
    assert_eq!((roster.version, &lines[..]), (1, &[(3, "a.test", 4), (2, "b.test", 5), (1, "c.test", 3)][..]));
    world.set_quota(1, 9).await;
    assert_eq!(newer(world, Some(1)).await, None);
    assert_eq!(world.mailboxes().roster(DAY, noon(), None).await.unwrap(), Some(roster));
}

pub async fn a_roster_is_remade_when_its_members_change_with_an_event(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    Life::begin(world).await;
    assert_eq!(newer(world, None).await, Some((1, vec![1, 2, 3])));
    world.enrol(5, 1, 7, "a.test", 127).await;
    assert_eq!(newer(world, Some(1)).await, Some((2, vec![1, 2, 3, 5])));
    assert_eq!(newer(world, Some(2)).await, None, "once");
    world.pause(2).await;
    world.pause(3).await;
    world.set_quota(1, 9).await;
    assert_eq!(newer(world, Some(2)).await, Some((3, vec![1, 5])));
    assert_eq!(newer(world, Some(1)).await, Some((3, vec![1, 5])), "also for a worker that missed one");
    let remade = world.mailboxes().roster(DAY, noon(), None).await.unwrap().unwrap();
    assert_eq!(remade.members.iter().map(|member| member.quota).collect::<Vec<_>>(), [7, 9], "with today's quotas");
    let told: Vec<_> = world.events().await.into_iter().filter(|(kind, ..)| kind == "roster-remade").collect();
    assert_eq!(told, vec![("roster-remade".to_owned(), None, "members-changed".to_owned()); 2]);
}

pub async fn a_large_roster_is_remade_when_more_than_a_twentieth_changed(world: &dyn LedgerWorld) {
    enrol(world, 40, 5).await;
    Life::begin(world).await;
    assert_eq!(newer(world, None).await.unwrap().0, 1);
    world.enrol(41, 1, 5, "a.test", 127).await;
    world.pause(7).await;
    assert_eq!(newer(world, Some(1)).await, None, "two of forty are few");
    world.enrol(42, 1, 5, "a.test", 127).await;
    let (version, members) = newer(world, Some(1)).await.unwrap();
    assert_eq!((version, members.len()), (2, 41));
    assert!(members.contains(&41) && members.contains(&42) && !members.contains(&7));
}

pub async fn a_roster_says_who_is_verified_and_follows_it(world: &dyn LedgerWorld) {
    enrol(world, 40, 5).await;
    world.set_verified(7, false).await;
    Life::begin(world).await;
    let unverified = |roster: &Roster| {
        let members = roster.members.iter().filter(|member| !member.verified);
        members.map(|member| member.mailbox.0).collect::<BTreeSet<_>>()
    };
    let mailboxes = world.mailboxes();
    let made = mailboxes.roster(DAY, noon(), None).await.unwrap().unwrap();
    assert_eq!((made.version, unverified(&made)), (1, [7].into()));
    world.set_verified(8, false).await;
    world.set_verified(9, false).await;
    assert_eq!(mailboxes.roster(DAY, noon(), Some(1)).await.unwrap(), None, "two of forty are few");
    world.set_verified(7, true).await;
    let remade = mailboxes.roster(DAY, noon(), Some(1)).await.unwrap().unwrap();
    assert_eq!((remade.version, unverified(&remade)), (2, [8, 9].into()));
}

pub async fn a_candidate_is_verified_or_not(world: &dyn LedgerWorld) {
    enrol(world, 2, 5).await;
    world.set_verified(2, false).await;
    Life::begin(world).await;
    let mailboxes = world.mailboxes();
    let candidates = mailboxes.candidates(&[SHARD], &LocalDates::at(noon()), noon()).await.unwrap();
    let verified: Vec<_> = candidates.iter().map(|candidate| (candidate.id.0, candidate.verified)).collect();
    assert_eq!(verified, [(1, true), (2, false)]);
}

pub async fn a_roster_without_anybody_is_remade_when_somebody_comes(world: &dyn LedgerWorld) {
    Life::begin(world).await;
    assert_eq!(newer(world, None).await, Some((1, vec![])));
    assert_eq!(newer(world, Some(1)).await, None);
    enrol(world, 2, 5).await;
    assert_eq!(newer(world, Some(1)).await, Some((2, vec![1, 2])));
}

pub async fn racers_remake_a_roster_once(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    Life::begin(world).await;
    newer(world, None).await;
    for id in 4..=9 {
        world.enrol(id, 1, 5, "a.test", 127).await;
    }
    let ask = || {
        let mailboxes = world.mailboxes();
        tokio::spawn(async move { mailboxes.roster(DAY, noon(), Some(1)).await.unwrap().unwrap() })
    };
    let asking: Vec<_> = (0..8).map(|_| ask()).collect();
    for asked in asking {
        let roster = asked.await.unwrap();
        assert_eq!((roster.version, roster.members.len()), (2, 9));
    }
    let told = world.events().await.into_iter().filter(|(kind, ..)| kind == "roster-remade").count();
    assert_eq!(told, 1);
}

/// Returns the version and the members of the day's roster, if its version differs from `known`.
async fn newer(world: &dyn LedgerWorld, known: Option<i32>) -> Option<(i32, Vec<i64>)> {
    let roster = world.mailboxes().roster(DAY, noon(), known).await.unwrap()?;
    let mut members: Vec<i64> = roster.members.iter().map(|member| member.mailbox.0).collect();
    members.sort_unstable();
    Some((roster.version, members))
}

pub async fn a_roster_counts_good_days_that_are_not_closed_yet(world: &dyn LedgerWorld) {
    enrol(world, 2, 1).await;
    for mailbox in 1..=2 {
        world.set_ramp(mailbox, Ramp { start: 1, step: 3, daily_max: 30 }, 0).await;
    }
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    let roster = world.mailboxes().roster(next_day(), noon(), None).await.unwrap().unwrap();
    assert_eq!(roster.members.iter().map(|member| member.quota).collect::<Vec<_>>(), [4, 1]);
    turn(world).await;
    assert_eq!((world.day(1, next_day()).await.quota, world.day(2, next_day()).await.quota), (4, 1), "as they became");
}

pub async fn a_ramp_of_many_days_ends_at_its_maximum(world: &dyn LedgerWorld) {
    enrol(world, 2, 1).await;
    world.set_ramp(1, Ramp { start: 200, step: 200, daily_max: 300 }, 32_767).await;
    let life = Life::begin(world).await;
    assert_eq!(life.day(1).await.quota, 300);
    life.fly(ask(1, 0, &[2])).await;
    let roster = world.mailboxes().roster(DAY, noon(), None).await.unwrap().unwrap();
    assert_eq!(roster.members.iter().map(|member| member.quota).collect::<Vec<_>>(), [300, 1]);
}

pub async fn candidates_are_those_that_may_send(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    world.pause(2).await;
    let flight = life.fly(ask(3, 0, &[1])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    let read = world.mailboxes().candidates(&[SHARD], &LocalDates::at(noon()), noon()).await.unwrap();
    let lines: Vec<_> = read.iter().map(|c| (c.id.0, c.reserved, c.sent, c.attempts)).collect();
    assert_eq!(lines, [(1, 0, 0, 0), (3, 1, 1, 1), (4, 0, 0, 0)]);
    assert_eq!((read[1].last_sent_at, read[1].day), (Some(noon()), DAY));
}
