//! Pods as processes of their own, on the same services: they answer alike, obey alike, and say what is missing.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use warmup_support::{
    process::{Binary, Running},
    proxy::PostgresProxy,
    world::{self, TestDatabase, TestRedis, eventually},
};

use crate::{
    client::{ADMIN, Answer, Door},
    walk::routes,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// So rare a heartbeat that nobody hears of an order by it.
const RARE: [(&str, &str); 2] = [("WARMUP_HEARTBEAT_MS", "10000"), ("WARMUP_LEASE_TTL_MS", "30000")];
const OFTEN: [(&str, &str); 2] = [("WARMUP_HEARTBEAT_MS", "500"), ("WARMUP_LEASE_TTL_MS", "1500")];

const CSV: &str = "email,password,smtp_host,smtp_port,smtp_security,user,window,ramp_start\n\
                   a@x.test,secret,127.0.0.1,1,none,ann@x.test,00:00-24:00,30\n\
                   b@y.test,secret,127.0.0.1,1,none,ann@x.test,00:00-24:00,30\n\
                   c@z.test,secret,127.0.0.1,1,none,,00:00-24:00,0\n";

struct Pods {
    database: TestDatabase,
    redis: TestRedis,
    postgres: PostgresProxy,
    pods: Vec<(Running, Door)>,
    /// Their logs lie in its folder.
    _binary: Binary,
}

impl Pods {
    async fn start(count: usize, settings: &[(&str, &str)]) -> Pods {
        let (database, redis) = tokio::join!(world::postgres(), world::redis());
        let postgres = PostgresProxy::to(database.url()).await;
        let binary = Binary::new(env!("CARGO_BIN_EXE_warmup"), postgres.url(), &redis.url())
            .with("WARMUP_HTTP_ADDR", "127.0.0.1:0")
            .with("WARMUP_LOG_FORMAT", "json")
            .with("WARMUP_DISTRIBUTED_MODE", "true")
            .with("WARMUP_ADMIN_TOKEN", ADMIN);
        let binary = settings.iter().fold(binary, |binary, (name, value)| binary.with(name, value));
        binary.command(&["migrate"], "").await;
        binary.command(&["mailbox", "import", "-"], CSV).await;
        let mut pods = Vec::new();
        for _ in 0..count {
            let pod = binary.run();
            let door = Door::at(&pod.address().await);
            pods.push((pod, door));
        }
        for (pod, door) in &pods {
            let ready = async || door.ask("GET", "/readyz", None, None).await.status == 200;
            eventually(PATIENCE, ready).await;
            assert!(!pod.log().is_empty());
        }
        Pods { database, redis, postgres, pods, _binary: binary }
    }

    async fn ask(&self, pod: usize, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.pods[pod].1.ask(method, path, Some(ADMIN), body).await
    }

    async fn order(&self, pod: usize, action: &str) -> DateTime<Utc> {
        let given = self.ask(pod, "POST", "/api/warmup/control", Some(&json!({"action": action}))).await;
        assert_eq!(given.status, 200, "{given:?}");
        sqlx::query_scalar("SELECT ordered_at FROM fleet_orders").fetch_one(self.database.pool()).await.unwrap()
    }

    /// When each pod said `words` for the first time since `moment`.
    async fn all_say(&self, words: &str, moment: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let when = || -> Option<Vec<_>> { self.pods.iter().map(|(pod, _)| said(&pod.log(), words, moment)).collect() };
        eventually(PATIENCE, async || when().is_some()).await;
        when().unwrap()
    }
}

/// The instant of the first line since `moment` that says `words`.
fn said(log: &str, words: &str, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["fields"]["message"].as_str().is_some_and(|message| message.contains(words)))
        .filter_map(|line| line["timestamp"].as_str()?.parse().ok())
        .find(|at: &DateTime<Utc>| *at >= moment)
}

/// What an answer says but for the moment, and for who answers.
fn told(answer: &Answer) -> (u16, Value) {
    let mut json = answer.json();
    for of in ["/data", "/data/cron"] {
        if let Some(Value::Object(of)) = json.pointer_mut(of) {
            of.remove("workerId");
        }
    }
    json.as_object_mut().unwrap().remove("timestamp");
    (answer.status, json)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pods_give_the_same_answer_at_every_endpoint() {
    let pods = Pods::start(2, &OFTEN).await;
    pods.order(0, "stop").await;
    let asked = |(method, _, path): &(&str, &str, &str)| {
        *method == "get" && !path.ends_with("/stream") && !path.ends_with("=prometheus")
    };
    let mut paths: Vec<&str> = routes().filter(asked).map(|(_, _, path)| path).collect();
    paths.extend([
        "/api/warmup/mailboxes/1",
        "/api/warmup/mailbox?id=1",
        "/api/warmup/quota?status=behind",
        "/openapi.json",
    ]);
    for path in paths {
        // The last tick and what is left of a window go on while one asks.
        let same = async || {
            let (one, other) = (pods.ask(0, "GET", path, None).await, pods.ask(1, "GET", path, None).await);
            told(&one) == told(&other)
        };
        eventually(PATIENCE, same).await;
    }
    let gauges = async |pod: usize| {
        let text = pods.ask(pod, "GET", "/metrics", None).await.text;
        let of_the_fleet = |line: &&str| line.starts_with("warmup_total_") || line.starts_with("warmup_emails_");
        text.lines().filter(of_the_fleet).map(str::to_owned).collect::<Vec<_>>()
    };
    let gauges = [gauges(0).await, gauges(1).await];
    assert!(gauges[0] == gauges[1] && gauges[0].len() >= 3, "{gauges:?}");
}

/// By the instants that database and pods recorded. A machine that is too busy to run them is given three chances: by a
/// heartbeat they would hear of it once in ten seconds.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_one_pod_is_obeyed_by_both_within_a_second() {
    let pods = Pods::start(2, &RARE).await;
    let mut took = Vec::new();
    for pod in [0, 1, 0] {
        let given = pods.order(pod, "stop").await;
        let obeyed = pods.all_say("stopped by order", given).await;
        took.push(obeyed.into_iter().max().unwrap() - given);
        let stopped = pods.ask(1 - pod, "GET", "/api/warmup/control", None).await.json();
        assert_eq!(stopped["data"]["queueStatus"]["isRunning"], false, "the other pod says so too");
        if took.iter().any(|took| *took < TimeDelta::seconds(1)) {
            return;
        }
        let given = pods.order(pod, "start").await;
        pods.all_say("started by order", given).await;
    }
    panic!("none of three orders was obeyed within a second: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_redis_or_postgres_says_what_is_missing_and_lives() {
    let mut pods = Pods::start(1, &OFTEN).await;
    let probe = async |pods: &Pods, path: &str| pods.pods[0].1.ask("GET", path, None, None).await;
    pods.redis.halt().await;
    eventually(PATIENCE, async || probe(&pods, "/readyz").await.status == 503).await;
    assert_eq!(probe(&pods, "/healthz").await.status, 200);
    pods.ask(0, "GET", "/api/warmup/control", None).await.is_problem(503, "Redis does not answer");
    assert_eq!(pods.ask(0, "GET", "/api/warmup/quota", None).await.status, 200, "what Postgres knows is told");
    pods.redis.start_again().await.unwrap();
    eventually(PATIENCE, async || probe(&pods, "/readyz").await.status == 200).await;

    pods.postgres.cut();
    eventually(PATIENCE, async || probe(&pods, "/readyz").await.status == 503).await;
    assert_eq!(probe(&pods, "/healthz").await.status, 200);
    for path in ["quota", "metrics", "control", "mailboxes", "events", "logs", "users", "tokens", "mailbox?id=1"] {
        let answer = pods.ask(0, "GET", &format!("/api/warmup/{path}"), None).await;
        answer.is_problem(503, "Postgres does not answer");
    }
    pods.postgres.restore();
    eventually(PATIENCE, async || probe(&pods, "/readyz").await.status == 200).await;
    assert_eq!(pods.ask(0, "GET", "/api/warmup/metrics", None).await.status, 200);
}
