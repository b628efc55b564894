//! `Meters` holds every metric that this process counts itself. The table below is the single source of the
//! instruments, of their text in `docs/METRICS.md` and of the text that Prometheus reads.
//!
//! All label values are words of this program, so their number is bounded: never a mailbox, an address, a
//! user or a mail host. Numbers of the whole fleet are read from Postgres instead (`fleet.rs`), because the
//! sums of processes vanish with the processes.

use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, prometheus_text},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

/// The bounds for mails in seconds, from 0.05 s to the whole mail's deadline.
const MAIL_SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0];
/// The bounds for work in seconds, from one statement to a tick that reads 100,000 mailboxes.
const WORK_SECONDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];
const LAG_SECONDS: [f64; 8] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0];
const BATCH_MAILS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1000.0];

/// The labels of the end of a mail or a reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MailEndLabels {
    /// `mail` or `reply`.
    pub kind: &'static str,
    /// `sent`, `refused`, `uncertain` or `unstarted`.
    pub outcome: &'static str,
    /// The failure class, as in the log; empty if nothing failed.
    pub reason: &'static str,
}

/// The label of a mail's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    pub outcome: &'static str,
}

/// The label of the reason of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    pub reason: &'static str,
}

/// The label of a cap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Cap {
    pub cap: &'static str,
}

/// The label of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ServerLabel {
    /// `postgres` or `redis`.
    pub server: &'static str,
}

/// The label of a call to a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Call {
    pub call: &'static str,
}

/// The labels of a failed call to a service: the call, and the kind of its error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallError {
    pub call: &'static str,
    /// `unavailable`, `unwritable`, `slow`, `lost`, `conflict`, `permanent` or `unknown`.
    pub error: &'static str,
}

/// The bucket bounds of a histogram.
#[derive(Clone, Copy, Debug)]
pub struct Bounds(&'static [f64]);

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// The documentation of an instrument.
#[derive(Clone, Copy, Debug)]
pub struct MetricDoc {
    /// The name in Prometheus.
    pub name: &'static str,
    pub kind: &'static str,
    pub labels: &'static str,
    pub sentence: &'static str,
}

type Timed<S> = Family<S, Histogram, Bounds>;

/// Turns the table into the typed `Meters`, their registration and their documentation. The table omits the
/// `_total` that Prometheus appends to a counter's name, and the `_seconds` of a time.
macro_rules! meters {
    ($(
        #[doc = $sentence:literal]
        $field:ident: $type:ty = $make:expr, $kind:literal, $name:literal, $suffix:literal, $unit:expr, $labels:literal;
    )+) => {
        /// The instruments of this process.
        pub struct Meters {
            registry: Registry,
            $(
                #[doc = $sentence]
                pub $field: $type,
            )+
        }

        impl Default for Meters {
            fn default() -> Meters {
                let mut registry = Registry::default();
                $(
                    let $field: $type = $make;
                    // The library appends a full stop to the sentence.
                    let sentence = $sentence.trim().trim_end_matches('.');
                    match $unit {
                        Some(unit) => registry.register_with_unit($name, sentence, unit, $field.clone()),
                        None => registry.register($name, sentence, $field.clone()),
                    }
                )+
                Meters { registry, $($field,)+ }
            }
        }

        /// The documentation of each instrument, in the order of the table.
        pub const METRIC_DOCS: &[MetricDoc] = &[
            $(MetricDoc { name: concat!($name, $suffix), kind: $kind, labels: $labels, sentence: $sentence },)+
        ];
    };
}

meters! {
    /// Mails and replies that ended, by how and why.
    ended: Family<MailEndLabels, Counter> = Family::default(), "counter", "warmup_mails_ended", "_total", None, "kind, outcome, reason";
    /// From the first packet of a mail to its verdict, by how it ended.
    delivery: Timed<OutcomeLabel> = Family::new_with_constructor(Bounds(&MAIL_SECONDS)), "histogram", "warmup_delivery", "_seconds", Some(Unit::Seconds), "outcome";
    /// Mails and replies that are on their way in this process.
    active_sends: Gauge = Gauge::default(), "gauge", "warmup_active_sends", "", None, "";
    /// Mails and replies that the caps granted.
    granted: Counter = Counter::default(), "counter", "warmup_caps_granted", "_total", None, "";
    /// Mails and replies that a cap refused for now, by the cap.
    capped: Family<Cap, Counter> = Family::default(), "counter", "warmup_caps_refused", "_total", None, "cap";
    /// Grants that were thrown away, because Postgres had answered their reserve too late: nothing of them was started.
    grants_expired: Counter = Counter::default(), "counter", "warmup_grants_expired", "_total", None, "";
    /// Mails and replies that the ledger did not reserve, by why.
    unreserved: Family<ReasonLabel, Counter> = Family::default(), "counter", "warmup_reserve_refused", "_total", None, "reason";
    /// Mails and replies in a batch that was asked for.
    batch: Histogram = Bounds(&BATCH_MAILS).new_metric(), "histogram", "warmup_batch_size", "", None, "";
    /// Mails and replies that were settled in one statement.
    settled: Histogram = Bounds(&BATCH_MAILS).new_metric(), "histogram", "warmup_settle_size", "", None, "";
    /// Results that the database refused, and took in a reduced form.
    reduced: Counter = Counter::default(), "counter", "warmup_results_reduced", "_total", None, "";
    /// Tries to write a result that the database refused in its reduced form too.
    refused: Counter = Counter::default(), "counter", "warmup_results_refused", "_total", None, "";
    /// Flights whose worker was gone and whose end nobody knows.
    swept: Counter = Counter::default(), "counter", "warmup_swept_uncertain", "_total", None, "";
    /// Mails that Postgres had lost, whose log rows were written late: the database was set back.
    lost_mails: Counter = Counter::default(), "counter", "warmup_ledger_lost_mails", "_total", None, "";
    /// Reading and planning the shards at a tick.
    tick: Histogram = Bounds(&WORK_SECONDS).new_metric(), "histogram", "warmup_tick_duration", "_seconds", Some(Unit::Seconds), "";
    /// How late after its time a tick began.
    tick_lag: Histogram = Bounds(&LAG_SECONDS).new_metric(), "histogram", "warmup_tick_lag", "_seconds", Some(Unit::Seconds), "";
    /// When the last tick that went well was, in Unix time by the day clock.
    last_tick: Gauge = Gauge::default(), "gauge", "warmup_last_tick_timestamp", "_seconds", Some(Unit::Seconds), "";
    /// Lanes of this process: mails that it may have under way at once.
    lanes: Gauge = Gauge::default(), "gauge", "warmup_lanes", "", None, "";
    /// Shards that this process holds.
    shards: Gauge = Gauge::default(), "gauge", "warmup_shards_held", "", None, "";
    /// Leases that were this process's at its last heartbeat.
    leases: Gauge = Gauge::default(), "gauge", "warmup_leases_held", "", None, "";
    /// Mailboxes that owe a mail until the next tick, of this process's shards.
    queue: Gauge = Gauge::default(), "gauge", "warmup_queue_size", "", None, "";
    /// Mail hosts that do not answer this process in time: few mails are sent to each at once until it answers.
    slow_hosts: Gauge = Gauge::default(), "gauge", "warmup_slow_hosts", "", None, "";
    /// Workers of the fleet that this process knew at its last heartbeat.
    workers: Gauge = Gauge::default(), "gauge", "warmup_workers_seen", "", None, "";
    /// 1 while this process leads: it does the daily duties.
    leader: Gauge = Gauge::default(), "gauge", "warmup_leader", "", None, "";
    /// Leases that ran out under this process or were taken from it.
    leases_lost: Counter = Counter::default(), "counter", "warmup_leases_lost", "_total", None, "";
    /// What calls of Postgres took, by the call.
    postgres: Timed<Call> = Family::new_with_constructor(Bounds(&WORK_SECONDS)), "histogram", "warmup_postgres_call", "_seconds", Some(Unit::Seconds), "call";
    /// Calls of Postgres that failed, by the call and by what the error lets the caller do.
    postgres_errors: Family<CallError, Counter> = Family::default(), "counter", "warmup_postgres_errors", "_total", None, "call, error";
    /// 1 while Postgres refuses what this process writes: it is read-only, or its disk is full.
    read_only: Gauge = Gauge::default(), "gauge", "warmup_database_read_only", "", None, "";
    /// By how much this machine's clock is ahead of Postgres'; negative if it is behind. 0 for the clock of a demo.
    clock_offset: Gauge = Gauge::default(), "gauge", "warmup_clock_offset", "_seconds", Some(Unit::Seconds), "";
    /// By how much this machine's clock is ahead of Redis'; negative if it is behind. 0 for the clock of a demo.
    redis_clock_offset: Gauge = Gauge::default(), "gauge", "warmup_redis_clock_offset", "_seconds", Some(Unit::Seconds), "";
    /// What calls of Redis took, by the call.
    redis: Timed<Call> = Family::new_with_constructor(Bounds(&WORK_SECONDS)), "histogram", "warmup_redis_call", "_seconds", Some(Unit::Seconds), "call";
    /// Calls of Redis that failed, by the call and by what the error lets the caller do.
    redis_errors: Family<CallError, Counter> = Family::default(), "counter", "warmup_redis_errors", "_total", None, "call, error";
    /// Calls that Postgres or Redis refused for the credentials of this process.
    credentials_refused: Family<ServerLabel, Counter> = Family::default(), "counter", "warmup_credentials_refused", "_total", None, "server";
}

/// The meters, shared by the counting code and the exporters.
pub type SharedMeters = Arc<Meters>;

impl Meters {
    /// Writes all meters in Prometheus' text format.
    pub fn text(&self) -> String {
        encode(&self.registry)
    }
}

/// Writes a registry in Prometheus' text format.
pub(super) fn encode(registry: &Registry) -> String {
    let mut text = String::new();
    match prometheus_text::encode(&mut text, registry) {
        Ok(()) => text,
        Err(_) => String::new(),
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instrument_is_told_by_the_name_that_prometheus_reads() {
        let meters = Meters::default();
        meters.ended.get_or_create(&MailEndLabels { kind: "mail", outcome: "sent", reason: "" }).inc();
        // The text omits a family without a sample.
        meters.delivery.get_or_create(&OutcomeLabel { outcome: "sent" }).observe(0.1);
        meters.capped.get_or_create(&Cap { cap: "global_hour" }).inc();
        meters.unreserved.get_or_create(&ReasonLabel { reason: "stale" }).inc();
        meters.credentials_refused.get_or_create(&ServerLabel { server: "redis" }).inc();
        for (calls, errors) in [(&meters.postgres, &meters.postgres_errors), (&meters.redis, &meters.redis_errors)] {
            calls.get_or_create(&Call { call: "call" }).observe(0.1);
            errors.get_or_create(&CallError { call: "call", error: "unknown" }).inc();
        }
        let text = meters.text();
        for told in METRIC_DOCS {
            assert!(text.contains(&format!("# TYPE {} {}\n", told.name, told.kind)), "{} is not in\n{text}", told.name);
        }
        assert!(text.contains("warmup_mails_ended_total{kind=\"mail\",outcome=\"sent\",reason=\"\"} 1\n"), "{text}");
    }
}
