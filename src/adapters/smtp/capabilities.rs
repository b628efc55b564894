//! `Capabilities` parses a host's reply to EHLO: one keyword with its parameters per line (RFC 5321 section 4.1.1.1).
//! The first line should be the host's name; hosts that omit the name are accepted.

use super::sasl::Mechanism;

/// The keyword of a host that accepts TLS on this connection (RFC 3207).
pub(super) const STARTTLS: &str = "STARTTLS";

/// The keyword of a host that accepts several commands at once (RFC 2920).
pub(super) const PIPELINING: &str = "PIPELINING";

/// The keyword of a host that accepts addresses and headers beyond ASCII (RFC 6531).
pub(super) const SMTPUTF8: &str = "SMTPUTF8";

const AUTH: &str = "AUTH";

/// The spelling of AUTH from before its standard; some hosts write only this one.
const OLD_AUTH: &str = "AUTH=";

pub(super) struct Capabilities(String);

impl Capabilities {
    /// Parses the complete reply to EHLO.
    pub(super) fn of(reply: &[u8]) -> Capabilities {
        Capabilities(String::from_utf8_lossy(reply).into_owned())
    }

    pub(super) fn has(&self, keyword: &str) -> bool {
        self.of_keyword(keyword).next().is_some()
    }

    /// Returns the supported mechanisms that the host offers (RFC 4954), in the order of preference.
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        let new: Vec<&str> = self.of_keyword(AUTH).flatten().collect();
        let old = self.lines().filter_map(|line| {
            let (keyword, mechanisms) = line.split_at_checked(OLD_AUTH.len())?;
            keyword.eq_ignore_ascii_case(OLD_AUTH).then(|| mechanisms.split_ascii_whitespace())
        });
        let offered: Vec<&str> = old.flatten().chain(new).collect();
        let is_offered = |ours: &Mechanism| offered.iter().any(|name| name.eq_ignore_ascii_case(ours.name()));
        Mechanism::ALL.into_iter().filter(is_offered).collect()
    }

    /// Returns the words after `keyword`, for each line with that keyword.
    fn of_keyword(&self, keyword: &str) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        self.lines().filter_map(move |line| {
            let mut words = line.split_ascii_whitespace();
            words.next()?.eq_ignore_ascii_case(keyword).then_some(words)
        })
    }

    /// Returns the lines without their reply code.
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines().filter_map(|line| line.get(4..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_offered_by_a_line_of_its_own() {
        let offers = |reply: &str| Capabilities::of(reply.as_bytes()).has(PIPELINING);
        assert!(offers("250-host.test\r\n250-pipelining\r\n250 SIZE 10\r\n"));
        assert!(offers("250-gr\u{fc}\u{df}e\r\n250 PIPELINING\r\n"));
        for not in [
            "250-host.test PIPELINING\r\n250 SIZE\r\n",
            "250-host.test\r\n250 XPIPELINING\r\n",
            "250-host.test\r\n250 SIZE PIPELINING\r\n",
            "250-host.test\r\n250\r\n",
        ] {
            assert!(!offers(not), "{not:?}");
        }
    }

    #[test]
    fn plain_is_tried_before_login_and_nothing_else() {
        let mechanisms = |auth: &str| Capabilities::of(format!("250-host.test\r\n{auth}").as_bytes()).mechanisms();
        let both = [Mechanism::Plain, Mechanism::Login];
        assert_eq!(mechanisms("250 AUTH LOGIN PLAIN\r\n"), both);
        assert_eq!(mechanisms("250-AUTH CRAM-MD5\r\n250 auth login\r\n"), [Mechanism::Login]);
        assert_eq!(mechanisms("250 AUTH XOAUTH2 PLAIN-CLIENTTOKEN\r\n"), []);
        assert_eq!(mechanisms("250 SIZE\r\n"), []);
        assert_eq!(mechanisms("250-SIZE\r\n250 AUTH=LOGIN PLAIN\r\n"), both);
        assert_eq!(mechanisms("250-auth=login\r\n250 AUTH LOGIN PLAIN\r\n"), both);
        assert_eq!(mechanisms("250 AUTH= \r\n"), []);
    }
}
