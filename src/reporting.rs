//! The read side: shows the state of mailboxes and fleet to commands and API. It reads no secret.

mod address_cache;
pub mod capacity;
mod control;
mod day_curve;
pub mod event_text;
mod fleet;
mod gauges;
mod mailbox;
mod mailbox_state;
mod metrics;
mod next;
mod performance;
mod quota;
mod quota_search;
pub mod snapshot;
pub mod sql;
mod troubles;

pub use self::{
    control::{ControlStatus, LookError, Sources, control_status},
    day_curve::{CurvePoint, DayCurve, day_curve},
    fleet::{FleetStatus, READ_ONLY, SlowHost, fleet_status},
    gauges::fleet_gauges,
    mailbox::{
        DayStatus, MailboxDetail, MailboxStatus, mailbox_detail, mailbox_detail_of, mailbox_id, mailbox_page,
        mailbox_statuses, mailbox_statuses_of,
    },
    metrics::{Metrics, metrics},
    next::next_mail_at,
    performance::{Performance, performance_of, performances},
    quota::{QuotaList, QuotaStatus, quota_list},
    quota_search::{QuotaSearch, quotas_found},
};
pub use crate::reporting::sql::{LogEntry, LogPageFilter, MailboxFilter, Page, log_page};

/// Returns `part` of `whole` in percent, rounded to two decimals; 0 if `whole` is 0.
fn percent(part: i64, whole: i64) -> f64 {
    if whole <= 0 { 0.0 } else { (part as f64 * 10_000.0 / whole as f64).round() / 100.0 }
}
