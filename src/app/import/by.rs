//! Which command enrols. They differ only in whether an address must be known already.

use crate::adapters::postgres::enrol::Stored;

/// The command that enrols or changes mailboxes; the reason of the events that it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `mailbox import`: known or not.
    Import,
    /// `mailbox add`: not known, or removed.
    Add,
    /// `mailbox set`: known.
    Set,
}

impl By {
    /// The word for it in `events.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            By::Import => "import",
            By::Add => "add",
            By::Set => "set",
        }
    }

    /// Returns why an address that is `stored` like this, or not at all, is not for this command.
    pub(super) fn objection(self, stored: Option<&Stored>) -> Option<&'static str> {
        match (self, stored.map(Stored::is_removed)) {
            (By::Add, Some(false)) => Some("is enrolled already: `warmup mailbox set` changes it"),
            (By::Set, None) => Some("is not enrolled: `warmup mailbox add` enrols it"),
            (By::Set, Some(true)) => Some("was removed: `warmup mailbox add` enrols it anew"),
            (By::Import, _) | (By::Add, None | Some(true)) | (By::Set, Some(false)) => None,
        }
    }
}
