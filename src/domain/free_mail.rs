//! This module lists the free-mail domains, such as gmail.com, which are never paused as a domain, because
//! any person may have an address there. The list is data in `free_mail.txt`.

use super::outcome::{Effects, Penalty};

/// Returns true if `domain`, in lower case, is a free-mail domain.
pub fn is_free_mail(domain: &str) -> bool {
    let lines = include_str!("free_mail.txt").lines().filter(|line| !line.starts_with('#'));
    lines.into_iter().any(|line| match line.strip_suffix(".*") {
        Some(name) => domain.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).is_some_and(is_national),
        None => line == domain,
    })
}

/// Returns true for `com`, `de` or `co.uk`, and false for `evil.example`.
fn is_national(ending: &str) -> bool {
    let mut labels = ending.split('.');
    let is_short = |label: &str| (2..=3).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_lowercase());
    labels.next().is_some_and(is_short) && labels.next().is_none_or(is_short) && labels.next().is_none()
}

impl Effects {
    /// Returns the effects for a sender in `domain`: a penalty for a free-mail domain applies to the one
    /// mailbox.
    pub fn in_domain(self, domain: &str) -> Effects {
        match self.domain {
            Some(measure) if is_free_mail(domain) => {
                Effects { domain: None, sender: Some(longer(self.sender, measure)), ..self }
            }
            _ => self,
        }
    }
}

fn longer(sender: Option<Penalty>, domain: Penalty) -> Penalty {
    match sender {
        Some(Penalty::Disable) => Penalty::Disable,
        Some(sender) if sender.pause() > domain.pause() => sender,
        _ => domain,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: Penalty = Penalty::Pause(Duration::from_hours(24));

    #[test]
    fn free_mail_domains_are_known_with_their_national_forms() {
        for free in
            ["gmail.com", "outlook.com", "yahoo.co.uk", "yahoo.com", "gmx.net", "hotmail.fr", "yandex.ru", "web.de"]
        {
            assert!(is_free_mail(free), "{free}");
        }
        for other in
            ["example.com", "gmail.com.example.org", "yahoo.evil.example", "yahoo", "mygmail.com", "gmx.acme.com"]
        {
            assert!(!is_free_mail(other), "{other}");
        }
    }

    #[test]
    fn every_line_is_a_domain_in_lower_case_and_stands_in_order() {
        let lines: Vec<&str> = include_str!("free_mail.txt").lines().filter(|line| !line.starts_with('#')).collect();
        assert!(
            lines.is_sorted() && lines.iter().all(|line| line.contains('.') && *line == line.trim().to_lowercase())
        );
    }

    #[test]
    fn what_is_said_of_a_free_mail_domain_concerns_the_mailbox() {
        let said = Effects { domain: Some(DAY), ..Effects::default() };
        assert_eq!(said.in_domain("example.com"), said);
        assert_eq!(said.in_domain("gmail.com"), Effects { sender: Some(DAY), ..Effects::default() });
        let disabled = Effects { sender: Some(Penalty::Disable), ..said };
        assert_eq!(disabled.in_domain("gmail.com").sender, Some(Penalty::Disable));
    }
}
