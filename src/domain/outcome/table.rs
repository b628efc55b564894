//! The reply table states the meaning of each SMTP reply, as data.
//!
//! The parts are read in this order, and the first row that matches decides:
//!
//! 1. `provider`: codes with one meaning at one provider, at any stage;
//! 2. `worded::CLEAR`: replies whose words name the affected side more precisely than their code does;
//! 3. `enhanced`: RFC 3463 codes by stage, because some change sides with it: 5.2.2 at RCPT is the partner's
//!    full mailbox, after the final dot at Exchange it is the sender's own;
//! 4. `worded::VAGUE`: words that decide only if no enhanced code names a side;
//! 5. `basic`: three digits and the stage; its last rows match every unknown reply.
//!
//! The file `table/words.rs` holds the word families. A quota or an AUTH reply concerns the sender, an
//! address reply the partner, and trouble before the sender is named the host. The effects on one side never
//! extend to another side. Where a provider's page says "retry", the quota slot is returned and the named
//! side is paused for that time. A later tick plans another mail with its own Message-ID, because no message
//! is submitted twice.

mod basic;
mod enhanced;
mod provider;
#[cfg(test)]
mod tests;
mod worded;
mod words;

use std::time::Duration;

use super::{Effects, OutcomeKind, Penalty, Reply, Stage, named_wait::named_wait};

/// The basic codes of a row (RFC 5321 section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Is(u16),
    OneOf(&'static [u16]),
    /// All codes that begin with this digit.
    Class(u16),
    /// All codes 4yz and 5yz.
    Refusal,
}

/// The enhanced codes of a row (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enhanced {
    /// Any reply, with or without an enhanced code.
    Any,
    Is(u16, u16, u16),
    OneOf(&'static [[u16; 3]]),
    /// Class, subject, and the details from the first to the last.
    Details(u16, u16, u16, u16),
    /// Class and subject with any detail.
    Subject(u16, u16),
}

/// The condition on the text of a reply, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    Any,
    All(&'static [&'static str]),
    OneOf(&'static [&'static str]),
    /// A word of each family. A word begins after a character that is no letter or digit; addresses are
    /// skipped.
    Words(&'static [&'static [&'static str]]),
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub stages: &'static [Stage],
    pub code: Code,
    pub enhanced: Enhanced,
    pub text: Text,
    /// The code for `logs.reason`; empty if the mail was sent.
    pub reason: &'static str,
    pub fate: OutcomeKind,
    pub effects: Effects,
    /// True if a wait that the reply names replaces the sender's pause.
    pub has_named_wait: bool,
}

impl Row {
    fn fits(&self, stage: Stage, reply: &Reply) -> bool {
        self.code.fits(reply.code)
            && self.stages.contains(&stage)
            && self.enhanced.fits(reply.enhanced)
            && self.text.fits(&reply.text)
    }

    /// Returns the effects of `reply`, which matches this row.
    pub fn effects_of(&self, reply: &Reply) -> Effects {
        match named_wait(&reply.text).filter(|_| self.has_named_wait) {
            Some(time) => Effects { sender: Some(Penalty::Pause(time)), ..self.effects },
            None => self.effects,
        }
    }

    const fn when_text(self, text: Text) -> Row {
        Row { text, ..self }
    }

    const fn when_words(self, families: &'static [&'static [&'static str]]) -> Row {
        self.when_text(Text::Words(families))
    }

    const fn with_named_wait(self) -> Row {
        Row { has_named_wait: true, ..self }
    }
}

/// Returns the row that decides about a complete `reply` at `stage`. Every reply has one.
pub fn row_for(stage: Stage, reply: &Reply) -> &'static Row {
    rows().find(|row| row.fits(stage, reply)).unwrap_or(&basic::UNKNOWN)
}

/// Returns all rows in the order in which they are tried.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    provider::ROWS.iter().chain(worded::CLEAR).chain(enhanced::ROWS).chain(worded::VAGUE).chain(basic::ROWS)
}

impl Code {
    fn fits(self, code: u16) -> bool {
        match self {
            Code::Is(wanted) => code == wanted,
            Code::OneOf(wanted) => wanted.contains(&code),
            Code::Class(digit) => code / 100 == digit,
            Code::Refusal => matches!(code / 100, 4 | 5),
        }
    }
}

impl Enhanced {
    fn fits(self, enhanced: Option<[u16; 3]>) -> bool {
        match (self, enhanced) {
            (Enhanced::Any, _) => true,
            (_, None) => false,
            (Enhanced::Is(class, subject, detail), Some(code)) => code == [class, subject, detail],
            (Enhanced::OneOf(wanted), Some(code)) => wanted.contains(&code),
            (Enhanced::Details(class, subject, first, last), Some(code)) => {
                code[..2] == [class, subject] && (first..=last).contains(&code[2])
            }
            (Enhanced::Subject(class, subject), Some(code)) => code[..2] == [class, subject],
        }
    }
}

impl Text {
    fn fits(self, text: &str) -> bool {
        let holds = |needle: &&str| text.to_lowercase().contains(*needle);
        match self {
            Text::Any => true,
            Text::All(needles) => needles.iter().all(holds),
            Text::OneOf(needles) => needles.iter().any(holds),
            Text::Words(families) => words::holds_each(text, families),
        }
    }
}

const FIVE_MINUTES: Penalty = Penalty::Pause(Duration::from_mins(5));
/// The pause after a rate was exceeded: hosts count in minutes, mostly up to an hour.
const RATE_REST: Penalty = Penalty::Pause(Duration::from_mins(20));
/// The pause after a quota was used up: hosts count in hours, mostly a day. Six such pauses fill a day.
const QUOTA_REST: Penalty = Penalty::Pause(Duration::from_hours(4));
const HOUR: Penalty = Penalty::Pause(Duration::from_hours(1));
const DAY: Penalty = Penalty::Pause(Duration::from_hours(24));
const DISABLE: Penalty = Penalty::Disable;
const STRIKE: Penalty = Penalty::Strike;
/// A trouble of the host that counts once several senders met it.
const STALL: Penalty = Penalty::Stall;
/// Too many mails at once: a pause of an hour, then half the plan.
const EASE: Penalty = Penalty::PauseAndHalve(Duration::from_hours(1));

const NOBODY: Effects = Effects { sender: None, partner: None, host: None, domain: None };

const fn sender(measure: Penalty) -> Effects {
    Effects { sender: Some(measure), ..NOBODY }
}

const fn partner(measure: Penalty) -> Effects {
    Effects { partner: Some(measure), ..NOBODY }
}

const fn host(measure: Penalty) -> Effects {
    Effects { host: Some(measure), ..NOBODY }
}

const fn domain(measure: Penalty) -> Effects {
    Effects { domain: Some(measure), ..NOBODY }
}

/// The stages after AUTH or MAIL has named the sender.
const SENDER_KNOWN: &[Stage] = &[Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot];
const ANY: &[Stage] =
    &[Stage::Connect, Stage::Tls, Stage::Greeting, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot];
const BEFORE_DOT: &[Stage] =
    &[Stage::Connect, Stage::Tls, Stage::Greeting, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data];
/// The stages before the sender is named: a failure here is the host's.
const NAMELESS: &[Stage] = &[Stage::Connect, Stage::Tls, Stage::Greeting];
const AUTH: &[Stage] = &[Stage::Auth];
const AUTH_TO_DATA: &[Stage] = &[Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data];
const RCPT: &[Stage] = &[Stage::Rcpt];
const DOT: &[Stage] = &[Stage::Dot];
/// The stages of the mail's own dialogue: the server knows sender and recipient.
const MAIL_TO_DOT: &[Stage] = &[Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot];

const fn row(stages: &'static [Stage], code: Code, enhanced: Enhanced, reason: &'static str, effects: Effects) -> Row {
    Row { stages, code, enhanced, text: Text::Any, reason, fate: OutcomeKind::Refused, effects, has_named_wait: false }
}
