//! This module lists the rules between settings. Breaking a rule is an error, and `docs/CONFIG.md` lists the
//! rules.

use std::{net::SocketAddr, time::Duration};

use super::{SettingErrors, Settings};

/// A rule between settings.
pub(super) struct Rule {
    /// The settings of the rule; the error is reported for the first one.
    names: &'static [&'static str],
    pub sentence: &'static str,
    /// Returns the problem and the instruction, or `None` if the rule holds.
    broken: fn(&Settings) -> Option<(String, String)>,
}

pub(super) const RULES: [Rule; 11] = [
    Rule {
        names: &["DATABASE_URL_FILE", "DATABASE_URL"],
        sentence: "`DATABASE_URL` and `DATABASE_URL_FILE` are not set together.",
        broken: |s| one_secret_twice(s.database_url.is_some() && s.database_url_file.is_some(), "DATABASE_URL"),
    },
    Rule {
        names: &["REDIS_URL_FILE", "REDIS_URL"],
        sentence: "`REDIS_URL` and `REDIS_URL_FILE` are not set together.",
        broken: |s| one_secret_twice(s.redis_url.is_some() && s.redis_url_file.is_some(), "REDIS_URL"),
    },
    Rule {
        names: &["WARMUP_MASTER_KEY_FILE", "WARMUP_MASTER_KEY"],
        sentence: "`WARMUP_MASTER_KEY` and `WARMUP_MASTER_KEY_FILE` are not set together.",
        broken: |s| one_secret_twice(s.master_key.is_some() && s.master_key_file.is_some(), "WARMUP_MASTER_KEY"),
    },
    Rule {
        names: &["WARMUP_ADMIN_TOKEN_FILE", "WARMUP_ADMIN_TOKEN"],
        sentence: "`WARMUP_ADMIN_TOKEN` and `WARMUP_ADMIN_TOKEN_FILE` are not set together.",
        broken: |s| one_secret_twice(s.admin_token.is_some() && s.admin_token_file.is_some(), "WARMUP_ADMIN_TOKEN"),
    },
    Rule {
        names: &["WARMUP_STAGGER_MIN_MS", "WARMUP_STAGGER_MAX_MS"],
        sentence: "`WARMUP_STAGGER_MIN_MS` is at most `WARMUP_STAGGER_MAX_MS`.",
        broken: |s| at_most(s.stagger_min, "WARMUP_STAGGER_MAX_MS", s.stagger_max, MILLISECOND),
    },
    Rule {
        names: &["WARMUP_MAILBOX_COOLDOWN_MIN_MS", "WARMUP_MAILBOX_COOLDOWN_MAX_MS"],
        sentence: "`WARMUP_MAILBOX_COOLDOWN_MIN_MS` is at most `WARMUP_MAILBOX_COOLDOWN_MAX_MS`.",
        broken: |s| {
            let (min, max) = (s.mailbox_cooldown_min, s.mailbox_cooldown_max);
            at_most(min, "WARMUP_MAILBOX_COOLDOWN_MAX_MS", max, MILLISECOND)
        },
    },
    Rule {
        names: &["WARMUP_REPLY_DELAY_MIN", "WARMUP_REPLY_DELAY_MAX"],
        sentence: "`WARMUP_REPLY_DELAY_MIN` is at most `WARMUP_REPLY_DELAY_MAX`.",
        broken: |s| at_most(s.reply_delay_min, "WARMUP_REPLY_DELAY_MAX", s.reply_delay_max, MINUTE),
    },
    Rule {
        names: &["WARMUP_CRON_SPREAD_MINUTES", "WARMUP_CRON_INTERVAL_MINUTES"],
        sentence: "`WARMUP_CRON_SPREAD_MINUTES` is at most `WARMUP_CRON_INTERVAL_MINUTES`: what one tick releases has \
                   gone out before the next plans.",
        broken: |s| at_most(s.cron_spread, "WARMUP_CRON_INTERVAL_MINUTES", s.cron_interval, MINUTE),
    },
    Rule {
        names: &["WARMUP_LEASE_TTL_MS", "WARMUP_HEARTBEAT_MS"],
        sentence: "`WARMUP_LEASE_TTL_MS` is at least three times `WARMUP_HEARTBEAT_MS`: two heartbeats may fail and a \
                   third still renews the lease in time.",
        broken: lease_is_short,
    },
    Rule {
        names: &["WARMUP_SMTP_TIMEOUT_MS", "WARMUP_DRAIN_TIMEOUT_MS"],
        sentence: "`WARMUP_SMTP_TIMEOUT_MS` is at most five sixths of `WARMUP_DRAIN_TIMEOUT_MS`: that is the deadline \
                   of a whole mail, so that a stopping worker can finish the mail that it began last, and settle it.",
        broken: a_step_outlasts_the_mail,
    },
    Rule {
        names: &["WARMUP_METRICS_ADDR", "WARMUP_HTTP_ADDR"],
        sentence: "`WARMUP_METRICS_ADDR` is not `WARMUP_HTTP_ADDR`: the API serves `/metrics` anyway.",
        broken: one_address_twice,
    },
];

/// Adds an error for each broken rule. A rule about a faulty value is skipped: its default replaces it, and
/// the error would blame a value that the operator did not write.
pub(super) fn judge(settings: &Settings, faults: &mut SettingErrors) {
    let broken: Vec<_> = RULES
        .iter()
        .filter(|rule| !rule.names.iter().any(|name| faults.name(name)))
        .filter_map(|rule| (rule.broken)(settings).map(|broken| (rule.names[0], broken)))
        .collect();
    for (name, (wrong, instead)) in broken {
        faults.add(name, wrong, instead);
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

fn at_most(value: Duration, other: &str, most: Duration, unit: Duration) -> Option<(String, String)> {
    let units = |time: Duration| time.as_millis() / unit.as_millis();
    let (value_units, most_units) = (units(value), units(most));
    (value > most).then(|| {
        let wrong = format!("{value_units} is more than {other}, which is {most_units}");
        (wrong, format!("write at most {most_units}, or raise {other} to {value_units}"))
    })
}

fn lease_is_short(settings: &Settings) -> Option<(String, String)> {
    let (ttl, heartbeat) = (settings.lease_ttl.as_millis(), settings.heartbeat.as_millis());
    (ttl < 3 * heartbeat).then(|| {
        let wrong = format!("{ttl} is less than 3 x WARMUP_HEARTBEAT_MS, 3 x {heartbeat} = {}", 3 * heartbeat);
        (wrong, format!("write at least {}, or lower WARMUP_HEARTBEAT_MS to {}", 3 * heartbeat, ttl / 3))
    })
}

fn a_step_outlasts_the_mail(settings: &Settings) -> Option<(String, String)> {
    let (step, mail) = (settings.smtp_timeout.as_millis(), settings.mail_deadline().as_millis());
    (step > mail).then(|| {
        let drain = settings.drain_timeout.as_millis();
        let wrong = format!(
            "{step} for one step is more than a whole mail may take, 5/6 of WARMUP_DRAIN_TIMEOUT_MS {drain} = {mail}"
        );
        let instead = format!(
            "write at most {mail}, or raise WARMUP_DRAIN_TIMEOUT_MS to {} (and the pod's grace period with it)",
            (step * 6).div_ceil(5)
        );
        (wrong, instead)
    })
}

fn one_secret_twice(both: bool, name: &str) -> Option<(String, String)> {
    both.then(|| (format!("{name} is set too"), "set one of the two".to_owned()))
}

fn one_address_twice(settings: &Settings) -> Option<(String, String)> {
    let same = |metrics: &SocketAddr| *metrics == settings.http_addr && metrics.port() != 0;
    settings.metrics_addr.filter(same).map(|addr| {
        let wrong = format!("`{addr}` is WARMUP_HTTP_ADDR too, and only one can listen there");
        (wrong, "write another port, or leave it out".to_owned())
    })
}
