//! Which command enrols. They differ only in whether an address must be known already.

use crate::adapters::postgres::enrol::StoredMailbox;

/// The command that enrols or changes mailboxes; the reason of the events that it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrolmentCommand {
    /// `mailbox import`: known or not.
    Import,
    /// `mailbox add`: not known, or removed.
    Add,
    /// `mailbox set`: known.
    Set,
}

impl EnrolmentCommand {
    /// The word for it in `events.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            EnrolmentCommand::Import => "import",
            EnrolmentCommand::Add => "add",
            EnrolmentCommand::Set => "set",
        }
    }

    /// Returns why an address that is `stored` like this, or not at all, is not for this command.
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
