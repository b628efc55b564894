//! The presets of the chart are the settings of `deploy/env`, to the letter, and carry the days that they are for.

use std::{collections::BTreeMap, time::Duration};

use chrono::Timelike;
use warmup::{
    app::simulate::{Progress, SimulationInput, simulate},
    config::{Load, Settings, env_file},
};

use super::{
    chart::{container, rendered, variables},
    tools::path,
};

/// Which fleets they are for.
const SIZES: [&str; 3] = ["small", "medium", "large"];

/// What the chart sets in any pod, whatever the size: where it listens, its name, its secrets.
const OF_ANY_POD: [&str; 8] = [
    "DATABASE_URL_FILE",
    "REDIS_URL_FILE",
    "WARMUP_MASTER_KEY_FILE",
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

/// What `mailboxes` of owners with so many each send in a day, where a host takes half a second in the median.
fn day(mailboxes: u64, of_an_owner: u64, workers: u32) -> Load {
    let (mails, replies) = (|mailboxes| mailboxes * 30, |mailboxes| mailboxes * 30 * 35 / 100);
    Load {
        mails: mails(mailboxes),
        replies: replies(mailboxes),
        user_mails: mails(of_an_owner),
        user_replies: replies(of_an_owner),
        workers,
        // Of times that are log-normal, as the hosts of `warmup simulate` take them.
        mail: Duration::from_millis(567),
    }
}

/// By the arithmetic of `warmup simulate`, which a test of the simulation holds to what the worker does; `make capacity`
/// lets it live through all three days.
#[test]
fn the_presets_carry_the_days_that_they_are_for_and_larger_ones_with_a_worker_away() {
    for (size, mailboxes, of_an_owner, workers) in [
        // With 100 of one owner the last replies go after the window: the defaults are the older system's.
        ("small", 1_000, 90, 1),
        ("medium", 10_000, 100, 3),
        ("large", 100_000, 100, 10),
    ] {
        let (settings, _) = Settings::from_vars(&of_preset(size)).unwrap();
        assert_eq!(settings.worker_count, workers);
        assert_eq!(settings.needs(&day(mailboxes, of_an_owner, workers)), [], "{size}");
        if workers > 1 {
            assert_eq!(settings.needs(&day(mailboxes, of_an_owner, workers - 1)), [], "{size} with a worker away");
        }
        assert!(!settings.needs(&day(mailboxes * 2, of_an_owner, workers)).is_empty(), "{size} carries anything");
    }
}

/// By the worker itself, in virtual time, with what the chart gives it. Days of the larger ones take minutes: `make capacity`.
#[test]
fn the_small_preset_fills_a_thousand_mailboxes_within_their_window() {
    let (settings, _) = Settings::from_vars(&of_preset("small")).unwrap();
    let workers = settings.worker_count;
    let latency = Duration::from_millis(500);
    let question =
        SimulationInput { mailboxes: 1_000, workers, days: 1, seed: 1, users: 10, largest_user: None, latency };
    let report = simulate(&settings, &question, &Progress::default()).unwrap();
    assert_eq!((report.owed, report.sent, report.failed, report.bottleneck.as_str()), (30_000, 30_000, 0, "none"));
    let completed = report.completed_at.unwrap();
    assert!(completed.hour() < 17, "{completed}");
}

/// As docs/DEPLOYMENT.md says it: 6 an hour for each mailbox, and a tenth of that a minute.
#[test]
fn an_owner_of_all_mailboxes_needs_larger_caps_of_its_own() {
    let mut vars = of_preset("small");
    let day = day(1_000, 1_000, 1);
    assert!(!Settings::from_vars(&vars).unwrap().0.needs(&day).is_empty());
    vars.insert("WARMUP_USER_HOURLY_LIMIT".to_owned(), "6000".to_owned());
    vars.insert("WARMUP_USER_MINUTE_LIMIT".to_owned(), "600".to_owned());
    assert_eq!(Settings::from_vars(&vars).unwrap().0.needs(&day), []);
}
