//! What an agent keeps on disk: its identity, and the count of its starts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bartizan_core::error::Class;

/// The largest file of state that is read back, in bytes.
const FILE_BYTES_LIMIT: u64 = 1 << 20;

/// The agent's folder, held by one agent at a time.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    epoch: u64,
    // Held open for its lock: a second agent on the same folder would count the same epoch.
    _lock: File,
}

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("another agent uses {}; one folder is for one agent", .0.display())]
    InUse(PathBuf),
    #[error("can't {doing} {}: {source}", path.display())]
    Disk { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{} holds `{held}`, which is no count of starts; enrol this agent anew", path.display())]
    BrokenEpoch { path: PathBuf, held: String },
}

impl Error {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Error::InUse(_) => Class::Conflict,
            Error::Disk { .. } => Class::Unavailable,
            Error::BrokenEpoch { .. } => Class::Invalid,
        }
    }
}

impl State {
    /// Opens the folder, makes it where it is missing, and counts this start. The new epoch is
    /// on disk before this returns, so that no two runs ever report under the same one.
    pub fn open(folder: impl Into<PathBuf>) -> Result<State, Error> {
        let folder = folder.into();
        let disk = |doing| {
            let path = folder.clone();
            move |source| Error::Disk { doing, path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(disk("make"))?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("lock"))
            .map_err(disk("open the lock in"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::InUse(folder)),
            Err(fs::TryLockError::Error(source)) => return Err(disk("lock")(source)),
        }
        let mut state = State { folder, epoch: 0, _lock: lock };
        let before = match state.read("epoch")? {
            None => 0,
            Some(bytes) => {
                let held = String::from_utf8_lossy(&bytes).trim().to_owned();
                let path = state.folder.join("epoch");
                held.parse().map_err(|_| Error::BrokenEpoch { path, held })?
            }
        };
        state.epoch = before + 1;
        state.write("epoch", state.epoch.to_string().as_bytes())?;
        Ok(state)
    }

    /// How many times an agent has started on this folder, this start included.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A place inside the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The content of a file of state; none where it was never written.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read_up_to(name, FILE_BYTES_LIMIT)
    }

    /// The same for a file that may be larger than most.
    pub fn read_up_to(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(name);
        let disk = |source| Error::Disk { doing: "read", path: path.clone(), source };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk(error)),
            Ok(metadata) if metadata.len() > limit => {
                return Err(disk(io::Error::other(format!("it has more than {limit} bytes"))));
            }
            Ok(_) => {}
        }
        fs::read(&path).map(Some).map_err(disk)
    }

    /// Replaces a file of state wholly or not at all; it is on disk when this returns.
    /// Only the agent's own account may read it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        replace(&path, bytes).map_err(|source| Error::Disk { doing: "write", path, source })
    }

    /// Removes a file of state; one that is not there is no error.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::Disk { doing: "remove", path, source })
            }
            _ => Ok(()),
        }
    }
}

/// Writes aside, syncs, renames, and syncs the folder.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn every_start_counts_and_the_count_outlives_the_agent() {
        let folder = tempfile::tempdir().unwrap();
        for expected in 1..=3 {
            assert_eq!(State::open(folder.path()).unwrap().epoch(), expected);
        }
    }

    #[test]
    fn a_second_agent_on_the_same_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = State::open(folder.path()).unwrap();
        assert!(matches!(State::open(folder.path()), Err(Error::InUse(_))));
        drop(first);
        assert_eq!(State::open(folder.path()).unwrap().epoch(), 2, "the refused start counted nothing");
    }

    #[test]
    fn a_broken_count_is_not_started_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("epoch"), "x").unwrap();
        let error = State::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("enrol this agent anew"), "{error}");
    }

    #[test]
    fn state_is_private_and_comes_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        assert_eq!(state.read("key").unwrap(), None);
        state.write("key", b"secret").unwrap();
        assert_eq!(state.read("key").unwrap().unwrap(), b"secret");
        let mode = std::fs::metadata(state.path("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        state.remove("key").unwrap();
        state.remove("key").unwrap();
    }
}
