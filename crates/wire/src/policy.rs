//! Policy: the documents that an agent judges by.

use bartizan_core::canonical::Value;
use bartizan_core::configuration::drift::Explained;
use bartizan_core::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::Versioned;

/// The most documents that one agent gets.
pub const DOCUMENTS_LIMIT: usize = 2_000;

/// All documents that apply to an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub wire: u32,
    /// Over the documents: an agent that has it need not fetch them again.
    pub etag: Digest,
    /// The documents as written.
    pub documents: Vec<Value>,
    /// What people accounted for on this asset, though no change brought it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explained: Vec<Explained>,
}

impl Versioned for Policy {
    fn version(&self) -> u32 {
        self.wire
    }
}
