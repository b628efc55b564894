//! How long the API takes to answer, at 100,000 mailboxes of 1,000 users and 50 clients at once: `make bench-api`.
//!
//! The real binary over real Postgres and Redis, asked by `wrk`; its worker plans and sends to Postfix's `smtp-sink` all the
//! while. Each mailbox has a month of days behind it; the log holds three days of a twentieth. Fails where an answer is none.
//!
//! `make bench-api ARGS=search` asks only what has `search` in its path.

#![expect(clippy::unwrap_used, reason = "a bench may fail loudly")]

use std::{fmt::Write as _, io::Write as _, process::ExitCode, time::Duration};

use sqlx::{AssertSqlSafe, PgPool};
use tokio::process::Command;
use warmup_support::{process::Binary, smtp::postfix::SmtpSink, world};

const MAILBOXES: usize = 100_000;
const USERS: usize = 1_000;
const CLIENTS: u32 = 50;
const SECONDS: u32 = 5;
const ADMIN: &str = "the-admins-own-token";

/// As an admin: every route that is read. `{}` is a mailbox, `{n}` another number in each question: nobody asks the same.
const FOR_ADMINS: &[&str] = &[
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/metrics",
    "/api/warmup/control",
    "/api/warmup/metrics",
    "/api/warmup/metrics?format=prometheus",
    "/api/warmup/quota",
    "/api/warmup/quota?status=behind",
    "/api/warmup/quota?status=failing",
    "/api/warmup/quota?status=on-track",
    "/api/warmup/quota?status=complete",
    "/api/warmup/quota?status=behind&cursor=50000",
    "/api/warmup/quota?search=box777",
    "/api/warmup/quota?search=box",
    "/api/warmup/quota?search=nobody",
    "/api/warmup/quota?search=box{n}",
    "/api/warmup/quota?status=behind&search=box{n}",
    "/api/warmup/mailbox",
    "/api/warmup/mailbox?id={}",
    "/api/warmup/mailboxes",
    "/api/warmup/mailboxes?cursor=50000",
    "/api/warmup/mailboxes?cursor={n}",
    "/api/warmup/mailboxes?state=active",
    "/api/warmup/mailboxes?state=off",
    "/api/warmup/mailboxes?state=paused",
    "/api/warmup/mailboxes?state=disabled",
    "/api/warmup/mailboxes?state=removed",
    "/api/warmup/mailboxes?host=127.0.0.1",
    "/api/warmup/mailboxes?search=box777",
    "/api/warmup/mailboxes?search=box",
    "/api/warmup/mailboxes?search=nobody",
    "/api/warmup/mailboxes?search=box{n}",
    "/api/warmup/mailboxes?user=u7@bench.test",
    "/api/warmup/mailboxes?domain=d7.test",
    "/api/warmup/mailboxes/{}",
    "/api/warmup/day",
    "/api/warmup/me",
    "/api/warmup/users",
    "/api/warmup/users/7",
    "/api/warmup/tokens",
    "/api/warmup/events",
    "/api/warmup/events?mailbox={}",
    "/api/warmup/events?kind=mail-alert",
    "/api/warmup/logs",
    "/api/warmup/logs?mailbox={}",
    "/api/warmup/logs?status=FAILED",
    "/api/warmup/logs?reason=mailbox-full",
];

/// As somebody who owns a hundred of them.
const FOR_OWNERS: &[&str] = &[
    "/api/warmup/control",
    "/api/warmup/metrics",
    "/api/warmup/day",
    "/api/warmup/me",
    "/api/warmup/quota",
    "/api/warmup/quota?status=behind",
    "/api/warmup/quota?search=box",
    "/api/warmup/mailbox",
    "/api/warmup/mailbox?id={}",
    "/api/warmup/mailboxes",
    "/api/warmup/mailboxes?state=paused",
    "/api/warmup/mailboxes?search=box",
    "/api/warmup/mailboxes/{}",
    "/api/warmup/tokens",
    "/api/warmup/events",
    "/api/warmup/events?kind=day-short",
    "/api/warmup/logs",
    "/api/warmup/logs?status=FAILED",
];

/// Of everybody: a month of days that went well, and today, half over; batches, events, and some of the log.
const FILL: &str = "
    INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent, failed, attempts, replied, closed, latency_ms, timed,
                              last_sent_at)
    SELECT m.id, d::date, 30, 30, 30 - (m.id + extract(doy FROM d)::int) % 7 / 6, 0, 31, 5, true, 15000, 30,
           d + interval '16 h'
    FROM generate_series(current_date - 30, current_date - 1, interval '1 day') d, mailboxes m;
    INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent, failed, attempts, replied, closed, latency_ms, timed,
                              last_sent_at, hour, hour_sent, hour_before, failed_in_row)
    SELECT m.id, current_date, 30, 30 * share, 30 * share - m.id % 10 / 9, m.id % 50 / 49, 30 * share, 3, false, 6000, 12,
           now() - random() * interval '30 min', date_trunc('hour', now()), 1, 2, CASE m.id % 500 WHEN 0 THEN 3 ELSE 0 END
    FROM mailboxes m, (SELECT extract(epoch FROM now() - date_trunc('day', now(), 'UTC')) / 86400 * 0.9 + 0.05) AS s (share);
    INSERT INTO batches (worker_id, started_at, finished_at, processed, sent, failed, replied)
    SELECT 'earlier', now() - n * interval '100 ms', now() - n * interval '100 ms' + interval '2 s', 15, 14, 1, 2
    FROM generate_series(1, 100000) n;
    INSERT INTO events (at, kind, mailbox_id, reason)
    SELECT now() - n * interval '1 s', CASE n % 1000 WHEN 0 THEN 'mail-alert' ELSE 'day-short' END,
           (SELECT min(id) FROM mailboxes) + n::bigint * 7919 % 100000, 'late'
    FROM generate_series(1, 300000) n;
    UPDATE mailboxes SET state = 'paused', reason = 'operator' WHERE id % 1000 = 0;
    SELECT ensure_log_partitions(current_date - 90, current_date + 14);
    INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, reason, worker_id,
                      latency_ms)
    SELECT nextval('flight_ids'), d + interval '12 h', d::date, m.id, m.id + 1, m.email, m.email, 'About the minutes',
           md5(random()::text), CASE (m.id + n) % 20 WHEN 0 THEN 'FAILED' ELSE 'SENT' END,
           CASE (m.id + n) % 20 WHEN 0 THEN 'mailbox-full' END, 'earlier', 300
    FROM generate_series(current_date - 2, current_date, interval '1 day') d, generate_series(1, 20) n,
         (SELECT * FROM mailboxes WHERE user_id % 20 = (SELECT id % 20 FROM users WHERE email = 'u7@bench.test')) AS m";

#[tokio::main]
async fn main() -> ExitCode {
    let (database, redis, sink) = tokio::join!(world::postgres(), world::redis(), SmtpSink::start());
    let binary = Binary::new(env!("CARGO_BIN_EXE_warmup"), database.url(), &redis.url())
        .with("WARMUP_HTTP_ADDR", "127.0.0.1:0")
        .with("WARMUP_LOG_FORMAT", "json")
        .with("WARMUP_ADMIN_TOKEN", ADMIN);
    println!("loading {MAILBOXES} mailboxes of {USERS} users");
    binary.command(&["migrate"], "").await;
    binary.command(&["mailbox", "import", "-"], &csv(sink.port())).await;
    world::enrolled_long_ago(database.url()).await;
    sqlx::raw_sql(FILL).execute(database.pool()).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE").execute(database.pool()).await.unwrap();
    let token = binary.command(&["token", "create", "--user", "u7@bench.test"], "").await;
    let token = token.split_whitespace().find(|word| word.starts_with("warmup_")).unwrap().to_owned();
    let asked = Asked::of(std::env::args().skip(1));
    let (mut worker, theirs) = (binary.run(), one_of(database.pool(), "u7@bench.test").await);
    let address = worker.address().await;
    // The first census fills its tables; wrk takes an answer after two seconds for none.
    ask(&address, "/api/warmup/quota", ADMIN).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    // The first who search are answered by Postgres, until the addresses are copied.
    ask(&address, "/api/warmup/mailboxes?search=nobody", ADMIN).await;
    println!("{:<10} {:<46} {:>9} {:>9} {:>9} {:>7}", "AS", "GET", "P50 ms", "P99 ms", "PER S", "ERRORS");
    let mut wrong = 0;
    for (whose, token, paths) in [("admin", ADMIN, FOR_ADMINS), ("owner", token.as_str(), FOR_OWNERS)] {
        for path in paths.iter().filter(|path| asked.means(path)) {
            let Took { p50, p99, per_second, errors } =
                ask(&address, &path.replace("{}", &theirs.to_string()), token).await;
            println!("{whose:<10} {path:<46} {p50:>9.1} {p99:>9.1} {per_second:>9.0} {errors:>7}");
            wrong += errors;
        }
    }
    let sent: i64 = sqlx::query_scalar("SELECT count(*) FROM logs WHERE worker_id <> 'earlier'")
        .fetch_one(database.pool())
        .await
        .unwrap();
    let (took, is_alive): (i64, bool) =
        (sqlx::query_scalar("SELECT took_ms FROM census").fetch_one(database.pool()).await.unwrap(), worker.is_alive());
    println!("meanwhile the worker sent {sent} mails and replies; counting everybody took {took} ms at last");
    if wrong == 0 && is_alive { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn csv(port: u16) -> String {
    let mut csv =
        String::from("email,password,smtp_host,smtp_port,smtp_security,user,window,timezone,ramp_start,daily_max\n");
    for n in 0..MAILBOXES {
        let (domain, user, zone) = (n % 5_000, n % USERS, ["UTC", "Africa/Abidjan", "Atlantic/Reykjavik"][n % 3]);
        let line = "secret,127.0.0.1";
        writeln!(csv, "box{n}@d{domain}.test,{line},{port},none,u{user}@bench.test,00:00-24:00,{zone},30,30").unwrap();
    }
    csv
}

async fn one_of(pool: &PgPool, user: &str) -> i64 {
    const ONE: &str = "SELECT min(m.id) FROM mailboxes m JOIN users u ON u.id = m.user_id WHERE u.email = ";
    sqlx::query_scalar(AssertSqlSafe(format!("{ONE}'{user}'"))).fetch_one(pool).await.unwrap()
}

/// Parts of the paths that are asked; none for all.
struct Asked(Vec<String>);

impl Asked {
    /// What begins with two dashes is cargo's.
    fn of(arguments: impl Iterator<Item = String>) -> Asked {
        Asked(arguments.filter(|argument| !argument.starts_with("--")).collect())
    }

    fn means(&self, path: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|part| path.contains(part))
    }
}

struct Took {
    p50: f64,
    p99: f64,
    per_second: f64,
    errors: u64,
}

/// So that no two threads of wrk ask the same.
const DICE: &str = "
    local threads = 0
    function setup(thread) threads = threads + 1; thread:set('seed', threads) end
    function init() math.randomseed(seed) end";

async fn ask(address: &str, path: &str, token: &str) -> Took {
    let (clients, duration) = (CLIENTS.to_string(), format!("{SECONDS}s"));
    let mut wrk = Command::new("wrk");
    wrk.args([
        "-t",
        "2",
        "-c",
        &clients,
        "-d",
        &duration,
        "--latency",
        "-H",
        &format!("Authorization: Bearer {token}"),
    ]);
    // A file of its own, as long as wrk runs.
    let mut script = tempfile::NamedTempFile::new().unwrap();
    if let Some((before, after)) = path.split_once("{n}") {
        let request = format!(r#"return wrk.format("GET", "{before}" .. math.random({MAILBOXES}) .. "{after}")"#);
        write!(script, "{DICE}\nfunction request() {request} end").unwrap();
        wrk.arg("-s").arg(script.path());
    }
    let output =
        wrk.arg(format!("http://{address}{path}")).output().await.expect("wrk is installed: scripts/setup.sh bench");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |what: &str| said.lines().find_map(|line| line.trim().strip_prefix(what)).map(str::trim);
    let errors = after("Non-2xx or 3xx responses:").map_or(0, |number| number.parse().unwrap());
    let lost: u64 = after("Socket errors:")
        .map_or(0, |line| line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok()).sum());
    let milliseconds = |line: Option<&str>| line.map_or(f64::NAN, milliseconds);
    Took {
        p50: milliseconds(after("50%")),
        p99: milliseconds(after("99%")),
        per_second: after("Requests/sec:").map_or(0.0, |number| number.parse().unwrap()),
        errors: errors + lost,
    }
}

/// Reads `1.2ms`, `800.00us` or `1.02s`.
fn milliseconds(text: &str) -> f64 {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[number.len()..] {
        "us" => 0.001,
        "ms" => 1.0,
        _ => 1000.0,
    };
    number.parse::<f64>().unwrap() * scale
}
