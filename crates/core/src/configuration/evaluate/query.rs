//! Queries: what a probe may be asked. Plain data, so that a run can keep and record them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::configuration::baseline::Format;

/// One question to a probe. Each variant names the fields of its items; a field that an item does
/// not have is not set there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "query", rename_all = "snake_case")]
pub enum Query {
    /// Files that a path with `*` and `?` names: kind, mode (four octal digits), owner, group.
    File { path: String },
    /// Their lines, without blank ones and those that begin with `#`: text.
    Lines { path: String },
    /// One item: value.
    Setting { files: Vec<String>, format: Format, section: Option<String>, key: String },
    /// One item for what holds outside of `Match`, one for each `Match` block: each keyword in
    /// small letters. None where there is no configuration.
    Sshd,
    /// One item: each default by its name.
    SudoersDefaults,
    /// An item for each grant: user, hosts, run_as, commands, no_password.
    SudoersRules,
    /// One item: live, configured.
    Sysctl { key: String },
    /// An item for each installed package of this name: version, manager, architecture.
    Package { name: String },
    /// One item: installed, enabled, active, masked.
    Unit { name: String },
    /// One item: loaded, disabled, blacklisted.
    Module { name: String },
    /// An item for each listening socket: protocol, address, port, loopback.
    Sockets,
    /// An item for each account: see `Check::Accounts`.
    Accounts,
    /// An item for each group: name, gid, members, password.
    Groups,
    /// An item for each mount in force: target, source, type, options.
    Mounts,
    /// An item for each line of fstab: target, source, type, options.
    Fstab,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Query::File { path } => f.write_str(path),
            Query::Lines { path } => write!(f, "lines of {path}"),
            Query::Setting { files, section: Some(section), key, .. } => {
                write!(f, "{} [{section}] {key}", files.join(", "))
            }
            Query::Setting { files, section: None, key, .. } => write!(f, "{} {key}", files.join(", ")),
            Query::Sshd => f.write_str("sshd_config"),
            Query::SudoersDefaults => f.write_str("sudoers defaults"),
            Query::SudoersRules => f.write_str("sudoers"),
            Query::Sysctl { key } => write!(f, "sysctl {key}"),
            Query::Package { name } => write!(f, "package {name}"),
            Query::Unit { name } => write!(f, "unit {name}"),
            Query::Module { name } => write!(f, "module {name}"),
            Query::Sockets => f.write_str("listening sockets"),
            Query::Accounts => f.write_str("accounts"),
            Query::Groups => f.write_str("groups"),
            Query::Mounts => f.write_str("mounts"),
            Query::Fstab => f.write_str("fstab"),
        }
    }
}
