//! The host's own file: what its administrator lets the agent do. The server can't reach it.
//!
//! It counts only where root alone can write it; where it is missing, or anybody else may write
//! to it or to its folder, the agent observes and nothing else.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bartizan_core::canonical::Value;
use bartizan_core::error::Class;
use bartizan_core::order::{Allowed, Power, permit};
use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use serde::Deserialize;

/// Where it lies where nothing else is said.
pub const FILE: &str = "/etc/bartizan/agent.json";

/// The largest file, in bytes.
const BYTES_LIMIT: u64 = 64 << 10;

/// Why the file does not count. The agent goes on and only observes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("others than root may write to {}, so that what it allows does not count", .0.display())]
    Open(PathBuf),
    #[error("{} has more than {BYTES_LIMIT} bytes", .0.display())]
    TooLarge(PathBuf),
    #[error("{}: {problem}", path.display())]
    Broken { path: PathBuf, problem: String },
}

impl Error {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Error::Read { .. } => Class::Unavailable,
            Error::Open(_) => Class::Denied,
            Error::TooLarge(_) => Class::Limit,
            Error::Broken { .. } => Class::Invalid,
        }
    }
}

/// `{"allow": ["enforce"], "settings": ["sysctl:kernel.core_pattern"]}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Powers that are switched on.
    allow: BTreeSet<Power>,
    /// Names of settings that may be set beside the list of those that any host lets be set.
    #[serde(default)]
    settings: BTreeSet<String>,
}

/// What a file allows; nothing where there is none.
pub fn read(path: &Path) -> Result<Allowed, Error> {
    let path = &std::path::absolute(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let broken = |problem: String| Error::Broken { path: path.to_owned(), problem };
    let fault = |source| Error::Read { path: path.to_owned(), source };
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Allowed::default()),
        Err(source) => return Err(fault(source)),
    };
    // What is judged is what was opened, whatever stands under the name a moment later.
    let metadata = file.metadata().map_err(fault)?;
    if !metadata.is_file() {
        return Err(broken("is no plain file".to_owned()));
    }
    for place in path.ancestors().filter(|place| place.is_absolute()) {
        let metadata =
            if place == path { metadata.clone() } else { fs::symlink_metadata(place).map_err(fault)? };
        // An agent that is not root can write where its own account can: it only observes anyway
        // what root keeps, and its own files are as trustworthy as itself.
        let ours = [0, geteuid().as_raw()].contains(&metadata.uid());
        // In a sticky folder nobody renames what is another's: /tmp.
        let sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        if !ours || (metadata.mode() & 0o022 != 0 && !sticky) {
            return Err(Error::Open(place.to_owned()));
        }
    }
    if metadata.len() > BYTES_LIMIT {
        return Err(Error::TooLarge(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_LIMIT).read_to_end(&mut bytes).map_err(fault)?;
    let value = Value::parse_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    let written: Written = value.to_data().map_err(|error| broken(error.to_string()))?;
    let host = permit::Host { settings: written.settings, own: Vec::new() };
    Ok(Allowed { powers: written.allow, host })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.json");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_host_without_a_file_allows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("agent.json")).unwrap(), Allowed::default());
    }

    #[test]
    fn what_is_allowed_is_read() {
        let (_folder, path) =
            file(r#"{"allow": ["enforce"], "settings": ["sysctl:kernel.modprobe"]}"#, 0o644);
        let allowed = read(&path).unwrap();
        assert_eq!(allowed.powers, BTreeSet::from([Power::Enforce]));
        assert!(allowed.host.settings.contains("sysctl:kernel.modprobe"));
    }

    #[test]
    fn a_file_or_folder_that_others_may_write_to_does_not_count() {
        let (_folder, path) = file(r#"{"allow": ["enforce"]}"#, 0o666);
        assert!(matches!(read(&path), Err(Error::Open(open)) if open == path));
        let (folder, path) = file(r#"{"allow": ["enforce"]}"#, 0o600);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(read(&path), Err(Error::Open(open)) if open == folder.path()));
    }

    #[test]
    fn a_broken_file_says_what_is_wrong_with_it() {
        for text in ["", "{", r#"{"allow": ["everything"]}"#, r#"{"allow": [], "also": 1}"#] {
            let (_folder, path) = file(text, 0o600);
            assert!(matches!(read(&path), Err(Error::Broken { .. })), "{text}");
        }
    }
}
