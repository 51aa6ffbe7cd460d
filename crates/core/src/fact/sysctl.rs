//! Section `sysctl`: the kernel settings that matter for security.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sysctl {
    /// Live values by key (`net.ipv4.ip_forward`), white space made single. A key that this kernel lacks is missing.
    pub live: BTreeMap<String, String>,
    /// What the files that are applied at boot say of the same keys, the last word for each.
    pub configured: BTreeMap<String, Configured>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Configured {
    pub value: String,
    /// The file that has the last word.
    pub file: String,
}
