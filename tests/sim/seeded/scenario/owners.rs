//! The themes in which a host lies or limits its senders. No other owner may pay for it (I20).

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

/// Five hours at leisure: two hosts limit each sender, one by the hour and one by the day, and accept its mails again later.
pub fn sender_limits(scenario: &mut Scenario, draw: &mut Draw) {
    scenario.begins = Utc.with_ymd_and_hms(2026, 11, 24, 9, 30, 3).unwrap();
    (scenario.quiet_ms, scenario.healed_ms) = (18_000_000, 18_200_000);
    scenario.lives.truncate(3);
    let tempo = &mut scenario.tempo;
    (tempo.lease_ttl, tempo.heartbeat, tempo.tick) = (90, 30, 300);
    (tempo.cooldown, tempo.reply_delay, tempo.spread, tempo.lanes) = ((120, 300), (60, 1_200), 200, 20);
    // All hosts have mailboxes of all owners.
    let host = |id: i64| HOSTS[((id / 3) % 3) as usize];
    let mailbox = |id| Enrolled {
        host: host(id),
        zone: chrono_tz::UTC,
        most: 400,
        start: 400,
        step: 0,
        grown: 0,
        ..enrolled(draw, id)
    };
    scenario.boxes = (1..=18).map(mailbox).collect();
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
}
