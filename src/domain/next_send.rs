//! `NextSend` predicts when a mailbox sends next, or explains why it does not.
//!
//! The worker never uses it; the ledger decides for the worker. The prediction is for an operator and follows
//! the rules of the ledger: state, cooldown, window, plan and quota.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use super::{
    progress::planned_window,
    ramp::Ramp,
    time::{Schedule, Span, Window, today},
};

/// The number of days that are searched for a window: every weekday once, and the rest of today.
const DAYS_AHEAD: u64 = 8;

/// A pause or cooldown that ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub until: DateTime<Utc>,
    pub why: String,
}

/// The state of a mailbox.
#[derive(Clone, Debug)]
pub struct NextSendInput {
    pub schedule: Schedule,
    pub ramp: Ramp,
    pub grown: u16,
    /// The reason why it sends nothing until an operator changes something.
    pub block: Option<String>,
    /// The pauses that end by themselves: its own, its host's and its domain's pause, and its cooldown.
    pub pauses: Vec<Pause>,
    /// The mailbox's own date, and its progress on it.
    pub day: NaiveDate,
    pub quota: u16,
    pub reserved: u16,
    pub attempts: u16,
    pub in_flight: bool,
    pub enrolled_at: DateTime<Utc>,
    /// The time since which its mail host has not answered promptly.
    pub host_slow_since: Option<DateTime<Utc>>,
}

/// The predicted next send of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextSend {
    /// The mailbox may send from this moment on.
    Sends { at: DateTime<Utc>, because: String },
    /// The mailbox sends nothing until an operator changes something.
    Blocked { because: String },
}

/// Predicts the next send at or after `now`; the mails of a day may be sent until `active` ends.
pub fn outlook(facts: &NextSendInput, now: DateTime<Utc>, active: Window) -> NextSend {
    if let Some(because) = &facts.block {
        return NextSend::Blocked { because: because.clone() };
    }
    if facts.in_flight {
        return NextSend::Sends { at: now, because: "a mail is on its way".to_owned() };
    }
    let pause = facts.pauses.iter().filter(|pause| pause.until > now).max_by_key(|pause| pause.until);
    let unhindered = facts.soonest(now, active);
    let Some(pause) = pause else { return unhindered };
    match (facts.soonest(pause.until, active), unhindered) {
        // The pause is the reason only if it delays the send.
        (NextSend::Sends { at, .. }, NextSend::Sends { at: sooner, .. }) if at > sooner => {
            NextSend::Sends { at, because: pause.why.clone() }
        }
        (hindered, _) => hindered,
    }
}

impl NextSendInput {
    fn soonest(&self, ready: DateTime<Utc>, active: Window) -> NextSend {
        let first = today(self.schedule.zone, ready).max(self.day);
        let mut past = None;
        for day in (0..DAYS_AHEAD).map(|ahead| first + Days::new(ahead)) {
            match self.on(day, ready, active) {
                Ok((at, because)) => return NextSend::Sends { at, because: past.unwrap_or(because) },
                Err(because) => past = past.or(Some(because)),
            }
        }
        NextSend::Blocked { because: past.unwrap_or_else(|| "no day within a week has a window".to_owned()) }
    }

    fn due(&self) -> String {
        match self.host_slow_since {
            Some(since) => format!(
                "it is due; its mail host has not answered in time since {}, so few mails are sent to it at once",
                since.format("%Y-%m-%d %H:%M UTC")
            ),
            None => "it is due".to_owned(),
        }
    }

    /// Returns the first moment of `day`, from `ready` on, at which a mail is planned, or the reason why
    /// there is none.
    fn on(&self, day: NaiveDate, ready: DateTime<Utc>, active: Window) -> Result<(DateTime<Utc>, String), String> {
        let Some(span) = self.schedule.sending(day, active) else {
            return Err("the weekday has no window".to_owned());
        };
        let (quota, reserved, attempts) = match day == self.day {
            true => (self.quota, self.reserved, self.attempts),
            false => (self.ramp.quota(self.grown), 0, 0),
        };
        if quota == 0 {
            return Err("its quota is 0: raise daily_max or ramp_start".to_owned());
        }
        if reserved >= quota {
            return Err(format!("the day's quota of {quota} is full"));
        }
        if u32::from(attempts) >= 2 * u32::from(quota) {
            return Err(format!("the day's {attempts} attempts, twice its quota, are used"));
        }
        let window = self.schedule.window.on(self.schedule.zone, day);
        let planned = planned(planned_window(window, self.schedule.zone, day, self.enrolled_at), reserved, quota);
        let at = ready.max(planned).max(span.start);
        match () {
            () if !span.contains(at) => Err("the day's sending hours are over".to_owned()),
            () if at == ready => Ok((at, self.due())),
            () if at == span.start => Ok((at, "the window opens".to_owned())),
            () => Ok((at, format!("mail {} of {quota} is planned", reserved + 1))),
        }
    }
}

/// Returns the end of a mailbox's date `day`, in its own zone.
pub fn end_of_day(schedule: &Schedule, day: NaiveDate) -> DateTime<Utc> {
    Window::WHOLE_DAY.on(schedule.zone, day).end
}

/// Returns the moment at which the plan needs one more mail than `reserved`. The plan spreads the quota over
/// the first 7/8 of the window.
fn planned(window: Span, reserved: u16, quota: u16) -> DateTime<Utc> {
    let whole = (window.end - window.start).num_microseconds().unwrap_or_default() / 8 * 7;
    window.start + TimeDelta::microseconds(whole / i64::from(quota.max(1)) * i64::from(reserved))
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Berlin;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Returns a mailbox on a Tuesday in Berlin, an hour ahead of UTC: its window is 08:00-16:00 UTC.
    fn facts() -> NextSendInput {
        NextSendInput {
            schedule: Schedule {
                zone: Berlin,
                window: "09:00-17:00".parse().unwrap(),
                days: "mon-fri".parse().unwrap(),
            },
            ramp: Ramp { start: 30, step: 0, daily_max: 28 },
            grown: 0,
            block: None,
            pauses: Vec::new(),
            day: "2026-11-24".parse().unwrap(),
            quota: 28,
            reserved: 0,
            attempts: 0,
            in_flight: false,
            enrolled_at: DateTime::UNIX_EPOCH,
            host_slow_since: None,
        }
    }

    fn told(facts: &NextSendInput, now: &str) -> String {
        match outlook(facts, at(now), "07:00-22:00".parse().unwrap()) {
            NextSend::Sends { at, because } => format!("{} {because}", at.format("%d %H:%M")),
            NextSend::Blocked { because } => format!("never {because}"),
        }
    }

    #[test]
    fn the_next_mail_is_due_planned_or_waits_for_the_window() {
        assert_eq!(told(&facts(), "2026-11-24T05:00:00Z"), "24 08:00 the window opens");
        assert_eq!(told(&facts(), "2026-11-24T09:00:00Z"), "24 09:00 it is due");
        assert_eq!(
            told(&NextSendInput { reserved: 8, ..facts() }, "2026-11-24T09:00:00Z"),
            "24 10:00 mail 9 of 28 is planned"
        );
        let enrolled = NextSendInput { reserved: 1, enrolled_at: at("2026-11-24T09:00:00Z"), ..facts() };
        assert_eq!(told(&enrolled, "2026-11-24T09:00:00Z"), "24 09:13 mail 2 of 28 is planned");
        assert_eq!(
            told(&NextSendInput { in_flight: true, ..facts() }, "2026-11-24T09:00:00Z"),
            "24 09:00 a mail is on its way"
        );
    }

    #[test]
    fn what_is_short_is_made_up_until_the_active_hours_end() {
        assert_eq!(told(&NextSendInput { reserved: 20, ..facts() }, "2026-11-24T20:59:00Z"), "24 20:59 it is due");
        let late = told(&NextSendInput { reserved: 20, ..facts() }, "2026-11-24T21:00:00Z");
        assert_eq!(late, "25 08:00 the day's sending hours are over");
    }

    #[test]
    fn a_full_day_waits_for_the_next_one_with_a_window() {
        let full = NextSendInput { reserved: 28, ..facts() };
        assert_eq!(told(&full, "2026-11-24T12:00:00Z"), "25 08:00 the day's quota of 28 is full");
        let friday = NextSendInput { day: "2026-11-27".parse().unwrap(), ..full };
        assert_eq!(told(&friday, "2026-11-27T12:00:00Z"), "30 08:00 the day's quota of 28 is full");
        assert_eq!(
            told(&NextSendInput { attempts: 56, ..facts() }, "2026-11-24T12:00:00Z"),
            "25 08:00 the day's 56 attempts, twice its quota, are used"
        );
    }

    #[test]
    fn the_longest_pause_is_named() {
        let pause = |until: &str, why: &str| Pause { until: at(until), why: why.to_owned() };
        let pauses = vec![
            pause("2026-11-24T09:05:00Z", "cooling down"),
            pause("2026-11-24T10:00:00Z", "paused: sender-daily-limit"),
            pause("2026-11-24T08:00:00Z", "over"),
        ];
        assert_eq!(
            told(&NextSendInput { pauses, ..facts() }, "2026-11-24T09:00:00Z"),
            "24 10:00 paused: sender-daily-limit"
        );
    }

    #[test]
    fn a_mailbox_that_is_due_says_that_its_mail_host_is_slow() {
        let slow = NextSendInput { host_slow_since: Some(at("2026-11-24T08:55:00Z")), ..facts() };
        assert_eq!(
            told(&slow, "2026-11-24T09:00:00Z"),
            "24 09:00 it is due; its mail host has not answered in time since 2026-11-24 08:55 UTC, so few mails are sent \
             to it at once"
        );
        assert_eq!(told(&slow, "2026-11-24T05:00:00Z"), "24 08:00 the window opens");
    }

    #[test]
    fn a_block_and_a_quota_of_nothing_never_end_by_themselves() {
        let blocked = NextSendInput { block: Some("disabled: auth-refused".to_owned()), ..facts() };
        assert_eq!(told(&blocked, "2026-11-24T09:00:00Z"), "never disabled: auth-refused");
        let nothing = NextSendInput { quota: 0, ramp: Ramp { daily_max: 0, ..facts().ramp }, ..facts() };
        assert!(told(&nothing, "2026-11-24T09:00:00Z").starts_with("never its quota is 0"));
    }
}
