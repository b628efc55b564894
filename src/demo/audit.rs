//! The proof of a day: what the mail server journalled against what the ledger says, sentence by sentence.
//!
//! The journal is written by another process at the moment of acceptance and knows nothing of the ledger, so where the
//! two agree on every Message-ID, neither a lost nor a doubled mail is left to hide in a sum. [`prove`] is a pure
//! function of the two: it is tested with journals that were tampered with, and each kind of tampering breaks the
//! sentence that forbids it.

mod checks;
mod show;
mod snapshot;

pub use super::sink::Acceptance;
pub use snapshot::{DayRow, LogRow, MailboxRow, Snapshot, Status};

/// What the day should have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// How many mailboxes were enrolled, all from the first minute of the day.
    pub mailboxes: usize,
    /// What each of them owed.
    pub quota: u16,
    /// Whether mails met faults: then a partner's failed mail goes to another one, and who receives how many is open.
    pub faults: bool,
}

/// One claim, what was counted for it, and what contradicts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    pub claim: Check,
    /// What was counted, for people: `1440 = 1438 + 0 + 2`.
    pub figure: String,
    /// Each contradiction that was found. Empty where the claim holds.
    pub contradictions: Vec<String>,
}

/// What is claimed of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Every mailbox: sent + uncertain = quota.
    QuotaFilled,
    /// All of them together.
    TotalSent,
    /// Accepted by the journal = SENT + REPLIED + uncertain that arrived.
    AcceptedIsAccountedFor,
    /// Every SENT or REPLIED row's Message-ID is in the journal.
    SentArrived,
    /// Every acceptance has a row, of the same sender and recipient, that does not call it refused.
    ArrivedIsLogged,
    /// No Message-ID twice, in the journal or in the rows.
    NothingTwice,
    /// Nobody wrote to the same partner again while another was unused.
    NoPairTwice,
    /// Every reply goes back to whom its mail came from, once a thread.
    OneAnswerAThread,
    /// Every mailbox received as many mails as it owed.
    ReceivedEvenly,
    /// Each day's counters are the counts of its rows; a reply that nobody knows the end of is a failed one.
    CountersAreRows,
    /// `reserved` = sent + uncertain + in flight, and nothing is in flight.
    NothingInFlight,
}

/// The proof, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    pub sentences: Vec<CheckResult>,
}

impl AuditReport {
    /// Says whether every sentence holds.
    pub fn holds(&self) -> bool {
        self.violated().is_empty()
    }

    /// Returns the claims that do not hold, in the order of the proof.
    pub fn violated(&self) -> Vec<Check> {
        self.sentences.iter().filter(|sentence| !sentence.holds()).map(|sentence| sentence.claim).collect()
    }
}

impl CheckResult {
    /// Says whether nothing contradicts it.
    pub fn holds(&self) -> bool {
        self.contradictions.is_empty()
    }
}

/// Holds the journal against the ledger and returns every sentence with what was counted.
pub fn prove(journal: &[Acceptance], snapshot: &Snapshot, expect: &Expect) -> AuditReport {
    let evidence = checks::AuditInput::new(journal, snapshot, expect);
    AuditReport { sentences: evidence.sentences() }
}

#[cfg(test)]
mod tests;
