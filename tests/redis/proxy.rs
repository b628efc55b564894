//! A TCP proxy before Redis that can lose one answer: the one to the next script.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// What happens to the answer to the next EVALSHA, after the server has given it.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Trap {
    /// The connection breaks.
    Cut = 1,
    /// Nothing comes, and the connection stays.
    Hold = 2,
}

/// A running proxy; it ends with its connections when it is dropped.
pub struct Proxy {
    port: u16,
    trap: Arc<AtomicU8>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy to a port on this machine.
    pub async fn to(upstream: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let trap = Arc::new(AtomicU8::new(0));
        let accepting = tokio::spawn(accept(listener, upstream, trap.clone()));
        Proxy { port, trap, accepting }
    }

    /// The address for REDIS_URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sets a trap for the next script.
    pub fn set(&self, trap: Trap) {
        self.trap.store(trap as u8, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, upstream: u16, trap: Arc<AtomicU8>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        // A server that is away shows as a connection that closes at once.
        if let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await {
            connections.spawn(relay(client, server, trap.clone()));
        }
    }
}

/// Carries bytes both ways until either side ends or the trap springs.
async fn relay(mut client: TcpStream, mut server: TcpStream, trap: Arc<AtomicU8>) -> Option<()> {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let asked = some(&asked, length.ok()?)?;
                let sprung = if is_script(asked) { trap.swap(0, Ordering::SeqCst) } else { 0 };
                server.write_all(asked).await.ok()?;
                if sprung != 0 {
                    // The server has done it once it answers.
                    let length = server.read(&mut answered).await.ok()?;
                    some(&answered, length)?;
                }
                match sprung {
                    0 => {}
                    cut if cut == Trap::Cut as u8 => return None,
                    _ => std::future::pending().await,
                }
            }
            length = server.read(&mut answered) => {
                client.write_all(some(&answered, length.ok()?)?).await.ok()?;
            }
        }
    }
}

fn some(buffer: &[u8], length: usize) -> Option<&[u8]> {
    (length > 0).then(|| &buffer[..length])
}

fn is_script(asked: &[u8]) -> bool {
    asked.windows(7).any(|word| word == b"EVALSHA")
}
