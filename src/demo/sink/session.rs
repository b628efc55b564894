//! `Session` is the server's side of the SMTP dialogue on one connection.

use std::{io, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use mail_parser::MessageParser;
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, Error, Request};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{input::Input, scenario::Scenario, server::Sink};

/// The delay of a slow reply: far more than a mail takes, far less than a client waits.
const SLOW: Duration = Duration::from_secs(1);

/// The end of a session whose connection did not break.
pub(super) enum End<S> {
    /// The server closes the connection.
    Close,
    /// STARTTLS was accepted; TLS begins on this stream.
    Starttls(S),
}

/// The step after a request.
enum Next {
    Go,
    Close,
    Starttls,
}

pub(super) struct Session<'a, S> {
    sink: &'a Sink,
    input: Input<S>,
    secured: bool,
    authenticated: bool,
    from: Option<String>,
    to: Option<String>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Session<'a, S> {
    pub(super) fn new(sink: &'a Sink, stream: S, secured: bool) -> Session<'a, S> {
        Session { sink, input: Input::new(stream), secured, authenticated: false, from: None, to: None }
    }

    /// Serves requests until the connection ends. After STARTTLS there is no second greeting (RFC 3207 section
    /// 4.2).
    pub(super) async fn run(mut self) -> io::Result<End<S>> {
        if !self.secured {
            self.input.say("220 localhost ESMTP warmup sink\r\n").await?;
        }
        loop {
            let next = match self.input.request().await? {
                Ok(request) => self.obey(request).await?,
                Err(error) => self.complain(&error).await?,
            };
            match next {
                Next::Go => {}
                Next::Close => return Ok(End::Close),
                Next::Starttls => return Ok(End::Starttls(self.input.into_stream())),
            }
        }
    }

    async fn obey(&mut self, request: Request<String>) -> io::Result<Next> {
        match request {
            Request::Ehlo { .. } => self.hello().await,
            Request::Helo { .. } => self.say("250 localhost\r\n").await,
            Request::StartTls if !self.secured => {
                self.input.say("220 2.0.0 Ready to start TLS\r\n").await?;
                Ok(Next::Starttls)
            }
            Request::Auth { mechanism, initial_response } => self.auth(mechanism, &initial_response).await,
            Request::Mail { from } => self.mail(from.address).await,
            Request::Rcpt { to } => self.rcpt(to.address).await,
            Request::Data => self.data().await,
            Request::Rset => {
                self.reset();
                self.say("250 2.0.0 Ok\r\n").await
            }
            Request::Noop { .. } => self.say("250 2.0.0 Ok\r\n").await,
            Request::Quit => {
                self.input.say("221 2.0.0 Bye\r\n").await?;
                Ok(Next::Close)
            }
            _ => self.say("502 5.5.1 Not implemented\r\n").await,
        }
    }

    async fn complain(&mut self, error: &Error) -> io::Result<Next> {
        match error {
            Error::UnknownCommand => self.say("500 5.5.2 Unknown command\r\n").await,
            _ => self.say("501 5.5.4 Syntax error\r\n").await,
        }
    }

    /// Sends the capabilities. AUTH is offered under TLS only, so that no client can send its password in plain
    /// text.
    async fn hello(&mut self) -> io::Result<Next> {
        self.reset();
        let offer = if self.secured { "250-AUTH PLAIN LOGIN\r\n" } else { "250-STARTTLS\r\n" };
        let reply = format!("250-localhost\r\n{offer}250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n");
        self.say(&reply).await
    }

    async fn auth(&mut self, mechanism: u64, initial: &str) -> io::Result<Next> {
        if !self.secured {
            return self.say("538 5.7.11 Encryption required\r\n").await;
        }
        let password = match mechanism {
            AUTH_PLAIN => self.plain(initial).await?,
            AUTH_LOGIN => self.login(initial).await?,
            _ => return self.say("504 5.5.4 Unrecognized authentication type\r\n").await,
        };
        self.authenticated = password.is_some_and(|password| self.sink.takes(&password));
        match self.authenticated {
            true => self.say("235 2.7.0 Authentication successful\r\n").await,
            false => self.say("535 5.7.8 Authentication credentials invalid\r\n").await,
        }
    }

    async fn plain(&mut self, initial: &str) -> io::Result<Option<String>> {
        let response = if initial.is_empty() { self.challenge("").await? } else { decode(initial) };
        Ok(response.and_then(|response| response.rsplit('\0').next().map(str::to_owned)))
    }

    async fn login(&mut self, initial: &str) -> io::Result<Option<String>> {
        if initial.is_empty() {
            self.challenge("Username:").await?;
        }
        self.challenge("Password:").await
    }

    async fn challenge(&mut self, prompt: &str) -> io::Result<Option<String>> {
        self.input.say(&format!("334 {}\r\n", BASE64_STANDARD.encode(prompt))).await?;
        Ok(decode(&self.input.line().await?))
    }

    async fn mail(&mut self, address: String) -> io::Result<Next> {
        if self.sink.wants_auth() && !self.authenticated {
            return self.say("530 5.7.0 Authentication required\r\n").await;
        }
        self.reset();
        self.from = Some(address);
        self.say("250 2.1.0 Ok\r\n").await
    }

    async fn rcpt(&mut self, address: String) -> io::Result<Next> {
        match (&self.from, &self.to) {
            (None, _) => self.say("503 5.5.1 MAIL first\r\n").await,
            // A line of the journal is one mail to one recipient.
            (Some(_), Some(_)) => self.say("452 4.5.3 One recipient a mail\r\n").await,
            (Some(_), None) => {
                self.to = Some(address);
                self.say("250 2.1.5 Ok\r\n").await
            }
        }
    }

    async fn data(&mut self) -> io::Result<Next> {
        let (Some(from), Some(to)) = (self.from.take(), self.to.take()) else {
            return self.say("503 5.5.1 RCPT first\r\n").await;
        };
        let scenario = self.sink.scenario(&from, &to);
        if scenario == Some(Scenario::DropBeforeDot) {
            return Ok(Next::Close);
        }
        self.input.say("354 End data with <CR><LF>.<CR><LF>\r\n").await?;
        let body = self.input.body().await?;
        match scenario {
            Some(Scenario::TempError) => return self.say("451 4.0.0 Scenario\r\n").await,
            Some(Scenario::PermError) => return self.say("554 5.0.0 Scenario\r\n").await,
            Some(Scenario::VanishAfterDot) => return Ok(Next::Close),
            Some(Scenario::Slow) => tokio::time::sleep(SLOW).await,
            Some(Scenario::DropBeforeDot | Scenario::DropAfterDot) | None => {}
        }
        self.sink.journal.record(&from, &to, &message_id(&body))?;
        match scenario {
            Some(Scenario::DropAfterDot) => Ok(Next::Close),
            _ => self.say("250 2.0.0 Ok: accepted\r\n").await,
        }
    }

    fn reset(&mut self) {
        self.from = None;
        self.to = None;
    }

    async fn say(&mut self, reply: &str) -> io::Result<Next> {
        self.input.say(reply).await?;
        Ok(Next::Go)
    }
}

fn decode(text: &str) -> Option<String> {
    BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

fn message_id(body: &[u8]) -> String {
    let parsed = MessageParser::default().parse_headers(body);
    parsed.and_then(|message| message.message_id().map(str::to_owned)).unwrap_or_default()
}
