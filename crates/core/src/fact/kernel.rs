//! Section `kernel`: the kernel that runs, those that are installed, and live patches.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kernel {
    /// None where no running kernel belongs to the root that was read, or none could be read.
    pub running: Option<Running>,
    /// Ordered by release.
    pub installed: Vec<Installed>,
    /// Live patches that are loaded, ordered by name.
    pub live_patches: Vec<LivePatch>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Running {
    /// `/proc/sys/kernel/osrelease`: `6.1.0-37-amd64`.
    pub release: String,
    /// `/proc/sys/kernel/version`: build number and date.
    pub version: String,
    /// The boot command line, split at spaces outside quotes.
    pub parameters: Vec<String>,
}

/// A kernel on disk, by its release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Installed {
    pub release: String,
    /// Whether it can be booted: `/boot/vmlinuz-RELEASE` is there.
    pub image: bool,
    /// Whether `/lib/modules/RELEASE` is there.
    pub modules: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LivePatch {
    pub name: String,
    pub enabled: bool,
}
