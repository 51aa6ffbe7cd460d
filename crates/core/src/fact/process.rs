//! Section `processes`: those that still run what is no longer on disk.
//!
//! A fixed package protects nobody while a process runs the old file, or is an interpreter
//! that was started before the new version came.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Processes {
    /// Processes that map or hold open a deleted file, ordered by (pid, start).
    pub stale: Vec<Stale>,
    /// Processes that run an interpreter, whose code is in files that they need not hold open.
    pub interpreters: Vec<Interpreter>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stale {
    pub pid: u32,
    pub started: Timestamp,
    /// The process's own name for itself, cut at 15 bytes by the kernel.
    pub name: String,
    /// The file it runs, in its own mount namespace; none where that may not be seen.
    pub executable: Option<String>,
    /// Whether that file itself was deleted or replaced.
    pub executable_deleted: bool,
    /// Whether its mount namespace is another than the observer's: then its paths are a container's.
    pub foreign: bool,
    /// Deleted files that it maps: libraries and other code. Paths in its own mount namespace, sorted.
    pub mapped: Vec<String>,
    /// Deleted files that it holds open, sorted.
    pub held: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interpreter {
    pub pid: u32,
    pub started: Timestamp,
    /// The interpreter: `/usr/bin/python3.11`.
    pub executable: String,
    /// Whether its mount namespace is another than the observer's: then its paths are a container's.
    pub foreign: bool,
}
