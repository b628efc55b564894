//! lettre alone, in a loop: a new connection for each mail, so many at once, and nothing else.
//!
//! Its sockets have no Nagle, as ours: as lettre opens them, each mail waits 40 ms for a delayed acknowledgement.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use lettre::{
    Message,
    message::MultiPart,
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        extension::ClientId,
    },
};
use tokio::net::TcpStream;

use super::machine;

/// As long as most of ours, and as both of our forms.
const TEXT: &str = "Hi,\n\nThe large room is taken until eleven, so I put us into the small one beside the kitchen. It has a \
                    screen and enough chairs for eight.\n\nShall I order coffee?\n\nCheers\n";
const PAGE: &str = "<!DOCTYPE html>\n<html>\n<body>\n<p>Hi,</p>\n<p>The large room is taken until eleven, so I put us into the \
                    small one beside the kitchen. It has a screen and enough chairs for eight.</p>\n<p>Shall I order \
                    coffee?</p>\n<p>Cheers</p>\n</body>\n</html>\n";

/// What a loop did.
pub struct Bare {
    pub mails_per_second: f64,
    pub cpu_ms_per_mail: f64,
}

/// A host, and how it is logged in to.
#[derive(Clone)]
pub struct Host {
    port: u16,
    login: Option<(TlsParameters, Credentials)>,
}

impl Host {
    /// A host on loopback that is spoken to in the clear.
    pub fn plain(port: u16) -> Host {
        Host { port, login: None }
    }

    /// A host `localhost` with STARTTLS under `root`, a PEM file, and a login.
    pub fn with_login(port: u16, root: &Path, address: &str, password: &str) -> Host {
        let root = Certificate::from_pem(&std::fs::read(root).unwrap()).unwrap();
        let tls = TlsParameters::builder("localhost".into()).add_root_certificate(root).build_rustls().unwrap();
        Host { port, login: Some((tls, Credentials::new(address.to_owned(), password.to_owned()))) }
    }

    async fn connect(&self) -> AsyncSmtpConnection {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let hello = ClientId::Domain("bench.test".into());
        let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await.unwrap();
        if let Some((tls, credentials)) = &self.login {
            connection.starttls(tls.clone(), &hello).await.unwrap();
            connection.auth(DEFAULT_MECHANISMS, credentials).await.unwrap();
        }
        connection
    }
}

/// Sends `mails` mails, `lanes` at once, between as many mailboxes of `domain` as `warmup bench send` has for them.
pub async fn send(host: &Host, domain: &str, mails: u64, lanes: usize) -> Bare {
    let mailboxes = mails.div_ceil(30).max(lanes as u64 * 4);
    let left = Arc::new(AtomicU64::new(mails));
    let (began, us) = (Instant::now(), std::process::id());
    let before = machine::cpu_of(us);
    let lane = || {
        let (left, host, domain) = (Arc::clone(&left), host.clone(), domain.to_owned());
        tokio::spawn(async move {
            let (take, address) = (|left: u64| left.checked_sub(1), |n| format!("m{n}@{domain}").parse().unwrap());
            while let Ok(n) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
                let mail = Message::builder().from(address(n % mailboxes)).to(address((n + 1) % mailboxes));
                let mail = mail.subject("About the minutes").message_id(None);
                let mail = mail.multipart(MultiPart::alternative_plain_html(TEXT.to_owned(), PAGE.to_owned())).unwrap();
                let mut connection = host.connect().await;
                connection.send(mail.envelope(), &mail.formatted()).await.unwrap();
                connection.quit().await.unwrap();
            }
        })
    };
    for lane in (0..lanes).map(|_| lane()).collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    let spent = machine::cpu_of(us) - before;
    Bare {
        mails_per_second: mails as f64 / began.elapsed().as_secs_f64(),
        cpu_ms_per_mail: spent.as_secs_f64() * 1e3 / mails as f64,
    }
}
