//! This module creates and reads the key file, which only its owner may read.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::zeroize::Zeroizing;

use super::{HomeError, fault, file};
use crate::config::MasterKey;

pub(super) const NAME: &str = "master.key";

/// The mode bits that give any right to others than the owner.
const OTHERS: u32 = 0o077;

/// A `FoundKey` is the master key of a folder.
#[derive(Debug)]
pub struct FoundKey {
    pub key: MasterKey,
    pub path: PathBuf,
    /// True if the key was created now.
    pub made: bool,
}

/// Returns the key of `folder`; `None` if there is no key file.
///
/// Returns `KeyExposed` if others may read it, and `KeyDamaged` if it holds no key.
pub fn read_key(folder: &Path) -> Result<Option<FoundKey>, HomeError> {
    read_named(folder, NAME)
}

/// Reads a key file with another name, like [`read_key`].
pub(super) fn read_named(folder: &Path, name: &str) -> Result<Option<FoundKey>, HomeError> {
    let path = folder.join(name);
    let mode = match fs::metadata(&path) {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(&path, "looking at it")(error)),
    };
    if mode & OTHERS != 0 {
        return Err(HomeError::KeyExposed { path, mode });
    }
    let text = Zeroizing::new(fs::read_to_string(&path).map_err(fault(&path, "reading it"))?);
    match MasterKey::from_base64(text.trim()) {
        Some(key) => Ok(Some(FoundKey { key, path, made: false })),
        None => Err(HomeError::KeyDamaged { path }),
    }
}

/// Reads the key, or creates it if the folder is new.
pub(super) fn read_or_make(folder: &Path, is_new: bool) -> Result<FoundKey, HomeError> {
    let path = folder.join(NAME);
    match read_key(folder)? {
        Some(found) => Ok(found),
        None if !is_new => Err(HomeError::KeyMissing { path }),
        None => {
            let text = Zeroizing::new(STANDARD.encode(Zeroizing::new(rand::random::<[u8; 32]>())));
            file::write(folder, NAME, &format!("{}\n", *text))?;
            let key = MasterKey::from_base64(&text).expect("32 bytes were encoded");
            Ok(FoundKey { key, path, made: true })
        }
    }
}
