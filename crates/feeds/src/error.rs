//! What is wrong with a feed, or with the folder that imported feeds lie in.

use std::io;
use std::path::{Path, PathBuf};

use bartizan_core::error::Class;
use bartizan_core::verdict::Reason;

/// Why a feed could not be read or kept. Files are named as the caller named them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} does not exist", path.display())]
    Missing { path: PathBuf },
    #[error("can't {doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{}", broken(file, place, problem))]
    Broken {
        file: String,
        /// The JSON path, the line or the archive's entry; empty where the whole file is meant.
        place: String,
        problem: String,
    },
    #[error("{file} passes the limit for {what}, {limit}")]
    Limit { file: String, what: &'static str, limit: u64 },
    #[error("{} holds no feed that is known here", path.display())]
    NoFeed { path: PathBuf },
}

impl Error {
    pub fn class(&self) -> Class {
        match self {
            Error::Missing { .. } | Error::NoFeed { .. } => Class::NotFound,
            Error::File { .. } => Class::Unavailable,
            Error::Broken { .. } => Class::Invalid,
            Error::Limit { .. } => Class::Limit,
        }
    }

    /// The reason that a verdict carries when this stood in the way.
    pub fn reason(&self) -> Reason {
        match self {
            Error::Missing { .. } | Error::NoFeed { .. } => Reason::Unassigned,
            Error::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Reason::Denied,
            Error::File { .. } | Error::Limit { .. } => Reason::Error,
            Error::Broken { .. } => Reason::Unparsable,
        }
    }

    pub(crate) fn broken(file: &str, place: impl ToString, problem: impl ToString) -> Self {
        Error::Broken { file: file.to_owned(), place: place.to_string(), problem: problem.to_string() }
    }

    pub(crate) fn file(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Error::Missing { path },
            _ => Error::File { doing, path, source },
        }
    }

    /// Of an error while JSON was read at `path`. What the reader itself could not give is no fault
    /// of the feed.
    pub(crate) fn json(file: &str, path: &str, error: serde_json::Error) -> Self {
        if error.is_io() {
            return Error::File { doing: "read", path: file.into(), source: error.into() };
        }
        let place = if path == "." { String::new() } else { path.to_owned() };
        Error::broken(file, place, error)
    }
}

fn broken(file: &str, place: &str, problem: &str) -> String {
    if place.is_empty() { format!("{file}: {problem}") } else { format!("{file} at {place}: {problem}") }
}
