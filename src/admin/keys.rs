//! This module generates master keys.
//!
//! A new key is written to a file before anything is sealed with it. So no crash leaves a database that cannot
//! be opened.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use rand::{TryRngCore, rngs::OsRng};
use secrecy::zeroize::Zeroizing;

pub use crate::adapters::postgres::keyring::{RotateError, Rotated, rotate};
use crate::config::MasterKey;

/// Generates a key and writes it to a new file that only its owner can read.
///
/// Returns an error when the file exists: its key may have sealed something.
pub fn generate(path: &Path) -> anyhow::Result<MasterKey> {
    let text = fresh()?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} cannot be made: name a file that is not there yet", path.display()))?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    written.and_then(|()| sync_folder(path)).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(MasterKey::from_base64(&text).expect("32 bytes in base64 are a key"))
}

/// Generates a key that is in no file yet.
pub fn make() -> anyhow::Result<MasterKey> {
    Ok(MasterKey::from_base64(&fresh()?).expect("32 bytes in base64 are a key"))
}

fn fresh() -> anyhow::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; 32]);
    OsRng.try_fill_bytes(bytes.as_mut_slice()).context("the system has no random numbers")?;
    Ok(Zeroizing::new(STANDARD.encode(bytes.as_slice())))
}

/// Syncs the folder of `path`, because the name of a new file is durable only when its folder is synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_key_lies_in_a_file_that_only_its_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let key = generate(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(MasterKey::from_base64(text.trim_end()).unwrap().expose(), key.expose());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = generate(&path).unwrap_err().to_string();
        assert!(error.contains("not there yet"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
