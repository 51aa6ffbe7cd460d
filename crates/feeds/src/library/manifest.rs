//! Which feeds a library has: `manifest.json`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bartizan_core::digest::Digest;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use serde::{Deserialize, Serialize};

use crate::error::Error;

const NAME: &str = "manifest.json";

/// The largest manifest, in bytes: a feed takes some 300.
const BYTES: u64 = 16 << 20;

/// The only format there is.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// Sorted by name, each once.
    pub(super) feeds: Vec<Feed>,
    /// What the last import could not read.
    pub(super) failed: Vec<Failed>,
}

/// One imported feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    pub name: String,
    /// Of the raw bytes; of several files, of their sorted digests.
    pub digest: Digest,
    pub records: u64,
    pub imported_at: Timestamp,
    /// When it was published, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// Why a newer one was held back, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<String>,
}

/// A file or a feed that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The feed's name where it is known, else the file's.
    pub what: String,
    pub reason: Reason,
    /// What is wrong, with file and place.
    pub problem: String,
}

impl Failed {
    pub(super) fn of(what: &str, error: &Error) -> Self {
        Failed { what: what.to_owned(), reason: error.reason(), problem: error.to_string() }
    }
}

impl Feed {
    /// The name of its file in the library.
    pub(super) fn file(&self) -> String {
        format!("{}-{}.feed", self.name, self.digest.short())
    }

    /// When what it says was so, as far as is known.
    pub fn as_of(&self) -> Timestamp {
        self.published_at.unwrap_or(self.imported_at)
    }
}

impl Manifest {
    pub(super) fn new(feeds: Vec<Feed>, failed: Vec<Failed>) -> Self {
        Manifest { format: FORMAT, feeds, failed }
    }
}

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// The manifest; none where the folder has none.
pub(super) fn read(folder: &Path) -> Result<Option<Manifest>, Error> {
    let path = path(folder);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("open", &path, error)),
    };
    let mut bytes = Vec::new();
    file.take(BYTES + 1).read_to_end(&mut bytes).map_err(|error| Error::file("read", &path, error))?;
    let name = path.display().to_string();
    if bytes.len() as u64 > BYTES {
        return Err(Error::Limit { file: name, what: "bytes of a manifest", limit: BYTES });
    }
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| Error::json(&name, "", error))?;
    if manifest.format != FORMAT {
        let problem = format!("its format is {}, and {FORMAT} is known here", manifest.format);
        return Err(Error::broken(&name, "format", problem));
    }
    // A feed's name becomes the name of a file.
    let is_plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    match manifest.feeds.iter().find(|feed| !is_plain(&feed.name)) {
        Some(feed) => {
            Err(Error::broken(&name, "feeds", format_args!("`{}` is no name of a feed", feed.name)))
        }
        None => Ok(Some(manifest)),
    }
}

/// Replaces the manifest in one step.
pub(super) fn write(folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    let target = path(folder);
    let temporary = folder.join(format!(".{NAME}.tmp"));
    let written = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(manifest)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &target)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(|error| Error::file("write", &target, error))
}
