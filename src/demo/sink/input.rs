//! `Input` reads a client's requests, the lines of an AUTH exchange, and the body of a mail.

use std::io;

use smtp_proto::{
    Error, Request,
    request::receiver::{DataReceiver, MAX_LINE_LENGTH},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// An `Input` is a stream with the bytes that were read and not yet parsed.
pub(super) struct Input<S> {
    stream: S,
    pending: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Input<S> {
    pub(super) fn new(stream: S) -> Input<S> {
        Input { stream, pending: Vec::with_capacity(4096) }
    }

    /// Returns the stream and drops the bytes that were read ahead: bytes from before TLS must not count after
    /// it.
    pub(super) fn into_stream(self) -> S {
        self.stream
    }

    pub(super) async fn say(&mut self, reply: &str) -> io::Result<()> {
        self.stream.write_all(reply.as_bytes()).await?;
        self.stream.flush().await
    }

    /// Returns the next request, or the parse error.
    pub(super) async fn request(&mut self) -> io::Result<Result<Request<String>, Error>> {
        loop {
            let mut bytes = self.pending.iter();
            match Request::parse(&mut bytes) {
                Err(Error::NeedsMoreData { .. }) => {}
                parsed => {
                    let (parsed, left) = (parsed.map(Request::into_owned), bytes.len());
                    self.pending.drain(..self.pending.len() - left);
                    return Ok(parsed);
                }
            }
            self.fill(MAX_LINE_LENGTH).await?;
        }
    }

    /// Returns the next line, without its line end.
    pub(super) async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.fill(MAX_LINE_LENGTH).await?;
        }
    }

    /// Returns the body up to the final dot, with dot stuffing undone.
    pub(super) async fn body(&mut self) -> io::Result<Vec<u8>> {
        let mut receiver = DataReceiver::new();
        let mut body = Vec::new();
        loop {
            let mut bytes = self.pending.iter();
            let done = receiver.ingest(&mut bytes, &mut body);
            let left = bytes.len();
            self.pending.drain(..self.pending.len() - left);
            if done {
                return Ok(body);
            }
            self.fill(usize::MAX).await?;
        }
    }

    /// Reads more bytes. Returns an error if `limit` bytes wait to be parsed already.
    async fn fill(&mut self, limit: usize) -> io::Result<()> {
        if self.pending.len() >= limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
        }
        match self.stream.read_buf(&mut self.pending).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
