//! What an operator does: log in, watch, pause a mailbox, give orders; also without a mouse.

use warmup_support::world::eventually;

use crate::{
    script::{Script, node},
    stage::{Fixture, PATIENCE},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_right_in_what_needs_no_browser() {
    node(&["--test", "unit.mjs"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_lets_in_and_numbers_move_while_a_worker_sends() {
    let stage = Fixture::of_two(4).await;
    let (admin, worker) = (stage.admin().await, stage.start().await);
    let script = Script::start("login", &[("URL", &stage.url()), ("TOKEN", &admin)]);
    script.ends_well().await;
    worker.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_is_paused_on_the_page_stops_sending_and_goes_on_when_it_is_resumed() {
    const PAUSED: &str = "ann1@ann.test";
    let stage = Fixture::of_two(4).await;
    let (admin, worker) = (stage.admin().await, stage.start().await);
    eventually(PATIENCE, async || stage.taken_from(Some(PAUSED)) > 0).await;
    let mut script = Script::start("pause", &[("URL", &stage.url()), ("TOKEN", &admin), ("MAILBOX", PAUSED)]);

    script.comes_to("paused").await;
    stage.has_nothing_on_its_way(Some(PAUSED)).await;
    let (of_it, of_all) = (stage.taken_from(Some(PAUSED)), stage.taken_from(None));
    eventually(PATIENCE, async || stage.taken_from(None) >= of_all + 15).await;
    assert_eq!(stage.taken_from(Some(PAUSED)), of_it);
    script.go_on().await;

    script.comes_to("resumed").await;
    // So that nobody waits for the next tick.
    stage.command(&["fleet", "trigger"]).await;
    eventually(PATIENCE, async || stage.taken_from(Some(PAUSED)) > of_it).await;
    script.go_on().await;
    script.ends_well().await;
    worker.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_confirmed_and_reach_the_fleet() {
    let stage = Fixture::of_two(4).await;
    let (admin, worker) = (stage.admin().await, stage.start().await);
    let mut script = Script::start("orders", &[("URL", &stage.url()), ("TOKEN", &admin)]);
    let running = async || {
        let running: bool =
            sqlx::query_scalar("SELECT running FROM fleet_orders WHERE id = 1").fetch_one(stage.pool()).await.unwrap();
        running
    };

    script.comes_to("cancelled").await;
    assert!(running().await, "nothing is done before it is confirmed");
    script.go_on().await;

    script.comes_to("stopped").await;
    assert!(!running().await);
    stage.has_nothing_on_its_way(None).await;
    let taken = stage.taken_from(None);
    // Half a second apart: each mailbox has cooled down twice by then.
    stage.beats(5).await;
    assert_eq!(stage.taken_from(None), taken);
    script.go_on().await;

    script.comes_to("started").await;
    assert!(running().await);
    eventually(PATIENCE, async || stage.taken_from(None) > taken).await;
    script.go_on().await;

    script.comes_to("triggered").await;
    script.go_on().await;
    script.ends_well().await;
    worker.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyboard_is_enough() {
    let stage = Fixture::of_two(4).await;
    let (admin, worker) = (stage.admin().await, stage.start().await);
    Script::start("keyboard", &[("URL", &stage.url()), ("TOKEN", &admin)]).ends_well().await;
    worker.kill().await;
}
