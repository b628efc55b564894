//! Passwords at rest: sealed under the master key, bound to the mailbox they belong to.
//!
//! ```text
//! version 1 | key id 8 | nonce 24 | ciphertext and tag (XChaCha20-Poly1305)
//! ```
//!
//! The key id says under which key a value was sealed without saying anything about the key, so a wrong master key is
//! told apart from a damaged value. The mailbox's id is associated data: a sealed password that is copied into another
//! mailbox's row does not open. The nonce is random; 192 bits make a repeat no concern
//! (draft-irtf-cfrg-xchacha-03, section 3.1).

use std::fmt;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, KeyInit, Payload},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    domain::id::MailboxId,
    ports::{PortError, mailer::PasswordOpener},
};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const HEAD_BYTES: usize = 1 + KeyId::BYTES + NONCE_BYTES;

// What each use of the key is for, so that no value made for one purpose passes for another.
const KEY_ID_DOMAIN: &[u8] = b"warmup master key id, version 1";
const PASSWORD_DOMAIN: &[u8] = b"warmup mailbox password, version 1";
const CHECK_DOMAIN: &[u8] = b"warmup keyring check, version 1";

/// What the keyring's check value says when it is opened.
const CHECK_VALUE: &[u8] = b"this is the right master key";

/// The public name of a master key: the first 8 bytes of a hash of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; KeyId::BYTES]);

impl KeyId {
    const BYTES: usize = 8;

    fn of(key: &[u8; 32]) -> KeyId {
        let digest = Sha256::new().chain_update(KEY_ID_DOMAIN).chain_update(key).finalize();
        let mut id = [0; KeyId::BYTES];
        id.copy_from_slice(&digest[..KeyId::BYTES]);
        KeyId(id)
    }

    /// Returns the id that these bytes are; `None` unless there are eight.
    pub fn from_bytes(bytes: &[u8]) -> Option<KeyId> {
        bytes.try_into().ok().map(KeyId)
    }

    /// Returns the id that stands at the head of a sealed value; `None` where it is none.
    pub fn of_sealed(sealed: &[u8]) -> Option<KeyId> {
        KeyId::from_bytes(sealed.get(1..=KeyId::BYTES)?)
    }

    /// The id as it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a sealed value was not opened. Holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// It was sealed under another master key.
    #[error(
        "sealed under master key {sealed_under}, but WARMUP_MASTER_KEY is {have}: start with the key it was sealed under"
    )]
    WrongKey { sealed_under: KeyId, have: KeyId },
    /// Its bytes were changed, or it belongs to another mailbox.
    #[error("the sealed value was changed or belongs to another mailbox: import the mailbox again with its password")]
    Tampered,
    /// It is no sealed value of a version that this release knows.
    #[error("not a sealed value ({0}): import the mailbox again with its password")]
    Malformed(&'static str),
}

/// Seals and opens under one master key.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    key_id: KeyId,
}

impl Sealer {
    /// Makes a sealer of the 32 bytes of `WARMUP_MASTER_KEY`.
    pub fn new(key: &[u8; 32]) -> Sealer {
        Sealer { cipher: XChaCha20Poly1305::new(key.into()), key_id: KeyId::of(key) }
    }

    /// The id of the key it works with.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Seals the password of `mailbox`. Two seals of one password differ.
    ///
    /// Panics where the operating system has no random numbers: nothing can be sealed safely there.
    pub fn seal(&self, mailbox: MailboxId, password: &SecretString) -> Vec<u8> {
        self.seal_bytes(&password_context(mailbox), password.expose_secret().as_bytes())
    }

    /// Opens the sealed password of `mailbox`.
    pub fn open(&self, mailbox: MailboxId, sealed: &[u8]) -> Result<SecretString, SealError> {
        let opened = self.open_bytes(&password_context(mailbox), sealed)?;
        String::from_utf8(opened).map(SecretString::from).map_err(|_| SealError::Malformed("not text"))
    }

    /// Seals a known value, for the keyring.
    pub fn seal_check(&self) -> Vec<u8> {
        self.seal_bytes(CHECK_DOMAIN, CHECK_VALUE)
    }

    /// Opens what [`Sealer::seal_check`] made, and says so where it cannot.
    pub fn open_check(&self, sealed: &[u8]) -> Result<(), SealError> {
        match self.open_bytes(CHECK_DOMAIN, sealed)?.as_slice() {
            CHECK_VALUE => Ok(()),
            _ => Err(SealError::Malformed("another check value")),
        }
    }

    fn seal_bytes(&self, context: &[u8], secret: &[u8]) -> Vec<u8> {
        let nonce = XNonce::generate();
        let ciphertext = self
            .cipher
            .encrypt(&nonce, Payload { msg: secret, aad: context })
            .expect("XChaCha20-Poly1305 seals anything below 256 GiB");
        let mut sealed = Vec::with_capacity(HEAD_BYTES + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(self.key_id.as_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        sealed
    }

    fn open_bytes(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (head, ciphertext) = sealed.split_at_checked(HEAD_BYTES).ok_or(SealError::Malformed("too short"))?;
        if head[0] != VERSION {
            return Err(SealError::Malformed("unknown version"));
        }
        let sealed_under = KeyId::of_sealed(head).ok_or(SealError::Malformed("no key id"))?;
        if sealed_under != self.key_id {
            return Err(SealError::WrongKey { sealed_under, have: self.key_id });
        }
        let nonce = XNonce::try_from(&head[1 + KeyId::BYTES..]).map_err(|_| SealError::Malformed("no nonce"))?;
        self.cipher.decrypt(&nonce, Payload { msg: ciphertext, aad: context }).map_err(|_| SealError::Tampered)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl PasswordOpener for Sealer {
    fn open(&self, mailbox: MailboxId, sealed: &[u8]) -> Result<SecretString, PortError> {
        Sealer::open(self, mailbox, sealed).map_err(|error| PortError::Permanent(error.to_string()))
    }
}

fn password_context(mailbox: MailboxId) -> Vec<u8> {
    [PASSWORD_DOMAIN, &mailbox.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const CANARY: &str = "canary-kingfisher";

    fn sealed() -> Vec<u8> {
        Sealer::new(&KEY).seal(MailboxId(41), &CANARY.into())
    }

    #[test]
    fn what_was_sealed_opens_for_its_own_mailbox() {
        let sealer = Sealer::new(&KEY);
        for password in ["", "p", CANARY, "pässwörd with spaces \u{1f511}", &"x".repeat(1000)] {
            let sealed = sealer.seal(MailboxId(i64::MAX), &password.into());
            assert_eq!(sealer.open(MailboxId(i64::MAX), &sealed).unwrap().expose_secret(), password);
        }
    }

    #[test]
    fn another_mailbox_cannot_use_it() {
        assert_eq!(Sealer::new(&KEY).open(MailboxId(42), &sealed()).unwrap_err(), SealError::Tampered);
    }

    #[test]
    fn another_key_is_named_and_told_apart_from_damage() {
        let other = Sealer::new(&[8; 32]);
        let error = other.open(MailboxId(41), &sealed()).unwrap_err();
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
            assert!(sealer.open(MailboxId(41), &changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_shortened_value_is_refused() {
        let (sealer, sealed) = (Sealer::new(&KEY), sealed());
        for length in 0..sealed.len() {
            assert!(sealer.open(MailboxId(41), &sealed[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(sealer.open(MailboxId(41), &sealed[..20]).unwrap_err(), SealError::Malformed("too short"));
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
        assert_eq!(sealer.open_check(&sealed()), Err(SealError::Tampered));
        assert_eq!(sealer.open(MailboxId(0), &sealer.seal_check()).unwrap_err(), SealError::Tampered);
    }

    #[test]
    fn the_key_id_never_changes_between_releases() {
        assert_eq!(Sealer::new(&KEY).key_id().to_string(), GOLDEN_KEY_ID);
    }

    const GOLDEN_KEY_ID: &str = "7257ef9dbf0b2b42";

    #[test]
    fn nothing_that_is_printed_holds_the_password_or_the_key() {
        let sealer = Sealer::new(&KEY);
        let opened = sealer.open(MailboxId(41), &sealed()).unwrap();
        let error = Sealer::new(&[8; 32]).open(MailboxId(41), &sealed()).unwrap_err();
        let printed = format!("{sealer:?} {opened:?} {error:?} {error}");
        assert!(!printed.contains(CANARY), "{printed}");
        assert!(!printed.contains("7, 7, 7") && !printed.contains("07070707"), "{printed}");
    }
}
