//! The caps, checked exactly over the grants' own instants: thousands of questions with the time passed in, then every
//! rolling window over the answers, at the window's own length and with the 5 s that a mail may take to arrive.

use warmup::{
    adapters::redis::RedisCaps,
    domain::{
        caps::{CapLimits, SLACK_MICROS},
        id::UserId,
    },
    ports::{Caps, Grant},
};
use warmup_support::{
    asks,
    conformance::caps::WIDE,
    redis_server::{RedisServer, connect},
    rolling::assert_never_more,
};

const MILLI: i64 = 1_000;
const SECOND: i64 = 1_000 * MILLI;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const START: i64 = 1_700_000_000 * SECOND;

/// One client, with the instants of what it was granted.
struct Client {
    caps: RedisCaps,
    granted: Vec<(i64, UserId)>,
}

impl Client {
    async fn of(server: &RedisServer, limits: CapLimits) -> Client {
        let pool = connect(&server.url(), 4).await.unwrap();
        Client { caps: RedisCaps::new(pool, "warmup", limits).unwrap(), granted: Vec::new() }
    }

    /// Asks for one mail of each of `users`, and returns how many were granted.
    async fn ask(&mut self, now: i64, users: &[UserId]) -> usize {
        let answers = self.caps.grant(Some(now), &asks::of(users), &[]).await.unwrap();
        let before = self.granted.len();
        let granted = answers.iter().zip(users).filter(|(answer, _)| **answer == Grant::Granted);
        self.granted.extend(granted.map(|(_, user)| (now, *user)));
        self.granted.len() - before
    }

    /// Asks for `mails` of one user every `step`, from `from` up to `to`.
    async fn ask_often(&mut self, from: i64, to: i64, step: i64, mails: usize) {
        for now in (from..to).step_by(step as usize) {
            self.ask(now, &vec![UserId(1); mails]).await;
        }
    }

    fn instants(&self) -> Vec<i64> {
        self.granted.iter().map(|(at, _)| *at).collect()
    }

    fn instants_of(&self, user: UserId) -> Vec<i64> {
        self.granted.iter().filter(|(_, owner)| *owner == user).map(|(at, _)| *at).collect()
    }

    fn granted_within(&self, from: i64, to: i64) -> usize {
        self.granted.iter().filter(|(at, _)| (from..to).contains(at)).count()
    }
}

fn global_minute(limit: u32) -> CapLimits {
    CapLimits { global_minute: limit, ..WIDE }
}

/// Any window of this length, both ends included, still holds no more than the limit.
fn stretched(window: i64) -> i64 {
    window + SLACK_MICROS - 1
}

#[tokio::test]
async fn a_bucket_that_filled_while_idle_does_not_pass_the_limit() {
    let server = RedisServer::start().await;
    let mut client = Client::of(&server, global_minute(200)).await;
    client.ask(START - 5 * HOUR, &[UserId(1)]).await;
    for morning in 0..3 {
        let start = START + morning * 3 * HOUR;
        client.ask_often(start, start + 3 * MINUTE, 200 * MILLI, 30).await;
    }
    assert!(client.granted.len() > 3 * 500, "{} granted", client.granted.len());
    assert_never_more(&client.instants(), 200, stretched(MINUTE));
}

#[tokio::test]
async fn limit_1_grants_one_a_window() {
    let server = RedisServer::start().await;
    let mut client = Client::of(&server, global_minute(1)).await;
    client.ask_often(START, START + 20 * MINUTE, SECOND, 3).await;
    assert_eq!(client.granted.len(), 18, "one every 65 s, the first 65 s after the cold start");
    assert_never_more(&client.instants(), 1, stretched(MINUTE));
}

#[tokio::test]
async fn limit_5_grants_at_most_five_a_window() {
    let server = RedisServer::start().await;
    let mut client = Client::of(&server, CapLimits { global_minute: 5, burst: 0.5, ..WIDE }).await;
    client.ask(START - HOUR, &[UserId(1)]).await;
    client.ask_often(START, START + 20 * MINUTE, 500 * MILLI, 7).await;
    assert!(client.granted.len() > 50, "{} granted", client.granted.len());
    assert_never_more(&client.instants(), 5, stretched(MINUTE));
}

#[tokio::test]
async fn a_flushall_in_the_middle_grants_nothing_twice() {
    let server = RedisServer::start().await;
    let mut client = Client::of(&server, CapLimits { global_minute: 20, burst: 0.5, ..WIDE }).await;
    client.ask(START - HOUR, &[UserId(1)]).await;
    for turn in 0..20 {
        let start = START + turn * 7 * SECOND;
        client.ask_often(start, start + 7 * SECOND, 250 * MILLI, 20).await;
        server.flush_all().await;
    }
    assert!(client.granted.len() >= 10, "the burst at least");
    assert_never_more(&client.instants(), 20, stretched(MINUTE));
}

#[tokio::test]
async fn an_rdb_restored_ten_times_does_not_give_its_tokens_ten_times() {
    let mut server = RedisServer::start().await;
    let mut client = Client::of(&server, CapLimits { global_minute: 20, burst: 0.5, ..WIDE }).await;
    client.ask(START - HOUR, &[UserId(1)]).await;
    assert_eq!(client.ask(START, &[UserId(1)]).await, 1, "the bucket is full, and ten less one are saved");
    let saved = server.save("full.rdb").await;
    for turn in 0..10 {
        let start = START + turn * 3 * SECOND;
        client.ask_often(start, start + 3 * SECOND, 500 * MILLI, 20).await;
        server.restart_from(&saved).await;
        let keys: u64 = server.run(&redis::cmd("DBSIZE")).await;
        assert_eq!(keys, 4, "the old buckets are back");
    }
    let end = START + 30 * SECOND;
    client.ask_often(end, end + 3 * MINUTE, 500 * MILLI, 20).await;
    assert!(client.granted_within(end + MINUTE, end + 3 * MINUTE) > 10, "it went on");
    assert_never_more(&client.instants(), 20, stretched(MINUTE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_racing_clients_stay_below_one_limit() {
    const CLIENTS: i64 = 12;
    let server = RedisServer::start().await;
    let mut racers = Vec::new();
    for client in 0..CLIENTS {
        let mut racer = Client::of(&server, global_minute(200)).await;
        racers.push(tokio::spawn(async move {
            for turn in 0..400 {
                // Nobody waits for anybody, so the questions overtake one another; their clocks differ by 2 s.
                let now = START + turn * 500 * MILLI + client * 2 * SECOND / CLIENTS;
                racer.ask(now, &[UserId(client), UserId(client), UserId(0)]).await;
            }
            racer.instants()
        }));
    }
    let mut granted = Vec::new();
    for racer in racers {
        granted.extend(racer.await.unwrap());
    }
    assert!(granted.len() > 150, "{} granted", granted.len());
    assert_never_more(&granted, 200, stretched(MINUTE));
}

#[tokio::test]
async fn an_undisturbed_minute_carries_at_least_85_percent_of_200() {
    let server = RedisServer::start().await;
    let mut client = Client::of(&server, global_minute(200)).await;
    client.ask_often(START, START + 4 * MINUTE, 200 * MILLI, 5).await;
    for minute in 1..4 {
        let from = START + minute * MINUTE;
        let carried = client.granted_within(from, from + MINUTE);
        assert!(carried >= 170, "{carried} in minute {minute}");
    }
}

#[tokio::test]
async fn all_four_caps_hold_together() {
    let server = RedisServer::start().await;
    let limits = CapLimits { global_hour: 600, global_minute: 30, user_hour: 120, user_minute: 8, burst: 0.2 };
    let mut client = Client::of(&server, limits).await;
    let users: Vec<UserId> = (0..10).map(|place| UserId([1, 2, 1, 3, 4, 1, 5, 6, 2, 1][place])).collect();
    client.ask(START - HOUR, &users).await;
    for now in (START..START + 3 * HOUR).step_by(4 * SECOND as usize) {
        client.ask(now, &users).await;
    }
    assert!(client.granted.len() > 900, "{} granted", client.granted.len());
    assert_never_more(&client.instants(), 600, stretched(HOUR));
    assert_never_more(&client.instants(), 30, stretched(MINUTE));
    for user in 1..=6 {
        let granted = client.instants_of(UserId(user));
        assert_never_more(&granted, 120, stretched(HOUR));
        assert_never_more(&granted, 8, stretched(MINUTE));
    }
}
