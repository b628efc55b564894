//! This module reads secrets from files such as `DATABASE_URL_FILE`. An error names the file and never its
//! contents.
//!
//! The URLs are read again for new connections, and the admin token for requests, so a rotated secret needs
//! no restart. If a file is unreadable because it is being replaced, the last read value stays valid.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{
    MasterKey, SettingErrors, Settings,
    kind::{Kind, database_url, master_key, redis_url, token},
};

/// The largest accepted file in bytes: more than any URL, key or token has. A larger file was named by
/// mistake.
const MOST_BYTES: u64 = 16 * 1024;

/// Reads the secret in the file at `path`, without the blanks around it. The error completes "`path` …".
fn text_of(path: &Path) -> Result<Zeroizing<String>, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("is larger than {} KiB", MOST_BYTES / 1024));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8".to_owned())?.trim();
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(Zeroizing::new(text.to_owned())) }
}

fn read<K: Kind>(path: &Path, kind: &K) -> Result<K::Value, String> {
    let text = text_of(path)?;
    kind.read(&text).map_err(|wrong| format!("holds a value that {wrong}"))
}

/// Reads one secret from its file, if a file is named and the value itself is not set.
fn fill<K: Kind>(
    value: &mut Option<K::Value>,
    name: &str,
    path: Option<&PathBuf>,
    kind: &K,
    faults: &mut SettingErrors,
) {
    let Some(path) = path.filter(|_| value.is_none()) else { return };
    match read(path, kind) {
        Ok(secret) => *value = Some(secret),
        Err(wrong) => {
            let instead = format!("write {} into that file, and nothing else", kind.facts().write);
            faults.add(name, format!("`{}` {wrong}", path.display()), instead);
        }
    }
}

/// A secret that is fixed, or read from a file at each use.
#[derive(Clone, Debug)]
pub struct RereadSecret {
    setting: &'static str,
    file: Option<PathBuf>,
    is_valid: fn(&str) -> bool,
    /// The value that was read last.
    last: Arc<Mutex<SecretString>>,
}

impl RereadSecret {
    /// Returns the current secret.
    pub fn current(&self) -> SecretString {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = self.file.as_deref().and_then(|path| text_of(path).ok())
            && (self.is_valid)(&text)
            && *text != last.expose_secret()
        {
            *last = text.as_str().into();
        }
        last.clone()
    }

    /// Returns true if the secret may change.
    pub fn is_from_file(&self) -> bool {
        self.file.is_some()
    }

    /// Returns the name of the setting.
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl Settings {
    /// Reads the secrets in files.
    pub(super) fn read_secret_files(&mut self, faults: &mut SettingErrors) {
        let Settings { database_url_file, redis_url_file, master_key_file, admin_token_file, .. } = self;
        fill(&mut self.database_url, "DATABASE_URL_FILE", database_url_file.as_ref(), &database_url(), faults);
        fill(&mut self.redis_url, "REDIS_URL_FILE", redis_url_file.as_ref(), &redis_url(), faults);
        fill(&mut self.master_key, "WARMUP_MASTER_KEY_FILE", master_key_file.as_ref(), &master_key(), faults);
        fill(&mut self.admin_token, "WARMUP_ADMIN_TOKEN_FILE", admin_token_file.as_ref(), &token(), faults);
    }

    /// Returns the source of the database URL, or an error if it is not set.
    pub fn database(&self) -> Result<RereadSecret, SettingErrors> {
        let (setting, file) = setting_and_file("DATABASE_URL", "DATABASE_URL_FILE", self.database_url_file.as_ref());
        let last = Arc::new(Mutex::new(self.require_database()?.clone()));
        Ok(RereadSecret { setting, file, is_valid: |text| database_url().read(text).is_ok(), last })
    }

    /// Returns the source of the Redis URL, or an error if it is not set.
    pub fn redis(&self) -> Result<RereadSecret, SettingErrors> {
        let (setting, file) = setting_and_file("REDIS_URL", "REDIS_URL_FILE", self.redis_url_file.as_ref());
        let last = Arc::new(Mutex::new(self.require_redis()?.clone()));
        Ok(RereadSecret { setting, file, is_valid: |text| redis_url().read(text).is_ok(), last })
    }

    /// Returns the source of the admin token, or `None` if it is not set.
    pub fn admin_token_source(&self) -> Option<RereadSecret> {
        let (setting, file) =
            setting_and_file("WARMUP_ADMIN_TOKEN", "WARMUP_ADMIN_TOKEN_FILE", self.admin_token_file.as_ref());
        let last = Arc::new(Mutex::new(self.admin_token.clone()?));
        Some(RereadSecret { setting, file, is_valid: |text| token().read(text).is_ok(), last })
    }

    /// Returns the current master key in its file, or `None` if no file is named or the file holds no key.
    pub fn master_key_in_file(&self) -> Option<MasterKey> {
        read(self.master_key_file.as_ref()?, &master_key()).ok()
    }
}

fn setting_and_file(
    value: &'static str,
    in_file: &'static str,
    path: Option<&PathBuf>,
) -> (&'static str, Option<PathBuf>) {
    (if path.is_some() { in_file } else { value }, path.cloned())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;

    const URL: &str = "postgres://me:hunter2@db/warmup";

    fn vars(vars: &[(&str, &str)]) -> BTreeMap<String, String> {
        vars.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    fn fault(name: &str, text: &[u8]) -> String {
        let file = file(text);
        let path = file.path().to_str().unwrap();
        let said = Settings::with_files(&vars(&[(name, path)])).unwrap_err().to_string();
        assert!(said.contains(&format!("{name}: `{path}`")), "{said}");
        assert!(!said.contains("hunter"), "{said}");
        said
    }

    #[test]
    fn each_secret_may_stand_in_a_file_with_blanks_around_it() {
        let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        let files = [URL, "redis://:hunter2@cache", key, "0123456789abcdef0123456789abcdef"]
            .map(|text| file(format!("\n{text} \n").as_bytes()));
        let names = ["DATABASE_URL_FILE", "REDIS_URL_FILE", "WARMUP_MASTER_KEY_FILE", "WARMUP_ADMIN_TOKEN_FILE"];
        let given: Vec<(&str, &str)> =
            names.into_iter().zip(files.iter().map(|file| file.path().to_str().unwrap())).collect();
        let (settings, _) = Settings::with_files(&vars(&given)).unwrap();
        assert!(settings.require_all().is_ok());
        assert_eq!(settings.require_database().unwrap().expose_secret(), URL);
        assert_eq!(settings.require_redis().unwrap().expose_secret(), "redis://:hunter2@cache");
        assert_eq!(settings.require_master_key().unwrap().expose(), b"0123456789abcdef0123456789abcdef");
        assert_eq!(settings.admin_token.unwrap().expose_secret(), "0123456789abcdef0123456789abcdef");
    }

    #[test]
    fn a_fault_names_the_file_and_never_its_contents() {
        assert!(fault("DATABASE_URL_FILE", b"hunter2").contains("is not the URL of a Postgres database"));
        assert!(fault("REDIS_URL_FILE", b"mysql://hunter2").contains("is not the URL of a Redis server"));
        assert!(fault("WARMUP_MASTER_KEY_FILE", b"hunter2").contains("is not 32 bytes in base64"));
        assert!(fault("WARMUP_ADMIN_TOKEN_FILE", b"hunter 2").contains("can't be sent in a header"));
        assert!(fault("DATABASE_URL_FILE", b" \n").contains("is empty"));
        assert!(fault("DATABASE_URL_FILE", b"hunter\xff").contains("is not UTF-8"));
        assert!(fault("DATABASE_URL_FILE", &[b'h'; 16 * 1024 + 1]).contains("is larger than 16 KiB"));
        let said = Settings::with_files(&vars(&[("DATABASE_URL_FILE", "/nowhere/url")])).unwrap_err().to_string();
        assert!(said.contains("DATABASE_URL_FILE: `/nowhere/url` can't be read"), "{said}");
    }

    #[test]
    fn a_value_and_its_file_are_a_fault_together() {
        let file = file(URL.as_bytes());
        let given = vars(&[("DATABASE_URL", URL), ("DATABASE_URL_FILE", file.path().to_str().unwrap())]);
        let said = Settings::with_files(&given).unwrap_err().to_string();
        assert!(said.contains("DATABASE_URL_FILE: DATABASE_URL is set too") && !said.contains("hunter"), "{said}");
    }

    #[test]
    fn a_url_is_read_again_and_the_last_good_one_stays() {
        let file = file(URL.as_bytes());
        let given = vars(&[("DATABASE_URL_FILE", file.path().to_str().unwrap())]);
        let url = Settings::with_files(&given).unwrap().0.database().unwrap();
        assert_eq!((url.current().expose_secret(), url.setting()), (URL, "DATABASE_URL_FILE"));
        let next = URL.replace("hunter2", "hunter3");
        fs::write(file.path(), format!("{next}\n")).unwrap();
        assert_eq!(url.current().expose_secret(), next);
        for unusable in [&b""[..], b"hunter4", b"\xff"] {
            fs::write(file.path(), unusable).unwrap();
            assert_eq!(url.current().expose_secret(), next);
        }
        fs::remove_file(file.path()).unwrap();
        assert_eq!(url.current().expose_secret(), next);
    }
}
