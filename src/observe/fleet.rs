//! This module exports the numbers of the whole fleet as gauges. Each scrape reads them from Postgres, so
//! every process reports the current fleet. No sum over processes, which start and stop, is needed.

use std::sync::atomic::AtomicU64;

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use super::meters::{MetricDoc, encode};
use crate::domain::health::Health;

/// The numbers of the fleet.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    pub total_mailboxes: i64,
    pub active_mailboxes: i64,
    pub sent_today: i64,
    pub failed_today: i64,
    pub uncertain_today: i64,
    pub replied_today: i64,
    pub planned_now: i64,
    pub owed_today: i64,
    pub throughput_per_hour: i64,
    pub quota_completion_rate: f64,
    pub health: Health,
    pub behind: i64,
    pub starting: i64,
    pub failing: i64,
    pub alarmed: i64,
    pub paused: i64,
    pub disabled: i64,
    pub in_flight: i64,
    pub hosts_paused: i64,
    pub hosts_suspected: i64,
    pub unverified: i64,
    pub caps_short: i64,
    pub running: bool,
    /// True if the database was set back and the fleet was not started since.
    pub set_back: bool,
    pub workers_expected: u32,
    pub shards: i64,
    /// The last completion of the maintenance jobs in seconds since 1970; 0 if they never completed.
    pub duties_done: i64,
}

type Row = (MetricDoc, fn(&Fleet) -> f64);

macro_rules! gauges {
    ($($name:literal, $sentence:literal, $value:expr;)+) => {
        const GAUGES: &[Row] = &[
            $((MetricDoc { name: $name, kind: "gauge", labels: "", sentence: $sentence }, $value),)+
        ];
    };
}

gauges! {
    "warmup_total_mailboxes", "Mailboxes that are switched on", |fleet| fleet.total_mailboxes as f64;
    "warmup_active_mailboxes", "Mailboxes that sent at least one mail today", |fleet| fleet.active_mailboxes as f64;
    "warmup_emails_sent_today", "Mails that were sent today, each mailbox on its own date", |fleet| fleet.sent_today as f64;
    "warmup_emails_failed_today", "Mails and replies that were refused today", |fleet| fleet.failed_today as f64;
    "warmup_emails_uncertain_today", "Mails of today whose end nobody knows", |fleet| fleet.uncertain_today as f64;
    "warmup_emails_replied_today", "Replies that were sent today", |fleet| fleet.replied_today as f64;
    "warmup_emails_planned_now", "Mails that the plan wants to have gone by now", |fleet| fleet.planned_now as f64;
    "warmup_emails_owed_today", "Today's quotas together, of the mailboxes that take part", |fleet| fleet.owed_today as f64;
    "warmup_throughput_per_hour", "Mails sent in the last 60 minutes", |fleet| fleet.throughput_per_hour as f64;
    "warmup_quota_completion_rate", "Mailboxes that sent their whole quota, of those that owe something, in percent", |fleet| fleet.quota_completion_rate;
    "warmup_system_health", "0 critical, 1 degraded, 2 healthy or starting", |fleet| fleet.health.gauge();
    "warmup_mailboxes_starting", "Mailboxes that were enrolled, resumed or started less than one cooldown ago", |fleet| fleet.starting as f64;
    "warmup_mailboxes_behind", "Mailboxes that sent less than their plan asks for by now", |fleet| fleet.behind as f64;
    "warmup_mailboxes_failing", "Mailboxes that are disabled, or whose last three attempts failed", |fleet| fleet.failing as f64;
    "warmup_quota_alerts", "Mailboxes that an alert is out for: far behind their plan, or failing", |fleet| fleet.alarmed as f64;
    "warmup_mailboxes_paused", "Mailboxes that are paused, they or their mail host or domain", |fleet| fleet.paused as f64;
    "warmup_mailboxes_disabled", "Mailboxes that send nothing until an operator resumes them", |fleet| fleet.disabled as f64;
    "warmup_in_flight", "Reservations whose end is not recorded yet", |fleet| fleet.in_flight as f64;
    "warmup_hosts_paused", "Mail hosts that are paused, or where one mailbox at a time tries", |fleet| fleet.hosts_paused as f64;
    "warmup_hosts_suspected", "Mail hosts that rest for an owner, because they refused most of their partners", |fleet| fleet.hosts_suspected as f64;
    "warmup_mailboxes_unverified", "Mailboxes that are not verified, and exchange mails with their owner's mailboxes only", |fleet| fleet.unverified as f64;
    "warmup_caps_short", "Caps, lanes and limits of mail hosts that cannot carry the quotas of the enrolled mailboxes", |fleet| fleet.caps_short as f64;
    "warmup_fleet_running", "1 while the standing order lets the fleet send", |fleet| f64::from(u8::from(fleet.running));
    "warmup_fleet_set_back", "1 while the fleet is stopped because the database was set back", |fleet| f64::from(u8::from(fleet.set_back));
    "warmup_workers_expected", "WARMUP_WORKER_COUNT", |fleet| f64::from(fleet.workers_expected);
    "warmup_shards", "Shards of the fleet, whoever holds them", |fleet| fleet.shards as f64;
    "warmup_duties_done_timestamp_seconds", "When the daily duties were last finished, in Unix time; 0 if they never were", |fleet| fleet.duties_done as f64;
}

/// Returns the documentation of each gauge.
pub fn metric_docs() -> impl Iterator<Item = &'static MetricDoc> {
    GAUGES.iter().map(|(told, _)| told)
}

/// Writes the fleet's gauges in Prometheus' text format.
pub fn text(fleet: &Fleet) -> String {
    let mut registry = Registry::default();
    for (told, value) in GAUGES {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value(fleet));
        registry.register(told.name, told.sentence, gauge);
    }
    encode(&registry)
}
