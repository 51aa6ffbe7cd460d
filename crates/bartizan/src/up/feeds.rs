//! Feeds for `up`: imported beside the server's start, so that nothing waits for them.

use std::path::{Path, PathBuf};

use bartizan_server::feed_sync::Imported;
use bartizan_server::problem::Problem;
use bartizan_server::{App, feed_sync};
use tokio::task::JoinSet;

use super::summary;

/// The folder of imported feeds, in the folder of state.
const LIBRARY: &str = "feeds";

/// Starts the import, and the looks for newer feeds where they are asked for; without any feeds, says
/// that vulnerabilities stay unknown.
pub(super) fn start(app: &App, state: &Path, raw: Option<PathBuf>, sync: bool) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (web, library) = (app.web.clone(), state.join(LIBRARY));
    if raw.is_none() && !library.exists() && !sync {
        summary::say(
            "no feeds: vulnerabilities are unknown; --feeds names a folder of them, --sync fetches them",
        );
        return tasks;
    }
    tasks.spawn(async move {
        if raw.is_some() || library.exists() {
            tell(feed_sync::import(&web, raw, library.clone()).await);
        }
        if sync {
            // The set of tasks ends this one.
            loop {
                tell(feed_sync::sync_web(&web, library.clone()).await);
                tokio::time::sleep(feed_sync::INTERVAL.to_std()).await;
            }
        }
    });
    tasks
}

fn tell(imported: Result<Imported, Problem>) {
    match imported {
        Ok(imported) => {
            for problem in &imported.problems {
                summary::say(&format!("feeds: {problem}"));
            }
            for (name, records) in &imported.feeds {
                summary::say(&format!("feeds: {name}, {records} records"));
            }
        }
        Err(problem) => summary::say(&format!("feeds: {}", problem.title())),
    }
}
