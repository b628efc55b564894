//! What a real Postfix refuses: a password, a recipient; and what we refuse: a certificate. Each time the right side
//! pays, once, and everybody else has a usual day.

use std::fmt::Write;

use sqlx::{PgPool, types::chrono::NaiveDate};
use warmup_support::{
    day::{DATE, Day, Plan},
    mailstack::{Accounts, Authority, MailStack},
};

const MAILBOXES: usize = 6;
const QUOTA: i16 = 3;

/// The mailbox that is different.
const ODD: &str = "box0@pool.test";

fn address(n: usize) -> String {
    format!("box{n}@pool.test")
}

/// Logins for the whole pool.
fn logins() -> Vec<(String, String)> {
    (0..MAILBOXES).map(|n| (address(n), format!("password-{n}"))).collect()
}

/// A short day of `logins` over both ports of `host`, from 09:00 to 10:00.
fn plan(stack: &MailStack, authority: &Authority, host: &str, logins: &[(String, String)]) -> Plan {
    let mut csv = "email,password,smtp_host,smtp_port,smtp_security,window,ramp_start,daily_max\n".to_owned();
    for (n, (address, password)) in logins.iter().enumerate() {
        let (port, security) = if n % 2 == 0 { (stack.starttls_port(), "starttls") } else { (stack.tls_port(), "tls") };
        let row = format!("{address},{password},{host},{port},{security},09:00-10:00,{QUOTA},{QUOTA}");
        writeln!(csv, "{row}").unwrap();
    }
    // A quota below the guarantee is obeyed.
    Plan::of(csv).with("WARMUP_TLS_CA_FILE", authority.file().display()).speed(500.0).until(10, 30)
}

/// What is stored of one mailbox: as a sender, as a partner, and of its day.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Stored {
    state: String,
    reason: Option<String>,
    receives: bool,
    receive_reason: Option<String>,
    reserved: i16,
    sent: i16,
    failed: i16,
}

impl Stored {
    /// A mailbox after a usual day.
    fn usual() -> Stored {
        let (state, reserved, sent) = ("active".to_owned(), QUOTA, QUOTA);
        Stored { state, reason: None, receives: true, receive_reason: None, reserved, sent, failed: 0 }
    }

    async fn of(pool: &PgPool, email: &str) -> Stored {
        let query = "SELECT state, mailboxes.reason, receives, receive_reason, reserved, sent, failed
                     FROM mailboxes JOIN mailbox_days ON mailbox_id = id WHERE email = $1 AND day = $2";
        sqlx::query_as(query).bind(email).bind(DATE).fetch_one(pool).await.unwrap()
    }
}

/// Kind and reason of each event of `email` that is about its mails.
async fn events(pool: &PgPool, email: &str) -> Vec<(String, String)> {
    let query = "SELECT kind, events.reason FROM events JOIN mailboxes ON mailboxes.id = mailbox_id
                 WHERE email = $1 AND kind ~ '^(sender|partner)-' ORDER BY events.id";
    sqlx::query_as(query).bind(email).fetch_all(pool).await.unwrap()
}

/// Reason, code and enhanced code of each FAILED row.
async fn failures(pool: &PgPool, day: NaiveDate) -> Vec<(String, String, String, Option<i16>, Option<String>)> {
    let query = "SELECT sender, recipient, reason, smtp_code, enhanced_code FROM logs
                 WHERE status = 'FAILED' AND day = $1 ORDER BY id";
    sqlx::query_as(query).bind(day).fetch_all(pool).await.unwrap()
}

fn assert_nothing_in_flight(day: &Day) {
    assert_eq!((day.report.abandoned, day.snapshot.in_flight.as_slice()), (0, [].as_slice()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_tried_once_and_disables_its_mailbox_alone() {
    let authority = Authority::new();
    let stack = MailStack::start(&authority, Accounts { logins: logins(), unknown: vec![] }).await;
    let mut enrolled = logins();
    enrolled[0].1 = "not-its-password".to_owned();

    let day = plan(&stack, &authority, "localhost", &enrolled).run().await;

    let pool = day.database.pool();
    let disabled = Stored {
        state: "disabled".to_owned(),
        reason: Some("auth-refused".to_owned()),
        reserved: 0,
        sent: 0,
        failed: 1,
        ..Stored::usual()
    };
    assert_eq!(Stored::of(pool, ODD).await, disabled);
    assert_eq!(events(pool, ODD).await, [("sender-disabled".to_owned(), "auth-refused".to_owned())]);
    let failures = failures(pool, DATE).await;
    let [(sender, _, reason, code, enhanced)] = failures.as_slice() else { panic!("{failures:?}") };
    assert_eq!((sender.as_str(), reason.as_str()), (ODD, "auth-refused"));
    assert_eq!((*code, enhanced.as_deref()), (Some(535), Some("5.7.8")));
    assert_eq!(count(&stack.postfix_log(), "auth=0/1"), 1, "{}", stack.postfix_log());
    // Its name is in that log for what it is sent too: until it is refused it is anybody's partner.
    let log = stack.dovecot_log();
    let asked = log.lines().filter(|line| line.contains("auth: ") && line.contains(ODD)).count();
    assert_eq!(asked, 1, "{log}");
    for n in 1..MAILBOXES {
        assert_eq!(Stored::of(pool, &address(n)).await, Stored::usual(), "{}", address(n));
    }
    assert_nothing_in_flight(&day);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_partner_is_written_to_once_and_no_sender_pays_for_it() {
    let authority = Authority::new();
    let accounts = Accounts { logins: logins(), unknown: vec![ODD.to_owned()] };
    let stack = MailStack::start(&authority, accounts).await;

    // One lane that rests long after each mail: what a reply means is written before the next mail asks for a partner.
    let day = plan(&stack, &authority, "localhost", &logins())
        .with("WARMUP_MAX_CONCURRENT", 1)
        .with("WARMUP_STAGGER_MIN_MS", 150_000)
        .with("WARMUP_STAGGER_MAX_MS", 150_000)
        .run()
        .await;

    let pool = day.database.pool();
    let excluded = Stored { receives: false, receive_reason: Some("partner-unknown".to_owned()), ..Stored::usual() };
    assert_eq!(Stored::of(pool, ODD).await, excluded);
    assert_eq!(events(pool, ODD).await, [("partner-excluded".to_owned(), "partner-unknown".to_owned())]);
    let failures = failures(pool, DATE).await;
    let [(unlucky, recipient, reason, code, enhanced)] = failures.as_slice() else { panic!("{failures:?}") };
    assert_eq!((recipient.as_str(), reason.as_str()), (ODD, "partner-unknown"));
    assert_eq!((*code, enhanced.as_deref()), (Some(550), Some("5.1.1")));
    assert!(!day.snapshot.logs.iter().any(|row| row.recipient == ODD && row.sender != *unlucky));
    assert_eq!(count(&stack.postfix_log(), "NOQUEUE: reject"), 1, "{}", stack.postfix_log());
    for n in 1..MAILBOXES {
        let failed = i16::from(address(n) == *unlucky);
        assert_eq!(Stored::of(pool, &address(n)).await, Stored { failed, ..Stored::usual() }, "{}", address(n));
    }
    assert_nothing_in_flight(&day);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_does_not_hold_gets_no_password_and_no_mail() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let stack = MailStack::start(&authority, Accounts { logins: logins(), unknown: vec![] }).await;
    // An open breaker pauses the host for an hour, and then one mailbox tries again: this day ends before that.
    let (untrusted, misnamed) = tokio::join!(
        plan(&stack, &stranger, "localhost", &logins()).until(10, 0).run(),
        // The certificate is for `localhost`.
        plan(&stack, &authority, "127.0.0.1", &logins()).until(10, 0).run()
    );

    for (day, says) in [(&untrusted, "UnknownIssuer"), (&misnamed, "not valid for name")] {
        let pool = day.database.pool();
        let disabled = Stored {
            state: "disabled".to_owned(),
            reason: Some("certificate-bad".to_owned()),
            reserved: 0,
            sent: 0,
            failed: 1,
            ..Stored::usual()
        };
        let idle = Stored { reserved: 0, sent: 0, ..Stored::usual() };
        // Its refusal opened the breaker, or came after that: then it is their host's matter.
        let spared = Stored { failed: 1, ..Stored { reserved: 0, sent: 0, ..Stored::usual() } };
        let (mut stopped, mut tried) = (0, 0);
        for n in 0..MAILBOXES {
            let stored = Stored::of(pool, &address(n)).await;
            stopped += usize::from(stored == disabled);
            tried += usize::from(stored.failed == 1);
            assert!([&disabled, &idle, &spared].contains(&&stored), "{}: {stored:?}", address(n));
        }
        // The breaker counts at each of the two ports: the third refusal there opens it, and its mailbox is spared.
        assert_eq!(stopped, 2 * (MAILBOXES / 2 - 1));
        let notes: Vec<String> = sqlx::query_scalar("SELECT notes FROM logs").fetch_all(pool).await.unwrap();
        assert_eq!(notes.len(), tried);
        assert!(notes.iter().all(|note| note.starts_with("tls: ") && note.contains(says)), "{notes:?}");
        assert_nothing_in_flight(day);
    }
    let log = stack.postfix_log();
    assert!(count(&log, "disconnect from") > 0 && count(&log, "auth=") == 0 && count(&log, "mail=") == 0, "{log}");
    assert_eq!(stack.delivered(), []);
}

/// In how many lines of `log` `text` stands.
fn count(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}
