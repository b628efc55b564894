//! The themes that look for stalls: trouble that stops mailboxes which it does not concern, or that leaves a trace.

use super::{
    Enrolled, HOSTS, Life, Scenario, WIDE, What, enrolled,
    incidents::{befall, sky},
};
use crate::{
    link::{Service, State},
    seeded::{draw::Draw, post::HostBehavior},
    sky::Condition,
};
use warmup::domain::caps::CapLimits;

/// Sizes around those at which a fleet has one partner, few partners, or a round more than a day.
const SIZES: [i64; 7] = [1, 2, 3, 5, 17, 48, 65];

/// In seconds.
const DAY: i64 = 86_400;

/// Four of five mailboxes are at one host, which is silent at a step for two minutes: each seed takes the next step. Then it
/// answers again, and nobody resumes it: its pause ends by itself.
pub fn silent(scenario: &mut Scenario, draw: &mut Draw) {
    let tempo = &mut scenario.tempo;
    (tempo.tick, tempo.cooldown, tempo.lanes) = (20, (10, 20), 12);
    (tempo.step_timeout, tempo.mail_deadline, tempo.drain) = (15, 25, 30);
    (scenario.quiet_ms, scenario.healed_ms, scenario.hosts_heal_alone) = (500_000, 510_000, true);
    scenario.lives.truncate(1);
    let host = |id: i64| if id % 5 > 0 { HOSTS[0] } else { HOSTS[(id % 2) as usize + 1] };
    scenario.boxes = (1..=30).map(|id| Enrolled { host: host(id), ..wide(draw, id) }).collect();
    let mood = HostBehavior::SILENT[(scenario.round() % HostBehavior::SILENT.len() as u64) as usize];
    scenario.add(30_000, 120_000, What::Host(HOSTS[0], mood, 100));
}

/// A Postgres that answers every statement later than a grant holds, for a minute.
pub fn slow(scenario: &mut Scenario, draw: &mut Draw) {
    let slowness = draw.pick(&[4_000, 7_000, 12_000]);
    let at = draw.between(20_000, 40_000);
    scenario.add(at, 60_000, What::Sky(Service::Postgres, Condition::Slow(slowness)));
    for mailbox in &mut scenario.boxes {
        // Attempts that are used up by what never started would end the day of these.
        (mailbox.most, mailbox.start) = draw.pick(&[(3, 3), (6, 6), (400, 400)]);
    }
}

/// A primary becomes a standby: for all workers, or for one of them.
pub fn read_only(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.lives.truncate(3);
    scenario.lives.extend([Life::of("g", 0), Life::of("h", 500)]);
    let last = scenario.lives.len() - 1;
    befall(scenario, draw, last, State::ReadOnly, 70_000);
    for _ in 0..2 {
        let lasts = draw.pick(&[2_000, 12_000, 30_000]);
        befall(scenario, draw, last - 1, State::ReadOnly, lasts);
    }
    sky(scenario, draw, Service::Postgres, Condition::ReadOnly);
}

/// Clocks of workers and of Redis jump, for seconds, and return.
pub fn jumps(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.lives.truncate(3);
    scenario.lives.push(Life::of("g", 0));
    let far = [-3_600, -20, 20, 40, 3_600, DAY, 400 * DAY];
    let round = scenario.round() as usize;
    for (place, life) in scenario.lives.iter_mut().enumerate() {
        let from = draw.between(life.begins_ms + 25_000, scenario.quiet_ms);
        // One of them takes each in turn.
        let ahead = if place == 0 { far[round % far.len()] } else { draw.pick(&far) };
        let lasts = if place == 0 { 25_000 } else { draw.pick(&[1_000, 3_000, 25_000]) };
        life.jumps.push((ahead, from, from + lasts));
    }
    let redis = [-3_600, -40, 40, 3_600, DAY];
    for ahead in [redis[round % redis.len()], draw.pick(&redis)] {
        let (at, lasts) = (scenario.instant(draw), draw.pick(&[500, 3_000, 20_000]));
        scenario.add(at, lasts, What::RedisClock(ahead));
    }
}

/// Most mailboxes are enrolled while the day goes on; all are paused, one is resumed, and then all.
pub fn bulk(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.boxes = (1..=2).map(|id| wide(draw, id)).collect();
    let many = draw.pick(&[1, 10, 46]);
    let new = (3..3 + many).map(|id| wide(draw, id)).collect();
    scenario.tempo.lanes = 20;
    scenario.tempo.cooldown = (4, 8);
    let at = draw.between(15_000, 30_000);
    scenario.add(at, 0, What::EnrolMany(new));
    for _ in 0..2 {
        let (at, first) = (draw.between(35_000, scenario.quiet_ms - 20_000), draw.between(1, 2 + many));
        scenario.add(at, 0, What::PauseAll);
        scenario.add(at + draw.between(500, 6_000), 0, What::Resume(first));
        scenario.add(at + draw.between(7_000, 15_000), 0, What::ResumeAll);
    }
}

/// Users whose daily limits are used up early, beside others and under caps that all share.
pub fn limits(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.boxes.iter_mut().for_each(|mailbox| (mailbox.most, mailbox.start) = (400, 400));
    let limited = draw.between(1, 2);
    scenario.daily_limits = (0..limited).map(|user| (user, draw.between(3, 15) as u32)).collect();
    if draw.chance(50) {
        scenario.caps = CapLimits { global_minute: 60, ..WIDE };
    }
}

/// Fleets of sizes at which pairings have special cases, with owners of equal size or one who has nearly all.
pub fn sizes(scenario: &mut Scenario, draw: &mut Draw) {
    let size = SIZES[(scenario.round() % SIZES.len() as u64) as usize];
    let one_has_most = draw.chance(50);
    scenario.tempo.lanes = 20;
    scenario.tempo.cooldown = if size > 20 { (5, 9) } else { (2, 4) };
    scenario.boxes = (1..=size).map(|id| wide(draw, id)).collect();
    if one_has_most {
        scenario.boxes.iter_mut().skip(2).for_each(|mailbox| (mailbox.user, mailbox.domain) = (1, 1));
    }
}

/// A database that loses its last seconds, as after a failover to a standby that was behind. Today is over for the mailboxes
/// that were there; those that are enrolled after the fence send.
pub fn set_back(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.lives.truncate(3);
    scenario.lives.push(Life::of("g", 0));
    scenario.tempo.lanes = 20;
    (scenario.quiet_ms, scenario.healed_ms) = (150_000, 190_000);
    let (at, fenced_after) = (draw.between(35_000, 60_000), draw.between(25_000, 40_000));
    scenario.add(at, fenced_after, What::SetBack(draw.pick(&[1, 3, 8, 20])));
    for host in HOSTS {
        // So that mails are on their way at that moment.
        scenario.add(15_000, 60_000, What::Host(host, HostBehavior::Slow, 40));
        // And their results come when all is fenced.
        scenario.add(15_000, 60_000, What::Host(host, HostBehavior::PastDeadline, 10));
    }
    let new = (301..307).map(|id| wide(draw, id)).collect();
    scenario.add(at + fenced_after + 2_000, 0, What::EnrolMany(new));
}

/// A mailbox whose quota is out of reach.
fn wide(draw: &mut Draw, id: i64) -> Enrolled {
    Enrolled { most: 400, start: 400, step: 0, grown: 0, ..enrolled(draw, id) }
}
