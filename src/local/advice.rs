//! `advice` recommends an action for a file or folder that can't be used. The operating system's error only says
//! what is wrong.

use std::io::{self, ErrorKind};

/// Returns the recommended action, as the end of a sentence that describes the error.
pub(super) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "do it as the user who owns it, give it to this user (chown), or choose another data folder \
             (WARMUP_DATA_DIR, or `warmup local --data DIR`)"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room there, or choose a data folder on another disk (WARMUP_DATA_DIR, or `warmup local --data DIR`)"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "nothing can be written there: choose another data folder (WARMUP_DATA_DIR, or `warmup local --data DIR`)"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a file stands where a folder should be: choose another data folder (WARMUP_DATA_DIR, or `warmup local \
             --data DIR`)"
        }
        _ => "choose another data folder (WARMUP_DATA_DIR, or `warmup local --data DIR`) if this one can't be mended",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_depends_on_what_is_wrong() {
        for (kind, part) in [
            (ErrorKind::PermissionDenied, "chown"),
            (ErrorKind::StorageFull, "make room"),
            (ErrorKind::ReadOnlyFilesystem, "nothing can be written"),
            (ErrorKind::NotADirectory, "a file stands"),
            (ErrorKind::NotFound, "choose another"),
        ] {
            assert!(advice(&io::Error::from(kind)).contains(part), "{kind}");
        }
    }
}
