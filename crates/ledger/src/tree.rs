//! The tree: hashing, appending and the root (RFC 6962 section 2.1).
//!
//! A tree of n leaves is a row of complete subtrees, one for each set bit of n. A
//! [`Node`] names one complete subtree; its hash never changes once it exists, so a store
//! keeps nodes in a table that is only ever appended to.

use bartizan_core::digest::Digest;
use sha2::{Digest as _, Sha256};

pub mod proof;

/// The most leaves a tree may have: above it, shifts would overflow; no log comes near.
pub const LEAVES_LIMIT: u64 = 1 << 48;

/// The name of one complete subtree: the 2^`level` leaves that start at `index` × 2^`level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    pub level: u8,
    pub index: u64,
}

/// A half-open range of leaves, `start` ≤ leaf < `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Why the tree could not be worked on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the log has {LEAVES_LIMIT} leaves, which is its limit")]
    Full,
    #[error("leaf {index} is not in a tree of {size} leaves")]
    NoSuchLeaf { index: u64, size: u64 },
    #[error("a tree of {new} leaves has no earlier state of {old} leaves")]
    NoSuchState { old: u64, new: u64 },
    #[error("the node at level {level}, index {index} is missing from the store")]
    NodeMissing { level: u8, index: u64 },
}

/// The right edge of the tree: all that appending needs. Its size is O(log n).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The roots of the complete subtrees, the largest first; one for each set bit of `size`.
    peaks: Vec<Digest>,
}

/// The hash of a leaf: SHA-256 of a zero byte and its bytes.
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into())
}

/// The hash of an inner node: SHA-256 of a one byte and the hashes of its two children.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let hash = Sha256::new().chain_update([1]).chain_update(left.as_bytes()).chain_update(right.as_bytes());
    Digest::from_bytes(hash.finalize().into())
}

/// The root of the tree that has no leaves: SHA-256 of nothing.
pub fn empty_root() -> Digest {
    Digest::of_bytes(&[])
}

impl Frontier {
    /// The frontier of the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier of a stored tree of `size` leaves; `read` gives the hash of a stored node.
    /// It reads at most 48 nodes.
    pub fn resume(size: u64, mut read: impl FnMut(Node) -> Option<Digest>) -> Result<Self, Error> {
        if size > LEAVES_LIMIT {
            return Err(Error::Full);
        }
        let mut peaks = Vec::new();
        for node in subtrees(Range { start: 0, end: size }) {
            let missing = Error::NodeMissing { level: node.level, index: node.index };
            peaks.push(read(node).ok_or(missing)?);
        }
        Ok(Self { size, peaks })
    }

    /// How many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root hash of the tree.
    pub fn root(&self) -> Digest {
        fold(&self.peaks)
    }

    /// Appends one leaf by its hash; returns the nodes that are new, for the caller to store.
    ///
    /// On average two nodes are new for each leaf; at most one for each level.
    pub fn append(&mut self, leaf: Digest) -> Result<Vec<(Node, Digest)>, Error> {
        if self.size >= LEAVES_LIMIT {
            return Err(Error::Full);
        }
        let mut node = Node { level: 0, index: self.size };
        let mut hash = leaf;
        let mut new = vec![(node, hash)];
        // Each trailing one bit of the size is a complete subtree that this leaf closes.
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().ok_or(Error::NodeMissing { level: node.level, index: node.index })?;
            hash = node_hash(&left, &hash);
            node = Node { level: node.level + 1, index: node.index >> 1 };
            new.push((node, hash));
        }
        self.peaks.push(hash);
        self.size += 1;
        Ok(new)
    }
}

/// Appends leaves in order by their hashes; returns every node that is new.
pub fn append(
    frontier: &mut Frontier,
    leaves: impl IntoIterator<Item = Digest>,
) -> Result<Vec<(Node, Digest)>, Error> {
    let mut next = frontier.clone();
    let mut new = Vec::new();
    for leaf in leaves {
        new.extend(next.append(leaf)?);
    }
    *frontier = next;
    Ok(new)
}

/// The complete subtrees that a range consists of, the leftmost first.
///
/// The ranges met in proofs start at a multiple of a power of two not below their length,
/// so that each subtree is one stored node.
pub(crate) fn subtrees(range: Range) -> impl Iterator<Item = Node> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let level = (range.end.checked_sub(start)?).checked_ilog2()?;
        let node = Node { level: u8::try_from(level).ok()?, index: start >> level };
        start += 1 << level;
        Some(node)
    })
}

/// The root over a row of subtrees, the largest first: the right ones are joined first.
pub(crate) fn fold(peaks: &[Digest]) -> Digest {
    let joined = peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
    joined.unwrap_or_else(empty_root)
}

#[cfg(test)]
mod tests;
