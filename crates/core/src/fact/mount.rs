//! Section `mounts`: file systems that are mounted, and those that should be.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mounts {
    /// In the order of the mount points; of several on one point the last one mounted comes last.
    pub mounted: Vec<Mount>,
    /// `/etc/fstab`, in its own order.
    pub configured: Vec<Configured>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mount {
    pub point: String,
    /// The device, or what the file system is made from.
    pub source: String,
    /// The file system's type: `ext4`, `tmpfs`.
    pub kind: String,
    /// Which folder of the file system is seen; `/` unless it is a bind mount or a subvolume.
    pub folder: String,
    /// Options of the mount and of the file system, sorted, each once. Passwords are left out.
    pub options: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Configured {
    pub point: String,
    pub source: String,
    pub kind: String,
    /// As written, in order. Of an option that carries a password only the name is kept.
    pub options: Vec<String>,
}
