//! The presets of the chart are the settings of `deploy/env`, to the letter, and carry the days that they are for.

use std::collections::BTreeMap;

use warmup::config::{Settings, env_file};

use super::{
    chart::{container, rendered, variables},
    tools::path,
};

/// Which fleets they are for.
const SIZES: [&str; 3] = ["small", "medium", "large"];

/// What the chart sets in any pod, whatever the size: where it listens, its name, its secrets.
const OF_ANY_POD: [&str; 8] = [
    "DATABASE_URL",
    "REDIS_URL",
    "WARMUP_MASTER_KEY",
    "WARMUP_ADMIN_TOKEN",
    "WARMUP_HTTP_ADDR",
    "WARMUP_METRICS_ADDR",
    "WARMUP_WORKER_ID",
    "POD_NAME",
];

/// What a preset says of the fleet.
fn of_preset(size: &str) -> BTreeMap<String, String> {
    let objects = rendered(&[&format!("--values=k8s/values-{size}.yaml")]);
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let mut variables = variables(container(deployment));
    variables.retain(|name, _| !OF_ANY_POD.contains(&name.as_str()));
    variables
}

#[test]
fn the_presets_are_the_settings_of_deploy_env() {
    for size in SIZES {
        let mut wanted = env_file(&path(&format!("deploy/env/{size}.env"))).unwrap();
        // A chart's pods are always several for a moment, at each roll-out.
        wanted.insert("WARMUP_DISTRIBUTED_MODE".to_owned(), "true".to_owned());
        assert_eq!(of_preset(size), wanted, "k8s/values-{size}.yaml and deploy/env/{size}.env differ");
        Settings::from_vars(&wanted).unwrap();
    }
}
