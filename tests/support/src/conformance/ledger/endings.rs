//! These cases check that each flight ends in exactly one row, or in none if it was unstarted.

use std::time::Duration;

use uuid::Uuid;
use warmup::{
    domain::{
        id::{FlightId, RunId, ShardId},
        outcome::OutcomeKind,
        time::LocalDates,
    },
    ports::{Refusal, Settlement, SweepReport, SweepRequest},
};

use super::{LedgerWorld, Life, LogLine, SHARD, ask, assert_true, end, enrol, minutes, noon};

const OLD: Duration = Duration::from_secs(61);

async fn row(world: &dyn LedgerWorld) -> LogLine {
    let mut logs = world.logs().await;
    assert_eq!(logs.len(), 1, "exactly one row");
    logs.remove(0)
}

pub async fn sent_is_one_row_and_keeps_the_place(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    assert_eq!(life.settle(&[end(&flight, OutcomeKind::Sent)]).await, 1);
    let row = row(world).await;
    assert_eq!((row.flight, row.status.as_str(), row.reason), (flight.id.0, "SENT", None));
    assert_eq!((life.day(1).await.reserved, world.in_flight().await), (1, 0));
    assert_true(world, 1, 0).await;
}

pub async fn a_definite_failure_gives_its_place_back_but_not_its_attempt(world: &dyn LedgerWorld) {
    enrol(world, 3, 1).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Refused)]).await;
    assert_eq!(row(world).await.reason.as_deref(), Some("message-refused"));
    let day = life.day(1).await;
    assert_eq!((day.reserved, day.failed, day.attempts), (0, 1, 1));
    assert_true(world, 1, 0).await;
    life.fly(ask(1, 1, &[2, 3])).await;
    assert_eq!(world.pairs().await, [(1, 2, 0), (1, 3, 0)], "a failed pair stays used");
}

pub async fn uncertain_is_one_row_and_keeps_the_place(world: &dyn LedgerWorld) {
    enrol(world, 3, 1).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Uncertain)]).await;
    let row = row(world).await;
    assert_eq!((row.status.as_str(), row.reason.as_deref()), ("FAILED", Some("uncertain")));
    assert_true(world, 1, 0).await;
    assert_eq!(life.refusal(ask(1, 1, &[3])).await, Refusal::QuotaFull, "it is never sent again");
}

pub async fn unstarted_leaves_no_row_and_gives_everything_back(world: &dyn LedgerWorld) {
    enrol(world, 3, 1).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Unstarted)]).await;
    given_back(world, &life).await;
}

pub async fn a_release_leaves_no_row_and_gives_everything_back(world: &dyn LedgerWorld) {
    enrol(world, 3, 1).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    let mails = [flight.message_id];
    assert_eq!(life.ledger.release(life.run, &mails, noon()).await.unwrap(), 1);
    assert_eq!(life.ledger.release(life.run, &mails, noon()).await.unwrap(), 0, "once");
    given_back(world, &life).await;
}

async fn given_back(world: &dyn LedgerWorld, life: &Life<'_>) {
    assert!(world.logs().await.is_empty() && world.pairs().await.is_empty());
    let day = life.day(1).await;
    assert_eq!((day.reserved, day.attempts, world.in_flight().await), (0, 0, 0));
    life.fly(ask(1, 0, &[2])).await;
    assert_true(world, 1, 1).await;
}

pub async fn an_abandoned_batch_is_found_by_its_message_ids_and_only_once(world: &dyn LedgerWorld) {
    enrol(world, 3, 1).await;
    let life = Life::begin(world).await;
    let (asked, other) = (ask(1, 0, &[2]), ask(2, 0, &[3]));
    let ids = vec![asked.message_id.clone(), "never@asked.test".to_owned()];
    life.reserve(vec![asked, other]).await;
    let abandon = |run| life.ledger.release(run, &ids, noon());
    assert_eq!(abandon(RunId(Uuid::now_v7())).await.unwrap(), 0, "another run's are not ours");
    assert_eq!(abandon(life.run).await.unwrap(), 1);
    assert_eq!(abandon(life.run).await.unwrap(), 0);
    assert_eq!((life.day(1).await.reserved, life.day(2).await.reserved), (0, 1));
    assert!(world.logs().await.is_empty());
}

pub async fn a_settle_that_is_repeated_changes_nothing(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    for (mailbox, fate) in [(1, OutcomeKind::Sent), (2, OutcomeKind::Refused), (3, OutcomeKind::Uncertain)] {
        let flight = life.fly(ask(mailbox, 0, &[4])).await;
        let results = [end(&flight, fate)];
        assert_eq!(life.settle(&results).await, 1);
        let (rows, day) = (world.logs().await, life.day(mailbox).await);
        assert_eq!(life.settle(&results).await, 0);
        assert_eq!((world.logs().await, life.day(mailbox).await), (rows, day));
        assert_true(world, mailbox, 0).await;
    }
}

pub async fn a_late_answer_corrects_its_uncertain_row_to_sent(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    world.age(OLD).await;
    assert_eq!(life.sweep(RunId(Uuid::now_v7()), vec![]).await.uncertain, 1);
    assert_eq!(life.settle(&[end(&flight, OutcomeKind::Sent)]).await, 1);
    let row = row(world).await;
    assert_eq!((row.flight, row.status.as_str(), row.reason), (flight.id.0, "SENT", None));
    let day = life.day(1).await;
    assert_eq!((day.reserved, day.sent, day.uncertain), (1, 1, 0));
    assert_true(world, 1, 0).await;
}

pub async fn a_late_answer_corrects_its_uncertain_row_to_refused(world: &dyn LedgerWorld) {
    enrol(world, 3, 1).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    world.age(OLD).await;
    life.sweep(RunId(Uuid::now_v7()), vec![]).await;
    life.settle(&[end(&flight, OutcomeKind::Refused)]).await;
    assert_eq!(row(world).await.reason.as_deref(), Some("message-refused"));
    let day = life.day(1).await;
    assert_eq!((day.reserved, day.failed, day.uncertain), (0, 1, 0));
    assert_true(world, 1, 0).await;
}

pub async fn a_late_answer_moves_the_counts_of_its_batch(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    for (mailbox, fate, counts) in
        [(1, OutcomeKind::Sent, (1, 1, 0, 0, 0, true)), (2, OutcomeKind::Refused, (1, 0, 1, 0, 0, true))]
    {
        let flight = life.fly(ask(mailbox, 0, &[3])).await;
        world.age(OLD).await;
        life.sweep(RunId(Uuid::now_v7()), vec![]).await;
        assert_eq!(world.batch(flight.batch.0).await, (1, 0, 0, 1, 0, true));
        life.settle(&[end(&flight, fate)]).await;
        assert_eq!(world.batch(flight.batch.0).await, counts);
    }
}

pub async fn a_late_answer_that_knows_no_more_changes_nothing(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    world.age(OLD).await;
    life.sweep(RunId(Uuid::now_v7()), vec![]).await;
    let before = (life.day(1).await, world.pairs().await);
    for fate in [OutcomeKind::Uncertain, OutcomeKind::Unstarted] {
        assert_eq!(life.settle(&[end(&flight, fate)]).await, 0);
    }
    assert_eq!(life.ledger.release(life.run, std::slice::from_ref(&flight.message_id), noon()).await.unwrap(), 0);
    assert_eq!((life.day(1).await, world.pairs().await), before);
    assert_eq!(row(world).await.reason.as_deref(), Some("uncertain"));
}

pub async fn an_unstarted_mail_does_not_cool_its_mailbox(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[Settlement { next_at: noon() + minutes(9), ..end(&flight, OutcomeKind::Unstarted) }]).await;
    life.fly(ask(1, 0, &[2])).await;
}

pub async fn only_a_sent_mail_ends_the_silence(world: &dyn LedgerWorld) {
    enrol(world, 5, 5).await;
    let life = Life::begin(world).await;
    for (mailbox, fate) in
        [(1, OutcomeKind::Sent), (2, OutcomeKind::Refused), (3, OutcomeKind::Uncertain), (4, OutcomeKind::Unstarted)]
    {
        let flight = life.fly(ask(mailbox, 0, &[5])).await;
        life.settle(&[end(&flight, fate)]).await;
    }
    let read = world.mailboxes().candidates(&[SHARD], &LocalDates::at(noon()), noon()).await.unwrap();
    let last: Vec<_> = read.iter().map(|candidate| candidate.last_sent_at).collect();
    assert_eq!(last, [Some(noon()), None, None, None, None]);
}

pub async fn a_late_answer_changes_no_row_that_is_certain(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    for fate in [OutcomeKind::Refused, OutcomeKind::Uncertain, OutcomeKind::Unstarted, OutcomeKind::Sent] {
        assert_eq!(life.settle(&[end(&flight, fate)]).await, 0);
    }
    assert_eq!(row(world).await.status, "SENT");
    assert_true(world, 1, 0).await;
}

pub async fn a_sweep_takes_only_old_flights_of_other_runs(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    life.fly(ask(1, 0, &[2])).await;
    world.age(OLD).await;
    life.fly(ask(2, 0, &[3])).await;
    let swept = life.sweep(RunId(Uuid::now_v7()), vec![]).await;
    assert_eq!(swept, SweepReport { uncertain: 1, released: 0 });
    assert_eq!((row(world).await.mailbox, world.in_flight().await), (1, 1));
    assert_eq!(row(world).await.reason.as_deref(), Some("uncertain"));
    assert_true(world, 1, 0).await;
    assert_true(world, 2, 1).await;
}

pub async fn a_sweep_releases_what_its_own_run_never_started(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    let running = life.fly(ask(1, 0, &[2])).await;
    let unstarted = life.fly(ask(2, 0, &[3])).await;
    let sweep = SweepRequest {
        unstarted: vec![unstarted.message_id],
        shards: vec![],
        ..life.sweep_of(life.run, vec![running.message_id])
    };
    assert_eq!(life.ledger.sweep(&sweep).await.unwrap(), SweepReport { uncertain: 0, released: 1 });
    assert!(world.logs().await.is_empty());
    assert_eq!(life.day(2).await.attempts, 0);
    assert_true(world, 1, 1).await;
    assert_true(world, 2, 0).await;
}

/// The mail may have been sent, for example if it returned with a database that was set back.
pub async fn a_sweep_releases_nothing_that_its_own_run_does_not_know(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    let forgotten = life.fly(ask(1, 0, &[2])).await;
    world.age(OLD).await;
    let sweep = SweepRequest { unstarted: vec![forgotten.message_id], ..life.sweep_of(RunId(Uuid::now_v7()), vec![]) };
    assert_eq!(
        life.ledger.sweep(&sweep).await.unwrap(),
        SweepReport { uncertain: 1, released: 0 },
        "another run's word"
    );
    life.fly(ask(2, 0, &[3])).await;
    world.age(OLD).await;
    assert_eq!(life.sweep(life.run, vec![]).await, SweepReport { uncertain: 1, released: 0 });
    assert_true(world, 1, 0).await;
    assert_true(world, 2, 0).await;
}

pub async fn a_sweep_leaves_other_shards_alone(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    life.fly(ask(1, 0, &[2])).await;
    world.age(OLD).await;
    let elsewhere = SweepRequest {
        worker: life.worker.clone(),
        run: RunId(Uuid::now_v7()),
        shards: vec![ShardId(1)],
        running: vec![],
        unstarted: vec![],
        newest: FlightId(i64::MAX),
        older_than: Duration::from_secs(60),
        now: noon(),
    };
    assert_eq!(life.ledger.sweep(&elsewhere).await.unwrap(), SweepReport::default());
    assert_eq!(world.in_flight().await, 1);
}

/// The sweep was requested when only the first mail was known, and delayed until the second one was finished
/// but not settled.
pub async fn a_sweep_that_comes_late_leaves_what_was_started_since_alone(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    let known = life.fly(ask(1, 0, &[2])).await;
    let since = life.fly(ask(2, 0, &[3])).await;
    world.age(OLD).await;
    let late = SweepRequest {
        worker: life.worker.clone(),
        run: life.run,
        shards: vec![SHARD],
        running: vec![known.message_id.clone()],
        unstarted: vec![],
        newest: known.id,
        older_than: Duration::from_secs(60),
        now: noon(),
    };
    assert_eq!(life.ledger.sweep(&late).await.unwrap(), SweepReport::default());
    assert_eq!(life.settle(&[end(&since, OutcomeKind::Sent)]).await, 1);
    assert_true(world, 2, 0).await;
}

pub async fn a_batch_counts_its_ends(world: &dyn LedgerWorld) {
    enrol(world, 5, 5).await;
    let life = Life::begin(world).await;
    let asks = (1..=4).map(|mailbox| ask(mailbox, 0, &[5])).collect();
    let flights: Vec<_> = life
        .reserve(asks)
        .await
        .into_iter()
        .map(|answer| match answer {
            warmup::ports::Reservation::Reserved(flight) => *flight,
            warmup::ports::Reservation::Refused(refusal) => panic!("{refusal:?}"),
        })
        .collect();
    let fates = [OutcomeKind::Sent, OutcomeKind::Refused, OutcomeKind::Uncertain, OutcomeKind::Unstarted];
    let ends: Vec<_> = flights.iter().zip(fates).map(|(flight, fate)| end(flight, fate)).collect();
    life.settle(&ends[..2]).await;
    assert_eq!(world.batch(flights[0].batch.0).await, (4, 1, 1, 0, 0, false));
    life.settle(&ends[2..]).await;
    assert_eq!(world.batch(flights[0].batch.0).await, (4, 1, 1, 1, 1, true));
}

pub async fn a_users_place_is_given_back_with_the_mail(world: &dyn LedgerWorld) {
    for id in 1..=2 {
        world.enrol(id, 7, 5, "seven.test", 127).await;
    }
    world.limit(7, 1).await;
    let life = Life::begin(world).await;
    for (attempts, round, fate) in
        [(0, 0, OutcomeKind::Refused), (1, 1, OutcomeKind::Unstarted), (1, 2, OutcomeKind::Uncertain)]
    {
        let mut asked = ask(1, attempts, &[2]);
        asked.choices[0].round = round;
        let flight = life.fly(asked).await;
        assert_eq!(life.refusal(ask(2, 0, &[1])).await, Refusal::UserDailyLimit);
        life.settle(&[end(&flight, fate)]).await;
    }
    assert_eq!(life.refusal(ask(2, 0, &[1])).await, Refusal::UserDailyLimit, "uncertain keeps its place");
}
