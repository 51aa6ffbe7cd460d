//! Check-ins: the heartbeat of an asset that has nothing new, and the pace that the server sets.

use bartizan_core::digest::Digest;
use bartizan_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Versioned;

/// An agent is there, and stands so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    pub wire: u32,
    pub epoch: u64,
    /// The last sequence that it sent.
    pub sequence: u64,
    /// Over all its sections: where the server's differs, the server asks for what it lacks.
    pub root: Digest,
    /// The policy that it judges by; none before it has one.
    pub policy: Option<Digest>,
    /// Its clock, so that the server can tell it how far it is off.
    pub at: Timestamp,
    /// The size of the newest ledger checkpoint that it keeps.
    pub checkpoint: u64,
}

/// What the server answers to a check-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub wire: u32,
    pub pace: Pace,
    /// The policy that applies now.
    pub policy: Digest,
    /// Sections whose bodies the server lacks; all verdicts where `verdicts` is among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<String>,
    /// The generation of an order whose outcome the server does not have: the agent asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// A newer head of the ledger, with the proof that it continues the one the agent keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// The server's clock when it answered.
    pub at: Timestamp,
}

/// When an agent comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Milliseconds until the next check-in; the server has spread them already.
    pub next_ms: u32,
}

/// A signed head of the ledger and its consistency proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub note: String,
    pub proof: Vec<Digest>,
}

impl Versioned for Heartbeat {
    fn version(&self) -> u32 {
        self.wire
    }
}

impl Versioned for Answer {
    fn version(&self) -> u32 {
        self.wire
    }
}
