//! Mail hosts that refuse whatever a sender submits, in words that nobody knows: the sender tries a few times and rests, others
//! have a usual day, and the operator reads the host's own words everywhere.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use sqlx::PgPool;
use warmup_support::{
    day::{DATE, Plan},
    smtp::{Act, FaultyHost, Moment, Script},
    world::{eventually, postgres, redis},
};

use crate::process::{Fleet, late_zone};

const HEALTHY: usize = 24;
const QUOTA: i16 = 8;
const MOST_ATTEMPTS: i64 = 6;

/// Where and how each host refuses. `451 4.7.1` and `450 4.2.1` blame the partner, the others blame nobody known.
const HOSTS: [(Moment, &str); 7] = [
    (Moment::Dot, "554 5.0.0 The moon is wrong\r\n"),
    (Moment::Dot, "451 4.3.0 Not on this day\r\n"),
    (Moment::Mail, "550 5.0.0 No\r\n"),
    (Moment::Mail, "421 4.0.0 Go away\r\n"),
    (Moment::Rcpt, "451 4.7.1 Greylisted\r\n"),
    (Moment::Rcpt, "450 4.2.1 Busy\r\n"),
    (Moment::Data, "hello\r\n"),
];

async fn attempts(pool: &PgPool) -> BTreeMap<String, (i64, i64)> {
    let query = "SELECT sender, count(*) FILTER (WHERE status <> 'FAILED'), count(*) FILTER (WHERE status = 'FAILED')
                 FROM logs GROUP BY sender";
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(query).fetch_all(pool).await.unwrap();
    rows.into_iter().map(|(sender, sent, failed)| (sender, (sent, failed))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_refuses_everything_gets_a_few_mails_a_day_and_others_send_all_of_theirs() {
    let usual = FaultyHost::start(Script::usual()).await;
    let mut hosts = Vec::new();
    for (moment, words) in HOSTS {
        hosts.push(FaultyHost::start(Script::usual().at(moment, [Act::say(words)])).await);
    }
    let mut csv = "email,password,smtp_host,smtp_port,smtp_security,user,window,ramp_start,daily_max\n".to_owned();
    let mut enrol = |email: String, port: u16, owner: &str| {
        writeln!(csv, "{email},secret,127.0.0.1,{port},none,{owner},09:00-16:00,{QUOTA},{QUOTA}").unwrap();
    };
    (0..HEALTHY).for_each(|n| enrol(format!("box{n}@healthy.test"), usual.port(), "healthy@owner.test"));
    for (n, host) in hosts.iter().enumerate() {
        enrol(format!("refused{n}@refused.test"), host.port(), "refused@owner.test");
    }
    let day = Plan::of(csv).with("WARMUP_ALLOW_PLAINTEXT", "true").run().await;

    let pool = day.database.pool();
    let attempts = attempts(pool).await;
    for (n, (moment, words)) in HOSTS.into_iter().enumerate() {
        let (sent, failed) = attempts[&format!("refused{n}@refused.test")];
        assert!(sent == 0 && (2..=MOST_ATTEMPTS).contains(&failed), "{moment:?} {words}: {sent} sent, {failed} failed");
    }
    let short = "SELECT m.email FROM mailboxes m LEFT JOIN mailbox_days d ON d.mailbox_id = m.id AND d.day = $1
                 WHERE m.domain = 'healthy.test' AND (coalesce(d.sent, 0) < $2 OR m.state <> 'active' OR NOT m.receives)";
    let short: Vec<String> = sqlx::query_scalar(short).bind(DATE).bind(QUOTA).fetch_all(pool).await.unwrap();
    assert_eq!(short, [""; 0], "nobody else pays for it");
    let rests = "SELECT DISTINCT m.email FROM events e JOIN mailboxes m ON m.id = e.mailbox_id
                 WHERE e.kind = 'sender-paused' AND e.reason = 'refused-in-a-row' ORDER BY 1";
    let rests: Vec<String> = sqlx::query_scalar(rests).fetch_all(pool).await.unwrap();
    assert_eq!(rests, (0..HOSTS.len()).map(|n| format!("refused{n}@refused.test")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_reads_the_words_of_a_host_that_refuses_in_the_log_the_events_and_the_mailbox() {
    const WORDS: &str = "554 5.0.0 The moon is wrong";
    let refuses = Act::say("554 5.0.0 The moon\tis wrong\r\n");
    let host = FaultyHost::start(Script::usual().at(Moment::Dot, [refuses])).await;
    let (zone, port) = (late_zone(), host.port());
    let mut csv = "email,password,smtp_host,smtp_port,smtp_security,timezone,window,ramp_start,daily_max\n".to_owned();
    for n in 0..4 {
        writeln!(csv, "box{n}@refused.test,secret,127.0.0.1,{port},none,{zone},00:00-24:00,4,4").unwrap();
    }
    let (database, redis) = tokio::join!(postgres(), redis());
    let fleet = Fleet::with(database.url(), &redis, &csv, &[]).await;
    let worker = fleet.start();
    worker.says("sender-paused: mailbox ").await;
    // The last one finds nobody to write to.
    let paused = "SELECT email FROM mailboxes WHERE reason = 'refused-in-a-row' ORDER BY id";
    let paused = || async { sqlx::query_scalar::<_, String>(paused).fetch_all(database.pool()).await.unwrap() };
    eventually(Duration::from_secs(60), || async { paused().await.len() >= 2 }).await;
    let said = worker.said();
    worker.kill().await;

    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("sender-paused: mailbox ")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains(WORDS), "the first of its kind: {warnings:?}");
    let events = fleet.command(&["events", "--kind", "sender-paused"], "").await;
    let paused = paused().await;
    assert_eq!(events.matches(WORDS).count(), paused.len(), "{events}");
    let email = &paused[0];
    let shown = fleet.command(&["mailbox", "show", email], "").await;
    let line = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    let result = line("last result");
    assert!(result.contains(": refused, dot: ") && result.contains(WORDS), "{shown}");
    assert!(result.ends_with("(2 refusals in a row)"), "{result}");
    let advice = format!("ask the host's operator why it refuses {email}");
    assert!(line("to do").contains(&advice), "{shown}");
    assert!(line("state").contains("refused-in-a-row"), "{shown}");
}
