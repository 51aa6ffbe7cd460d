//! Where the feeds are: an imported library, or raw feeds that are imported into a cache first.

use std::env;
use std::path::{Path, PathBuf};

use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use bartizan_feeds::error::Error;
use bartizan_feeds::library::{Library, fingerprint};

use super::{failure, with_progress};
use crate::exit::Failure;
use crate::printer::printable;
use crate::scan::Unknown;

/// A library, where there is one, and what is unknown for want of a feed.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) library: Option<Library>,
    pub(crate) unknown: Vec<Unknown>,
}

/// The folder of imported feeds where none is named.
pub(crate) fn default_folder() -> Result<PathBuf, Failure> {
    folder_of_user("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("bartizan/feeds"))
}

/// Opens the library in the named folder, or the default one; imports it first where it holds raw feeds.
///
/// A named folder that is missing is the caller's mistake. A library that can't be read leaves
/// everything unknown.
pub(crate) fn open(named: Option<&Path>, now: Timestamp) -> Result<Opened, Failure> {
    let folder = match named {
        Some(folder) => folder.to_owned(),
        None => default_folder()?,
    };
    let opened = match Library::open(&folder) {
        Err(Error::Missing { .. }) if named.is_some() => cached(&folder, now)?,
        other => other,
    };
    Ok(match opened {
        Ok(library) => {
            let mut unknown: Vec<Unknown> = library.failed().iter().map(Unknown::of_feed).collect();
            if library.status().is_empty() {
                unknown.push(no_feed("every feed of the folder is broken"));
            }
            Opened { unknown, library: Some(library) }
        }
        Err(error) => {
            let problem = printable(&error.to_string());
            let unknown = Unknown { what: "feeds".to_owned(), reason: error.reason(), problem };
            Opened { library: None, unknown: vec![unknown] }
        }
    })
}

fn no_feed(problem: &str) -> Unknown {
    Unknown { what: "feeds".to_owned(), reason: Reason::Unassigned, problem: problem.to_owned() }
}

/// Imports raw feeds into a folder of the cache that is named after their names, sizes and times.
#[expect(clippy::print_stderr, reason = "talk goes to standard error")]
fn cached(raw: &Path, now: Timestamp) -> Result<Result<Library, Error>, Failure> {
    let key = fingerprint(raw).map_err(|error| failure(&error))?;
    let into = folder_of_user("XDG_CACHE_HOME", ".cache")?.join("bartizan/feeds").join(key.short());
    if let Ok(library) = Library::open(&into) {
        return Ok(Ok(library));
    }
    eprintln!("importing {} into {}", printable(&raw.display().to_string()), into.display());
    let summary = with_progress(raw, &into, now, false)?;
    for failed in &summary.failed {
        eprintln!("failed {}: {}", printable(&failed.what), printable(&failed.problem));
    }
    Ok(Library::open(&into))
}

/// A folder of this user's (XDG Base Directory Specification).
fn folder_of_user(variable: &str, below_home: &str) -> Result<PathBuf, Failure> {
    let absolute = |value: std::ffi::OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    if let Some(folder) = env::var_os(variable).and_then(absolute) {
        return Ok(folder);
    }
    match env::var_os("HOME").and_then(absolute) {
        Some(home) => Ok(home.join(below_home)),
        None => Err(Failure::invalid(format_args!("neither {variable} nor HOME names a folder"))
            .hint("name one with --feeds or --into")),
    }
}
