//! This module decides for which mailboxes a host's refusal of a partner counts.
//!
//! The user who enrols a mailbox chooses its mail host, so the host's replies may be wrong or false. They
//! count for the mailboxes of that user. They count for another owner only if other hosts confirm them:
//!
//! ```text
//! a host refuses a partner ──▶ the pair is avoided: that host gets no mail for that partner, for the time that it
//!     names, at most 72 h
//!     its own host, a mailbox of its owner, our own check, or the hosts of two owners say so ──▶ the partner is paused
//!     it passes within the hour (greylisting) ──▶ it concerns the pair only, whichever host says so
//! a host refuses 5 partners within 24 h, and more than it accepted mails ──▶ the host is the suspect: its mailboxes
//!     are paused, 1 h at first, then 4 h, then 24 h; those of one owner, by the results of that owner's mails
//! a host refuses a domain ──▶ the domain is paused for that owner; a free-mail domain never is, only the mailbox
//!     (`free_mail.rs`)
//! ```
//!
//! `blame.sql` implements these rules on rows, and the conformance suite checks both.

use chrono::{DateTime, TimeDelta, Utc};

/// The longest time for which a host gets no mail for a partner that it refused. It bounds the effect of a
/// host's reply and the number of stored pairs.
const AVOIDED_AT_MOST: TimeDelta = TimeDelta::hours(72);

/// The shortest refusal that concerns the partner. A shorter one, such as greylisting, concerns the pair
/// only.
const CONCERNS_THE_PARTNER_FROM: TimeDelta = TimeDelta::hours(1);

/// The shortest refusal that means that the partner accepts no mail. A busy partner refuses for less.
const REFUSES_FROM: TimeDelta = TimeDelta::hours(24);

/// The age after which a refusal no longer counts against a host.
const SUSPECTED_WITHIN: TimeDelta = TimeDelta::hours(24);

/// The refused partners from which a host is suspected; fewer may be chance, because addresses die.
const SUSPECT_FROM: usize = 5;

/// The pauses of a suspect's mailboxes: the first one, the next one, and all later ones.
const SUSPECT_PAUSES: [TimeDelta; 3] = [TimeDelta::hours(1), TimeDelta::hours(4), TimeDelta::hours(24)];

/// The reason of a suspect's pause.
pub const REFUSES_PARTNERS: &str = "refuses-partners";

/// A host's refusal of a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerRefusal {
    pub at: DateTime<Utc>,
    /// The end of the time in which the host gets no mail for the partner.
    pub until: DateTime<Utc>,
    /// The end of the time in which the partner accepts no mail, according to the host.
    pub said_until: DateTime<Utc>,
}

impl PartnerRefusal {
    /// Creates a refusal at `at` that is valid until `said_until`, according to the host.
    pub fn new(at: DateTime<Utc>, said_until: DateTime<Utc>) -> PartnerRefusal {
        PartnerRefusal { at, until: said_until.min(at + AVOIDED_AT_MOST), said_until }
    }

    /// Returns true if the refusal may count for other hosts too.
    pub fn concerns_the_partner(&self) -> bool {
        self.lasts_for(CONCERNS_THE_PARTNER_FROM, self.at)
    }

    /// Returns true if the refusal still lasts an hour at `at`, so that it confirms another owner's host.
    pub fn confirms(&self, at: DateTime<Utc>) -> bool {
        self.lasts_for(CONCERNS_THE_PARTNER_FROM, at)
    }

    /// Returns true if the refusal counts against the host at `now`, in case the host refuses most of its
    /// partners.
    pub fn is_against_the_host(&self, now: DateTime<Utc>) -> bool {
        self.lasts_for(REFUSES_FROM, self.at) && self.at > now - SUSPECTED_WITHIN
    }

    fn lasts_for(&self, time: TimeDelta, from: DateTime<Utc>) -> bool {
        from.checked_add_signed(time).is_some_and(|end| self.said_until >= end)
    }
}

/// Returns true if a host with these numbers of refused partners and accepted mails is the suspect.
pub fn is_suspect(refused: usize, taken: u64) -> bool {
    refused >= SUSPECT_FROM && refused as u64 > taken
}

/// A pause of a host or a domain for one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerPause {
    pub until: DateTime<Utc>,
    /// The number of repeated pauses as a suspect, each within a day of the previous one.
    times: u8,
}

impl OwnerPause {
    /// Creates a pause until `until`.
    pub fn new(until: DateTime<Utc>) -> OwnerPause {
        OwnerPause { until, times: 0 }
    }

    /// Pauses a suspect at `at`, after `earlier`. Returns `None` if it is already paused: mails in flight do
    /// not lengthen a pause.
    pub fn of_suspect(earlier: Option<OwnerPause>, at: DateTime<Utc>) -> Option<OwnerPause> {
        let recent = earlier.filter(|earlier| earlier.until >= at - SUSPECTED_WITHIN);
        if recent.is_some_and(|recent| recent.until > at) {
            return None;
        }
        let times = recent.map_or(0, |recent| (recent.times + 1).min(2));
        Some(OwnerPause { until: at + SUSPECT_PAUSES[usize::from(times)], times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(1_000 + hours)
    }

    #[test]
    fn a_pair_is_avoided_for_as_long_as_the_host_says_and_at_most_three_days() {
        assert_eq!(PartnerRefusal::new(at(0), at(24)).until, at(24));
        assert_eq!(PartnerRefusal::new(at(0), DateTime::<Utc>::MAX_UTC).until, at(72));
    }

    #[test]
    fn what_passes_within_the_hour_concerns_the_pair_only() {
        let greylisted = PartnerRefusal::new(at(0), at(0) + TimeDelta::minutes(59));
        assert!(!greylisted.concerns_the_partner() && !greylisted.is_against_the_host(at(0)));
        let busy = PartnerRefusal::new(at(0), at(1));
        assert!(busy.concerns_the_partner() && !busy.is_against_the_host(at(0)));
        let unknown = PartnerRefusal::new(at(0), DateTime::<Utc>::MAX_UTC);
        assert!(unknown.concerns_the_partner() && unknown.is_against_the_host(at(23)));
        assert!(!unknown.is_against_the_host(at(24)), "that was yesterday");
        assert!(busy.confirms(at(0)) && !busy.confirms(at(0) + TimeDelta::seconds(1)));
    }

    #[test]
    fn a_host_that_refuses_more_partners_than_it_takes_mails_is_the_suspect() {
        for (refused, taken, expected) in [(4, 0, false), (5, 0, true), (5, 4, true), (5, 5, false), (6, 5, true)] {
            assert_eq!(is_suspect(refused, taken), expected, "{refused} refused, {taken} taken");
        }
    }

    #[test]
    fn a_suspects_pauses_grow_and_begin_anew_after_a_day() {
        let first = OwnerPause::of_suspect(None, at(0)).unwrap();
        assert_eq!((first.until, OwnerPause::of_suspect(Some(first), at(0))), (at(1), None));
        let second = OwnerPause::of_suspect(Some(first), at(1)).unwrap();
        let third = OwnerPause::of_suspect(Some(second), at(5)).unwrap();
        assert_eq!((second.until, third.until), (at(5), at(29)));
        assert_eq!(OwnerPause::of_suspect(Some(third), at(29)).unwrap().until, at(53), "the longest one");
        assert_eq!(OwnerPause::of_suspect(Some(third), at(54)).unwrap().until, at(55), "a day of peace");
    }
}
