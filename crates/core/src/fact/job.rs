//! Section `jobs`: what runs by the clock.
//!
//! A command may carry a secret: of it only the program and a digest are kept.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Jobs {
    /// Sorted.
    pub jobs: Vec<Job>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Job {
    pub kind: Kind,
    /// Where it stands: the crontab, the script, the timer's unit file, the at job's spool file.
    pub file: String,
    /// When: five fields or `@daily` for cron, `daily` for a folder's scripts, settings such as
    /// `OnCalendar=daily` for a timer, a UTC instant for at.
    pub schedule: String,
    /// Who runs it: a name, or a number where the root has no name for it.
    pub user: String,
    /// The command's first word, the script's path, or the unit that a timer starts.
    pub program: String,
    /// Of the whole command, script or timer file; none where it could not be read.
    pub digest: Option<Digest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Cron,
    /// A script in `/etc/cron.daily` and its like.
    Folder,
    Timer,
    At,
}
