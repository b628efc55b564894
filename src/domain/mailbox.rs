//! What a mailbox is: where it submits, how it is spoken to, whose it is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The reason code of an operator's change that names no other reason.
pub const OPERATOR: &str = "operator";

/// How the connection to a mail host is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first byte (RFC 8314 section 3.3), port 465.
    Tls,
    /// Plain until STARTTLS (RFC 3207), never falling back, port 587.
    Starttls,
    /// No encryption: only with `WARMUP_ALLOW_PLAINTEXT`, port 25.
    None,
}

impl Security {
    /// Returns the usual security of an SMTP `port`, or `None` where there is no usual one.
    pub fn of_smtp_port(port: u16) -> Option<Security> {
        match port {
            465 => Some(Security::Tls),
            587 => Some(Security::Starttls),
            25 => Some(Security::None),
            _ => None,
        }
    }

    /// The word for it in CSV files, in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Security::Tls => "tls",
            Security::Starttls => "starttls",
            Security::None => "none",
        }
    }
}

impl FromStr for Security {
    type Err = String;

    fn from_str(text: &str) -> Result<Security, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "tls" => Ok(Security::Tls),
            "starttls" => Ok(Security::Starttls),
            "none" => Ok(Security::None),
            _ => Err(format!("`{text}` is not a security: write tls, starttls or none")),
        }
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mail host as it is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub security: Security,
}

impl Endpoint {
    /// Says whether the other is this one; host names in any case.
    pub fn is(&self, other: &Endpoint) -> bool {
        self.is_host_of(other) && (self.port, self.security) == (other.port, other.security)
    }

    /// Says whether both are on one host.
    pub fn is_host_of(&self, other: &Endpoint) -> bool {
        self.host.eq_ignore_ascii_case(&other.host)
    }

    /// Says whether a password that was given for `earlier` may go here without being given again: if nothing differs, or
    /// to another port of the same host whose certificate says that it is that host.
    pub fn inherits_from(&self, earlier: &Endpoint) -> bool {
        self.is(earlier) || self.is_host_of(earlier) && self.security != Security::None
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({})", self.host, self.port, self.security)
    }
}

/// Returns the domain of an address in lower case: what stands behind its last `@`.
pub fn domain_of(address: &str) -> String {
    address.rsplit('@').next().unwrap_or_default().to_ascii_lowercase()
}
