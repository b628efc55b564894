//! The mails of a day follow the mailboxes that can receive: mailboxes are imported, paused and resumed while a worker sends.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use sqlx::PgPool;
use warmup::domain::roster::receive_bound;
use warmup_support::world::{TestDatabase, TestRedis, enrolled_long_ago, eventually, postgres, redis};

use crate::{
    process::{Fleet, late_zone},
    sink::Sink,
};

const MAILBOXES: usize = 48;
const QUOTA: u16 = 10;
/// The mails of a day take about half of it.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    database: TestDatabase,
    sink: Sink,
    fleet: Fleet,
    /// Lives as long as the fleet.
    _cache: TestRedis,
}

impl World {
    /// Enrols `mailboxes` mailboxes that owe their whole quota now and answer no mail.
    async fn with(mailboxes: usize) -> World {
        let (database, cache, sink) = (postgres().await, redis().await, Sink::start().await);
        let cooldown = [("WARMUP_MAILBOX_COOLDOWN_MIN_MS", "1000"), ("WARMUP_MAILBOX_COOLDOWN_MAX_MS", "1000")];
        let mut fleet = Fleet::with(database.url(), &cache, &csv(0..mailboxes, sink.port()), &cooldown).await;
        fleet.set("WARMUP_TLS_CA_FILE", &sink.ca_file());
        World { database, sink, fleet, _cache: cache }
    }

    /// Waits until each mailbox has sent its quota. Every mail was accepted for one of at least `recipients` mailboxes, and
    /// none of them received more than it may.
    async fn assert_shared(&self, since: usize, recipients: usize) {
        let done = "SELECT count(*) FROM mailbox_days WHERE sent = quota";
        eventually(PATIENCE, async || number(self.database.pool(), done).await == MAILBOXES as i64).await;
        let accepted = self.sink.accepted();
        assert_eq!(accepted.len(), MAILBOXES * usize::from(QUOTA));
        let later = received(accepted[since..].iter().map(|mail| &mail.to));
        assert!(later.len() >= recipients, "only {} mailboxes received a mail: {later:?}", later.len());
        let all = received(accepted.iter().map(|mail| &mail.to));
        assert!(all.values().all(|mails| *mails <= receive_bound(QUOTA)), "{all:?}");
    }
}

/// How many mails each recipient received.
fn received<'a>(recipients: impl Iterator<Item = &'a String>) -> BTreeMap<&'a String, u32> {
    let mut received = BTreeMap::new();
    recipients.for_each(|recipient| *received.entry(recipient).or_insert(0) += 1);
    received
}

fn csv(numbers: Range<usize>, smtp_port: u16) -> String {
    let (zone, mut csv) = (late_zone(), String::from("email,password,smtp_host,smtp_port,smtp_security,timezone,"));
    csv += "window,ramp_start,daily_max,reply_rate\n";
    for n in numbers {
        csv += &format!(
            "box{n}@d{}.test,secret,127.0.0.1,{smtp_port},starttls,{zone},00:00-24:00,{QUOTA},{QUOTA},0\n",
            n % 6
        );
    }
    csv
}

async fn number(pool: &PgPool, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailboxes_that_are_imported_after_the_first_mails_share_the_mails_of_the_day() {
    let world = World::with(2).await;
    let worker = world.fleet.start();
    eventually(PATIENCE, async || !world.sink.accepted().is_empty()).await;
    world.fleet.command(&["mailbox", "import", "-"], &csv(2..MAILBOXES, world.sink.port())).await;
    enrolled_long_ago(world.database.url()).await;
    world.fleet.command(&["fleet", "trigger"], "").await;
    world.assert_shared(0, 46).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_is_resumed_before_all_others_is_not_flooded() {
    let world = World::with(MAILBOXES).await;
    let worker = world.fleet.start();
    eventually(PATIENCE, async || world.sink.accepted().len() >= MAILBOXES).await;
    world.fleet.command(&["mailbox", "pause", "--all", "--yes"], "").await;
    let in_flight = "SELECT count(*) FROM in_flight";
    eventually(PATIENCE, async || number(world.database.pool(), in_flight).await == 0).await;
    let before = world.sink.accepted().len();
    world.fleet.command(&["mailbox", "resume", "box7@d1.test"], "").await;
    let alone = "SELECT count(*) FROM roster";
    eventually(PATIENCE, async || number(world.database.pool(), alone).await == 1).await;
    assert_eq!(world.sink.accepted().len(), before, "a mailbox that is alone has nobody to write to");
    world.fleet.command(&["mailbox", "resume", "--all", "--yes"], "").await;
    world.assert_shared(before, 46).await;
    worker.stop().await;
}
