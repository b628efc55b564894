//! What is watched is told: every metric, label, span and attribute that a dashboard or an alert names is one that the
//! program exports, by the tables from which it exports them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use warmup::observe::{fleet, meters::METRIC_DOCS, spans};

use super::{
    promql,
    tree::{self, Tree},
};

/// What Prometheus and Kubernetes say of whoever was scraped.
const OF_TARGETS: [&str; 4] = ["job", "instance", "namespace", "le"];
/// What the collector says of any span (`deploy/otel/collector.yaml`), beside its dimensions.
const OF_SPANS: [&str; 3] = ["span_name", "service_name", "le"];
/// The metrics that the collector makes of spans, by its `namespace` and `unit`.
const SPAN_METRICS: [&str; 2] = ["traces_span_metrics_calls_total", "traces_span_metrics_duration_seconds_bucket"];

/// What files name, each with the file.
#[derive(Debug, Default)]
struct Found {
    metrics: BTreeSet<(String, String)>,
    labels: BTreeSet<(String, Option<String>, String)>,
    spans: BTreeSet<(String, String)>,
    attributes: BTreeSet<(String, String)>,
}

impl Found {
    /// Reads dashboards and rules.
    fn of(tree: &Tree) -> Found {
        let mut found = Found::default();
        for (path, text) in tree {
            if path.ends_with(".json") {
                let dashboard: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"));
                found.walk(path, &dashboard);
            } else {
                expressions(text).iter().for_each(|expression| found.promql(path, expression));
            }
        }
        found
    }

    fn walk(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(expression) if name == "expr" => self.promql(path, expression),
                        Some(query) if name == "query" && query.starts_with('{') => self.traceql(path, query),
                        Some(query) if query.starts_with("label_values(") => {
                            let inner = query.trim_start_matches("label_values(").trim_end_matches(')');
                            let (metric, label) = inner.split_once(',').expect("a metric and a label");
                            self.promql(path, &format!("sum by ({}) ({metric})", label.trim()));
                        }
                        _ => self.walk(path, value),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(path, item)),
            _ => {}
        }
    }

    fn promql(&mut self, path: &str, expression: &str) {
        let named = promql::named(expression);
        self.metrics.extend(named.metrics.into_iter().map(|metric| (path.to_owned(), metric)));
        self.labels.extend(named.labels.into_iter().map(|(of, label)| (path.to_owned(), of, label)));
        self.spans(path, expression, "span_name");
    }

    fn traceql(&mut self, path: &str, query: &str) {
        let attribute = |rest: &str| {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"._".contains(letter));
            rest[..end.unwrap_or(rest.len())].to_owned()
        };
        let named = query.split("span.").skip(1).map(attribute);
        self.attributes.extend(named.map(|name| (path.to_owned(), name)));
        self.spans(path, query, "name");
    }

    /// The spans in `field="a|b"`, `=~` and `!=`.
    fn spans(&mut self, path: &str, query: &str, field: &str) {
        for (at, _) in query.match_indices(field) {
            let rest = query[at + field.len()..].trim_start_matches([' ', '=', '~', '!']);
            let names = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap_or_default();
            self.spans.extend(
                names.split('|').filter(|name| !name.is_empty()).map(|name| (path.to_owned(), name.to_owned())),
            );
        }
    }

    fn count(&self) -> [usize; 4] {
        let distinct =
            |named: &BTreeSet<(String, String)>| named.iter().map(|(_, name)| name).collect::<BTreeSet<_>>().len();
        let labels: BTreeSet<&String> = self.labels.iter().map(|(.., label)| label).collect();
        [distinct(&self.metrics), labels.len(), distinct(&self.spans), distinct(&self.attributes)]
    }

    /// Returns everything that nobody exports.
    fn faults(&self, exported: &Exported) -> Vec<String> {
        let mut faults = Vec::new();
        let unknown = |path: &str, what: &str, name: &str| format!("{path}: nobody exports the {what} `{name}`");
        for (path, metric) in &self.metrics {
            if !exported.metrics.contains_key(metric) {
                faults.push(unknown(path, "metric", metric));
            }
        }
        for (path, of, label) in &self.labels {
            let known = match of.as_ref().and_then(|metric| exported.metrics.get(metric)) {
                Some(labels) => labels.contains(label),
                None => exported.metrics.values().any(|labels| labels.contains(label)),
            };
            if !known {
                faults.push(unknown(path, "label", &format!("{}{{{label}}}", of.as_deref().unwrap_or_default())));
            }
        }
        let (spans, attributes) = (exported.spans.iter(), spans::ATTRIBUTES.iter());
        let (spans, attributes): (Vec<&str>, Vec<&str>) = (spans.copied().collect(), attributes.copied().collect());
        for (named, known, what) in [(&self.spans, spans, "span"), (&self.attributes, attributes, "attribute")] {
            let wrong = named.iter().filter(|(_, name)| !known.contains(&name.as_str()));
            faults.extend(wrong.map(|(path, name)| unknown(path, what, name)));
        }
        faults
    }
}

/// What there is to be named.
struct Exported {
    /// Each metric with its labels.
    metrics: BTreeMap<String, BTreeSet<String>>,
    spans: Vec<&'static str>,
}

impl Exported {
    /// By the program's own tables, and by what the collector is told to make of spans.
    fn with(collector: &str) -> Exported {
        let mut metrics = BTreeMap::new();
        for told in METRIC_DOCS.iter().chain(fleet::metric_docs()) {
            let labels = told.labels.split(", ").chain(OF_TARGETS).filter(|label| !label.is_empty());
            let labels: BTreeSet<String> = labels.map(str::to_owned).collect();
            let names = match told.kind {
                "histogram" => ["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", told.name)).to_vec(),
                _ => vec![told.name.to_owned()],
            };
            metrics.extend(names.into_iter().map(|name| (name, labels.clone())));
        }
        let dimensions = dimensions(collector).into_iter().map(|name| name.replace('.', "_"));
        let of_spans: BTreeSet<String> = dimensions.chain(OF_SPANS.map(str::to_owned)).collect();
        metrics.extend(SPAN_METRICS.map(|name| (name.to_owned(), of_spans.clone())));
        Exported { metrics, spans: spans::NAMES.into_iter().chain([spans::SETTLE]).collect() }
    }
}

/// The attributes of spans that the collector makes labels of.
fn dimensions(collector: &str) -> Vec<&str> {
    collector.lines().filter_map(|line| line.trim().strip_prefix("- name: ")).collect()
}

/// The expressions of a file of rules: on the line of `expr:`, or in the deeper lines below it.
fn expressions(rules: &str) -> Vec<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = rules.lines().collect();
    let mut found = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        match line.trim().strip_prefix("expr:").map(str::trim) {
            None => {}
            Some("|") => {
                let block = lines[place + 1..].iter().take_while(|below| depth(below) > depth(line));
                found.push(block.copied().collect::<Vec<_>>().join("\n"));
            }
            Some(expression) => found.push(expression.to_owned()),
        }
    }
    found
}

fn watched() -> Tree {
    tree::read(&["deploy/grafana/dashboards", "deploy/prometheus/rules.yml"])
}

fn collector() -> String {
    tree::read(&["deploy/otel/collector.yaml"]).remove("deploy/otel/collector.yaml").expect("the collector is told")
}

#[test]
fn dashboards_and_alerts_name_only_what_is_exported() {
    let tree = watched();
    let found = Found::of(&tree);
    let [metrics, labels, spans, attributes] = found.count();
    println!("{} files name {metrics} metrics, {labels} labels, {spans} spans, {attributes} attributes", tree.len());
    assert!(tree.len() >= 4 && metrics >= 30 && labels >= 10 && spans >= 10 && attributes >= 8, "nothing was found");
    assert_eq!(found.faults(&Exported::with(&collector())), [""; 0]);
}

#[test]
fn the_collector_counts_by_attributes_that_there_are() {
    let collector = collector();
    assert!(dimensions(&collector).len() >= 4);
    dimensions(&collector).iter().for_each(|name| assert!(spans::ATTRIBUTES.contains(name), "no span has `{name}`"));
    assert!(collector.contains("namespace: traces.span.metrics") && collector.contains("unit: s\n"));
}

#[test]
fn every_metric_of_the_program_is_on_a_dashboard_or_in_an_alert() {
    let named: BTreeSet<String> = Found::of(&watched()).metrics.into_iter().map(|(_, metric)| metric).collect();
    let shown =
        |name: &str| ["", "_bucket", "_sum", "_count"].iter().any(|part| named.contains(&format!("{name}{part}")));
    let unseen: Vec<&str> =
        METRIC_DOCS.iter().chain(fleet::metric_docs()).map(|told| told.name).filter(|name| !shown(name)).collect();
    // On the API's own page for people.
    assert_eq!(unseen, ["warmup_active_mailboxes"]);
}

#[test]
fn a_name_that_does_not_exist_is_found() {
    let exported = Exported::with(&collector());
    let rules = |expression: &str| tree::of("rules.yml", &format!("  expr: {expression}\n  for: 5m"));
    let query = |query: &str| tree::of("a.json", &serde_json::json!({"targets": [{"query": query}]}).to_string());
    for (tree, what) in [
        (rules("max(warmup_emails_send_today) > 0"), "metric `warmup_emails_send_today`"),
        (rules("rate(warmup_mails_ended[5m])"), "metric `warmup_mails_ended`"),
        (rules("warmup_delivery_seconds > 1"), "metric `warmup_delivery_seconds`"),
        (rules("warmup_lanes{mailbox=\"1\"}"), "label `warmup_lanes{mailbox}`"),
        (rules("sum by (provider) (warmup_lanes)"), "label `{provider}`"),
        (rules("traces_span_metrics_calls_total{span_name=\"warmup.sent\"}"), "span `warmup.sent`"),
        (query("{ name = \"warmup.mail\" }"), "span `warmup.mail`"),
        (query("{ span.warmup.result = \"sent\" }"), "attribute `warmup.result`"),
    ] {
        let faults = Found::of(&tree).faults(&exported);
        assert!(faults.len() == 1 && faults[0].contains(what), "{what}: {faults:?}");
    }
    let right = rules("sum by (cap, job) (rate(warmup_caps_refused_total{cap=~\"user.*\"}[5m]))");
    assert_eq!(Found::of(&right).faults(&exported), [""; 0]);
}

#[test]
fn the_expressions_of_rules_are_read_on_one_line_and_on_several() {
    let rules = "- alert: A\n  expr: a > 0\n  for: 5m\n- alert: B\n  expr: |\n    b\n      > 0\n  for: 5m\n";
    assert_eq!(expressions(rules), ["a > 0", "    b\n      > 0"]);
}
