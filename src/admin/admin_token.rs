//! `AdminToken` reads the admin token from the environment or from a file.
//!
//! An operator may rotate the token in the file while the API answers.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use secrecy::ExposeSecret;

use crate::{
    config::{RereadSecret, Settings},
    domain::{lease::MachineTime, token::TokenHash},
};

/// The shortest time between two reads of the file, independent of the number of requests.
const READ_EVERY: Duration = Duration::from_secs(1);

/// An `AdminToken` returns the hash of the admin token that is in force now.
pub struct AdminToken {
    source: Option<RereadSecret>,
    /// The hash, and the time at which its file was read.
    last: Mutex<Option<(TokenHash, MachineTime)>>,
}

impl AdminToken {
    /// Returns the admin token of `settings`, which may have none.
    pub fn new(settings: &Settings) -> AdminToken {
        AdminToken { source: settings.admin_token_source(), last: Mutex::default() }
    }

    /// Returns the hash of the token that is valid at `now`; it is at most a second old. If the file can't be
    /// read or holds no token, the previous hash stays valid.
    pub fn current(&self, now: MachineTime) -> Option<TokenHash> {
        let source = self.source.as_ref()?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (hash, read_at) = match *last {
            Some((hash, read_at)) if !source.is_from_file() || now.since(read_at) < READ_EVERY => (hash, read_at),
            _ => (TokenHash::of(source.current().expose_secret()), now),
        };
        *last = Some((hash, read_at));
        Some(hash)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FIRST: &str = "0123456789abcdef0123456789abcdef";
    const SECOND: &str = "fedcba9876543210fedcba9876543210";

    #[test]
    fn a_token_of_a_file_is_read_again_a_second_later() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), FIRST).unwrap();
        let path = file.path().display().to_string();
        let vars = [("WARMUP_ADMIN_TOKEN_FILE".to_owned(), path)].into();
        let token = AdminToken::new(&Settings::with_files(&vars).unwrap().0);
        let at = |ms| token.current(MachineTime(Duration::from_millis(ms))).unwrap();
        assert!(at(0).is(&TokenHash::of(FIRST)));
        fs::write(file.path(), SECOND).unwrap();
        assert!(at(999).is(&TokenHash::of(FIRST)), "the file is read once a second");
        assert!(at(1_000).is(&TokenHash::of(SECOND)));
        fs::write(file.path(), "").unwrap();
        assert!(at(2_000).is(&TokenHash::of(SECOND)), "a file without a token changes nothing");
    }

    #[test]
    fn without_a_token_nobody_is_let_in() {
        let settings = Settings::with_files(&std::collections::BTreeMap::new()).unwrap().0;
        assert!(AdminToken::new(&settings).current(MachineTime(Duration::ZERO)).is_none());
    }
}
