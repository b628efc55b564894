//! This module rotates the master key in the data folder, in steps that each may be the last before a crash.
//!
//! ```text
//!   prepare: master.key.new, master.key.ID.old ─▶ (the database is rotated) ─▶ install: .new becomes master.key
//!      crash here: the database and master.key          crash here: master.key.new is the database's,
//!      have the old key, the rest is left over           and the next start installs it
//! ```
//!
//! The old key stays under its id: backups from before the rotation need it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

use secrecy::zeroize::Zeroizing;

use super::{
    HomeError, fault, file,
    key::{self, FoundKey},
};

const PREPARED: &str = "master.key.new";

/// Writes the new key beside the current one, and copies the current one under its id. Returns the path of the
/// copy.
pub fn prepare_key(folder: &Path, new: &str, old_id: &str) -> Result<PathBuf, HomeError> {
    let present = folder.join(key::NAME);
    let text = Zeroizing::new(fs::read_to_string(&present).map_err(fault(&present, "reading it"))?);
    let kept = format!("{}.{old_id}.old", key::NAME);
    file::write(folder, PREPARED, &format!("{}\n", new.trim()))?;
    file::write(folder, &kept, &text)?;
    // Root rotates for the user that runs the servers and the worker.
    let owner = fs::metadata(&present).map_err(fault(&present, "looking at it"))?;
    for name in [PREPARED, kept.as_str()] {
        let path = folder.join(name);
        chown(&path, Some(owner.uid()), Some(owner.gid())).map_err(fault(&path, "giving it to its owner"))?;
    }
    Ok(folder.join(kept))
}

/// Replaces the current key by the prepared one, after the database has it.
pub fn install_key(folder: &Path) -> Result<(), HomeError> {
    let (prepared, path) = (folder.join(PREPARED), folder.join(key::NAME));
    let installed = fs::rename(prepared, &path).and_then(|()| File::open(folder)?.sync_all());
    installed.map_err(fault(&path, "installing the new key as it"))
}

/// Deletes the prepared key and the copy in `kept`, because nothing was rotated.
pub fn discard_key(folder: &Path, kept: &Path) -> Result<(), HomeError> {
    for path in [folder.join(PREPARED).as_path(), kept] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(path, "removing it")(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the key that a rotation prepared and did not install.
pub fn prepared_key(folder: &Path) -> Result<Option<FoundKey>, HomeError> {
    key::read_named(folder, PREPARED)
}

/// Returns the readable keys of earlier rotations, by name.
pub fn kept_keys(folder: &Path) -> Vec<FoundKey> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(key::NAME) && name.ends_with(".old")).collect();
    names.sort();
    names.iter().filter_map(|name| key::read_named(folder, name).ok().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const OLD: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const NEW: &str = "YW5vdGhlciBtYXN0ZXIga2V5IHRoYXQgaXMgMzIgYnk=";

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        file::write(folder.path(), key::NAME, &format!("{OLD}\n")).unwrap();
        folder
    }

    fn text(folder: &tempfile::TempDir, name: &str) -> String {
        fs::read_to_string(folder.path().join(name)).unwrap().trim().to_owned()
    }

    #[test]
    fn the_old_key_is_kept_for_its_owner_alone_and_the_new_one_takes_its_place() {
        let folder = folder();
        let kept = prepare_key(folder.path(), NEW, "00ff").unwrap();
        assert_eq!(kept, folder.path().join("master.key.00ff.old"));
        assert_eq!((text(&folder, "master.key"), text(&folder, "master.key.new")), (OLD.into(), NEW.into()));
        install_key(folder.path()).unwrap();
        assert_eq!((text(&folder, "master.key"), text(&folder, "master.key.00ff.old")), (NEW.into(), OLD.into()));
        assert!(prepared_key(folder.path()).unwrap().is_none());
        assert_eq!(kept_keys(folder.path()).len(), 1);
        for name in ["master.key", "master.key.00ff.old"] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
    }

    #[test]
    fn what_was_not_rotated_leaves_nothing_behind() {
        let folder = folder();
        let kept = prepare_key(folder.path(), NEW, "00ff").unwrap();
        discard_key(folder.path(), &kept).unwrap();
        assert_eq!(text(&folder, "master.key"), OLD);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
