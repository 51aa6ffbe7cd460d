use std::collections::BTreeMap;

use proptest::prelude::*;
use tlog_tiles::tlog;

use super::proof::{consistency, continues, includes, inclusion};
use super::*;

/// A tree kept in memory as a store would keep it.
#[derive(Default)]
struct Kept {
    frontier: Frontier,
    nodes: BTreeMap<Node, Digest>,
    roots: Vec<Digest>,
}

impl Kept {
    fn of(leaves: impl IntoIterator<Item = Vec<u8>>) -> Kept {
        let mut kept = Kept { roots: vec![empty_root()], ..Kept::default() };
        for leaf in leaves {
            kept.nodes.extend(kept.frontier.append(leaf_hash(&leaf)).unwrap());
            kept.roots.push(kept.frontier.root());
        }
        kept
    }

    fn counting(size: u64) -> Kept {
        Kept::of((0..size).map(|i| format!("leaf {i}").into_bytes()))
    }

    fn read(&self, node: Node) -> Option<Digest> {
        self.nodes.get(&node).copied()
    }
}

/// The leaves and roots that the certificate transparency implementations share as their test vectors.
const VECTOR_LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const VECTOR_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn the_roots_are_those_of_the_certificate_transparency_vectors() {
    let kept = Kept::of(VECTOR_LEAVES.iter().map(|leaf| hex::decode(leaf).unwrap()));
    for (size, root) in VECTOR_ROOTS.iter().enumerate() {
        assert_eq!(hex::encode(kept.roots[size].as_bytes()), *root, "{size} leaves");
    }
}

#[test]
fn a_known_proof_has_the_hashes_of_the_vector() {
    let kept = Kept::of(VECTOR_LEAVES.iter().map(|leaf| hex::decode(leaf).unwrap()));
    let proof = consistency(1, 8, |node| kept.read(node)).unwrap();
    let hashes: Vec<String> = proof.iter().map(|hash| hex::encode(hash.as_bytes())).collect();
    assert_eq!(
        hashes,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
}

/// The tree as the definition of RFC 6962 section 2.1 has it, by recursion over the leaves.
fn defined_root(leaves: &[Vec<u8>]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => leaf_hash(leaf),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&defined_root(left), &defined_root(right))
        }
    }
}

#[test]
fn appending_gives_the_defined_root_at_every_size() {
    let leaves: Vec<Vec<u8>> = (0..130_u64).map(|i| format!("leaf {i}").into_bytes()).collect();
    let kept = Kept::counting(130);
    for size in 0..=130 {
        assert_eq!(kept.roots[size], defined_root(&leaves[..size]), "{size} leaves");
    }
}

#[test]
fn every_leaf_and_every_earlier_state_is_proved_in_every_small_tree() {
    let kept = Kept::counting(40);
    for size in 1..=40_u64 {
        let root = kept.roots[size as usize];
        for index in 0..size {
            let leaf = leaf_hash(format!("leaf {index}").as_bytes());
            let proof = inclusion(index, size, |node| kept.read(node)).unwrap();
            assert!(includes(&leaf, index, size, &proof, &root), "leaf {index} of {size}");
            for other in (0..size).filter(|other| *other != index) {
                assert!(!includes(&leaf, other, size, &proof, &root), "leaf {index} as {other} of {size}");
            }
        }
        for old in 0..=size {
            let proof = consistency(old, size, |node| kept.read(node)).unwrap();
            let old_root = kept.roots[old as usize];
            assert!(continues((old, &old_root), (size, &root), &proof), "{old} to {size}");
            assert!(!continues((old, &leaf_hash(b"another")), (size, &root), &proof), "{old} to {size}");
        }
    }
}

struct Oracle(Vec<tlog::Hash>);

impl tlog::HashReader for Oracle {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

#[test]
fn another_implementation_builds_the_same_roots_and_the_same_proofs() {
    let kept = Kept::counting(100);
    let mut oracle = Oracle(Vec::new());
    for i in 0..100 {
        let new = tlog::stored_hashes(i, format!("leaf {i}").as_bytes(), &oracle).unwrap();
        oracle.0.extend(new);
    }
    let bytes = |hashes: Vec<Digest>| hashes.iter().map(|hash| *hash.as_bytes()).collect::<Vec<_>>();
    let theirs = |hashes: Vec<tlog::Hash>| hashes.iter().map(|hash| hash.0).collect::<Vec<_>>();
    for size in 1..=100 {
        assert_eq!(tlog::tree_hash(size, &oracle).unwrap().0, *kept.roots[size as usize].as_bytes());
        for part in 1..=size {
            let ours = inclusion(part - 1, size, |node| kept.read(node)).unwrap();
            assert_eq!(bytes(ours), theirs(tlog::prove_record(size, part - 1, &oracle).unwrap()));
            let ours = consistency(part, size, |node| kept.read(node)).unwrap();
            assert_eq!(bytes(ours), theirs(tlog::prove_tree(size, part, &oracle).unwrap()));
        }
    }
}

#[test]
fn a_stored_tree_is_resumed_from_a_handful_of_nodes() {
    let kept = Kept::counting(1_000);
    let mut reads = 0;
    let resumed = Frontier::resume(1_000, |node| {
        reads += 1;
        kept.read(node)
    });
    assert_eq!(resumed.unwrap(), kept.frontier);
    assert_eq!(reads, 1_000_u64.count_ones());
}

#[test]
fn a_missing_node_is_named() {
    let error = Frontier::resume(4, |_| None).unwrap_err();
    assert_eq!(error, Error::NodeMissing { level: 2, index: 0 });
}

#[test]
fn a_batch_that_fails_leaves_the_frontier_as_it_was() {
    let mut frontier = Frontier { size: LEAVES_LIMIT - 1, peaks: vec![empty_root(); 48] };
    let before = frontier.clone();
    assert_eq!(append(&mut frontier, [empty_root(), empty_root()]), Err(Error::Full));
    assert_eq!(frontier, before);
}

#[test]
fn proofs_of_what_is_not_there_are_refused() {
    let kept = Kept::counting(5);
    assert!(inclusion(5, 5, |node| kept.read(node)).is_err());
    assert!(consistency(6, 5, |node| kept.read(node)).is_err());
    assert!(!includes(&empty_root(), 0, 0, &[], &empty_root()));
    assert!(!includes(&empty_root(), u64::MAX, u64::MAX, &[], &empty_root()));
}

proptest! {
    #[test]
    fn a_changed_proof_proves_nothing(size in 2_u64..200, pick in any::<u64>(), place in any::<u64>(), bit in 0_u8..8) {
        let kept = Kept::counting(size);
        let root = kept.roots[size as usize];
        let index = pick % size;
        let leaf = leaf_hash(format!("leaf {index}").as_bytes());
        let mut proof = inclusion(index, size, |node| kept.read(node)).unwrap();
        let at = place as usize % proof.len();
        let mut bytes = *proof[at].as_bytes();
        bytes[place as usize % 32] ^= 1 << bit;
        proof[at] = Digest::from_bytes(bytes);
        prop_assert!(!includes(&leaf, index, size, &proof, &root));
        proof.pop();
        prop_assert!(!includes(&leaf, index, size, &proof, &root));
    }

    #[test]
    fn no_proof_whatever_makes_the_verifier_panic(
        old in any::<u64>(), new in any::<u64>(), hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70)
    ) {
        let hashes: Vec<Digest> = hashes.into_iter().map(Digest::from_bytes).collect();
        let root = empty_root();
        prop_assert!(!includes(&root, old, new, &hashes, &leaf_hash(b"x")));
        prop_assert!(old == 0 || !continues((old, &root), (new, &leaf_hash(b"x")), &hashes));
    }
}
