//! A mail host that says nothing more holds few lanes, and the mails of all others go.

use std::time::Duration;

use warmup_support::world::eventually;

use super::{
    host::{Host, Moment},
    stage::{Cast, Fixture},
};

const HEALTHY: Cast = Cast { mailboxes: 30, quota: 8 };
const SILENT: Cast = Cast { mailboxes: 20, quota: 8 };

/// Nothing is given up before the healthy mailboxes are done: what holds a lane holds it to the end.
const PATIENT: [(&str, &str); 3] =
    [("WARMUP_MAX_CONCURRENT", "8"), ("WARMUP_DRAIN_TIMEOUT_MS", "360000"), ("WARMUP_SMTP_TIMEOUT_MS", "300000")];

/// A quarter of the lanes: nothing is known of the host yet.
const HELD_AT_MOST: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_mails_of_a_healthy_host_go_beside_one_that_does_not_greet() {
    all_healthy_mails_go_beside(Moment::Greeting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_mails_of_a_healthy_host_go_beside_one_that_is_silent_at_rcpt() {
    all_healthy_mails_go_beside(Moment::Rcpt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_mails_of_a_healthy_host_go_beside_one_that_is_silent_after_the_dot() {
    all_healthy_mails_go_beside(Moment::Taken).await;
}

async fn all_healthy_mails_go_beside(moment: Moment) {
    let stage = Fixture::set(HEALTHY, &PATIENT).await;
    let silent = Host::start().await;
    silent.hold(moment);
    stage.enrol(SILENT, "s", ("localhost", silent.port())).await;
    let worker = stage.binary.run();
    stage.expect("the silent host holds its lanes", &worker, silent.held(HELD_AT_MOST)).await;
    let all_went = eventually(Duration::from_secs(80), async || stage.host.taken() == HEALTHY.owed());
    stage.expect("all healthy mails go", &worker, all_went).await;
    assert_eq!(silent.sessions(), HELD_AT_MOST);
    worker.kill().await;
}
