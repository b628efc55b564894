//! `LegacyReport` describes the result of an import from the older system, or of its dry run.

use serde::Serialize;

use crate::admin::import::ImportReport;

/// A `LegacyReport` counts the copied and the skipped rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LegacyReport {
    pub dry_run: bool,
    pub users: Users,
    pub mailboxes: ImportReport,
    /// The number of mailboxes that were moved to their positions on their ramps.
    pub ramps: usize,
    pub logs: Logs,
    pub templates: Texts,
    /// Rows or cells that were not understood, in the order in which they were read.
    pub unreadable: Vec<Unreadable>,
    /// Missing tables and columns, and values that are perhaps not meant.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Users {
    pub new: Vec<String>,
    /// The number of users that existed here already; they stay as they are.
    pub known: usize,
}

/// The counts of the log's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    pub read: u64,
    pub copied: u64,
    /// The number of rows that an earlier run copied.
    pub known: u64,
    /// Rows that were understood and left out, by reason.
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
    /// The outcome: `stored`, `unchanged`, or `kept` if this database has other templates, which stay.
    pub outcome: &'static str,
}

/// A row, or a cell of a row, that was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    pub table: &'static str,
    /// The id of the row, or its position if it has no id.
    pub row: String,
    pub reason: String,
}
