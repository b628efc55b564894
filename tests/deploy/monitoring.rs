//! Rules and dashboards as Prometheus and Grafana read them. That they name only what is exported, `tests/house` says.

use std::{collections::BTreeSet, fs, io::Write};

use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use super::{
    chart::rendered,
    tools::{command, outcome, path, printed, read, tool, yaml},
};

const RULES: &str = "deploy/prometheus/rules.yml";
const TESTS: &str = "deploy/prometheus/rules.test.yml";
const DASHBOARDS: [&str; 3] = ["fleet", "deliverability", "one-send"];

/// Reads a dashboard into Grafana's own type and writes it again; prints what came back otherwise, a path a line.
const ROUND_TRIP: &str = r#"
import json, sys
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
given = json.load(sys.stdin)
back = json.loads(JSONEncoder().encode(Dashboard.from_json(given)))
def lost(a, b, path):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in a:
            lost(a[key], b.get(key), path + "/" + key)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for place, pair in enumerate(zip(a, b)):
            lost(*pair, path + "/" + str(place))
    elif a != b:
        print(path)
lost(given, back, "")
"#;

fn promtool() -> std::process::Command {
    command("promtool")
}

fn dashboard(name: &str) -> Value {
    serde_json::from_str(&read(&format!("deploy/grafana/dashboards/{name}.json"))).unwrap()
}

fn alerts() -> Vec<Value> {
    let rules = yaml(&read(RULES)).remove(0);
    rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn promtool_takes_the_rules_and_every_alert_fires_when_it_should() {
    printed(promtool().args(["check", "rules", RULES]));
    printed(promtool().args(["test", "rules", TESTS]));
    printed(promtool().args(["check", "config", "deploy/prometheus/prometheus.yml"]));
}

#[test]
fn a_rule_that_is_another_than_its_test_is_found() {
    let folder = TempDir::new().unwrap();
    let changed = read(RULES).replace("> 26 * 3600", "> 28 * 3600");
    fs::write(folder.path().join("rules.yml"), changed).unwrap();
    fs::write(folder.path().join("rules.test.yml"), read(TESTS)).unwrap();
    let (well, out, said) = outcome(promtool().args(["test", "rules"]).arg(folder.path().join("rules.test.yml")));
    assert!(!well && format!("{out}{said}").contains("WarmupDutiesNotRun"), "{out}{said}");
}

#[test]
fn every_alert_is_tested_both_ways_and_has_its_page() {
    let tests = yaml(&read(TESTS)).remove(0);
    let asked: Vec<Value> = tests["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap().clone())
        .collect();
    let runbook = read("docs/RUNBOOK.md");
    let alerts = alerts();
    assert!(alerts.len() >= 9);
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        let outcomes: BTreeSet<bool> = asked
            .iter()
            .filter(|test| test["alertname"] == name)
            .map(|test| test["exp_alerts"].as_array().is_some_and(|fired| !fired.is_empty()))
            .collect();
        assert_eq!(outcomes, BTreeSet::from([false, true]), "{name} is not tested both ways");
        let annotations = &alert["annotations"];
        assert!(
            ["summary", "description"]
                .iter()
                .all(|part| annotations[part].as_str().is_some_and(|text| text.len() > 10))
        );
        assert_eq!(annotations["runbook_url"], format!("docs/RUNBOOK.md#{}", name.to_lowercase()));
        assert!(["warning", "critical"].iter().any(|known| alert["labels"]["severity"] == *known), "{name}");
        let page = runbook.split(&format!("\n## {name}\n")).nth(1).unwrap_or_else(|| panic!("{name} has no page"));
        let page = page.split("\n## ").next().unwrap();
        for part in ["**Means**", "**Look**", "**Do**", "**Ends**"] {
            assert!(page.contains(part), "{name}: the page has no {part}");
        }
    }
    let pages = runbook.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(pages, alerts.len(), "a page for each alert and no other");
}

/// What a dashboard writes where its variables go.
fn filled(expression: &str) -> String {
    expression.replace("$job", "fleet").replace("$__rate_interval", "5m")
}

/// All values under this name in a dashboard.
fn all<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(name));
            fields.values().for_each(|value| all(value, name, found));
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, name, found)),
        _ => {}
    }
}

/// Whether Prometheus understands every expression.
fn understood(expressions: &[String]) -> (bool, String) {
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(n, expr)| json!({"record": format!("checked:{n}"), "expr": expr}))
        .collect();
    let mut file = NamedTempFile::new().unwrap();
    write!(file, "{}", json!({"groups": [{"name": "checked", "rules": rules}]})).unwrap();
    let (well, out, said) = outcome(promtool().args(["check", "rules"]).arg(file.path()));
    (well, out + &said)
}

#[test]
fn prometheus_understands_every_query_of_every_dashboard() {
    let mut expressions = Vec::new();
    for dashboard in DASHBOARDS.map(dashboard) {
        let mut found = Vec::new();
        all(&dashboard, "expr", &mut found);
        expressions.extend(found.iter().map(|expression| filled(expression.as_str().unwrap())));
    }
    assert!(expressions.len() > 40, "{} queries", expressions.len());
    let (well, said) = understood(&expressions);
    assert!(well, "{said}");
    assert!(!understood(&["sum by (le (rate(a[5m]))".to_owned()]).0);
}

/// What is lost of a dashboard on its way through Grafana's type.
fn lost(dashboard: &Value) -> String {
    let mut file = NamedTempFile::new().unwrap();
    write!(file, "{dashboard}").unwrap();
    let file = fs::File::open(file.path()).unwrap();
    printed(tool("python/bin/python").args(["-c", ROUND_TRIP]).stdin(file))
}

#[test]
fn grafana_knows_every_key_of_every_dashboard() {
    for name in DASHBOARDS {
        assert_eq!(lost(&dashboard(name)), "", "{name}");
    }
    let mut wrong = dashboard("fleet");
    wrong["panels"][1]["titel"] = json!("Health");
    assert_eq!(lost(&wrong), "/panels/1/titel\n");
}

#[test]
fn dashboards_ask_the_sources_that_are_provisioned_and_have_one_place_each() {
    let provisioned = yaml(&read("deploy/grafana/provisioning/datasources/datasources.yaml")).remove(0);
    let known: BTreeSet<&str> =
        provisioned["datasources"].as_array().unwrap().iter().map(|source| source["uid"].as_str().unwrap()).collect();
    let mut names = BTreeSet::new();
    for dashboard in DASHBOARDS.map(dashboard) {
        let mut found = Vec::new();
        all(&dashboard, "datasource", &mut found);
        assert!(found.iter().all(|source| known.contains(source["uid"].as_str().unwrap())));
        names.insert(dashboard["uid"].as_str().unwrap().to_owned());
        for panel in dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
            assert!(panel["title"].as_str().is_some_and(|text| !text.is_empty()) && panel["description"].is_string());
            assert!(panel["gridPos"]["x"].as_u64().unwrap() + panel["gridPos"]["w"].as_u64().unwrap() <= 24);
        }
    }
    assert_eq!(names.len(), DASHBOARDS.len());
    let folder = yaml(&read("deploy/grafana/provisioning/dashboards/dashboards.yaml")).remove(0);
    assert_eq!(folder["providers"][0]["type"], "file");
}

#[test]
fn the_chart_brings_the_same_rules_and_dashboards() {
    let objects = rendered(&["--values=tests/deploy/everything.yaml"]);
    let rule = objects.iter().find(|object| object["kind"] == "PrometheusRule").unwrap();
    assert_eq!(rule["spec"], yaml(&read(RULES)).remove(0));
    for name in DASHBOARDS {
        let key = format!("{name}.json");
        let found =
            objects.iter().find_map(|object| object["data"][&key].as_str()).unwrap_or_else(|| panic!("no {key}"));
        assert_eq!(serde_json::from_str::<Value>(found).unwrap(), dashboard(name));
    }
    assert!(path("k8s/files/rules.yml").is_file(), "a link to {RULES}");
}
