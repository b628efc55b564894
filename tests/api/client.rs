//! A pod's HTTP over services of its own, and a client of a few lines that hides nothing.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::postgres::migrate::migrate,
    admin::{
        services::Services,
        tokens::{self, TokenRequest},
    },
    api,
    api::Listeners,
    config::Settings,
    domain::id::WorkerId,
    observe::liveness::Liveness,
    ports::Clock,
};
use warmup_support::{
    hand_clock::HandClock,
    world::{self, TestDatabase, TestRedis},
};

/// What the settings of every pod here say.
pub const ADMIN: &str = "the-admins-own-token";
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A Tuesday, an hour and a half after its windows opened.
pub fn now() -> DateTime<Utc> {
    "2026-11-24T10:30:00Z".parse().unwrap()
}

/// Services, and pods over them.
pub struct World {
    pub database: TestDatabase,
    pub redis: TestRedis,
    pub pod: Pod,
}

impl World {
    /// A migrated database without mailboxes, and one pod.
    pub async fn start() -> World {
        let (database, redis) = tokio::join!(world::postgres(), world::redis());
        migrate(database.pool(), 8, now()).await.unwrap();
        let pod = Pod::start(database.url(), &redis.url()).await;
        World { database, redis, pod }
    }

    /// What an admin is answered.
    pub async fn get(&self, path: &str) -> Value {
        self.get_as(ADMIN, path).await
    }

    /// What the holder of `token` is answered.
    pub async fn get_as(&self, token: &str, path: &str) -> Value {
        let answer = self.pod.ask("GET", path, Some(token), None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let json = answer.json();
        assert_eq!((&json["success"], &json["timestamp"]), (&true.into(), &"2026-11-24T10:30:00Z".into()), "{path}");
        json["data"].clone()
    }

    /// Changes what no pod is told of, and lets the mailboxes be counted again, as time would.
    pub async fn change(&self, statement: &'static str) {
        sqlx::query(statement).execute(self.pool()).await.unwrap();
        sqlx::query("UPDATE census SET marked_at = clock_timestamp()").execute(self.pool()).await.unwrap();
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// A token of `user`, who is made first where there is no such user.
    pub async fn token_of(&self, user: &str) -> String {
        let made = "INSERT INTO users (email) VALUES ($1) ON CONFLICT (lower(email)) DO NOTHING";
        sqlx::query(made).bind(user).execute(self.pool()).await.unwrap();
        let wanted = TokenRequest { user: user.to_owned(), name: "test".to_owned(), expires_at: None };
        let (secret, _) = tokens::create(self.pool(), &wanted, now()).await.unwrap();
        secrecy::ExposeSecret::expose_secret(&secret).to_owned()
    }
}

/// Where a pod answers.
#[derive(Clone, Copy)]
pub struct Door(SocketAddr);

/// The HTTP of one process.
pub struct Pod {
    door: Door,
    apart: Option<Door>,
    pub clock: Arc<HandClock>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Pod {
    pub async fn start(database: &str, redis: &str) -> Pod {
        Pod::start_at(database, redis, None).await
    }

    /// One whose `/metrics` has an address of its own.
    pub async fn start_with_metrics_apart(database: &str, redis: &str) -> Pod {
        Pod::start_at(database, redis, Some(TcpListener::bind("127.0.0.1:0").await.unwrap())).await
    }

    async fn start_at(database: &str, redis: &str, metrics: Option<TcpListener>) -> Pod {
        let vars = [
            ("DATABASE_URL", database),
            ("REDIS_URL", redis),
            ("WARMUP_MASTER_KEY", MASTER_KEY),
            ("WARMUP_ADMIN_TOKEN", ADMIN),
            ("WARMUP_SHARDS", "8"),
            ("WARMUP_ALLOW_PRIVATE_HOSTS", "true"),
            ("WARMUP_ALLOW_PLAINTEXT", "true"),
        ];
        let vars: BTreeMap<String, String> = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let (settings, _) = Settings::from_vars(&vars).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let apart = metrics.as_ref().map(|metrics| Door(metrics.local_addr().unwrap()));
        let (door, stop, clock) =
            (Door(listener.local_addr().unwrap()), CancellationToken::new(), Arc::new(HandClock::starting_at(now())));
        let desk = Services::new(
            &settings,
            WorkerId("pod".to_owned()),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(Liveness::default()),
        )
        .unwrap();
        let serving = tokio::spawn(api::serve(Listeners { api: listener, metrics }, Arc::new(desk), stop.clone()));
        Pod { door, apart, clock, stop, serving }
    }

    /// Where its metrics are told.
    pub fn apart(&self) -> Door {
        self.apart.unwrap()
    }

    /// Asks once, on a connection of its own.
    pub async fn ask(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        self.door.ask(method, path, token, body).await
    }

    /// The same with a body of any type.
    pub async fn ask_with(&self, method: &str, path: &str, token: Option<&str>, body: Option<(&str, &str)>) -> Answer {
        self.door.ask_with(method, path, token, body).await
    }

    /// Sends exactly these bytes and reads until the pod closes.
    pub async fn raw(&self, request: &str) -> Answer {
        self.door.raw(request).await
    }

    /// Follows a stream of events.
    pub async fn follow(&self, path: &str, token: &str) -> Followed {
        let mut stream = TcpStream::connect(self.door.0).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: pod\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Followed { stream, heard: String::new() }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

impl Door {
    /// Where a process says that it answers.
    pub fn at(address: &str) -> Door {
        Door(address.parse().unwrap())
    }

    /// Asks once, on a connection of its own.
    pub async fn ask(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        let text = body.map(Value::to_string);
        self.ask_with(method, path, token, text.as_deref().map(|text| ("application/json", text))).await
    }

    /// The same with a body of any type.
    pub async fn ask_with(&self, method: &str, path: &str, token: Option<&str>, body: Option<(&str, &str)>) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n");
        if let Some(token) = token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        if let Some((kind, text)) = body {
            head += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", text.len());
        }
        self.raw(&format!("{head}\r\n{}", body.map_or("", |(_, text)| text))).await
    }

    /// Sends exactly these bytes and reads until the pod closes.
    pub async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.0).await.unwrap();
        // A pod that refuses what it has not read yet may have closed already.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        Answer::read(&bytes)
    }
}

/// A stream of events.
pub struct Followed {
    stream: TcpStream,
    heard: String,
}

impl Followed {
    /// Waits for the next event; none when the stream has ended.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            let begun = self.heard.find("event: ");
            let whole = begun.and_then(|at| Some((at, self.heard[at..].find("\n\n")?)));
            if let Some((at, length)) = whole {
                let event = self.heard[at..at + length].to_owned();
                self.heard.drain(..at + length);
                return Some(event);
            }
            let mut bytes = vec![0; 64 * 1024];
            let read = self.stream.read(&mut bytes).await.unwrap_or(0);
            self.heard += &String::from_utf8_lossy(&bytes[..read]);
            // The last chunk is empty.
            if read == 0 || self.heard.ends_with("\r\n0\r\n\r\n") {
                return None;
            }
        }
    }

    /// The same, while a clock is moved on by `step` again and again.
    pub async fn next_while_time_passes(&mut self, clock: &HandClock, step: std::time::Duration) -> Option<String> {
        let passing = async {
            loop {
                clock.pass(step);
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            event = self.next() => event,
            never = passing => never,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub text: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Answer {
        let all = String::from_utf8_lossy(bytes);
        let (head, text) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_owned(), text: text.to_owned() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    /// Demands a problem with this status that holds `words`.
    pub fn is_problem(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!((json["type"].as_str(), json["status"].as_u64()), (Some("about:blank"), Some(status.into())));
        assert!(json["detail"].as_str().unwrap().contains(words), "{json}");
    }
}
