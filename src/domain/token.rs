//! This module writes bearer tokens, which are 256 random bits, and hashes them; only the hash is stored.
//!
//! A token is a random one of 2^256, so its hash needs neither salt nor stretching: nobody can derive the
//! token from it. Comparing hashes instead of tokens also removes the timing leak: the length of a common
//! hash prefix does not help to guess a token.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

/// The prefix of each token, so that a leaked token is recognised.
const PREFIX: &str = "warmup_";

/// Writes 256 random bits as a token of letters, digits, `-` and `_`.
pub fn token(bits: &[u8; 32]) -> SecretString {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits)).into()
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, Hash, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a presented token, or the token of the settings.
    pub fn of(presented: &str) -> TokenHash {
        TokenHash(Sha256::digest(presented.as_bytes()).into())
    }

    /// Reads a stored hash; returns `None` unless it has 32 bytes.
    pub fn from_stored(bytes: &[u8]) -> Option<TokenHash> {
        bytes.try_into().ok().map(TokenHash)
    }

    /// Returns the bytes for storage.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns true if both are equal, in a time that does not depend on where they differ.
    pub fn is(&self, other: &TokenHash) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |sum, (one, two)| sum | (one ^ two));
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_token_is_256_bits_in_characters_that_a_header_takes() {
        let (one, other) = (token(&[0; 32]), token(&[255; 32]));
        for token in [one.expose_secret(), other.expose_secret()] {
            assert_eq!(token.len(), PREFIX.len() + 43);
            assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{token}");
        }
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn only_the_same_token_has_the_same_hash() {
        let hash = TokenHash::of("warmup_a");
        assert!(hash.is(&TokenHash::of("warmup_a")) && !hash.is(&TokenHash::of("warmup_b")));
        assert!(!hash.is(&TokenHash::of("")) && !hash.is(&TokenHash::of("warmup_a ")));
        assert!(!format!("{hash:?}").contains(&hash.0[0].to_string()));
    }
}
