//! Feeds: brought into this server's library, and told to the stages.

use std::path::PathBuf;

use bartizan_core::time::Timestamp;
use bartizan_feeds::library::{Library, Progress};
use bartizan_store::feed::Feed;

use crate::problem::Problem;
use crate::web::Web;

/// What an import brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The feeds that are there now, and how many records each has.
    pub feeds: Vec<(String, u64)>,
    /// What could not be read, and why; what was known of it stays.
    pub problems: Vec<String>,
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
