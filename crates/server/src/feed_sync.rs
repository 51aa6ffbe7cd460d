//! Feeds: fetched from where they are published, brought into a library, and told to the stages.
//!
//! One loop serves `bartizan feeds sync` and the server. A source that can't be reached is an
//! answer, `unknown since T`: what was known of it stays, and grows old.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bartizan_core::document::Document;
use bartizan_core::error::Class;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Reason;
use bartizan_core::vulnerability::source::{self, FeedSource, Format};
use bartizan_feeds::library::{Library, Progress, Summary};
use bartizan_store::feed::Feed;

use crate::problem::Problem;
use crate::web::Web;

mod fetch;

use fetch::{Got, Place, State};

/// How often a server looks for newer feeds: trackers publish several times a day.
pub const INTERVAL: Duration = Duration::from_hours(6);

/// The most sources of one sync.
pub const SOURCES_LIMIT: usize = 64;

/// Why nothing could be synced: what stands in our own way. Sources' faults are answers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't keep {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("can't set up the client that fetches: {0}")]
    Client(String),
    #[error(transparent)]
    Feeds(#[from] bartizan_feeds::error::Error),
    #[error("there are {0} sources, more than {SOURCES_LIMIT}")]
    Sources(usize),
    #[error("a task of the import was lost: {0}")]
    Task(String),
}

impl Error {
    /// What class of error this is.
    pub fn class(&self) -> Class {
        match self {
            Error::File { .. } => Class::Unavailable,
            Error::Client(_) | Error::Task(_) => Class::Bug,
            Error::Feeds(error) => error.class(),
            Error::Sources(_) => Class::Limit,
        }
    }
}

/// What a sync is to do.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub sources: Vec<FeedSource>,
    /// The folder of the library; what was fetched lies in `raw` in it.
    pub library: PathBuf,
    /// Take a feed also where it lost more than half of its records.
    pub force: bool,
    /// The largest file that is fetched, in bytes, where it is less than what the server allows.
    pub bytes_limit: Option<u64>,
}

/// What became of one source.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Synced {
    pub source: String,
    pub url: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Fetched and imported.
    Updated { bytes: u64, feeds: Vec<String> },
    /// The source has nothing newer.
    Unchanged,
    /// It gave nothing that could be used, since then: what was known before stays.
    Unknown { since: Timestamp, reason: Reason, problem: String },
    /// It shrank implausibly: what was known before stays.
    HeldBack { problem: String },
}

/// How far a fetch or an import is: of what, bytes done, bytes in all where that is known.
pub type Tell = dyn Fn(&str, u64, Option<u64>) + Send + Sync;

/// What a sync has fetched of one source, before it is imported.
struct Fetched {
    source: FeedSource,
    place: Place,
    outcome: Outcome,
    /// Kept where the import takes it.
    state: Option<State>,
}

/// Fetches every source, and imports what is new. The outcomes stand in the order of the sources.
pub async fn sync(
    wanted: &Wanted,
    now: impl Fn() -> Timestamp + Clone + Send + 'static,
    tell: std::sync::Arc<Tell>,
) -> Result<Vec<Synced>, Error> {
    if wanted.sources.len() > SOURCES_LIMIT {
        return Err(Error::Sources(wanted.sources.len()));
    }
    let client = fetch::client()?;
    let raw = wanted.library.join("raw");
    let limit = wanted.bytes_limit.unwrap_or(fetch::BYTES_LIMIT).min(fetch::BYTES_LIMIT);
    let mut fetched = Vec::new();
    for source in &wanted.sources {
        let place = Place::of(&raw, source);
        let progress = |done, total| tell(&source.name, done, total);
        let got = fetch::fetch(&client, source, &place, limit, &progress).await?;
        let (outcome, state) = match got {
            Ok((Got::New(bytes), state)) => (Outcome::Updated { bytes, feeds: Vec::new() }, Some(state)),
            Ok((Got::Same, state)) => (Outcome::Unchanged, Some(state)),
            Err(failed) => (missed(&place, now(), failed.reason, failed.problem)?, None),
        };
        fetched.push(Fetched { source: source.clone(), place, outcome, state });
    }
    let (library, force, at) = (wanted.library.clone(), wanted.force, now());
    let importing = tokio::task::spawn_blocking(move || take_in(fetched, &raw, &library, force, at, &*tell));
    importing.await.map_err(|error| Error::Task(error.to_string()))?
}

/// Notes that a source gave nothing, and since when that is so.
fn missed(place: &Place, now: Timestamp, reason: Reason, problem: String) -> Result<Outcome, Error> {
    let mut state = place.state();
    let since = state.problem.as_ref().map_or(now, |(since, _)| *since);
    state.problem = Some((since, problem.clone()));
    place.keep(&state)?;
    Ok(Outcome::Unknown { since, reason, problem })
}

/// Imports the formats of which something is new; of the others the library notes that they are current.
fn take_in(
    mut fetched: Vec<Fetched>,
    raw: &Path,
    library: &Path,
    force: bool,
    at: Timestamp,
    tell: &Tell,
) -> Result<Vec<Synced>, Error> {
    let mut formats: BTreeMap<Format, bool> = BTreeMap::new();
    for one in fetched.iter().filter(|one| one.state.is_some()) {
        *formats.entry(one.source.format).or_default() |= matches!(one.outcome, Outcome::Updated { .. });
    }
    for (format, is_new) in formats {
        let at = current_at(&fetched, format, at);
        if !is_new {
            Library::confirm(library, at, |feed| publishes(format, feed))?;
            continue;
        }
        let mut progress = |progress: Progress| tell(format.as_str(), progress.done, Some(progress.total));
        let summary = Library::import(&raw.join(format.as_str()), library, at, force, &mut progress)?;
        for one in fetched.iter_mut().filter(|one| one.source.format == format && one.state.is_some()) {
            judge(one, &summary, at)?;
        }
    }
    let mut synced = Vec::new();
    for one in fetched {
        if let Some(state) = one.state {
            one.place.keep(&State { confirmed_at: Some(at), problem: None, ..state })?;
        }
        let (source, url) = (one.source.name, one.source.url);
        synced.push(Synced { source, url, outcome: one.outcome });
    }
    Ok(synced)
}

/// Since when the feeds of a format are current. Several sources may have one format, and a feed does not say
/// which of them it is from: all are as old as what the last of them confirmed.
fn current_at(fetched: &[Fetched], format: Format, at: Timestamp) -> Timestamp {
    let silent = fetched.iter().filter(|one| one.source.format == format && one.state.is_none());
    silent.filter_map(|one| one.place.state().confirmed_at).min().map_or(at, |confirmed| confirmed.min(at))
}

/// What the import made of what was fetched. What it did not take is fetched again next time.
fn judge(one: &mut Fetched, summary: &Summary, at: Timestamp) -> Result<(), Error> {
    if let Some(failed) = summary.failed.first() {
        one.state = None;
        forget(&one.place)?;
        one.outcome = missed(&one.place, at, failed.reason, failed.problem.clone())?;
    } else if let Some(held) = summary.held_back.first() {
        one.state = None;
        forget(&one.place)?;
        one.outcome = Outcome::HeldBack { problem: held.warning.clone() };
    } else if let Outcome::Updated { feeds, .. } = &mut one.outcome {
        *feeds = summary.imported.iter().map(|imported| imported.feed.name.clone()).collect();
    }
    Ok(())
}

fn forget(place: &Place) -> Result<(), Error> {
    place.keep(&State { etag: None, last_modified: None, ..place.state() })
}

/// The sources that a folder of documents, or the server's own, name; others are passed over.
pub fn sources<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Vec<FeedSource> {
    let named = documents.into_iter().filter(|document| document.kind == source::KIND);
    let read = |document: &'a Document| match FeedSource::from_document(document) {
        Ok(source) => Some(source),
        Err(fault) => {
            tracing::error!(document.name = document.name, error = %fault, "a feed source can't be read");
            None
        }
    };
    named.filter_map(read).collect()
}

/// The sources that steer this server: those of the highest environment that has any, since there is
/// one library for all of them. Whoever may apply something in `dev` alone steers no other.
async fn applied(web: &Web) -> Result<Vec<FeedSource>, Problem> {
    let ladder = web.store.ladder().await?;
    let applied = web.store.documents_of_kind(source::KIND).await?;
    let of = |name: &str| {
        let here = applied.iter().filter(|applied| applied.environment == name);
        here.map(|applied| &applied.document).collect::<Vec<_>>()
    };
    let mut rungs = ladder.rungs().iter().rev().map(|rung| of(&rung.name));
    Ok(sources(rungs.find(|documents| !documents.is_empty()).unwrap_or_default()))
}

/// What an import brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The feeds that are there now, and how many records each has.
    pub feeds: Vec<(String, u64)>,
    /// What could not be read, and why; what was known of it stays.
    pub problems: Vec<String>,
}

/// Looks for newer feeds by the sources that are applied, and takes them up. What a source did wrong
/// is in the problems.
pub async fn sync_web(web: &Web, library: PathBuf) -> Result<Imported, Problem> {
    let sources = applied(web).await?;
    let wanted = Wanted { sources, library: library.clone(), force: false, bytes_limit: None };
    let ambient = web.ambient.clone();
    let quiet: std::sync::Arc<Tell> = std::sync::Arc::new(|_: &str, _, _| {});
    let synced = sync(&wanted, move || ambient.now(), quiet).await;
    let synced = synced.map_err(|error| Problem::new(error.class(), error))?;
    let mut imported = import(web, None, library).await?;
    for (source, one) in wanted.sources.iter().zip(&synced) {
        if let Outcome::Unknown { since, problem, .. } = &one.outcome {
            note(web, source.format, (problem, *since)).await?;
        }
    }
    let told = synced.into_iter().filter_map(|one| match one.outcome {
        Outcome::Unknown { since, reason, problem } => {
            Some(format!("{}: unknown since {since} ({reason}): {problem}", one.source))
        }
        Outcome::HeldBack { problem } => Some(format!("{}: {problem}", one.source)),
        Outcome::Updated { .. } | Outcome::Unchanged => None,
    });
    imported.problems.extend(told);
    Ok(imported)
}

/// Writes down what stands between a source and its feeds, where the console shows it.
async fn note(web: &Web, format: Format, problem: (&str, Timestamp)) -> Result<(), Problem> {
    for feed in web.store.feeds().await?.into_iter().filter(|feed| publishes(format, &feed.name)) {
        let problem = Some((problem.0.to_owned(), problem.1));
        web.store.put_feed(&Feed { problem, ..feed }).await?;
    }
    Ok(())
}

/// Whether a format's sources publish the feed of this name: `osv` publishes `osv-debian`.
fn publishes(format: Format, feed: &str) -> bool {
    feed.split('-').next() == Some(format.as_str())
}

/// Imports the feeds of a folder, or takes up what was imported before where none is named.
/// What can't be read is told in the outcome and on the feed; nothing that is known is lost.
pub async fn import(web: &Web, raw: Option<PathBuf>, library: PathBuf) -> Result<Imported, Problem> {
    let now = web.ambient.now();
    let read = tokio::task::spawn_blocking(move || read(raw, library, now));
    let read = read.await.map_err(|error| Problem::new(bartizan_core::error::Class::Bug, error))?;
    let (library, problems) = match read {
        Ok(read) => read,
        Err(problem) => return Ok(Imported { feeds: Vec::new(), problems: vec![problem] }),
    };
    let known = web.store.feeds().await?;
    let mut imported = Imported { feeds: Vec::new(), problems };
    for feed in library.status() {
        imported.feeds.push((feed.name.clone(), feed.records));
        let row = Feed {
            name: feed.name.clone(),
            digest: feed.digest,
            records: feed.records,
            imported_at: feed.imported_at,
            published_at: feed.published_at,
            problem: feed.held_back.clone().map(|problem| (problem, now)),
        };
        if !known.contains(&row) {
            web.store.put_feed(&row).await?;
        }
    }
    if !library.status().is_empty() {
        web.feeds.replace(library);
        web.nudges.feeds();
    }
    web.nudges.show();
    Ok(imported)
}

fn read(raw: Option<PathBuf>, folder: PathBuf, now: Timestamp) -> Result<(Library, Vec<String>), String> {
    let mut problems = Vec::new();
    if let Some(raw) = raw {
        let imported = Library::import(&raw, &folder, now, false, &mut |_: Progress| {});
        match imported {
            Ok(summary) => problems
                .extend(summary.failed.iter().map(|failed| format!("{}: {}", failed.what, failed.problem))),
            // What was imported before still stands.
            Err(error) => problems.push(error.to_string()),
        }
    }
    if !folder.exists() {
        return Err(problems.pop().unwrap_or_else(|| "no feeds were imported yet".to_owned()));
    }
    Library::open(&folder).map(|library| (library, problems)).map_err(|error| error.to_string())
}
