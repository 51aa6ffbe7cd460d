//! The witness: keeps the newest checkpoint it was shown, and takes a later one only with proof.
//!
//! Every agent is one. A server that truncates or rewrites its log and signs anew with its
//! own key can't make a witness follow, and what the witness holds is the evidence.

use bartizan_core::digest::Digest;
use bartizan_core::error::Class;

use crate::checkpoint::{self, Key, Signed};
use crate::tree::proof::{HASHES_LIMIT, continues};

/// What one witness has seen of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    key: Key,
    newest: Option<Signed>,
}

/// What a witness did with a good checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The first one: it is trusted as it stands.
    First,
    /// The log has grown, and the proof holds.
    Grown,
    /// The one it has already.
    Same,
}

/// Why a witness refuses a checkpoint. It keeps the one it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    /// Both notes bear the log's signature: together they prove that it was rewritten.
    #[error("the log was rewritten: the checkpoint at {} leaves does not continue the one held at {}",
        offered.checkpoint().size, held.checkpoint().size)]
    Fork { held: Box<Signed>, offered: Box<Signed> },
    /// A message that came late, or a log that was cut short: the sender has to tell.
    #[error("the log seems truncated: the checkpoint has {offered} leaves, the one held has {held}")]
    Shorter { held: u64, offered: u64 },
    #[error(
        "the checkpoint at {offered} leaves comes without a proof that it continues the one held at {held}"
    )]
    Unproved { held: u64, offered: u64 },
    #[error("a consistency proof may have {HASHES_LIMIT} hashes, this one has {0}")]
    ProofTooLong(usize),
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Refusal::Checkpoint(error) => error.class(),
            Refusal::Fork { .. } | Refusal::Shorter { .. } => Class::Conflict,
            Refusal::Unproved { .. } => Class::Invalid,
            Refusal::ProofTooLong(_) => Class::Limit,
        }
    }
}

impl Witness {
    /// A witness of the log with this key that has seen nothing yet.
    pub const fn new(key: Key) -> Self {
        Self { key, newest: None }
    }

    /// A witness that goes on from the note it kept.
    pub fn resume(key: Key, note: &str) -> Result<Self, checkpoint::Error> {
        let newest = Some(key.open(note)?);
        Ok(Self { key, newest })
    }

    /// The newest checkpoint: the caller keeps its note on disk.
    pub const fn newest(&self) -> Option<&Signed> {
        self.newest.as_ref()
    }

    /// Judges the log's newer checkpoint; `proof` is the consistency proof from the size held.
    pub fn accept(&mut self, note: &str, proof: &[Digest]) -> Result<Accepted, Refusal> {
        let offered = self.key.open(note)?;
        if proof.len() > HASHES_LIMIT {
            return Err(Refusal::ProofTooLong(proof.len()));
        }
        let Some(held) = &self.newest else {
            self.newest = Some(offered);
            return Ok(Accepted::First);
        };
        let (old, new) = (held.checkpoint(), offered.checkpoint());
        let fork = || Refusal::Fork { held: Box::new(held.clone()), offered: Box::new(offered.clone()) };
        if new.size < old.size {
            return Err(Refusal::Shorter { held: old.size, offered: new.size });
        }
        if new.size == old.size {
            return if new.root == old.root { Ok(Accepted::Same) } else { Err(fork()) };
        }
        if !continues((old.size, &old.root), (new.size, &new.root), proof) {
            // Growing a complete tree always takes hashes; without any, nothing was claimed.
            let unproved = proof.is_empty() && old.size > 0;
            return Err(if unproved {
                Refusal::Unproved { held: old.size, offered: new.size }
            } else {
                fork()
            });
        }
        self.newest = Some(offered);
        Ok(Accepted::Grown)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::checkpoint::Signer;
    use crate::tree::{Frontier, Node, append, leaf_hash, proof::consistency};

    struct Log {
        signer: Signer,
        nodes: BTreeMap<Node, Digest>,
        frontier: Frontier,
    }

    impl Log {
        fn of(words: &[&str]) -> Log {
            let signer = Signer::new("ledger.example", &[7; 32]).unwrap();
            let mut log = Log { signer, nodes: BTreeMap::new(), frontier: Frontier::new() };
            let leaves = words.iter().map(|word| leaf_hash(word.as_bytes()));
            log.nodes.extend(append(&mut log.frontier, leaves).unwrap());
            log
        }

        fn head(&self) -> String {
            self.signer.sign(self.frontier.size(), self.frontier.root()).unwrap().note().to_owned()
        }

        fn proof_from(&self, old: u64) -> Vec<Digest> {
            consistency(old, self.frontier.size(), |node| self.nodes.get(&node).copied()).unwrap()
        }

        fn witness(&self) -> Witness {
            Witness::resume(self.signer.key().clone(), &self.head()).unwrap()
        }
    }

    #[test]
    fn a_log_that_grows_is_followed() {
        let log = Log::of(&["a", "b", "c"]);
        let mut witness = Witness::new(log.signer.key().clone());
        assert_eq!(witness.accept(&log.head(), &[]), Ok(Accepted::First));
        assert_eq!(witness.accept(&log.head(), &[]), Ok(Accepted::Same));
        let grown = Log::of(&["a", "b", "c", "d", "e"]);
        assert_eq!(witness.accept(&grown.head(), &grown.proof_from(3)), Ok(Accepted::Grown));
        assert_eq!(witness.newest().unwrap().note(), grown.head());
    }

    #[test]
    fn a_later_head_without_a_proof_is_refused_and_the_old_one_kept() {
        let mut witness = Log::of(&["a", "b", "c"]).witness();
        let held = witness.clone();
        let grown = Log::of(&["a", "b", "c", "d"]);
        assert_eq!(witness.accept(&grown.head(), &[]), Err(Refusal::Unproved { held: 3, offered: 4 }));
        assert_eq!(witness, held);
    }

    #[test]
    fn a_log_rewritten_and_signed_with_its_own_key_is_a_fork() {
        let mut witness = Log::of(&["a", "b", "c"]).witness();
        let held = witness.clone();
        let rewritten = Log::of(&["a", "X", "c", "d"]);
        let refusal = witness.accept(&rewritten.head(), &rewritten.proof_from(3)).unwrap_err();
        assert!(matches!(refusal, Refusal::Fork { .. }), "{refusal}");
        let same_size = Log::of(&["a", "X", "c"]);
        assert!(matches!(witness.accept(&same_size.head(), &[]), Err(Refusal::Fork { .. })));
        assert_eq!(witness, held);
    }

    #[test]
    fn a_shorter_log_is_refused() {
        let mut witness = Log::of(&["a", "b", "c"]).witness();
        let cut = Log::of(&["a", "b"]);
        assert_eq!(witness.accept(&cut.head(), &[]), Err(Refusal::Shorter { held: 3, offered: 2 }));
    }

    #[test]
    fn a_head_that_another_key_signed_is_refused() {
        let mut witness = Log::of(&["a"]).witness();
        let stranger = Signer::new("ledger.example", &[8; 32]).unwrap();
        let note = stranger.sign(2, leaf_hash(b"x")).unwrap();
        assert!(matches!(witness.accept(note.note(), &[]), Err(Refusal::Checkpoint(_))));
    }

    #[test]
    fn a_proof_beyond_the_limit_is_not_looked_at() {
        let mut witness = Log::of(&["a"]).witness();
        let grown = Log::of(&["a", "b"]);
        let proof = vec![leaf_hash(b"x"); HASHES_LIMIT + 1];
        assert_eq!(witness.accept(&grown.head(), &proof), Err(Refusal::ProofTooLong(HASHES_LIMIT + 1)));
    }
}
