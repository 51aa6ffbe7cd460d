//! What a replica in a process of its own says of itself: `src/bin/replica.rs` is the program.

use bartizan_core::digest::Digest;
use serde::{Deserialize, Serialize};

/// What its hosts are judged by: one rule.
pub const BASELINE: &str = "
kind: Baseline
name: simulated
spec:
  title: What simulated hosts are judged by
  rules:
    - id: r
      title: A file is there
      severity: high
      rationale: So that something can change.
      check: {file: {path: /etc/hostname, exists: true}}
      remediation: Make the file.
";

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
