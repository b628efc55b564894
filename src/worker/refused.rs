//! `RefusedResults` keeps the results that the database refuses permanently, and retries them in reduced forms.
//!
//! ```text
//! a batch ─refused─▶ each by itself ─refused─▶ in a reduced form ─refused─▶ stored, and retried after 1 s to 5 min;
//!                                                                           from the 8th try on as uncertain too
//! ```
//!
//! A result carries the text of a mail host, so it can hold a value that Postgres never accepts. One such result must
//! not delay the others. The reduced form carries only the values of its log row and the counters: no text of the host,
//! no penalty, no reply. The ledger writes the event `result-reduced` with it.
//!
//! If the database refuses every result of a batch in both forms, the fault is in the database. No result is stored
//! here then, and the settler repeats the batch. At most [`KEPT_MOST`] results are stored; with more the worker starts
//! no mail. A stored result stays in flight. If the worker ends first, the next sweep settles it as uncertain.

use std::{slice, time::Duration};

use super::settler::Settler;
use crate::{
    domain::{
        lease::MachineTime,
        outcome::{Effects, Outcome, OutcomeKind, Reply, Stage},
    },
    ports::{PortError, Settlement},
};

/// The maximum number of stored results. Such results are rare; more of them indicate a fault of the database.
const KEPT_MOST: usize = 5;
/// The first pause before a retry. Each pause is twice as long as the previous one, up to `RETRY_MOST`. Machine clock.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_mins(5);
/// The first try with the uncertain form, about four minutes after the first try.
const UNCERTAIN_FROM: u32 = 8;

/// The amount of a result that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    /// The values of the log row and the counters.
    Reduced,
    /// The values that a sweep would write: the mail counts, and its outcome is unknown.
    Uncertain,
}

/// A result that the database has refused in every form.
#[derive(Debug)]
struct KeptResult {
    result: Settlement,
    tries: u32,
    next_at: MachineTime,
}

/// The stored results, at most [`KEPT_MOST`].
#[derive(Debug, Default)]
pub(super) struct RefusedResults(Vec<KeptResult>);

impl RefusedResults {
    /// Returns the time of the next retry.
    pub(super) fn next_at(&self) -> Option<MachineTime> {
        self.0.iter().map(|kept| kept.next_at).min()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn keep(&mut self, results: Vec<Settlement>, now: MachineTime) {
        let next_at = now.after(RETRY_FIRST);
        self.0.extend(results.into_iter().map(|result| KeptResult { result, tries: 1, next_at }));
    }

    /// Removes and returns the results that are due at `now`.
    fn due(&mut self, now: MachineTime) -> Vec<KeptResult> {
        let (due, rest) = std::mem::take(&mut self.0).into_iter().partition(|kept| kept.next_at <= now);
        self.0 = rest;
        due
    }
}

impl KeptResult {
    fn forms(&self) -> &'static [Form] {
        match self.tries {
            UNCERTAIN_FROM.. => &[Form::Whole, Form::Reduced, Form::Uncertain],
            _ => &[Form::Whole, Form::Reduced],
        }
    }

    /// Doubles the pause before the next retry.
    fn postpone(mut self, now: MachineTime) -> KeptResult {
        let pause = RETRY_FIRST.saturating_mul(1 << self.tries.min(16)).min(RETRY_MOST);
        (self.tries, self.next_at) = (self.tries + 1, now.after(pause));
        self
    }
}

impl Settler {
    /// Settles each of `results` by itself. Returns the results that the database refuses in every form.
    ///
    /// Returns the error if the database is unavailable, refuses all of several results, or has refused too many
    /// already.
    pub(super) async fn settle_each(&self, results: &[Settlement]) -> Result<Vec<Settlement>, PortError> {
        let (mut refused, mut why) = (Vec::new(), String::new());
        for result in results {
            if let Some(error) = self.settle_in_forms(result, &[Form::Whole, Form::Reduced]).await? {
                why = error;
                refused.push(result.clone());
            }
        }
        if is_fault_of_database(results.len(), refused.len(), self.refused.len()) {
            return Err(PortError::Permanent(why));
        }
        for result in &refused {
            let (flight, mailbox) = (result.flight, result.mailbox);
            tracing::warn!(%flight, %mailbox, error = why, fate = ?result.outcome.fate, reason = result.outcome.reason,
                "the database refuses a result in every form: it is kept, and tried again");
        }
        Ok(refused)
    }

    /// Retries the stored results that are due, or `all` of them. Returns the written results.
    pub(super) async fn retry_refused(&mut self, all: bool) -> Vec<Settlement> {
        let now = self.ports.clock.machine();
        let due = self.refused.due(if all { MachineTime(Duration::MAX) } else { now });
        let mut written = Vec::new();
        for kept in due {
            match self.settle_in_forms(&kept.result, kept.forms()).await {
                Ok(None) => written.push(kept.result),
                Ok(Some(_)) => self.refused.0.push(kept.postpone(now)),
                // An unavailable database is no refusal, so the number of tries stays.
                Err(_) => self.refused.0.push(KeptResult { next_at: now.after(RETRY_FIRST), ..kept }),
            }
        }
        written
    }

    /// Settles one result in the first of `forms` that the database accepts. Returns the refusal if it accepts none.
    async fn settle_in_forms(&self, result: &Settlement, forms: &[Form]) -> Result<Option<String>, PortError> {
        let mut refusal = String::new();
        for form in forms {
            match self.settle(slice::from_ref(&form.of(result))).await {
                Ok(()) if *form == Form::Whole => return Ok(None),
                Ok(()) => {
                    let (flight, mailbox, note) = (result.flight, result.mailbox, &result.outcome.note);
                    tracing::warn!(%flight, %mailbox, error = refusal, note, ?form,
                        "the database refused a result: its row is written without the host's words, penalties and reply");
                    return Ok(None);
                }
                Err(PortError::Permanent(error)) => refusal = error,
                Err(error) => return Err(error),
            }
        }
        Ok(Some(refusal))
    }
}

/// Returns whether the database is at fault, not single results: it refuses all of several results, or more than fit
/// beside the `kept` ones.
fn is_fault_of_database(results: usize, refused: usize, kept: usize) -> bool {
    let are_all = refused == results && results > 1;
    are_all || kept + refused > KEPT_MOST
}

impl Form {
    fn of(self, result: &Settlement) -> Settlement {
        match self {
            Form::Whole => result.clone(),
            Form::Reduced => reduced(result, result.outcome.fate),
            Form::Uncertain if result.outcome.fate == OutcomeKind::Unstarted => reduced(result, OutcomeKind::Unstarted),
            Form::Uncertain => reduced(result, OutcomeKind::Uncertain),
        }
    }
}

fn reduced(result: &Settlement, fate: OutcomeKind) -> Settlement {
    let outcome = &result.outcome;
    let is_known = fate == outcome.fate;
    let outcome = Outcome {
        fate,
        stage: if is_known { outcome.stage } else { Stage::Dot },
        reason: if is_known { outcome.reason } else { "uncertain" },
        reply: outcome.reply.as_ref().filter(|_| is_known).map(|reply| Reply { text: String::new(), ..reply.clone() }),
        effects: Effects::default(),
        note: "the database refused the result as it was".to_owned(),
    };
    Settlement { outcome, reply: None, trace: None, is_reduced: true, ..result.clone() }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate};

    use super::*;
    use crate::{
        domain::{
            id::{BatchId, FlightId, MailboxId, UserId},
            outcome::classify::{DialogueEnd, classify_outcome},
            reply::ReplyWindow,
        },
        ports::LoggedMail,
    };

    fn result(code: u16) -> Settlement {
        let reply = Reply { code, enhanced: Some([code / 100, 7, 8]), text: "grüß\0e".into() };
        let at = DateTime::UNIX_EPOCH;
        Settlement {
            flight: FlightId(1),
            batch: BatchId(1),
            mailbox: MailboxId(1),
            partner: MailboxId(2),
            day: NaiveDate::default(),
            mail: LoggedMail {
                user: UserId(1),
                sender: "m1@a.test".into(),
                recipient: "m2@a.test".into(),
                round: 0,
                message_id: "1@a.test".into(),
                subject: "Minutes".into(),
                answers: None,
                thread: None,
            },
            at,
            latency: Duration::from_secs(1),
            next_at: at,
            outcome: classify_outcome(if code < 400 { Stage::Dot } else { Stage::Auth }, DialogueEnd::Reply(reply)),
            reply: Some(ReplyWindow { at, until: at }),
            trace: Some("00-1-2-01".into()),
            is_reduced: false,
        }
    }

    #[test]
    fn the_reduced_form_keeps_what_row_and_counters_need_and_nothing_else() {
        for code in [250, 535] {
            let (whole, reduced) = (result(code), Form::Reduced.of(&result(code)));
            assert_eq!((reduced.outcome.fate, reduced.outcome.reason), (whole.outcome.fate, whole.outcome.reason));
            assert_eq!(reduced.outcome.reply.as_ref().map(|reply| (reply.code, reply.text.as_str())), Some((code, "")));
            assert_eq!((reduced.outcome.effects, reduced.reply, &reduced.trace), (Effects::default(), None, &None));
            assert!(reduced.outcome.note.is_ascii() && reduced.is_reduced);
            assert_eq!((reduced.flight, reduced.next_at), (whole.flight, whole.next_at));
        }
        let uncertain = Form::Uncertain.of(&result(250)).outcome;
        assert_eq!((uncertain.fate, uncertain.reason, uncertain.reply), (OutcomeKind::Uncertain, "uncertain", None));
    }

    #[test]
    fn the_database_is_at_fault_if_it_refuses_all_of_several_or_more_than_can_be_kept() {
        assert!((2..=KEPT_MOST).all(|results| is_fault_of_database(results, results, 0)));
        assert!(!is_fault_of_database(1, 1, 0), "one that ended alone can't be told from a poisoned one");
        assert!((2..=KEPT_MOST).all(|results| !is_fault_of_database(results, results - 1, 0)));
        assert!(is_fault_of_database(20, KEPT_MOST + 1, 0) && is_fault_of_database(20, 1, KEPT_MOST));
    }

    #[test]
    fn a_kept_result_is_tried_further_and_further_apart_and_at_last_as_uncertain() {
        let second = |second| MachineTime(Duration::from_secs(second));
        let mut refused = RefusedResults::default();
        refused.keep(vec![result(250)], second(0));
        let (mut now, mut tried) = (second(0), Vec::new());
        while now < second(1_000) {
            assert!(refused.due(now).is_empty());
            now = refused.next_at().expect("one is kept");
            let kept = refused.due(now).remove(0);
            tried.push((now.0.as_secs(), kept.forms().contains(&Form::Uncertain)));
            refused.0.push(kept.postpone(now));
        }
        let times: Vec<u64> = tried.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1_111]);
        assert!(tried.iter().all(|(at, is_offered)| *is_offered == (*at >= 255)));
    }
}
