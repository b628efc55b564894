//! `open` brings a dialogue to the point where a mail can begin: connection, TLS, greeting, EHLO, login.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
};

use lettre::transport::smtp::{client::AsyncSmtpConnection, commands::Starttls, extension::ClientId};
use tokio::net::TcpStream;

use super::{Dialogue, accept, envelope::Command, gone, is_2yz};
use crate::{
    adapters::smtp::{
        capabilities::STARTTLS,
        connect,
        host_memory::HostFact,
        race,
        sasl::{Login, is_mechanism_refused},
        session::SmtpSession,
        tls,
        transport::Transport,
    },
    domain::{
        mailbox::Security,
        outcome::{Stage, classify::DialogueEnd},
    },
};

impl Dialogue<'_> {
    /// Opens the connection and logs in, if `login` is given.
    pub(super) async fn open(&mut self, login: Option<&Login<'_>>) -> Result<(), DialogueEnd> {
        let tcp = self.connect().await?;
        self.secure(tcp).await?;
        match login {
            Some(login) => self.authenticate(login).await,
            None => Ok(()),
        }
    }

    async fn connect(&mut self) -> Result<TcpStream, DialogueEnd> {
        self.stage = Stage::Connect;
        let (endpoint, now) = (self.endpoint, self.patience.clock.machine());
        let (resolver, memory) = (&self.terms.resolver, &self.terms.memory);
        let place = (endpoint.host.as_str(), endpoint.port);
        let found = self.patience.step(connect::resolve(resolver, place, self.terms.allow_private, now)).await??;
        let dead = |address: &SocketAddr| HostFact::DeadAddress(address.ip());
        let ordered = race::order(&found, |address| memory.has(endpoint, dead(address), now));
        match self.patience.step(race::run(ordered, connect::open)).await {
            Ok(Ok(winner)) => {
                winner.losers.iter().for_each(|loser| memory.note(endpoint, dead(loser), now));
                memory.forget(endpoint, dead(&winner.address));
                self.passed("connect", None, winner.address);
                Ok(winner.connection)
            }
            Err(DialogueEnd::Cancelled) => Err(DialogueEnd::Cancelled),
            Ok(Err(lost)) | Err(lost) => {
                // No address answers: the host may have moved, so the next mail resolves its name again.
                resolver.forget(&endpoint.host);
                Err(lost)
            }
        }
    }

    /// Prepares the connection for commands: TLS as the mailbox requires it, greeting, EHLO.
    async fn secure(&mut self, tcp: TcpStream) -> Result<(), DialogueEnd> {
        match self.endpoint.security {
            Security::Tls => {
                let wire = self.handshake(tcp).await?;
                self.greet(wire).await
            }
            Security::None => self.greet_in_plain(tcp).await,
            Security::Starttls => {
                self.greet_in_plain(tcp).await?;
                let tcp = self.starttls().await?;
                let wire = self.handshake(tcp).await?;
                self.hello(wire).await
            }
        }
    }

    async fn handshake(&mut self, tcp: TcpStream) -> Result<Transport, DialogueEnd> {
        self.stage = Stage::Tls;
        let handshake = tls::handshake(Arc::clone(&self.terms.tls), &self.endpoint.host, tcp);
        let stream = self.patience.step(handshake).await??;
        let version = stream.get_ref().1.protocol_version().map(|version| format!("{version:?}"));
        self.passed("tls", None, version.unwrap_or_default());
        Ok(Transport::tls(stream))
    }

    /// Sends STARTTLS and returns the TCP stream. The transport is dropped, and with it every byte that followed in
    /// plain text: nothing received before TLS counts after it (RFC 3207 section 4.2).
    async fn starttls(&mut self) -> Result<TcpStream, DialogueEnd> {
        self.stage = Stage::Tls;
        if !self.line()?.offers.has(STARTTLS) {
            return Err(DialogueEnd::StarttlsMissing);
        }
        self.give(&[&Command::new(Stage::Tls, "starttls", Starttls, |code| code == 220)]).await?;
        self.line.take().and_then(|line| line.wire.take_tcp()).ok_or_else(gone)
    }

    /// Reads the greeting in plain text. Silence usually means a port for implicit TLS, which waits for the client's
    /// first bytes.
    async fn greet_in_plain(&mut self, tcp: TcpStream) -> Result<(), DialogueEnd> {
        let greeted = self.greet(Transport::plain(tcp)).await;
        let is_silent = matches!(greeted, Err(DialogueEnd::Timeout)) && !self.has_greeted();
        if is_silent { Err(DialogueEnd::GreetingMissing) } else { greeted }
    }

    async fn greet(&mut self, wire: Transport) -> Result<(), DialogueEnd> {
        self.stage = Stage::Greeting;
        let greeting = self.patience.greeting(wire.reply()).await??;
        if !is_2yz(greeting.code) {
            return Err(DialogueEnd::Reply(greeting));
        }
        self.passed("greeting", Some(&greeting), &greeting.text);
        self.hello(wire).await
    }

    async fn hello(&mut self, wire: Transport) -> Result<(), DialogueEnd> {
        self.stage = Stage::Greeting;
        let name = self.client_id(&wire)?;
        let answer = {
            // Pinned, because this future is large and must not be moved.
            let opening = pin!(async {
                let opened = AsyncSmtpConnection::connect_with_transport(Box::new(wire.clone()), &name).await;
                (opened, wire.reply().await)
            });
            self.patience.step(opening).await?
        };
        match answer {
            (_, Err(fault)) => Err(fault),
            (_, Ok(reply)) if !is_2yz(reply.code) => Err(DialogueEnd::Reply(reply)),
            (Err(error), Ok(_)) => Err(DialogueEnd::Garbled(error.to_string())),
            (Ok(connection), Ok(reply)) => {
                self.passed("ehlo", Some(&reply), "");
                let offers = wire.offers();
                self.line = Some(SmtpSession { wire, connection, offers });
                Ok(())
            }
        }
    }

    /// Returns the name for EHLO: the configured one, else the address (RFC 5321 section 4.1.4).
    fn client_id(&self, wire: &Transport) -> Result<ClientId, DialogueEnd> {
        if let Some(name) = &self.terms.hello {
            return Ok(ClientId::Domain(name.clone()));
        }
        Ok(match wire.local_ip()? {
            IpAddr::V4(ip) => ClientId::Ipv4(ip),
            IpAddr::V6(ip) => ClientId::Ipv6(ip),
        })
    }

    /// Logs in by the first mechanism that the host does not refuse. A recently refused mechanism is tried last.
    async fn authenticate(&mut self, login: &Login<'_>) -> Result<(), DialogueEnd> {
        self.stage = Stage::Auth;
        let (memory, endpoint, now) = (&self.terms.memory, self.endpoint, self.patience.clock.machine());
        let mut mechanisms = self.line.as_ref().ok_or_else(gone)?.offers.mechanisms();
        mechanisms.sort_by_key(|mechanism| memory.has(endpoint, HostFact::RefusesMechanism(*mechanism), now));
        let mut last = Err(DialogueEnd::AuthMissing);
        for mechanism in mechanisms {
            let line = self.line.as_mut().ok_or_else(gone)?;
            let reply = self.patience.step(line.log_in(login, mechanism)).await??;
            let is_refused = is_mechanism_refused(&reply);
            last = accept(reply, is_2yz);
            if !is_refused {
                break;
            }
            // Stored before the next attempt: a host may close after its refusal, and then its next mail begins with
            // another mechanism.
            self.learn(HostFact::RefusesMechanism(mechanism));
        }
        let reply = last?;
        self.passed("auth", Some(&reply), &reply.text);
        Ok(())
    }

    fn has_greeted(&self) -> bool {
        self.steps.last().is_some_and(|passed| passed.step == "greeting")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        adapters::{
            smtp::{dialogue::DialogueContext, host_memory::HostMemory, resolver::Resolver, timeouts::Timeouts},
            system::SystemClock,
        },
        domain::mailbox::Endpoint,
        ports::{Clock, SendPermit},
    };

    /// A `World` is a host on a free port of 127.0.0.1 whose name leads to `addresses`, for dialogues with a shared
    /// memory.
    struct World {
        clock: Arc<SystemClock>,
        terms: DialogueContext,
        endpoint: Endpoint,
        listener: TcpListener,
    }

    impl World {
        async fn of(host: &str, addresses: &[&str]) -> World {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let clock = Arc::new(SystemClock::real());
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            let terms = DialogueContext {
                tls: tls::client_config(None).unwrap(),
                resolver: Resolver::told(host, &addresses, clock.machine()),
                memory: HostMemory::default(),
                allow_private: true,
                hello: None,
            };
            let endpoint = Endpoint { host: host.into(), port, security: Security::None };
            World { clock, terms, endpoint, listener }
        }

        async fn connect(&self) -> Result<TcpStream, DialogueEnd> {
            let patience = Timeouts {
                deadline: self.clock.machine().after(Duration::from_secs(60)),
                clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
                step: Duration::from_secs(30),
                cancel: CancellationToken::new(),
            };
            Dialogue::new(&self.terms, &self.endpoint, patience, &SendPermit::always()).connect().await
        }

        fn is_dead(&self, address: &str) -> bool {
            let fact = HostFact::DeadAddress(address.parse().unwrap());
            self.terms.memory.has(&self.endpoint, fact, self.clock.machine())
        }
    }

    #[tokio::test]
    async fn a_host_that_is_not_where_it_was_is_looked_for_again() {
        let world = World::of("127.0.0.1", &["127.0.0.9"]).await;
        assert!(matches!(world.connect().await, Err(DialogueEnd::Lost(_))));
        assert!(world.connect().await.is_ok());
    }

    #[tokio::test]
    async fn a_dead_address_is_remembered_and_a_live_one_is_not() {
        let world = World::of("mail.test", &["127.0.0.9", "127.0.0.8", "127.0.0.1"]).await;
        let stream = world.connect().await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), world.listener.local_addr().unwrap());
        assert_eq!(["127.0.0.9", "127.0.0.8", "127.0.0.1"].map(|address| world.is_dead(address)), [true, true, false]);
        let live = HostFact::DeadAddress("127.0.0.1".parse().unwrap());
        world.terms.memory.note(&world.endpoint, live, world.clock.machine());
        assert!(world.connect().await.is_ok() && !world.is_dead("127.0.0.1"));
    }
}
