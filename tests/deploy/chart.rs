//! The chart: Helm and the schemas of Kubernetes have nothing to say of it, and what it renders is what a fleet needs.

use std::{collections::BTreeMap, io::Write, time::Duration};

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use warmup::config::Settings;

use super::tools::{outcome, path, printed, read, tool, yaml};

/// The oldest and the newest Kubernetes whose schemas it must fit.
const KUBERNETES: [&str; 2] = ["1.27", "1.35"];

/// What comes from the Secret: any legal value will do.
const SECRETS: [(&str, &str); 1] = [("WARMUP_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef")];

/// What the chart alone decides, so that no value can make a fleet of pods disagree.
pub const CHARTS_OWN: [&str; 14] = [
    "DATABASE_URL",
    "REDIS_URL",
    "WARMUP_MASTER_KEY",
    "WARMUP_ADMIN_TOKEN",
    "DATABASE_URL_FILE",
    "REDIS_URL_FILE",
    "WARMUP_MASTER_KEY_FILE",
    "WARMUP_ADMIN_TOKEN_FILE",
    "WARMUP_HTTP_ADDR",
    "WARMUP_METRICS_ADDR",
    "WARMUP_WORKER_ID",
    "WARMUP_WORKER_COUNT",
    "WARMUP_DISTRIBUTED_MODE",
    // Of `warmup local`, which brings servers of its own.
    "WARMUP_DATA_DIR",
];

/// Renders the chart as Helm would install it.
pub fn rendered(args: &[&str]) -> Vec<Value> {
    yaml(&template(args))
}

fn template(args: &[&str]) -> String {
    printed(tool("helm").args(["template", "fleet", "k8s", "--namespace", "mail"]).args(args))
}

/// Why Helm refuses these values.
fn refused(args: &[&str]) -> String {
    let (well, out, said) = outcome(tool("helm").args(["template", "fleet", "k8s"]).args(args));
    assert!(!well, "{args:?} is taken:\n{out}");
    said
}

fn one<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// The variables of a container; what comes from the Secret or from Kubernetes is filled in.
pub fn variables(container: &Value) -> BTreeMap<String, String> {
    let secrets = BTreeMap::from(SECRETS);
    let variables = container["env"].as_array().unwrap().iter().map(|variable| {
        let name = variable["name"].as_str().unwrap();
        let value = match (variable["value"].as_str(), &variable["valueFrom"]["secretKeyRef"]["name"]) {
            (Some(value), _) => value.replace("$(POD_NAME)", "fleet-7c9f-x2x4z"),
            (None, Value::Null) => "fleet-7c9f-x2x4z".to_owned(),
            (None, _) => secrets[name].to_owned(),
        };
        (name.to_owned(), value)
    });
    variables.collect()
}

/// The one container of a Deployment or a Job.
pub fn container(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]["containers"][0]
}

fn deployment(args: &[&str]) -> Value {
    one(&rendered(args), "Deployment", "fleet").clone()
}

/// Every choice of values that is shipped, and one with all that can be switched on.
const CHOICES: [&[&str]; 5] = [
    &[],
    &["--values=k8s/values-small.yaml"],
    &["--values=k8s/values-medium.yaml"],
    &["--values=k8s/values-large.yaml"],
    &["--values=k8s/values-medium.yaml", "--values=tests/deploy/everything.yaml"],
];

#[test]
fn helm_and_kubernetes_have_nothing_to_say() {
    for choice in CHOICES {
        printed(tool("helm").args(["lint", "--strict", "k8s"]).args(choice));
        let mut file = NamedTempFile::with_suffix(".yaml").unwrap();
        file.write_all(template(choice).as_bytes()).unwrap();
        for version in KUBERNETES {
            // Custom resources have no schema there; `monitoring.rs` and promtool look at them.
            let mut validate = tool("python/bin/kubernetes-validate");
            printed(validate.args(["--strict", "--no-warn", "-k", version]).arg(file.path()));
        }
    }
}

#[test]
fn a_property_that_kubernetes_does_not_know_is_found() {
    let mut file = NamedTempFile::with_suffix(".yaml").unwrap();
    file.write_all(template(&[]).replace("readOnlyRootFilesystem", "readOnlyRootFileSystem").as_bytes()).unwrap();
    let mut validate = tool("python/bin/kubernetes-validate");
    let (well, out, said) = outcome(validate.args(["--strict", "-k", KUBERNETES[1]]).arg(file.path()));
    assert!(!well && format!("{out}{said}").contains("readOnlyRootFileSystem"), "{out}{said}");
}

#[test]
fn everything_that_can_be_switched_on_is_there_and_nothing_of_it_by_default() {
    let kinds = |choice: &[&str]| {
        let mut kinds: Vec<String> =
            rendered(choice).iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(CHOICES[0]), ["Deployment", "Job", "PodDisruptionBudget", "Service"]);
    let all = kinds(CHOICES[4]);
    for kind in ["ConfigMap", "Ingress", "NetworkPolicy", "PrometheusRule", "ServiceMonitor"] {
        assert!(all.iter().any(|known| known == kind), "no {kind} in {all:?}");
    }
    assert!(!all.iter().any(|kind| kind == "Secret"), "secrets are referred to, never made");
}

#[test]
fn metrics_are_scraped_or_pushed_and_both_only_where_it_is_said() {
    let endpoint = "--set=otel.OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318";
    let exporter = |args: &[&str]| {
        let pod = deployment(&[&[endpoint], args].concat());
        variables(container(&pod)).remove("OTEL_METRICS_EXPORTER")
    };
    let scraped = "--set=serviceMonitor.enabled=true";
    assert_eq!(exporter(&[]), None);
    assert_eq!(exporter(&[scraped]).as_deref(), Some("none"));
    assert_eq!(exporter(&[scraped, "--set=otel.OTEL_METRICS_EXPORTER=otlp"]).as_deref(), Some("otlp"));
}

#[test]
fn a_pod_is_stopped_only_after_its_drain_had_time() {
    for drain_ms in [60_000_u64, 40_000, 59_500, 3_600_000] {
        let pod = deployment(&[&format!("--set=settings.WARMUP_DRAIN_TIMEOUT_MS={drain_ms}")]);
        let grace = pod["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
        let (settings, _) = Settings::from_vars(&warmups(&variables(container(&pod)))).unwrap();
        assert_eq!(settings.drain_timeout, Duration::from_millis(drain_ms));
        // Postgres' and the API's goodbye are 2 s each (`app/serve.rs`, `api/server.rs`), those of metrics and traces 3 s.
        assert!(Duration::from_secs(grace) >= settings.drain_timeout + Duration::from_secs(10), "{grace} s");
    }
}

/// Only what the program reads.
pub fn warmups(variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    variables.iter().filter(|(name, _)| !name.starts_with("POD_")).map(|(n, v)| (n.clone(), v.clone())).collect()
}

#[test]
fn a_pod_is_confined_and_knows_its_name() {
    for choice in CHOICES {
        let objects = rendered(choice);
        for workload in [one(&objects, "Deployment", "fleet"), one(&objects, "Job", "fleet-migrate")] {
            let pod = &workload["spec"]["template"]["spec"];
            assert_eq!(pod["enableServiceLinks"], false);
            assert_eq!(pod["automountServiceAccountToken"], false);
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            let confined = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
            assert_eq!(container(workload)["securityContext"], confined);
            assert!(container(workload)["resources"]["limits"]["memory"].is_string());
            assert_eq!(variables(container(workload))["WARMUP_DISTRIBUTED_MODE"], "true");
        }
        let worker = one(&objects, "Deployment", "fleet");
        let variables = variables(container(worker));
        assert_eq!(variables["WARMUP_WORKER_ID"], "fleet-7c9f-x2x4z");
        assert_eq!(variables["WARMUP_WORKER_COUNT"], worker["spec"]["replicas"].to_string());
        assert_eq!(container(worker)["livenessProbe"]["httpGet"], json!({"path": "/healthz", "port": "http"}));
        assert_eq!(container(worker)["readinessProbe"]["httpGet"], json!({"path": "/readyz", "port": "http"}));
        assert_eq!(worker["spec"]["strategy"]["rollingUpdate"], json!({"maxSurge": 1, "maxUnavailable": 0}));
        assert_eq!(worker["spec"]["template"]["spec"]["topologySpreadConstraints"].as_array().unwrap().len(), 2);
    }
}

/// Of each file that a container is told of there is one in a volume that is mounted.
#[test]
fn urls_and_key_are_files_of_the_secret() {
    let objects = rendered(CHOICES[4]);
    for (workload, names) in [
        (one(&objects, "Deployment", "fleet"), &["DATABASE_URL_FILE", "REDIS_URL_FILE", "WARMUP_MASTER_KEY_FILE"][..]),
        (one(&objects, "Job", "fleet-migrate"), &["DATABASE_URL_FILE", "REDIS_URL_FILE"]),
    ] {
        let volumes = workload["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
        let secrets = &volumes.iter().find(|volume| volume["name"] == "secrets").unwrap()["secret"];
        assert_eq!(secrets["secretName"], "warmup");
        let paths: Vec<String> = secrets["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| format!("/etc/warmup-secrets/{}", item["path"].as_str().unwrap()))
            .collect();
        let variables = variables(container(workload));
        let told: Vec<&String> = names.iter().map(|name| &variables[*name]).collect();
        assert_eq!(told, paths.iter().collect::<Vec<_>>());
        let mounts = container(workload)["volumeMounts"].as_array().unwrap();
        assert!(mounts.iter().any(|mount| mount["name"] == "secrets" && mount["mountPath"] == "/etc/warmup-secrets"));
    }
}

#[test]
fn the_migration_runs_before_and_is_never_found_by_a_service() {
    let objects = rendered(CHOICES[4]);
    let job = one(&objects, "Job", "fleet-migrate");
    assert_eq!(job["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade");
    assert_eq!(container(job)["args"], json!(["migrate"]));
    let selected = &one(&objects, "Service", "fleet")["spec"]["selector"];
    assert_ne!(
        job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"],
        selected["app.kubernetes.io/name"]
    );
    // Whatever the release would bring itself is not there yet.
    let files = &job["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"];
    let copy = one(&objects, "ConfigMap", files.as_str().unwrap());
    assert_eq!(copy["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade");
    let both = [job, one(&objects, "Deployment", "fleet")]
        .map(|workload| variables(container(workload))["WARMUP_SHARDS"].clone());
    assert_eq!(both, ["512", "512"]);
}

#[test]
fn what_does_not_exist_or_is_not_the_values_to_say_is_refused() {
    for (given, said) in [
        ("--set=settings.WARMUP_SHRADS=3", "WARMUP_SHRADS"),
        ("--set=settings.WARMUP_MASTER_KEY=plain", "WARMUP_MASTER_KEY"),
        ("--set=settings.WARMUP_DISTRIBUTED_MODE=false", "WARMUP_DISTRIBUTED_MODE"),
        ("--set=worker=3", "worker"),
        ("--set=workers=0", "workers"),
        ("--set=existingSecret=", "existingSecret"),
        ("--set=otel.WARMUP_SHARDS=3", "WARMUP_SHARDS"),
        ("--set=podDisruptionBudget.maxUnavailable=0", "maxUnavailable"),
    ] {
        let why = refused(&[given]);
        assert!(why.contains(said), "{given}: {why}");
    }
}

/// Every setting of docs/CONFIG.md with its sentence and its default.
fn documented() -> Vec<(String, String, String)> {
    let page = read("docs/CONFIG.md");
    let cells =
        page.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').map(str::trim).collect());
    let row = |cells: Vec<&str>| {
        let bare = |cell: &str| cell.trim_matches('`').to_owned();
        (bare(cells[1]), cells[2].to_owned(), bare(cells[5]))
    };
    cells.map(row).collect()
}

#[test]
fn every_setting_can_be_set_by_its_name_or_is_the_charts_own() {
    let schema: Value = serde_json::from_str(&read("k8s/values.schema.json")).unwrap();
    let settings = schema["properties"]["settings"]["properties"].as_object().unwrap();
    let documented = documented();
    assert!(documented.len() > 40);
    let mut file = NamedTempFile::new().unwrap();
    writeln!(file, "settings:").unwrap();
    for (name, sentence, default) in &documented {
        if CHARTS_OWN.contains(&name.as_str()) {
            assert!(!settings.contains_key(name), "{name} is the chart's own");
            continue;
        }
        assert_eq!(settings.get(name).map(|known| &known["description"]), Some(&json!(sentence)), "{name}");
        if default != "not set" {
            writeln!(file, "  {name}: {default}").unwrap();
        }
    }
    let known: Vec<&str> = documented.iter().map(|(name, ..)| name.as_str()).collect();
    let unknown: Vec<_> = settings.keys().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?} are no settings");
    // The defaults, written into values, are read as what they are.
    let pod = deployment(&["--values", file.path().to_str().unwrap()]);
    let (settings, _) = Settings::from_vars(&warmups(&variables(container(&pod)))).unwrap();
    let overridden: Vec<&str> = settings.overrides().iter().map(|set| set.name).collect();
    assert!(overridden.iter().all(|name| CHARTS_OWN.contains(name)), "{overridden:?}");
}

#[test]
fn a_million_stays_a_number() {
    let pod =
        deployment(&["--set=settings.WARMUP_GLOBAL_HOURLY_LIMIT=1000000", "--set-json=settings.WARMUP_CAP_BURST=0.1"]);
    let (settings, _) = Settings::from_vars(&warmups(&variables(container(&pod)))).unwrap();
    assert_eq!((settings.global_hourly_limit, settings.cap_burst), (1_000_000, 0.1));
}

#[test]
fn the_chart_is_of_this_release() {
    let chart = yaml(&read("k8s/Chart.yaml")).remove(0);
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert!(path("k8s/values.schema.json").is_file());
}
