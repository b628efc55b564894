//! `classify` maps an error of the Redis library to the `PortError` that tells a caller how to react.
//!
//! The only question is whether the server may have executed the command. An error reply proves that it did not; a
//! silent connection proves nothing.

use std::{error::Error, fmt::Display, io, sync::Arc};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use rustls::CertificateError;

use super::address::Address;
use crate::ports::PortError;

/// Translates an error of a command that may have been sent.
///
/// Returns `Unavailable` if the server did nothing and may do it later, and `Denied` if it refuses the credentials.
/// Returns `Permanent` if it never will do it, and `Unknown` if the answer was lost.
pub fn classify(error: RedisError) -> PortError {
    match error.kind() {
        ErrorKind::Io if error.is_connection_refusal() => unavailable(error),
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::UnexpectedReturnType => PortError::Unknown(says(error)),
        ErrorKind::Server(kind) => of_server(kind, error),
        ErrorKind::Extension => of_code(error),
        ErrorKind::AuthenticationFailed => {
            PortError::Denied(format!("{}; check the user and the password in REDIS_URL", says(error)))
        }
        _ => PortError::Permanent(says(error)),
    }
}

/// Translates an error that occurred before anything was sent: whatever the network did, nothing happened.
///
/// Returns `Permanent` also if the server at `at` can't be trusted, or does not trust us, because a repeat does not
/// change its certificate.
pub(super) fn classify_unsent(at: &Address, error: RedisError) -> PortError {
    if let Some(fault) = tls_fault(&error) {
        return PortError::Permanent(of_tls(at, fault));
    }
    if error.to_string().contains("refused to switch database") {
        return PortError::Permanent(format!(
            "Redis at {at}: {error}; a cluster has no databases, others as many as their configuration says, and the \
             user needs `+select` for any but 0: write REDIS_URL without a number at its end"
        ));
    }
    match classify(error) {
        PortError::Unknown(text) | PortError::Unavailable(text) => PortError::Unavailable(format!("{text} ({at})")),
        certain => certain,
    }
}

/// Returns whether the server is a replica now and refuses writes.
pub(super) fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Returns the TLS error inside `error`, if any.
pub(super) fn tls_fault(error: &RedisError) -> Option<&rustls::Error> {
    let source = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    source.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

fn of_tls(at: &Address, fault: &rustls::Error) -> String {
    use rustls::Error as Fault;
    let instead = match fault {
        Fault::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "put the certificate of the authority that signed it into a PEM file and name that in WARMUP_TLS_CA_FILE"
        }
        Fault::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "write a name that stands in the certificate into REDIS_URL (on a cluster: let the nodes announce it)",
        Fault::InvalidCertificate(_) => "give that server a certificate that is valid now",
        Fault::AlertReceived(_) => {
            "it may want a certificate of ours, which warmup does not have: set `tls-auth-clients no` there"
        }
        _ => "write redis:// where that server speaks without TLS, and rediss:// only where it speaks TLS",
    };
    format!("Redis at {at}: {fault}; {instead}")
}

fn of_server(kind: ServerErrorKind, error: RedisError) -> PortError {
    match kind {
        ServerErrorKind::NoPerm => {
            PortError::Permanent(format!("{}; docs/REDIS.md lists what the user of REDIS_URL needs", says(error)))
        }
        ServerErrorKind::CrossSlot => PortError::Permanent(says(error)),
        // A connection without credentials may send ten arguments, and a script has more: this error replaces NOAUTH.
        ServerErrorKind::ResponseError if says(&error).contains("unauthenticated multibulk") => {
            PortError::Denied(format!("{}; put the user and the password into REDIS_URL", says(error)))
        }
        // The generic "ERR" means a request that the server can't serve, except for this temporary one.
        ServerErrorKind::ResponseError if !says(&error).contains("max number of clients") => {
            PortError::Permanent(says(error))
        }
        _ => unavailable(error),
    }
}

/// Translates the codes for which the library has no kind. An unknown code is a refusal too: nothing was done.
fn of_code(error: RedisError) -> PortError {
    match error.code().unwrap_or_default() {
        "NOAUTH" | "WRONGPASS" => {
            PortError::Denied(format!("{}; put the user and the password into REDIS_URL", says(error)))
        }
        "DENIED" => PortError::Permanent(format!("{}; put the user and the password into REDIS_URL", says(error))),
        "WRONGTYPE" => PortError::Permanent(format!(
            "{}; something else uses our keys: choose another WARMUP_REDIS_PREFIX",
            says(error)
        )),
        "NORUNID" => PortError::Permanent(says(error)),
        "OTHERFLEET" => {
            PortError::Lost(format!("{}; give one of the two fleets a WARMUP_REDIS_PREFIX of its own", says(error)))
        }
        _ => unavailable(error),
    }
}

fn unavailable(error: RedisError) -> PortError {
    PortError::Unavailable(says(error))
}

fn says(error: impl Display) -> String {
    format!("Redis: {error}")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn io_error(kind: io::ErrorKind) -> RedisError {
        RedisError::from(io::Error::from(kind))
    }

    /// Returns an error as the parser makes it from a reply: a known code becomes a kind, any other an extension.
    fn reply(text: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    fn word(error: PortError) -> &'static str {
        match error {
            PortError::Unavailable(_) => "unavailable",
            PortError::Unwritable(_) => "unwritable",
            PortError::Permanent(_) => "permanent",
            PortError::Unknown(_) => "unknown",
            PortError::Lost(_) => "lost",
            PortError::Denied(_) => "denied",
            PortError::Conflict(_) | PortError::Slow(_) => "never said by Redis",
        }
    }

    #[test]
    fn a_network_that_failed_after_the_request_leaves_the_outcome_unknown() {
        for (kind, expected) in [
            (io::ErrorKind::ConnectionRefused, "unavailable"),
            (io::ErrorKind::TimedOut, "unknown"),
            (io::ErrorKind::BrokenPipe, "unknown"),
            (io::ErrorKind::ConnectionReset, "unknown"),
            (io::ErrorKind::ConnectionAborted, "unknown"),
            (io::ErrorKind::UnexpectedEof, "unknown"),
        ] {
            assert_eq!(word(classify(io_error(kind))), expected, "{kind}");
            let at = Address::of("redis://cache", None).unwrap();
            assert_eq!(word(classify_unsent(&at, io_error(kind))), "unavailable", "{kind} before anything was sent");
        }
    }

    #[test]
    fn an_answer_that_is_an_error_says_that_nothing_was_done() {
        for (text, expected) in [
            ("LOADING Redis is loading the dataset in memory", "unavailable"),
            ("BUSY Redis is busy running a script", "unavailable"),
            ("OOM command not allowed when used memory > 'maxmemory'", "unavailable"),
            ("MISCONF Redis is configured to save RDB snapshots", "unavailable"),
            ("NOREPLICAS Not enough good replicas to write", "unavailable"),
            ("READONLY You can't write against a read only replica", "unavailable"),
            ("MASTERDOWN Link with MASTER is down", "unavailable"),
            ("CLUSTERDOWN Hash slot not served", "unavailable"),
            ("TRYAGAIN Multiple keys request during rehashing of slot", "unavailable"),
            ("MOVED 3999 127.0.0.1:6381", "unavailable"),
            ("ASK 3999 127.0.0.1:6381", "unavailable"),
            ("NOSCRIPT No matching script", "unavailable"),
            ("ERR max number of clients reached", "unavailable"),
            ("THROTTLED of some provider", "unavailable"),
            ("NOAUTH Authentication required.", "denied"),
            ("ERR Protocol error: unauthenticated multibulk length", "denied"),
            ("WRONGPASS invalid username-password pair or user is disabled.", "denied"),
            ("NOPERM this user has no permissions to run the 'info' command", "permanent"),
            ("CROSSSLOT Keys in request don't hash to the same slot", "permanent"),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", "permanent"),
            ("DENIED Redis is running in protected mode", "permanent"),
            ("NORUNID this server hides its run_id", "permanent"),
            ("ERR unknown command 'EVALSHA'", "permanent"),
            ("OTHERFLEET another fleet lives here", "lost"),
        ] {
            assert_eq!(word(classify(reply(text))), expected, "{text}");
        }
    }

    #[test]
    fn what_tls_finds_wrong_does_not_pass_and_says_what_to_do() {
        let at = Address::of("rediss://:hunter2@cache", None).unwrap();
        for (fault, expected) in [
            (rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer), "WARMUP_TLS_CA_FILE"),
            (rustls::Error::InvalidCertificate(CertificateError::NotValidForName), "name that stands"),
            (rustls::Error::InvalidCertificate(CertificateError::Expired), "valid now"),
            (rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired), "tls-auth-clients"),
            (rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType), "redis://"),
        ] {
            let error = RedisError::from(io::Error::new(io::ErrorKind::InvalidData, fault));
            let told = classify_unsent(&at, error);
            assert!(matches!(&told, PortError::Permanent(text) if text.contains(expected)), "{told:?}");
            assert!(!told.to_string().contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn what_the_library_finds_by_itself_is_told_apart() {
        for (kind, expected) in [
            (ErrorKind::Parse, "unknown"),
            (ErrorKind::UnexpectedReturnType, "unknown"),
            (ErrorKind::AuthenticationFailed, "denied"),
            (ErrorKind::InvalidClientConfig, "permanent"),
            (ErrorKind::Client, "permanent"),
            (ErrorKind::RESP3NotSupported, "permanent"),
        ] {
            assert_eq!(word(classify(RedisError::from((kind, "as it says")))), expected, "{kind:?}");
        }
    }
}
