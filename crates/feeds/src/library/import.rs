//! Importing: raw feeds become files of a library, each feed wholly or not at all.

mod read;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::time::Timestamp;

use super::Library;
use super::index::{self, Spool};
use super::manifest::{self, Failed, Feed, Manifest};
use super::source::{self, Kind, Source};
use crate::error::Error;
use crate::{debian, epss, kev, osv};
use read::Tally;

/// How far an import is in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub file: PathBuf,
    /// Bytes read of it, and its bytes.
    pub done: u64,
    pub total: u64,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub imported: Vec<Imported>,
    /// Feeds that shrank implausibly, and were left as they were.
    pub held_back: Vec<Held>,
    /// What could not be read; the feeds that it belongs to were left as they were.
    pub failed: Vec<Failed>,
    /// Files of a feed of which another file, by name a newer one, was taken.
    pub left_out: Vec<PathBuf>,
}

/// A feed that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub feed: Feed,
    /// The records it had before, where there was one.
    pub before: Option<u64>,
}

/// A feed that was held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub name: String,
    pub warning: String,
}

/// A feed that was read, on its way into the library.
#[derive(Debug)]
struct Ready {
    name: String,
    digest: Digest,
    records: u64,
    published_at: Option<Timestamp>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Advisories(Spool),
    Plain(Vec<u8>),
}

impl Library {
    /// Imports the feeds that lie in a folder, or the one that a file is, at the time `at`.
    ///
    /// Each feed is replaced wholly or not at all. One that lost more than half of its records is held
    /// back, unless `force`. What can't be read is in the summary, not an error: an error means that
    /// nothing was replaced.
    pub fn import(
        raw: &Path,
        into: &Path,
        at: Timestamp,
        force: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Summary, Error> {
        let sources = source::find(raw)?;
        fs::create_dir_all(into).map_err(|error| Error::file("create", into, error))?;
        let _lock = lock(into)?;
        let old = match manifest::read(into) {
            Err(Error::Broken { .. }) if force => None,
            other => other?,
        };
        let old = old.map_or_else(Vec::new, |manifest| manifest.feeds);
        let mut summary = Summary::default();
        let mut feeds: BTreeMap<String, Feed> =
            old.into_iter().map(|feed| (feed.name.clone(), feed)).collect();
        for (name, sources) in groups(sources, &mut summary.left_out) {
            let ready = match read_group(name, &sources, into, progress) {
                Ok(ready) => ready,
                Err(error) => {
                    summary.failed.push(Failed::of(name, &error));
                    continue;
                }
            };
            for ready in ready {
                settle(ready, into, at, force, &mut feeds, &mut summary)?;
            }
        }
        let manifest = Manifest::new(feeds.into_values().collect(), summary.failed.clone());
        manifest::write(into, &manifest)?;
        sweep(into, &manifest);
        Ok(summary)
    }
}

impl Library {
    /// Notes that the feeds which `current` names were found to be the newest there are at this time.
    ///
    /// A folder without a library has none of them.
    pub fn confirm(folder: &Path, at: Timestamp, current: impl Fn(&str) -> bool) -> Result<(), Error> {
        if manifest::read(folder)?.is_none() {
            return Ok(());
        }
        let _lock = lock(folder)?;
        let Some(mut manifest) = manifest::read(folder)? else { return Ok(()) };
        for feed in manifest.feeds.iter_mut().filter(|feed| current(&feed.name)) {
            feed.imported_at = feed.imported_at.max(at);
        }
        manifest::write(folder, &manifest)
    }
}

/// Two imports at once would take away each other's files.
fn lock(into: &Path) -> Result<File, Error> {
    let path = into.join(".lock");
    let failed = |error| Error::file("lock", &path, error);
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

/// The sources by what is replaced together. All of OSV's files are one; of the others one file is taken.
fn groups(sources: Vec<Source>, left_out: &mut Vec<PathBuf>) -> BTreeMap<&'static str, Vec<Source>> {
    let mut groups: BTreeMap<&'static str, Vec<Source>> = BTreeMap::new();
    for source in sources {
        let name = match source.kind {
            Kind::Debian => debian::FEED,
            Kind::Osv | Kind::OsvZip => osv::FEED,
            Kind::Kev => kev::FEED,
            Kind::Epss => epss::FEED,
        };
        let group = groups.entry(name).or_default();
        if name != osv::FEED {
            left_out.extend(group.pop().map(|source| source.path));
        }
        group.push(source);
    }
    groups
}

fn read_group(
    name: &'static str,
    sources: &[Source],
    into: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Ready>, Error> {
    let mut tally = Tally::new(into, name);
    for source in sources {
        tally.read(source, progress)?;
    }
    tally.finish()
}

/// Writes a feed's file, unless it shrank too much.
fn settle(
    ready: Ready,
    into: &Path,
    at: Timestamp,
    force: bool,
    feeds: &mut BTreeMap<String, Feed>,
    summary: &mut Summary,
) -> Result<(), Error> {
    let before = feeds.get(&ready.name).map(|feed| feed.records);
    if let Some(old) = feeds.get_mut(&ready.name)
        && old.records / 2 > ready.records
        && !force
    {
        let warning = format!(
            "a newer {} has {} records where {} stood; it was held back",
            ready.name, ready.records, old.records
        );
        old.held_back = Some(warning.clone());
        summary.held_back.push(Held { name: ready.name, warning });
        return Ok(());
    }
    let feed = Feed {
        name: ready.name.clone(),
        digest: ready.digest,
        records: ready.records,
        imported_at: at,
        published_at: ready.published_at,
        held_back: None,
    };
    let target = into.join(feed.file());
    match ready.body {
        Body::Advisories(spool) => spool.finish(&target)?,
        Body::Plain(body) => index::write_body(&target, body)?,
    }
    feeds.insert(ready.name, feed.clone());
    summary.imported.push(Imported { feed, before });
    Ok(())
}

/// Takes away the files that the manifest no longer names. What can't be taken away costs room alone.
fn sweep(into: &Path, manifest: &Manifest) {
    let current: Vec<String> = manifest.feeds.iter().map(Feed::file).collect();
    let Ok(entries) = fs::read_dir(into) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.ends_with(".feed") || (name.starts_with('.') && name.ends_with(".spool"));
        if is_ours && !current.contains(&name) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The digest of a feed out of those of its files: the file's own where there is one.
fn digest(mut files: Vec<Digest>) -> Digest {
    files.sort_unstable();
    files.dedup();
    match files.as_slice() {
        [one] => *one,
        _ => Digest::derived("raw-feed", files.into_iter().map(|digest| Value::String(digest.to_string()))),
    }
}
