//! This module prints an audit: a line for each check, and below a failed one its contradictions.

use std::fmt;

use super::{AuditReport, Check, CheckResult};

/// The number of contradictions that are printed of one check. The first few show the kind of fault.
const SHOWN: usize = 5;

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Check::QuotaFilled => "every mailbox filled its quota (sent + uncertain)",
            Check::TotalSent => "all mailboxes together",
            Check::AcceptedIsAccountedFor => "accepted = SENT + REPLIED + uncertain that arrived",
            Check::SentArrived => "every SENT and REPLIED row is in the journal",
            Check::ArrivedIsLogged => "every acceptance has its one row",
            Check::NothingTwice => "no Message-ID twice",
            Check::NoPairTwice => "no pair twice",
            Check::OneAnswerAThread => "every reply answers its mail, one a thread",
            Check::ReceivedEvenly => "every mailbox received as many",
            Check::CountersAreRows => "counters = rows",
            Check::NothingInFlight => "reserved = sent + uncertain, nothing in flight",
        })
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CheckResult { claim, figure, contradictions } = self;
        let word = if self.holds() { "ok" } else { "FAILED" };
        write!(f, "  {word:<6}  {claim:<52}{figure}")?;
        for contradiction in contradictions.iter().take(SHOWN) {
            write!(f, "\n            {contradiction}")?;
        }
        match contradictions.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, "\n            and {more} more"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "proof: the server's journal against the ledger")?;
        for sentence in &self.sentences {
            writeln!(f, "{sentence}")?;
        }
        match self.violated().len() {
            0 => write!(f, "the proof holds"),
            violated => write!(f, "THE PROOF FAILS: {violated} of {} sentences", self.sentences.len()),
        }
    }
}
