//! These cases check what a reserve takes, and each reason for which it takes nothing.

use chrono::Days;
use warmup::{
    domain::{
        id::{Epoch, ShardId, UserId, WorkerId},
        outcome::OutcomeKind,
        time::LocalDates,
    },
    ports::{Heartbeat, PortError, Refusal, Reservation, ReserveRequest, Settlement, StateChange},
};

use super::{DAY, LedgerWorld, Life, SHARD, ask, assert_true, end, enrol, minutes, noon, open_tomorrow};

pub async fn a_reserve_takes_a_place_a_pair_and_opens_a_flight(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let asked = ask(1, 0, &[2]);
    let flight = life.fly(asked.clone()).await;
    assert_eq!((flight.sender.mailbox.0, flight.recipient.mailbox.0, flight.day), (1, 2, DAY));
    assert_eq!((&flight.message_id, &flight.subject), (&asked.message_id, &asked.subject));
    let day = life.day(1).await;
    assert_eq!((day.quota, day.reserved, day.attempts, day.sent), (5, 1, 1, 0));
    assert_eq!((world.pairs().await, world.in_flight().await), (vec![(1, 2, 0)], 1));
    assert!(world.logs().await.is_empty());
    assert_true(world, 1, 1).await;
}

pub async fn a_full_quota_refuses(world: &dyn LedgerWorld) {
    enrol(world, 5, 2).await;
    let life = Life::begin(world).await;
    for (attempts, partner) in [(0, 2), (1, 3)] {
        let flight = life.fly(ask(1, attempts, &[partner])).await;
        life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    }
    assert_eq!(life.refusal(ask(1, 2, &[4])).await, Refusal::QuotaFull);
    assert_true(world, 1, 0).await;
}

pub async fn a_lowered_quota_applies_from_the_next_reservation(world: &dyn LedgerWorld) {
    enrol(world, 5, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    world.set_quota(1, 1).await;
    assert_eq!(life.refusal(ask(1, 1, &[3])).await, Refusal::QuotaFull);
}

pub async fn a_raised_quota_applies_from_the_next_reservation(world: &dyn LedgerWorld) {
    enrol(world, 5, 1).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    world.set_quota(1, 2).await;
    life.fly(ask(1, 1, &[3])).await;
    assert_eq!(life.day(1).await.quota, 2);
    assert_true(world, 1, 1).await;
}

pub async fn a_passed_epoch_reserves_nothing(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    life.ledger.raise(&life.worker, &[(SHARD, life.epoch)]).await.unwrap();
    assert_eq!(life.refusal(ask(1, 0, &[2])).await, Refusal::ShardLost);
    let mut unowned = life.batch(vec![ask(1, 0, &[2])]);
    unowned.epochs.clear();
    assert_eq!(life.ledger.reserve(&unowned).await.unwrap(), [Reservation::Refused(Refusal::ShardLost)]);
    assert_eq!((life.day(1).await.reserved, world.in_flight().await), (0, 0));
}

pub async fn a_heartbeat_returns_the_epochs_and_can_be_repeated(world: &dyn LedgerWorld) {
    let life = Life::begin(world).await;
    let heartbeat = Heartbeat {
        worker: life.worker.clone(),
        run: life.run,
        shards: vec![SHARD],
        state: "running",
        refused_since: None,
        clock_off: None,
        change: None,
        grants_expired: 0,
        now: noon(),
    };
    for _ in 0..2 {
        assert_eq!(life.ledger.heartbeat(&heartbeat).await.unwrap().epochs, [life.epoch]);
    }
    let empty = Heartbeat {
        shards: Vec::new(),
        refused_since: Some(noon()),
        clock_off: Some("3600 s ahead of the database".to_owned()),
        change: Some(StateChange::Suspended),
        ..heartbeat.clone()
    };
    assert!(life.ledger.heartbeat(&empty).await.unwrap().epochs.is_empty());
    let suspended = ("worker-suspended".to_owned(), None, "ticks-failed".to_owned());
    assert_eq!(world.events().await.iter().filter(|event| **event == suspended).count(), 1);
    let unknown = Heartbeat { shards: vec![SHARD, ShardId(4_095)], ..heartbeat };
    assert!(matches!(life.ledger.heartbeat(&unknown).await, Err(PortError::Permanent(_))));
}

pub async fn an_epoch_is_raised_by_compare_and_set(world: &dyn LedgerWorld) {
    let life = Life::begin(world).await;
    let next = Epoch(life.epoch.0 + 1);
    assert_eq!(life.ledger.raise(&life.worker, &[(SHARD, life.epoch)]).await.unwrap(), [Some(next)]);
    assert_eq!(life.ledger.raise(&life.worker, &[(SHARD, life.epoch)]).await.unwrap(), [None]);
    assert_eq!(life.ledger.epochs(&[SHARD]).await.unwrap(), [next]);
}

pub async fn a_stopped_fleet_reserves_nothing(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    world.order(false).await;
    assert_eq!(life.refusal(ask(1, 0, &[2])).await, Refusal::FleetStopped);
    world.order(true).await;
    life.fly(ask(1, 0, &[2])).await;
}

pub async fn a_paused_sender_reserves_nothing(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    world.pause(1).await;
    assert_eq!(life.refusal(ask(1, 0, &[2])).await, Refusal::SenderPaused);
    assert_eq!(life.day(1).await.attempts, 0);
}

pub async fn a_cooling_mailbox_reserves_nothing(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    let mut settlement = end(&flight, OutcomeKind::Sent);
    settlement.next_at = noon() + minutes(5);
    life.settle(&[settlement]).await;
    assert_eq!(life.refusal(ask(1, 1, &[3])).await, Refusal::NotCool);
}

pub async fn a_mailbox_has_one_mail_on_its_way(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    life.fly(ask(1, 0, &[2])).await;
    assert_eq!(life.refusal(ask(1, 1, &[3])).await, Refusal::NotCool);
    assert_true(world, 1, 1).await;
}

pub async fn other_attempts_than_asked_are_stale(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    assert_eq!(life.refusal(ask(1, 1, &[2])).await, Refusal::Stale);
    assert_eq!(life.day(1).await.reserved, 0);
}

pub async fn twice_the_quota_in_attempts_is_the_end(world: &dyn LedgerWorld) {
    enrol(world, 4, 1).await;
    let life = Life::begin(world).await;
    for (attempts, partner) in [(0, 2), (1, 3)] {
        let flight = life.fly(ask(1, attempts, &[partner])).await;
        life.settle(&[end(&flight, OutcomeKind::Refused)]).await;
    }
    // Two refusals in a row pause it.
    world.resume(1).await;
    assert_eq!(life.refusal(ask(1, 2, &[4])).await, Refusal::Stale);
    assert_true(world, 1, 0).await;
}

pub async fn the_first_partner_that_can_receive_and_is_unused_is_taken(world: &dyn LedgerWorld) {
    enrol(world, 5, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    world.pause(3).await;
    let flight = life.fly(ask(1, 1, &[2, 3, 99, 5, 4])).await;
    assert_eq!(flight.recipient.mailbox.0, 5, "2 is used, 3 is paused, 99 does not exist");
}

pub async fn nobody_writes_to_itself_or_twice_to_a_partner_in_a_round(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    assert_eq!(life.refusal(ask(1, 0, &[1])).await, Refusal::NoPartner);
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    assert_eq!(life.refusal(ask(1, 1, &[2])).await, Refusal::NoPartner);
    let mut again = ask(1, 1, &[2]);
    again.choices[0].round = 1;
    life.fly(again).await;
    assert_eq!(world.pairs().await, [(1, 2, 0), (1, 2, 1)]);
}

pub async fn a_users_daily_limit_is_kept_in_order_of_urgency(world: &dyn LedgerWorld) {
    for id in 1..=4 {
        world.enrol(id, 7, 5, "seven.test", 127).await;
    }
    world.enrol(5, 8, 5, "eight.test", 127).await;
    world.limit(7, 2).await;
    let life = Life::begin(world).await;
    // A limit of 2, multiplied by 1.5: 3 mails.
    let asks = vec![ask(3, 0, &[5]), ask(1, 0, &[5]), ask(4, 0, &[5]), ask(2, 0, &[5]), ask(5, 0, &[1])];
    let reserved: Vec<bool> =
        life.reserve(asks).await.iter().map(|answer| matches!(answer, Reservation::Reserved(_))).collect();
    assert_eq!(reserved, [true, true, true, false, true]);
    assert_eq!(life.refusal(ask(2, 0, &[5])).await, Refusal::UserDailyLimit);
    assert_eq!(world.pairs().await.len(), 4, "a refused mail uses no pair");
}

pub async fn a_users_daily_limit_holds_over_batches_and_for_one_day(world: &dyn LedgerWorld) {
    for id in 1..=3 {
        world.enrol(id, 7, 5, "seven.test", 127).await;
    }
    world.limit(7, 1).await;
    let life = Life::begin(world).await;
    life.fly(ask(1, 0, &[3])).await;
    assert_eq!(life.refusal(ask(2, 0, &[3])).await, Refusal::UserDailyLimit);
    let tomorrow = open_tomorrow(world).await;
    let ask = ReserveRequest { day: tomorrow.date_naive(), ..ask(2, 0, &[3]) };
    life.fly_at(tomorrow, ask).await;
}

pub async fn a_limit_beyond_all_numbers_is_none(world: &dyn LedgerWorld) {
    enrol(world, 2, 5).await;
    world.limit(1, i32::MAX as u32).await;
    Life::begin(world).await.fly(ask(1, 0, &[2])).await;
}

/// The plan reads this room before it requests grants from the caps.
pub async fn the_room_of_a_daily_limit_is_what_a_reserve_would_still_grant(world: &dyn LedgerWorld) {
    for id in 1..=3 {
        world.enrol(id, 7, 5, "seven.test", 127).await;
    }
    world.enrol(4, 8, 5, "eight.test", 127).await;
    world.limit(7, 2).await;
    let life = Life::begin(world).await;
    let (users, days) = ([UserId(7), UserId(8), UserId(99)], [DAY, noon().date_naive() + Days::new(1)]);
    let left = async || {
        let room = life.ledger.daily_room(&users, &days).await.unwrap();
        assert!(room.iter().all(|room| room.user == UserId(7)), "nobody else has a limit: {room:?}");
        room.iter().map(|room| (room.day, room.left)).collect::<Vec<_>>()
    };
    assert_eq!(left().await, [(DAY, 3), (days[1], 3)], "2, stretched 1.5 times");
    let refused = life.fly(ask(1, 0, &[4])).await;
    life.fly(ask(2, 0, &[4])).await;
    assert_eq!(left().await[0], (DAY, 1));
    life.settle(&[end(&refused, OutcomeKind::Refused)]).await;
    assert_eq!(left().await[0], (DAY, 2), "what was refused gives its place back");
    world.limit(7, 0).await;
    assert_eq!(left().await[0], (DAY, 0));
}

pub async fn a_daily_limit_that_is_reached_is_told_once_a_day(world: &dyn LedgerWorld) {
    for id in 1..=4 {
        world.enrol(id, 7, 5, "seven.test", 127).await;
    }
    world.limit(7, 2).await;
    let life = Life::begin(world).await;
    let told = async || {
        let events = world.events().await.into_iter();
        events.filter(|(kind, ..)| kind == "user-limit-reached").map(|(.., reason)| reason).collect::<Vec<_>>()
    };
    life.fly(ask(1, 0, &[4])).await;
    life.fly(ask(2, 0, &[4])).await;
    assert_eq!(told().await, [""; 0]);
    let last = life.fly(ask(3, 0, &[4])).await;
    assert_eq!(told().await, ["user-daily-limit"]);
    life.settle(&[end(&last, OutcomeKind::Refused)]).await;
    life.fly(ask(4, 0, &[1])).await;
    assert_eq!(told().await, ["user-daily-limit"]);
}

pub async fn a_mailbox_s_failures_in_a_row_are_read_with_it_until_one_is_sent(world: &dyn LedgerWorld) {
    enrol(world, 5, 5).await;
    let life = Life::begin(world).await;
    let failed = async |now| {
        let candidates = world.mailboxes().candidates(&[SHARD], &LocalDates::at(now), now).await.unwrap();
        candidates.iter().find(|candidate| candidate.id.0 == 1).expect("it may send").failed_in_row
    };
    for (attempts, fate) in [(0, OutcomeKind::Refused), (1, OutcomeKind::Uncertain)] {
        let flight = life.fly(ask(1, attempts, &[2 + i64::from(attempts)])).await;
        life.settle(&[end(&flight, fate)]).await;
        assert_eq!(failed(noon()).await, attempts + 1);
    }
    let tomorrow = open_tomorrow(world).await;
    assert_eq!(failed(tomorrow).await, 2, "the next day begins with them");
    let flight = life.fly_at(tomorrow, ReserveRequest { day: tomorrow.date_naive(), ..ask(1, 0, &[4]) }).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    assert_eq!(failed(tomorrow).await, 0);
}

pub async fn a_slow_host_is_told_once_for_all_workers_and_so_is_its_end(world: &dyn LedgerWorld) {
    let (ledger, hosts) = (world.ledger(), ["a.test".to_owned(), "b.test".to_owned()]);
    let (one, other) = (WorkerId("one".into()), WorkerId("other".into()));
    let steps: [(&WorkerId, &[String]); 6] =
        [(&one, &hosts), (&other, &hosts[..1]), (&one, &hosts), (&one, &hosts[..1]), (&one, &[]), (&other, &[])];
    for (worker, slow) in steps {
        ledger.note_slow_hosts(worker, slow, noon()).await.unwrap();
    }
    let told: Vec<String> = world.events().await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(told, ["host-slow", "host-slow", "host-answers", "host-answers"]);
}

pub async fn a_closed_day_takes_nothing_more(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    open_tomorrow(world).await;
    assert_eq!(life.refusal(ask(1, 0, &[2])).await, Refusal::Stale);
    assert_eq!(life.day(1).await.reserved, 0);
    let candidates = world.mailboxes().candidates(&[SHARD], &LocalDates::at(noon()), noon()).await.unwrap();
    assert_eq!(candidates, [], "what can't be reserved is not asked for");
}

pub async fn a_mail_on_its_way_since_yesterday_holds_up_today(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    let tomorrow = open_tomorrow(world).await;
    let todays = || ReserveRequest { day: tomorrow.date_naive(), ..ask(1, 0, &[3]) };
    let answer = life.ledger.reserve(&life.batch_at(tomorrow, vec![todays()])).await.unwrap().remove(0);
    assert_eq!(answer, Reservation::Refused(Refusal::NotCool));
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    assert_true(world, 1, 0).await;
    life.fly_at(tomorrow, todays()).await;
}

pub async fn a_cooldown_goes_on_over_midnight(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    let tomorrow = open_tomorrow(world).await;
    life.settle(&[Settlement { next_at: tomorrow + minutes(1), ..end(&flight, OutcomeKind::Sent) }]).await;
    let todays = || ReserveRequest { day: tomorrow.date_naive(), ..ask(1, 0, &[3]) };
    let answer = life.ledger.reserve(&life.batch_at(tomorrow, vec![todays()])).await.unwrap().remove(0);
    assert_eq!(answer, Reservation::Refused(Refusal::NotCool));
    life.fly_at(tomorrow + minutes(1), todays()).await;
}

pub async fn a_refused_ask_does_not_hold_up_the_others(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    world.pause(2).await;
    let answers = life.reserve(vec![ask(1, 0, &[3]), ask(2, 0, &[3]), ask(3, 7, &[4]), ask(4, 0, &[1])]).await;
    let refusals: Vec<Option<Refusal>> = answers
        .iter()
        .map(|answer| match answer {
            Reservation::Refused(refusal) => Some(*refusal),
            Reservation::Reserved(_) => None,
        })
        .collect();
    assert_eq!(refusals, [None, Some(Refusal::SenderPaused), Some(Refusal::Stale), None]);
    assert_eq!(world.in_flight().await, 2);
}
