//! `Folder` is the folder of one server, which only the server's user can enter.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{ServerError, random_password, run_as::RunAs};

/// A `Folder` exists and belongs to the server's user.
#[derive(Debug)]
pub(super) struct Folder {
    pub path: PathBuf,
    pub servant: RunAs,
    /// True if the folder is removed with its server.
    pub swept: bool,
}

impl Folder {
    /// Creates `dir/name` if it does not exist.
    pub fn within(dir: &Path, name: &str) -> Result<Folder, ServerError> {
        let path = std::path::absolute(dir).map_err(fault(dir, "finding it"))?.join(name);
        fs::create_dir_all(&path).map_err(fault(&path, "creating it"))?;
        let servant = RunAs::of_this_process()?;
        servant.admit(path.parent().unwrap_or(dir))?;
        servant.own(&path, 0o700)?;
        Ok(Folder { path, servant, swept: false })
    }

    /// Creates a temporary folder. It is removed with its server, also when we are killed.
    pub fn temporary(name: &str) -> Result<Folder, ServerError> {
        let dir = std::env::temp_dir();
        let made = tempfile::Builder::new().prefix(&format!("warmup-{name}-")).tempdir_in(&dir);
        let path = made.map_err(fault(&dir, "creating a temporary folder in it"))?.keep();
        let servant = RunAs::of_this_process()?;
        servant.own(&path, 0o700)?;
        Ok(Folder { path, servant, swept: true })
    }

    /// Returns the folder that the watcher removes.
    pub fn swept(&self) -> Option<&Path> {
        self.swept.then_some(&self.path)
    }

    /// Writes a file that only the server's user can read, and returns its path.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, ServerError> {
        let path = self.path.join(name);
        fs::write(&path, "").map_err(fault(&path, "creating it"))?;
        self.servant.own(&path, 0o600)?;
        fs::write(&path, text).map_err(fault(&path, "writing it"))?;
        Ok(path)
    }

    /// Returns the stored password; creates it if there is none.
    pub fn password(&self) -> Result<String, ServerError> {
        let path = self.path.join("password");
        match fs::read_to_string(&path) {
            Ok(password) => Ok(password.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let password = random_password();
                self.write("password", &password)?;
                Ok(password)
            }
            Err(error) => Err(fault(&path, "reading it")(error)),
        }
    }

    /// Checks that the data of an earlier start in `name` belongs to the server's user, who could not use it
    /// otherwise.
    pub fn check_owner(&self, name: &str) -> Result<(), ServerError> {
        let path = self.path.join(name);
        let Ok(metadata) = fs::metadata(&path) else { return Ok(()) };
        let (owner, user) = (metadata.uid(), self.servant.uid());
        if owner == user { Ok(()) } else { Err(ServerError::Owner { path, owner, user }) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.swept {
            // The watcher may have removed it already.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Returns a function that wraps an I/O error of an operation (`doing`) on `path`.
pub(super) fn fault(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> ServerError {
    move |source| ServerError::Folder { path: path.to_owned(), doing, source }
}
