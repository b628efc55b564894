//! A TCP gate before Postgres: open, shut, or swallowing one request or one answer.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// The pool pings connections that come back to it; those answers are not the ones to lose.
const LONGEST_PING: usize = 64;

const OPEN: u8 = 0;
const SWALLOW: u8 = 1;
const SHUT: u8 = 2;
const LOSE: u8 = 3;

/// A running gate; it ends with its connections when it is dropped.
pub struct Gate {
    port: u16,
    state: Arc<AtomicU8>,
    accepting: JoinHandle<()>,
}

impl Gate {
    pub async fn before(upstream: u16) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, state) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU8::new(OPEN)));
        let accepting = tokio::spawn(accept(listener, upstream, Arc::clone(&state)));
        Gate { port, state, accepting }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next request is done, its answer lost with the connection.
    pub fn swallow_next_answer(&self) {
        self.state.store(SWALLOW, Ordering::SeqCst);
    }

    /// The next request is lost with its connection, before it is passed on.
    pub fn swallow_next_request(&self) {
        self.state.store(LOSE, Ordering::SeqCst);
    }

    /// Connections break as soon as they are used, and new ones are not made.
    pub fn shut(&self) {
        self.state.store(SHUT, Ordering::SeqCst);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, upstream: u16, state: Arc<AtomicU8>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if state.load(Ordering::SeqCst) == SHUT {
            continue;
        }
        if let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await {
            connections.spawn(relay(client, server, Arc::clone(&state)));
        }
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, state: Arc<AtomicU8>) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let length = length?;
                if length == 0 || state.load(Ordering::SeqCst) == SHUT {
                    return Ok(());
                }
                let statement = length > LONGEST_PING;
                if statement && state.compare_exchange(LOSE, OPEN, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    return Ok(());
                }
                server.write_all(&asked[..length]).await?;
                if statement && state.compare_exchange(SWALLOW, OPEN, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    // Postgres answers after its commit.
                    return server.read(&mut answered).await.map(drop);
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
