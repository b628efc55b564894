//! Passwords at rest: sealed under the master key, bound to the mailbox they belong to and to where they may be sent.
//!
//! ```text
//! version 2 | key id 8 | nonce 24 | length 2 | places (JSON) | ciphertext and tag (XChaCha20-Poly1305)
//! version 1 | key id 8 | nonce 24 |                            ciphertext and tag
//! ```
//!
//! The key id says under which key a value was sealed without saying anything about the key, so a wrong master key is
//! told apart from a damaged value. The mailbox's id and the places are associated data: a sealed password that is copied
//! into another mailbox's row does not open, and one whose row names another mail host than it was given for is not sent
//! there, whoever changed the row. The nonce is random; 192 bits make a repeat no concern
//! (draft-irtf-cfrg-xchacha-03, section 3.1).
//!
//! Version 1 is what earlier releases sealed, and what the keyring's check value is still: it knows no places, and opens for
//! any. A password becomes version 2 when it is given or sealed again, at the latest by `keys rotate`.

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

/// Bound to nothing but what it is for.
const PLACELESS: u8 = 1;
/// Bound to the places where it may be sent.
const PLACED: u8 = 2;
const NONCE_BYTES: usize = 24;
const HEAD_BYTES: usize = 1 + KeyId::BYTES + NONCE_BYTES;

// What each use of the key is for, so that no value made for one purpose passes for another.
const KEY_ID_DOMAIN: &[u8] = b"warmup master key id, version 1";
const PLACELESS_PASSWORD_DOMAIN: &[u8] = b"warmup mailbox password, version 1";
const PASSWORD_DOMAIN: &[u8] = b"warmup mailbox password, version 2";
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
    /// It was given for another mail host, port or security than it shall be sent to.
    #[error(
        "the password was given for another mail host, port or security than the mailbox has now: if that is meant, give \
         the password again"
    )]
    Elsewhere,
    /// It is no sealed value of a version that this release knows.
    #[error("not a sealed value ({0}): import the mailbox again with its password")]
    Malformed(&'static str),
}

/// What was sealed.
#[derive(Clone, Debug)]
pub struct Opened {
    pub password: SecretString,
    /// Where it may be sent; none of what an earlier release sealed.
    pub endpoints: Option<Vec<Endpoint>>,
}

/// Seals and opens under one master key, which a rotation may replace while it is shared.
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
    /// Makes a sealer of the 32 bytes of `WARMUP_MASTER_KEY`.
    pub fn new(key: &[u8; 32]) -> Sealer {
        Sealer(RwLock::new(Key::new(key)))
    }

    /// The id of the key it works with.
    pub fn key_id(&self) -> KeyId {
        self.key().id
    }

    /// Works with another key from now on: the master key was rotated.
    pub fn adopt(&self, key: &[u8; 32]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Key::new(key);
    }

    fn key(&self) -> Key {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Seals the password of `mailbox`, to be sent to `places` and nowhere else. Two seals of one password differ.
    ///
    /// Panics where the operating system has no random numbers: nothing can be sealed safely there.
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

    /// Opens the sealed password of `mailbox` for whoever seals it again: it is sent nowhere.
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

    /// Opens what [`Sealer::seal_check`] made, and says so where it cannot.
    pub fn open_check(&self, sealed: &[u8]) -> Result<(), SealError> {
        let (_, ciphertext) = self.body(sealed)?;
        match self.open_bytes(CHECK_DOMAIN, sealed, ciphertext)?.as_slice() {
            CHECK_VALUE => Ok(()),
            _ => Err(SealError::Malformed("another check value")),
        }
    }

    /// `head` is what stands in the clear before the ciphertext; the context must hold it too.
    fn seal_bytes(&self, version: u8, head: &[u8], context: &[u8], secret: &[u8]) -> Vec<u8> {
        let nonce = XNonce::generate();
        let key = self.key();
        let ciphertext = key
            .cipher
            .encrypt(&nonce, Payload { msg: secret, aad: context })
            .expect("XChaCha20-Poly1305 seals anything below 256 GiB");
        [&[version], key.id.as_bytes(), &nonce, head, &ciphertext].concat()
    }

    /// Returns the version of a value that was sealed under this key, and what stands behind its nonce.
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

/// Splits the places, by their length, from the ciphertext.
fn split_places(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests;
