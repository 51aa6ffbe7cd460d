//! `bartizan feeds`: imports advisories, and says which there are.

pub(crate) mod open;
#[cfg(feature = "server")]
mod sync;

use std::path::{Path, PathBuf};

use bartizan_core::digest::Digest;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_feeds::error::Error;
use bartizan_feeds::library::{Failed, Library, Progress, Summary};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::exit::{Answer, Failure};
use crate::now;
use crate::printer::{Format, Printer, Rows, printable};

/// Import advisories, and show which there are.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Import feeds from folders and files.
    ///
    /// Known are the Debian tracker's JSON (tracker.json), OSV's zips (all.zip) and records, CISA's
    /// known_exploited_vulnerabilities.json and EPSS's epss*.csv or .csv.gz. Each feed is replaced wholly
    /// or not at all.
    Import(Import),
    /// Show which feeds there are, and how old.
    Status(Status),
    #[cfg(feature = "server")]
    Sync(sync::Arguments),
}

#[derive(Debug, clap::Args)]
struct Import {
    /// Folders and files with feeds.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The folder of the imported feeds [default: bartizan/feeds in $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Take a feed also where it lost more than half of its records.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct Status {
    /// The folder of the imported feeds [default: bartizan/feeds in $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) fn run(arguments: Arguments) -> Result<Answer, Failure> {
    match arguments.verb {
        Verb::Import(arguments) => import(&arguments),
        Verb::Status(arguments) => status(arguments),
        #[cfg(feature = "server")]
        Verb::Sync(arguments) => sync::run(arguments),
    }
}

fn import(arguments: &Import) -> Result<Answer, Failure> {
    let into = match &arguments.into {
        Some(into) => into.clone(),
        None => open::default_folder()?,
    };
    let at = now();
    let mut broken = Vec::new();
    for path in &arguments.paths {
        let summary = with_progress(path, &into, at, arguments.force)?;
        tell(&summary);
        broken.extend(summary.failed);
    }
    match broken.first() {
        None => Ok(Answer::Answered),
        Some(first) => {
            Err(Failure::invalid(printable(&first.problem)).hint("what was imported before still stands"))
        }
    }
}

/// Imports with a bar on standard error, where that is a terminal.
pub(crate) fn with_progress(raw: &Path, into: &Path, at: Timestamp, force: bool) -> Result<Summary, Failure> {
    let bar = bar();
    let mut file = PathBuf::new();
    let summary = Library::import(raw, into, at, force, &mut |progress: Progress| {
        if progress.file != file {
            bar.set_message(printable(&progress.file.display().to_string()));
            file = progress.file;
        }
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    });
    bar.finish_and_clear();
    summary.map_err(|error| failure(&error))
}

/// A bar of bytes on standard error, where that is a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {elapsed}") {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

/// Says on standard error what an import did.
#[expect(clippy::print_stderr, reason = "talk goes to standard error")]
fn tell(summary: &Summary) {
    for imported in &summary.imported {
        let feed = &imported.feed;
        let before = imported.before.map_or_else(String::new, |before| format!(", {before} before"));
        eprintln!("imported {}: {} records{before} ({})", feed.name, feed.records, feed.digest.short());
    }
    for held in &summary.held_back {
        eprintln!("warning: {}", held.warning);
        eprintln!(" hint: look at the file; --force takes it as it is");
    }
    for path in &summary.left_out {
        eprintln!(
            "left out {}: another file of the same feed was taken",
            printable(&path.display().to_string())
        );
    }
    for failed in &summary.failed {
        eprintln!("failed {}: {}", printable(&failed.what), printable(&failed.problem));
    }
}

/// The failure that an error of the feeds is.
pub(crate) fn failure(error: &Error) -> Failure {
    let failure = Failure::new(error.class(), printable(&error.to_string()));
    match error {
        Error::NoFeed { .. } => failure.hint(
            "known are tracker.json, all.zip of OSV, known_exploited_vulnerabilities.json and epss*.csv.gz",
        ),
        _ => failure,
    }
}

/// A feed as answers name it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FeedLine {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    /// How long ago it was published, or imported where it does not say; in whole seconds.
    pub(crate) age: Duration,
    records: u64,
    imported_at: String,
    published_at: Option<String>,
    held_back: Option<String>,
}

/// The feeds of a library, with their age.
pub(crate) fn lines(library: &Library, now: Timestamp) -> Vec<FeedLine> {
    let line = |feed: &bartizan_feeds::library::Feed| FeedLine {
        name: feed.name.clone(),
        digest: feed.digest,
        age: age(feed.as_of(), now),
        records: feed.records,
        imported_at: feed.imported_at.to_string(),
        published_at: feed.published_at.map(|at| at.to_string()),
        held_back: feed.held_back.clone(),
    };
    library.status().iter().map(line).collect()
}

fn age(since: Timestamp, now: Timestamp) -> Duration {
    let seconds = u32::try_from(now.since(since).as_millis() / 1000).unwrap_or(u32::MAX);
    Duration::from_secs(seconds)
}

#[derive(Debug, Serialize)]
struct Listing {
    digest: Digest,
    feeds: Vec<FeedLine>,
    failed: Vec<Failed>,
}

fn status(arguments: Status) -> Result<Answer, Failure> {
    let folder = match arguments.feeds {
        Some(folder) => folder,
        None => open::default_folder()?,
    };
    let library = Library::open(&folder)
        .map_err(|error| failure(&error).hint("`bartizan feeds import PATH` makes a library"))?;
    let listing = Listing {
        digest: library.digest(),
        feeds: lines(&library, now()),
        failed: library.failed().to_vec(),
    };
    Printer::new(arguments.output).print(&listing, |listing| {
        let feeds = listing.feeds.iter().map(|feed| {
            vec![
                feed.name.clone(),
                feed.records.to_string(),
                feed.age.to_string(),
                feed.imported_at.clone(),
                feed.digest.short(),
                feed.held_back.clone().unwrap_or_default(),
            ]
        });
        let failed = listing.failed.iter().map(|failed| {
            let unknown = format!("unknown: {}", failed.reason);
            vec![
                failed.what.clone(),
                unknown,
                String::new(),
                String::new(),
                String::new(),
                failed.problem.clone(),
            ]
        });
        Rows {
            header: vec!["feed", "records", "age", "imported", "digest", "note"],
            rows: feeds.chain(failed).collect(),
        }
    })?;
    Ok(Answer::Answered)
}
