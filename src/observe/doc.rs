//! This module writes `docs/METRICS.md` from the metric tables. `warmup config doc --metrics` prints it, and
//! a test compares the file.

use std::fmt::Write;

use super::{
    fleet,
    meters::{METRIC_DOCS, MetricDoc},
};

const HEAD: &str = "\
# Metrics

<!-- Written by `warmup config doc --metrics > docs/METRICS.md`; a test compares. -->

`GET /metrics` tells all of them in Prometheus' text format, without a token: at `WARMUP_HTTP_ADDR`, or, where
`WARMUP_METRICS_ADDR` is set, only there. `GET /api/warmup/metrics?format=prometheus` tells an admin the same. No label holds
a mailbox, an address, a user or a mail host.
";

const FLEET: &str = "
## The fleet

Read from Postgres at each scrape, each mailbox on its own date: every process tells the same, so take one (`max`), never a
sum. Of more than 2,000 mailboxes they are some seconds old. While Postgres is away they are missing.

";

const PROCESS: &str = "
## The process

Counted by each process since its start, through whatever it asks of the world; sum the rates. With
`WARMUP_ENABLE_DETAILED_METRICS=false` they are left out.

";

const OTLP: &str = "
## Over OTLP

Where Prometheus can't reach the workers, they push the same numbers to a collector. Off until an endpoint is set; then by the
variables that OpenTelemetry defines for every program:

| variable | here |
|---|---|
| `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` | switches it on; over HTTP the first is a base, to which `/v1/metrics` is appended, the second the whole address |
| `OTEL_METRICS_EXPORTER=none`, `OTEL_SDK_DISABLED=true` | switch it off; `none` also where Prometheus scrapes already, because both together count everything twice |
| `OTEL_EXPORTER_OTLP_PROTOCOL`, `..._METRICS_PROTOCOL` | `http/protobuf` (default) or `grpc` |
| `OTEL_EXPORTER_OTLP_HEADERS`, `..._METRICS_HEADERS` | `name=value,name=value`, the values percent-encoded |
| `OTEL_EXPORTER_OTLP_COMPRESSION`, `..._METRICS_COMPRESSION` | `gzip` or `none` (default) |
| `OTEL_METRIC_EXPORT_INTERVAL` | from one push to the next, 60000 ms |
| `OTEL_EXPORTER_OTLP_TIMEOUT`, `..._METRICS_TIMEOUT`, `OTEL_METRIC_EXPORT_TIMEOUT` | how long a push may take, 10000 ms; the shorter one holds |
| `OTEL_EXPORTER_OTLP_INSECURE`, `..._METRICS_INSECURE` | `true`: a gRPC endpoint without a scheme is not TLS |
| `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | go before `service.name=warmup`; `service.instance.id` is `WARMUP_WORKER_ID` |

Names are those of this page: a collector that writes for Prometheus, and Prometheus' own receiver, leave them as they are, so
the dashboards and alerts hold; `job` and `instance` come from `service.name` and `service.instance.id` (have Prometheus scrape
the collector with `honor_labels: true`). Counters and histograms are totals since the start of the process (cumulative), which
each push tells with their time. Only the leader pushes the numbers of the fleet, so that no sum over processes holds them
twice; who stops leading says that its own have no value any more. An alert on `up` needs a scrape.

A collector that is slow or away slows nothing down. A warning says so once, and the next push that arrives tells the totals.
";

/// Returns the page as Markdown.
pub fn markdown() -> String {
    let mut page = format!("{HEAD}{FLEET}");
    table(&mut page, fleet::metric_docs());
    page += PROCESS;
    table(&mut page, METRIC_DOCS.iter());
    page + OTLP
}

fn table<'a>(page: &mut String, told: impl Iterator<Item = &'a MetricDoc>) {
    *page += "| metric | type | labels | what it is |\n|---|---|---|---|\n";
    for MetricDoc { name, kind, labels, sentence } in told {
        let sentence = sentence.trim().trim_end_matches('.');
        writeln!(page, "| `{name}` | {kind} | {labels} | {sentence}. |").expect("a String takes every line");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_what_the_tables_say() {
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md")).unwrap_or_default();
        assert!(file == markdown(), "docs/METRICS.md is old: warmup config doc --metrics > docs/METRICS.md");
    }
}
