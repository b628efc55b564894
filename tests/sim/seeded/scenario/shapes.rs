//! The themes that look for stalls: trouble that stops mailboxes which it does not concern, or that leaves a trace.

use super::{
    Enrolled, HOSTS, Life, Scenario, WIDE, What, enrolled,
    incidents::{befall, sky},
};
use crate::{
    link::{Service, State},
    seeded::{draw::Draw, post::Mood},
    sky::Condition,
};
use warmup::domain::caps::CapLimits;

/// Sizes around those at which a fleet has one partner, few partners, or a round more than a day.
const SIZES: [i64; 7] = [1, 2, 3, 5, 17, 48, 65];

/// Most mailboxes are at one host, which falls silent at one step after the other; the others are well.
pub fn silent(scenario: &mut Scenario, draw: &mut Draw) {
    let tempo = &mut scenario.tempo;
    (tempo.tick, tempo.cooldown, tempo.lanes) = (20, (6, 12), 16);
    (tempo.step_timeout, tempo.mail_deadline, tempo.drain) = (15, 25, 30);
    scenario.lives.truncate(1);
    scenario.boxes = (1..=48).map(|id| Enrolled { host: HOSTS[(id % 5 / 2) as usize], ..wide(draw, id) }).collect();
    for nth in 0..2 {
        let mood = draw.pick(&Mood::SILENT);
        scenario.add(15_000 + nth * 45_000, 40_000, What::Host(HOSTS[0], mood, 100));
    }
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
    let far = [-3_600, -20, 20];
    for life in &mut scenario.lives {
        let from = draw.between(life.begins_ms + 25_000, scenario.quiet_ms);
        life.jumps.push((draw.pick(&far), from, from + draw.pick(&[1_000, 3_000, 25_000])));
    }
    for _ in 0..2 {
        let (at, lasts) = (scenario.instant(draw), draw.pick(&[500, 3_000, 20_000]));
        scenario.add(at, lasts, What::RedisClock(draw.pick(&[-3_600, -40])));
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
    let size = SIZES[((scenario.seed / super::Theme::ALL.len() as u64) % SIZES.len() as u64) as usize];
    let one_has_most = draw.chance(50);
    scenario.tempo.lanes = 20;
    scenario.tempo.cooldown = if size > 20 { (5, 9) } else { (2, 4) };
    scenario.boxes = (1..=size).map(|id| wide(draw, id)).collect();
    if one_has_most {
        scenario.boxes.iter_mut().skip(2).for_each(|mailbox| (mailbox.user, mailbox.domain) = (1, 1));
    }
}

/// A mailbox whose quota is out of reach.
fn wide(draw: &mut Draw, id: i64) -> Enrolled {
    Enrolled { most: 400, start: 400, step: 0, grown: 0, ..enrolled(draw, id) }
}
