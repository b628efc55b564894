//! This module reads the file of host limits, which an operator writes:
//!
//! ```text
//! # A host, or all hosts below a domain, with its limits for all senders together.
//! smtp.example.org    rate=100/hour rate=10/minute connections=5
//! *.example.net       rate=2000/day
//! smtp.azurecomm.net  unlimited
//! ```
//!
//! It reports all errors of a file at once, in the order of the lines.

use std::collections::BTreeMap;

use super::HostLimit;
use crate::domain::{
    content::TemplateError,
    enrolment::host::{host, is_name},
};

/// The largest rate: at this rate the count is exact with any `WARMUP_CAP_BURST`.
pub const LARGEST_RATE: u32 = 1_000_000;

/// The most connections of one host. More would make the script that counts them slow for all callers.
pub const MOST_CONNECTIONS: u32 = 1_000;

/// Reads a file of host limits, keyed by a name in lower case, or by `*.` and a name.
///
/// Returns every error in it, with its line, if there is any.
pub fn read(text: &str) -> Result<BTreeMap<String, HostLimit>, Vec<TemplateError>> {
    let (mut limits, mut lines, mut faults) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let mut words = text.split('#').next().unwrap_or_default().split_whitespace();
        let Some(first) = words.next() else { continue };
        let mut fault = |message: String| faults.push(TemplateError { line, message });
        let limit = limit(words, &mut fault);
        match pattern(first) {
            Err(message) => fault(message),
            Ok(pattern) => match lines.insert(pattern.clone(), line) {
                Some(earlier) => fault(format!("`{pattern}` stands in line {earlier} already: write one line for it")),
                None => drop(limits.insert(pattern, limit)),
            },
        }
    }
    if faults.is_empty() { Ok(limits) } else { Err(faults) }
}

/// Reads a mail host's name, or `*.` and a domain.
fn pattern(word: &str) -> Result<String, String> {
    let wrong = |_| format!("`{word}` is no mail host: write a name like smtp.example.org, or *.example.org");
    match word.strip_prefix("*.") {
        Some(domain) => {
            let domain = host(domain).map_err(wrong)?;
            if is_name(&domain) { Ok(format!("*.{domain}")) } else { Err(wrong(String::new())) }
        }
        None => host(word).map_err(wrong),
    }
}

fn limit<'a>(words: impl Iterator<Item = &'a str>, fault: &mut impl FnMut(String)) -> HostLimit {
    let (mut limit, mut lifted, mut said) = (HostLimit::default(), false, 0);
    for word in words {
        said += 1;
        match word.split_once('=') {
            Some(("rate", rate)) => add_rate(&mut limit, rate, fault),
            Some(("connections", count)) => add_connections(&mut limit, count, fault),
            None if word == "unlimited" => lifted = true,
            _ => fault(format!("`{word}` is unknown: write rate=100/hour, connections=5 or unlimited")),
        }
    }
    if said == 0 {
        fault("it says no limit: write rate=100/hour, connections=5 or unlimited".to_owned());
    } else if lifted && said > 1 {
        fault("it is `unlimited` and more: write one of them".to_owned());
    }
    limit
}

fn add_rate(limit: &mut HostLimit, rate: &str, fault: &mut impl FnMut(String)) {
    let parts = rate.split_once('/').and_then(|(number, period)| {
        let place = match period {
            "min" | "minute" => &mut limit.minute,
            "h" | "hr" | "hour" => &mut limit.hour,
            "d" | "day" => &mut limit.day,
            _ => return None,
        };
        Some((whole(number, LARGEST_RATE)?, place, period))
    });
    match parts {
        Some((_, Some(earlier), period)) => {
            fault(format!("a rate for each {period} is said already, {earlier}: leave one out"))
        }
        Some((number, place, _)) => *place = Some(number),
        None => fault(format!(
            "`rate={rate}` is no rate: write a whole number from 1 to {LARGEST_RATE} and minute, hour or day, like rate=100/hour"
        )),
    }
}

fn add_connections(limit: &mut HostLimit, count: &str, fault: &mut impl FnMut(String)) {
    match (whole(count, MOST_CONNECTIONS), limit.connections) {
        (Some(_), Some(earlier)) => fault(format!("connections are said already, {earlier}: leave one out")),
        (Some(count), None) => limit.connections = Some(count),
        (None, _) => fault(format!("`connections={count}`: write a whole number from 1 to {MOST_CONNECTIONS}")),
    }
}

/// Reads a whole number from 1 to `most`. It excludes 0: a host that must get no mail is paused, not limited.
fn whole(text: &str, most: u32) -> Option<u32> {
    text.parse().ok().filter(|number| (1..=most).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_connections_are_read_as_people_write_them() {
        let limits = read(
            "\u{feff}# ours\n\n SMTP.Example.org.\trate=100/hr rate=10/min  connections=5 # by contract\n*.example.net rate=2000/day\n[2001:DB8::1] rate=1/h\n",
        )
        .unwrap();
        let of = |host: &str| limits[host];
        let org = HostLimit { minute: Some(10), hour: Some(100), day: None, connections: Some(5) };
        assert_eq!(of("smtp.example.org"), org);
        assert_eq!(of("*.example.net"), HostLimit { day: Some(2_000), ..HostLimit::default() });
        assert_eq!(of("2001:db8::1").hour, Some(1));
        assert_eq!(limits.len(), 3);
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_lines() {
        let wrong = "a.org rate=0/hour rate=5/week\n\
                     b.org\n\
                     c.org unlimited connections=3\n\
                     d.org rate=5/min rate=6/minute connections=0 connections=x connections=1001\n\
                     b.org speed=9\n\
                     *.*.org rate=1/day\n\
                     smtp://e.org rate=1/day\n\
                     f.org rate=1000001/day rate=-1/day rate=1.5/day rate= rate=/ connections=1 connections=2\n\
                     *.10.0.0.1 rate=1/day\n";
        let faults = read(wrong).unwrap_err();
        let lines: Vec<u64> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [1, 1, 2, 3, 4, 4, 4, 4, 5, 5, 6, 7, 8, 8, 8, 8, 8, 8, 9], "{faults:#?}");
        let told: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
        for part in [
            "line 1: `rate=0/hour` is no rate: write a whole number from 1 to 1000000",
            "line 2: it says no limit",
            "line 3: it is `unlimited` and more",
            "line 4: a rate for each minute is said already, 5",
            "line 5: `b.org` stands in line 2 already",
            "line 5: `speed=9` is unknown",
            "line 6: `*.*.org` is no mail host",
            "line 8: connections are said already, 1",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }
}
