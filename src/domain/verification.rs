//! This module creates the code that verifies a mailbox: a user who reads it in the mailbox and enters it
//! owns the mailbox.
//!
//! The operator's mailbox sends the code. So the number of these mails is limited: they must not become a way
//! to molest a stranger whose address was enrolled.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::{id::MailboxId, token::TokenHash};

/// The time for which a code can be entered.
pub const CODE_LIFETIME: TimeDelta = TimeDelta::hours(24);

/// The wrong attempts after which a code is void. A code has 60 bits, so guessing is hopeless.
pub const CODE_ATTEMPTS: i16 = 5;

/// The time for which sent codes are remembered: the longest window of the limits below.
pub const CODES_REMEMBERED: TimeDelta = TimeDelta::days(30);

/// The characters of a code, without I, O, 0 and 1, which look alike. There are 32, so each carries five
/// bits.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const CODE_CHARACTERS: usize = 12;
const GROUP_CHARACTERS: usize = 4;

/// A limit of `most` codes within any `window`.
struct Bound {
    most: usize,
    window: TimeDelta,
}

/// A stranger whose address was enrolled gets at most three mails per day, and nine in a month.
const OF_MAILBOX: [Bound; 2] =
    [Bound { most: 3, window: TimeDelta::hours(24) }, Bound { most: 9, window: CODES_REMEMBERED }];
/// A user who enrols many strangers reaches only a few of them.
const OF_USER: [Bound; 2] =
    [Bound { most: 5, window: TimeDelta::hours(1) }, Bound { most: 20, window: TimeDelta::hours(24) }];

/// Returns the instant until which no further code may be sent, or `None` if one may be sent at `now`. Both
/// lists hold the instants of earlier codes, the latest first: those of the mailbox, and those of its owner.
pub fn codes_bounded_until(
    mailbox: &[DateTime<Utc>],
    user: &[DateTime<Utc>],
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let of_mailbox = OF_MAILBOX.iter().filter_map(|bound| bound.reached_until(mailbox));
    let of_user = OF_USER.iter().filter_map(|bound| bound.reached_until(user));
    of_mailbox.chain(of_user).max().filter(|until| *until > now)
}

impl Bound {
    /// Returns the instant from which the oldest of the last `most` codes is outside of the window.
    fn reached_until(&self, sent: &[DateTime<Utc>]) -> Option<DateTime<Utc>> {
        let oldest = self.most.checked_sub(1).and_then(|place| sent.get(place))?;
        oldest.checked_add_signed(self.window)
    }
}

/// Writes 60 of these random bits as a code: three groups of four characters.
pub fn code(bits: &[u8; CODE_CHARACTERS]) -> SecretString {
    let characters = bits.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let groups: Vec<String> = characters.chunks(GROUP_CHARACTERS).map(|group| group.iter().collect()).collect();
    groups.join("-").into()
}

/// Hashes the code that a user enters for `mailbox`; case, blanks and hyphens do not count. Each mailbox has
/// another hash for a code.
pub fn code_hash(mailbox: MailboxId, entered: &SecretString) -> TokenHash {
    let is_written = |c: &char| !c.is_whitespace() && *c != '-';
    let code: String = entered.expose_secret().chars().filter(is_written).map(|c| c.to_ascii_uppercase()).collect();
    TokenHash::of(&format!("{mailbox} {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(100) + TimeDelta::minutes(minutes)
    }

    #[test]
    fn a_code_is_read_in_any_case_with_and_without_its_hyphens() {
        let code = code(&[0, 1, 2, 3, 28, 29, 30, 31, 32, 255, 8, 9]);
        assert_eq!(code.expose_secret(), "2345-WXYZ-2ZAB");
        let hash = code_hash(MailboxId(7), &code);
        assert!(hash.is(&code_hash(MailboxId(7), &" 2345wxyz 2zab\n".into())));
        assert!(!hash.is(&code_hash(MailboxId(7), &"2345-WXYZ-2ZAC".into())));
        assert!(!hash.is(&code_hash(MailboxId(8), &code)), "another mailbox's");
    }

    #[test]
    fn a_mailbox_gets_three_codes_a_day_and_nine_in_thirty_days() {
        let day = [at(50), at(10), at(0)];
        assert_eq!(codes_bounded_until(&day[1..], &[], at(60)), None);
        assert_eq!(codes_bounded_until(&day, &[], at(60)), Some(at(24 * 60)));
        assert_eq!(codes_bounded_until(&day, &[], at(24 * 60)), None);
        let month: Vec<_> = (0..9).map(|n| at(-n * 24 * 60)).collect();
        assert_eq!(codes_bounded_until(&month[..8], &[], at(60)), None);
        assert_eq!(codes_bounded_until(&month, &[], at(60)), Some(at(-8 * 24 * 60) + TimeDelta::days(30)));
    }

    #[test]
    fn a_user_sends_five_codes_an_hour_and_twenty_a_day() {
        let hour: Vec<_> = (0..5).map(|n| at(-n)).collect();
        assert_eq!(codes_bounded_until(&[], &hour[1..], at(0)), None);
        assert_eq!(codes_bounded_until(&[], &hour, at(0)), Some(at(-4 + 60)));
        let day: Vec<_> = (0..20).map(|n| at(-n * 60)).collect();
        assert_eq!(codes_bounded_until(&[], &day, at(30)), Some(at(-19 * 60 + 24 * 60)));
    }
}
