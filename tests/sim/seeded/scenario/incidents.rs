//! One piece of trouble, of any kind.

use super::{HOSTS, Life, Scenario, What, enrolled};
use crate::{
    link::{Service, State},
    seeded::{draw::Draw, post::HostBehavior},
    sky::Condition,
};

/// Something of everything.
pub fn any(scenario: &mut Scenario, draw: &mut Draw) {
    match draw.between(0, 9) {
        0 => {
            let condition = draw.pick(&REDIS);
            sky(scenario, draw, Service::Redis, condition);
        }
        1 | 2 => {
            let condition = draw.pick(&POSTGRES);
            sky(scenario, draw, Service::Postgres, condition);
        }
        3 => {
            let at = scenario.instant(draw);
            scenario.add(at, 0, What::RedisForgets);
        }
        4 => trouble(scenario, draw),
        5 => leave(scenario, draw),
        6 | 7 => {
            let mood = draw.pick(&HostBehavior::ALL);
            host(scenario, draw, mood, 30);
        }
        8 => {
            let mood = draw.pick(&HostBehavior::SILENT);
            host(scenario, draw, mood, 30);
        }
        _ => operator(scenario, draw),
    }
}

pub const REDIS: [Condition; 4] = [Condition::Gone, Condition::RequestsLost, Condition::AnswersLost, Condition::Paused];

pub const POSTGRES: [Condition; 7] = [
    Condition::Gone,
    Condition::ReadOnly,
    Condition::RequestsLost,
    Condition::AnswersLost,
    Condition::Paused,
    Condition::Slow(6_000),
    Condition::DoneLate(8_000),
];

/// A service fares badly for a while: a moment, or past the lease.
pub fn sky(scenario: &mut Scenario, draw: &mut Draw, service: Service, condition: Condition) {
    let last = scenario.healed_ms - 5_000;
    let (at, lasts) = (draw.between(15_000, last), draw.pick(&[300, 2_000, 9_000, 24_000]));
    scenario.add(at, lasts, What::Sky(service, condition));
}

/// A worker is cut off, or stopped in its tracks.
pub fn trouble(scenario: &mut Scenario, draw: &mut Draw) {
    let state = draw.pick(&[State::Frozen, State::Cut(Service::Redis), State::Cut(Service::Postgres), State::ReadOnly]);
    let lasts = draw.pick(&[1_500, 8_000, 25_000]);
    let place = draw.between(0, scenario.lives.len() as i64 - 1) as usize;
    befall(scenario, draw, place, state, lasts);
}

/// Something befalls one worker, once nothing else does.
pub fn befall(scenario: &mut Scenario, draw: &mut Draw, place: usize, state: State, lasts_ms: i64) {
    let latest = scenario.healed_ms - lasts_ms - 1_000;
    let life = &mut scenario.lives[place];
    let earliest = life.troubles.last().map_or(life.begins_ms + 12_000, |(.., to)| to + 500);
    if earliest < latest {
        let from = draw.between(earliest, latest);
        life.troubles.push((state, from, from + lasts_ms));
    }
}

/// A worker other than the first one leaves or dies, and may come again under its name.
pub fn leave(scenario: &mut Scenario, draw: &mut Draw) {
    if scenario.lives.len() < 2 {
        scenario.lives.push(Life::of("b", 1_000));
    }
    let place = draw.between(1, scenario.lives.len() as i64 - 1) as usize;
    let at = scenario.instant(draw).max(30_000);
    let (killed, again) = (draw.chance(50), draw.chance(60));
    let life = &mut scenario.lives[place];
    // One that works alone is the only one there is.
    if life.solo || life.stops_ms.is_some() || life.killed_ms.is_some() || at < life.begins_ms + 5_000 {
        return;
    }
    if killed {
        life.killed_ms = Some(at)
    } else {
        life.stops_ms = Some(at)
    }
    life.troubles.retain(|(.., to)| *to < at);
    let name = life.name;
    if again {
        let begins = at + draw.pick(&[100, 4_000, 20_000]);
        scenario.lives.push(Life::of(name, begins));
    }
}

/// A host does something to some of its mails for a while.
pub fn host(scenario: &mut Scenario, draw: &mut Draw, mood: HostBehavior, percent: u64) {
    let (at, host) = (scenario.instant(draw), draw.pick(&HOSTS));
    let lasts = draw.pick(&[5_000, 20_000, 60_000]);
    scenario.add(at, lasts, What::Host(host, mood, percent));
}

/// The operator does something.
pub fn operator(scenario: &mut Scenario, draw: &mut Draw) {
    let at = scenario.instant(draw);
    let mailbox = draw.between(1, scenario.boxes.len() as i64);
    match draw.between(0, 5) {
        0 => {
            scenario.add(at, 0, What::Pause(mailbox));
            let back = at + draw.between(500, 20_000);
            scenario.add(back, 0, What::Resume(mailbox));
        }
        1 => {
            let id = 100 + draw.between(1, 20);
            let new = enrolled(draw, id);
            scenario.add(at, 0, What::Enrol(new));
        }
        2 => scenario.add(at, 0, What::Move(mailbox)),
        3 => scenario.add(at, 0, What::Lower(mailbox, draw.between(1, 10) as u16)),
        4 => scenario.add(at, 0, What::Triggered),
        _ => {
            let (heard, again) = (draw.chance(50), draw.chance(50));
            scenario.add(at, 0, What::Ordered { running: false, heard });
            let back = at + draw.between(1_000, 20_000);
            scenario.add(back, 0, What::Ordered { running: true, heard: again });
        }
    }
}
