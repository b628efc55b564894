//! `Access` records which server refuses the credentials of this process, and since when.
//!
//! A rotated password stops every new connection, but no open one. So a refusal counts only until the next
//! success, on any connection.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::domain::lease::MachineTime;

/// The time between two warnings about one server, while old connections work and new ones are refused.
const WARN_AGAIN: Duration = Duration::from_secs(600);

/// A server that requires credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Postgres,
    Redis,
}

impl Server {
    const ALL: [Server; 2] = [Server::Postgres, Server::Redis];

    /// Returns the label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Server::Postgres => "postgres",
            Server::Redis => "redis",
        }
    }

    /// Returns the settings that hold the credentials.
    pub fn setting(self) -> &'static str {
        match self {
            Server::Postgres => "DATABASE_URL (or the file named by DATABASE_URL_FILE)",
            Server::Redis => "REDIS_URL (or the file named by REDIS_URL_FILE)",
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Server::Postgres => "Postgres",
            Server::Redis => "Redis",
        })
    }
}

/// A series of refusals without a success between.
#[derive(Clone, Copy, Debug)]
struct Row {
    first: MachineTime,
    last: MachineTime,
}

#[derive(Debug, Default)]
struct Record {
    row: Option<Row>,
    warned: Option<MachineTime>,
}

/// The refusals of each server, shared by its callers, the health probes and the watch.
#[derive(Debug, Default)]
pub struct Access([Mutex<Record>; 2]);

impl Access {
    /// Records that `server` refused the credentials. Returns true if a warning is due: at the first refusal
    /// of a series, and then at most every ten minutes.
    pub fn record_refusal(&self, server: Server, at: MachineTime) -> bool {
        let mut record = self.record(server);
        let first = record.row.map_or(at, |row| row.first);
        record.row = Some(Row { first, last: at });
        let warns = record.warned.is_none_or(|warned| at.since(warned) >= WARN_AGAIN);
        if warns {
            record.warned = Some(at);
        }
        warns
    }

    /// Records that `server` accepted a request.
    pub fn record_success(&self, server: Server) {
        self.record(server).row = None;
    }

    /// Returns a server that has refused for `patience`, from the first to the last refusal of a series. So a
    /// server that was unreachable meanwhile does not count.
    pub fn overdue_server(&self, patience: Duration) -> Option<Server> {
        let overdue = |row: Row| row.last.since(row.first) >= patience;
        Server::ALL.into_iter().find(|server| self.record(*server).row.is_some_and(overdue))
    }

    /// Returns a server that refused last, and has not accepted since.
    pub fn refusing_server(&self) -> Option<Server> {
        Server::ALL.into_iter().find(|server| self.record(*server).row.is_some())
    }

    fn record(&self, server: Server) -> MutexGuard<'_, Record> {
        self.0[server as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(180);

    fn at(second: u64) -> MachineTime {
        MachineTime(Duration::from_secs(second))
    }

    #[test]
    fn a_row_of_refusals_lasts_until_one_success() {
        let access = Access::default();
        assert!(access.record_refusal(Server::Redis, at(10)));
        assert!(!access.record_refusal(Server::Redis, at(189)), "it was warned of");
        assert_eq!((access.overdue_server(PATIENCE), access.refusing_server()), (None, Some(Server::Redis)));
        access.record_refusal(Server::Redis, at(190));
        assert_eq!(access.overdue_server(PATIENCE), Some(Server::Redis));
        access.record_success(Server::Postgres);
        assert_eq!(access.refusing_server(), Some(Server::Redis), "another server's success says nothing");
        access.record_success(Server::Redis);
        assert_eq!((access.overdue_server(PATIENCE), access.refusing_server()), (None, None));
        assert!(!access.record_refusal(Server::Redis, at(191)) && access.record_refusal(Server::Redis, at(700)));
        assert_eq!(access.overdue_server(PATIENCE), Some(Server::Redis));
    }

    #[test]
    fn time_alone_refuses_nothing() {
        let access = Access::default();
        access.record_refusal(Server::Postgres, at(0));
        access.record_success(Server::Postgres);
        access.record_refusal(Server::Postgres, at(10_000));
        assert_eq!(access.overdue_server(PATIENCE), None);
    }
}
