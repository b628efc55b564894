//! A mail host that lives through the deaths of its clients, journals each mail at the moment it takes it, and can hold
//! its clients at any moment of the dialogue.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Where a client can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Greeting,
    Auth,
    Mail,
    Rcpt,
    /// DATA was asked for, 354 not yet said.
    Data,
    /// 354 was said, and some of the body has come.
    Body,
    /// The mail is taken and journalled; the reply is held.
    Taken,
    /// The mail is whole; the reply is held, and the mail is dropped once the client may go on.
    Dropped,
    /// 250 was said; the reply to QUIT is held.
    Replied,
}

/// One mail that was taken.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub message_id: String,
}

struct Shared {
    journal: Mutex<Vec<Arrival>>,
    holding: watch::Sender<Option<Moment>>,
    /// How many clients are held.
    held: watch::Sender<usize>,
    sessions: AtomicUsize,
}

impl Shared {
    fn take(&self, message_id: String) {
        let mut journal = self.journal.lock().expect("no session panics");
        journal.push(Arrival { message_id });
    }
}

/// A running host. Ends when dropped.
pub struct Host {
    port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// Few, so that a test can fill it.
const BACKLOG: u32 = 4;

impl Host {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start() -> Host {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("the loopback address has a free port");
        let listener = socket.listen(BACKLOG).expect("a bound socket can listen");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared {
            journal: Mutex::default(),
            holding: watch::Sender::new(None),
            held: watch::Sender::new(0),
            sessions: AtomicUsize::new(0),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Host { port, shared, serving }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every mail that was taken, in order.
    pub fn journal(&self) -> Vec<Arrival> {
        self.shared.journal.lock().expect("no session panics").clone()
    }

    /// How many mails were taken.
    pub fn taken(&self) -> usize {
        self.shared.journal.lock().expect("no session panics").len()
    }

    /// How many clients are connected.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.load(Ordering::SeqCst)
    }

    /// Holds every client that comes to `moment`.
    pub fn hold(&self, moment: Moment) {
        self.shared.holding.send_replace(Some(moment));
    }

    /// Waits until `clients` are held at once.
    pub async fn held(&self, clients: usize) {
        let _ = self.shared.held.subscribe().wait_for(|held| *held >= clients).await;
    }

    /// Lets all clients go on.
    pub fn release(&self) {
        self.shared.holding.send_replace(None);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        if let Ok((tcp, _)) = listener.accept().await {
            let _ = tcp.set_nodelay(true);
            let shared = Arc::clone(&shared);
            shared.sessions.fetch_add(1, Ordering::SeqCst);
            sessions.spawn(async move {
                let ended = Session { tcp: BufStream::new(tcp), shared: &shared }.talk().await;
                shared.sessions.fetch_sub(1, Ordering::SeqCst);
                ended
            });
        }
    }
}

struct Session<'a> {
    tcp: BufStream<TcpStream>,
    shared: &'a Shared,
}

impl Session<'_> {
    async fn talk(mut self) -> io::Result<()> {
        self.at(Moment::Greeting).await;
        self.say("220 host.test ESMTP").await?;
        loop {
            let line = self.line().await?;
            match line.get(..4).unwrap_or(&line).to_ascii_uppercase().as_str() {
                "EHLO" => self.say("250-host.test\r\n250 AUTH PLAIN").await?,
                "AUTH" => self.after(Moment::Auth, "235 2.7.0 Welcome").await?,
                "MAIL" => self.after(Moment::Mail, "250 2.1.0 Ok").await?,
                "RCPT" => self.after(Moment::Rcpt, "250 2.1.5 Ok").await?,
                "DATA" => self.mail().await?,
                "QUIT" => return self.say("221 2.0.0 Bye").await,
                _ => self.say("502 5.5.1 Not implemented").await?,
            }
        }
    }

    async fn mail(&mut self) -> io::Result<()> {
        self.after(Moment::Data, "354 Go on").await?;
        self.tcp.fill_buf().await?;
        self.at(Moment::Body).await;
        let mut message_id = String::new();
        loop {
            let line = self.line().await?;
            if let Some(id) = line.strip_prefix("Message-ID: <").and_then(|rest| rest.strip_suffix('>')) {
                message_id = id.to_owned();
            }
            if line == "." {
                break;
            }
        }
        if self.at(Moment::Dropped).await {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        assert!(!message_id.is_empty(), "a mail without a Message-ID");
        self.shared.take(message_id);
        self.at(Moment::Taken).await;
        self.say("250 2.0.0 Ok: queued").await?;
        self.at(Moment::Replied).await;
        Ok(())
    }

    async fn after(&mut self, moment: Moment, reply: &str) -> io::Result<()> {
        self.at(moment).await;
        self.say(reply).await
    }

    /// Holds the client here if the test wants it, and says whether it did.
    async fn at(&self, moment: Moment) -> bool {
        let mut holding = self.shared.holding.subscribe();
        if *holding.borrow_and_update() != Some(moment) {
            return false;
        }
        self.shared.held.send_modify(|held| *held += 1);
        let _ = holding.wait_for(|held| *held != Some(moment)).await;
        self.shared.held.send_modify(|held| *held -= 1);
        true
    }

    async fn say(&mut self, reply: &str) -> io::Result<()> {
        self.tcp.write_all(format!("{reply}\r\n").as_bytes()).await?;
        self.tcp.flush().await
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        if self.tcp.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}
