//! Feeds for `up`: imported beside the server's start, so that nothing waits for them.

use std::path::{Path, PathBuf};

use bartizan_server::{App, feed_sync};
use tokio::task::JoinSet;

use super::summary;

/// The folder of imported feeds, in the folder of state.
const LIBRARY: &str = "feeds";

/// Starts the import; without feeds, says that vulnerabilities stay unknown.
pub(super) fn start(app: &App, state: &Path, raw: Option<PathBuf>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (web, library) = (app.web.clone(), state.join(LIBRARY));
    if raw.is_none() && !library.exists() {
        summary::say("no feeds: vulnerabilities are unknown; --feeds names a folder of them");
        return tasks;
    }
    tasks.spawn(async move {
        match feed_sync::import(&web, raw, library).await {
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
    });
    tasks
}
