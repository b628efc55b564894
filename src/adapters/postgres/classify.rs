//! `classify` maps a Postgres error to the `PortError` that tells a caller how to react.

use crate::ports::PortError;

/// Classifies an error that occurred while a statement ran.
///
/// A statement that the server reports as failed was rolled back, so nothing happened. A broken connection leaves the
/// commit unknown, whether the network, a crash of the server, or a pooler in between (class 08) reports it.
/// SQLSTATE classes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn classify(error: sqlx::Error) -> PortError {
    let text = error.to_string();
    match &error {
        sqlx::Error::Database(database) => by_sqlstate(database.code().as_deref().unwrap_or_default(), text),
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => PortError::Unavailable(text),
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::Configuration(_) => PortError::Permanent(text),
        _ => PortError::Unknown(text),
    }
}

fn by_sqlstate(code: &str, text: String) -> PortError {
    match code {
        // Deadlock, serialization failure, and a unique key that a concurrent statement took first.
        "40P01" | "40001" | "23505" => PortError::Conflict(text),
        // The server answers: its statement_timeout ended this statement, or an operator cancelled it.
        "57014" => PortError::Slow(text),
        // A lock timeout rolls back; so does a server that shuts down, starts or is full.
        "55P03" | "57P01" | "57P03" => PortError::Unavailable(text),
        // A crash, or a connection lost behind a pooler, may have come after the commit.
        "40003" | "57P02" => PortError::Unknown(text),
        _ if code.starts_with("08") => PortError::Unknown(text),
        // A standby, a server whose default is read-only, or a full disk.
        "25006" | "53100" => PortError::Unwritable(text),
        _ if code.starts_with("53") || code.starts_with("58") => PortError::Unavailable(text),
        // Occurs only while a connection is opened, so nothing was sent yet.
        _ if code.starts_with("28") => PortError::Denied(format!("{text} (SQLSTATE {code})")),
        _ => PortError::Permanent(format!("{text} (SQLSTATE {code})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_says_what_the_caller_can_do() {
        let kind = |code: &str| match by_sqlstate(code, String::new()) {
            PortError::Unavailable(_) => "unavailable",
            PortError::Unwritable(_) => "unwritable",
            PortError::Slow(_) => "slow",
            PortError::Conflict(_) => "conflict",
            PortError::Permanent(_) => "permanent",
            PortError::Unknown(_) => "unknown",
            PortError::Lost(_) => "lost",
            PortError::Denied(_) => "denied",
        };
        let table = [
            ("40P01", "conflict"),
            ("40001", "conflict"),
            ("23505", "conflict"),
            ("57014", "slow"),
            ("55P03", "unavailable"),
            ("57P01", "unavailable"),
            ("57P03", "unavailable"),
            ("53300", "unavailable"),
            ("08006", "unknown"),
            ("08P01", "unknown"),
            ("40003", "unknown"),
            ("57P02", "unknown"),
            ("25006", "unwritable"),
            ("53100", "unwritable"),
            ("28P01", "denied"),
            ("28000", "denied"),
            ("23514", "permanent"),
            ("42P01", "permanent"),
            ("", "permanent"),
        ];
        for (code, expected) in table {
            assert_eq!(kind(code), expected, "{code}");
        }
    }

    #[test]
    fn a_connection_that_broke_leaves_the_outcome_unknown() {
        let broken = sqlx::Error::Io(std::io::Error::other("reset"));
        assert!(matches!(classify(broken), PortError::Unknown(_)));
        assert!(matches!(classify(sqlx::Error::PoolTimedOut), PortError::Unavailable(_)));
        assert!(matches!(classify(sqlx::Error::RowNotFound), PortError::Permanent(_)));
    }
}
