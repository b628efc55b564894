//! What a seed means: who lives when, over which services, with which limits, and what befalls whom. Each seed has a
//! *theme*, which makes sure that its kind of trouble comes, and some of everything else besides.
//!
//! ```text
//!   0 ──▶ 20 s ──▶ everything ──▶ quiet ──▶ services and workers only ──▶ healed ──▶ wait bound ──▶ end
//! ```
//!
//! At *quiet* the operator resumes all and the hosts are well, so that a tick plans everybody before all is healed; from
//! then on every shard that owes anything has to send within the 25 s.

#[path = "scenario/incidents.rs"]
mod incidents;
#[path = "scenario/owners.rs"]
mod owners;
#[path = "scenario/shapes.rs"]
mod shapes;
#[path = "scenario/themes.rs"]
mod themes;
#[path = "scenario/troubles.rs"]
mod troubles;

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use warmup::domain::caps::CapLimits;

pub use self::themes::Theme;
use super::{
    draw::Draw,
    post::{HostBehavior, SenderLimit},
};
use crate::{
    link::{Service, State},
    sky::Condition,
};

pub const HOSTS: [&str; 3] = ["one.test", "two.test", "three.test"];

/// The host to which the operator moves mailboxes.
pub const MOVED: &str = "moved.test";

/// How long all is well before the end, beyond the time within which every due mailbox must have sent.
const TAIL_MS: i64 = 5_000;

/// What a seed means. Times are milliseconds from the beginning.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub theme: Theme,
    pub begins: DateTime<Utc>,
    pub quiet_ms: i64,
    pub healed_ms: i64,
    pub tempo: Tempo,
    /// What each way to a service takes at most.
    pub way_ms: u64,
    pub boxes: Vec<Enrolled>,
    /// Of users who have one.
    pub daily_limits: Vec<(i64, u32)>,
    pub caps: CapLimits,
    /// As the operator's file has them.
    pub host_limits: String,
    pub lives: Vec<Life>,
    pub incidents: Vec<Incident>,
    /// The operator resumes no host: what paused it ends by itself.
    pub hosts_heal_alone: bool,
}

/// How fast the worker goes, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    pub tick: u64,
    pub spread: u64,
    pub cooldown: (u64, u64),
    pub reply_delay: (u64, u64),
    pub lease_ttl: u64,
    pub heartbeat: u64,
    pub mail_deadline: u64,
    pub drain: u64,
    /// What the SMTP client waits for one reply.
    pub step_timeout: u64,
    pub lanes: usize,
}

/// A mailbox.
#[derive(Clone, Debug)]
pub struct Enrolled {
    pub id: i64,
    pub user: i64,
    pub domain: i64,
    pub host: &'static str,
    pub zone: Tz,
    pub start: u16,
    pub step: u16,
    pub most: u16,
    pub grown: u16,
    pub reply_rate: u8,
}

/// One life of one worker.
#[derive(Clone, Debug)]
pub struct Life {
    pub name: &'static str,
    pub solo: bool,
    pub shards: u16,
    pub begins_ms: i64,
    pub stops_ms: Option<i64>,
    pub killed_ms: Option<i64>,
    pub troubles: Vec<(State, i64, i64)>,
    pub ahead_seconds: i64,
    /// Jumps of its clock: so many seconds ahead, from when to when.
    pub jumps: Vec<(i64, i64, i64)>,
}

#[derive(Clone, Debug)]
pub struct Incident {
    pub from_ms: i64,
    pub to_ms: i64,
    pub what: What,
}

/// What befalls all, or is done by the operator.
#[derive(Clone, Debug)]
pub enum What {
    Sky(Service, Condition),
    RedisForgets,
    EpochsPass,
    /// Its clock is so many seconds ahead.
    RedisClock(i64),
    Suspended,
    /// The database loses its commits of so many seconds. At the end the operator fences it, and starts the fleet.
    SetBack(i64),
    Host(&'static str, HostBehavior, u64),
    /// A host lies about so many of a hundred partners.
    Lies(&'static str, u64),
    /// A host limits each of its senders.
    Limits(&'static str, SenderLimit),
    /// A host refuses the passwords of a user.
    WrongPasswords(&'static str, i64),
    Ordered {
        running: bool,
        heard: bool,
    },
    Triggered,
    Pause(i64),
    Resume(i64),
    PauseAll,
    ResumeAll,
    Enrol(Enrolled),
    EnrolMany(Vec<Enrolled>),
    Move(i64),
    Lower(i64, u16),
}

impl Life {
    pub fn of(name: &'static str, begins_ms: i64) -> Life {
        Life {
            name,
            solo: false,
            shards: super::stage::SHARDS,
            begins_ms,
            stops_ms: None,
            killed_ms: None,
            troubles: Vec::new(),
            ahead_seconds: 0,
            jumps: Vec::new(),
        }
    }
}

impl Scenario {
    /// Draws what `seed` means.
    pub fn of(seed: u64) -> Scenario {
        let mut draw = Draw::of(seed);
        let theme = Theme::ALL[(seed % Theme::ALL.len() as u64) as usize];
        let quiet_ms = 1_000 * draw.between(80, 130);
        let mut scenario = Scenario {
            seed,
            theme,
            begins: Utc.with_ymd_and_hms(2026, 11, 24, 20, 0, 3).unwrap(),
            quiet_ms,
            healed_ms: quiet_ms + 1_000 * draw.between(40, 55),
            tempo: Tempo {
                tick: 30,
                spread: draw.pick(&[0, 0, 5]),
                cooldown: draw.pick(&[(2, 4), (3, 8)]),
                reply_delay: (5, 60),
                lease_ttl: 15,
                heartbeat: 5,
                mail_deadline: 50,
                drain: 60,
                step_timeout: 30,
                lanes: draw.pick(&[3, 8, 20]),
            },
            way_ms: draw.pick(&[0, 3, 20]),
            boxes: Vec::new(),
            daily_limits: Vec::new(),
            caps: WIDE,
            host_limits: String::new(),
            lives: vec![Life { begins_ms: draw.between(0, 3_000), ..Life::of("a", 0) }],
            incidents: Vec::new(),
            hosts_heal_alone: false,
        };
        let count = draw.between(10, 22);
        scenario.boxes = (1..=count).map(|id| enrolled(&mut draw, id)).collect();
        for name in ["b", "c", "d", "e", "f"].into_iter().take(draw.between(0, 5) as usize) {
            scenario.lives.push(Life::of(name, draw.between(0, 30_000)));
        }
        theme.shape(&mut scenario, &mut draw);
        for _ in 0..draw.between(0, 3) {
            incidents::any(&mut scenario, &mut draw);
        }
        scenario.incidents.sort_by_key(|incident| incident.from_ms);
        scenario
    }

    /// Returns how many seeds of this theme come before this one.
    pub fn round(&self) -> u64 {
        self.seed / Theme::ALL.len() as u64
    }

    pub fn lasts_ms(&self) -> i64 {
        self.healed_ms + self.longest_wait_ms() + TAIL_MS * self.looks_every_seconds() as i64
    }

    /// An instant at which anything may befall.
    pub fn instant(&self, draw: &mut Draw) -> i64 {
        draw.between(20_000, self.quiet_ms - 1_000)
    }

    /// Says whether the caps may hold up a shard.
    pub fn caps_bind(&self) -> bool {
        self.caps != WIDE
    }

    /// Lets something befall from then on for so long.
    pub fn add(&mut self, from_ms: i64, lasts_ms: i64, what: What) {
        let last = match what {
            What::Sky(..) | What::Suspended | What::RedisClock(_) => self.healed_ms - 500,
            _ => self.quiet_ms - 500,
        };
        let to_ms = (from_ms + lasts_ms).min(last.max(from_ms));
        self.incidents.push(Incident { from_ms, to_ms, what });
    }
}

/// A mailbox of a fleet of mixed ones.
pub fn enrolled(draw: &mut Draw, id: i64) -> Enrolled {
    let most = draw.pick(&[6, 120, 400, 400]);
    let ramps = draw.chance(40);
    Enrolled {
        id,
        user: id % 3,
        domain: id % 4,
        host: HOSTS[(id % 3) as usize],
        // At 20:00 UTC it is 15:00 in New York, 12:00 in Los Angeles and 21:00 in Berlin: all send.
        zone: draw.pick(&[
            chrono_tz::UTC,
            chrono_tz::UTC,
            chrono_tz::Europe::Berlin,
            chrono_tz::America::New_York,
            chrono_tz::America::Los_Angeles,
        ]),
        start: if ramps { most.min(3) } else { most },
        step: if ramps { 3 } else { 0 },
        most,
        grown: if ramps { draw.between(0, 40) as u16 } else { 0 },
        reply_rate: draw.pick(&[0, 35, 90]),
    }
}

/// Caps that never hold anything up.
const WIDE: CapLimits = CapLimits {
    global_hour: 1_000_000,
    global_minute: 100_000,
    user_hour: 1_000_000,
    user_minute: 100_000,
    burst: 0.05,
};
