//! `FaultyHost` is a mail host that acts by a script at each moment, and records all received bytes.
//!
//! By default it is well-behaved; a test overrides the moments under test:
//!
//! ```text
//! let host = FaultyHost::start(Script::usual().at(Moment::Dot, [Act::say("250-half\r\n"), Act::Close])).await;
//! ```

pub mod postfix;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use warmup::demo::sink::certificate::Identity;

const FINAL_DOT: &[u8] = b"\r\n.\r\n";

/// The read size in bytes: more than the commands of one packet.
const PACKET_BYTES: usize = 4096;

/// The bytes of a mail that are read for its Message-ID.
const HEAD_BYTES: usize = 16 * 1024;

/// A moment at which the host acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    Greeting,
    Ehlo,
    Starttls,
    Auth,
    /// The line after a 334 to AUTH.
    AuthFirst,
    /// The line after the second 334.
    AuthSecond,
    Mail,
    Rcpt,
    Data,
    /// Some of the body has arrived, before the search for the final dot.
    Body,
    Dot,
    Quit,
    /// A command that arrived in one packet with the previous one, at a host that refuses this.
    Excess,
}

/// The treatment of commands that arrive in one packet with the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Excess {
    #[default]
    Taken,
    Dropped,
    /// The host answers each as `Moment::Excess` defines.
    Refused,
}

/// An action of the host.
#[derive(Clone)]
pub enum Act {
    Say(Vec<u8>),
    /// Closes the connection in order (FIN).
    Close,
    /// Tears the connection down (RST).
    Reset,
    /// Sends and reads nothing more, and leaves the connection open.
    Hang,
    /// Runs a closure of the test.
    Do(Arc<dyn Fn() + Send + Sync>),
    /// Starts TLS.
    Tls,
    /// Waits for this time, like a slow host.
    Wait(Duration),
}

impl Act {
    pub fn say(text: &str) -> Act {
        Act::Say(text.as_bytes().to_vec())
    }

    pub fn run(work: impl Fn() + Send + Sync + 'static) -> Act {
        Act::Do(Arc::new(work))
    }
}

/// The actions of the host at each moment.
#[derive(Clone)]
pub struct Script {
    acts: HashMap<Moment, Vec<Act>>,
    /// The actions that replace those of a moment if the line contains this text.
    cases: Vec<(Moment, String, Vec<Act>)>,
    excess: Excess,
    identity: Option<Identity>,
    implicit_tls: bool,
}

impl Script {
    /// Returns a host that accepts every mail, offers AUTH and no TLS.
    pub fn usual() -> Script {
        let script = Script {
            acts: HashMap::new(),
            cases: Vec::new(),
            excess: Excess::Taken,
            identity: None,
            implicit_tls: false,
        };
        script
            .at(Moment::Greeting, [Act::say("220 host.test ESMTP\r\n")])
            .at(Moment::Ehlo, [Act::say("250-host.test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n")])
            .at(Moment::Starttls, [Act::say("502 5.5.1 Not implemented\r\n")])
            .at(Moment::Auth, [Act::say("235 2.7.0 Welcome\r\n")])
            .at(Moment::AuthFirst, [Act::say("334 UGFzc3dvcmQ6\r\n")])
            .at(Moment::AuthSecond, [Act::say("235 2.7.0 Welcome\r\n")])
            .at(Moment::Mail, [Act::say("250 2.1.0 Ok\r\n")])
            .at(Moment::Rcpt, [Act::say("250 2.1.5 Ok\r\n")])
            .at(Moment::Data, [Act::say("354 Go on\r\n")])
            .at(Moment::Body, [])
            .at(Moment::Dot, [Act::say("250 2.0.0 Ok: queued as 4XyZ\r\n")])
            .at(Moment::Quit, [Act::say("221 2.0.0 Bye\r\n"), Act::Close])
            .at(Moment::Excess, [Act::say("503 5.5.0 One command at a time\r\n")])
    }

    /// Returns the usual host with STARTTLS, under `identity`.
    pub fn starttls(identity: Identity) -> Script {
        let script = Script { identity: Some(identity), ..Script::usual() };
        script
            .at(Moment::Ehlo, [Act::say("250-host.test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n")])
            .at(Moment::Starttls, [Act::say("220 2.0.0 Go ahead\r\n"), Act::Tls])
    }

    /// Returns the usual host with TLS from the first byte, under `identity`.
    pub fn tls(identity: Identity) -> Script {
        Script { identity: Some(identity), implicit_tls: true, ..Script::usual() }
    }

    /// Lets the host accept several commands at once (RFC 2920).
    pub fn pipelining(self) -> Script {
        let offer = "250-host.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n";
        self.at(Moment::Ehlo, [Act::say(offer)])
    }

    /// Lets the host drop commands that arrive in one packet with another.
    pub fn dropping_excess(self) -> Script {
        Script { excess: Excess::Dropped, ..self }
    }

    /// Lets the host refuse commands that arrive in one packet with another.
    pub fn refusing_excess(self) -> Script {
        Script { excess: Excess::Refused, ..self }
    }

    /// Replaces the actions at `moment` if the client's line contains `text`. The first matching case counts.
    pub fn when(mut self, moment: Moment, text: &str, acts: impl IntoIterator<Item = Act>) -> Script {
        self.cases.push((moment, text.to_owned(), acts.into_iter().collect()));
        self
    }

    /// Replaces the actions at `moment`.
    pub fn at(mut self, moment: Moment, acts: impl IntoIterator<Item = Act>) -> Script {
        self.acts.insert(moment, acts.into_iter().collect());
        self
    }

    fn acts(&self, moment: Moment, line: &str) -> Vec<Act> {
        let case = self.cases.iter().find(|(at, text, _)| *at == moment && line.contains(text.as_str()));
        case.map(|(_, _, acts)| acts).or_else(|| self.acts.get(&moment)).cloned().unwrap_or_default()
    }
}

/// A running host. It ends when dropped.
pub struct FaultyHost {
    port: u16,
    record: Record,
    serving: JoinHandle<()>,
}

/// The record of all sessions of a host.
#[derive(Clone, Default)]
struct Record {
    heard: Arc<Mutex<Vec<u8>>>,
    connections: Arc<Mutex<usize>>,
    accepted: Arc<Mutex<Vec<String>>>,
}

impl FaultyHost {
    /// Starts a host on a free port of 127.0.0.1.
    pub async fn start(script: Script) -> FaultyHost {
        FaultyHost::start_at(IpAddr::from([127, 0, 0, 1]), script).await
    }

    /// Starts a host on a free port of another loopback address: a separate host for a fleet.
    pub async fn start_at(ip: IpAddr, script: Script) -> FaultyHost {
        let listener = listen(ip).expect("a loopback address has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let record = Record::default();
        let serving = tokio::spawn(serve(listener, script, record.clone()));
        FaultyHost { port, record, serving }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns all received text of all connections, decrypted, in order of arrival.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.record.heard.lock().expect("no session panics")).into_owned()
    }

    /// Returns the number of accepted connections.
    pub fn connections(&self) -> usize {
        *self.record.connections.lock().expect("no session panics")
    }

    /// Returns the Message-IDs of the accepted mails, in order; a mail that was accepted twice appears twice.
    pub fn accepted(&self) -> Vec<String> {
        self.record.accepted.lock().expect("no session panics").clone()
    }
}

impl Drop for FaultyHost {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Listens with small buffers, so that a client can't send much more than the host has read.
fn listen(ip: IpAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(8192)?;
    socket.bind(SocketAddr::new(ip, 0))?;
    socket.listen(1024)
}

async fn serve(listener: TcpListener, script: Script, record: Record) {
    let mut sessions = tokio::task::JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        *record.connections.lock().expect("no session panics") += 1;
        let session = Session {
            script: script.clone(),
            record: record.clone(),
            pending: Vec::new(),
            line: String::new(),
            excess: 0,
            head: Vec::new(),
            moment: None,
        };
        sessions.spawn(session.attend(tcp));
    }
}

/// The state of a session after its actions.
enum Then {
    Listen,
    Close,
    Reset,
    Tls,
}

struct Session {
    script: Script,
    record: Record,
    pending: Vec<u8>,
    /// The client's last line.
    line: String,
    /// The number of pending commands that arrived in one packet with another.
    excess: usize,
    /// The beginning of the mail that is being read.
    head: Vec<u8>,
    /// The moment of lines that are not commands: an AUTH exchange or a body.
    moment: Option<Moment>,
}

impl Session {
    async fn attend(mut self, mut tcp: TcpStream) -> io::Result<()> {
        if self.script.implicit_tls {
            return self.encrypted(tcp, true).await;
        }
        match self.talk(&mut tcp, true).await? {
            Then::Reset => tcp.set_zero_linger(),
            Then::Tls => self.encrypted(tcp, false).await,
            Then::Close | Then::Listen => tcp.shutdown().await,
        }
    }

    async fn encrypted(&mut self, tcp: TcpStream, greet: bool) -> io::Result<()> {
        let identity = self.script.identity.clone().expect("a script with TLS has an identity");
        let mut stream = identity.acceptor.accept(tcp).await?;
        self.pending.clear();
        self.talk(&mut stream, greet).await?;
        stream.shutdown().await
    }

    async fn talk(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin), greet: bool) -> io::Result<Then> {
        let mut next = if greet { self.act(Moment::Greeting, stream).await? } else { Then::Listen };
        while matches!(next, Then::Listen) {
            let moment = self.listen(stream).await?;
            next = self.act(moment, stream).await?;
        }
        Ok(next)
    }

    async fn act(&mut self, moment: Moment, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<Then> {
        self.moment = None;
        for act in self.script.acts(moment, &self.line) {
            match act {
                Act::Say(bytes) => {
                    if moment == Moment::Dot && bytes.starts_with(b"250") {
                        self.accept();
                    }
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                    self.moment = follows(moment, &bytes);
                }
                Act::Close => return Ok(Then::Close),
                Act::Reset => return Ok(Then::Reset),
                Act::Hang => std::future::pending().await,
                Act::Do(work) => work(),
                Act::Tls => return Ok(Then::Tls),
                Act::Wait(time) => tokio::time::sleep(time).await,
            }
        }
        if moment == Moment::Body {
            self.moment = Some(Moment::Dot);
        }
        Ok(Then::Listen)
    }

    /// Reads until the host must act, and returns the moment.
    async fn listen(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Moment> {
        loop {
            if let Some(moment) = self.turn() {
                return Ok(moment);
            }
            let before = self.pending.len();
            // A whole packet is read at once, so that the commands in one packet are recognised.
            self.pending.reserve(PACKET_BYTES);
            if stream.read_buf(&mut self.pending).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.record.heard.lock().expect("no session panics").extend_from_slice(&self.pending[before..]);
        }
    }

    fn turn(&mut self) -> Option<Moment> {
        match self.moment {
            Some(Moment::Body) => (!self.pending.is_empty()).then_some(Moment::Body),
            Some(Moment::Dot) => {
                if let Some(rest) = self.take_until(FINAL_DOT) {
                    self.head.extend(rest);
                    return Some(Moment::Dot);
                }
                // Bytes that can't begin the final dot are not searched again: a body may be large.
                let rest = self.pending.drain(..self.pending.len().saturating_sub(FINAL_DOT.len() - 1));
                let room = HEAD_BYTES.saturating_sub(self.head.len());
                self.head.extend(rest.take(room));
                None
            }
            Some(moment) => self.take_line().map(|()| moment),
            None => self.take_line().map(|()| self.command()),
        }
    }

    fn take_line(&mut self) -> Option<()> {
        let line = self.take_until(b"\r\n")?;
        self.line = String::from_utf8_lossy(&line).into_owned();
        Some(())
    }

    /// Returns the moment of the command that was just taken. Drops or refuses the other commands of its
    /// packet if the script requires it.
    fn command(&mut self) -> Moment {
        if self.excess > 0 {
            self.excess -= 1;
            return Moment::Excess;
        }
        match self.script.excess {
            Excess::Taken => {}
            Excess::Dropped => self.pending.clear(),
            Excess::Refused => self.excess = self.pending.iter().filter(|byte| **byte == b'\n').count(),
        }
        of_command(self.line.as_bytes())
    }

    fn accept(&mut self) {
        let head = String::from_utf8_lossy(&std::mem::take(&mut self.head)).into_owned();
        let id = head.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap_or_default();
        let id = id.trim_matches(['<', '>']).to_owned();
        self.record.accepted.lock().expect("no session panics").push(id);
    }

    fn take_until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let at = self.pending.windows(end.len()).position(|window| window == end)?;
        Some(self.pending.drain(..at + end.len()).collect())
    }
}

/// Returns the moment of the lines after a reply.
fn follows(moment: Moment, said: &[u8]) -> Option<Moment> {
    match moment {
        Moment::Data if said.starts_with(b"354") => Some(Moment::Body),
        Moment::Auth if said.starts_with(b"334") => Some(Moment::AuthFirst),
        Moment::AuthFirst if said.starts_with(b"334") => Some(Moment::AuthSecond),
        _ => None,
    }
}

fn of_command(line: &[u8]) -> Moment {
    let verb = String::from_utf8_lossy(line).chars().take(4).collect::<String>().to_ascii_uppercase();
    match verb.as_str() {
        "EHLO" => Moment::Ehlo,
        "STAR" => Moment::Starttls,
        "AUTH" => Moment::Auth,
        "MAIL" => Moment::Mail,
        "RCPT" => Moment::Rcpt,
        "DATA" => Moment::Data,
        _ => Moment::Quit,
    }
}
