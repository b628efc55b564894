//! What a seed is mostly about.

use chrono::{TimeZone, Utc};
use warmup::domain::caps::CapLimits;

use super::{
    HOSTS, Life, Scenario, WIDE, What,
    incidents::{POSTGRES, REDIS, befall, host, leave, operator, sky},
    owners, shapes,
};
use crate::{
    link::{Service, State},
    seeded::{draw::Draw, post::HostBehavior},
    sky::Condition,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Redis,
    Postgres,
    Comings,
    Alone,
    Frozen,
    Cut,
    Clocks,
    Caps,
    HostLimits,
    Operator,
    Hosts,
    Drain,
    Breaker,
    Night,
    Silent,
    Slow,
    ReadOnly,
    Jumps,
    Bulk,
    Limits,
    Sizes,
    SetBack,
    Liar,
    SenderLimits,
}

impl Theme {
    pub const ALL: [Theme; 24] = [
        Theme::Redis,
        Theme::Postgres,
        Theme::Comings,
        Theme::Alone,
        Theme::Frozen,
        Theme::Cut,
        Theme::Clocks,
        Theme::Caps,
        Theme::HostLimits,
        Theme::Operator,
        Theme::Hosts,
        Theme::Drain,
        Theme::Breaker,
        Theme::Night,
        Theme::Silent,
        Theme::Slow,
        Theme::ReadOnly,
        Theme::Jumps,
        Theme::Bulk,
        Theme::Limits,
        Theme::Sizes,
        Theme::SetBack,
        Theme::Liar,
        Theme::SenderLimits,
    ];

    /// Makes sure of what it is about.
    pub fn shape(self, scenario: &mut Scenario, draw: &mut Draw) {
        match self {
            Theme::Redis => redis(scenario, draw),
            Theme::Postgres => postgres(scenario, draw),
            Theme::Comings => comings(scenario, draw),
            Theme::Alone => alone(scenario, draw),
            Theme::Frozen => frozen(scenario, draw),
            Theme::Cut => cut(scenario, draw),
            Theme::Clocks => clocks(scenario, draw),
            Theme::Caps => caps(scenario, draw),
            Theme::HostLimits => host_limits(scenario, draw),
            Theme::Operator => operators(scenario, draw),
            Theme::Hosts => hosts(scenario, draw),
            Theme::Drain => drain(scenario, draw),
            Theme::Breaker => breaker(scenario, draw),
            Theme::Night => night(scenario, draw),
            Theme::Silent => shapes::silent(scenario, draw),
            Theme::Slow => shapes::slow(scenario, draw),
            Theme::ReadOnly => shapes::read_only(scenario, draw),
            Theme::Jumps => shapes::jumps(scenario, draw),
            Theme::Bulk => shapes::bulk(scenario, draw),
            Theme::Limits => shapes::limits(scenario, draw),
            Theme::Sizes => shapes::sizes(scenario, draw),
            Theme::SetBack => shapes::set_back(scenario, draw),
            Theme::Liar => owners::liar(scenario, draw),
            Theme::SenderLimits => owners::sender_limits(scenario, draw),
        }
    }
}

fn redis(scenario: &mut Scenario, draw: &mut Draw) {
    for condition in REDIS {
        sky(scenario, draw, Service::Redis, condition);
    }
    let at = scenario.instant(draw);
    scenario.add(at, 0, What::RedisForgets);
}

fn postgres(scenario: &mut Scenario, draw: &mut Draw) {
    for condition in POSTGRES {
        sky(scenario, draw, Service::Postgres, condition);
    }
    // A reserve that is done after it was given up: nobody starts what it opened, and a sweep finds it.
    (scenario.tempo.mail_deadline, scenario.tempo.drain) = (20, 24);
    let late = draw.between(20_000, 28_000);
    scenario.add(late, 2_500, What::Sky(Service::Postgres, Condition::DoneLate(8_000)));
    // A tick, on the minute, and what it retries: benched.
    let gone = 1_000 * draw.pick(&[56, 116]);
    scenario.add(gone, 12_000, What::Sky(Service::Postgres, Condition::Gone));
    // What a stop does not wait for.
    scenario.lives.push(Life { stops_ms: Some(33_000 + draw.between(0, 999)), ..Life::of("g", 0) });
    scenario.add(31_000, 9_000, What::Sky(Service::Postgres, Condition::Slow(9_000)));
}

fn comings(scenario: &mut Scenario, draw: &mut Draw) {
    for _ in 0..3 {
        leave(scenario, draw);
    }
    let mut begins = |low| draw.between(low, low + 20_000);
    let twice = Life::of("a", begins(20_000));
    let other = Life { shards: 8, ..Life::of("o", begins(25_000)) };
    let solo = Life { solo: true, ..Life::of("s", begins(25_000)) };
    scenario.lives.extend([twice, other, solo]);
}

/// One worker that works alone, killed and started again, on a machine that is suspended; another mode beside it.
fn alone(scenario: &mut Scenario, draw: &mut Draw) {
    let first = Life { solo: true, killed_ms: Some(draw.between(25_000, 40_000)), ..Life::of("s", 0) };
    let again = Life { solo: true, ..Life::of("s", draw.between(41_000, 44_000)) };
    let beside = Life::of("b", draw.between(64_000, 70_000));
    scenario.lives = vec![first, again, beside];
    let at = draw.between(95_000, scenario.healed_ms - 20_000);
    scenario.add(at, 1_000 * draw.pick(&[2, 20, 600]), What::Suspended);
}

fn frozen(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.lives.truncate(3);
    scenario.lives.extend([Life::of("g", 0), Life::of("h", 500)]);
    let last = scenario.lives.len() - 1;
    let lasts = draw.between(85_000, 105_000);
    befall(scenario, draw, last, State::Frozen, lasts);
    for _ in 0..2 {
        let lasts = draw.pick(&[1_000, 2_500, 14_000, 30_000]);
        befall(scenario, draw, last - 1, State::Frozen, lasts);
    }
    HOSTS.into_iter().for_each(|host| scenario.add(15_000, 80_000, What::Host(host, HostBehavior::Slow, 50)));
}

fn cut(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.lives.truncate(3);
    scenario.lives.extend([Life::of("g", 0), Life::of("h", 500)]);
    let last = scenario.lives.len() - 1;
    befall(scenario, draw, last, State::Cut(Service::Postgres), 85_000);
    for _ in 0..2 {
        befall(scenario, draw, last - 1, State::Cut(Service::Redis), 30_000);
    }
    for host in HOSTS {
        scenario.add(15_000, 90_000, What::Host(host, HostBehavior::Slow, 40));
        scenario.add(15_000, 90_000, What::Host(host, HostBehavior::Resolving, 60));
    }
}

fn clocks(scenario: &mut Scenario, draw: &mut Draw) {
    for life in &mut scenario.lives {
        life.ahead_seconds = draw.pick(&[0, -4, 3, 25]);
    }
    let far = draw.pick(&[-3_600, -33, 33, 86_400]);
    scenario.lives.push(Life { ahead_seconds: far, ..Life::of("w", draw.between(0, 20_000)) });
    scenario.lives.push(Life::of("j", draw.between(30_000, 60_000)));
    scenario.way_ms = 20;
    for _ in 0..3 {
        let at = scenario.instant(draw);
        scenario.add(at, 0, What::EpochsPass);
    }
    // While shards are taken over, again and again.
    let joins = scenario.lives.last().map_or(40_000, |life| life.begins_ms) + 10_000;
    for nth in 0..60 {
        scenario.add(joins + 50 * nth, 0, What::EpochsPass);
    }
}

fn caps(scenario: &mut Scenario, draw: &mut Draw) {
    let burst = draw.pick(&[0.05, 0.5]);
    let tight = [
        CapLimits { global_hour: 300, ..WIDE },
        CapLimits { global_minute: 60, ..WIDE },
        CapLimits { user_hour: 120, ..WIDE },
        CapLimits { user_minute: 20, ..WIDE },
        CapLimits { global_minute: 60, user_minute: 25, ..WIDE },
    ];
    scenario.caps = CapLimits { burst, ..draw.pick(&tight) };
    if draw.chance(50) {
        let at = scenario.instant(draw);
        scenario.add(at, 0, What::RedisForgets);
    }
}

fn host_limits(scenario: &mut Scenario, draw: &mut Draw) {
    let rate = draw.pick(&["rate=200/hour", "rate=900/day"]);
    let [one, two, three] = HOSTS;
    scenario.host_limits = format!("{one} {rate}\n{two} connections={}\n{three} rate=20/minute\n", draw.between(1, 4));
    // Cold for as long as a connection lasts.
    scenario.tempo.mail_deadline = 20;
    scenario.tempo.drain = 24;
    scenario.add(15_000, 60_000, What::Host(HOSTS[1], HostBehavior::Slow, 50));
    leave(scenario, draw);
}

fn operators(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.boxes.truncate(draw.pick(&[3, 8, 22]));
    for _ in 0..8 {
        operator(scenario, draw);
    }
    for mailbox in 1..=scenario.boxes.len() as i64 {
        if draw.chance(60) {
            let at = scenario.instant(draw);
            scenario.add(at, 0, What::Pause(mailbox));
            scenario.add(at + 8_000, 0, What::Resume(mailbox));
        }
    }
    let at = scenario.instant(draw);
    scenario.add(at, 0, What::Ordered { running: false, heard: false });
    scenario.add(at + 6_000, 0, What::Ordered { running: true, heard: false });
    scenario.daily_limits = vec![(draw.between(0, 2), draw.between(20, 60) as u32)];
}

/// Everything that a host can do, and a storm that uses up the attempts of small quotas.
fn hosts(scenario: &mut Scenario, draw: &mut Draw) {
    HostBehavior::ALL.into_iter().for_each(|mood| host(scenario, draw, mood, 20));
    scenario.tempo.tick = 20;
    let stormy = draw.pick(&HOSTS);
    scenario.add(15_000, 100_000, What::Host(stormy, HostBehavior::Storm, 65));
}

fn drain(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.tempo.drain = 20;
    for host in HOSTS {
        scenario.add(15_000, 60_000, What::Host(host, HostBehavior::PastDeadline, 20));
        scenario.add(15_000, 60_000, What::Host(host, HostBehavior::Slow, 30));
    }
    for (name, at) in [("g", 30_000), ("h", 50_000)] {
        scenario.lives.push(Life { stops_ms: Some(at + draw.between(0, 5_000)), ..Life::of(name, 0) });
        scenario.lives.push(Life::of(name, at + 40_000));
    }
}

/// Two hours at leisure: a host lets nobody in until its breaker opens; an hour later it is tried again.
fn breaker(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.begins = Utc.with_ymd_and_hms(2026, 11, 24, 13, 0, 3).unwrap();
    (scenario.quiet_ms, scenario.healed_ms) = (7_000_000, 7_200_000);
    scenario.lives.truncate(3);
    let tempo = &mut scenario.tempo;
    (tempo.lease_ttl, tempo.heartbeat, tempo.tick) = (90, 30, 300);
    (tempo.cooldown, tempo.reply_delay, tempo.spread) = ((120, 300), (60, 1_200), 200);
    for mailbox in &mut scenario.boxes {
        mailbox.host = HOSTS[(mailbox.id % 2) as usize];
    }
    let lasts = draw.pick(&[1_200_000, 4_600_000]);
    scenario.add(600_000, lasts, What::Host(HOSTS[0], HostBehavior::AuthRefused, 100));
    scenario.add(900_000, 1_500_000, What::Host(HOSTS[1], HostBehavior::Unreachable, 95));
    for _ in 0..4 {
        operator(scenario, draw);
    }
}

/// Midnight in UTC, and the duties of the new date.
fn night(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.begins = Utc.with_ymd_and_hms(2026, 11, 24, 23, 58, 3).unwrap();
    (scenario.quiet_ms, scenario.healed_ms) = (430_000, 510_000);
    scenario.lives.truncate(3);
    scenario.tempo.cooldown = (8, 20);
    let zones = [
        chrono_tz::America::Los_Angeles,
        chrono_tz::America::Los_Angeles,
        chrono_tz::Asia::Tokyo,
        chrono_tz::Pacific::Auckland,
        chrono_tz::UTC,
    ];
    for mailbox in &mut scenario.boxes {
        mailbox.zone = draw.pick(&zones);
    }
    leave(scenario, draw);
    let at = draw.between(400_000, 425_000);
    scenario.lives.push(Life { stops_ms: Some(at), ..Life::of("n", 0) });
    leave(scenario, draw);
}
