//! The themes in which a host lies, limits its senders, or refuses the passwords of one owner. No other owner may pay for it
//! (I20).

use chrono::{TimeDelta, TimeZone, Utc};

use super::{Enrolled, HOSTS, Scenario, What, enrolled};
use crate::seeded::{
    draw::Draw,
    post::{DAILY, HOURLY, SenderLimit},
};

/// A host, where all mailboxes are one owner's, lies about all partners or about some, and about domains that owners share.
pub fn liar(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.tempo.lanes = 20;
    scenario.boxes.iter_mut().for_each(|mailbox| (mailbox.most, mailbox.start) = (400, 400));
    let (host, percent) = (draw.pick(&HOSTS), draw.pick(&[100, 100, 60, 30]));
    // It tells the truth again before the quiet, at which the operator ends the pauses that its lies began.
    let (at, latest) = (draw.between(5_000, 20_000), scenario.quiet_ms - 30_000);
    let lasts = draw.pick(&[20_000, 60_000, 100_000]).min(latest - at);
    scenario.add(at, lasts, What::Lies(host, percent));
}

/// Five hours at leisure: two hosts limit each sender, one by the hour and one by the day, and accept its mails again later. The
/// third host refuses the passwords of the owner of most of its mailboxes, and lets the other owners' in.
pub fn sender_limits(scenario: &mut Scenario, draw: &mut Draw) {
    at_leisure(scenario, 18_000_000);
    let owner = draw.between(0, 2);
    // The first two hosts have mailboxes of all owners; the third one has ten of this owner and one of each other owner.
    let place = |id: i64| match id {
        ..=12 => (id % 3, HOSTS[((id / 3) % 2) as usize]),
        13..=22 => (owner, HOSTS[2]),
        _ => ((owner + id - 22) % 3, HOSTS[2]),
    };
    let mailbox = |id| Enrolled { user: place(id).0, host: place(id).1, ..wide(draw, id) };
    scenario.boxes = (1..=24).map(mailbox).collect();
    let round = scenario.round() as usize;
    let hourly = SenderLimit {
        mails: draw.between(2, 4) as usize,
        period: TimeDelta::minutes(15),
        words: HOURLY[round % HOURLY.len()],
    };
    let daily = SenderLimit {
        mails: draw.between(2, 6) as usize,
        period: TimeDelta::hours(3),
        words: DAILY[round % DAILY.len()],
    };
    scenario.add(300_000, 17_600_000, What::Limits(HOSTS[0], hourly));
    scenario.add(300_000, 17_600_000, What::Limits(HOSTS[1], daily));
    let (at, lasts) = (draw.between(200_000, 900_000), draw.pick(&[1_200_000, 4_600_000]));
    scenario.add(at, lasts, What::WrongPasswords(HOSTS[2], owner));
}

/// A slow tempo from the morning on, so that pauses of an hour end within the scenario.
fn at_leisure(scenario: &mut Scenario, quiet_ms: i64) {
    scenario.begins = Utc.with_ymd_and_hms(2026, 11, 24, 9, 30, 3).unwrap();
    (scenario.quiet_ms, scenario.healed_ms) = (quiet_ms, quiet_ms + 200_000);
    scenario.lives.truncate(3);
    let tempo = &mut scenario.tempo;
    (tempo.lease_ttl, tempo.heartbeat, tempo.tick) = (90, 30, 300);
    (tempo.cooldown, tempo.reply_delay, tempo.spread, tempo.lanes) = ((120, 300), (60, 1_200), 200, 20);
}

/// A mailbox in UTC whose quota is out of reach.
fn wide(draw: &mut Draw, id: i64) -> Enrolled {
    Enrolled { zone: chrono_tz::UTC, most: 400, start: 400, step: 0, grown: 0, ..enrolled(draw, id) }
}
