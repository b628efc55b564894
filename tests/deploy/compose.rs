//! Docker Compose itself reads its file, and what it makes of it is a fleet.

use std::{collections::BTreeMap, process::Command, time::Duration};

use serde_json::Value;
use warmup::config::{Settings, env_file};

use super::tools::{outcome, path, printed, read, tool, yaml};

const FILE: &str = "deploy/compose.yaml";
const SECRETS: [(&str, &str); 4] = [
    ("POSTGRES_PASSWORD", "secret"),
    ("WARMUP_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
    ("WARMUP_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef"),
    ("GRAFANA_PASSWORD", "secret"),
];
/// Whose images hold nothing that could ask, or that end by themselves.
const UNASKED: [&str; 3] = ["collector", "tempo", "migrate"];

fn compose() -> Command {
    let mut compose = tool("docker-compose");
    // No file of whoever runs the tests.
    compose.env_clear().args(["--file", FILE, "--env-file", "/dev/null", "config", "--format", "json"]);
    compose
}

fn services() -> serde_json::Map<String, Value> {
    let told: Value = serde_json::from_str(&printed(compose().envs(SECRETS))).unwrap();
    told["services"].as_object().unwrap().clone()
}

#[test]
fn compose_reads_a_fleet_of_three_with_all_that_watches_it() {
    let services = services();
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["collector", "grafana", "migrate", "postgres", "prometheus", "redis", "tempo", "worker"]);
    for (name, service) in &services {
        let (_, tag) = service["image"].as_str().unwrap().rsplit_once(':').expect("a version");
        assert!(tag.chars().any(|letter| letter.is_ascii_digit()), "{name}: {tag} is no version");
        let asked = service["healthcheck"]["test"].is_array();
        assert_eq!(asked, !UNASKED.contains(&name.as_str()), "{name}");
        for volume in service["volumes"].as_array().unwrap_or(&Vec::new()) {
            let bound = volume["type"] == "bind";
            assert!(!bound || path(volume["source"].as_str().unwrap()).exists(), "{volume}");
        }
        for port in service["ports"].as_array().unwrap_or(&Vec::new()) {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name} is told to the world");
        }
    }
}

#[test]
fn a_secret_that_is_missing_stops_it() {
    for (missing, _) in SECRETS {
        let (well, _, said) = outcome(compose().envs(SECRETS.into_iter().filter(|(name, _)| *name != missing)));
        assert!(!well && said.contains(missing), "{missing}: {said}");
    }
    let example = env_file(&path("deploy/compose.env.example")).unwrap();
    let names: Vec<&str> = example.keys().map(String::as_str).collect();
    let mut wanted = SECRETS.map(|(name, _)| name);
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    assert!(example.values().all(String::is_empty));
}

#[test]
fn the_workers_are_confined_and_set_as_the_program_reads_it() {
    let services = services();
    let (worker, migrate) = (&services["worker"], &services["migrate"]);
    for service in [worker, migrate] {
        assert_eq!(service["read_only"], true);
        assert_eq!(service["cap_drop"][0], "ALL");
        let vars = set_in(service);
        let (settings, _) = Settings::from_vars(&vars).unwrap();
        assert!(settings.distributed_mode);
        assert_eq!(worker["deploy"]["replicas"], settings.worker_count);
        // `30m0s` of a healthier Compose; here minutes and seconds are enough.
        let grace = worker["stop_grace_period"].as_str().unwrap().trim_end_matches('s').split_once('m').unwrap();
        let grace = Duration::from_secs(grace.0.parse::<u64>().unwrap() * 60 + grace.1.parse::<u64>().unwrap());
        assert!(grace >= settings.drain_timeout + Duration::from_secs(10));
    }
    assert_eq!(worker["image"], concat!("warmup:", env!("CARGO_PKG_VERSION")));
    assert_eq!(migrate["command"][0], "migrate");
    assert_eq!(worker["depends_on"]["migrate"]["condition"], "service_completed_successfully");
}

/// The variables that a service has; one without a value is passed on, and not set.
fn set_in(service: &Value) -> BTreeMap<String, String> {
    let vars: BTreeMap<String, Option<String>> = serde_json::from_value(service["environment"].clone()).unwrap();
    vars.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[test]
fn a_setting_of_the_env_file_reaches_each_worker() {
    let told = printed(compose().envs(SECRETS).env("WARMUP_HELO_NAME", "mail.example.com"));
    let told: Value = serde_json::from_str(&told).unwrap();
    let (settings, _) = Settings::from_vars(&set_in(&told["services"]["worker"])).unwrap();
    assert_eq!(settings.helo_name.as_deref(), Some("mail.example.com"));
    // Compose takes a variable without a value for more than the same one in the file of the size.
    let sized = env_file(&path("deploy/env/medium.env")).unwrap();
    let worker = set_in(&services()["worker"]);
    assert!(sized.iter().all(|(name, value)| worker.get(name) == Some(value)), "{worker:?}");
}

/// Each writes to a name and a port at which another listens.
#[test]
fn what_is_told_has_somebody_who_listens() {
    let [collector, tempo, prometheus, sources] = [
        "deploy/otel/collector.yaml",
        "deploy/otel/tempo.yaml",
        "deploy/prometheus/prometheus.yml",
        "deploy/grafana/provisioning/datasources/datasources.yaml",
    ]
    .map(|file| yaml(&read(file)).remove(0));
    let worker = &services()["worker"]["environment"];
    let port = |address: &Value| address.as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(worker["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://collector:4317");
    // Prometheus reads the workers itself, and the collector has no pipeline for what they would push.
    assert_eq!(worker["OTEL_METRICS_EXPORTER"], "none");
    assert_eq!(collector["service"]["pipelines"]["metrics"]["receivers"], serde_json::json!(["spanmetrics"]));
    assert_eq!(port(&collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]), "4317");
    assert_eq!(collector["exporters"]["otlp/tempo"]["endpoint"], "tempo:4317");
    assert_eq!(port(&tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]), "4317");
    assert_eq!(sources["datasources"][1]["url"], format!("http://tempo:{}", tempo["server"]["http_listen_port"]));
    assert_eq!(prometheus["scrape_configs"][0]["dns_sd_configs"][0]["names"][0], "worker");
    assert_eq!(
        port(&worker["WARMUP_METRICS_ADDR"]),
        prometheus["scrape_configs"][0]["dns_sd_configs"][0]["port"].to_string()
    );
    let spans = &prometheus["scrape_configs"][1]["static_configs"][0]["targets"][0];
    assert_eq!(port(spans), port(&collector["exporters"]["prometheus"]["endpoint"]));
    // Every part of the collector that is told of is in a pipeline, and the other way round.
    for pipeline in collector["service"]["pipelines"].as_object().unwrap().values() {
        for (kind, of) in [
            ("receivers", ["receivers", "connectors"]),
            ("exporters", ["exporters", "connectors"]),
            ("processors", ["processors"; 2]),
        ] {
            for part in pipeline[kind].as_array().unwrap_or(&Vec::new()) {
                let part = part.as_str().unwrap();
                assert!(of.iter().any(|section| collector[section].get(part).is_some()), "{part} is told nowhere");
            }
        }
    }
}
