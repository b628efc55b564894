//! Days turn for all mailboxes of a worker at once: whoever else turns them too, and whatever the planner believes of tables
//! that fill and turn within the minute. Postgres counts scans itself, and tells its plans.

use chrono::Days;
use sqlx::{Connection, PgConnection};
use warmup::domain::time::LocalDates;
use warmup_support::conformance::ledger::{DAY, LedgerWorld, Life, SHARD, enrol, noon};

use crate::{
    ledger::{PostgresWorld, racing_world},
    sessions::{end_all_but, waiting},
};

const MAILBOXES: i64 = 3_000;

#[tokio::test]
async fn two_that_turn_the_same_days_close_each_once() {
    let world = racing_world().await;
    enrol(&world, 3, 2).await;
    Life::begin(&world).await;
    sqlx::query("UPDATE mailbox_days SET sent = 2, reserved = 2").execute(world.pool()).await.unwrap();

    let mut held = world.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM mailbox_days WHERE mailbox_id = 1 FOR UPDATE").execute(&mut *held).await.unwrap();
    let turn = || {
        let (mailboxes, tomorrow) = (world.mailboxes(), noon() + Days::new(1));
        tokio::spawn(
            async move { mailboxes.roll_over_days(&[SHARD], &LocalDates::at(tomorrow), tomorrow).await.unwrap() },
        )
    };
    let turning = [turn(), turn()];
    waiting(world.pool(), 2).await;
    held.rollback().await.unwrap();

    let mut closed = 0;
    for turned in turning {
        closed += turned.await.unwrap();
    }
    assert_eq!(closed, 3);
    for mailbox in 1..=3 {
        assert_eq!(world.grown(mailbox).await, 1);
        assert_eq!(world.day(mailbox, DAY + Days::new(1)).await.quota, 2);
    }
}

/// A worker that was killed, or whose statement was, between two groups of mailboxes.
#[tokio::test]
async fn what_was_cut_short_is_turned_by_the_next_tick() {
    let world = racing_world().await;
    fill(&world).await;
    let turn = async || world.mailboxes().roll_over_days(&[SHARD], &LocalDates::at(noon()), noon()).await;
    const FAIL: &str = "
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'cut short'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON mailbox_days FOR EACH ROW WHEN (NEW.mailbox_id = 3000)
            EXECUTE FUNCTION fail()";
    sqlx::raw_sql(FAIL).execute(world.pool()).await.unwrap();
    assert!(turn().await.is_err());
    let open: i64 = sqlx::query_scalar(OPEN).fetch_one(world.pool()).await.unwrap();
    assert!((1..MAILBOXES).contains(&open), "{open}");

    sqlx::raw_sql("DROP TRIGGER fail ON mailbox_days").execute(world.pool()).await.unwrap();
    assert_eq!(turn().await.unwrap(), 0);
    assert_eq!(sqlx::query_scalar::<_, i64>(OPEN).fetch_one(world.pool()).await.unwrap(), MAILBOXES);
}

/// A table that autovacuum found empty is planned to be read from end to end, also by the statement that fills it.
#[tokio::test]
async fn the_first_day_of_all_is_not_read_once_for_each_mailbox() {
    let world = racing_world().await;
    fill(&world).await;
    let mut asking = PgConnection::connect(world.database.url()).await.unwrap();
    sqlx::query("VACUUM ANALYZE").execute(&mut asking).await.unwrap();
    world.mailboxes().roll_over_days(&[SHARD], &LocalDates::at(noon()), noon()).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>(OPEN).fetch_one(&mut asking).await.unwrap(), MAILBOXES);

    end_all_but(&mut asking, world.pool()).await;
    const SCANS: &str = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'mailbox_days'";
    let scans: i64 = sqlx::query_scalar(SCANS).fetch_one(&mut asking).await.unwrap();
    assert!(scans < MAILBOXES / 4, "{scans} scans for {MAILBOXES} mailboxes");
}

/// In a minute all days close and others open: what was counted before says nothing of them.
#[tokio::test]
async fn days_that_just_turned_are_joined_to_their_mailboxes_in_one_pass() {
    let world = racing_world().await;
    fill(&world).await;
    const PAST: &str = "INSERT INTO mailbox_days (mailbox_id, day, quota, closed)
                        SELECT id, '2026-11-23', 30, true FROM mailboxes";
    sqlx::query(PAST).execute(world.pool()).await.unwrap();
    sqlx::query("VACUUM ANALYZE").execute(world.pool()).await.unwrap();
    world.mailboxes().roll_over_days(&[SHARD], &LocalDates::at(noon()), noon()).await.unwrap();

    let (todays, tomorrow) = (LocalDates::at(noon()), DAY + Days::new(1));
    let unturned = concat!("EXPLAIN ", include_str!("../../src/adapters/postgres/sql/unturned.sql"));
    let unturned = sqlx::query_scalar(unturned).bind([SHARD.0]).bind(todays.zones).bind(todays.days);
    let unturned: Vec<String> = unturned.fetch_all(world.pool()).await.unwrap();
    assert!(unturned.iter().any(|line| line.contains("Full Join")), "{unturned:#?}");
    let roster = concat!(
        "EXPLAIN ",
        include_str!("../../src/adapters/postgres/sql/roster_members.sql"),
        include_str!("../../src/adapters/postgres/sql/make_roster.sql")
    );
    let roster: Vec<String> =
        sqlx::query_scalar(roster).bind(tomorrow).bind(noon()).fetch_all(world.pool()).await.unwrap();
    assert!(roster.iter().any(|line| line.contains("Full Join")), "{roster:#?}");
}

const OPEN: &str = "SELECT count(*) FROM mailbox_days WHERE NOT closed";

async fn fill(world: &PostgresWorld) {
    world.enrol(1, 1, 30, "d1.test", 127).await;
    const FILL: &str = "
        INSERT INTO mailboxes (id, user_id, email, domain, username, sealed_password, smtp_host, smtp_port,
                               smtp_security, timezone, window_start, window_end, days, ramp_start, ramp_step,
                               daily_max, reply_rate, shard, verified_by)
        SELECT id, 1, 'box' || id || '@d.test', 'd.test', 'box', 'sealed', 'mail.test', 465, 'tls', 'UTC', 0, 1440, 127,
               30, 0, 30, 0, 0, 'admin'
        FROM generate_series(2, $1) AS id";
    sqlx::query(FILL).bind(MAILBOXES).execute(world.pool()).await.unwrap();
}
