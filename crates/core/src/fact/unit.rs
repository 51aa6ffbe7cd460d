//! Section `units`: what the service manager would start, as the files say, and how that stands.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// What the section lists as unknown where the service manager does not tell how its units stand.
pub const STATES: &str = "states of running units";

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Units {
    /// systemd's units, ordered by name.
    pub units: Vec<Unit>,
    /// What `default.target` is an alias of; none where nothing says.
    pub default_target: Option<String>,
    /// Scripts in `/etc/init.d`, ordered by name.
    pub scripts: Vec<Script>,
    /// Units that failed, those without a file among them, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

/// A unit of systemd, or an instance of a template that is linked by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unit {
    /// `ssh.service`, `getty@tty1.service`.
    pub name: String,
    /// The unit file that wins, inside the root; none where only links or drop-ins name the unit.
    pub path: Option<String>,
    /// Of that file's bytes; none where it could not be read, or is a mask.
    pub digest: Option<Digest>,
    pub enablement: Enablement,
    /// Other names that stand for it.
    pub aliases: Vec<String>,
    /// Units that want it, by a link in their `.wants` folder.
    pub wanted_by: Vec<String>,
    /// Units that require it, by a link in their `.requires` folder.
    pub required_by: Vec<String>,
    /// In the order in which they apply.
    pub drop_ins: Vec<DropIn>,
    /// How it stands; none where the service manager does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

/// How a unit stands: the words of `systemctl is-active` (systemctl(1)), of which those for a unit that goes on
/// working while it changes are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Active,
    Inactive,
    Failed,
    Activating,
    Deactivating,
}

/// A file that changes settings of a unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DropIn {
    pub path: String,
    pub digest: Option<Digest>,
}

/// Whether a unit is started with the system: the words of `systemctl is-enabled` (systemctl(1)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enablement {
    /// A link in `/etc` starts it, or stands for it.
    Enabled,
    /// A link in `/run` does, until the next boot.
    EnabledRuntime,
    /// It can be enabled, and is not.
    Disabled,
    /// It has no `[Install]` section: others start it, or nobody.
    Static,
    /// It has an `[Install]` section that only names others.
    Indirect,
    /// It can't be started at all.
    Masked,
    MaskedRuntime,
    /// A generator made it.
    Generated,
    /// Only links or drop-ins name it: there is no unit file.
    Missing,
    /// Its file is a link that leads nowhere, or can't be read; what can't be read is named among what was
    /// missed.
    Bad,
}

/// A script of System V init.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Script {
    pub name: String,
    pub digest: Option<Digest>,
    /// Run levels that start it (`2`, `3`, `S` …), from the `rcN.d/S…` links.
    pub started_in: Vec<String>,
    /// Run levels that stop it, from the `rcN.d/K…` links.
    pub stopped_in: Vec<String>,
}
