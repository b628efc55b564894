//! How mailboxes and fleet stand, as commands and API show it. Holds no secret.

mod fleet;
mod mailbox;
mod next;
mod standing;

pub use self::{
    fleet::{FleetStatus, fleet_status},
    mailbox::{DayStatus, MailboxDetail, MailboxStatus, mailbox_detail, mailbox_statuses, mailbox_statuses_of},
    next::next_mail_at,
};
