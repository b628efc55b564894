//! The whole fleet today: the sum of each mailbox's own today.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;

use super::standing::Standing;
use crate::{
    adapters::postgres::view::{self, Batch, MailboxView, Selection, Totals},
    domain::partners::{Member, shortages},
};

/// How many batches are shown.
const BATCHES_SHOWN: i64 = 5;

/// How the fleet stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetStatus {
    /// The standing order: whether the fleet may send.
    pub running: bool,
    pub ordered_by: Option<String>,
    /// All that are enrolled and not removed.
    pub mailboxes: usize,
    /// Those that may send: neither switched off nor paused nor disabled.
    pub enabled: usize,
    pub off: usize,
    pub paused: usize,
    pub disabled: usize,
    pub today: TodayStatus,
    pub in_flight: i64,
    pub shards: Vec<ShardOwner>,
    pub last_batches: Vec<Batch>,
    /// Mailboxes with too few partners, by name.
    pub warnings: Vec<String>,
}

/// Each mailbox's own today, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TodayStatus {
    /// Of the mailboxes that may send.
    pub quota: i64,
    pub sent: i64,
    pub failed: i64,
    pub uncertain: i64,
    pub replied: i64,
    /// Mailboxes that sent their whole quota.
    pub complete: i64,
    /// Mailboxes that sent less than their plan asks for by now.
    pub behind: i64,
    /// Mailboxes that are disabled, or whose last three attempts failed.
    pub failing: i64,
}

/// How many shards a worker owned last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardOwner {
    /// None for shards that nobody owned yet.
    pub worker_id: Option<String>,
    pub shards: i64,
}

/// Reads how the fleet stands at `now`.
pub async fn fleet_status(pool: &PgPool, now: DateTime<Utc>) -> Result<FleetStatus, sqlx::Error> {
    let mailboxes = view::mailboxes(pool, Selection::All, now).await?;
    let fleet = view::fleet(pool, BATCHES_SHOWN).await?;
    let totals = view::totals(pool, None, now).await?;
    let mut status = FleetStatus {
        today: TodayStatus::of(&totals),
        running: fleet.running,
        ordered_by: fleet.ordered_by,
        mailboxes: mailboxes.len(),
        in_flight: fleet.in_flight,
        shards: fleet.shards.into_iter().map(|(worker_id, shards)| ShardOwner { worker_id, shards }).collect(),
        last_batches: fleet.batches,
        ..FleetStatus::default()
    };
    mailboxes.iter().for_each(|mailbox| status.count(mailbox, now));
    let members: Vec<Member> = mailboxes.iter().filter(|mailbox| takes_part(mailbox)).map(member).collect();
    status.warnings = shortages(&members).iter().map(ToString::to_string).collect();
    Ok(status)
}

impl TodayStatus {
    /// The same sums as the API tells. What is owed is added mailbox by mailbox: pauses of hosts count in it.
    fn of(totals: &Totals) -> TodayStatus {
        let Totals { sent, failed, uncertain, replied, filled, behind, failing, .. } = *totals;
        TodayStatus { quota: 0, sent, failed, uncertain, replied, complete: filled, behind, failing }
    }
}

impl FleetStatus {
    fn count(&mut self, mailbox: &MailboxView, now: DateTime<Utc>) {
        match Standing::of(mailbox, now).state {
            "off" => self.off += 1,
            "paused" => self.paused += 1,
            "disabled" => self.disabled += 1,
            _ => {
                self.enabled += 1;
                self.today.quota += i64::from(mailbox.today.quota);
            }
        }
    }
}

fn takes_part(mailbox: &MailboxView) -> bool {
    mailbox.enabled && matches!(mailbox.state.as_str(), "active" | "paused")
}

fn member(mailbox: &MailboxView) -> Member {
    Member {
        email: mailbox.email.clone(),
        owner: mailbox.user.clone(),
        domain: mailbox.domain.clone(),
        quota: mailbox.today.quota as u16,
    }
}
