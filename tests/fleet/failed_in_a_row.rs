//! Mail hosts that fail one sender without a refusal: they break down before AUTH, fall silent, or mix all of it. The sender
//! tries a few times and rests, and others have a usual day.

use std::fmt::Write;

use warmup_support::{
    day::{DATE, Plan},
    smtp::{Act, FaultyHost, Moment, Script},
};

const HEALTHY: usize = 24;
const QUOTA: i16 = 8;
const MOST_ATTEMPTS: i64 = 6;

/// Each fails its only mailbox in another way.
fn scripts() -> [Script; 8] {
    let usual = Script::usual;
    [
        usual().at(Moment::Greeting, [Act::Close]),
        usual().at(Moment::Greeting, [Act::say("421 4.3.2 Not now\r\n"), Act::Close]),
        usual().at(Moment::Greeting, [Act::say("554 5.7.1 Not you\r\n"), Act::Close]),
        usual().at(Moment::Ehlo, [Act::Reset]),
        usual().at(Moment::Auth, [Act::Close]),
        usual().at(Moment::Rcpt, [Act::Hang]),
        usual().at(Moment::Dot, [Act::Close]),
        usual().at(Moment::Dot, [Act::say("hello\r\n")]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_whose_mails_fail_in_any_way_makes_a_few_attempts_a_day_and_others_send_all_of_theirs() {
    let healthy = FaultyHost::start(Script::usual()).await;
    let mut csv = "email,password,smtp_host,smtp_port,smtp_security,user,window,ramp_start,daily_max\n".to_owned();
    let mut enrol = |email: String, host: &str, port: u16, owner: &str| {
        writeln!(csv, "{email},secret,{host},{port},none,{owner},09:00-16:00,{QUOTA},{QUOTA}").unwrap();
    };
    (0..HEALTHY).for_each(|n| enrol(format!("box{n}@healthy.test"), "127.0.0.1", healthy.port(), "healthy@owner.test"));
    let mut hosts = Vec::new();
    for (n, script) in scripts().into_iter().enumerate() {
        let ip = [127, 0, 2, 10 + u8::try_from(n).unwrap()];
        let host = FaultyHost::start_at(ip.into(), script).await;
        enrol(format!("alone{n}@failing.test"), &format!("127.0.2.{}", ip[3]), host.port(), "failing@owner.test");
        hosts.push(host);
    }
    // Another port of the healthy mailboxes' host: only this sender meets it.
    let beside = FaultyHost::start(Script::usual().at(Moment::Greeting, [Act::Close])).await;
    enrol("beside@failing.test".to_owned(), "127.0.0.1", beside.port(), "failing@owner.test");
    let plan = Plan::of(csv).with("WARMUP_ALLOW_PLAINTEXT", "true").with("WARMUP_SMTP_TIMEOUT_MS", "1000");
    let day = plan.with("WARMUP_DRAIN_TIMEOUT_MS", "24000").run().await;

    let pool = day.database.pool();
    let attempts =
        "SELECT m.email, count(l.id) FILTER (WHERE l.status = 'SENT'), count(l.id) FILTER (WHERE l.status = 'FAILED')
                    FROM mailboxes m LEFT JOIN logs l ON l.mailbox_id = m.id AND l.day = $1
                    WHERE m.domain = 'failing.test' GROUP BY m.email ORDER BY m.email";
    let attempts: Vec<(String, i64, i64)> = sqlx::query_as(attempts).bind(DATE).fetch_all(pool).await.unwrap();
    assert_eq!(attempts.len(), hosts.len() + 1);
    let wrong: Vec<_> =
        attempts.iter().filter(|(_, sent, failed)| *sent > 0 || !(2..=MOST_ATTEMPTS).contains(failed)).collect();
    assert!(wrong.is_empty(), "{wrong:?} of {attempts:?}");
    let short = "SELECT m.email FROM mailboxes m LEFT JOIN mailbox_days d ON d.mailbox_id = m.id AND d.day = $1
                 WHERE m.domain = 'healthy.test' AND (coalesce(d.sent, 0) < $2 OR m.state <> 'active' OR NOT m.receives)";
    let short: Vec<String> = sqlx::query_scalar(short).bind(DATE).bind(QUOTA).fetch_all(pool).await.unwrap();
    assert_eq!(short, [""; 0], "nobody else pays for it");
    let rests = "SELECT count(DISTINCT mailbox_id) FROM events
                 WHERE kind = 'sender-paused' AND reason = 'failed-in-a-row' AND detail LIKE '%failures in a row; last result: %'";
    let rests: i64 = sqlx::query_scalar(rests).fetch_one(pool).await.unwrap();
    assert!(rests >= hosts.len() as i64 - 1, "{rests} senders rest for it");
}
