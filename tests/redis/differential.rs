//! The script against the model: the same history gives the same answers.

use std::{collections::BTreeMap, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use warmup::simulation::caps_model::CapsModel;
use warmup::{
    adapters::redis::RedisCaps,
    domain::{
        caps::{CapLimits, HostCaps, Rates},
        hosts::{HostLimit, HostLimits},
        id::UserId,
    },
    ports::{CapRequest, Caps, Connection, Grant},
};
use warmup_support::{
    asks,
    redis_server::{RedisServer, connect},
};

const START: i64 = 1_700_000_000_000_000;

/// Redis starts once for all histories and is emptied between them.
const HISTORIES: u32 = 60;

/// How long a connection lasts that nobody gives back.
const LASTS: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
enum Step {
    /// Mails, each of a user and to a host.
    Ask(Vec<(i64, u8)>),
    /// So many of the connections that were granted last are given back with the next question, or by one of their own.
    Close(usize, bool),
    /// Microseconds; negative is back.
    Move(i64),
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((1i64..5, 0u8..4), 1..12).prop_map(Step::Ask),
        3 => (0usize..6, any::<bool>()).prop_map(|(many, alone)| Step::Close(many, alone)),
        3 => (0i64..2_000_000).prop_map(Step::Move),
        2 => (0i64..90_000_000).prop_map(Step::Move),
        1 => (0i64..4_000_000_000).prop_map(Step::Move),
        1 => (-5_000_000i64..0).prop_map(Step::Move),
        1 => (-4_000_000_000i64..-50_000_000).prop_map(Step::Move),
        1 => Just(Step::Lose),
    ]
}

fn limits() -> impl Strategy<Value = CapLimits> {
    let limit = || prop_oneof![1 => 0u32..4, 2 => 4u32..300, 3 => 300u32..100_000];
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

/// Limits of some of the hosts h0 to h3.
fn host_limits() -> impl Strategy<Value = BTreeMap<String, HostLimit>> {
    let rate = || prop::option::of(prop_oneof![1u32..4, 4u32..100_000]);
    let limit = (rate(), rate(), rate(), prop::option::of(1u32..5))
        .prop_map(|(minute, hour, day, connections)| HostLimit { minute, hour, day, connections });
    prop::collection::btree_map((0u8..4).prop_map(host), limit, 0..4)
}

fn host(number: u8) -> String {
    format!("h{number}.test")
}

/// The script tells its waits in whole milliseconds, rounded up.
fn in_millis(grant: Grant) -> Grant {
    match grant {
        Grant::Granted => grant,
        Grant::Refused { cap, wait } => {
            let millis = wait.as_micros().div_ceil(1_000) as u64;
            Grant::Refused { cap, wait: Duration::from_millis(millis) }
        }
    }
}

/// The script and the model, and what was granted so far.
struct Both {
    script: RedisCaps,
    model: CapsModel,
    now: i64,
    open: Vec<Connection>,
    closed: Vec<Connection>,
}

impl Both {
    async fn of(server: &RedisServer, limits: CapLimits, hosts: BTreeMap<String, HostLimit>) -> Both {
        server.flush_all().await;
        let hosts = HostCaps::of(&HostLimits::with(hosts), limits.burst, LASTS).unwrap();
        let pool = connect(&server.url(), 1).await.unwrap();
        Both {
            script: RedisCaps::new(pool, "warmup", limits).unwrap().with_hosts(hosts.clone()),
            model: CapsModel::new(Rates::of(&limits).unwrap()).with_hosts(hosts),
            now: START,
            open: Vec::new(),
            closed: Vec::new(),
        }
    }

    async fn ask(&mut self, mails: &[(i64, u8)]) -> Result<(), TestCaseError> {
        let asked: Vec<CapRequest> =
            mails.iter().map(|(user, number)| asks::ask(UserId(*user), &host(*number))).collect();
        let closed = std::mem::take(&mut self.closed);
        let wanted: Vec<Grant> = self.model.grant(self.now, &asked, &closed).into_iter().map(in_millis).collect();
        let answers = self.script.grant(Some(self.now), &asked, &closed).await.unwrap();
        let granted = asked.iter().zip(&answers).filter(|(_, answer)| **answer == Grant::Granted);
        self.open.extend(granted.map(|(ask, _)| ask.connection()));
        prop_assert_eq!(answers, wanted);
        Ok(())
    }
}

async fn compare(mut both: Both, server: &RedisServer, steps: Vec<Step>) -> Result<usize, TestCaseError> {
    for step in steps {
        match step {
            Step::Move(by) => both.now += by,
            Step::Lose => {
                server.flush_all().await;
                both.model.lose();
            }
            Step::Close(many, alone) => {
                let kept = both.open.len().saturating_sub(many);
                both.closed.extend(both.open.split_off(kept));
                if alone {
                    both.ask(&[]).await?;
                }
            }
            Step::Ask(mails) => both.ask(&mails).await?,
        }
    }
    Ok(both.open.len())
}

#[test]
fn the_script_answers_as_the_model_on_any_history() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(RedisServer::start());
    let mut runner = TestRunner::new(Config { cases: HISTORIES, failure_persistence: None, ..Config::default() });
    let histories = (limits(), host_limits(), prop::collection::vec(step(), 1..80));
    runner
        .run(&histories, |(limits, hosts, steps)| {
            runtime.block_on(async { compare(Both::of(&server, limits, hosts).await, &server, steps).await }).map(drop)
        })
        .unwrap();
}
