//! `KnownRefusals` remembers which refusals of the ledger hold for more than one mail. Until the next plan no mail or reply
//! that they cover is asked for: each would take a token from the caps and be refused as well.

use std::collections::HashSet;

use chrono::NaiveDate;

use crate::{
    domain::id::{ShardId, UserId},
    ports::Refusal,
};

/// What a refusal can be about, of one mail or reply.
#[derive(Clone, Copy, Debug)]
pub(in crate::worker) struct RefusalScope<'a> {
    pub(in crate::worker) user: UserId,
    pub(in crate::worker) day: NaiveDate,
    pub(in crate::worker) shard: ShardId,
    pub(in crate::worker) host: &'a str,
    pub(in crate::worker) domain: &'a str,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct KnownRefusals {
    /// The daily limit of the user is reached.
    full_days: HashSet<(UserId, NaiveDate)>,
    lost_shards: HashSet<ShardId>,
    paused_hosts: HashSet<String>,
    /// For their owner alone.
    paused_domains: HashSet<(UserId, String)>,
}

impl KnownRefusals {
    /// Remembers a refusal, if it holds for more than the one mail.
    pub(super) fn learn(&mut self, refusal: Refusal, about: RefusalScope<'_>) {
        match refusal {
            Refusal::UserDailyLimit => drop(self.full_days.insert((about.user, about.day))),
            Refusal::ShardLost => drop(self.lost_shards.insert(about.shard)),
            Refusal::HostPaused => drop(self.paused_hosts.insert(about.host.to_owned())),
            Refusal::DomainPaused => drop(self.paused_domains.insert((about.user, about.domain.to_owned()))),
            // These are about one mailbox, or hold everything back elsewhere.
            Refusal::FleetStopped
            | Refusal::SenderPaused
            | Refusal::NotCool
            | Refusal::QuotaFull
            | Refusal::Stale
            | Refusal::NoPartner
            | Refusal::PartnersFull => {}
        }
    }

    /// Says whether a refusal is known that holds for this mail.
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
