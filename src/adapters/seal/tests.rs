//! These tests check which sealed values open, for which mailbox and endpoint.

use super::*;
use crate::domain::mailbox::Security;

const KEY: [u8; 32] = [7; 32];
const CANARY: &str = "canary-kingfisher";

fn place(host: &str, port: u16, security: Security) -> Endpoint {
    Endpoint { host: host.to_owned(), port, security }
}

fn smtp() -> Endpoint {
    place("smtp.example.com", 587, Security::Starttls)
}

fn sealed() -> Vec<u8> {
    Sealer::new(&KEY).seal(MailboxId(41), &[smtp()], &CANARY.into())
}

/// Returns a password as sealed by releases without endpoints.
fn placeless() -> Vec<u8> {
    Sealer::new(&KEY).seal_bytes(PLACELESS, &[], &placeless_context(MailboxId(41)), CANARY.as_bytes())
}

#[test]
fn what_was_sealed_opens_for_its_own_mailbox() {
    let sealer = Sealer::new(&KEY);
    for password in ["", "p", CANARY, "pässwörd with spaces \u{1f511}", &"x".repeat(1000)] {
        let sealed = sealer.seal(MailboxId(i64::MAX), &[smtp()], &password.into());
        assert_eq!(sealer.open(MailboxId(i64::MAX), &smtp(), &sealed).unwrap().expose_secret(), password);
    }
}

#[test]
fn another_mailbox_cannot_use_it() {
    assert_eq!(Sealer::new(&KEY).open(MailboxId(42), &smtp(), &sealed()).unwrap_err(), SealError::Tampered);
}

#[test]
fn it_goes_to_the_places_that_it_was_given_for_and_nowhere_else() {
    let imap = place("imap.example.com", 993, Security::Tls);
    let sealed = Sealer::new(&KEY).seal(MailboxId(41), &[smtp(), imap.clone()], &CANARY.into());
    for known in [smtp(), imap, place("SMTP.example.COM", 587, Security::Starttls)] {
        assert!(Sealer::new(&KEY).open(MailboxId(41), &known, &sealed).is_ok(), "{known}");
    }
    for other in [
        place("smtp.evil.example", 587, Security::Starttls),
        place("smtp.example.com", 2525, Security::Starttls),
        place("smtp.example.com", 587, Security::None),
    ] {
        let error = Sealer::new(&KEY).open(MailboxId(41), &other, &sealed).unwrap_err();
        assert_eq!(error, SealError::Elsewhere, "{other}");
    }
}

#[test]
fn other_places_cannot_be_written_into_it() {
    let (sealed, known) = (sealed(), b"smtp.example.com");
    let at = sealed.windows(known.len()).position(|window| window == known).unwrap();
    let mut changed = sealed.clone();
    changed[at..at + known.len()].copy_from_slice(b"smtp.exampl3.com");
    assert_eq!(Sealer::new(&KEY).inspect(MailboxId(41), &changed).unwrap_err(), SealError::Tampered);
    let ciphertext = split_places(&sealed[HEAD_BYTES..]).unwrap().1;
    let without = [&[PLACELESS], &sealed[1..HEAD_BYTES], ciphertext].concat();
    assert_eq!(Sealer::new(&KEY).inspect(MailboxId(41), &without).unwrap_err(), SealError::Tampered);
}

#[test]
fn what_an_earlier_release_sealed_still_opens() {
    let opened = Sealer::new(&KEY).inspect(MailboxId(41), &placeless()).unwrap();
    assert_eq!((opened.password.expose_secret(), opened.endpoints), (CANARY, None));
    assert!(Sealer::new(&KEY).open(MailboxId(41), &smtp(), &placeless()).is_ok());
    assert_eq!(Sealer::new(&KEY).inspect(MailboxId(42), &placeless()).unwrap_err(), SealError::Tampered);
}

#[test]
fn another_key_is_named_and_told_apart_from_damage() {
    let other = Sealer::new(&[8; 32]);
    let error = other.open(MailboxId(41), &smtp(), &sealed()).unwrap_err();
    let (sealed_under, have) = (Sealer::new(&KEY).key_id(), other.key_id());
    assert_eq!(error, SealError::WrongKey { sealed_under, have });
    assert!(error.to_string().contains(&sealed_under.to_string()) && error.to_string().contains(&have.to_string()));
}

#[test]
fn every_changed_bit_is_noticed() {
    let (sealer, sealed) = (Sealer::new(&KEY), sealed());
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(sealer.open(MailboxId(41), &smtp(), &changed).is_err(), "bit {bit}");
    }
}

#[test]
fn every_shortened_value_is_refused() {
    let (sealer, sealed) = (Sealer::new(&KEY), sealed());
    for length in 0..sealed.len() {
        assert!(sealer.open(MailboxId(41), &smtp(), &sealed[..length]).is_err(), "{length} bytes");
    }
    assert_eq!(sealer.open(MailboxId(41), &smtp(), &sealed[..20]).unwrap_err(), SealError::Malformed("too short"));
}

#[test]
fn one_password_never_looks_the_same_twice() {
    let (first, second) = (sealed(), sealed());
    assert_ne!(first[HEAD_BYTES..], second[HEAD_BYTES..]);
    assert_eq!(first[..9], second[..9]);
}

#[test]
fn a_check_value_is_no_password_and_a_password_no_check_value() {
    let sealer = Sealer::new(&KEY);
    assert_eq!(sealer.open_check(&sealer.seal_check()), Ok(()));
    for password in [sealed(), placeless()] {
        assert_eq!(sealer.open_check(&password), Err(SealError::Tampered));
    }
    assert_eq!(sealer.open(MailboxId(0), &smtp(), &sealer.seal_check()).unwrap_err(), SealError::Tampered);
}

#[test]
fn the_key_id_never_changes_between_releases() {
    assert_eq!(Sealer::new(&KEY).key_id().to_string(), GOLDEN_KEY_ID);
}

const GOLDEN_KEY_ID: &str = "7257ef9dbf0b2b42";

#[test]
fn nothing_that_is_printed_holds_the_password_or_the_key() {
    let sealer = Sealer::new(&KEY);
    let opened = sealer.open(MailboxId(41), &smtp(), &sealed()).unwrap();
    let error = Sealer::new(&[8; 32]).open(MailboxId(41), &smtp(), &sealed()).unwrap_err();
    let printed = format!("{sealer:?} {opened:?} {error:?} {error}");
    assert!(!printed.contains(CANARY), "{printed}");
    assert!(!printed.contains("7, 7, 7") && !printed.contains("07070707"), "{printed}");
}

#[test]
fn a_shared_sealer_goes_on_with_the_key_of_a_rotation() {
    let shared = Sealer::new(&KEY);
    let new = Sealer::new(&[8; 32]);
    let resealed = new.seal(MailboxId(41), &[smtp()], &CANARY.into());
    assert!(matches!(shared.open(MailboxId(41), &smtp(), &resealed), Err(SealError::WrongKey { .. })));
    shared.adopt(&[8; 32]);
    assert_eq!(shared.key_id(), new.key_id());
    assert_eq!(shared.open(MailboxId(41), &smtp(), &resealed).unwrap().expose_secret(), CANARY);
    assert!(matches!(shared.open(MailboxId(41), &smtp(), &sealed()), Err(SealError::WrongKey { .. })));
}
