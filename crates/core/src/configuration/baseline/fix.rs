//! Fixes: what an agent that may enforce would do. Data alone; there is no "run this command".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Format;

/// One declared state, in the agent's fixed vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fix {
    /// Set one setting of one file.
    Setting {
        file: String,
        format: Format,
        #[serde(default)]
        section: Option<String>,
        key: String,
        value: String,
    },
    /// Set a kernel parameter, now and at the next boot.
    Sysctl { key: String, value: String },
    /// Have a package installed, or not.
    Package { name: String, installed: bool },
    /// Have a unit enabled, or not.
    Unit { name: String, enabled: bool },
    /// Set who owns a file and who may do what with it.
    File {
        path: String,
        #[serde(default)]
        mode: Option<String>,
        #[serde(default)]
        owner: Option<String>,
        #[serde(default)]
        group: Option<String>,
    },
    /// Keep a kernel module from being loaded.
    Module { name: String, disabled: bool },
}
