//! The systemd unit fits the program: it sets what is a setting, waits longer than a stop takes, and tells the worker
//! alone to stop.

use std::{collections::BTreeMap, time::Duration};

use warmup::config::Settings;

use super::tree;

/// What Postgres may take for its last checkpoint (`servers/postgres.rs`), and what Redis and the leases need.
const SERVERS: Duration = Duration::from_secs(90);

/// Returns what is wrong with a unit.
fn faults(unit: &str) -> Vec<String> {
    let lines = unit.lines().filter(|line| !line.starts_with('#'));
    let options: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once('=')).collect();
    let values = |name: &'static str| options.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value);
    let mut found = Vec::new();
    let environment = values("Environment").flat_map(str::split_whitespace).filter_map(|given| given.split_once('='));
    let vars: BTreeMap<String, String> = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let drain = match Settings::from_vars(&vars) {
        Ok((settings, _)) => settings.drain_timeout,
        Err(faults) => return vec![faults.to_string()],
    };
    let patience =
        values("TimeoutStopSec").next_back().and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    if patience.is_none_or(|patience| patience < drain + SERVERS) {
        found.push(format!("a stop takes up to {drain:?} and {SERVERS:?}, TimeoutStopSec is {patience:?}"));
    }
    for (name, wanted) in [("KillMode", "mixed"), ("Restart", "on-failure"), ("NoNewPrivileges", "yes")] {
        if values(name).next_back() != Some(wanted) {
            found.push(format!("{name} is not {wanted}"));
        }
    }
    found
}

fn unit() -> String {
    tree::read(&["deploy/warmup.service"]).remove("deploy/warmup.service").expect("the unit is there")
}

#[test]
fn the_service_fits_the_program() {
    assert_eq!(faults(&unit()), [""; 0]);
}

#[test]
fn a_service_that_does_not_fit_is_found() {
    for (right, wrong, part) in [
        ("WARMUP_DATA_DIR", "WARMUP_DATA_DIRS", "did you mean WARMUP_DATA_DIR?"),
        ("TimeoutStopSec=180", "TimeoutStopSec=90", "TimeoutStopSec is Some(90s)"),
        ("KillMode=mixed", "KillMode=control-group", "KillMode is not mixed"),
        ("Restart=on-failure", "Restart=no", "Restart is not on-failure"),
        ("NoNewPrivileges=yes", "", "NoNewPrivileges is not yes"),
    ] {
        let found = faults(&unit().replace(right, wrong));
        assert!(found.len() == 1 && found[0].contains(part), "{wrong}: {found:?}");
    }
}
