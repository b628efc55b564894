//! This module writes the demo's mailboxes as a CSV file of the documented format: one owner, six domains.

const DOMAINS: [&str; 6] =
    ["acorn.example", "birch.example", "cedar.example", "dogwood.example", "elder.example", "fir.example"];

const NAMES: [&str; 16] = [
    "Ada", "Bruno", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Klara", "Leo", "Mia", "Nils",
    "Olga", "Paul",
];

const FAMILIES: [&str; 6] = ["Ahlberg", "Becker", "Costa", "Duval", "Evans", "Fischer"];

/// Returns the CSV of `count` mailboxes that submit to `port` on this machine and owe `quota` a day from the first.
pub(in crate::cli) fn csv(count: u16, port: u16, password: &str, quota: u16) -> String {
    let mut csv = String::from("email,password,smtp_host,smtp_port,smtp_security,display_name,ramp_start,user\n");
    for n in 0..usize::from(count) {
        let (domain, round) = (n % DOMAINS.len(), n / DOMAINS.len());
        let (name, number) = (NAMES[round % NAMES.len()], round / NAMES.len());
        let local = if number == 0 { name.to_lowercase() } else { format!("{}{number}", name.to_lowercase()) };
        let (domain, family) = (DOMAINS[domain], FAMILIES[domain]);
        csv.push_str(&format!(
            "{local}@{domain},{password},127.0.0.1,{port},starttls,{name} {family},{quota},owner@acorn.example\n"
        ));
    }
    csv
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_address_comes_twice_and_domains_are_even() {
        let csv = csv(600, 2525, "x", 30);
        let addresses: Vec<&str> = csv.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        assert_eq!(addresses.iter().collect::<HashSet<_>>().len(), 600);
        assert_eq!(addresses.iter().filter(|address| address.ends_with("@fir.example")).count(), 100);
    }
}
