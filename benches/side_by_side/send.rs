//! The whole production path, beside `smtp-source` and beside lettre alone, each several times in turn. Medians count; of a
//! ratio, that of the rounds' own ratios, for the machine is not equally fast in all of them.

use std::{io::Write, path::PathBuf, process::Stdio, time::Instant};

use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::process::Command;
use warmup_support::{
    mailstack::{Accounts, Authority, MailStack},
    smtp::postfix::SmtpSink,
};

use super::{
    BINARY,
    bare::{self, Bare, Host},
    row::Rows,
};

const LANES: usize = 50;
const TIMES: usize = 5;
const PLAIN: u64 = 20_000;
const SUBMITTED: u64 = 5_000;
const PASSWORD: &str = "a password of this bench";

/// Plain SMTP, a new connection for each mail.
pub async fn plain(rows: &mut Rows) {
    let sink = SmtpSink::start().await;
    let (mut limits, mut bares, mut ours, mut unsafe_ones) = (vec![], vec![], vec![], vec![]);
    for _ in 0..TIMES {
        limits.push(source(sink.port()).await);
        bares.push(bare::send(&Host::plain(sink.port()), "bench.invalid", PLAIN, LANES).await);
        ours.push(send(&asked(sink.port(), PLAIN, LANES, &["--security", "none"])).await);
        unsafe_ones.push(send(&asked(sink.port(), PLAIN, LANES, &["--security", "none", "--no-fsync"])).await);
    }
    rows.part("plain SMTP, a new connection for each mail, 50 at once, against smtp-sink");
    rows.note("smtp-source -s 50: mails per second", &format!("{:.0}", median(limits.iter().copied())));
    told_of_bare(rows, &bares);
    rows.note("warmup bench send: mails per second", &format!("{:.0}", median(rates(&ours))));
    let quick = median(unsafe_ones.iter().map(|told| number(told, "mailsPerSecond")));
    rows.note("the same, Postgres without fsync", &format!("{quick:.0}"));
    rows.at_least("of smtp-source", median_ratio(rates(&ours), limits), 0.85, "");
    told_of_ours(rows, &ours, &bares);
}

/// STARTTLS and AUTH, against Postfix.
pub async fn submission(rows: &mut Rows) {
    let authority = Authority::new();
    let addresses = (0..SUBMITTED).map(|n| format!("m{n}@bench.test"));
    let logins = addresses.map(|address| (address, PASSWORD.to_owned())).collect();
    let stack = MailStack::start(&authority, Accounts { logins, unknown: vec![] }).await;
    // Delivery is none of the submission's: it lags, so a slow sender would pay for its own, and a quick one for nobody's.
    stack.hold();
    let mut password = NamedTempFile::new().unwrap();
    write!(password, "{PASSWORD}").unwrap();
    let files: Vec<PathBuf> = vec![authority.file().into(), password.path().into()];
    let [root, password] = [&files[0], &files[1]].map(|file| file.display().to_string());
    let more = ["--security", "starttls", "--domain", "bench.test", "--login", "m0@bench.test"];
    let more = [more.as_slice(), &["--password-file", &password, "--ca", &root]].concat();
    let host = Host::with_login(stack.starttls_port(), authority.file(), "m0@bench.test", PASSWORD);
    let (mut bares, mut ours) = (vec![], vec![]);
    for _ in 0..TIMES {
        bares.push(bare::send(&host, "bench.test", SUBMITTED, LANES).await);
        assert_eq!(stack.throw_away_held() as u64, SUBMITTED, "lettre was told that Postfix has them");
        ours.push(send(&asked(stack.starttls_port(), SUBMITTED, LANES, &more)).await);
        assert_eq!(stack.throw_away_held() as u64, SUBMITTED, "the ledger says that Postfix has them");
    }
    rows.part("STARTTLS and AUTH, a new connection for each mail, 50 at once, against Postfix");
    told_of_bare(rows, &bares);
    rows.note("warmup bench send: mails per second", &format!("{:.0}", median(rates(&ours))));
    let of_bare = median_ratio(rates(&ours), bares.iter().map(|bare| bare.mails_per_second));
    rows.at_least("of the bare lettre loop", of_bare, 0.85, "");
    told_of_ours(rows, &ours, &bares);
}

/// What 200 lanes need.
pub async fn many_lanes(rows: &mut Rows) {
    let sink = SmtpSink::start().await;
    let told = send(&asked(sink.port(), PLAIN, 200, &["--security", "none"])).await;
    rows.part("200 lanes against smtp-sink");
    rows.note("mails per second", &format!("{:.0}", number(&told, "mailsPerSecond")));
    let mib = |name: &str| told["memory"][name].as_f64().unwrap() / f64::from(1 << 20);
    rows.at_most("memory above rest", mib("peakBytes") - mib("beforeBytes"), 100.0, "MiB");
}

fn told_of_bare(rows: &mut Rows, bares: &[Bare]) {
    let rate = median(bares.iter().map(|bare| bare.mails_per_second));
    rows.note("bare lettre loop: mails per second", &format!("{rate:.0}"));
    let cpu = median(bares.iter().map(|bare| bare.cpu_ms_per_mail));
    rows.note("bare lettre loop: CPU per mail", &format!("{cpu:.3} ms"));
}

fn told_of_ours(rows: &mut Rows, ours: &[Value], bares: &[Bare]) {
    let cpu = || ours.iter().map(|told| number(told, "cpuMsPerMail"));
    rows.note("warmup: CPU per mail", &format!("{:.3} ms", median(cpu())));
    let of_bare = median_ratio(cpu(), bares.iter().map(|bare| bare.cpu_ms_per_mail));
    rows.at_most("CPU per mail, of the bare loop's", of_bare, 1.5, "");
    let asked = |names: &[&str]| median(ours.iter().map(|told| calls(told, names) as f64 / number(told, "batches")));
    rows.at_most("EVALSHA a batch", asked(&["caps"]), 1.0, "");
    rows.at_most("SQL statements a batch", asked(&["reserve", "settle"]), 2.0, "");
    let counted = |name: &str| median(ours.iter().map(|told| told[name]["perBatch"].as_f64().unwrap()));
    let counted = format!("{:.2} and {:.2}", counted("evalshas"), counted("statements"));
    rows.note("both as the servers count them, with ticks and heartbeats", &counted);
    let disagreements: usize = ours.iter().map(|told| told["disagreements"].as_array().unwrap().len()).sum();
    rows.at_most("disagreements of ledger and count", disagreements as f64, 0.0, "");
    let told = &ours[ours.len() - 1];
    for step in told["steps"].as_array().unwrap() {
        let ms = |name: &str| step[name].as_f64().unwrap();
        let times = format!("{:.2} / {:.2} / {:.2} ms", ms("p50Ms"), ms("p95Ms"), ms("p99Ms"));
        rows.note(&format!("  {} (p50 / p95 / p99)", step["step"].as_str().unwrap()), &times);
    }
}

/// Runs `smtp-source` and returns its mails per second.
async fn source(port: u16) -> f64 {
    let (began, mails) = (Instant::now(), PLAIN.to_string());
    let place = format!("127.0.0.1:{port}");
    let arguments = ["-s", "50", "-l", "1500", "-f", "a@bench.invalid", "-t", "b@bench.invalid", "-m", &mails, &place];
    let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
    let ran = Command::new("smtp-source").args(arguments).env("PATH", path).status().await;
    assert!(ran.expect("smtp-source is part of Postfix: make setup").success());
    PLAIN as f64 / began.elapsed().as_secs_f64()
}

fn asked(port: u16, sends: u64, lanes: usize, more: &[&str]) -> Vec<String> {
    let smtp = format!("localhost:{port}");
    let (sends, lanes) = (sends.to_string(), lanes.to_string());
    let asked = ["bench", "send", "--json", "--smtp", &smtp, "--sends", &sends, "--concurrency", &lanes];
    [&asked, more].concat().iter().map(|word| (*word).to_owned()).collect()
}

async fn send(arguments: &[String]) -> Value {
    send_with(arguments, &[]).await
}

/// The same with some variables, for given servers.
pub async fn send_with(arguments: &[String], variables: &[(&str, &str)]) -> Value {
    let mut command = Command::new(BINARY);
    command.args(arguments).envs(variables.iter().copied()).stderr(Stdio::inherit());
    let ran = command.output().await.unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{told}");
    serde_json::from_str(&told).unwrap()
}

/// How often a worker asked for these steps.
fn calls(told: &Value, names: &[&str]) -> u64 {
    let steps = told["steps"].as_array().unwrap().iter();
    steps
        .filter(|step| names.iter().any(|name| step["step"] == *name))
        .map(|step| step["count"].as_u64().unwrap())
        .sum()
}

fn rates(ours: &[Value]) -> impl Iterator<Item = f64> {
    ours.iter().map(|told| number(told, "mailsPerSecond"))
}

/// The median of each round's figure in parts of what the other did in that round.
fn median_ratio(figures: impl IntoIterator<Item = f64>, others: impl IntoIterator<Item = f64>) -> f64 {
    median(figures.into_iter().zip(others).map(|(figure, other)| figure / other))
}

fn number(told: &Value, name: &str) -> f64 {
    told[name].as_f64().unwrap()
}

pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
