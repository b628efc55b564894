//! `MailboxState` decides whether a mailbox may send; `facts` collects the input for the time of its next mail.

use chrono::{DateTime, Days, Utc};

use super::mailbox::ALONE;
use crate::{
    domain::{
        next_send::{NextSendInput, Pause, end_of_day},
        outcome::advice,
        time::instant,
    },
    reporting::sql::{MailboxView, Partners},
};

/// A `MailboxState` is one word for the permission to send, with its reason and its end.
pub(super) struct MailboxState {
    pub(super) state: &'static str,
    pub(super) reason: Option<String>,
    pub(super) until: Option<DateTime<Utc>>,
    whose: Whose,
}

/// `Whose` names the paused entity.
enum Whose {
    Mailbox,
    Host,
    Domain,
}

impl MailboxState {
    pub(super) fn of(mailbox: &MailboxView, now: DateTime<Utc>) -> MailboxState {
        let standing = |state, reason, until| MailboxState { state, reason, until, whose: Whose::Mailbox };
        let over = mailbox.paused_until.is_some_and(|until| until <= now);
        match mailbox.state.as_str() {
            "removed" => return standing("removed", mailbox.reason.clone(), None),
            "disabled" => return standing("disabled", mailbox.reason.clone(), None),
            _ if !mailbox.enabled => return standing("off", Some("enabled is false".to_owned()), None),
            "paused" if !over => return standing("paused", mailbox.reason.clone(), mailbox.paused_until),
            _ => {}
        }
        if let Some((reason, until)) = &mailbox.host_pause {
            let is_over = *until <= now;
            let tries = if is_over { ", one mailbox at a time tries" } else { "" };
            let reason = Some(format!("host: {reason}{tries}"));
            return MailboxState { whose: Whose::Host, ..standing("paused", reason, (!is_over).then_some(*until)) };
        }
        if let Some((reason, until)) = &mailbox.domain_pause {
            let reason = Some(format!("domain: {reason}"));
            return MailboxState { whose: Whose::Domain, ..standing("paused", reason, Some(*until)) };
        }
        standing("active", None, None)
    }

    /// Returns the action that makes the mailbox send again; `None` if it returns by itself.
    pub(super) fn advice(&self, mailbox: &MailboxView) -> Option<String> {
        let (scope, key) = match self.whose {
            Whose::Mailbox if mailbox.returns_with_host => {
                return Some(format!(
                    "nothing: its mail host refuses many, and it returns by itself when {host} lets a mailbox in; at once with \
                     `warmup mailbox resume --host {host}`",
                    host = mailbox.smtp.host
                ));
            }
            Whose::Mailbox => return advice::to_come_back(self.state, mailbox.reason.as_deref(), &mailbox.email),
            Whose::Host => ("host", &mailbox.smtp.host),
            Whose::Domain => ("domain", &mailbox.domain),
        };
        Some(format!("it ends by itself; at once with `warmup mailbox resume --{scope} {key}`"))
    }

    fn words(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.state),
            None => self.state.to_owned(),
        }
    }
}

/// Returns the input for the time of a mailbox's next mail.
///
/// A user's own daily limit may be exceeded by the factor `daily_cap` (`WARMUP_USER_DAILY_CAP`).
pub(super) fn facts(
    mailbox: &MailboxView,
    stopped: Option<&str>,
    partners: Partners,
    daily_cap: f64,
    now: DateTime<Utc>,
) -> NextSendInput {
    let standing = MailboxState::of(mailbox, now);
    let ends = standing.state == "active" || standing.until.is_some();
    let block = match () {
        () if !ends => Some(standing.words()),
        () if stopped.is_some() => stopped.map(str::to_owned),
        () if partners.enrolled == 0 && mailbox.verified_by.is_none() => Some(format!(
            "it is not verified, and its owner has no other mailbox to exchange mails with: `warmup mailbox verify {}`",
            mailbox.email
        )),
        () if partners.enrolled == 0 => {
            Some("no other mailbox may exchange mails with it: too few partners".to_owned())
        }
        () if partners.receiving == 0 => {
            Some(format!("{ALONE}: of {} others all are paused, disabled or excluded", partners.enrolled))
        }
        () if partners.open == 0 => {
            Some(format!("{ALONE}: all have received as many mails as they may today; it goes on with their next day"))
        }
        () => None,
    };
    let mut pauses: Vec<Pause> =
        standing.until.map(|until| Pause { until, why: standing.words() }).into_iter().collect();
    let further = [("host", &mailbox.host_pause), ("domain", &mailbox.domain_pause)];
    for (whose, pause) in further {
        pauses
            .extend(pause.as_ref().map(|(why, until)| Pause { until: *until, why: format!("paused: {whose}: {why}") }));
    }
    pauses.extend(closed_until_tomorrow(mailbox));
    pauses.extend(owner_at_limit(mailbox, daily_cap));
    let cooling = mailbox.today.next_at;
    pauses.extend(cooling.map(|until| Pause { until, why: "it cools down after its last mail".to_owned() }));
    NextSendInput {
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
        enrolled_at: mailbox.enrolled_at,
        host_slow_since: mailbox.host_slow_since,
    }
}

/// Returns the pause of a mailbox whose today is closed: it ends with the day, or at a tick that opens the day again.
fn closed_until_tomorrow(mailbox: &MailboxView) -> Option<Pause> {
    let (schedule, today) = (mailbox.schedule, &mailbox.today);
    today.closed.then(|| Pause {
        until: instant(schedule.zone, today.day + Days::new(1), 0),
        why: match today.reason.as_deref() {
            Some("fenced") => "its day was closed by `warmup fleet fence`".to_owned(),
            _ => "its day was closed too early, by a clock that ran ahead; the next tick opens it again".to_owned(),
        },
    })
}

/// Returns the pause until the end of the day, if the owner's daily limit is reached.
fn owner_at_limit(mailbox: &MailboxView, daily_cap: f64) -> Option<Pause> {
    let (limit, reserved) = mailbox.owner_limit?;
    let most = (f64::from(limit) * daily_cap).floor();
    let until = end_of_day(&mailbox.schedule, mailbox.today.day);
    (f64::from(reserved) >= most).then(|| Pause {
        until,
        why: format!("the daily limit of its owner is reached: {reserved} of {most} mails and replies are used today"),
    })
}
