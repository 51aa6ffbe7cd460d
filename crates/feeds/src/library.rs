//! Imported feeds on disk: each one file that is sorted by package and read by position.
//!
//! A library is a folder: a manifest that says which feeds there are, and a file of each feed whose
//! name ends in its digest. The manifest is replaced last and in one step, so that a reader sees the
//! old feeds or the new ones, never a part.

mod import;
mod index;
mod manifest;
mod source;

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::vulnerability::advisory::Record;
use bartizan_core::vulnerability::matching::{Match, Tuple, judge};

use crate::epss::{self, Cve, Estimate};
use crate::error::Error;
use crate::kev::{self, Exploited};

pub use import::{Held, Imported, Progress, Summary};
pub use index::ROW_BYTES;
pub use manifest::{Failed, Feed};
pub use source::fingerprint;

/// Packages whose records are kept decoded: a scan asks for the packages of one source in a row.
const KEPT: usize = 8;

/// How often a library that is being replaced is opened again.
const ATTEMPTS: usize = 3;

/// Imported feeds, open for questions.
#[derive(Debug)]
pub struct Library {
    feeds: Vec<Feed>,
    failed: Vec<Failed>,
    /// By feed.
    advisories: Vec<(String, index::Advisories)>,
    kev: Vec<Exploited>,
    epss: index::Scores,
    kept: Mutex<VecDeque<Kept>>,
}

/// The records of one package, decoded.
#[derive(Debug)]
struct Kept {
    key: String,
    records: Arc<Vec<Record>>,
}

impl Library {
    /// Opens the library in a folder. A feed whose file is missing or broken is none of its feeds, and
    /// stands in [`Library::failed`] instead.
    ///
    /// Fails where there is no library, or its manifest makes no sense.
    pub fn open(folder: &Path) -> Result<Library, Error> {
        let mut attempt = 1;
        loop {
            let manifest =
                manifest::read(folder)?.ok_or_else(|| Error::Missing { path: manifest::path(folder) })?;
            let (library, is_whole) = Library::of(folder, manifest.clone());
            // An import that ended between the two reads took the old files away.
            if is_whole || attempt == ATTEMPTS || manifest::read(folder)?.as_ref() == Some(&manifest) {
                return Ok(library);
            }
            attempt += 1;
        }
    }

    fn of(folder: &Path, manifest: manifest::Manifest) -> (Library, bool) {
        let mut library = Library {
            feeds: Vec::new(),
            failed: manifest.failed,
            advisories: Vec::new(),
            kev: Vec::new(),
            epss: index::Scores::default(),
            kept: Mutex::default(),
        };
        let mut is_whole = true;
        for feed in manifest.feeds {
            match library.add(&folder.join(feed.file()), &feed) {
                Ok(()) => library.feeds.push(feed),
                Err(error) => {
                    is_whole = false;
                    library.failed.push(Failed::of(&feed.name, &error));
                }
            }
        }
        (library, is_whole)
    }

    fn add(&mut self, path: &Path, feed: &Feed) -> Result<(), Error> {
        match feed.name.as_str() {
            kev::FEED => self.kev = index::read_kev(path)?,
            epss::FEED => self.epss = index::Scores::open(path)?,
            _ => self.advisories.push((feed.name.clone(), index::Advisories::open(path)?)),
        }
        Ok(())
    }

    /// The feeds there are, by name.
    pub fn status(&self) -> &[Feed] {
        &self.feeds
    }

    /// What the last import could not read, and feeds whose file is broken now.
    pub fn failed(&self) -> &[Failed] {
        &self.failed
    }

    /// The feed of this name.
    pub fn feed(&self, name: &str) -> Option<&Feed> {
        self.feeds.iter().find(|feed| feed.name == name)
    }

    /// One digest over all feeds: what a verdict was judged by.
    pub fn digest(&self) -> Digest {
        let parts = self.feeds.iter().flat_map(|feed| [feed.name.clone(), feed.digest.to_string()]);
        Digest::derived("feeds", parts.map(Value::String))
    }

    /// The packages whose records are not as an older library has them, sorted: ecosystem, release, name.
    pub fn changed_since(&self, older: &Library) -> Vec<[String; 3]> {
        let mut changed = BTreeSet::new();
        for (feed, advisories) in self.advisories() {
            match older.advisories().find(|(name, _)| *name == feed) {
                Some((_, held)) if held.is(advisories) => {}
                Some((_, held)) => changed.extend(advisories.changed_since(held)),
                None => changed.extend(advisories.packages()),
            }
        }
        for (feed, gone) in older.advisories() {
            if !self.advisories().any(|(name, _)| name == feed) {
                changed.extend(gone.packages());
            }
        }
        let parts = |package: &str| {
            let mut parts = package.splitn(3, '\t').map(str::to_owned);
            Some([parts.next()?, parts.next()?, parts.next()?])
        };
        changed.into_iter().filter_map(parts).collect()
    }

    fn advisories(&self) -> impl Iterator<Item = (&str, &index::Advisories)> {
        self.advisories.iter().map(|(feed, advisories)| (feed.as_str(), advisories))
    }

    /// Whether any feed speaks of this release. Of one that none speaks of nothing is known.
    pub fn covers(&self, ecosystem: &str, release: &str) -> bool {
        self.advisories().any(|(_, advisories)| advisories.covers(ecosystem, release))
    }

    /// What is known of one build: a match for each vulnerability, by name.
    pub fn matches(&self, tuple: &Tuple) -> Result<Vec<Match>, Error> {
        let source = self.records(&tuple.ecosystem, &tuple.release, &tuple.source)?;
        if tuple.package == tuple.source {
            return Ok(judge(tuple, &source));
        }
        let binary = self.records(&tuple.ecosystem, &tuple.release, &tuple.package)?;
        match (source.is_empty(), binary.is_empty()) {
            (_, true) => Ok(judge(tuple, &source)),
            (true, false) => Ok(judge(tuple, &binary)),
            (false, false) => {
                let both: Vec<Record> = source.iter().chain(binary.iter()).cloned().collect();
                Ok(judge(tuple, &both))
            }
        }
    }

    /// What all feeds say of packages of this name, source or binary.
    pub fn records(&self, ecosystem: &str, release: &str, name: &str) -> Result<Arc<Vec<Record>>, Error> {
        let key = index::key(ecosystem, release, name);
        {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = kept.iter().find(|kept| kept.key == key) {
                return Ok(Arc::clone(&found.records));
            }
        }
        let mut records = Vec::new();
        for (_, advisories) in self.advisories() {
            advisories.read(&key, &mut records)?;
        }
        let records = Arc::new(records);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(Kept { key, records: Arc::clone(&records) });
        Ok(records)
    }

    /// What CISA's catalogue says of a CVE.
    pub fn kev(&self, cve: &str) -> Option<&Exploited> {
        let at = self.kev.binary_search_by(|entry| entry.cve.as_str().cmp(cve)).ok()?;
        self.kev.get(at)
    }

    /// Whether a catalogue of exploited vulnerabilities was imported: without one nobody knows of any.
    pub fn has_catalogue(&self) -> bool {
        !self.kev.is_empty()
    }

    /// Every CVE of the catalogue of exploited vulnerabilities.
    pub fn exploited(&self) -> impl Iterator<Item = &str> {
        self.kev.iter().map(|entry| entry.cve.as_str())
    }

    /// How likely a CVE is to be exploited.
    pub fn epss(&self, cve: &str) -> Option<Estimate> {
        self.epss.find(Cve::parse(cve)?)
    }
}

#[cfg(test)]
mod tests;
