//! `EnrolmentCommand` names the command that enrols. The commands differ in which addresses they accept: known,
//! unknown or both.

use crate::adapters::postgres::enrol::StoredMailbox;

/// The command that enrols or changes mailboxes, which is also the reason of the events that it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrolmentCommand {
    /// `mailbox import` accepts known and unknown addresses.
    Import,
    /// `mailbox add` accepts unknown and removed addresses.
    Add,
    /// `mailbox set` accepts known addresses.
    Set,
}

impl EnrolmentCommand {
    /// Returns the word of the command in `events.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            EnrolmentCommand::Import => "import",
            EnrolmentCommand::Add => "add",
            EnrolmentCommand::Set => "set",
        }
    }

    /// Returns the reason why this command rejects an address that is `stored` in this way or not at all.
    pub(super) fn objection(self, stored: Option<&StoredMailbox>) -> Option<&'static str> {
        match (self, stored.map(StoredMailbox::is_removed)) {
            (EnrolmentCommand::Add, Some(false)) => Some("is enrolled already: `warmup mailbox set` changes it"),
            (EnrolmentCommand::Set, None) => Some("is not enrolled: `warmup mailbox add` enrols it"),
            (EnrolmentCommand::Set, Some(true)) => Some("was removed: `warmup mailbox add` enrols it anew"),
            (EnrolmentCommand::Import, _)
            | (EnrolmentCommand::Add, None | Some(true))
            | (EnrolmentCommand::Set, Some(false)) => None,
        }
    }
}
