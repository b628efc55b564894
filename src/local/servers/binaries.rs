//! This module finds the programs of Postgres and Redis.
//!
//! Debian installs the programs of Postgres outside of PATH, and Homebrew separates the versions.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{ServerError, folder::fault};

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

/// `PostgresPrograms` are the paths of Postgres's programs, all of one version.
#[derive(Debug)]
pub(super) struct PostgresPrograms {
    pub initdb: PathBuf,
    pub postgres: PathBuf,
    /// True if `pg_stat_statements` can be preloaded, so that tests can count statements on the server.
    pub counts_statements: bool,
}

/// Returns the programs for the cluster in `data`. An existing cluster gets its own version. A new cluster gets
/// the version in PATH, or else the newest installed one.
///
/// Returns `OtherVersion` if the version of the cluster is not installed.
pub(super) fn postgres(data: &Path) -> Result<PostgresPrograms, ServerError> {
    let installed = installed();
    let newest = installed.first();
    let newest =
        newest.ok_or(ServerError::Missing { name: "Postgres", program: "initdb", install: INSTALL_POSTGRES })?;
    let made_by = data.join("PG_VERSION");
    let found = match fs::read_to_string(&made_by) {
        Ok(version) => version.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(programs(newest)),
        Err(error) => return Err(fault(&made_by, "reading it")(error)),
    };
    let majors: Vec<Option<String>> = installed.iter().map(|bin| major_of(bin)).collect();
    match majors.iter().position(|major| major.as_ref() == Some(&found)) {
        Some(at) => Ok(programs(&installed[at])),
        None => {
            let mut others: Vec<String> = majors.into_iter().flatten().collect();
            others.dedup();
            Err(ServerError::OtherVersion { path: data.to_owned(), found, installed: others.join(" and ") })
        }
    }
}

/// Returns the program folders of all installed versions, the preferred one first.
fn installed() -> Vec<PathBuf> {
    let in_path = in_path("initdb").and_then(|initdb| fs::canonicalize(initdb).ok());
    let folders = in_path.iter().filter_map(|initdb| initdb.parent().map(Path::to_owned)).chain(versions());
    folders.filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()).collect()
}

fn programs(bin: &Path) -> PostgresPrograms {
    PostgresPrograms {
        initdb: bin.join("initdb"),
        postgres: bin.join("postgres"),
        counts_statements: has_statement_counter(bin),
    }
}

/// Returns the major version that the program itself reports, because the name of its folder may not contain it.
fn major_of(bin: &Path) -> Option<String> {
    let told = Command::new(bin.join("postgres")).arg("--version").env_clear().output().ok()?;
    major_in(&String::from_utf8_lossy(&told.stdout))
}

/// Parses `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, and betas: `18beta1`.
fn major_in(told: &str) -> Option<String> {
    let (_, version) = told.split_once("(PostgreSQL) ")?;
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    (!major.is_empty()).then_some(major)
}

/// Returns the path of `redis-server`, or of `valkey-server`, which is compatible and replaced it in Fedora.
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

/// Returns the path of `program` from the shell, which knows PATH.
fn in_path(program: &str) -> Option<PathBuf> {
    let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
    (found.status.success() && path.is_absolute()).then_some(path)
}

/// Returns the `bin` folders of every installed version of Postgres, the newest first.
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

/// Parses the version in a folder's name: `15` (Debian), `pgsql-16` (the Postgres project's RPMs),
/// `postgresql@17` (Homebrew).
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
    fn a_major_version_is_read_from_what_postgres_says() {
        assert_eq!(major_in("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n").as_deref(), Some("15"));
        assert_eq!(major_in("postgres (PostgreSQL) 18beta1\n").as_deref(), Some("18"));
        assert_eq!(major_in("command not found"), None);
    }

    #[test]
    fn a_cluster_of_a_version_that_is_not_installed_is_named_with_the_steps() {
        let data = tempfile::tempdir().unwrap();
        let other = postgres(data.path()).unwrap();
        fs::write(data.path().join("PG_VERSION"), "9\n").unwrap();
        let Err(error) = postgres(data.path()) else { panic!("Postgres 9 is not installed") };
        let error = error.to_string();
        for step in ["is of Postgres 9", "apt-get install postgresql-9", "pg_dump", "pg_restore", "master.key"] {
            assert!(error.contains(step), "{step} is not in: {error}");
        }
        let major = major_of(other.postgres.parent().unwrap()).unwrap();
        fs::write(data.path().join("PG_VERSION"), major).unwrap();
        assert_eq!(postgres(data.path()).unwrap().postgres, other.postgres);
    }

    #[test]
    fn a_missing_server_is_named_with_the_commands_that_install_it() {
        let text = ServerError::Missing { name: "Redis", program: "redis-server", install: INSTALL_REDIS }.to_string();
        for part in ["redis-server was not found", "apt-get install redis-server", "dnf install", "brew install"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}
