//! The folder of all state: private to its owner, and to one `up` at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// The file whose lock says that the folder is in use.
const LOCK: &str = "up.lock";

/// A folder of state that is ours while this is held.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    // Held open for its lock: a second `up` would open the same store beside the first.
    _lock: File,
}

impl State {
    /// Opens the folder, which nobody else may read, and takes its lock; makes it where it is missing.
    pub(super) fn open(named: Option<&Path>) -> Result<State, Failure> {
        let path = match named {
            Some(named) => named.to_owned(),
            None => crate::client::state_folder()?,
        };
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| {
            Failure::unavailable(format_args!("can't make {}: {error}", path.display()))
                .hint("--state names another folder")
        })?;
        let failed = |error| Failure::unavailable(format_args!("can't look at {}: {error}", path.display()));
        let mode = fs::metadata(&path).map_err(failed)?.permissions().mode() & 0o777;
        // One that was there before may be somebody else's, or hold something else: its mode is theirs.
        if mode & 0o077 != 0 {
            let path = path.display();
            return Err(Failure::invalid(format_args!("others may look into {path} (mode {mode:o})")).hint(
                format_args!("it will hold keys: `chmod 700 {path}`, or --state names another folder"),
            ));
        }
        let locked = |error| Failure::unavailable(format_args!("can't lock {}: {error}", path.display()));
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
        let lock = lock.map_err(locked)?;
        match lock.try_lock() {
            Ok(()) => Ok(State { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let problem = format!("another `bartizan up` uses {}", path.display());
                Err(Failure::invalid(problem).hint("stop it first, or name another folder with --state"))
            }
            Err(TryLockError::Error(error)) => Err(locked(error)),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use std::fs;

    use super::*;

    #[test]
    fn a_folder_of_state_that_others_may_look_into_is_refused() {
        let held = tempfile::tempdir().unwrap();
        let path = held.path().join("state");
        let open = || State::open(Some(&path));
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(open().is_ok(), "a fresh one is private");
        for wide in [0o755, 0o750, 0o701] {
            mode(wide);
            let (words, hint) = open().err().unwrap().into_words();
            assert!(words.contains(&format!("{wide:o}")) && hint.unwrap().contains("chmod 700"), "{words}");
        }
        mode(0o700);
        assert!(open().is_ok());
    }
}
