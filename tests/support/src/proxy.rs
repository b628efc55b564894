//! `PostgresProxy` is a TCP proxy before Postgres that stops the bytes at a point that the test chooses.
//!
//! It parses the clients' requests, so that a test can name a statement. It holds the request before the
//! server gets it, or the server's complete answer before the client gets it. It can also freeze all bytes,
//! like a network that loses them silently, and break all connections.

mod frontend;

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use self::frontend::Frontend;

/// The part of the named statement that the proxy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The request: the server never gets it.
    Question,
    /// The answer: the server has committed the statement, and the client does not know it.
    Answer,
}

/// The state of the byte flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Free,
    Frozen,
    /// New connections are refused.
    Refused,
}

struct Shared {
    trap: Mutex<Option<(String, Hold)>>,
    flow: watch::Sender<Flow>,
    /// The number of times that all connections were broken.
    cuts: watch::Sender<u64>,
    /// The number of held statements so far.
    sprung: watch::Sender<u64>,
    /// The number of held statements that may continue.
    released: watch::Sender<u64>,
}

/// A running proxy. It ends with its connections when it is dropped.
pub struct PostgresProxy {
    url: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl PostgresProxy {
    /// Starts a proxy to the server of `url`.
    pub async fn to(url: &str) -> PostgresProxy {
        let (head, rest) = url.rsplit_once('@').expect("a test database's address names its user");
        let (server, database) = rest.split_once('/').expect("a test database's address ends in its name");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback address has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared {
            trap: Mutex::default(),
            flow: watch::Sender::new(Flow::Free),
            cuts: watch::Sender::new(0),
            sprung: watch::Sender::new(0),
            released: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, server.to_owned(), Arc::clone(&shared)));
        PostgresProxy { url: format!("{head}@127.0.0.1:{port}/{database}"), shared, accepting }
    }

    /// Returns the URL for DATABASE_URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Holds the next statement whose text contains `statement`; only its connection stops.
    pub fn hold(&self, statement: &str, what: Hold) {
        *self.shared.trap() = Some((statement.to_owned(), what));
    }

    /// Waits until a statement is held.
    pub async fn sprung(&self) {
        self.holds(1).await;
    }

    /// Waits until this number of statements is held at once.
    pub async fn holds(&self, statements: u64) {
        let released = *self.shared.released.borrow();
        let mut sprung = self.shared.sprung.subscribe();
        sprung.wait_for(|sprung| *sprung >= released + statements).await.expect("the proxy runs");
    }

    /// Releases the statement that has been held longest.
    pub fn release_first(&self) {
        self.shared.released.send_modify(|released| *released += 1);
    }

    /// Releases all held statements, and cancels a hold that has no statement yet.
    pub fn release(&self) {
        *self.shared.trap() = None;
        self.shared.released.send_replace(*self.shared.sprung.borrow());
    }

    /// Stops all bytes of all connections without breaking a connection.
    pub fn freeze(&self) {
        self.shared.flow.send_replace(Flow::Frozen);
    }

    /// Breaks all connections, including held statements, and refuses new connections.
    pub fn cut(&self) {
        self.shared.flow.send_replace(Flow::Refused);
        self.drop_connections();
    }

    /// Lets bytes and connections pass again.
    pub fn restore(&self) {
        self.shared.flow.send_replace(Flow::Free);
    }

    /// Breaks all connections once; a held request never reaches the server.
    pub fn drop_connections(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
        self.release();
    }
}

impl Drop for PostgresProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn trap(&self) -> std::sync::MutexGuard<'_, Option<(String, Hold)>> {
        self.trap.lock().expect("no connection panics")
    }

    /// Returns the pending hold if `statement` matches it.
    fn springs(&self, statement: &str) -> Option<Hold> {
        let mut trap = self.trap();
        let (_, hold) = trap.take_if(|(text, _)| statement.contains(text.as_str()))?;
        Some(hold)
    }

    /// Signals the test that a statement is held, and waits for its release.
    async fn held(&self) {
        let mut number = 0;
        self.sprung.send_modify(|sprung| {
            *sprung += 1;
            number = *sprung;
        });
        let _ = self.released.subscribe().wait_for(|released| *released >= number).await;
    }

    async fn flowing(&self) {
        let _ = self.flow.subscribe().wait_for(|flow| *flow != Flow::Frozen).await;
    }
}

async fn accept(listener: TcpListener, server: String, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if *shared.flow.borrow() != Flow::Refused {
            let (server, shared) = (server.clone(), Arc::clone(&shared));
            connections.spawn(async move { connection(client, &server, &shared).await });
        }
    }
}

/// Forwards bytes in both directions until either side ends or all connections are broken.
async fn connection(client: TcpStream, server: &str, shared: &Shared) -> Option<()> {
    let mut cuts = shared.cuts.subscribe();
    cuts.mark_unchanged();
    let server = TcpStream::connect(server).await.ok()?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let answer_held = watch::Sender::new(false);
    tokio::select! {
        biased;
        _ = cuts.changed() => {}
        // A request may still arrive after its client is gone: it precedes the end of the connection.
        _ = questions(from_client, to_server, shared, &answer_held) => {}
        _ = answers(from_server, to_client, shared, &answer_held) => {}
    }
    Some(())
}

async fn questions(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    shared: &Shared,
    answer_held: &watch::Sender<bool>,
) -> Option<()> {
    let (mut buffer, mut frontend) = (vec![0; 64 * 1024], Frontend::default());
    loop {
        let length = client.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        let run = frontend.read(&buffer[..length]);
        match run.iter().find_map(|statement| shared.springs(statement)) {
            Some(Hold::Question) => shared.held().await,
            Some(Hold::Answer) => drop(answer_held.send_replace(true)),
            None => {}
        }
        shared.flowing().await;
        server.write_all(&buffer[..length]).await.ok()?;
    }
}

async fn answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    shared: &Shared,
    answer_held: &watch::Sender<bool>,
) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        // Only the message after the commit proves that the commit is done.
        if *answer_held.borrow() && frontend::is_ready_for_query(&buffer[..length]) {
            answer_held.send_replace(false);
            shared.held().await;
        }
        shared.flowing().await;
        client.write_all(&buffer[..length]).await.ok()?;
    }
}
