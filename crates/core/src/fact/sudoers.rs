//! Section `sudoers`: who may run what as whom (sudoers(5)).

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sudoers {
    /// In the order in which they are read.
    pub files: Vec<File>,
    /// In the order in which they are read: of those that match, the last counts.
    pub rules: Vec<Rule>,
    /// `Defaults` lines, in the order in which they are read.
    pub defaults: Vec<Defaults>,
    pub aliases: Vec<Alias>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct File {
    pub path: String,
    /// Permission bits: `0440`.
    pub mode: String,
    pub uid: u32,
    pub gid: u32,
    pub digest: Digest,
}

/// Commands under the same conditions, for the same users on the same hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    pub file: String,
    /// From 1, where the rule begins.
    pub line: u32,
    /// Users, `%groups`, `#numbers`, `+netgroups`, aliases; `!` before one takes it out.
    pub users: Vec<String>,
    pub hosts: Vec<String>,
    /// What stands between the parentheses: `ALL : ALL`; none means root.
    pub run_as: Option<String>,
    /// Whether no password is asked for (`NOPASSWD`).
    pub no_password: bool,
    /// The other tags and options: `SETENV`, `NOEXEC`, `ROLE=…`.
    pub tags: Vec<String>,
    pub commands: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Defaults {
    pub file: String,
    /// Whom it is for, with its sign: `:backup`, `@host`, `!command`, `>root`; none for everybody.
    pub target: Option<String>,
    /// `env_reset`, `!authenticate`, `secure_path="…"`.
    pub settings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alias {
    pub kind: AliasKind,
    pub name: String,
    pub members: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AliasKind {
    User,
    RunAs,
    Host,
    Command,
}
