//! What a host offers: the lines of its reply to EHLO, each a keyword and what belongs to it (RFC 5321 section 4.1.1.1).
//! The first should be its name; hosts are let in that leave it out.

use super::sasl::Mechanism;

/// To take TLS on this connection (RFC 3207).
pub(super) const STARTTLS: &str = "STARTTLS";

/// To take several commands at once (RFC 2920).
pub(super) const PIPELINING: &str = "PIPELINING";

/// To take addresses and headers that are not ASCII (RFC 6531).
pub(super) const SMTPUTF8: &str = "SMTPUTF8";

const AUTH: &str = "AUTH";

/// How hosts wrote AUTH before it was a standard; some write only this.
const OLD_AUTH: &str = "AUTH=";

pub(super) struct Capabilities(String);

impl Capabilities {
    /// Reads the whole reply to EHLO.
    pub(super) fn of(reply: &[u8]) -> Capabilities {
        Capabilities(String::from_utf8_lossy(reply).into_owned())
    }

    pub(super) fn has(&self, keyword: &str) -> bool {
        self.of_keyword(keyword).next().is_some()
    }

    /// Returns the mechanisms of ours that the host offers (RFC 4954), the one to try first at the front.
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

    /// The words after `keyword`, for each of its lines.
    fn of_keyword(&self, keyword: &str) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        self.lines().filter_map(move |line| {
            let mut words = line.split_ascii_whitespace();
            words.next()?.eq_ignore_ascii_case(keyword).then_some(words)
        })
    }

    /// The lines without their code.
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
