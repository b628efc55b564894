//! This module rejects unknown setting names, because a typing error must not silently leave a default in
//! place.

use std::collections::BTreeMap;

use super::{SettingErrors, row::env_value, table::rows};

const OURS: &str = "WARMUP_";

/// Adds an error for each `WARMUP_*` name with a value that is not in the table. `OTEL_*` and other names are
/// not checked.
pub(super) fn unknown(vars: &BTreeMap<String, String>, faults: &mut SettingErrors) {
    let known: Vec<&str> = rows().iter().map(|row| row.name).collect();
    let ours = vars.keys().filter(|name| name.starts_with(OURS) && env_value(vars, name).is_some());
    for name in ours.filter(|name| !known.contains(&name.as_str()) && !injected(name, vars)) {
        let instead = match closest(name, &known) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "take it away; `warmup config doc` lists every setting".to_owned(),
        };
        faults.add(name, "is not a setting", instead);
    }
}

/// Returns the setting that was probably meant. Its name differs in at most three places and at most one in
/// three characters. The unit and our prefix do not count (`WARMUP_DATABASE_URL`, `WARMUP_SMTP_TIMEOUT`).
fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_ascii_uppercase();
    let slips = |known: &str| strsim::osa_distance(stem(&name), stem(known));
    let enough = stem(&name).len().div_ceil(3).min(3);
    let close = known.iter().copied().filter(|known| slips(known) <= enough);
    close.min_by_key(|known| (slips(known), strsim::osa_distance(&name, known)))
}

fn stem(name: &str) -> &str {
    const UNITS: [&str; 6] = ["_MS", "_SECS", "_SECONDS", "_MINUTES", "_HOURS", "_DAYS"];
    let name = name.strip_prefix(OURS).unwrap_or(name);
    UNITS.iter().find_map(|unit| name.strip_suffix(unit)).unwrap_or(name)
}

/// Returns true if Kubernetes put `name` into the pod. It gives every pod the addresses of the Services in
/// its namespace, and a Service called `warmup` has names that begin like our settings. So has one called
/// `warmup-redis`, which is identified by its `WARMUP_REDIS_SERVICE_HOST`.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
fn injected(name: &str, vars: &BTreeMap<String, String>) -> bool {
    if !vars.contains_key("KUBERNETES_SERVICE_HOST") {
        return false;
    }
    let services = vars.keys().filter_map(|name| name.strip_suffix("_SERVICE_HOST"));
    std::iter::once("WARMUP")
        .chain(services.filter(|service| service.starts_with(OURS)))
        .filter_map(|service| name.strip_prefix(service)?.strip_prefix('_'))
        .any(names_a_service_port)
}

fn names_a_service_port(rest: &str) -> bool {
    if matches!(rest, "SERVICE_HOST" | "SERVICE_PORT" | "PORT") {
        return true;
    }
    if let Some(port) = rest.strip_prefix("SERVICE_PORT_") {
        return !port.is_empty();
    }
    let mut parts = rest.split('_');
    let port = parts.next() == Some("PORT")
        && parts.next().is_some_and(|number| number.parse::<u16>().is_ok())
        && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"));
    port && matches!((parts.next(), parts.next()), (None | Some("ADDR" | "PORT" | "PROTO"), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(names: &[&str]) -> Vec<String> {
        let vars = names.iter().map(|name| (name.to_string(), "1".to_owned())).collect();
        let mut faults = SettingErrors::default();
        unknown(&vars, &mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_slip_is_told_what_was_probably_meant() {
        for (slip, meant) in [
            ("WARMUP_BATCHSIZE", "WARMUP_BATCH_SIZE"),
            ("WARMUP_MAX_CONCURENT", "WARMUP_MAX_CONCURRENT"),
            ("WARMUP_DATABASE_URL", "DATABASE_URL"),
            ("WARMUP_SMTP_TIMEOUT", "WARMUP_SMTP_TIMEOUT_MS"),
            ("WARMUP_CRON_INTERVAL", "WARMUP_CRON_INTERVAL_MINUTES"),
            ("WARMUP_REPLY_DELAY_MAX_MINUTES", "WARMUP_REPLY_DELAY_MAX"),
            ("WARMUP_Batch_Size", "WARMUP_BATCH_SIZE"),
        ] {
            assert_eq!(faults(&[slip]), [format!("{slip}: is not a setting; did you mean {meant}?")]);
        }
    }

    #[test]
    fn what_is_far_from_every_setting_gets_no_guess() {
        let [fault] = &faults(&["WARMUP_FAVOURITE_COLOUR"])[..] else { panic!("one fault") };
        assert!(!fault.contains("did you mean") && fault.contains("warmup config doc"), "{fault}");
    }

    #[test]
    fn names_of_others_are_not_judged() {
        assert_eq!(faults(&["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_ANYTHING", "PATH", "WARMUPS"]), [""; 0]);
    }

    const OF_A_SERVICE: [&str; 9] = [
        "WARMUP_SERVICE_HOST",
        "WARMUP_SERVICE_PORT",
        "WARMUP_SERVICE_PORT_HTTP",
        "WARMUP_PORT",
        "WARMUP_PORT_8080_TCP",
        "WARMUP_PORT_8080_TCP_ADDR",
        "WARMUP_PORT_8080_TCP_PORT",
        "WARMUP_PORT_8080_TCP_PROTO",
        "WARMUP_PORT_53_UDP_ADDR",
    ];

    #[test]
    fn what_kubernetes_injects_is_no_fault() {
        let in_a_pod = [&OF_A_SERVICE[..], &["KUBERNETES_SERVICE_HOST"]].concat();
        assert_eq!(faults(&in_a_pod), [""; 0]);
        assert_eq!(faults(&OF_A_SERVICE).len(), OF_A_SERVICE.len());
    }

    #[test]
    fn a_second_service_is_known_by_its_host() {
        let names = ["WARMUP_REDIS_PORT_6379_TCP", "WARMUP_REDIS_SERVICE_PORT", "KUBERNETES_SERVICE_HOST"];
        assert_eq!(faults(&names).len(), 2);
        assert_eq!(faults(&[&names[..], &["WARMUP_REDIS_SERVICE_HOST"]].concat()), [""; 0]);
    }

    #[test]
    fn a_slip_is_a_fault_in_a_pod_too() {
        for slip in ["WARMUP_BATCHSIZE", "WARMUP_PORT_8080", "WARMUP_PORT_8080_TCP_NAME", "WARMUP_PORT_HTTP_TCP"] {
            assert_eq!(faults(&[slip, "KUBERNETES_SERVICE_HOST"]).len(), 1, "{slip}");
        }
    }
}
