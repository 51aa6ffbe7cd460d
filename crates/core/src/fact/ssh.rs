//! Section `sshd`: the settings that the SSH server would run with (sshd_config(5)).

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sshd {
    /// Whether the server's program or its configuration is there.
    pub installed: bool,
    /// Files in the order in which they are read; one that is included twice stands twice.
    pub files: Vec<String>,
    /// Settings that hold for everybody, ordered by key; a key that may be given several times has one
    /// setting for each value, in the order given.
    pub settings: Vec<Setting>,
    /// In the order in which they are tried.
    pub matches: Vec<Match>,
    /// Host keys that are on disk, ordered by path.
    pub host_keys: Vec<HostKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setting {
    /// In lower case: `permitrootlogin`.
    pub key: String,
    /// In the server's own words: quotes taken off, spaces single, spans of time in seconds. Of two for one
    /// key the first counts.
    pub value: String,
    pub source: Source,
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Source {
    File {
        path: String,
        /// From 1.
        line: u32,
    },
    /// Nothing sets it: what OpenSSH 9.2 as Debian 12 builds it is compiled with.
    Default,
}

/// A `Match` block: settings for those connections that fulfil all its criteria.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Match {
    /// `User backup Address 10.0.0.0/8`, as written.
    pub criteria: String,
    pub path: String,
    pub line: u32,
    /// In the order written.
    pub settings: Vec<Setting>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostKey {
    /// The public half's path: `/etc/ssh/ssh_host_ed25519_key.pub`.
    pub path: String,
    /// `ssh-ed25519`, `ssh-rsa` …
    pub kind: String,
    /// Length of the modulus, for RSA.
    pub bits: Option<u32>,
    /// `SHA256:` and the unpadded base64 of the digest, as ssh-keygen prints it.
    pub fingerprint: String,
}
