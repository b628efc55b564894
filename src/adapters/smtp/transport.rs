//! `Transport` is the stream below the client library and above TLS. It observes everything that an outcome depends on.
//!
//! ```text
//!   lettre ──commands, body, dot──▶ ┌───────────┐ ──▶ TLS ──▶ TCP (Nagle off)
//!          ◀──synthetic replies──── │ Transport │ ◀──replies──
//!                                   └───────────┘
//!   the dialogue asks it: which reply is complete? has the final dot begun?
//! ```
//!
//! - *Replies* go to the dialogue alone, by the rule in `reply.rs`. lettre accepts half a reply as definite and fails
//!   on text that is not UTF-8. So lettre reads a synthetic `250` after each write and a synthetic greeting. One write
//!   may hold several commands: their replies are read one after another, and only bytes after the last one are out of
//!   turn.
//! - *Final dot.* After `arm`, the write that ends in `CRLF.CRLF` is the final dot: dot stuffing keeps that sequence
//!   out of every body. Before its first byte leaves, two conditions must hold: the host has sent nothing that could
//!   pass for the reply to the dot, and the send permit is open. Otherwise the write fails and the dot never leaves.
//! - *QUIT.* lettre sends its own QUIT when its EHLO fails. The transport refuses a QUIT until `part` is called. A
//!   host that takes several commands gets QUIT together with the dot, in one write.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use super::{
    capabilities::Capabilities,
    reply::{Reading, read},
    stream::SmtpStream,
};
use crate::{
    domain::outcome::{Reply, classify::DialogueEnd},
    ports::SendPermit,
};
use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};
use tokio_rustls::client::TlsStream;

const MADE_UP: &[u8] = b"250 wire\r\n";
const OUT_OF_TURN: &str = "the host spoke out of turn";
const FINAL_DOT: &[u8] = b"\r\n.\r\n";
/// The QUIT command, which may follow the end of a body as the last command (RFC 2920 section 3.1).
const QUIT: &[u8] = b"QUIT\r\n";

/// The limit of a held body, in bytes: a larger body does not wait for its final dot.
const MOST_HELD: usize = 16 * 1024;

/// The state of the final dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dot {
    /// The dot has not been written yet.
    Ahead,
    /// The write of the dot has begun: from now on only a complete reply is definite.
    Begun,
    /// The dot never left: the send permit was closed, or the host sent bytes or closed before it.
    Withheld,
}

struct State {
    /// The open stream; `None` once STARTTLS has taken it out.
    link: Option<SmtpStream>,
    /// The synthetic reply that lettre reads next.
    made_up: &'static [u8],
    reply: Vec<u8>,
    /// The number of pipelined commands whose replies have not been read.
    unanswered: usize,
    gate: Option<SendPermit>,
    dot: Dot,
    /// True if QUIT goes out together with the final dot.
    quits: bool,
    /// The bytes that go out with the next flush.
    held: Vec<u8>,
    /// True if `held` is a body that is small enough to go out with its final dot.
    waits: bool,
    parting: bool,
    /// The first failure of the connection: later reads only report "closed".
    fault: Option<String>,
}

/// A `Transport` is shared: one clone belongs to lettre, the other to the dialogue.
#[derive(Clone)]
pub(super) struct Transport {
    state: Arc<Mutex<State>>,
    dot_begun: Arc<Notify>,
}

impl Transport {
    /// Returns a transport over plain TCP.
    pub(super) fn plain(stream: TcpStream) -> Transport {
        Transport::new(SmtpStream::Plain(stream))
    }

    /// Returns a transport over TLS.
    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Transport {
        Transport::new(SmtpStream::Tls(Box::new(stream)))
    }

    fn new(link: SmtpStream) -> Transport {
        let state = State {
            link: Some(link),
            made_up: MADE_UP,
            reply: Vec::new(),
            unanswered: 0,
            gate: None,
            dot: Dot::Ahead,
            quits: false,
            held: Vec::new(),
            waits: false,
            parting: false,
            fault: None,
        };
        Transport { state: Arc::new(Mutex::new(state)), dot_begun: Arc::new(Notify::new()) }
    }

    /// Returns the local address of the connection.
    pub(super) fn local_ip(&self) -> Result<IpAddr, DialogueEnd> {
        let local = self.state().link().and_then(|link| link.tcp().local_addr());
        local.map(|local| local.ip()).map_err(|error| DialogueEnd::Lost(error.to_string()))
    }

    /// Announces that the next write holds `commands` commands, each with its own reply.
    pub(super) fn expect(&self, commands: usize) {
        self.state().unanswered = commands;
    }

    /// Returns the number of pipelined commands whose replies have not been read.
    pub(super) fn unanswered(&self) -> usize {
        self.state().unanswered
    }

    /// Returns the host's capabilities from the EHLO reply that was just read.
    pub(super) fn offers(&self) -> Capabilities {
        Capabilities::of(&self.state().reply)
    }

    /// Waits for the complete reply to the last write; of several replies, for the next one.
    ///
    /// Bytes after the last reply are an error while the dialogue goes on: the host answers a command that was not
    /// sent.
    pub(super) async fn reply(&self) -> Result<Reply, DialogueEnd> {
        loop {
            if let Some(answer) = self.state().answer() {
                return answer;
            }
            std::future::poll_fn(|cx| self.state().poll_more(cx)).await?;
        }
    }

    /// Arms the final dot: from now on its write checks `gate` first, and adds a QUIT if `quits` is true. A small body
    /// waits for the dot, so that both are one write.
    pub(super) fn arm(&self, gate: SendPermit, quits: bool) {
        let mut state = self.state();
        (state.gate, state.quits) = (Some(gate), quits);
    }

    /// Returns whether the host expects commands now, and not the lines of a body.
    pub(super) fn takes_commands(&self) -> bool {
        let state = self.state();
        state.gate.is_none() || state.dot == Dot::Begun
    }

    /// Returns whether the write of the final dot has begun.
    pub(super) fn has_dot_begun(&self) -> bool {
        self.state().dot == Dot::Begun
    }

    /// Waits until the write of the final dot begins.
    pub(super) async fn dot_begins(&self) {
        self.dot_begun.notified().await;
    }

    /// Permits a QUIT. Returns whether QUIT must still be sent.
    pub(super) fn part(&self) -> bool {
        !std::mem::replace(&mut self.state().parting, true)
    }

    /// Takes the TCP stream out, so that TLS can wrap it. Bytes that were read ahead are dropped.
    pub(super) fn take_tcp(&self) -> Option<TcpStream> {
        match self.state().link.take() {
            Some(SmtpStream::Plain(stream)) => Some(stream),
            Some(SmtpStream::Tls(_)) | None => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves this state consistent: nothing between two writes can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the answer so far, or `None` if more bytes are needed.
    fn answer(&mut self) -> Option<Result<Reply, DialogueEnd>> {
        if self.dot == Dot::Withheld {
            return Some(self.withheld());
        }
        match read(&self.reply) {
            Reading::Partial => None,
            Reading::Garbled(text) => Some(Err(DialogueEnd::Garbled(text))),
            Reading::Complete { reply, length } if self.unanswered > 1 => {
                self.unanswered -= 1;
                self.reply.drain(..length);
                Some(Ok(reply))
            }
            Reading::Complete { length, .. } if length < self.reply.len() && self.dot == Dot::Ahead => {
                Some(Err(DialogueEnd::Garbled(OUT_OF_TURN.into())))
            }
            Reading::Complete { reply, .. } => {
                self.unanswered = 0;
                Some(Ok(reply))
            }
        }
    }

    /// Returns the reason why the dot never left. A reply that came before the dot can only be a refusal.
    fn withheld(&self) -> Result<Reply, DialogueEnd> {
        if let Some(fault) = &self.fault {
            return Err(DialogueEnd::Lost(fault.clone()));
        }
        match read(&self.reply) {
            Reading::Complete { reply, .. } if reply.code >= 400 => Ok(reply),
            _ if !self.reply.is_empty() => Err(DialogueEnd::Garbled(OUT_OF_TURN.into())),
            _ if self.gate.as_ref().is_some_and(|gate| gate.cancel.is_cancelled()) => Err(DialogueEnd::Cancelled),
            _ => Err(DialogueEnd::LeaseLost),
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DialogueEnd>> {
        let mut bytes = [0; 512];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = match self.link() {
            Ok(link) => ready!(Pin::new(link).poll_read(cx, &mut buffer)),
            Err(error) => Err(error),
        };
        match read {
            Ok(()) if !buffer.filled().is_empty() => {
                self.reply.extend_from_slice(buffer.filled());
                return Poll::Ready(Ok(()));
            }
            Ok(()) => self.note("the host closed the connection"),
            Err(error) => self.note(&error.to_string()),
        }
        Poll::Ready(Err(DialogueEnd::Lost(self.fault.clone().unwrap_or_default())))
    }

    fn note(&mut self, fault: &str) {
        self.fault.get_or_insert_with(|| fault.to_owned());
    }

    fn link(&mut self) -> io::Result<&mut SmtpStream> {
        self.link.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Admits or refuses a write before any of its bytes leave.
    fn admit(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<()> {
        if !self.parting && bytes == QUIT {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if self.dot == Dot::Ahead && self.gate.is_some() && bytes.ends_with(FINAL_DOT) {
            let silent = self.poll_more(cx).is_pending();
            let open = silent && self.gate.as_ref().is_some_and(SendPermit::is_open);
            self.dot = if open { Dot::Begun } else { Dot::Withheld };
        }
        match self.dot {
            Dot::Withheld => Err(io::ErrorKind::PermissionDenied.into()),
            Dot::Ahead | Dot::Begun => Ok(()),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        let (now, later) = state.made_up.split_at(state.made_up.len().min(buffer.remaining()));
        buffer.put_slice(now);
        state.made_up = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        state.admit(cx, bytes)?;
        state.made_up = MADE_UP;
        state.reply.clear();
        if state.dot == Dot::Begun {
            self.dot_begun.notify_one();
        }
        state.held.extend_from_slice(bytes);
        state.waits = state.gate.is_some() && state.dot == Dot::Ahead && state.held.len() <= MOST_HELD;
        if state.quits && bytes == FINAL_DOT {
            state.held.extend_from_slice(QUIT);
            (state.unanswered, state.parting) = (2, true);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.waits {
            return Poll::Ready(Ok(()));
        }
        let state = &mut *state;
        while !state.held.is_empty() {
            let link = state.link.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            match ready!(Pin::new(link).poll_write(cx, &state.held)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => drop(state.held.drain(..written)),
                Err(error) => {
                    state.note(&error.to_string());
                    return Poll::Ready(Err(error));
                }
            }
        }
        Pin::new(state.link()?).poll_flush(cx)
    }

    /// Does nothing: only the dialogue ends the connection, by dropping it.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncTokioStream for Transport {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.state().link()?.tcp().peer_addr()
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::{io::AsyncReadExt, net::TcpSocket};

    use super::*;

    /// Returns a transport and its other end, with the smallest socket buffers that the system allows.
    async fn narrow() -> (Transport, TcpStream) {
        let socket = || {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_send_buffer_size(1).unwrap();
            socket.set_recv_buffer_size(1).unwrap();
            socket
        };
        let host = socket();
        host.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let host = host.listen(1).unwrap();
        let wire = socket().connect(host.local_addr().unwrap()).await.unwrap();
        (Transport::plain(wire), host.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_body_that_does_not_wait_is_out_before_its_dot() {
        let (mut wire, mut host) = narrow().await;
        wire.arm(SendPermit::always(), true);
        let body = vec![b'x'; MOST_HELD + 1];
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut wire).poll_write(&mut cx, &body).is_ready());
        for _ in 0..3 {
            assert!(Pin::new(&mut wire).poll_flush(&mut cx).is_pending(), "little is left, and the host reads nothing");
        }
        let mut heard = vec![0; body.len()];
        let (flushed, _) =
            tokio::join!(std::future::poll_fn(|cx| Pin::new(&mut wire).poll_flush(cx)), host.read_exact(&mut heard));
        flushed.unwrap();
        assert!(heard == body && !wire.has_dot_begun());
    }
}
