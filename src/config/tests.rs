//! The configuration as a whole.

use super::*;

fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn faults(pairs: &[(&str, &str)]) -> Vec<String> {
    match Settings::from_vars(&vars(pairs)) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

fn warnings(pairs: &[(&str, &str)]) -> Vec<String> {
    Settings::from_vars(&vars(pairs)).unwrap().1.iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_are_legal_and_silent() {
    assert_eq!(warnings(&[]), [""; 0]);
    assert!(Settings::from_vars(&vars(&[])).unwrap().0.overrides().is_empty());
}

#[test]
fn every_fault_is_reported_at_once() {
    let found = faults(&[
        ("WARMUP_BATCH_SIZE", "many"),
        ("WARMUP_SHARDS", "0"),
        ("WARMUP_TIMEZONE", "Berlin"),
        ("WARMUP_MASTER_KEY", "canary-key"),
        ("WARMUP_STAGGER_MIN_MS", "9000"),
        ("WARMUP_MAX_CONCURENT", "5"),
    ]);
    assert_eq!(found.len(), 6, "{found:#?}");
    let text = found.join("\n");
    for part in
        ["WARMUP_BATCH_SIZE: `many` is not a whole number", "from 1 to 4096", "did you mean WARMUP_MAX_CONCURRENT?"]
    {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn settings_that_contradict_each_other_are_faults() {
    for (pairs, part) in [
        (&[("WARMUP_LEASE_TTL_MS", "9000")][..], "3 x WARMUP_HEARTBEAT_MS"),
        (&[("WARMUP_CRON_SPREAD_MINUTES", "20")], "WARMUP_CRON_INTERVAL_MINUTES"),
        (&[("WARMUP_DRAIN_TIMEOUT_MS", "12000")], "5/6 of WARMUP_DRAIN_TIMEOUT_MS 12000 = 10000"),
        (&[("WARMUP_REPLY_DELAY_MIN", "300")], "WARMUP_REPLY_DELAY_MAX"),
        (&[("WARMUP_MAILBOX_COOLDOWN_MIN_MS", "700000")], "WARMUP_MAILBOX_COOLDOWN_MAX_MS"),
        (&[("WARMUP_METRICS_ADDR", "127.0.0.1:8080")], "WARMUP_HTTP_ADDR"),
    ] {
        let [fault] = &faults(pairs)[..] else { panic!("{pairs:?}: one fault") };
        assert!(fault.contains(part), "{fault}");
    }
}

#[test]
fn what_defeats_itself_is_warned_of_with_the_arithmetic() {
    for (pairs, part) in [
        (&[("WARMUP_GLOBAL_MINUTE_LIMIT", "100")][..], "100 x 60 = 6000 an hour"),
        (&[("WARMUP_USER_MINUTE_LIMIT", "5")], "5 x 60 = 300 an hour"),
        (&[("WARMUP_USER_HOURLY_LIMIT", "0")], "no mail is ever sent"),
        (&[("WARMUP_MIN_DAILY_QUOTA", "10")], "less than the usual 30"),
        (&[("WARMUP_WORKER_COUNT", "3")], "the second one refuses to start"),
        (&[("WARMUP_MIN_DAILY_QUOTA", "80")], "80 mails with a cooldown of 390 s on average take 8.7 h"),
    ] {
        let found = warnings(pairs);
        assert!(found.iter().any(|warning| warning.contains(part)), "{pairs:?}: {found:?}");
    }
}

#[test]
fn caps_and_lanes_that_cannot_fill_the_enrolled_quota_are_warned_of() {
    let (settings, _) = Settings::from_vars(&vars(&[])).unwrap();
    assert_eq!(settings.warnings_for(1_440, 48, 1_440), []);
    let names: Vec<_> = settings.warnings_for(300_000, 10_000, 6_000).iter().map(|warning| warning.name).collect();
    assert_eq!(
        names,
        [
            "WARMUP_GLOBAL_HOURLY_LIMIT",
            "WARMUP_GLOBAL_MINUTE_LIMIT",
            "WARMUP_USER_HOURLY_LIMIT",
            "WARMUP_MAX_CONCURRENT"
        ]
    );
    assert!(settings.warnings_for(30, 1, 30)[0].text.contains("lone mailbox"));
}

#[test]
fn overrides_show_what_differs_and_no_secret() {
    let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let (settings, _) = Settings::from_vars(&vars(&[
        ("WARMUP_MASTER_KEY", key),
        ("WARMUP_SHARDS", "16"),
        ("WARMUP_BATCH_SIZE", "100"),
    ]))
    .unwrap();
    let shown: Vec<_> = settings.overrides().into_iter().map(|o| (o.name, o.value)).collect();
    assert_eq!(shown, [("WARMUP_MASTER_KEY", "set".to_owned()), ("WARMUP_SHARDS", "16".to_owned())]);
    assert!(!format!("{settings:?}").contains("MDEyMz"));
}

#[test]
fn an_empty_value_counts_as_not_set() {
    assert_eq!(faults(&[("WARMUP_SHARDS", " "), ("WARMUP_NO_SUCH_THING", "")]), [""; 0]);
}

#[test]
fn what_is_required_says_how_to_make_it() {
    let (settings, _) = Settings::from_vars(&vars(&[])).unwrap();
    let text = settings.require_master_key().unwrap_err().to_string();
    assert!(text.contains("openssl rand -base64 32"), "{text}");
    assert!(settings.require_database().is_err() && settings.require_redis().is_err());
}

#[test]
fn every_default_reads_back_as_it_is_shown() {
    let (settings, _) = Settings::from_vars(&vars(&[])).unwrap();
    for row in rows() {
        assert_eq!((row.value)(&settings), row.default, "{}", row.name);
    }
}

#[test]
fn the_document_is_the_tables_own() {
    assert_eq!(include_str!("../../docs/CONFIG.md"), markdown(), "run `warmup config doc > docs/CONFIG.md`");
}
