//! A mailer with a password opener and a clock of the test's, and a mail to send.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;
use warmup::{
    adapters::smtp::{SmtpConfig, SmtpMailer},
    domain::{
        id::{BatchId, FlightId, MailboxId, ShardId, UserId},
        lease::MachineTime,
        mailbox::{Endpoint, Security},
        outcome::Outcome,
        reply::ReplyPolicy,
        time::Weekdays,
    },
    ports::{Clock, Flight, Mailer, Participant, PasswordOpener, PortError, SendPermit, Submission},
};
use warmup_support::smtp::{FaultyHost, Script};

pub const PASSWORD: &str = "correct-horse-7";
pub const USERNAME: &str = "anna@one.test";

/// Takes the sealed bytes for the password; `broken` does not open.
struct Opener;

impl PasswordOpener for Opener {
    fn open(&self, _mailbox: MailboxId, _place: &Endpoint, sealed: &[u8]) -> Result<SecretString, PortError> {
        match std::str::from_utf8(sealed) {
            Ok("broken") | Err(_) => Err(PortError::Permanent("it does not open".into())),
            Ok(password) => Ok(SecretString::from(password)),
        }
    }
}

struct MachineClock;

#[async_trait]
impl Clock for MachineClock {
    fn now(&self) -> DateTime<Utc> {
        date()
    }

    fn machine(&self) -> MachineTime {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        MachineTime(Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap()))
    }

    fn caps_now(&self) -> Option<i64> {
        None
    }

    async fn sleep_until(&self, _at: DateTime<Utc>) {}

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Far longer than anything here takes, so that only the tests about time see its end.
pub fn config() -> SmtpConfig {
    SmtpConfig {
        smtp_timeout: Duration::from_secs(30),
        mail_deadline: Duration::from_secs(100),
        allow_plaintext: true,
        allow_private_hosts: true,
        tls_ca_file: None,
        header: "X-Warmup".into(),
        hello_name: Some("client.test".into()),
    }
}

/// For what ends by time: a host that is silent is given up after this.
pub fn impatient() -> SmtpConfig {
    SmtpConfig { smtp_timeout: Duration::from_millis(300), ..config() }
}

pub fn mailer(config: SmtpConfig) -> SmtpMailer {
    SmtpMailer::new(config, Arc::new(Opener), Arc::new(MachineClock)).unwrap()
}

fn date() -> DateTime<Utc> {
    "2026-11-24T09:30:00Z".parse().unwrap()
}

pub fn mail(port: u16, security: Security) -> Submission {
    let party = |id, email: &str, name: &str| Participant {
        mailbox: MailboxId(id),
        email: email.into(),
        display_name: name.into(),
    };
    let flight = Flight {
        id: FlightId(1),
        batch: BatchId(1),
        shard: ShardId(0),
        day: NaiveDate::from_ymd_opt(2026, 11, 24).unwrap(),
        user: UserId(1),
        sender: party(1, "anna@one.test", "Anna"),
        recipient: party(2, "ben@two.test", "Ben"),
        round: 0,
        message_id: format!("{}@one.test", Uuid::now_v7()),
        subject: "Lunch".into(),
        answers: None,
        answering: ReplyPolicy { rate: 0, zone: chrono_tz::UTC, days: Weekdays::ALL },
        endpoint: Endpoint { host: "127.0.0.1".into(), port, security },
        username: USERNAME.into(),
        sealed_password: PASSWORD.into(),
    };
    Submission { flight, text: "See you at noon.\n.\nAnna\n".into(), date: date(), thread: None }
}

/// What a test sees of one mail to a host that follows `script`.
pub struct Seen {
    pub outcome: Outcome,
    pub host: FaultyHost,
}

pub async fn send_to(script: Script) -> Seen {
    send_with(config(), script, SendPermit::always(), Security::None).await
}

pub async fn send_impatiently_to(script: Script) -> Seen {
    send_with(impatient(), script, SendPermit::always(), Security::None).await
}

pub async fn send_with(config: SmtpConfig, script: Script, gate: SendPermit, security: Security) -> Seen {
    let host = FaultyHost::start(script).await;
    let delivery = mailer(config).send(&mail(host.port(), security), &gate).await;
    Seen { outcome: delivery.outcome, host }
}

/// Sends a mail to a host that follows `script`, and another by the same mailer, which may have learned from the first.
pub async fn send_twice_to(script: Script) -> ([Outcome; 2], FaultyHost) {
    let host = FaultyHost::start(script).await;
    let (mailer, gate) = (mailer(config()), SendPermit::always());
    let first = mailer.send(&mail(host.port(), Security::None), &gate).await.outcome;
    let second = mailer.send(&mail(host.port(), Security::None), &gate).await.outcome;
    ([first, second], host)
}

/// A PEM file for `tls_ca_file`, with the folder that it lives in.
pub fn ca_file(pem: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    (folder, path)
}

#[test]
fn the_opener_of_these_tests_opens() {
    assert_eq!(
        Opener.open(MailboxId(1), &mail(587, Security::Starttls).flight.endpoint, b"x").unwrap().expose_secret(),
        "x"
    );
}
