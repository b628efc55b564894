//! One mailbox: its standing in words, its today, when it sends next.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgPool;

use crate::{
    adapters::{
        postgres::view::{self, Day, MailboxView, Selection},
        seal::KeyId,
    },
    domain::{
        outlook::{Facts, Outlook, Pause, outlook},
        time::Window,
    },
};

/// How many days `mailbox show` looks back.
const DAYS_SHOWN: i64 = 7;

/// A mailbox in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MailboxStatus {
    pub id: i64,
    pub email: String,
    pub user: String,
    pub smtp_host: String,
    /// `active`, `off`, `paused`, `disabled` or `removed`.
    pub state: String,
    pub reason: Option<String>,
    pub until: Option<DateTime<Utc>>,
    pub day: NaiveDate,
    pub quota: i16,
    pub sent: i16,
    /// Of the quota, neither sent nor uncertain nor in flight.
    pub left: i16,
}

/// A mailbox's counters of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DayStatus {
    pub day: NaiveDate,
    pub quota: i16,
    pub reserved: i16,
    pub sent: i16,
    pub failed: i16,
    pub uncertain: i16,
    pub replied: i16,
    pub reason: Option<String>,
}

/// Everything about a mailbox but its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MailboxDetail {
    #[serde(flatten)]
    pub status: MailboxStatus,
    pub display_name: String,
    pub username: String,
    /// The id of the master key under which the password is sealed.
    pub sealed_under: Option<String>,
    pub smtp: String,
    pub imap: Option<String>,
    pub timezone: String,
    pub window: String,
    pub days: String,
    pub ramp_start: u16,
    pub ramp_step: u16,
    pub daily_max: u16,
    pub days_grown: u16,
    pub reply_rate: u8,
    pub shard: i32,
    pub enabled: bool,
    pub receives: bool,
    pub receive_reason: Option<String>,
    pub enrolled_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub last_sent_at: Option<DateTime<Utc>>,
    pub in_flight: bool,
    pub sends_next_at: Option<DateTime<Utc>>,
    /// Why then, or why not.
    pub because: String,
    pub last_days: Vec<DayStatus>,
}

/// Returns all mailboxes but the removed ones, ordered by id.
pub async fn mailbox_statuses(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<MailboxStatus>, sqlx::Error> {
    let mailboxes = view::mailboxes(pool, Selection::All, now).await?;
    Ok(mailboxes.iter().map(|mailbox| MailboxStatus::of(mailbox, now)).collect())
}

/// Returns everything about one mailbox; none where there is no such one.
pub async fn mailbox_detail(
    pool: &PgPool,
    selection: Selection<'_>,
    active: Window,
    now: DateTime<Utc>,
) -> Result<Option<MailboxDetail>, sqlx::Error> {
    let Some(mailbox) = view::mailboxes(pool, selection, now).await?.pop() else { return Ok(None) };
    let days = view::last_days(pool, mailbox.id, DAYS_SHOWN).await?;
    let fleet = view::fleet(pool, 0).await?;
    let members = view::members(&mut *pool.acquire().await?).await?;
    let partners = members.iter().filter(|member| member.email != mailbox.email).count();
    let facts = facts(&mailbox, fleet.running, partners, now);
    Ok(Some(MailboxDetail::of(&mailbox, &days, outlook(&facts, now, active), now)))
}

impl MailboxStatus {
    pub(super) fn of(mailbox: &MailboxView, now: DateTime<Utc>) -> MailboxStatus {
        let Standing { state, reason, until } = Standing::of(mailbox, now);
        let today = &mailbox.today;
        MailboxStatus {
            id: mailbox.id.0,
            email: mailbox.email.clone(),
            user: mailbox.user.clone(),
            smtp_host: mailbox.smtp.host.clone(),
            state: state.to_owned(),
            reason,
            until,
            day: today.day,
            quota: today.quota,
            sent: today.sent,
            left: (today.quota - today.reserved).max(0),
        }
    }
}

/// Whether a mailbox may send, as one word with its reason and its end.
pub(super) struct Standing {
    pub(super) state: &'static str,
    reason: Option<String>,
    until: Option<DateTime<Utc>>,
}

impl Standing {
    pub(super) fn of(mailbox: &MailboxView, now: DateTime<Utc>) -> Standing {
        let standing = |state, reason: Option<String>, until| Standing { state, reason, until };
        let over = mailbox.paused_until.is_some_and(|until| until <= now);
        match mailbox.state.as_str() {
            "removed" => return standing("removed", mailbox.reason.clone(), None),
            "disabled" => return standing("disabled", mailbox.reason.clone(), None),
            _ if !mailbox.enabled => return standing("off", Some("enabled is false".to_owned()), None),
            "paused" if !over => return standing("paused", mailbox.reason.clone(), mailbox.paused_until),
            _ => {}
        }
        if let Some((reason, until)) = &mailbox.host_pause {
            return standing("paused", Some(format!("host: {reason}")), Some(*until));
        }
        if let Some((reason, until)) = &mailbox.domain_pause {
            return standing("paused", Some(format!("domain: {reason}")), Some(*until));
        }
        standing("active", None, None)
    }

    fn words(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.state),
            None => self.state.to_owned(),
        }
    }
}

pub(super) fn facts(mailbox: &MailboxView, running: bool, partners: usize, now: DateTime<Utc>) -> Facts {
    let standing = Standing::of(mailbox, now);
    let ends = standing.state == "active" || standing.until.is_some();
    let block = match () {
        () if !ends => Some(standing.words()),
        () if !running => Some("the fleet is stopped".to_owned()),
        () if partners == 0 => Some("it is the only mailbox: too few partners".to_owned()),
        () => None,
    };
    let mut pauses: Vec<Pause> =
        standing.until.map(|until| Pause { until, why: standing.words() }).into_iter().collect();
    let further = [("host", &mailbox.host_pause), ("domain", &mailbox.domain_pause)];
    for (whose, pause) in further {
        pauses
            .extend(pause.as_ref().map(|(why, until)| Pause { until: *until, why: format!("paused: {whose}: {why}") }));
    }
    let cooling = mailbox.today.next_at;
    pauses.extend(cooling.map(|until| Pause { until, why: "it cools down after its last mail".to_owned() }));
    Facts {
        schedule: mailbox.schedule,
        ramp: mailbox.ramp,
        grown: mailbox.grown,
        block,
        pauses,
        day: mailbox.today.day,
        quota: mailbox.today.quota as u16,
        reserved: mailbox.today.reserved as u16,
        attempts: mailbox.today.attempts as u16,
        in_flight: mailbox.in_flight,
    }
}

impl MailboxDetail {
    fn of(mailbox: &MailboxView, days: &[Day], outlook: Outlook, now: DateTime<Utc>) -> MailboxDetail {
        let (sends_next_at, because) = match outlook {
            Outlook::Sends { at, because } => (Some(at), because),
            Outlook::Blocked { because } => (None, because),
        };
        let sealed_under = mailbox.key_id.as_deref().and_then(KeyId::from_bytes);
        MailboxDetail {
            status: MailboxStatus::of(mailbox, now),
            display_name: mailbox.display_name.clone(),
            username: mailbox.username.clone(),
            sealed_under: sealed_under.map(|key_id| key_id.to_string()),
            smtp: mailbox.smtp.to_string(),
            imap: mailbox.imap.as_ref().map(ToString::to_string),
            timezone: mailbox.schedule.zone.name().to_owned(),
            window: mailbox.schedule.window.to_string(),
            days: mailbox.schedule.days.to_string(),
            ramp_start: mailbox.ramp.start,
            ramp_step: mailbox.ramp.step,
            daily_max: mailbox.ramp.daily_max,
            days_grown: mailbox.grown,
            reply_rate: mailbox.reply_rate,
            shard: mailbox.shard.0,
            enabled: mailbox.enabled,
            receives: mailbox.receives || mailbox.receive_until.is_some_and(|until| until <= now),
            receive_reason: mailbox.receive_reason.clone(),
            enrolled_at: mailbox.enrolled_at,
            changed_at: mailbox.changed_at,
            last_sent_at: mailbox.today.last_sent_at.or_else(|| days.iter().find_map(|day| day.last_sent_at)),
            in_flight: mailbox.in_flight,
            sends_next_at,
            because,
            last_days: days.iter().map(DayStatus::of).collect(),
        }
    }
}

impl DayStatus {
    fn of(day: &Day) -> DayStatus {
        DayStatus {
            day: day.day,
            quota: day.quota,
            reserved: day.reserved,
            sent: day.sent,
            failed: day.failed,
            uncertain: day.uncertain,
            replied: day.replied,
            reason: day.reason.clone(),
        }
    }
}
