//! A rolling upgrade: workers of the previous release and of this one side by side, over one ledger. It is no part of
//! `cargo test`, because it builds the previous release; `make upgrade` runs this.
//!
//! The world is that of `fleet/chaos`: what must hold after anything that breaks must hold after an upgrade too.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "fleet/chaos/grants.rs"]
mod grants;
#[expect(dead_code, reason = "an upgrade holds no dialogue")]
#[path = "fleet/host.rs"]
mod host;
#[path = "upgrade/previous.rs"]
mod previous;
#[expect(dead_code, reason = "an upgrade kills nobody")]
#[path = "fleet/process.rs"]
mod process;
#[expect(dead_code, reason = "an upgrade judges no single worker")]
#[path = "fleet/chaos/record.rs"]
mod record;
#[path = "fleet/truth.rs"]
mod truth;
#[path = "fleet/chaos/whole.rs"]
mod whole;
#[expect(dead_code, reason = "an upgrade breaks nothing")]
#[path = "fleet/chaos/world.rs"]
mod world;

use previous::Previous;
use process::Fleet;
use warmup_support::world::{empty_postgres, redis};
use whole::Ends;
use world::{WORKERS, World, now};

const THIS: &str = env!("CARGO_BIN_EXE_warmup");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_upgrade_loses_and_doubles_nothing_nor_does_the_way_back() {
    let previous = Previous::release();
    let mut world = World::at_work_by(&previous.binary, empty_postgres().await).await;

    // Migrated under workers that send; no table of theirs is from this release's template.
    world.fleet.program = THIS.to_owned();
    println!("{}", world.fleet.command(&["migrate"], "").await);
    world.send_again_as_promised(now()).await;
    for old in 1..=WORKERS {
        world.newcomer().await;
        world.share_evenly().await;
        world.send_again_as_promised(now()).await;
        world.stop(&format!("worker-{old}")).await;
    }
    world.share_evenly().await;
    world.send_again_as_promised(now()).await;

    if previous.has_our_migrations {
        world.fleet.program = previous.binary.clone();
        let back = world.newcomer().await;
        world.share_evenly().await;
        world.send_again_as_promised(now()).await;
        world.stop(&back).await;
        world.fleet.program = THIS.to_owned();
        world.share_evenly().await;
        world.send_again_as_promised(now()).await;
    }
    let sent = world.host.taken();
    let Ends { failed, uncertain, .. } = world.assert_whole().await;
    assert!(sent > 0);
    assert_eq!((failed, uncertain), (0, 0), "from {}", previous.tag);
}

/// What a database has that a later release has migrated.
const LATER: &str = "
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (9999, 'later', true, '\\x00', 0)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_the_previous_release_refuses_a_later_schema_and_says_what_to_do() {
    let previous = Previous::release();
    let (database, cache) = (empty_postgres().await, redis().await);
    let header = "email,password,smtp_host,smtp_port\n";
    let fleet = Fleet::of(&previous.binary, database.url(), &cache, header, &[]).await;
    sqlx::query(LATER).execute(database.pool()).await.unwrap();

    let (code, said) = fleet.start().ended().await;

    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("this release is older than the database") && said.contains("use a newer warmup"), "{said}");
}
