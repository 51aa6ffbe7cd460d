//! Bundles: what is exported from the log, to be verified by somebody who has nothing else.
//!
//! A bundle is one text file of JSON lines, in this order:
//!
//! ```text
//! {"bundle":"bartizan/bundle/v1","key":"NAME+ID+BASE64","checkpoint":"…signed note…","content":"whole"}
//! {"consistency":{"from":SIZE,"hashes":["sha256:…"]}}            selections only, any number
//! {"leaf":"…envelope as canonical JSON…","body":"…","salt":"…"}  body and salt where they are given
//! {"end":{"leaves":COUNT}}
//! ```
//!
//! A bundle is the `whole` log from its first leaf (its root is computed anew), or a
//! `selection`, where each leaf line also has its `index` and `inclusion` proof. It is
//! written and read as a stream: neither side holds more than one line.

use bartizan_core::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::checkpoint;
use crate::entry::{self, Body, Envelope};
use crate::tree;

pub mod export;
pub mod verify;

/// The word that says what a file is, and in which version.
pub const FORMAT: &str = "bartizan/bundle/v1";

/// The longest line, in bytes: a body at its limit, each byte of it escaped.
pub const LINE_BYTES_LIMIT: usize = 6 * entry::BODY_BYTES_LIMIT;

/// The most consistency proofs in one bundle: one for each checkpoint that somebody may hold.
pub const PROOFS_LIMIT: usize = 10_000;

/// How much of the log a bundle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    Whole,
    Selection,
}

/// One entry on its way out: the leaf, and what is kept beside it (absent where it was erased or is withheld).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub envelope: Envelope,
    pub body: Option<Body>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Head(Head),
    Consistency { consistency: Consistency },
    Leaf(Box<Leaf>),
    End { end: End },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    bundle: String,
    key: String,
    checkpoint: String,
    content: Content,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consistency {
    from: u64,
    hashes: Vec<Digest>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaf {
    leaf: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inclusion: Option<Vec<Digest>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    leaves: u64,
}

/// Why a bundle could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't write the bundle: {0}")]
    Write(#[from] std::io::Error),
    #[error("can't write a line of the bundle: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Entry(#[from] entry::Error),
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    #[error(transparent)]
    Tree(#[from] tree::Error),
    #[error("the checkpoint has {expected} leaves, and {found} were exported")]
    Leaves { expected: u64, found: u64 },
    #[error("the exported leaves have another root than the checkpoint")]
    Root,
    #[error("the body of entry {counter} of {source_name} does not fit its leaf")]
    Body { source_name: String, counter: u64 },
}
