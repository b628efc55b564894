//! This module writes files that only their owner can read. A write is atomic, and durable when it returns.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{HomeError, fault};

/// Writes `folder/name` with mode 0600, in one step.
pub(super) fn write(folder: &Path, name: &str, text: &str) -> Result<(), HomeError> {
    let (path, unfinished) = (folder.join(name), folder.join(format!("{name}.unfinished")));
    let written = replace(&unfinished, &path, text).and_then(|()| File::open(folder)?.sync_all());
    written.map_err(fault(&path, "writing it"))
}

fn replace(unfinished: &Path, path: &Path, text: &str) -> io::Result<()> {
    // A file that a killed start left may have any mode.
    if let Err(error) = fs::remove_file(unfinished)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}
