//! A `Sealer` encrypts passwords under the master key, bound to their mailbox and to the endpoints that they may be
//! sent to.
//!
//! ```text
//! version 2 | key id 8 | nonce 24 | length 2 | endpoints (JSON) | ciphertext and tag (XChaCha20-Poly1305)
//! version 1 | key id 8 | nonce 24 |                            ciphertext and tag
//! ```
//!
//! The key id identifies the key of a value and reveals nothing about it, so a wrong master key is distinct from a
//! damaged value. The mailbox's id and the endpoints are associated data. A sealed password that is copied into another
//! mailbox's row does not open. If a row names another mail host than the password was given for, the password is not
//! sent there, even after a direct change of the row. The nonce is random; 192 bits make a repeat no concern
//! (draft-irtf-cfrg-xchacha-03, section 3.1).
//!
//! Version 1 is the format of earlier releases, and still that of the keyring's check value: it holds no endpoints and
//! opens for any. A password becomes version 2 when it is given or sealed again, at the latest by `keys rotate`.

use std::{
    fmt,
    sync::{PoisonError, RwLock},
};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, KeyInit, Payload},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    domain::{id::MailboxId, mailbox::Endpoint},
    ports::{PortError, mailer::PasswordOpener},
};

/// The version of a value that is bound to its purpose and, if it is a password, to its mailbox, but to no endpoints.
const PLACELESS: u8 = 1;
/// The version of a value that is bound to the endpoints it may be sent to.
const PLACED: u8 = 2;
const NONCE_BYTES: usize = 24;
const HEAD_BYTES: usize = 1 + KeyId::BYTES + NONCE_BYTES;

// The purpose of each use of the key, so that a value made for one purpose is invalid for another.
const KEY_ID_DOMAIN: &[u8] = b"warmup master key id, version 1";
const PLACELESS_PASSWORD_DOMAIN: &[u8] = b"warmup mailbox password, version 1";
const PASSWORD_DOMAIN: &[u8] = b"warmup mailbox password, version 2";
const CHECK_DOMAIN: &[u8] = b"warmup keyring check, version 1";

/// The plain text of the keyring's check value.
const CHECK_VALUE: &[u8] = b"this is the right master key";

/// A `KeyId` is the public name of a master key: the first 8 bytes of its hash.
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

    /// Returns the id with these bytes; `None` unless there are eight.
    pub fn from_bytes(bytes: &[u8]) -> Option<KeyId> {
        bytes.try_into().ok().map(KeyId)
    }

    /// Returns the id at the head of a sealed value; `None` if the value is too short.
    pub fn of_sealed(sealed: &[u8]) -> Option<KeyId> {
        KeyId::from_bytes(sealed.get(1..=KeyId::BYTES)?)
    }

    /// Returns the id in its stored form.
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

/// A `SealError` states why a sealed value was not opened. It holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// The value was sealed under another master key.
    #[error(
        "sealed under master key {sealed_under}, but WARMUP_MASTER_KEY is {have}: start with the key it was sealed under"
    )]
    WrongKey { sealed_under: KeyId, have: KeyId },
    /// The bytes were changed, or the value belongs to another mailbox.
    #[error("the sealed value was changed or belongs to another mailbox: import the mailbox again with its password")]
    Tampered,
    /// The password was given for another mail host, port or security than the requested one.
    #[error(
        "the password was given for another mail host, port or security than the mailbox has now: if that is meant, give \
         the password again"
    )]
    Elsewhere,
    /// The value has no version that this release knows.
    #[error("not a sealed value ({0}): import the mailbox again with its password")]
    Malformed(&'static str),
}

/// An `Opened` is the content of a sealed value.
#[derive(Clone, Debug)]
pub struct Opened {
    pub password: SecretString,
    /// The endpoints that the password may be sent to; `None` for a value of an earlier release.
    pub endpoints: Option<Vec<Endpoint>>,
}

/// A `Sealer` seals and opens values under one master key, which a rotation may replace while the sealer is shared.
pub struct Sealer(RwLock<Key>);

#[derive(Clone)]
struct Key {
    cipher: XChaCha20Poly1305,
    id: KeyId,
}

impl Key {
    fn new(key: &[u8; 32]) -> Key {
        Key { cipher: XChaCha20Poly1305::new(key.into()), id: KeyId::of(key) }
    }
}

impl Sealer {
    /// Creates a sealer from the 32 bytes of `WARMUP_MASTER_KEY`.
    pub fn new(key: &[u8; 32]) -> Sealer {
        Sealer(RwLock::new(Key::new(key)))
    }

    /// Returns the id of the present key.
    pub fn key_id(&self) -> KeyId {
        self.key().id
    }

    /// Replaces the key after a rotation of the master key.
    pub fn adopt(&self, key: &[u8; 32]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Key::new(key);
    }

    fn key(&self) -> Key {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Seals the password of `mailbox`, to be sent only to `places`. Two seals of one password differ.
    ///
    /// Panics if the operating system has no random numbers: nothing can be sealed safely then.
    pub fn seal(&self, mailbox: MailboxId, places: &[Endpoint], password: &SecretString) -> Vec<u8> {
        let places = serde_json::to_vec(places).expect("endpoints are JSON");
        let length = u16::try_from(places.len()).expect("two names of hosts are shorter than 64 KiB");
        let head = [&length.to_be_bytes()[..], &places].concat();
        self.seal_bytes(PLACED, &head, &password_context(mailbox, &places), password.expose_secret().as_bytes())
    }

    /// Opens the sealed password of `mailbox`, to be sent to `place`.
    pub fn open(&self, mailbox: MailboxId, place: &Endpoint, sealed: &[u8]) -> Result<SecretString, SealError> {
        let opened = self.inspect(mailbox, sealed)?;
        match opened.endpoints {
            Some(places) if !places.iter().any(|known| known.is(place)) => Err(SealError::Elsewhere),
            _ => Ok(opened.password),
        }
    }

    /// Opens the sealed password of `mailbox` for a caller that only seals it again: the password is not sent.
    pub fn inspect(&self, mailbox: MailboxId, sealed: &[u8]) -> Result<Opened, SealError> {
        let (version, body) = self.body(sealed)?;
        let (places, context, ciphertext) = match version {
            PLACELESS => (None, placeless_context(mailbox), body),
            _ => {
                let (places, ciphertext) = split_places(body).ok_or(SealError::Malformed("too short"))?;
                (Some(places), password_context(mailbox, places), ciphertext)
            }
        };
        let opened = self.open_bytes(&context, sealed, ciphertext)?;
        let password = String::from_utf8(opened).map_err(|_| SealError::Malformed("not text"))?.into();
        let places = places.map(serde_json::from_slice).transpose().map_err(|_| SealError::Malformed("no places"))?;
        Ok(Opened { password, endpoints: places })
    }

    /// Seals a known value, for the keyring.
    pub fn seal_check(&self) -> Vec<u8> {
        self.seal_bytes(PLACELESS, &[], CHECK_DOMAIN, CHECK_VALUE)
    }

    /// Opens a value of [`Sealer::seal_check`], and returns an error if that fails.
    pub fn open_check(&self, sealed: &[u8]) -> Result<(), SealError> {
        let (_, ciphertext) = self.body(sealed)?;
        match self.open_bytes(CHECK_DOMAIN, sealed, ciphertext)?.as_slice() {
            CHECK_VALUE => Ok(()),
            _ => Err(SealError::Malformed("another check value")),
        }
    }

    /// Seals `secret`. `head` precedes the ciphertext in the clear; the context must contain it too.
    fn seal_bytes(&self, version: u8, head: &[u8], context: &[u8], secret: &[u8]) -> Vec<u8> {
        let nonce = XNonce::generate();
        let key = self.key();
        let ciphertext = key
            .cipher
            .encrypt(&nonce, Payload { msg: secret, aad: context })
            .expect("XChaCha20-Poly1305 seals anything below 256 GiB");
        [&[version], key.id.as_bytes(), &nonce, head, &ciphertext].concat()
    }

    /// Returns the version of a value that was sealed under this key, and the bytes after its nonce.
    fn body<'a>(&self, sealed: &'a [u8]) -> Result<(u8, &'a [u8]), SealError> {
        let (head, body) = sealed.split_at_checked(HEAD_BYTES).ok_or(SealError::Malformed("too short"))?;
        if ![PLACELESS, PLACED].contains(&head[0]) {
            return Err(SealError::Malformed("unknown version"));
        }
        let sealed_under = KeyId::of_sealed(head).ok_or(SealError::Malformed("no key id"))?;
        let have = self.key_id();
        if sealed_under != have {
            return Err(SealError::WrongKey { sealed_under, have });
        }
        Ok((head[0], body))
    }

    fn open_bytes(&self, context: &[u8], sealed: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = sealed.get(1 + KeyId::BYTES..HEAD_BYTES).and_then(|nonce| XNonce::try_from(nonce).ok());
        let nonce = nonce.ok_or(SealError::Malformed("no nonce"))?;
        self.key().cipher.decrypt(&nonce, Payload { msg: ciphertext, aad: context }).map_err(|_| SealError::Tampered)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

impl PasswordOpener for Sealer {
    fn open(&self, mailbox: MailboxId, place: &Endpoint, sealed: &[u8]) -> Result<SecretString, PortError> {
        Sealer::open(self, mailbox, place, sealed).map_err(|error| PortError::Permanent(error.to_string()))
    }
}

fn password_context(mailbox: MailboxId, places: &[u8]) -> Vec<u8> {
    [PASSWORD_DOMAIN, &mailbox.0.to_be_bytes(), places].concat()
}

fn placeless_context(mailbox: MailboxId) -> Vec<u8> {
    [PLACELESS_PASSWORD_DOMAIN, &mailbox.0.to_be_bytes()].concat()
}

/// Splits the endpoints, by their length, from the ciphertext.
fn split_places(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests;
