//! A TCP proxy before Postgres that stops the bytes where a test wants them stopped.
//!
//! It reads what clients ask, so that a test can name the statement: its question is held before the server sees it, or
//! the server's complete answer before the client does. It can also freeze all bytes, as a network does that loses
//! them without a word, and cut all connections.

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

/// What of the named statement is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The server never sees it.
    Question,
    /// The server has done and committed it; the client does not hear of it.
    Answer,
}

/// How bytes flow.
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
    /// How often all connections were broken.
    cuts: watch::Sender<u64>,
    /// How many traps have sprung.
    sprung: watch::Sender<u64>,
    /// How many sprung traps may go on.
    released: watch::Sender<u64>,
}

/// A running proxy; it ends with its connections when it is dropped.
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

    /// The address for DATABASE_URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sets a trap for the next statement whose text contains `statement`; its connection alone is held.
    pub fn hold(&self, statement: &str, what: Hold) {
        *self.shared.trap() = Some((statement.to_owned(), what));
    }

    /// Waits until a statement is held.
    pub async fn sprung(&self) {
        self.holds(1).await;
    }

    /// Waits until so many statements are held at once.
    pub async fn holds(&self, statements: u64) {
        let released = *self.shared.released.borrow();
        let mut sprung = self.shared.sprung.subscribe();
        sprung.wait_for(|sprung| *sprung >= released + statements).await.expect("the proxy runs");
    }

    /// Lets the statement go on that has been held longest.
    pub fn release_first(&self) {
        self.shared.released.send_modify(|released| *released += 1);
    }

    /// Lets what is held go on, and takes a trap away that has not sprung.
    pub fn release(&self) {
        *self.shared.trap() = None;
        self.shared.released.send_replace(*self.shared.sprung.borrow());
    }

    /// Stops all bytes of all connections; none breaks.
    pub fn freeze(&self) {
        self.shared.flow.send_replace(Flow::Frozen);
    }

    /// Breaks all connections, with what is held on them, and refuses new ones.
    pub fn cut(&self) {
        self.shared.flow.send_replace(Flow::Refused);
        self.drop_connections();
    }

    /// Lets bytes and connections through again.
    pub fn restore(&self) {
        self.shared.flow.send_replace(Flow::Free);
    }

    /// Breaks all connections once, with what is held on them: a question that was held is never asked.
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

    /// Takes the trap if `statement` is the one it waits for.
    fn springs(&self, statement: &str) -> Option<Hold> {
        let mut trap = self.trap();
        let (_, hold) = trap.take_if(|(text, _)| statement.contains(text.as_str()))?;
        Some(hold)
    }

    /// Tells the test that a trap has sprung, and waits for the test.
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

/// Carries bytes both ways until either side ends or all connections are broken.
async fn connection(client: TcpStream, server: &str, shared: &Shared) -> Option<()> {
    let mut cuts = shared.cuts.subscribe();
    cuts.mark_unchanged();
    let server = TcpStream::connect(server).await.ok()?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let answer_held = watch::Sender::new(false);
    tokio::select! {
        biased;
        _ = cuts.changed() => {}
        // A client that is gone may still have a question on its way: it arrives before the end does.
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
        // Only what follows the commit says that it is done.
        if *answer_held.borrow() && frontend::is_ready_for_query(&buffer[..length]) {
            answer_held.send_replace(false);
            shared.held().await;
        }
        shared.flowing().await;
        client.write_all(&buffer[..length]).await.ok()?;
    }
}
