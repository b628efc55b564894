//! Where the servers' programs are. Debian keeps Postgres's out of PATH, Homebrew keeps versions apart.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::ServerError;

const INSTALL_POSTGRES: &str = "Install it:\n  \
    Debian, Ubuntu: sudo apt-get install postgresql\n  \
    Fedora:         sudo dnf install postgresql-server postgresql-contrib\n  \
    macOS:          brew install postgresql@17";

const INSTALL_REDIS: &str = "Install it:\n  \
    Debian, Ubuntu: sudo apt-get install redis-server\n  \
    Fedora:         sudo dnf install valkey\n  \
    macOS:          brew install redis";

/// Folders whose children are versions, each with a `bin`; then folders that hold programs themselves.
const VERSIONED: [&str; 4] = ["/usr/lib/postgresql", "/usr", "/opt/homebrew/opt", "/usr/local/opt"];
const PLAIN: [&str; 4] = ["/opt/homebrew/bin", "/usr/local/bin", "/usr/local/sbin", "/usr/sbin"];

/// Postgres's programs, all of one version.
pub(super) struct PostgresPrograms {
    pub initdb: PathBuf,
    pub postgres: PathBuf,
    /// Whether `pg_stat_statements` can be preloaded: then tests count statements as the server counts them.
    pub counts_statements: bool,
}

/// Finds `initdb` and the `postgres` beside it: in PATH, else the newest that a package manager has installed.
pub(super) fn postgres() -> Result<PostgresPrograms, ServerError> {
    let missing = ServerError::Missing { name: "Postgres", program: "initdb", install: INSTALL_POSTGRES };
    let in_path = in_path("initdb").and_then(|initdb| fs::canonicalize(initdb).ok());
    let folders = in_path.iter().filter_map(|initdb| initdb.parent().map(Path::to_owned)).chain(versions());
    let bin = folders.into_iter().find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists());
    let bin = bin.ok_or(missing)?;
    Ok(PostgresPrograms {
        initdb: bin.join("initdb"),
        postgres: bin.join("postgres"),
        counts_statements: has_statement_counter(&bin),
    })
}

/// Finds `redis-server`, or Valkey's, which speaks the same and replaced it in Fedora.
pub(super) fn redis() -> Result<PathBuf, ServerError> {
    const NAMES: [&str; 2] = ["redis-server", "valkey-server"];
    let beside = PLAIN.iter().flat_map(|folder| NAMES.map(|name| Path::new(folder).join(name)));
    NAMES
        .into_iter()
        .filter_map(in_path)
        .chain(beside.filter(|path| path.exists()))
        .next()
        .ok_or(ServerError::Missing { name: "Redis", program: "redis-server", install: INSTALL_REDIS })
}

/// Asks the shell, which knows PATH, where `program` is.
fn in_path(program: &str) -> Option<PathBuf> {
    let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
    (found.status.success() && path.is_absolute()).then_some(path)
}

/// The `bin` folders of every installed version of Postgres, the newest first.
fn versions() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = VERSIONED
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| Some((version_of(&entry.file_name().to_string_lossy())?, entry.path().join("bin"))))
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, bin)| bin).collect()
}

/// Reads the version out of a folder's name: `15` (Debian), `pgsql-16` (the Postgres project's RPMs), `postgresql@17`
/// (Homebrew).
fn version_of(name: &str) -> Option<u32> {
    ["postgresql@", "pgsql-", ""].iter().find_map(|prefix| name.strip_prefix(prefix)?.parse().ok())
}

fn has_statement_counter(bin: &Path) -> bool {
    let libraries = [bin.join("../lib"), bin.join("../lib/postgresql"), PathBuf::from("/usr/lib64/pgsql")];
    let names = ["pg_stat_statements.so", "pg_stat_statements.dylib"];
    libraries.iter().any(|folder| names.iter().any(|name| folder.join(name).exists()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_each_packagers_folder_names() {
        assert_eq!(version_of("15"), Some(15));
        assert_eq!(version_of("pgsql-16"), Some(16));
        assert_eq!(version_of("postgresql@17"), Some(17));
        assert_eq!(version_of("bin"), None);
        assert_eq!(version_of("redis"), None);
    }

    #[test]
    fn a_missing_server_is_named_with_the_commands_that_install_it() {
        let text = ServerError::Missing { name: "Redis", program: "redis-server", install: INSTALL_REDIS }.to_string();
        for part in ["redis-server was not found", "apt-get install redis-server", "dnf install", "brew install"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}
