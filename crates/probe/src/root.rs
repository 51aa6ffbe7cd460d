//! The file system that is observed: this host's own, or one that lies under a folder.
//!
//! A path is resolved inside the root, component by component over directory descriptors: a
//! symbolic link that points out of it is followed inside it, as a chroot would, whatever
//! changes meanwhile. Every read is capped by a named [`Limit`], and no read waits: a pipe
//! or a device where a file is expected is an error.

mod resolve;

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bartizan_core::error::Class;
use bartizan_core::verdict::Reason;

/// The most that is read of one kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it limits, for whoever reads the error: `dpkg status`.
    pub name: &'static str,
    pub bytes: u64,
}

/// Small files that people write: configuration, os-release.
pub const CONFIGURATION: Limit = Limit { name: "configuration file", bytes: 4 << 20 };

/// Entries read of one folder: a folder with more is no folder that a collector looks into.
const FOLDER_ENTRIES: usize = 100_000;

/// The root of what is observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    path: PathBuf,
}

/// Text of a file. What is not UTF-8 stands in it as U+FFFD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    /// The offset of the first byte that is not UTF-8, where there is one.
    pub invalid_at: Option<usize>,
}

/// Why something under the root could not be read. Paths are those inside the root.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the root {} is no folder that can be read: {source}", path.display())]
    NoRoot { path: PathBuf, source: io::Error },
    #[error("{} does not exist", path.display())]
    Missing { path: PathBuf },
    #[error("{} may not be read", path.display())]
    Denied { path: PathBuf },
    #[error("{} is no regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error("{} is larger than the limit for a {}, {} bytes", path.display(), limit.name, limit.bytes)]
    Limit { path: PathBuf, limit: Limit },
    #[error("can't read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

impl Error {
    pub fn class(&self) -> Class {
        match self {
            Error::NoRoot { .. } | Error::Missing { .. } => Class::NotFound,
            Error::Denied { .. } => Class::Denied,
            Error::NotAFile { .. } => Class::Invalid,
            Error::Limit { .. } => Class::Limit,
            Error::Read { .. } => Class::Unavailable,
        }
    }

    /// The reason that a verdict carries when this stood in the way.
    pub fn reason(&self) -> Reason {
        match self {
            Error::Denied { .. } => Reason::Denied,
            Error::NoRoot { .. } | Error::Missing { .. } | Error::Read { .. } => Reason::Error,
            Error::NotAFile { .. } | Error::Limit { .. } => Reason::Unsupported,
        }
    }

    fn at(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::Missing { path },
            io::ErrorKind::PermissionDenied => Error::Denied { path },
            _ => Error::Read { path, source },
        }
    }
}

impl Root {
    /// This host's own root.
    pub fn host() -> Self {
        Self { path: PathBuf::from("/") }
    }

    /// The root at a folder.
    pub fn at(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let source = match std::fs::canonicalize(path) {
            Ok(path) if path.is_dir() => return Ok(Self { path }),
            Ok(_) => io::ErrorKind::NotADirectory.into(),
            Err(source) => source,
        };
        Err(Error::NoRoot { path: path.to_owned(), source })
    }

    /// Whether this is the running host's own root, whose kernel and processes are those in view.
    pub fn is_host(&self) -> bool {
        self.path == Path::new("/")
    }

    /// The folder on this host where the root lies, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file for reading.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<File, Error> {
        let path = path.as_ref();
        let file = resolve::open(&self.path, path).map_err(|source| Error::at(path, source))?;
        let metadata = file.metadata().map_err(|source| Error::at(path, source))?;
        if !metadata.is_file() {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        Ok(file)
    }

    /// The whole of a file within the limit; a larger one is an error, never a part.
    pub fn read(&self, path: impl AsRef<Path>, limit: Limit) -> Result<Vec<u8>, Error> {
        let path = path.as_ref();
        let file = self.open(path)?;
        let expected = file.metadata().map_or(0, |metadata| metadata.len());
        if expected > limit.bytes {
            return Err(Error::Limit { path: path.to_owned(), limit });
        }
        // Files under /proc say that they are empty: the length is a hint, not a promise.
        let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0).saturating_add(1));
        let read = file.take(limit.bytes.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|source| Error::at(path, source))?;
        if bytes.len() as u64 > limit.bytes {
            return Err(Error::Limit { path: path.to_owned(), limit });
        }
        Ok(bytes)
    }

    /// The whole of a file as text.
    pub fn read_text(&self, path: impl AsRef<Path>, limit: Limit) -> Result<Text, Error> {
        self.read(path, limit).map(Text::from)
    }

    /// What stands at a path, links followed inside the root.
    pub fn metadata(&self, path: impl AsRef<Path>) -> Result<Metadata, Error> {
        let path = path.as_ref();
        let file = resolve::handle(&self.path, path).map_err(|source| Error::at(path, source))?;
        file.metadata().map_err(|source| Error::at(path, source))
    }

    /// Whether something stands at a path, links followed inside the root.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.metadata(path).is_ok()
    }

    /// Where the symbolic link at a path leads, as it is written; none where no link stands there.
    /// The links on the way to it are followed inside the root.
    pub fn link(&self, path: impl AsRef<Path>) -> Result<Option<PathBuf>, Error> {
        let path = path.as_ref();
        match resolve::link(&self.path, path) {
            Ok(target) => Ok(Some(target)),
            Err(source) if source.kind() == io::ErrorKind::InvalidInput => Ok(None),
            Err(source) => Err(Error::at(path, source)),
        }
    }

    /// The names in a folder, sorted; a missing folder is [`Error::Missing`].
    pub fn names(&self, path: impl AsRef<Path>) -> Result<Vec<String>, Error> {
        let path = path.as_ref();
        let mut names =
            resolve::names(&self.path, path, FOLDER_ENTRIES).map_err(|source| Error::at(path, source))?;
        names.sort_unstable();
        Ok(names)
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self { text, invalid_at: None },
            Err(error) => Self {
                invalid_at: Some(error.utf8_error().valid_up_to()),
                text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
