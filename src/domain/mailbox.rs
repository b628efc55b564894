//! This module defines the connection properties of a mailbox: its mail host, the port and the security.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The reason code of an operator's change that names no other reason.
pub const OPERATOR: &str = "operator";

/// The encryption of the connection to a mail host.
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
    /// Returns the usual security of an SMTP `port`, or `None` if the port has no usual one.
    pub fn of_smtp_port(port: u16) -> Option<Security> {
        match port {
            465 => Some(Security::Tls),
            587 => Some(Security::Starttls),
            25 => Some(Security::None),
            _ => None,
        }
    }

    /// Returns the word for the security in CSV files, in the database and in output.
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

/// A mail host with the port and the security of its connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub security: Security,
}

impl Endpoint {
    /// Returns true if both endpoints are equal; host names match in any case.
    pub fn is(&self, other: &Endpoint) -> bool {
        self.is_host_of(other) && (self.port, self.security) == (other.port, other.security)
    }

    /// Returns true if both endpoints are on one host.
    pub fn is_host_of(&self, other: &Endpoint) -> bool {
        self.host.eq_ignore_ascii_case(&other.host)
    }

    /// Returns true if a password that was given for `earlier` may be sent here without being entered again.
    /// That holds if nothing differs, or for another port of the host whose certificate proves that it is
    /// that host.
    pub fn inherits_from(&self, earlier: &Endpoint) -> bool {
        self.is(earlier) || self.is_host_of(earlier) && self.security != Security::None
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({})", self.host, self.port, self.security)
    }
}

/// Returns the domain of an address in lower case: the part after its last `@`.
pub fn domain_of(address: &str) -> String {
    address.rsplit('@').next().unwrap_or_default().to_ascii_lowercase()
}
