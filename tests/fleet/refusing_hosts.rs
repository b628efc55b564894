//! A day of a fleet whose mailboxes have hosts that refuse, each in its own way and words, and hosts that do not do what they
//! say (`every_host`), with healthy mailboxes among them: the right side pays, nobody tries again and again, each host that can
//! be spoken to gets mails, and the healthy mailboxes have a usual day.
//!
//! The hosts stand in a table: another reply is another row.

use std::fmt::Write;

use sqlx::PgPool;
use warmup::demo::sink::certificate::Identity;
use warmup_support::{
    day::{DATE, Plan},
    smtp::{Act, FaultyHost, Moment, Script},
};

use crate::every_host::{self, COLUMNS, HELO_NAME};

const QUOTA: i16 = 30;
/// The mailboxes of a refusing host; every third host has one.
const REFUSED: usize = 2;
/// The mails that a mailbox whose mails are all refused tries on a day, at most.
const ATTEMPTS: i64 = 6;

/// What becomes of a mailbox at a host that refuses all its mails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// It is disabled at the first refusal.
    Disabled,
    /// It rests, and goes on later.
    Rests,
    /// Its host rests.
    HostRests,
}

/// What a host does instead of taking a mail.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Reply(&'static str),
    /// To partners at domains of an even number so, to the others by this reply at RCPT.
    Alternates(&'static str, &'static str),
    Closes,
    Hangs,
    /// The port speaks no TLS, and TLS from the first byte is what the mailboxes ask for.
    NoTls,
    /// A certificate of another name.
    ForeignCertificate,
}

struct Refusal {
    moment: Moment,
    answer: Answer,
    reasons: &'static [&'static str],
    ends: Ends,
}

const fn row(moment: Moment, answer: Answer, reasons: &'static [&'static str], ends: Ends) -> Refusal {
    Refusal { moment, answer, reasons, ends }
}

const fn refusal(moment: Moment, reply: &'static str, reason: &'static [&'static str], ends: Ends) -> Refusal {
    row(moment, Answer::Reply(reply), reason, ends)
}

const fn closes(moment: Moment, reason: &'static [&'static str]) -> Refusal {
    row(moment, Answer::Closes, reason, Ends::HostRests)
}

const fn hangs(moment: Moment, reason: &'static [&'static str]) -> Refusal {
    row(moment, Answer::Hangs, reason, Ends::HostRests)
}

const TABLE: &[Refusal] = &[
    // The sender's own limit.
    refusal(
        Moment::Dot,
        "550 User box0@host.test has exceeded its 24-hour sending limit. Messages to 150 recipients out of 150 allowed have been sent.",
        &["sender-quota-exceeded"],
        Ends::Rests,
    ),
    refusal(
        Moment::Rcpt,
        "550 User box0@host.test has exceeded its 24-hour sending limit.",
        &["sender-quota-exceeded"],
        Ends::Rests,
    ),
    refusal(
        Moment::Dot,
        "550 Domain host.test has exceeded the max emails per hour (150/150 (100%)) allowed. Message discarded.",
        &["sender-rate-exceeded"],
        Ends::Rests,
    ),
    refusal(
        Moment::Dot,
        "454 Throttling failure: Daily message quota exceeded.",
        &["sender-quota-exceeded"],
        Ends::Rests,
    ),
    refusal(
        Moment::Dot,
        "552 Message would take you over your relay quota of 500",
        &["sender-quota-exceeded"],
        Ends::Rests,
    ),
    refusal(Moment::Rcpt, "451 4.7.1 Rate limit exceeded", &["sender-rate-exceeded"], Ends::Rests),
    // The sender is suspended.
    refusal(
        Moment::Dot,
        "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Failed to process message due to a permanent exception with message WASCL UserAction verdict is not None. Actual verdict is Suspend, ShowTierUpgrade.",
        &["sender-blocked"],
        Ends::Disabled,
    ),
    // The login may not send from this address.
    refusal(Moment::Rcpt, "553 Relaying disallowed as box0@host.test", &["sender-address"], Ends::Disabled),
    refusal(
        Moment::Dot,
        "554 5.2.252 SendAsDenied; box0@host.test not allowed to send as other@host.test",
        &["sender-address"],
        Ends::Disabled,
    ),
    refusal(Moment::Dot, "554 Message rejected: Email address is not verified.", &["sender-address"], Ends::Disabled),
    refusal(Moment::Mail, "550 Sender address is not allowed.", &["sender-address"], Ends::Disabled),
    // A temporary failure that looks permanent.
    refusal(
        Moment::Auth,
        "535 5.7.8 Error: authentication failed: Connection lost to authentication server",
        &["auth-temporary"],
        Ends::Rests,
    ),
    // The host refuses our address.
    refusal(
        Moment::Rcpt,
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        &["host-refuses-us"],
        Ends::HostRests,
    ),
    // It concerns the sender and the partner together.
    refusal(Moment::Rcpt, "450 4.2.0 Greylisted, see http://postgrey.example/", &["greylisted"], Ends::Rests),
    // Unknown.
    refusal(Moment::Dot, "550 Computer says no", &["refused"], Ends::Rests),
    refusal(Moment::Dot, "499 Not on a Tuesday", &["transient"], Ends::Rests),
    refusal(Moment::Mail, "599 No", &["refused"], Ends::Rests),
    // Before AUTH.
    refusal(Moment::Greeting, "421 4.3.2 Service not available", &["host-trouble"], Ends::HostRests),
    refusal(Moment::Greeting, "554 5.7.1 Your address is listed", &["host-refuses-us"], Ends::HostRests),
    refusal(Moment::Ehlo, "421 4.3.2 Too many connections", &["host-trouble"], Ends::HostRests),
    refusal(
        Moment::Ehlo,
        "550 EHLO argument does not match a fully qualified name",
        &["helo-refused"],
        Ends::HostRests,
    ),
    refusal(
        Moment::Starttls,
        "454 4.7.0 TLS not available due to a temporary reason",
        &["host-trouble"],
        Ends::HostRests,
    ),
    // The name that we give, refused late.
    refusal(
        Moment::Rcpt,
        "450 4.7.1 <warmup-0>: Helo command rejected: Host not found",
        &["helo-refused"],
        Ends::HostRests,
    ),
    // The connection ends, or nothing more is said.
    closes(Moment::Greeting, &["connection-lost"]),
    closes(Moment::Ehlo, &["connection-lost"]),
    closes(Moment::Starttls, &["connection-lost"]),
    closes(Moment::Auth, &["connection-lost"]),
    closes(Moment::Mail, &["connection-lost"]),
    closes(Moment::Rcpt, &["connection-lost"]),
    closes(Moment::Data, &["connection-lost"]),
    closes(Moment::Dot, &["uncertain"]),
    hangs(Moment::Ehlo, &["timeout"]),
    hangs(Moment::Starttls, &["timeout"]),
    hangs(Moment::Auth, &["timeout"]),
    hangs(Moment::Mail, &["timeout"]),
    hangs(Moment::Rcpt, &["timeout"]),
    hangs(Moment::Data, &["timeout"]),
    hangs(Moment::Dot, &["uncertain"]),
    // Another refusal for another partner.
    row(
        Moment::Dot,
        Answer::Alternates("550 Computer says no", "451 4.7.1 Not now"),
        &["refused", "transient"],
        Ends::Rests,
    ),
    // TLS.
    row(Moment::Greeting, Answer::NoTls, &["tls-failed"], Ends::HostRests),
    row(Moment::Greeting, Answer::ForeignCertificate, &["certificate-bad"], Ends::Disabled),
];

/// A running host of a row, and its mailboxes.
struct RunningHost {
    row: &'static Refusal,
    name: String,
    mailboxes: Vec<String>,
    _host: FaultyHost,
}

/// Starts each host at an address of its own, `127.0.1.10` and up, and writes its mailboxes into `csv`.
async fn start(csv: &mut String, identity: &Identity) -> Vec<RunningHost> {
    let mut hosts = Vec::new();
    for (n, row) in TABLE.iter().enumerate() {
        let ip = [127, 0, 1, 10 + u8::try_from(n).unwrap()];
        let (security, script) = script(row, identity);
        let host = FaultyHost::start_at(ip.into(), script).await;
        let name = format!("127.0.1.{}", ip[3]);
        let mailboxes: Vec<String> =
            (0..if n % 3 == 0 { 1 } else { REFUSED }).map(|box_| format!("box{box_}@refused{n}.test")).collect();
        mailboxes.iter().for_each(|email| enrol(csv, email, (&name, host.port()), security));
        hosts.push(RunningHost { row, name, mailboxes, _host: host });
    }
    hosts
}

/// The security that the mailboxes ask for, and what their host does.
fn script(row: &Refusal, identity: &Identity) -> (&'static str, Script) {
    let say = |reply: &str| [Act::say(&format!("{reply}\r\n"))];
    let (security, script) = match (row.answer, row.moment) {
        (Answer::NoTls, _) => ("tls", Script::usual()),
        (Answer::ForeignCertificate, _) => ("tls", Script::tls(identity.clone())),
        (_, Moment::Starttls) => ("starttls", Script::starttls(identity.clone())),
        _ => ("none", Script::usual()),
    };
    let script = match row.answer {
        Answer::Reply(reply) => script.at(row.moment, say(reply)),
        Answer::Closes => script.at(row.moment, [Act::Close]),
        Answer::Hangs => script.at(row.moment, [Act::Hang]),
        Answer::NoTls | Answer::ForeignCertificate => script,
        Answer::Alternates(reply, at_rcpt) => {
            let odd = ["1", "3", "5", "7", "9"].map(|digit| format!("{digit}.test>"));
            odd.iter().fold(script.at(row.moment, say(reply)), |script, domain| {
                script.when(Moment::Rcpt, domain, say(at_rcpt))
            })
        }
    };
    (security, script)
}

/// Zone, window and quota of each mailbox, and no replies.
fn usual_day() -> String {
    format!("UTC,09:00-17:00,{QUOTA},{QUOTA},0")
}

fn enrol(csv: &mut String, email: &str, (host, port): (&str, u16), security: &str) {
    writeln!(csv, "{email},secret,{host},{port},{security},{}", usual_day()).unwrap();
}

#[derive(Debug, sqlx::FromRow)]
struct Stored {
    state: String,
    receives: bool,
    eased: bool,
    sent: i64,
    failed: i64,
    reasons: Vec<String>,
}

impl Stored {
    async fn of(pool: &PgPool, email: &str) -> Stored {
        let query = "
            SELECT m.state::text, m.receives, m.eased_at IS NOT NULL AS eased,
                   count(l.id) FILTER (WHERE l.status = 'SENT') AS sent,
                   count(l.id) FILTER (WHERE l.status = 'FAILED') AS failed,
                   array_remove(array_agg(DISTINCT l.reason), NULL) AS reasons
            FROM mailboxes m LEFT JOIN logs l ON l.mailbox_id = m.id AND l.day = $2
            WHERE m.email = $1 GROUP BY m.id";
        sqlx::query_as(query).bind(email).bind(DATE).fetch_one(pool).await.unwrap()
    }
}

/// Hosts that were paused, and why.
async fn paused_hosts(pool: &PgPool) -> Vec<(String, String)> {
    let query = "SELECT DISTINCT detail, reason FROM events WHERE kind LIKE 'host-%' ORDER BY 1";
    sqlx::query_as(query).fetch_all(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_mailboxes_try_a_few_times_and_healthy_ones_fill_their_quota() {
    let identity = every_host::identity();
    let certificate = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(certificate.path(), &identity.pem).unwrap();
    let (others, rows) = every_host::start(every_host::cases(&identity), &usual_day()).await;
    let mut csv = format!("{COLUMNS}{rows}");
    let hosts = start(&mut csv, &identity).await;

    let plan = Plan::of(csv)
        .with("WARMUP_ALLOW_PLAINTEXT", "true")
        .with("WARMUP_TLS_CA_FILE", certificate.path().display())
        .with("WARMUP_HELO_NAME", HELO_NAME)
        // The late greeting comes after a step; a whole mail has 20 s.
        .with("WARMUP_SMTP_TIMEOUT_MS", "3000")
        .with("WARMUP_DRAIN_TIMEOUT_MS", "24000");
    let day = plan.run().await;
    let pool = day.database.pool();

    let mut wrong = Vec::new();
    for RunningHost { row, mailboxes, .. } in &hosts {
        for email in mailboxes {
            let stored = Stored::of(pool, email).await;
            let is_disabled = stored.state == "disabled";
            let is_right = is_disabled == (row.ends == Ends::Disabled)
                && stored.receives
                && !stored.eased
                && stored.sent == 0
                && (1..=ATTEMPTS).contains(&stored.failed)
                && (row.ends != Ends::Disabled || stored.failed == 1)
                && !stored.reasons.is_empty()
                && stored.reasons.iter().all(|reason| row.reasons.contains(&reason.as_str()));
            if !is_right {
                wrong.push(format!("{email} ({:?} at {:?}): {stored:?}", row.answer, row.moment));
            }
        }
    }
    for host in &others {
        for email in &host.mailboxes {
            let stored = Stored::of(pool, email).await;
            let is_right = match (host.case.name, host.case.fails_as) {
                ("healthy", _) => (stored.sent, stored.failed) == (QUOTA.into(), 0) && stored.state == "active",
                (_, None) => stored.sent > 0 && stored.failed == 0,
                (_, Some(reason)) => stored.sent == 0 && stored.failed <= ATTEMPTS && stored.reasons == [reason],
            };
            if !is_right {
                wrong.push(format!("{email} ({}): {stored:?}", host.case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let paused = paused_hosts(pool).await;
    let refuses_us = hosts.iter().filter(|host| host.row.ends == Ends::HostRests).map(|host| host.name.as_str());
    // The one that never greets.
    let may_rest: Vec<&str> = refuses_us.chain(["127.0.0.20"]).collect();
    for (detail, reason) in &paused {
        assert!(may_rest.iter().any(|name| detail.contains(name)), "{reason}: {detail}");
    }
    assert!(!paused.is_empty(), "the host that refuses us rests");
}
