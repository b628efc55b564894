//! The real fleet, broken: four workers of the real binary on one Redis and one Postgres, against one mail host, with the
//! lease and the heartbeat that they have by default.
//!
//! Each file breaks something in a few sentences. `world.rs` has the verbs, `record.rs` and `grants.rs` what Postgres and
//! Redis agreed to, `whole.rs` what must hold after any of it. They mostly wait, so
//! `playbill.rs` plays them beside one another, and the tests here collect how each went.

#[path = "chaos/cut.rs"]
mod cut;
#[path = "chaos/frozen.rs"]
mod frozen;
#[path = "chaos/grants.rs"]
mod grants;
#[path = "chaos/killed.rs"]
mod killed;
#[path = "chaos/late.rs"]
mod late;
#[path = "chaos/locked.rs"]
mod locked;
#[path = "chaos/playbill.rs"]
mod playbill;
#[path = "chaos/postgres.rs"]
mod postgres;
#[path = "chaos/record.rs"]
mod record;
#[path = "chaos/redis.rs"]
mod redis;
#[path = "chaos/rolling.rs"]
mod rolling;
#[path = "chaos/stopped.rs"]
mod stopped;
#[path = "chaos/whole.rs"]
mod whole;
#[path = "chaos/world.rs"]
mod world;

/// Makes a test of each scenario, and the bill of them all, in the order in which they begin: the longest first.
macro_rules! scenarios {
    ($($module:ident :: $scenario:ident),+ $(,)?) => {
        const BILL: &[playbill::Scenario] =
            &[$((stringify!($scenario), || Box::pin($module::$scenario()))),+];

        $(#[test]
        fn $scenario() {
            playbill::went_well(BILL, stringify!($scenario));
        })+
    };
}

scenarios! {
    locked::a_locked_ledger_costs_nothing_while_all_else_breaks_too,
    frozen::a_worker_that_slept_past_its_lease_reserves_nothing_under_the_old_epoch,
    cut::a_worker_without_postgres_holds_no_shard_after_20_s,
    late::what_a_dead_worker_asked_postgres_reserves_nothing_under_its_successor,
    rolling::a_rolling_restart_loses_and_doubles_nothing,
    cut::a_worker_whose_postgres_vanished_without_a_word_holds_no_shard_after_20_s,
    cut::a_worker_without_redis_sends_nothing_and_is_not_missed,
    cut::what_a_worker_asked_redis_too_late_harms_nobody,
    redis::a_redis_that_was_paused_for_20_s_stops_nobody_for_longer,
    postgres::a_postgres_that_vanished_without_a_word_is_used_again,
    killed::a_leader_that_is_killed_is_succeeded,
    killed::a_worker_that_is_killed_is_not_missed,
    stopped::a_stopped_fleet_sends_nothing_whatever_comes_back_or_joins,
    redis::a_redis_that_came_back_empty_moves_nothing,
    postgres::a_postgres_that_was_killed_has_all_that_was_settled,
}
