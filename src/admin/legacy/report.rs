//! What moving in did, or, in a dry run, would do.

use serde::Serialize;

use crate::admin::import::ImportReport;

/// What was copied, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LegacyReport {
    pub dry_run: bool,
    pub users: Users,
    pub mailboxes: ImportReport,
    /// Mailboxes that were put where they stood on their ramps.
    pub ramps: usize,
    pub logs: Logs,
    pub templates: Texts,
    /// Rows, or cells of them, that were not understood, in the order in which they were met.
    pub unreadable: Vec<Unreadable>,
    /// What is not there, or perhaps not meant.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Users {
    pub new: Vec<String>,
    /// How many were users here already: they stay as they are.
    pub known: usize,
}

/// Rows of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    pub read: u64,
    pub copied: u64,
    /// Copied by an earlier run.
    pub known: u64,
    /// Understood, and for a reason not copied.
    pub left_out: Vec<LeftOut>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    pub reason: &'static str,
    pub rows: u64,
}

impl Logs {
    pub(super) fn leave_out(&mut self, reason: &'static str) {
        match self.left_out.iter_mut().find(|left| left.reason == reason) {
            Some(left) => left.rows += 1,
            None => self.left_out.push(LeftOut { reason, rows: 1 }),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Texts {
    pub mails: usize,
    pub replies: usize,
    /// `stored`, `unchanged`, or `kept`: other ones are stored here, and stay.
    pub outcome: &'static str,
}

/// A row that was not understood, or a cell of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    pub table: &'static str,
    /// Its id where it has one, else its place.
    pub row: String,
    pub reason: String,
}
