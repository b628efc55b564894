//! `Journal` records each accepted mail as one JSON line, before the client gets the reply.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::SinkError;

/// An `Acceptance` is one accepted mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The real time, not the day clock.
    pub at: DateTime<Utc>,
    pub from: String,
    pub to: String,
    /// The Message-ID without angle brackets; empty if the mail had none.
    pub message_id: String,
}

/// A `Journal` appends acceptances to a file.
pub(super) struct Journal {
    file: Mutex<File>,
}

impl Journal {
    pub(super) fn open(path: &Path) -> Result<Journal, SinkError> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| SinkError::File { path: path.to_owned(), error })?;
        Ok(Journal { file: Mutex::new(file) })
    }

    /// Writes one acceptance in a single write, so that a reader never sees two mixed.
    #[expect(clippy::disallowed_methods, reason = "the sink plays a foreign server, with a clock of its own")]
    pub(super) fn record(&self, from: &str, to: &str, message_id: &str) -> std::io::Result<()> {
        let acceptance = Acceptance { at: Utc::now(), from: from.into(), to: to.into(), message_id: message_id.into() };
        let mut line = serde_json::to_vec(&acceptance)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)?;
        file.flush()
    }
}

/// Reads a journal. Skips an unfinished last line: a killed sink was about to accept that mail, and never
/// replied.
pub fn read_journal(path: &Path) -> Result<Vec<Acceptance>, SinkError> {
    let text = std::fs::read_to_string(path).map_err(|error| SinkError::File { path: path.to_owned(), error })?;
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole
        .enumerate()
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| SinkError::Journal {
                path: path.to_owned(),
                line: at + 1,
                error,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_and_a_torn_last_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        journal.record("a@one.test", "b@two.test", "1@one.test").unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at\":\"20").unwrap();
        let read = read_journal(&path).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].from.as_str(), read[0].message_id.as_str()), ("a@one.test", "1@one.test"));
        std::fs::write(&path, "nonsense\n").unwrap();
        assert!(read_journal(&path).is_err());
    }
}
