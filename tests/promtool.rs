//! What Prometheus' own tool says of our metrics: nothing. It is no part of `cargo test`, because it needs that tool;
//! `make test-all` installs it and runs this.

#![cfg(test)]

use std::{
    io::Write,
    process::{Command, Stdio},
};

use warmup::{
    domain::health::Health,
    observe::{
        fleet::{self, Fleet},
        meters::{Call, CallError, Cap, MailEndLabels, Meters, OutcomeLabel, ReasonLabel, ServerLabel},
    },
};

/// Every family with a sample, as a process that has done everything once tells it.
fn all() -> String {
    let gauges = Fleet {
        total_mailboxes: 48,
        active_mailboxes: 40,
        sent_today: 700,
        failed_today: 3,
        uncertain_today: 1,
        replied_today: 200,
        planned_now: 720,
        alarmed: 3,
        owed_today: 1_440,
        throughput_per_hour: 180,
        quota_completion_rate: 12.5,
        health: Health::Healthy,
        behind: 5,
        starting: 1,
        failing: 2,
        paused: 1,
        disabled: 1,
        in_flight: 2,
        hosts_paused: 1,
        hosts_suspected: 1,
        unverified: 2,
        caps_short: 0,
        running: true,
        set_back: false,
        workers_expected: 1,
        shards: 256,
        duties_done: 1_764_000_000,
    };
    let meters = Meters::default();
    meters.ended.get_or_create(&MailEndLabels { kind: "mail", outcome: "refused", reason: "auth-refused" }).inc();
    meters.delivery.get_or_create(&OutcomeLabel { outcome: "sent" }).observe(0.4);
    meters.capped.get_or_create(&Cap { cap: "user_minute" }).inc();
    meters.unreserved.get_or_create(&ReasonLabel { reason: "not-cool" }).inc();
    meters.credentials_refused.get_or_create(&ServerLabel { server: "postgres" }).inc();
    meters.postgres.get_or_create(&Call { call: "reserve" }).observe(0.01);
    meters.postgres_errors.get_or_create(&CallError { call: "reserve", error: "unavailable" }).inc();
    meters.redis.get_or_create(&Call { call: "grant" }).observe(0.001);
    meters.redis_errors.get_or_create(&CallError { call: "grant", error: "unknown" }).inc();
    fleet::text(&gauges) + &meters.text()
}

#[test]
fn promtool_has_nothing_to_say() {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = command.spawn().expect("promtool is installed: scripts/setup.sh test-all");
    let text = all();
    tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}
