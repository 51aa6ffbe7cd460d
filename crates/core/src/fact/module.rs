//! Section `modules`: kernel modules that are loaded, and those that must not be.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Modules {
    /// Names, sorted.
    pub loaded: Vec<String>,
    /// Modules that are not loaded for a device (`blacklist`, modprobe.d(5)), ordered by name.
    pub blacklisted: Vec<Rule>,
    /// Modules for which a command runs instead (`install`), ordered by name.
    pub replaced: Vec<Replaced>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    pub name: String,
    pub file: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Replaced {
    pub name: String,
    /// The command's first word: with `/bin/true` and `/bin/false` the module can't be loaded.
    pub program: String,
    pub file: String,
}
