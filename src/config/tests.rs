//! These tests cover the settings as a whole: the defaults, all errors at once, the secrets, and the names
//! that are a contract.

use secrecy::ExposeSecret;

use super::{table::rows, *};

pub(in crate::config) fn vars(vars: &[(&str, &str)]) -> BTreeMap<String, String> {
    vars.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

pub(in crate::config) fn settings(given: &[(&str, &str)]) -> Settings {
    Settings::from_vars(&vars(given)).unwrap().0
}

fn faults(given: &[(&str, &str)]) -> Vec<String> {
    match Settings::from_vars(&vars(given)) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// The contract: every name with its default.
const CONTRACT: &str = "
    DATABASE_URL= REDIS_URL= DATABASE_URL_FILE= REDIS_URL_FILE= WARMUP_MASTER_KEY_FILE= WARMUP_ADMIN_TOKEN_FILE=
    WARMUP_BATCH_SIZE=100 WARMUP_MAX_CONCURRENT=20 WARMUP_BATCH_DELAY_MS=0
    WARMUP_STAGGER_MIN_MS=1000 WARMUP_STAGGER_MAX_MS=5000 WARMUP_MAILBOX_COOLDOWN_MIN_MS=180000
    WARMUP_MAILBOX_COOLDOWN_MAX_MS=600000 WARMUP_GLOBAL_HOURLY_LIMIT=10000 WARMUP_GLOBAL_MINUTE_LIMIT=200
    WARMUP_USER_HOURLY_LIMIT=500 WARMUP_USER_MINUTE_LIMIT=50 WARMUP_USER_DAILY_CAP=1.2 WARMUP_CAP_BURST=0.05
    WARMUP_USER_MAILBOX_LIMIT=1000
    WARMUP_RATE_LIMIT_BACKOFF_MS=10000 WARMUP_SMTP_TIMEOUT_MS=30000 WARMUP_IMAP_TIMEOUT_MS=30000
    WARMUP_MIN_DAILY_QUOTA=30 WARMUP_QUOTA_PRIORITY_BOOST=2.0 WARMUP_CRON_INTERVAL_MINUTES=15
    WARMUP_CRON_SPREAD_MINUTES=10 WARMUP_REPLY_DELAY_MIN=5 WARMUP_REPLY_DELAY_MAX=240 WARMUP_LOG_RETENTION_DAYS=90
    WARMUP_METRICS_RETENTION_DAYS=30 WARMUP_ENABLE_DETAILED_METRICS=true WARMUP_DISTRIBUTED_MODE=false
    WARMUP_WORKER_ID= WARMUP_WORKER_COUNT=1 WARMUP_SHARDS=256 WARMUP_TIMEZONE=UTC WARMUP_ACTIVE_HOURS=07:00-22:00
    WARMUP_LEASE_TTL_MS=15000 WARMUP_HEARTBEAT_MS=5000 WARMUP_DB_POOL=10 WARMUP_METRICS_ADDR= WARMUP_DATA_DIR=
    WARMUP_TEMPLATES_FILE= WARMUP_HELO_NAME= WARMUP_HEADER=X-Warmup WARMUP_HOST_LIMITS_FILE= WARMUP_LOG_FORMAT=text
    WARMUP_HTTP_ADDR=127.0.0.1:8080 WARMUP_REDIS_PREFIX=warmup WARMUP_MASTER_KEY= WARMUP_ADMIN_TOKEN=
    WARMUP_TLS_CA_FILE= WARMUP_DRAIN_TIMEOUT_MS=60000 WARMUP_ALLOW_PLAINTEXT=false WARMUP_ALLOW_PRIVATE_HOSTS=false";

#[test]
fn names_and_defaults_are_those_of_the_contract() {
    let mut contract: Vec<_> = CONTRACT.split_whitespace().map(|pair| pair.split_once('=').unwrap()).collect();
    let mut table: Vec<_> = rows().iter().map(|row| (row.name, row.default)).collect();
    contract.sort_unstable();
    table.sort_unstable();
    assert_eq!(table, contract);
}

#[test]
fn every_default_is_legal_and_shown_as_it_would_be_written() {
    let settings = settings(&[]);
    for row in rows() {
        assert_eq!((row.value)(&settings), row.default, "{}", row.name);
    }
    assert_eq!(settings.overrides(), []);
}

#[test]
fn every_value_shown_is_read_again() {
    let given: Vec<_> = rows().iter().map(|row| (row.name, row.default)).collect();
    assert_eq!(settings(&given).overrides(), []);
}

#[test]
fn values_reach_their_fields() {
    let settings = settings(&[
        ("WARMUP_STAGGER_MAX_MS", "7000"),
        ("WARMUP_CRON_INTERVAL_MINUTES", " 20 "),
        ("WARMUP_REPLY_DELAY_MAX", "60"),
        ("WARMUP_TIMEZONE", "Europe/Berlin"),
        ("WARMUP_ALLOW_PLAINTEXT", "yes"),
        ("WARMUP_TLS_CA_FILE", "ca.pem"),
        ("WARMUP_WORKER_ID", ""),
    ]);
    assert_eq!(settings.stagger_max, Duration::from_secs(7));
    assert_eq!(settings.cron_interval, Duration::from_secs(20 * 60));
    assert_eq!(settings.reply_delay_max, Duration::from_secs(60 * 60));
    assert_eq!(settings.timezone, chrono_tz::Europe::Berlin);
    assert_eq!(settings.tls_ca_file.as_deref(), Some(std::path::Path::new("ca.pem")));
    assert!(settings.allow_plaintext && settings.worker_id.is_none());
}

#[test]
fn every_fault_is_told_at_once() {
    let all = faults(&[
        ("DATABASE_URL", "mysql://db"),
        ("WARMUP_BATCH_SIZE", "0"),
        ("WARMUP_MAX_CONCURRENT", "many"),
        ("WARMUP_TIMEZONE", "Berlin"),
        ("WARMUP_STAGGER_MIN_MS", "6000"),
        ("WARMUP_BATCHSIZE", "5"),
    ]);
    assert_eq!(
        all,
        [
            "DATABASE_URL: the value is not the URL of a Postgres database; write \
             postgres://user:password@host:5432/database",
            "WARMUP_BATCH_SIZE: `0` is out of range; write a whole number of mails from 1 to 10000, for example 100",
            "WARMUP_MAX_CONCURRENT: `many` is not a whole number; write a whole number of lanes from 1 to 10000, for \
             example 20",
            "WARMUP_TIMEZONE: `Berlin` is not a time zone; write an IANA name such as Europe/Berlin or UTC",
            "WARMUP_STAGGER_MIN_MS: 6000 is more than WARMUP_STAGGER_MAX_MS, which is 5000; write at most 5000, or \
             raise WARMUP_STAGGER_MAX_MS to 6000",
            "WARMUP_BATCHSIZE: is not a setting; did you mean WARMUP_BATCH_SIZE?",
        ]
    );
}

#[test]
fn faults_stand_one_a_line() {
    let error = Settings::from_vars(&vars(&[("WARMUP_SHARDS", "5000"), ("WARMUP_HEADER", "a\nb")])).unwrap_err();
    let text = error.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("2 faults") && lines[1].contains(r"`a\nb`"), "{text}");
}

#[test]
fn every_rule_between_settings_is_held() {
    for (given, name, says) in [
        (&[("WARMUP_STAGGER_MAX_MS", "500")][..], "WARMUP_STAGGER_MIN_MS", "1000 is more than"),
        (&[("WARMUP_MAILBOX_COOLDOWN_MIN_MS", "600001")], "WARMUP_MAILBOX_COOLDOWN_MIN_MS", "write at most 600000"),
        (&[("WARMUP_REPLY_DELAY_MIN", "241")], "WARMUP_REPLY_DELAY_MIN", "which is 240"),
        (&[("WARMUP_CRON_INTERVAL_MINUTES", "5")], "WARMUP_CRON_SPREAD_MINUTES", "write at most 5"),
        (&[("WARMUP_HEARTBEAT_MS", "5001")], "WARMUP_LEASE_TTL_MS", "3 x 5001 = 15003"),
        (&[("WARMUP_LEASE_TTL_MS", "14999")], "WARMUP_LEASE_TTL_MS", "write at least 15000"),
        (&[("WARMUP_DRAIN_TIMEOUT_MS", "30000")], "WARMUP_SMTP_TIMEOUT_MS", "= 25000"),
        (&[("WARMUP_METRICS_ADDR", "127.0.0.1:8080")], "WARMUP_METRICS_ADDR", "WARMUP_HTTP_ADDR too"),
    ] {
        let all = faults(given);
        assert!(matches!(&all[..], [one] if one.starts_with(name) && one.contains(says)), "{given:?}: {all:#?}");
    }
}

#[test]
fn rules_are_kept_at_their_limit() {
    for given in [
        &[("WARMUP_STAGGER_MIN_MS", "5000")][..],
        &[("WARMUP_CRON_SPREAD_MINUTES", "15")],
        &[("WARMUP_SMTP_TIMEOUT_MS", "50000")],
        &[("WARMUP_METRICS_ADDR", "127.0.0.1:0"), ("WARMUP_HTTP_ADDR", "127.0.0.1:0")],
    ] {
        assert_eq!(faults(given), [""; 0], "{given:?}");
    }
}

#[test]
fn a_value_with_a_fault_is_not_blamed_for_its_stand_in() {
    assert_eq!(faults(&[("WARMUP_STAGGER_MIN_MS", "1s"), ("WARMUP_STAGGER_MAX_MS", "500")]).len(), 1);
}

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

#[test]
fn secrets_are_never_shown() {
    let given = [
        ("DATABASE_URL", "postgres://me:hunter2@db/warmup"),
        ("REDIS_URL", "redis://:hunter2@cache"),
        ("WARMUP_MASTER_KEY", KEY),
        ("WARMUP_ADMIN_TOKEN", "hunter2-hunter2-hunter2"),
    ];
    let settings = settings(&given);
    assert_eq!(settings.require_database().unwrap().expose_secret(), given[0].1);
    let listing = settings.listing(&vars(&given));
    for shown in [format!("{settings:?}"), format!("{:?}", settings.overrides()), format!("{listing:?}")] {
        assert!(!shown.contains("hunter2") && !shown.contains(KEY), "{shown}");
        assert!(!shown.contains("0123456789abcdef") && !shown.contains("48, 49, 50"), "{shown}");
    }
    let overridden: Vec<_> = settings.overrides().into_iter().map(|o| (o.name, o.value, o.default)).collect();
    assert!(overridden.iter().all(|(_, value, default)| value == "set" && default == "not set"), "{overridden:?}");
    assert_eq!(overridden.len(), 4);
}

#[test]
fn the_fault_of_a_secret_does_not_show_it() {
    let all = faults(&[
        ("DATABASE_URL", "hunter2"),
        ("REDIS_URL", "redis-sentinel://:hunter2@cache"),
        ("WARMUP_MASTER_KEY", "hunter2"),
        ("WARMUP_ADMIN_TOKEN", "hunter2 \u{fffd}"),
        ("WARMUP_ADMIN_TOKN", "hunter2"),
    ]);
    assert_eq!(all.len(), 5);
    assert!(!all.concat().contains("hunter2"), "{all:#?}");
}

#[test]
fn what_is_not_utf_8_is_a_fault() {
    let all = faults(&[("WARMUP_DATA_DIR", "/var/lib/w\u{fffd}rmup")]);
    assert_eq!(all, ["WARMUP_DATA_DIR: is not UTF-8; write it in UTF-8"]);
}

#[test]
fn what_is_missing_says_how_to_make_it() {
    let settings = settings(&[]);
    let key = settings.require_master_key().unwrap_err().to_string();
    assert!(key.contains("WARMUP_MASTER_KEY: is not set") && key.contains("openssl rand -base64 32"), "{key}");
    assert!(settings.require_database().unwrap_err().to_string().contains("postgres://"));
    assert!(settings.require_redis().unwrap_err().to_string().contains("redis://"));
}

#[test]
fn the_listing_says_where_a_value_comes_from() {
    let given = vars(&[("WARMUP_SHARDS", "256"), ("WARMUP_BATCH_SIZE", " ")]);
    let listing = Settings::from_vars(&given).unwrap().0.listing(&given);
    let shown = |name| listing.iter().find(|shown| shown.name == name).unwrap();
    assert_eq!(shown("WARMUP_SHARDS").source, Source::Environment);
    assert_eq!(shown("WARMUP_BATCH_SIZE").source, Source::Default);
    assert_eq!(shown("WARMUP_BATCH_SIZE").value.as_deref(), Some("100"));
    assert_eq!(shown("WARMUP_DATA_DIR").value, None);
    assert_eq!(shown("WARMUP_MASTER_KEY").value.as_deref(), Some("not set"));
    assert_eq!(listing.len(), rows().len());
}

#[test]
fn only_what_differs_is_an_override() {
    let all = settings(&[("WARMUP_SHARDS", "256"), ("WARMUP_DISTRIBUTED_MODE", "on")]).overrides();
    let expected = Override { name: "WARMUP_DISTRIBUTED_MODE", value: "true".to_owned(), default: "false".to_owned() };
    assert_eq!(all, [expected]);
}

#[test]
fn a_whole_mail_ends_before_the_drain_does() {
    assert_eq!(settings(&[]).mail_deadline(), Duration::from_secs(50));
}
