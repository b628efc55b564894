//! This module converts a scrape to OTLP: it parses the Prometheus text of the single registry.
//!
//! Names stay as documented, with their `_total` and `_seconds`. The converters from OTLP to Prometheus (the
//! collector's exporters, Prometheus' own receiver) append these only if they are missing. Totals count since
//! the start of the process, as in a scrape. An OTLP bucket has its own count, but a Prometheus bucket
//! includes all lower ones.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, DataPointFlags, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
        metric::Data, number_data_point::Value,
    },
};

use crate::observe::meters::MetricDoc;

/// The times of the numbers, in nanoseconds of Unix time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The start of the counting in this process.
    pub(super) start: u64,
    pub(super) now: u64,
}

/// One line of the text.
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    value: &'a str,
}

/// Converts `text`, in which each metric has a `# HELP`, then a `# TYPE`, then its samples. Metrics without
/// samples are omitted.
pub(super) fn points(text: &str, times: Times) -> Vec<Metric> {
    let described = text.split("# HELP ").filter_map(|part| part.split_once("\n# TYPE "));
    described.filter_map(|(help, rest)| metric(help, rest, times)).collect()
}

/// Returns points that declare that these gauges have no value from this process.
pub(super) fn gone<'a>(told: impl Iterator<Item = &'a MetricDoc>, times: Times) -> Vec<Metric> {
    let flags = DataPointFlags::NoRecordedValueMask as u32;
    let point = NumberDataPoint { time_unix_nano: times.now, flags, ..NumberDataPoint::default() };
    let gauge =
        |told: &MetricDoc| named(told.name, told.sentence, Data::Gauge(Gauge { data_points: vec![point.clone()] }));
    told.map(gauge).collect()
}

fn metric(help: &str, rest: &str, times: Times) -> Option<Metric> {
    let (name, help) = help.split_once(' ')?;
    let (kind, samples) = rest.split_once('\n')?;
    let kind = kind.rsplit(' ').next()?;
    let samples: Vec<Sample> = samples.lines().filter_map(sample).collect();
    if samples.is_empty() {
        return None;
    }
    let cumulative = AggregationTemporality::Cumulative as i32;
    let data = match kind {
        "counter" => Data::Sum(Sum {
            data_points: samples.iter().filter_map(|sample| total(sample, times)).collect(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        "histogram" => {
            Data::Histogram(Histogram { data_points: histograms(&samples, times), aggregation_temporality: cumulative })
        }
        _ => Data::Gauge(Gauge { data_points: samples.iter().filter_map(|sample| level(sample, times)).collect() }),
    };
    Some(named(name, help, data))
}

fn named(name: &str, sentence: &str, data: Data) -> Metric {
    // A metric without a unit stays without one: a collector would turn the unit "1" into a ratio.
    let unit = if name.ends_with("_seconds") { "s" } else { "" };
    let (name, description) = (name.to_owned(), sentence.trim().to_owned());
    Metric { name, description, unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

/// Parses `name{a="b",c="d"} 1`. Label values are words of this program, without quotation marks.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once("=\""));
    Some(Sample { name, labels: labels.map(|(key, word)| (key, word.trim_end_matches('"'))).collect(), value })
}

fn total(sample: &Sample, times: Times) -> Option<NumberDataPoint> {
    Some(NumberDataPoint {
        attributes: attributes(&sample.labels),
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        value: Some(Value::AsInt(sample.value.parse().ok()?)),
        ..NumberDataPoint::default()
    })
}

fn level(sample: &Sample, times: Times) -> Option<NumberDataPoint> {
    Some(NumberDataPoint {
        attributes: attributes(&sample.labels),
        time_unix_nano: times.now,
        value: Some(Value::AsDouble(sample.value.parse().ok()?)),
        ..NumberDataPoint::default()
    })
}

fn histograms(samples: &[Sample], times: Times) -> Vec<HistogramDataPoint> {
    let mut series: BTreeMap<Vec<(&str, &str)>, HistogramDataPoint> = BTreeMap::new();
    for Sample { name, labels, value } in samples {
        let (bounds, labels): (Vec<_>, Vec<_>) = labels.iter().partition(|(key, _)| *key == "le");
        let point = series.entry(labels).or_default();
        if name.ends_with("_sum") {
            point.sum = value.parse().ok();
        } else if name.ends_with("_count") {
            point.count = value.parse().unwrap_or_default();
        } else {
            let below: u64 = point.bucket_counts.iter().sum();
            point.bucket_counts.push(value.parse().unwrap_or(below) - below);
            // The last bucket has no bound: Rust parses `+Inf` as a number, which the filter removes.
            let bound = bounds.first().and_then(|(_, bound)| bound.parse().ok());
            point.explicit_bounds.extend(bound.filter(|bound: &f64| bound.is_finite()));
        }
    }
    let dated = |(labels, point): (Vec<_>, _)| HistogramDataPoint {
        attributes: attributes(&labels),
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        ..point
    };
    series.into_iter().map(dated).collect()
}

fn attributes(labels: &[(&str, &str)]) -> Vec<KeyValue> {
    let text = |word: &str| Some(AnyValue { value: Some(any_value::Value::StringValue(word.to_owned())) });
    let one =
        |(key, word): &(&str, &str)| KeyValue { key: (*key).to_owned(), value: text(word), ..KeyValue::default() };
    labels.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{
        fleet,
        meters::{Call, CallError, Cap, METRIC_DOCS, MailEndLabels, Meters, OutcomeLabel, ReasonLabel, ServerLabel},
    };

    const TIMES: Times = Times { start: 1, now: 2 };

    /// Returns meters with one sample of each kind.
    fn counted() -> Meters {
        let meters = Meters::default();
        meters.ended.get_or_create(&MailEndLabels { kind: "mail", outcome: "sent", reason: "" }).inc_by(3);
        meters.ended.get_or_create(&MailEndLabels { kind: "reply", outcome: "refused", reason: "greylisted" }).inc();
        for seconds in [0.01, 0.3, 0.3, 99.5] {
            meters.delivery.get_or_create(&OutcomeLabel { outcome: "sent" }).observe(seconds);
        }
        meters.delivery.get_or_create(&OutcomeLabel { outcome: "refused" }).observe(2.0);
        meters.capped.get_or_create(&Cap { cap: "global_hour" }).inc();
        meters.unreserved.get_or_create(&ReasonLabel { reason: "stale" }).inc();
        meters.postgres.get_or_create(&Call { call: "call" }).observe(0.1);
        meters.redis.get_or_create(&Call { call: "call" }).observe(0.1);
        meters.postgres_errors.get_or_create(&CallError { call: "call", error: "unknown" }).inc();
        meters.redis_errors.get_or_create(&CallError { call: "call", error: "unknown" }).inc();
        meters.credentials_refused.get_or_create(&ServerLabel { server: "postgres" }).inc();
        meters.lanes.set(20);
        meters
    }

    fn one(metrics: &[Metric], name: &str) -> Metric {
        metrics.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("no {name}")).clone()
    }

    #[test]
    fn every_metric_is_there_by_its_documented_name_and_kind() {
        let metrics = points(&counted().text(), TIMES);
        assert_eq!(metrics.len(), METRIC_DOCS.len());
        for told in METRIC_DOCS {
            let metric = one(&metrics, told.name);
            let kind = match metric.data.unwrap() {
                Data::Sum(sum) if sum.is_monotonic => "counter",
                Data::Histogram(_) => "histogram",
                Data::Gauge(_) => "gauge",
                other => panic!("{other:?}"),
            };
            assert_eq!(kind, told.kind, "{}", told.name);
            assert_eq!(metric.description, told.sentence.trim(), "{}", told.name);
            assert_eq!(metric.unit, if told.name.ends_with("_seconds") { "s" } else { "" });
        }
    }

    #[test]
    fn totals_carry_their_labels_and_the_start_of_the_process() {
        let Some(Data::Sum(sum)) = one(&points(&counted().text(), TIMES), "warmup_mails_ended_total").data else {
            panic!("no sum")
        };
        let mut found: Vec<_> = sum.data_points.into_iter().map(|point| (point.value, point.attributes)).collect();
        found.sort_by_key(|(_, attributes)| format!("{attributes:?}"));
        let mails = [("kind", "mail"), ("outcome", "sent"), ("reason", "")];
        let replies = [("kind", "reply"), ("outcome", "refused"), ("reason", "greylisted")];
        let wanted = [(3, mails), (1, replies)].map(|(n, labels)| (Some(Value::AsInt(n)), attributes(&labels)));
        assert_eq!(found, wanted);
        assert_eq!(sum.aggregation_temporality, AggregationTemporality::Cumulative as i32);
    }

    #[test]
    fn a_bucket_counts_what_is_its_own() {
        let Some(Data::Histogram(histogram)) = one(&points(&counted().text(), TIMES), "warmup_delivery_seconds").data
        else {
            panic!("no histogram")
        };
        let point = histogram.data_points.iter().find(|point| point.count == 4).unwrap();
        assert_eq!(point.sum, Some(0.01 + 0.3 + 0.3 + 99.5));
        assert_eq!(point.explicit_bounds, [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0]);
        assert_eq!(point.bucket_counts, [1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 2));
        assert_eq!(point.attributes, attributes(&[("outcome", "sent")]));
        assert_eq!(histogram.data_points.len(), 2);
    }

    #[test]
    fn what_has_no_value_any_more_says_so() {
        for metric in gone(fleet::metric_docs(), TIMES) {
            let Some(Data::Gauge(gauge)) = metric.data else { panic!("{metric:?}") };
            assert!(gauge.data_points[0].flags == 1 && gauge.data_points[0].value.is_none());
        }
    }
}
