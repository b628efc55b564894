//! A TCP gate before Postgres that holds a worker's reserve or settle, before the server has it or after it answered.
//!
//! Statements are known by what they bind: a reserve carries the Message-IDs it asks for, a settle the word `sent`.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
};

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    BeforeReserve,
    AfterReserve,
    BeforeSettle,
    AfterSettle,
}

#[derive(Default)]
struct State {
    armed: Mutex<Option<Hold>>,
    reached: Notify,
    opened: Notify,
    shut: AtomicBool,
}

/// A running gate; it ends with its connections when it is dropped.
pub struct Gate {
    url: String,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

impl Gate {
    pub async fn before(url: &str) -> Gate {
        let upstream = url.parse::<PgConnectOptions>().unwrap().get_port();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let accepting = tokio::spawn(accept(listener, upstream, Arc::clone(&state)));
        Gate { url: url.replace(&format!(":{upstream}/"), &format!(":{port}/")), state, accepting }
    }

    /// The database's address through the gate.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until a statement is held.
    pub async fn hold(&self, hold: Hold) {
        *self.state.armed.lock().unwrap() = Some(hold);
        self.state.reached.notified().await;
    }

    /// Breaks connections as soon as they are used, and makes no new ones.
    pub fn shut(&self) {
        self.state.shut.store(true, Ordering::SeqCst);
    }

    /// Holds nothing any more; connections that were held break.
    pub fn open(&self) {
        self.state.shut.store(false, Ordering::SeqCst);
        *self.state.armed.lock().unwrap() = None;
        self.state.opened.notify_waiters();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, upstream: u16, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if state.shut.load(Ordering::SeqCst) {
            continue;
        }
        let server = TcpStream::connect(("127.0.0.1", upstream)).await.unwrap();
        connections.spawn(relay(client, server, Arc::clone(&state)));
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 256 * 1024], vec![0; 256 * 1024]);
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let length = length?;
                if length == 0 || state.shut.load(Ordering::SeqCst) {
                    return Ok(());
                }
                let opened = state.opened.notified();
                match state.held(&asked[..length]) {
                    None => server.write_all(&asked[..length]).await?,
                    Some(Hold::BeforeReserve | Hold::BeforeSettle) => {
                        state.reached.notify_one();
                        opened.await;
                        return Ok(());
                    }
                    Some(Hold::AfterReserve | Hold::AfterSettle) => {
                        server.write_all(&asked[..length]).await?;
                        // Postgres answers after its commit.
                        let _ = server.read(&mut answered).await?;
                        state.reached.notify_one();
                        opened.await;
                        return Ok(());
                    }
                }
            }
            length = server.read(&mut answered) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                client.write_all(&answered[..length]).await?;
            }
        }
    }
}

impl State {
    /// Takes the trap if this request is the one it is set for.
    fn held(&self, request: &[u8]) -> Option<Hold> {
        let contains = |words: &[u8]| request.windows(words.len()).any(|window| window == words);
        let mut armed = self.armed.lock().unwrap();
        let springs = match (*armed)? {
            Hold::BeforeReserve | Hold::AfterReserve => contains(b"@kill.test") && !contains(b"sent"),
            Hold::BeforeSettle | Hold::AfterSettle => contains(b"\0\0\0\x04sent"),
        };
        if springs { armed.take() } else { None }
    }
}
