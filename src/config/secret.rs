//! `MasterKey` holds the key that seals passwords.

use std::{fmt, sync::Arc};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::{ExposeSecret, SecretBox, zeroize::Zeroize};

const LENGTH: usize = 32;

/// The base64 decoder. It accepts missing padding, which is often lost when a key is copied by hand.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The 32 bytes of `WARMUP_MASTER_KEY`: one copy in memory, wiped with its last owner, never shown.
#[derive(Clone)]
pub struct MasterKey(Arc<SecretBox<[u8; LENGTH]>>);

impl MasterKey {
    /// Returns the key that `text` holds in base64, or `None` unless it has exactly 32 bytes.
    pub fn from_base64(text: &str) -> Option<MasterKey> {
        let mut bytes = BASE64.decode(text).ok()?;
        let key = <&[u8; LENGTH]>::try_from(bytes.as_slice())
            .ok()
            .map(|bytes| MasterKey(Arc::new(SecretBox::init_with_mut(|key: &mut [u8; LENGTH]| *key = *bytes))));
        bytes.zeroize();
        key
    }

    /// Returns the key itself. Only the cipher may receive it.
    pub fn expose(&self) -> &[u8; LENGTH] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    #[test]
    fn a_key_is_32_bytes_with_or_without_its_padding() {
        for text in [KEY, KEY.trim_end_matches('=')] {
            assert_eq!(MasterKey::from_base64(text).unwrap().expose(), b"0123456789abcdef0123456789abcdef");
        }
        for wrong in ["", "short", "MDEyMzQ1Njc4OWFiY2RlZg==", "not base64 at all, and 44 characters long!!"] {
            assert!(MasterKey::from_base64(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", MasterKey::from_base64(KEY).unwrap()), "MasterKey([REDACTED])");
    }
}
