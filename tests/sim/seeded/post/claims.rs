//! Claims of mail hosts that may be wrong or concern one owner: a host lies about partners, hosts limit their senders, and a
//! host refuses the passwords of one owner. The checker receives the cause of each refusal, so it knows which mailboxes the
//! refusal may concern.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use chrono::{DateTime, TimeDelta, Utc};
use warmup::{
    domain::{
        id::{MailboxId, UserId},
        outcome::{Reply, Stage},
    },
    ports::Submission,
};

use crate::seeded::kinds::Fault;

/// A refusal in a host's own words, at the step at which it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    stage: Stage,
    code: u16,
    enhanced: Option<[u16; 3]>,
    text: &'static str,
}

impl Words {
    const fn new(stage: Stage, code: u16, enhanced: Option<[u16; 3]>, text: &'static str) -> Words {
        Words { stage, code, enhanced, text }
    }

    fn reply(&self) -> Reply {
        Reply { code: self.code, enhanced: self.enhanced, text: self.text.to_owned() }
    }
}

/// A host accepts so many mails of one sender within a period, and refuses the next ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderLimit {
    pub mails: usize,
    pub period: TimeDelta,
    pub words: Words,
}

/// How hosts state a limit by the hour. The sender rests for 15 minutes or longer.
pub const HOURLY: [Words; 3] = [
    Words::new(Stage::Rcpt, 451, Some([4, 7, 1]), "Rate limit exceeded"),
    Words::new(
        Stage::Rcpt,
        550,
        None,
        "Domain sender.test has exceeded the max emails per hour (150/150 (100%)) allowed. Message discarded.",
    ),
    Words::new(Stage::Dot, 450, Some([4, 7, 1]), "Too many messages, try again in 15 minutes"),
];

/// How hosts state a limit by the day. The sender rests for hours.
pub const DAILY: [Words; 3] = [
    Words::new(Stage::Rcpt, 550, None, "User x has exceeded its 24-hour sending limit"),
    Words::new(Stage::Dot, 454, None, "Throttling failure: Daily message quota exceeded."),
    Words::new(Stage::Dot, 552, None, "Message would take you over your relay quota of 500"),
];

/// What a lying host says about a partner at RCPT, and about the sender's domain.
pub const LIES: [(Fault, Words); 5] = [
    (Fault::LiedUnknown, Words::new(Stage::Rcpt, 550, Some([5, 1, 1]), "no such user")),
    (Fault::LiedUnknown, Words::new(Stage::Rcpt, 550, None, "user unknown")),
    (Fault::LiedFull, Words::new(Stage::Rcpt, 452, Some([4, 2, 2]), "mailbox full")),
    (Fault::LiedDisabled, Words::new(Stage::Rcpt, 550, Some([5, 2, 1]), "mailbox disabled")),
    (Fault::LiedDomain, Words::new(Stage::Rcpt, 550, Some([5, 7, 26]), "unauthenticated mail is not accepted")),
];

/// The cause of a refusal, as only the host knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The host lies about a partner or a domain.
    Lie,
    /// The sender has reached the host's limit.
    Limit,
    /// The owner's passwords are wrong.
    Password,
}

/// The claims that hosts make now.
#[derive(Debug, Default)]
pub struct Claims {
    /// Lying hosts, with the share of partners in percent.
    lies: Mutex<Vec<(String, u64)>>,
    limits: Mutex<BTreeMap<String, SenderLimit>>,
    /// Hosts that refuse the passwords of an owner.
    passwords: Mutex<BTreeSet<(String, UserId)>>,
    /// When each sender's mails were accepted by a host with a limit.
    accepted: Mutex<BTreeMap<MailboxId, Vec<DateTime<Utc>>>>,
    /// Senders that reached a limit and have had no mail accepted since.
    limited: Mutex<BTreeSet<MailboxId>>,
}

impl Claims {
    /// Lets `host` lie about so many of a hundred partners, or none.
    pub fn lie(&self, host: &str, percent: u64) {
        let mut lies = self.lies.lock().unwrap();
        lies.retain(|(of, _)| of != host);
        lies.extend((percent > 0).then(|| (host.to_owned(), percent)));
    }

    /// Lets `host` limit its senders, or no longer.
    pub fn limit(&self, host: &str, limit: Option<SenderLimit>) {
        let mut limits = self.limits.lock().unwrap();
        match limit {
            Some(limit) => limits.insert(host.to_owned(), limit),
            None => limits.remove(host),
        };
    }

    /// Lets `host` refuse the passwords of `user`, or no longer.
    pub fn refuse_passwords(&self, host: &str, user: UserId, are_wrong: bool) {
        let (mut passwords, key) = (self.passwords.lock().unwrap(), (host.to_owned(), user));
        if are_wrong {
            passwords.insert(key)
        } else {
            passwords.remove(&key)
        };
    }

    /// Says whether the host of `mail` refuses the password of its sender.
    pub fn refuse_password_of(&self, mail: &Submission) -> bool {
        self.passwords.lock().unwrap().contains(&(mail.flight.endpoint.host.clone(), mail.flight.user))
    }

    /// Says whether a claim of `host` may stop a mail of `user`.
    pub fn concern(&self, host: &str, user: UserId) -> bool {
        self.lies.lock().unwrap().iter().any(|(of, _)| of == host)
            || self.limits.lock().unwrap().contains_key(host)
            || self.passwords.lock().unwrap().contains(&(host.to_owned(), user))
    }

    /// Returns the host's reply if it lies about the partner of `mail`. A partner is lied about each time or never; `dice`
    /// chooses the words.
    pub fn lie_about(&self, mail: &Submission, dice: impl FnOnce(u64) -> u64) -> Option<(Fault, Reply)> {
        let number = mail.flight.recipient.mailbox.0.unsigned_abs() * 37 % 100;
        let lies = self.lies.lock().unwrap();
        let is_lie = lies.iter().any(|(host, percent)| *host == mail.flight.endpoint.host && number < *percent);
        is_lie.then(|| {
            let (fault, words) = LIES[dice(LIES.len() as u64 - 1) as usize];
            (fault, words.reply())
        })
    }

    /// Returns the host's reply if the sender of `mail` has reached its limit and the host says so at `stage`.
    pub fn limited_at(&self, mail: &Submission, stage: Stage, now: DateTime<Utc>) -> Option<(Fault, Reply)> {
        let limit = *self.limits.lock().unwrap().get(&mail.flight.endpoint.host)?;
        let sender = mail.flight.sender.mailbox;
        let accepted = self.accepted.lock().unwrap();
        let lately = accepted.get(&sender).into_iter().flatten().filter(|at| now - **at < limit.period).count();
        let is_refused = stage == limit.words.stage && lately >= limit.mails;
        is_refused.then(|| {
            self.limited.lock().unwrap().insert(sender);
            let is_daily = DAILY.contains(&limit.words);
            (if is_daily { Fault::SenderLimitedDaily } else { Fault::SenderLimitedHourly }, limit.words.reply())
        })
    }

    /// Counts an accepted mail. Returns whether its host had limited the sender before.
    pub fn accept(&self, mail: &Submission, now: DateTime<Utc>) -> bool {
        let sender = mail.flight.sender.mailbox;
        if self.limits.lock().unwrap().contains_key(&mail.flight.endpoint.host) {
            self.accepted.lock().unwrap().entry(sender).or_default().push(now);
        }
        self.limited.lock().unwrap().remove(&sender)
    }
}
