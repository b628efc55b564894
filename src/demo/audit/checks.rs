//! `AuditInput` implements the checks of the audit, one method for each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Acceptance, Check, CheckResult, DayRow, Expect, LogRow, MailboxRow, Snapshot, Status};

/// An `AuditInput` indexes journal and ledger by the keys that the checks compare.
pub(super) struct AuditInput<'a> {
    journal: &'a [Acceptance],
    snapshot: &'a Snapshot,
    expect: &'a Expect,
    rows: HashMap<&'a str, Vec<&'a LogRow>>,
    accepted: HashMap<&'a str, usize>,
    days: HashMap<i64, &'a DayRow>,
}

impl<'a> AuditInput<'a> {
    pub fn new(journal: &'a [Acceptance], snapshot: &'a Snapshot, expect: &'a Expect) -> AuditInput<'a> {
        let mut rows: HashMap<&str, Vec<&LogRow>> = HashMap::new();
        for row in &snapshot.logs {
            rows.entry(bare(&row.message_id)).or_default().push(row);
        }
        let mut accepted = HashMap::new();
        for acceptance in journal {
            *accepted.entry(bare(&acceptance.message_id)).or_default() += 1;
        }
        let days = snapshot.days.iter().map(|day| (day.mailbox_id, day)).collect();
        AuditInput { journal, snapshot, expect, rows, accepted, days }
    }

    pub fn sentences(&self) -> Vec<CheckResult> {
        vec![
            self.quota_filled(),
            self.total_sent(),
            self.accepted_is_accounted_for(),
            self.sent_arrived(),
            self.arrived_is_logged(),
            self.nothing_twice(),
            self.no_pair_twice(),
            self.one_answer_a_thread(),
            self.received_evenly(),
            self.counters_are_rows(),
            self.nothing_in_flight(),
        ]
    }

    fn quota_filled(&self) -> CheckResult {
        let quota = i32::from(self.expect.quota);
        let mut contradictions = Vec::new();
        for MailboxRow { id, email, .. } in &self.snapshot.mailboxes {
            match self.days.get(id) {
                Some(day) if placed(day) == quota && i32::from(day.quota) == quota => {}
                Some(DayRow { sent, uncertain, quota: own, .. }) => contradictions
                    .push(format!("{email}: sent {sent} + uncertain {uncertain} of its quota {own}, expected {quota}")),
                None => contradictions.push(format!("{email}: no mail at all")),
            }
        }
        let (all, full) = (self.snapshot.mailboxes.len(), self.snapshot.mailboxes.len() - contradictions.len());
        if all != self.expect.mailboxes {
            contradictions.push(format!("{all} mailboxes are enrolled, expected {}", self.expect.mailboxes));
        }
        sentence(Check::QuotaFilled, format!("{full} of {all} at {quota}/{quota}"), contradictions)
    }

    fn total_sent(&self) -> CheckResult {
        let total: i64 = self.snapshot.days.iter().map(|day| i64::from(placed(day))).sum();
        let wanted = self.expect.mailboxes as i64 * i64::from(self.expect.quota);
        let wrong = (total != wanted).then(|| format!("{total} went out, expected {wanted}"));
        sentence(Check::TotalSent, format!("{total} of {wanted}"), wrong.into_iter().collect())
    }

    fn accepted_is_accounted_for(&self) -> CheckResult {
        let count = |status| self.snapshot.logs.iter().filter(|row| row.status == status).count();
        let arrived = |row: &&LogRow| row.status == Status::Uncertain && self.has_arrived(row);
        let (sent, replied) = (count(Status::Sent), count(Status::Replied));
        let (uncertain, arrived) = (count(Status::Uncertain), self.snapshot.logs.iter().filter(arrived).count());
        let (accepted, known) = (self.journal.len(), sent + replied + arrived);
        let wrong = (accepted != known).then(|| {
            format!(
                "the journal has {accepted}, the ledger {known} = {sent} SENT + {replied} REPLIED + {arrived} uncertain"
            )
        });
        let figure = format!("{accepted} = {sent} + {replied} + {arrived} (of {uncertain} uncertain)");
        sentence(Check::AcceptedIsAccountedFor, figure, wrong.into_iter().collect())
    }

    fn sent_arrived(&self) -> CheckResult {
        let sent: Vec<&LogRow> =
            self.snapshot.logs.iter().filter(|row| matches!(row.status, Status::Sent | Status::Replied)).collect();
        let lost: Vec<String> = sent.iter().filter(|row| !self.has_arrived(row)).map(|row| named(row)).collect();
        let figure = format!("{} of {} in the journal", sent.len() - lost.len(), sent.len());
        sentence(Check::SentArrived, figure, lost)
    }

    fn arrived_is_logged(&self) -> CheckResult {
        let wrong: Vec<String> = self.journal.iter().filter_map(|acceptance| self.unlogged(acceptance)).collect();
        let figure = format!("{} of {} in the ledger", self.journal.len() - wrong.len(), self.journal.len());
        sentence(Check::ArrivedIsLogged, figure, wrong)
    }

    /// Returns what is wrong with the rows of one acceptance, if anything is.
    fn unlogged(&self, acceptance: &Acceptance) -> Option<String> {
        let Acceptance { from, to, message_id, .. } = acceptance;
        let rows = self.rows.get(bare(message_id)).map(Vec::as_slice).unwrap_or_default();
        let fault = match rows {
            [] => "has no row",
            [row] if row.status == Status::Refused => "was accepted, but its row calls it refused",
            [row] if !same(&row.sender, from) || !same(&row.recipient, to) => "is another mail in its row",
            [_] => return None,
            _ => "has several rows",
        };
        Some(format!("{message_id} from {from} to {to} {fault}"))
    }

    fn nothing_twice(&self) -> CheckResult {
        let doubles = self.accepted.iter().filter(|(_, times)| **times > 1);
        let doubles = doubles.map(|(id, times)| format!("{id} was accepted {times} times"));
        let rows = self.rows.iter().filter(|(_, rows)| rows.len() > 1);
        let rows = rows.map(|(id, rows)| format!("{id} has {} rows", rows.len()));
        let mut wrong: Vec<String> = doubles.chain(rows).collect();
        wrong.sort();
        sentence(Check::NothingTwice, format!("{} Message-IDs", self.accepted.len()), wrong)
    }

    /// A pair may repeat only after the sender has used every other partner as often.
    fn no_pair_twice(&self) -> CheckResult {
        let used = self.pairs();
        let mut wrong = Vec::new();
        for MailboxRow { email, .. } in &self.snapshot.mailboxes {
            let sender = lower(email);
            let times = |partner: &str| used.get(&(sender.clone(), partner.to_owned())).copied().unwrap_or(0);
            let partners: Vec<String> = self.snapshot.mailboxes.iter().map(|other| lower(&other.email)).collect();
            let able = self.snapshot.mailboxes.iter().filter(|other| other.receives && !same(&other.email, email));
            let least = able.map(|other| times(&lower(&other.email))).min().unwrap_or(0);
            let repeats = partners.iter().filter(|partner| times(partner) > least + 1);
            let repeats = repeats.map(|to| format!("{email} wrote {} times to {to}, others are unused", times(to)));
            wrong.extend(repeats);
        }
        sentence(Check::NoPairTwice, format!("{} pairs", used.len()), wrong)
    }

    /// Returns the uses of each pair, from the rows or the journal, whichever counts more. A reply belongs to
    /// its pair and is no use of it.
    fn pairs(&self) -> BTreeMap<(String, String), usize> {
        let mut rows: BTreeMap<(String, String), usize> = BTreeMap::new();
        for row in self.snapshot.logs.iter().filter(|row| row.answers.is_none()) {
            *rows.entry((lower(&row.sender), lower(&row.recipient))).or_default() += 1;
        }
        // `nothing_twice` reports a Message-ID that was accepted twice, so it counts once here.
        let mut counted = BTreeSet::new();
        let mut accepted: BTreeMap<(String, String), usize> = BTreeMap::new();
        for mail in self.mails().filter(|mail| counted.insert(bare(&mail.message_id))) {
            *accepted.entry((lower(&mail.from), lower(&mail.to))).or_default() += 1;
        }
        for (pair, times) in accepted {
            let known = rows.entry(pair).or_default();
            *known = times.max(*known);
        }
        rows
    }

    fn one_answer_a_thread(&self) -> CheckResult {
        let mails: HashMap<i64, &LogRow> = self.snapshot.logs.iter().map(|row| (row.id, row)).collect();
        let mut threads = BTreeSet::new();
        let mut wrong = Vec::new();
        for (row, mail) in self.snapshot.logs.iter().filter_map(|row| Some((row, row.answers?))) {
            if !threads.insert(mail) {
                wrong.push(format!("{} is another answer in its thread", named(row)));
            }
            match mails.get(&mail) {
                Some(mail) if mail.status != Status::Sent || mail.answers.is_some() => {
                    wrong.push(format!("{} answers what was not sent as a mail", named(row)));
                }
                Some(mail) if !same(&mail.sender, &row.recipient) || !same(&mail.recipient, &row.sender) => {
                    wrong.push(format!("{} does not go back to whom its mail came from", named(row)));
                }
                Some(_) => {}
                None => wrong.push(format!("{} answers a mail that has no row on this day", named(row))),
            }
        }
        let unmarked = self.snapshot.logs.iter().filter(|row| row.status == Status::Replied && row.answers.is_none());
        wrong.extend(unmarked.map(|row| format!("{} is REPLIED and answers nothing", named(row))));
        sentence(Check::OneAnswerAThread, format!("{} threads", threads.len()), wrong)
    }

    fn received_evenly(&self) -> CheckResult {
        let quota = usize::from(self.expect.quota);
        let mut received: HashMap<String, usize> = HashMap::new();
        for mail in self.mails() {
            *received.entry(lower(&mail.to)).or_default() += 1;
        }
        let counts = self.snapshot.mailboxes.iter();
        let counts = counts.map(|mailbox| (&mailbox.email, received.get(&lower(&mailbox.email)).copied().unwrap_or(0)));
        let counts: Vec<(&String, usize)> = counts.collect();
        let least = counts.iter().map(|(_, count)| *count).min().unwrap_or(0);
        let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
        if self.expect.faults {
            return sentence(Check::ReceivedEvenly, format!("{least} to {most} (open, with faults)"), Vec::new());
        }
        let wrong = counts.iter().filter(|(_, count)| *count != quota);
        let wrong = wrong.map(|(email, count)| format!("{email} received {count}, expected {quota}")).collect();
        let figure = if least == most { format!("{least} each") } else { format!("{least} to {most}") };
        sentence(Check::ReceivedEvenly, figure, wrong)
    }

    fn counters_are_rows(&self) -> CheckResult {
        let mut counts: BTreeMap<i64, HashMap<Status, i64>> = BTreeMap::new();
        for row in &self.snapshot.logs {
            let status = match (row.status, row.answers) {
                (Status::Uncertain, Some(_)) => Status::Refused,
                (status, _) => status,
            };
            *counts.entry(row.mailbox_id).or_default().entry(status).or_default() += 1;
        }
        let mut wrong = Vec::new();
        let known = self.days.keys().copied().chain(counts.keys().copied()).collect::<BTreeSet<i64>>();
        for id in known {
            let day = self.days.get(&id);
            let count = |status| counts.get(&id).and_then(|of| of.get(&status)).copied().unwrap_or(0);
            for (name, counter, status) in [
                ("sent", day.map(|day| day.sent), Status::Sent),
                ("failed", day.map(|day| day.failed), Status::Refused),
                ("uncertain", day.map(|day| day.uncertain), Status::Uncertain),
                ("replied", day.map(|day| day.replied), Status::Replied),
            ] {
                let (counter, rows) = (i64::from(counter.unwrap_or(0)), count(status));
                if counter != rows {
                    wrong.push(format!("mailbox {id}: {name} says {counter}, its rows are {rows}"));
                }
            }
        }
        sentence(Check::CountersAreRows, format!("{} rows", self.snapshot.logs.len()), wrong)
    }

    fn nothing_in_flight(&self) -> CheckResult {
        let flying = |id: i64| self.snapshot.in_flight.iter().filter(|sender| **sender == id).count() as i32;
        let days =
            self.snapshot.days.iter().filter(|day| i32::from(day.reserved) != placed(day) + flying(day.mailbox_id));
        let mut wrong: Vec<String> = days
            .map(|DayRow { mailbox_id, reserved, sent, uncertain, .. }| {
                let flying = flying(*mailbox_id);
                format!("mailbox {mailbox_id}: reserved {reserved}, but {sent} sent + {uncertain} uncertain + {flying} in flight")
            })
            .collect();
        wrong.extend(self.snapshot.in_flight.iter().map(|id| format!("mailbox {id}: a mail is still in flight")));
        let reserved: i64 = self.snapshot.days.iter().map(|day| i64::from(day.reserved)).sum();
        sentence(
            Check::NothingInFlight,
            format!("reserved {reserved}, in flight {}", self.snapshot.in_flight.len()),
            wrong,
        )
    }

    fn has_arrived(&self, row: &LogRow) -> bool {
        self.accepted.contains_key(bare(&row.message_id))
    }

    /// Returns the acceptances that are not replies.
    fn mails(&self) -> impl Iterator<Item = &'a Acceptance> {
        self.journal.iter().filter(|mail| {
            let rows = self.rows.get(bare(&mail.message_id));
            !rows.is_some_and(|rows| rows.iter().any(|row| row.answers.is_some()))
        })
    }
}

fn sentence(claim: Check, figure: String, contradictions: Vec<String>) -> CheckResult {
    CheckResult { claim, figure, contradictions }
}

/// Returns the quota slots that are used permanently.
fn placed(day: &DayRow) -> i32 {
    i32::from(day.sent) + i32::from(day.uncertain)
}

fn named(row: &LogRow) -> String {
    format!("{} from {} to {}", row.message_id, row.sender, row.recipient)
}

fn bare(message_id: &str) -> &str {
    message_id.trim().trim_start_matches('<').trim_end_matches('>')
}

fn lower(address: &str) -> String {
    address.to_lowercase()
}

fn same(one: &str, other: &str) -> bool {
    lower(one) == lower(other)
}
