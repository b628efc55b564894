//! `RunAs` chooses the user that runs a server. Postgres refuses to run as root, so root runs it as a less
//! privileged user.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
};

use super::{ServerError, folder::fault};

/// A `RunAs` is the user that runs a server; `None` inside means the user of this process.
#[derive(Clone, Debug)]
pub(super) struct RunAs(Option<User>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

impl RunAs {
    /// Returns our own user, or for root the user `postgres`, or else `nobody`.
    pub fn of_this_process() -> Result<RunAs, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(RunAs(None));
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let user = ["postgres", "nobody"].iter().find_map(|name| user_in(&passwd, name));
        user.map(|user| RunAs(Some(user))).ok_or(ServerError::Nobody)
    }

    /// Returns the id of the user that runs the server.
    pub fn uid(&self) -> u32 {
        self.0.as_ref().map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.uid)
    }

    /// Makes `command` run as this user, without root's groups (std drops them together with the user).
    pub fn run(&self, command: &mut std::process::Command) {
        if let Some(user) = &self.0 {
            command.uid(user.uid).gid(user.gid);
        }
    }

    /// Gives `path` to this user with `mode`, which closes it to all others.
    pub fn own(&self, path: &Path, mode: u32) -> Result<(), ServerError> {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(path, permissions).map_err(fault(path, "setting its permissions"))?;
        let Some(user) = &self.0 else { return Ok(()) };
        chown(path, Some(user.uid), Some(user.gid)).map_err(fault(path, "giving it to its server's user"))
    }

    /// Lets this user pass through `dir`, which is ours, and checks that the user can reach it from the root
    /// folder.
    pub fn admit(&self, dir: &Path) -> Result<(), ServerError> {
        let Some(user) = &self.0 else { return Ok(()) };
        let real = open_to_all(dir).map_err(fault(dir, "opening it for its server's user"))?;
        match real.ancestors().find(|step| !user.may_enter(step)) {
            Some(closed) => Err(ServerError::Closed { path: closed.to_owned(), user: user.name.clone() }),
            None => Ok(()),
        }
    }
}

/// Lets every user pass through `dir` without reading its content, and returns its real path.
fn open_to_all(dir: &Path) -> io::Result<PathBuf> {
    let mode = fs::metadata(dir)?.permissions().mode();
    fs::set_permissions(dir, fs::Permissions::from_mode(mode | 0o011))?;
    fs::canonicalize(dir)
}

impl User {
    fn may_enter(&self, folder: &Path) -> bool {
        fs::metadata(folder).is_ok_and(|of| {
            let bit = match of {
                _ if of.uid() == self.uid => 0o100,
                _ if of.gid() == self.gid => 0o010,
                _ => 0o001,
            };
            of.mode() & bit != 0
        })
    }
}

/// Returns a user from `passwd(5)`: `name:password:uid:gid:…`.
fn user_in(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then(|| User { name: name.to_owned(), uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n+@nis\npostgres2:x:7:7::/:/bin/sh\npostgres:x:105:110::/:/bin/sh";
        let user = User { name: "postgres".to_owned(), uid: 105, gid: 110 };
        assert_eq!(user_in(passwd, "postgres"), Some(user));
        assert_eq!(user_in(passwd, "nobody"), None);
    }

    #[test]
    fn a_folder_closed_on_the_way_is_named() {
        let stranger = User { name: "stranger".to_owned(), uid: 54_321, gid: 54_321 };
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let error = RunAs(Some(stranger)).admit(&inner).unwrap_err();
        assert!(error.to_string().contains(&format!("may not enter {}", dir.path().display())), "{error}");
    }
}
