//! The audit of a day compares the journal of the mail server with the ledger, check by check.
//!
//! Another process writes the journal at the moment of acceptance, without knowledge of the ledger. So if both
//! agree on every Message-ID, no lost or doubled mail can hide in a sum. [`prove`] is a pure function of journal
//! and ledger. Its tests tamper with the journal, and each kind of tampering fails the check that forbids it.

mod checks;
mod show;
mod snapshot;

pub use super::sink::Acceptance;
pub use snapshot::{DayRow, LogRow, MailboxRow, Snapshot, Status};

/// The expected result of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The number of mailboxes, all enrolled from the first minute of the day.
    pub mailboxes: usize,
    /// The quota of each mailbox.
    pub quota: u16,
    /// True if mails met faults. Then a fallback partner gets a failed mail, and the number of received mails
    /// per mailbox is open.
    pub faults: bool,
}

/// A `CheckResult` holds one check, its figure, and its contradictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    pub claim: Check,
    /// The figure for people: `1440 = 1438 + 0 + 2`.
    pub figure: String,
    /// Each contradiction that was found; empty if the check holds.
    pub contradictions: Vec<String>,
}

/// A statement about the day that the audit checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Every mailbox: sent + uncertain = quota.
    QuotaFilled,
    /// All mailboxes together: sent + uncertain = the sum of the quotas.
    TotalSent,
    /// Accepted by the journal = SENT + REPLIED + uncertain that arrived.
    AcceptedIsAccountedFor,
    /// Every SENT or REPLIED row's Message-ID is in the journal.
    SentArrived,
    /// Every acceptance has a row with its sender and recipient whose status is not refused.
    ArrivedIsLogged,
    /// No Message-ID twice, in the journal or in the rows.
    NothingTwice,
    /// No sender wrote to a partner again while another partner was unused.
    NoPairTwice,
    /// Every reply goes to the sender of its mail, one reply per thread.
    OneAnswerAThread,
    /// Every mailbox received as many mails as its quota.
    ReceivedEvenly,
    /// The counters of each day are the counts of its rows. An uncertain reply counts as failed.
    CountersAreRows,
    /// `reserved` = sent + uncertain + in flight, and nothing is in flight.
    NothingInFlight,
}

/// An `AuditReport` holds the result of every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    pub sentences: Vec<CheckResult>,
}

impl AuditReport {
    /// Returns whether every check holds.
    pub fn holds(&self) -> bool {
        self.violated().is_empty()
    }

    /// Returns the checks that do not hold, in the order of the report.
    pub fn violated(&self) -> Vec<Check> {
        self.sentences.iter().filter(|sentence| !sentence.holds()).map(|sentence| sentence.claim).collect()
    }
}

impl CheckResult {
    /// Returns whether nothing contradicts the check.
    pub fn holds(&self) -> bool {
        self.contradictions.is_empty()
    }
}

/// Compares the journal with the ledger, and returns the result of every check.
pub fn prove(journal: &[Acceptance], snapshot: &Snapshot, expect: &Expect) -> AuditReport {
    let evidence = checks::AuditInput::new(journal, snapshot, expect);
    AuditReport { sentences: evidence.sentences() }
}

#[cfg(test)]
mod tests;
