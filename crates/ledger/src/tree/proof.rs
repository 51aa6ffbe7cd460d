//! Proofs: that a leaf is in a tree, and that one tree continues another
//! (RFC 9162 sections 2.1.3 and 2.1.4; the same trees as RFC 6962).

use bartizan_core::digest::Digest;

use super::{Error, LEAVES_LIMIT, Node, Range, fold, node_hash, subtrees};

/// The most hashes a proof can have: two for each level of the largest tree.
pub const HASHES_LIMIT: usize = 96;

/// Proves that the tree of `size` leaves has its leaf number `index`, counted from zero.
///
/// `read` gives the hash of a stored node; it is asked for O(log² n) nodes at most.
pub fn inclusion(
    index: u64,
    size: u64,
    read: impl FnMut(Node) -> Option<Digest>,
) -> Result<Vec<Digest>, Error> {
    if index >= size || size > LEAVES_LIMIT {
        return Err(Error::NoSuchLeaf { index, size });
    }
    let mut beside = Vec::new();
    let mut range = Range { start: 0, end: size };
    while range.end - range.start > 1 {
        let middle = range.start + split(range.end - range.start);
        if index < middle {
            beside.push(Range { start: middle, ..range });
            range.end = middle;
        } else {
            beside.push(Range { end: middle, ..range });
            range.start = middle;
        }
    }
    roots(beside, read)
}

/// Proves that the tree of `new` leaves begins with the tree of `old` leaves.
///
/// The proof from an empty or an equal tree has no hashes.
pub fn consistency(
    old: u64,
    new: u64,
    read: impl FnMut(Node) -> Option<Digest>,
) -> Result<Vec<Digest>, Error> {
    if old > new || new > LEAVES_LIMIT {
        return Err(Error::NoSuchState { old, new });
    }
    let mut parts = Vec::new();
    let mut range = Range { start: 0, end: new };
    while old > 0 && old != range.end {
        let middle = range.start + split(range.end - range.start);
        if old <= middle {
            parts.push(Range { start: middle, ..range });
            range.end = middle;
        } else {
            parts.push(Range { end: middle, ..range });
            range.start = middle;
        }
    }
    // Where the old tree is one complete subtree of the new one, the verifier knows its root.
    if range.start > 0 {
        parts.push(range);
    }
    roots(parts, read)
}

/// Whether `proof` shows that the tree with this root and size has this leaf at `index`.
pub fn includes(leaf: &Digest, index: u64, size: u64, proof: &[Digest], root: &Digest) -> bool {
    if index >= size || size > LEAVES_LIMIT {
        return false;
    }
    let mut walk = Walk { place: index, last: size - 1 };
    let mut hash = *leaf;
    for beside in proof {
        match walk.step() {
            Some(Side::Left) => hash = node_hash(beside, &hash),
            Some(Side::Right) => hash = node_hash(&hash, beside),
            None => return false,
        }
    }
    walk.last == 0 && hash == *root
}

/// Whether `proof` shows that the tree `new` (size, root) begins with the tree `old`.
pub fn continues(old: (u64, &Digest), new: (u64, &Digest), proof: &[Digest]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size || new_size > LEAVES_LIMIT {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == super::empty_root();
    }
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        match proof.split_first() {
            Some(parts) => parts,
            None => return false,
        }
    };
    let shift = (old_size - 1).trailing_ones();
    let mut walk = Walk { place: (old_size - 1) >> shift, last: (new_size - 1) >> shift };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for beside in rest {
        match walk.step() {
            Some(Side::Left) => {
                old_hash = node_hash(beside, &old_hash);
                new_hash = node_hash(beside, &new_hash);
            }
            Some(Side::Right) => new_hash = node_hash(&new_hash, beside),
            None => return false,
        }
    }
    walk.last == 0 && old_hash == *old_root && new_hash == *new_root
}

/// The walk from a leaf to the root: at each step it says on which side the sibling stands.
struct Walk {
    place: u64,
    last: u64,
}

enum Side {
    Left,
    Right,
}

impl Walk {
    /// One level up; none where the root has been reached already.
    fn step(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let side = if self.place & 1 == 1 || self.place == self.last {
            // At the right edge a subtree without a sibling rises until it has one.
            let shift = if self.place == 0 { 0 } else { self.place.trailing_zeros() };
            self.place >>= shift;
            self.last >>= shift;
            Side::Left
        } else {
            Side::Right
        };
        self.place >>= 1;
        self.last >>= 1;
        Some(side)
    }
}

/// The size of the left part of a tree: the largest power of two below its size (above one).
const fn split(size: u64) -> u64 {
    match (size - 1).checked_ilog2() {
        Some(level) => 1 << level,
        None => 0,
    }
}

/// The roots of ranges that were listed from the root down, in a proof's order: from the leaf up.
fn roots(ranges: Vec<Range>, mut read: impl FnMut(Node) -> Option<Digest>) -> Result<Vec<Digest>, Error> {
    let mut hashes = Vec::with_capacity(ranges.len());
    for range in ranges.into_iter().rev() {
        let mut peaks = Vec::new();
        for node in subtrees(range) {
            let missing = Error::NodeMissing { level: node.level, index: node.index };
            peaks.push(read(node).ok_or(missing)?);
        }
        hashes.push(fold(&peaks));
    }
    Ok(hashes)
}
