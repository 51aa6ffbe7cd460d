//! Examples: a small host, described in a few lines, on which a rule is met or is not.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The hosts that prove a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// Hosts on which the rule is met.
    #[serde(default)]
    pub pass: Vec<Example>,
    /// Hosts on which it is not met.
    #[serde(default)]
    pub fail: Vec<Example>,
}

/// A small host. What is not described is not there; `/proc`, systemd and the package
/// database are there where something in them is described.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    #[serde(default)]
    pub files: BTreeMap<String, ExampleFile>,
    /// Installed packages: name and version.
    #[serde(default)]
    pub packages: Option<BTreeMap<String, String>>,
    /// Kernel parameters now in force.
    #[serde(default)]
    pub sysctl: Option<BTreeMap<String, String>>,
    /// Units of a running systemd.
    #[serde(default)]
    pub units: Option<BTreeMap<String, ExampleUnit>>,
    #[serde(default)]
    pub sockets: Option<Vec<ExampleSocket>>,
    #[serde(default)]
    pub mounts: Option<Vec<ExampleMount>>,
    /// Kernel modules now loaded.
    #[serde(default)]
    pub modules: Option<Vec<String>>,
}

/// A file: its text alone (then `0644`, of root), or with more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExampleFile {
    Text(String),
    File(Described),
}

/// A file, a folder or a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Described {
    #[serde(default)]
    pub text: String,
    /// Permission bits in octal; `0644` for a file, `0755` for a folder where left out.
    #[serde(default)]
    pub mode: Option<String>,
    /// Numbers of user and group.
    #[serde(default)]
    pub uid: u32,
    #[serde(default)]
    pub gid: u32,
    #[serde(default)]
    pub folder: bool,
    /// Where a symbolic link leads.
    #[serde(default)]
    pub link: Option<String>,
}

/// A unit of systemd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleUnit {
    #[serde(default)]
    pub enabled: bool,
    #[serde(default)]
    pub active: bool,
    #[serde(default)]
    pub masked: bool,
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleSocket {
    pub protocol: ExampleProtocol,
    /// An IPv4 or IPv6 address.
    pub address: std::net::IpAddr,
    pub port: u16,
}

/// The protocol of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExampleProtocol {
    Tcp,
    Udp,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleMount {
    pub target: String,
    pub source: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub options: String,
}
