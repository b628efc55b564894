//! What the caps granted, to the microsecond, as Redis' MONITOR tells it.
//!
//! The script's question holds what a bucket can hold and what a token is worth; what the script writes holds the level
//! that it left, and Redis' own time. So each write says how many tokens it took. A bucket of another run of the server
//! begins at 0; the writes that were missed before the monitor was there again can have taken nothing, because one
//! token takes longer than that.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinHandle,
};

/// How soon a server that is away is asked again: before its first token is full.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// Where the fleet's minute and a user's minute stand in the question: capacity, token.
const FLEET_MINUTE: usize = 5;
const USER_MINUTE: usize = 9;

#[derive(Clone, Default)]
struct Bucket {
    level: i64,
    at: i64,
    run: String,
}

#[derive(Default)]
struct Told {
    /// Capacity and token of the fleet's minute, and of a user's.
    sizes: Option<[(i64, i64); 2]>,
    buckets: BTreeMap<String, Bucket>,
    granted: BTreeMap<String, Vec<i64>>,
    questions: usize,
    /// Levels that no number of tokens explains.
    odd: Vec<String>,
}

/// A running monitor; it finds a Redis again that was away.
pub struct Grants {
    told: Arc<Mutex<Told>>,
    listening: JoinHandle<()>,
}

impl Grants {
    pub fn of(url: &str) -> Grants {
        let (password, address) = url.trim_start_matches("redis://:").split_once('@').unwrap();
        let (password, address) = (password.to_owned(), address.to_owned());
        let told = Arc::new(Mutex::new(Told::default()));
        let hears = Arc::clone(&told);
        let listening = tokio::spawn(async move {
            loop {
                let _ = listen(&password, &address, &hears).await;
                tokio::time::sleep(ASK_AGAIN).await;
            }
        });
        Grants { told, listening }
    }

    /// The instants of the grants of each minute bucket, by its key, in microseconds.
    pub fn instants(&self) -> BTreeMap<String, Vec<i64>> {
        let told = self.told.lock().unwrap();
        assert_eq!(told.odd, [""; 0], "levels that no number of tokens explains");
        assert!(told.questions > 0, "the caps were asked");
        told.granted.clone()
    }
}

impl Drop for Grants {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(password: &str, address: &str, told: &Mutex<Told>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("AUTH {password}\r\nMONITOR\r\n").as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await? {
        told.lock().unwrap().hear(&line);
    }
    Ok(())
}

impl Told {
    /// `1700000000.123456 [0 127.0.0.1:50000] "EVALSHA" "<sha>" "4" "<key>" … "<argument>" …`, and for what a script does
    /// `… [0 lua] "SET" "<key>" "<value>" …`.
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        match words[..] {
            [command, _, count, ref rest @ ..] if command.eq_ignore_ascii_case("evalsha") => {
                let Ok(keys) = count.parse::<usize>() else { return };
                if rest.first().is_some_and(|key| key.ends_with(":cap:global_hour")) {
                    self.asked(&rest[keys..]);
                }
            }
            [command, key, value, ..]
                if command.eq_ignore_ascii_case("set")
                    && [":global_minute", ":user_minute"].iter().any(|cap| key.contains(cap)) =>
            {
                self.written(key, value);
            }
            _ => {}
        }
    }

    fn asked(&mut self, arguments: &[&str]) {
        let number = |place: usize| arguments[place - 1].parse().unwrap();
        let size = |place: usize| (number(place), number(place + 1));
        self.sizes = Some([size(FLEET_MINUTE), size(USER_MINUTE)]);
        self.questions += 1;
    }

    fn written(&mut self, key: &str, value: &str) {
        let Some([fleet, user]) = self.sizes else { return };
        let (capacity, token) = if key.contains(":global_minute") { fleet } else { user };
        let mut parts = value.split(' ');
        let mut number = || parts.next().unwrap().parse::<i64>().unwrap();
        let (level, at) = (number(), number());
        let run = parts.next().unwrap().to_owned();
        let before = self.buckets.insert(key.to_owned(), Bucket { level, at, run: run.clone() });
        let Some(before) = before.filter(|before| before.run == run) else {
            if level >= token {
                self.odd.push(format!("{key} begins with {level} of {token}"));
            }
            return;
        };
        let spent = capacity.min(before.level + at - before.at) - level;
        if spent < 0 || spent % token != 0 {
            self.odd.push(format!("{key}: {spent} spent of {token} each"));
        }
        let granted = self.granted.entry(key.to_owned()).or_default();
        granted.extend((0..spent / token).map(|_| at));
    }
}

#[test]
fn the_tokens_that_a_write_took_are_counted() {
    let mut told = Told::default();
    told.hear(
        r#"1.0 [0 127.0.0.1:5] "EVALSHA" "ab" "1" "{w}:cap:global_hour" "" "1" "9" "1" "10" "4" "9" "1" "8" "2""#,
    );
    let write = |level: i64, at: i64, run: &str| {
        format!(r#"1.0 [0 lua] "SET" "{{w}}:cap:global_minute" "{level} {at} {run}" "PX" "9""#)
    };
    for (level, at, run) in [(0, 100, "a"), (1, 105, "a"), (2, 120, "a"), (0, 125, "b"), (0, 129, "b")] {
        told.hear(&write(level, at, run));
    }
    assert_eq!(told.odd, [""; 0]);
    assert_eq!(told.granted["{w}:cap:global_minute"], [105, 120, 120, 129]);
}
