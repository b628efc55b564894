//! A mail host that holds a dialogue at a moment, and journals what it takes at the moment it decides so.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

/// Where a dialogue is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Greeting,
    Ehlo,
    Auth,
    Mail,
    Rcpt,
    /// DATA was said, 354 not yet.
    Data,
    /// 354 was said, and some of the body read.
    Body,
    /// The dot was read and the mail taken; the reply is held.
    DotTaken,
    /// The dot was read; the mail is dropped and no reply comes.
    DotDropped,
}

#[derive(Default)]
struct State {
    armed: Mutex<Option<Moment>>,
    reached: Notify,
    released: Notify,
    journal: Mutex<Vec<(Instant, String)>>,
    /// How long it thinks before it takes a mail, and again before it says so.
    thinks: Duration,
}

/// A running host; it ends when it is dropped.
pub struct Host {
    port: u16,
    state: Arc<State>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Host {
    pub async fn start() -> Host {
        Host::that_thinks(Duration::ZERO).await
    }

    /// One that takes its time, so that mails are on their way at any moment.
    pub async fn that_thinks(thinks: Duration) -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State { thinks, ..State::default() });
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Host { port, state, accepting }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until a dialogue is held at `moment`.
    pub async fn hold(&self, moment: Moment) {
        *self.state.armed.lock().unwrap() = Some(moment);
        self.state.reached.notified().await;
    }

    /// Lets whatever is held go on; its client is gone.
    pub fn go_on(&self) {
        *self.state.armed.lock().unwrap() = None;
        self.state.released.notify_waiters();
    }

    /// What was taken when, in order.
    pub fn journal(&self) -> Vec<(Instant, String)> {
        self.state.journal.lock().unwrap().clone()
    }

    /// The Message-IDs that were taken, in order.
    pub fn message_ids(&self) -> Vec<String> {
        self.journal().into_iter().map(|(_, id)| id).collect()
    }

    /// How many mails were taken.
    pub fn taken(&self) -> usize {
        self.state.journal.lock().unwrap().len()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut dialogues = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        dialogues.spawn(async move {
            let _ = Dialogue { client: BufReader::new(client), state }.speak().await;
        });
    }
}

struct Dialogue {
    client: BufReader<TcpStream>,
    state: Arc<State>,
}

impl Dialogue {
    async fn speak(mut self) -> std::io::Result<()> {
        self.at(Moment::Greeting).await;
        self.say("220 host.test ready\r\n").await?;
        while let Some(line) = self.line().await? {
            match line.to_ascii_uppercase().split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => self.answer(Moment::Ehlo, "250-host.test\r\n250 AUTH PLAIN\r\n").await?,
                "AUTH" => self.answer(Moment::Auth, "235 2.7.0 welcome\r\n").await?,
                "MAIL" => self.answer(Moment::Mail, "250 2.1.0 ok\r\n").await?,
                "RCPT" => self.answer(Moment::Rcpt, "250 2.1.5 ok\r\n").await?,
                "DATA" => {
                    self.answer(Moment::Data, "354 go on\r\n").await?;
                    self.body().await?;
                }
                "QUIT" => return self.say("221 2.0.0 bye\r\n").await,
                _ => self.say("250 2.0.0 ok\r\n").await?,
            }
        }
        Ok(())
    }

    async fn body(&mut self) -> std::io::Result<()> {
        let mut id = None;
        while let Some(line) = self.line().await? {
            if line == "." {
                return self.dot(id.unwrap_or_default()).await;
            }
            if let Some(value) = line.strip_prefix("Message-ID: ") {
                id = Some(value.trim_matches(['<', '>']).to_owned());
                self.at(Moment::Body).await;
            }
        }
        Ok(())
    }

    async fn dot(&mut self, id: String) -> std::io::Result<()> {
        if self.at(Moment::DotDropped).await {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        tokio::time::sleep(self.state.thinks).await;
        self.state.journal.lock().unwrap().push((now(), id));
        tokio::time::sleep(self.state.thinks).await;
        self.at(Moment::DotTaken).await;
        self.say("250 2.0.0 taken\r\n").await
    }

    async fn answer(&mut self, moment: Moment, reply: &str) -> std::io::Result<()> {
        self.at(moment).await;
        self.say(reply).await
    }

    /// Holds the dialogue if it is to be held here. Returns whether it was.
    async fn at(&self, moment: Moment) -> bool {
        let released = self.state.released.notified();
        let mine = {
            let mut armed = self.state.armed.lock().unwrap();
            let mine = *armed == Some(moment);
            if mine {
                *armed = None;
            }
            mine
        };
        if mine {
            self.state.reached.notify_one();
            released.await;
        }
        mine
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        let length = self.client.read_line(&mut line).await?;
        Ok((length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    async fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.client.get_mut().write_all(text.as_bytes()).await
    }
}

#[expect(clippy::disallowed_methods, reason = "a foreign server has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}
