//! Section `sources`: where events come from on a host, by which way, and so what no detection sees.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sources {
    /// Ordered by (way, place). What a source can't see stands among what is unknown of the section.
    pub sources: Vec<Source>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    pub way: Way,
    /// The file; empty where the way says it all.
    pub place: String,
}

/// How events are come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The journal of systemd: what was said to its facilities of authentication.
    Journal,
    /// The end of a log file.
    LogFile,
    /// Process starts, as the kernel tells of each.
    ProcConnector,
    /// Process starts, as two looks at /proc differ.
    ProcTable,
}
