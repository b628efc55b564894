//! This module reads the file of host limits, `WARMUP_HOST_LIMITS_FILE`, and reports its errors as errors of
//! the setting.

use super::{SettingErrors, Settings};
use crate::domain::hosts::{HostLimits, read};

const NAME: &str = "WARMUP_HOST_LIMITS_FILE";

impl Settings {
    /// Reads the limits of mail hosts: the built-in ones, preceded by those of the file.
    ///
    /// Returns every error in the file at once.
    pub fn host_limits(&self) -> Result<HostLimits, SettingErrors> {
        let Some(path) = &self.host_limits_file else { return Ok(HostLimits::built_in()) };
        let bytes = std::fs::read(path).map_err(|error| {
            let wrong = format!("`{}` can't be read: {error}", path.display());
            SettingErrors::one(NAME, wrong, "write the path of a file that is there, or leave it out")
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| SettingErrors::one(NAME, "the file is not UTF-8", "save it as UTF-8"))?;
        read(&text).map(HostLimits::with).map_err(|found| {
            let mut faults = SettingErrors::default();
            for fault in found {
                faults.add(NAME, fault.to_string(), "docs/HOST_LIMITS.md shows the format");
            }
            faults
        })
    }

    /// Adds the errors in the file. An unreadable file is reported with the other files.
    pub(super) fn judge_host_limits(&self, faults: &mut SettingErrors) {
        if !faults.name(NAME)
            && let Err(found) = self.host_limits()
        {
            *faults = std::mem::take(faults).and(found);
        }
    }
}
