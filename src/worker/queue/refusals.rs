//! `KnownRefusals` remembers the refusals of the ledger that cover more than one mail.
//!
//! Until the next plan the worker does not request a mail or reply that such a refusal covers. Each of them would take
//! a token from the caps and be refused as well.

use std::collections::HashSet;

use chrono::NaiveDate;

use crate::{
    domain::id::{ShardId, UserId},
    ports::Refusal,
};

/// The keys of a mail or reply that a refusal can be about.
#[derive(Clone, Copy, Debug)]
pub(in crate::worker) struct RefusalScope<'a> {
    pub(in crate::worker) user: UserId,
    pub(in crate::worker) day: NaiveDate,
    pub(in crate::worker) shard: ShardId,
    pub(in crate::worker) host: &'a str,
    pub(in crate::worker) domain: &'a str,
}

/// A `KnownRefusals` holds one set for each kind of refusal that covers several mails.
#[derive(Debug, Default)]
pub(super) struct KnownRefusals {
    /// Users with a reached daily limit, each with the day.
    full_days: HashSet<(UserId, NaiveDate)>,
    lost_shards: HashSet<ShardId>,
    paused_hosts: HashSet<String>,
    /// Each paused domain with its user: the pause applies to that user only.
    paused_domains: HashSet<(UserId, String)>,
}

impl KnownRefusals {
    /// Remembers a refusal if it covers more than one mail.
    pub(super) fn learn(&mut self, refusal: Refusal, about: RefusalScope<'_>) {
        match refusal {
            Refusal::UserDailyLimit => drop(self.full_days.insert((about.user, about.day))),
            Refusal::ShardLost => drop(self.lost_shards.insert(about.shard)),
            Refusal::HostPaused => drop(self.paused_hosts.insert(about.host.to_owned())),
            Refusal::DomainPaused => drop(self.paused_domains.insert((about.user, about.domain.to_owned()))),
            // The others concern one mailbox, or the worker handles them elsewhere.
            Refusal::FleetStopped
            | Refusal::SenderPaused
            | Refusal::NotCool
            | Refusal::QuotaFull
            | Refusal::Stale
            | Refusal::NoPartner
            | Refusal::PartnersFull => {}
        }
    }

    /// Returns whether a known refusal covers this mail.
    pub(super) fn cover(&self, mail: RefusalScope<'_>) -> bool {
        self.full_days.contains(&(mail.user, mail.day))
            || self.lost_shards.contains(&mail.shard)
            || self.paused_hosts.contains(mail.host)
            || self.paused_domains.iter().any(|(user, domain)| (*user, domain.as_str()) == (mail.user, mail.domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_covers_whom_it_is_about_and_nobody_else() {
        let day = NaiveDate::default();
        let mail = RefusalScope { user: UserId(1), day, shard: ShardId(1), host: "h.test", domain: "d.test" };
        let cases = [
            (Refusal::UserDailyLimit, RefusalScope { user: UserId(2), ..mail }),
            (Refusal::UserDailyLimit, RefusalScope { day: day.succ_opt().unwrap(), ..mail }),
            (Refusal::ShardLost, RefusalScope { shard: ShardId(2), ..mail }),
            (Refusal::HostPaused, RefusalScope { host: "other.test", ..mail }),
            (Refusal::DomainPaused, RefusalScope { domain: "other.test", ..mail }),
            (Refusal::DomainPaused, RefusalScope { user: UserId(2), ..mail }),
        ];
        for (refusal, other) in cases {
            let mut known = KnownRefusals::default();
            known.learn(refusal, mail);
            assert!(known.cover(mail) && !known.cover(other), "{refusal:?}");
        }
        let mut known = KnownRefusals::default();
        known.learn(Refusal::Stale, mail);
        assert!(!known.cover(mail));
    }
}
