//! What a replica in a process of its own says of itself: `src/bin/replica.rs` is the program.

use bartizan_core::digest::Digest;
use serde::{Deserialize, Serialize};

/// What a replica says of itself once it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Where agents connect: `https://127.0.0.1:PORT`.
    pub agents: String,
    pub fingerprint: Digest,
    /// The secret of an enrolment key with many uses.
    pub key: String,
    /// The public key of the ledger.
    pub ledger: String,
}
