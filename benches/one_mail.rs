//! What one mail on loopback takes, against Postfix's `smtp-sink`: our mailer, and lettre's connection as it comes.
//!
//! lettre leaves Nagle on: body and final dot are two writes, so each mail waits 40 ms for a delayed acknowledgement.
//! A median near 41 ms in the first line is that fault come back.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a bench measures real time and may fail loudly")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use lettre::transport::smtp::{
    client::AsyncSmtpConnection,
    commands::{Data, Mail, Rcpt},
    extension::ClientId,
};
use secrecy::SecretString;
use warmup::{
    adapters::smtp::{SmtpConfig, SmtpMailer},
    domain::{
        id::{BatchId, FlightId, MailboxId, ShardId, UserId},
        lease::MachineTime,
        mailbox::{Endpoint, Security},
        outcome::Fate,
        reply::Answering,
        time::Weekdays,
    },
    ports::{Clock, Flight, Gate, Mailer, Outgoing, Party, PasswordOpener, PortError},
};
use warmup_support::smtp::postfix::SmtpSink;

const MAILS: usize = 200;

struct Bench(Instant);

#[async_trait]
impl Clock for Bench {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn machine(&self) -> MachineTime {
        MachineTime(self.0.elapsed())
    }

    fn caps_now(&self) -> Option<i64> {
        None
    }

    async fn sleep_until(&self, _at: DateTime<Utc>) {}

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl PasswordOpener for Bench {
    fn open(&self, _mailbox: MailboxId, _place: &Endpoint, _sealed: &[u8]) -> Result<SecretString, PortError> {
        Ok(SecretString::from("secret"))
    }
}

fn mailer() -> SmtpMailer {
    let config = SmtpConfig {
        smtp_timeout: Duration::from_secs(10),
        mail_deadline: Duration::from_secs(30),
        allow_plaintext: true,
        allow_private_hosts: true,
        tls_ca_file: None,
        header: "X-Warmup".into(),
        hello_name: Some("bench.test".into()),
    };
    SmtpMailer::new(config, Arc::new(Bench(Instant::now())), Arc::new(Bench(Instant::now()))).unwrap()
}

fn mail(port: u16) -> Outgoing {
    let party = |id, email: &str| Party { mailbox: MailboxId(id), email: email.into(), display_name: "Bench".into() };
    let flight = Flight {
        id: FlightId(1),
        batch: BatchId(1),
        shard: ShardId(0),
        day: NaiveDate::default(),
        user: UserId(1),
        sender: party(1, "anna@one.test"),
        recipient: party(2, "ben@two.test"),
        message_id: "1@one.test".into(),
        subject: "Bench".into(),
        answers: None,
        answering: Answering { rate: 0, zone: chrono_tz::UTC, days: Weekdays::ALL },
        endpoint: Endpoint { host: "127.0.0.1".into(), port, security: Security::None },
        username: "anna@one.test".into(),
        sealed_password: b"sealed".to_vec(),
    };
    Outgoing { flight, text: "One kilobyte of text.\n".repeat(48), date: Utc::now(), thread: None }
}

async fn ours(mailer: &SmtpMailer, mail: &Outgoing) {
    assert_eq!(mailer.send(mail, &Gate::always()).await.outcome.fate, Fate::Sent);
}

async fn lettre_as_it_comes(port: u16) {
    let hello = ClientId::Domain("bench.test".into());
    let mut connection =
        AsyncSmtpConnection::connect_tokio1(("127.0.0.1", port), None, &hello, None, None).await.unwrap();
    connection.command(Mail::new(Some("anna@one.test".parse().unwrap()), vec![])).await.unwrap();
    connection.command(Rcpt::new("ben@two.test".parse().unwrap(), vec![])).await.unwrap();
    connection.command(Data).await.unwrap();
    connection.message("One kilobyte of text.\r\n".repeat(48).as_bytes()).await.unwrap();
    connection.quit().await.unwrap();
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort();
    println!(
        "{name:<32} median {:>7.2?}  fastest {:>7.2?}  slowest {:>7.2?}",
        times[MAILS / 2],
        times[0],
        times[MAILS - 1]
    );
}

#[tokio::main]
async fn main() {
    let sink = SmtpSink::start().await;
    let (mailer, mail) = (mailer(), mail(sink.port()));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..MAILS {
        let started = Instant::now();
        ours(&mailer, &mail).await;
        without.push(started.elapsed());
        let started = Instant::now();
        lettre_as_it_comes(sink.port()).await;
        with.push(started.elapsed());
    }
    report("warmup (Nagle off, AUTH)", without);
    report("lettre as it comes (Nagle on)", with);
}
