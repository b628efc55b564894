//! A fleet whose mailboxes have hosts that do not do what they say, all at once, with healthy hosts among them: every host
//! that can be spoken to gets its mails, each once.
//!
//! The hosts stand in a table: another kind of host is another row.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use sqlx::PgPool;
use warmup::demo::sink::certificate::{Identity, self_signed};
use warmup_support::{
    smtp::{Act, FaultyHost, Moment, Script},
    world::{eventually, postgres, redis},
};

use crate::process::{Fleet, late_zone};

const HEALTHY: usize = 24;
const QUOTA: usize = 2;
pub const HELO_NAME: &str = "mail.fleet.test";

/// An app password as a page shows it, and as it is meant.
const PASTED: &str = "abcd\u{a0}efgh";
const PREPARED: &str = "abcd efgh";
/// The domain of the host that looks at it, by its place in the table.
const PASTED_DOMAIN: &str = "host9.test";

/// A mail host with mailboxes of its own.
pub struct HostCase {
    pub name: &'static str,
    script: Script,
    security: &'static str,
    password: &'static str,
    mailboxes: usize,
    /// The reason why its mails fail; `None` if it can be spoken to.
    pub fails_as: Option<&'static str>,
}

impl HostCase {
    fn new(name: &'static str, script: Script) -> HostCase {
        HostCase { name, script, security: "none", password: "secret", mailboxes: 2, fails_as: None }
    }
}

pub fn cases(identity: &Identity) -> Vec<HostCase> {
    let only = |ehlo: &str| Script::usual().at(Moment::Ehlo, [Act::say(ehlo)]);
    let without_plain = Script::usual()
        .when(Moment::Auth, "PLAIN", [Act::say("504 5.5.4 Unrecognized authentication type\r\n")])
        .at(Moment::Auth, [Act::say("334 VXNlcm5hbWU6\r\n")]);
    let odd_prompts = only("250-host.test\r\n250 AUTH LOGIN\r\n")
        .at(Moment::Auth, [Act::say("334 dXNlcg==\r\n")])
        .at(Moment::AuthFirst, [Act::say("334 pass\r\n")]);
    let late = [Act::Wait(Duration::from_secs(4)), Act::say("220 host.test ESMTP\r\n")];
    let wants_full_name = only("550 EHLO argument does not match a fully qualified name\r\n").when(
        Moment::Ehlo,
        HELO_NAME,
        [Act::say("250-host.test\r\n250 AUTH PLAIN\r\n")],
    );
    let looks_at_password =
        (0..2).fold(Script::usual().at(Moment::Auth, [Act::say("535 5.7.8 Bad credentials\r\n")]), |script, n| {
            let email = format!("box{n}@{PASTED_DOMAIN}");
            let response = BASE64_STANDARD.encode(format!("\0{email}\0{PREPARED}"));
            script.when(Moment::Auth, &response, [Act::say("235 2.7.0 Welcome\r\n")])
        });
    vec![
        HostCase { mailboxes: HEALTHY, ..HostCase::new("healthy", Script::usual().pipelining()) },
        HostCase::new("refuses PLAIN", without_plain),
        HostCase::new("prompts oddly", odd_prompts),
        HostCase::new("offers AUTH=", only("250-host.test\r\n250 AUTH=LOGIN PLAIN\r\n")),
        HostCase::new("refuses a packet of commands", Script::usual().pipelining().refusing_excess()),
        HostCase::new("drops a packet of commands", Script::usual().pipelining().dropping_excess()),
        HostCase::new("greets late", Script::usual().at(Moment::Greeting, late)),
        HostCase::new("wants a full name", wants_full_name),
        HostCase { security: "starttls", ..HostCase::new("signs itself", Script::starttls(identity.clone())) },
        HostCase { password: PASTED, ..HostCase::new("gets a pasted password", looks_at_password) },
        HostCase {
            security: "starttls",
            fails_as: Some("no-greeting"),
            ..HostCase::new("speaks TLS from the start", Script::tls(identity.clone()))
        },
    ]
}

pub struct RunningHost {
    pub case: HostCase,
    host: FaultyHost,
    pub mailboxes: Vec<String>,
}

pub const COLUMNS: &str =
    "email,password,smtp_host,smtp_port,smtp_security,timezone,window,ramp_start,daily_max,reply_rate\n";

/// A certificate for the addresses of [`start`].
pub fn identity() -> Identity {
    let names: Vec<String> = (10..40).map(|n| format!("127.0.0.{n}")).collect();
    self_signed(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
}

/// Starts each host at an address of its own, `127.0.0.10` and up, and returns the rows of their mailboxes, each of which ends
/// with `day`: zone, window and quota.
pub async fn start(cases: Vec<HostCase>, day: &str) -> (Vec<RunningHost>, String) {
    let mut csv = String::new();
    let mut hosts = Vec::new();
    for (n, case) in cases.into_iter().enumerate() {
        let ip = [127, 0, 0, 10 + u8::try_from(n).unwrap()];
        let host = FaultyHost::start_at(ip.into(), case.script.clone()).await;
        let mailboxes: Vec<String> = (0..case.mailboxes).map(|box_| format!("box{box_}@host{n}.test")).collect();
        let HostCase { password, security, .. } = &case;
        for email in &mailboxes {
            let (address, port) = (format!("127.0.0.{}", ip[3]), host.port());
            writeln!(csv, "{email},{password},{address},{port},{security},{day}").unwrap();
        }
        hosts.push(RunningHost { case, host, mailboxes });
    }
    (hosts, csv)
}

/// How many mails of each mailbox ended so: by sender, status and reason.
async fn counts(pool: &PgPool) -> BTreeMap<(String, String, String), i64> {
    let query = "SELECT sender, status::text, coalesce(reason, ''), count(*) FROM logs GROUP BY 1, 2, 3";
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(query).fetch_all(pool).await.unwrap();
    rows.into_iter().map(|(sender, status, reason, count)| ((sender, status, reason), count)).collect()
}

async fn sent_ids(pool: &PgPool, sender: &str) -> Vec<String> {
    let query = "SELECT trim(both '<>' from message_id) FROM logs WHERE sender = $1 AND status = 'SENT'";
    sqlx::query_scalar(query).bind(sender).fetch_all(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_host_that_can_be_spoken_to_gets_each_mail_once() {
    let identity = identity();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &identity.pem).unwrap();
    let (hosts, rows) = start(cases(&identity), &format!("{},00:00-24:00,{QUOTA},{QUOTA},0", late_zone())).await;
    let csv = format!("{COLUMNS}{rows}");
    let (database, redis) = tokio::join!(postgres(), redis());
    let overrides = [
        ("WARMUP_TLS_CA_FILE", file.path().to_str().unwrap()),
        ("WARMUP_HELO_NAME", HELO_NAME),
        // The late greeting comes after a step; a whole mail has 20 s.
        ("WARMUP_SMTP_TIMEOUT_MS", "3000"),
        ("WARMUP_DRAIN_TIMEOUT_MS", "24000"),
    ];
    let fleet = Fleet::with(database.url(), &redis, &csv, &overrides).await;
    let worker = fleet.start();

    let pool = database.pool();
    eventually(Duration::from_secs(120), || async {
        let counts = counts(pool).await;
        hosts.iter().all(|RunningHost { case, mailboxes, .. }| {
            let (status, reason, least) = match case.fails_as {
                None => ("SENT", "", QUOTA as i64),
                Some(reason) => ("FAILED", reason, 1),
            };
            let has = |email: &String| counts.get(&(email.clone(), status.to_owned(), reason.to_owned()));
            mailboxes.iter().all(|email| has(email).is_some_and(|count| *count >= least))
        })
    })
    .await;
    worker.kill().await;

    for ((sender, status, reason), count) in counts(pool).await {
        let host = hosts.iter().find(|host| host.mailboxes.contains(&sender)).unwrap();
        let right = host.case.fails_as.map_or(("SENT", ""), |reason| ("FAILED", reason));
        assert_eq!((status.as_str(), reason.as_str()), right, "{count} of {sender}: {}", host.case.name);
    }
    for RunningHost { case, host, mailboxes } in &hosts {
        let mut accepted = host.accepted();
        let mut written = Vec::new();
        for email in mailboxes {
            written.extend(sent_ids(pool, email).await);
        }
        accepted.sort_unstable();
        written.sort_unstable();
        assert_eq!(accepted, written, "{}: each mail was accepted once", case.name);
    }
}
