//! A `Wire` is a TCP proxy to a server, which breaks in the three ways in which networks break.
//!
//! *Reset*: connections break with an RST, new ones are refused, and both sides notice at once. *Hole*: bytes
//! vanish silently, and so do new connections. A connection that existed then stays dead, as behind a
//! firewall that lost its state or before a host that is gone. *Stall*: bytes wait, and arrive late after the
//! repair.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// The way in which a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Reset,
    Hole,
    Stall,
}

/// The current fault, the number of times that all connections died, and true if the last death was silent.
#[derive(Clone, Copy, Default)]
struct Way {
    fault: Option<Fault>,
    deaths: u64,
    silently: bool,
}

/// A running proxy. It ends with its connections when it is dropped.
pub struct Wire {
    port: u16,
    way: Arc<watch::Sender<Way>>,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// Starts a proxy to a port of this machine.
    pub async fn to(server: u16) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback address has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let way = Arc::new(watch::Sender::new(Way::default()));
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&way)));
        Wire { port, way, accepting }
    }

    /// Returns `url` with the port of this proxy.
    pub fn url(&self, url: &str) -> String {
        let (head, tail) = split(url);
        format!("{head}:{}{tail}", self.port)
    }

    /// Breaks the network.
    pub fn cut(&self, fault: Fault) {
        self.way.send_modify(|way| {
            way.fault = Some(fault);
            if fault != Fault::Stall {
                way.deaths += 1;
                way.silently = fault == Fault::Hole;
            }
        });
    }

    /// Repairs the network: new bytes pass, and so do waiting ones.
    pub fn heal(&self) {
        self.way.send_modify(|way| way.fault = None);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Returns the port of a server's URL.
pub fn port_of(url: &str) -> u16 {
    let (head, tail) = split(url);
    url[head.len() + 1..url.len() - tail.len()].parse().expect("a port is a number")
}

/// Returns the text before and after `:port`.
fn split(url: &str) -> (&str, &str) {
    let colon = url.rfind(':').expect("a private server's address names its port");
    let end = url[colon + 1..].find('/').map_or(url.len(), |slash| colon + 1 + slash);
    (&url[..colon], &url[end..])
}

async fn accept(listener: TcpListener, server: u16, way: Arc<watch::Sender<Way>>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let now = *way.borrow();
        if now.fault == Some(Fault::Reset) {
            reset(client);
        } else {
            connections.spawn(carry(client, server, Arc::clone(&way), now));
        }
    }
}

/// Forwards bytes in both directions until either side ends or the connection dies.
async fn carry(mut client: TcpStream, server: u16, way: Arc<watch::Sender<Way>>, born: Way) {
    if born.fault == Some(Fault::Hole) {
        // The connection gets no answer, even after a repair.
        std::future::pending::<()>().await;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return reset(client) };
    let mut seen = way.subscribe();
    let died = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        tokio::select! {
            biased;
            died = seen.wait_for(|way| way.deaths > born.deaths) => died.map(|way| way.silently),
            _ = stream(from_client, to_server, &way) => return,
            _ = stream(from_server, to_client, &way) => return,
        }
    };
    match died {
        Ok(true) => std::future::pending().await,
        _ => reset(client),
    }
}

/// Ends the connection with an RST.
fn reset(client: TcpStream) {
    let _ = client.set_zero_linger();
}

async fn stream(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, way: &watch::Sender<Way>) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        way.subscribe().wait_for(|way| way.fault != Some(Fault::Stall)).await.ok()?;
        to.write_all(&buffer[..length]).await.ok()?;
    }
}
