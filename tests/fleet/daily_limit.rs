//! A user whose daily limit is used up: the worker says so once a day, not at each tick or mail.

use std::time::Duration;

use warmup_support::world::{eventually, postgres, redis};

use crate::{
    host::Host,
    process::{Fleet, late_zone},
};

const LIMIT: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daily_limit_that_is_reached_is_logged_once() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let (zone, port) = (late_zone(), host.port());
    let mut csv = String::from("email,password,smtp_host,smtp_port,smtp_security,timezone,window,ramp_start,user\n");
    for n in 0..6 {
        csv += &format!("box{n}@limit.test,secret,127.0.0.1,{port},none,{zone},00:00-24:00,5,owner@limit.test\n");
    }
    let fleet = Fleet::with(database.url(), &cache, &csv, &[("WARMUP_USER_DAILY_CAP", "1")]).await;
    fleet.command(&["user", "set", "owner@limit.test", "--daily-limit", &LIMIT.to_string()], "").await;
    let worker = fleet.start();
    eventually(PATIENCE, async || host.taken() == LIMIT).await;
    let ticks = || worker.said().matches(" tick ").count();
    for _ in 0..3 {
        let before = ticks();
        fleet.command(&["fleet", "trigger"], "").await;
        eventually(PATIENCE, async || ticks() > before).await;
    }
    worker.says("the daily limit of a user is reached").await;
    let said = worker.said();
    worker.stop().await;
    assert_eq!(said.matches("the daily limit of a user is reached").count(), 1, "{said}");
    assert_eq!(host.taken(), LIMIT);
}
