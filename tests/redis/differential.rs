//! The script against the model: the same history gives the same answers.

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use warmup::{
    adapters::redis::{RedisCaps, connect},
    domain::{
        caps::{Buckets, CapLimits, Rates},
        id::UserId,
    },
    ports::{Caps, Grant},
};
use warmup_support::redis_server::RedisServer;

const START: i64 = 1_700_000_000_000_000;

/// Redis starts once for all histories and is emptied between them.
const HISTORIES: u32 = 60;

#[derive(Clone, Debug)]
enum Step {
    Ask(Vec<i64>),
    /// Microseconds; negative is back.
    Move(i64),
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(1i64..5, 1..12).prop_map(Step::Ask),
        3 => (0i64..2_000_000).prop_map(Step::Move),
        2 => (0i64..90_000_000).prop_map(Step::Move),
        1 => (0i64..4_000_000_000).prop_map(Step::Move),
        1 => (-5_000_000i64..0).prop_map(Step::Move),
        1 => Just(Step::Lose),
    ]
}

fn limits() -> impl Strategy<Value = CapLimits> {
    let limit = || prop_oneof![0u32..4, 4u32..300, 300u32..100_000];
    (limit(), limit(), limit(), limit(), 0.0f64..=1.0).prop_map(
        |(global_hour, global_minute, user_hour, user_minute, burst)| CapLimits {
            global_hour,
            global_minute,
            user_hour,
            user_minute,
            burst,
        },
    )
}

/// The script tells its waits in whole milliseconds, rounded up.
fn in_millis(grant: Grant) -> Grant {
    match grant {
        Grant::Granted => grant,
        Grant::Refused { cap, wait } => {
            let millis = wait.as_micros().div_ceil(1_000) as u64;
            Grant::Refused { cap, wait: std::time::Duration::from_millis(millis) }
        }
    }
}

async fn compare(server: &RedisServer, limits: CapLimits, steps: Vec<Step>) -> Result<(), TestCaseError> {
    server.flush_all().await;
    let pool = connect(&server.url(), 1).await.unwrap();
    let script = RedisCaps::new(pool, "warmup", limits).unwrap();
    let mut model = Buckets::new(Rates::of(&limits).unwrap());
    let mut now = START;
    for step in steps {
        match step {
            Step::Move(by) => now += by,
            Step::Lose => {
                server.flush_all().await;
                model.lose();
            }
            Step::Ask(users) => {
                let users: Vec<UserId> = users.into_iter().map(UserId).collect();
                let wanted: Vec<Grant> = model.grant(now, &users).into_iter().map(in_millis).collect();
                prop_assert_eq!(script.grant(Some(now), &users).await.unwrap(), wanted);
            }
        }
    }
    Ok(())
}

#[test]
fn the_script_answers_as_the_model_on_any_history() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(RedisServer::start());
    let mut runner = TestRunner::new(Config { cases: HISTORIES, failure_persistence: None, ..Config::default() });
    let histories = (limits(), prop::collection::vec(step(), 1..80));
    runner.run(&histories, |(limits, steps)| runtime.block_on(compare(&server, limits, steps))).unwrap();
}
