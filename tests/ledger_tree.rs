//! The tree against two other people's implementations, over thousands of trees.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;
use tlog_tiles::tlog;
use urbanmine::domain::{EntryCount, EntryIndex, Hash32};
use urbanmine::ledger::hash::{leaf_hash, node_hash, sha256};
use urbanmine::ledger::tree::{
    Frontier, NeighbourCheck, NodeSource, ProofFault, ProofRefused, consistency_proof,
    inclusion_proof, verify_consistency, verify_inclusion,
};

/// Complete subtrees by level.
#[derive(Default)]
struct Nodes(Vec<Vec<Hash32>>);

impl Nodes {
    fn push(&mut self, leaf: Hash32) {
        let mut node = leaf;
        for level in 0.. {
            if self.0.len() == level {
                self.0.push(Vec::new());
            }
            self.0[level].push(node);
            let [.., left, right] = self.0[level].as_slice() else { return };
            if !self.0[level].len().is_multiple_of(2) {
                return;
            }
            node = node_hash(left, right);
        }
    }
}

impl NodeSource for Nodes {
    type Fault = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash32, Infallible> {
        Ok(self.0[usize::from(level)][usize::try_from(index).unwrap()])
    }
}

/// The storage that `tlog_tiles` asks for.
#[derive(Default)]
struct Stored(Vec<tlog::Hash>);

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

/// One tree, three times.
#[derive(Default)]
struct Trees {
    leaves: Vec<Hash32>,
    frontier: Frontier,
    nodes: Nodes,
    stored: Stored,
    ct: MemoryBackedTree<Sha256, Vec<u8>>,
}

impl Trees {
    fn push(&mut self, entry: &[u8]) {
        let leaf = leaf_hash(entry);
        let index = self.leaves.len() as u64;
        self.leaves.push(leaf);
        self.frontier.push(leaf);
        self.nodes.push(leaf);
        let added = tlog::stored_hashes(index, entry, &self.stored).unwrap();
        self.stored.0.extend(added);
        self.ct.push(entry.to_vec());
    }

    fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    fn root_at(&self, size: u64) -> Hash32 {
        Frontier::from_nodes(EntryCount(size), &self.nodes).unwrap().root()
    }
}

fn trees(size: u64) -> Trees {
    let mut trees = Trees::default();
    (0..size).for_each(|number| trees.push(&number.to_be_bytes()));
    trees
}

fn ours(hashes: &[tlog::Hash]) -> Vec<Hash32> {
    hashes.iter().map(|hash| Hash32(hash.0)).collect()
}

fn split(bytes: &[u8]) -> Vec<Hash32> {
    bytes.chunks(32).map(|hash| Hash32(hash.try_into().unwrap())).collect()
}

fn verify_in(trees: &Trees, index: u64, size: u64, proof: &[Hash32]) -> Result<(), ProofRefused> {
    let leaf = &trees.leaves[usize::try_from(index).unwrap()];
    let root = trees.root_at(size);
    verify_inclusion(leaf, EntryIndex(index), EntryCount(size), proof, &root)
}

fn verify_growth(trees: &Trees, old: u64, new: u64, proof: &[Hash32]) -> Result<(), ProofRefused> {
    let (old_root, new_root) = (trees.root_at(old), trees.root_at(new));
    verify_consistency(EntryCount(old), &old_root, EntryCount(new), &new_root, proof)
}

#[test]
fn roots_equal_those_of_others_at_every_size() {
    let mut trees = Trees::default();
    assert_eq!(trees.frontier.root(), sha256(b""));
    for number in 0..1_500_u64 {
        trees.push(&number.to_be_bytes());
        let root = trees.frontier.root();
        assert_eq!(root.0, tlog::tree_hash(trees.size(), &trees.stored).unwrap().0);
        assert_eq!(root.0[..], trees.ct.root().as_bytes()[..]);
        let rebuilt = Frontier::from_nodes(EntryCount(trees.size()), &trees.nodes).unwrap();
        assert_eq!(rebuilt, trees.frontier);
    }
}

#[test]
fn every_proof_of_every_small_tree_equals_those_of_others_and_verifies() {
    let mut trees = Trees::default();
    for size in 1..=70_u64 {
        trees.push(&size.to_be_bytes());
        for index in 0..size {
            let proof = inclusion_proof(EntryIndex(index), EntryCount(size), &trees.nodes).unwrap();
            assert_eq!(proof, ours(&tlog::prove_record(size, index, &trees.stored).unwrap()));
            let ct = trees.ct.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(proof, split(ct.as_bytes()));
            assert_eq!(verify_in(&trees, index, size, &proof), Ok(()));
        }
        for old in 1..=size {
            let proof = consistency_proof(EntryCount(old), EntryCount(size), &trees.nodes).unwrap();
            assert_eq!(proof, ours(&tlog::prove_tree(size, old, &trees.stored).unwrap()));
            let ct = trees.ct.prove_consistency(usize::try_from(size - old).unwrap());
            assert_eq!(proof, split(ct.as_bytes()));
            assert_eq!(verify_growth(&trees, old, size, &proof), Ok(()));
        }
    }
}

#[test]
fn nothing_is_the_beginning_of_everything() {
    let trees = trees(5);
    for new in 0..=5 {
        let proof = consistency_proof(EntryCount(0), EntryCount(new), &trees.nodes).unwrap();
        assert!(proof.is_empty());
        assert_eq!(verify_growth(&trees, 0, new, &proof), Ok(()));
    }
    let (empty, other) = (sha256(b""), Hash32([9; 32]));
    let refused = verify_consistency(EntryCount(0), &other, EntryCount(5), &empty, &[]);
    assert!(matches!(refused, Err(ProofRefused::OtherOldRoot { .. })));
    let refused = verify_consistency(EntryCount(0), &empty, EntryCount(0), &other, &[]);
    assert!(matches!(refused, Err(ProofRefused::OtherRoot { .. })));
}

#[test]
fn places_outside_the_tree_have_no_proof() {
    let trees = trees(3);
    let (index, size) = (EntryIndex(3), EntryCount(3));
    let fault = inclusion_proof(index, size, &trees.nodes).unwrap_err();
    assert_eq!(fault, ProofFault::OutOfRange { index, size });
    let (old, new) = (EntryCount(3), EntryCount(2));
    let fault = consistency_proof(old, new, &trees.nodes).unwrap_err();
    assert_eq!(fault, ProofFault::Shrinks { old, new });
    let hash = Hash32([0; 32]);
    let refused = verify_inclusion(&hash, index, size, &[], &hash);
    assert_eq!(refused, Err(ProofRefused::OutOfRange { index, size }));
    let refused = verify_consistency(old, &hash, new, &hash, &[]);
    assert_eq!(refused, Err(ProofRefused::Shrinks { old, new }));
}

#[test]
fn sizes_at_the_edge_of_64_bits_end() {
    let (hash, proof) = (Hash32([1; 32]), vec![Hash32([2; 32]); 70]);
    for size in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) + 1] {
        for index in [0, 1, size / 2, size - 2, size - 1] {
            for length in 0..proof.len() {
                let (index, size) = (EntryIndex(index), EntryCount(size));
                let proof = &proof[..length];
                assert!(verify_inclusion(&hash, index, size, proof, &hash).is_err());
                let old = EntryCount(index.0.max(1));
                assert!(verify_consistency(old, &hash, size, &hash, proof).is_err());
            }
        }
    }
}

/// A tree whose leaves are all the same: any size without storing it.
struct Uniform(Vec<Hash32>);

impl Uniform {
    fn new() -> Self {
        let up = |node: &Hash32| Some(node_hash(node, node));
        Self(std::iter::successors(Some(leaf_hash(b"")), up).take(64).collect())
    }
}

impl NodeSource for Uniform {
    type Fault = Infallible;

    fn node(&self, level: u8, _index: u64) -> Result<Hash32, Infallible> {
        Ok(self.0[usize::from(level)])
    }
}

proptest! {
    #[test]
    fn trees_of_any_size_prove_and_verify(
        size in 1..=u64::MAX,
        place in any::<u64>(),
        shift in 0..64_u32,
    ) {
        let (tree, size) = (Uniform::new(), EntryCount((size >> shift).max(1)));
        let (index, old) = (EntryIndex(place % size.0), EntryCount(place % size.0 + 1));
        let root = |size| Frontier::from_nodes(size, &tree).unwrap().root();
        let proof = inclusion_proof(index, size, &tree).unwrap();
        prop_assert!(proof.len() <= urbanmine::limits::MAX_PROOF_HASHES);
        prop_assert_eq!(verify_inclusion(&tree.0[0], index, size, &proof, &root(size)), Ok(()));
        let proof = consistency_proof(old, size, &tree).unwrap();
        let verdict = verify_consistency(old, &root(old), size, &root(size), &proof);
        prop_assert_eq!(verdict, Ok(()));
    }
}

/// Each way in which a proof can be bent once.
fn bent(proof: &[Hash32], bit: usize) -> Vec<Vec<Hash32>> {
    let longer = [proof, &[Hash32([3; 32])]].concat();
    let mut all = vec![longer];
    if let [shorter @ .., _] = proof {
        all.push(shorter.to_vec());
        all.push(proof[1..].to_vec());
        let mut flipped = proof.to_vec();
        flipped[bit % proof.len()].0[bit % 32] ^= 1 << (bit % 8);
        all.push(flipped);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn proofs_of_random_trees_equal_those_of_others_and_bent_ones_are_refused(
        size in 1..400_u64,
        place in any::<prop::sample::Index>(),
        bit in any::<usize>(),
    ) {
        let trees = trees(size);
        let index = place.index(usize::try_from(size).unwrap()) as u64;
        let proof = inclusion_proof(EntryIndex(index), EntryCount(size), &trees.nodes).unwrap();
        prop_assert_eq!(&proof, &ours(&tlog::prove_record(size, index, &trees.stored).unwrap()));
        prop_assert_eq!(verify_in(&trees, index, size, &proof), Ok(()));
        for bent in bent(&proof, bit) {
            prop_assert!(verify_in(&trees, index, size, &bent).is_err());
        }
        if size > 1 {
            let other = (index + 1) % size;
            prop_assert!(verify_in(&trees, other, size, &proof).is_err());
        }

        let old = index + 1;
        let proof = consistency_proof(EntryCount(old), EntryCount(size), &trees.nodes).unwrap();
        prop_assert_eq!(&proof, &ours(&tlog::prove_tree(size, old, &trees.stored).unwrap()));
        prop_assert_eq!(verify_growth(&trees, old, size, &proof), Ok(()));
        for bent in bent(&proof, bit) {
            prop_assert!(verify_growth(&trees, old, size, &bent).is_err());
        }
        let (forged, root) = (Hash32([4; 32]), trees.root_at(size));
        let (old, size) = (EntryCount(old), EntryCount(size));
        prop_assert!(verify_consistency(old, &forged, size, &root, &proof).is_err());
        let root = trees.root_at(old.0);
        prop_assert!(verify_consistency(old, &root, size, &forged, &proof).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever was checked before, the verdict is that of a check alone; a bent proof among sound
    /// ones is refused, and spoils none behind it.
    #[test]
    fn neighbours_are_judged_as_each_would_be_alone(
        size in 1..400_u64,
        from in any::<prop::sample::Index>(),
        bend in prop::collection::vec(prop::option::weighted(0.2, any::<usize>()), 1..40),
    ) {
        let trees = trees(size);
        let (of, root) = (EntryCount(size), trees.root_at(size));
        let from = from.index(usize::try_from(size).unwrap()) as u64;
        let mut check = NeighbourCheck::default();
        for (index, bit) in (from..size).zip(bend) {
            let leaf = trees.leaves[usize::try_from(index).unwrap()];
            let sound = inclusion_proof(EntryIndex(index), of, &trees.nodes).unwrap();
            let proofs = match bit {
                Some(bit) => [bent(&sound, bit), vec![sound]].concat(),
                None => vec![sound],
            };
            for proof in proofs {
                let alone = verify_inclusion(&leaf, EntryIndex(index), of, &proof, &root);
                let among = check.verify_inclusion(&leaf, EntryIndex(index), of, &proof, &root);
                prop_assert_eq!(among, alone);
            }
        }
    }
}
