//! The Merkle tree of RFC 6962 and RFC 9162: roots, proofs, and their verification.
//!
//! The first half is the writer's (`Frontier`, the two `_proof` functions); the second half, the
//! two `verify_` functions, follows RFC 9162 step by step and calls nothing of the first.

use super::hash::{node_hash, sha256};
use crate::domain::{EntryCount, EntryIndex, Hash32};

/// Levels of a tree of 64-bit size; no loop here goes further.
const MAX_LEVELS: usize = 64;

/// Where the hashes of complete subtrees lie.
pub trait NodeSource {
    /// What goes wrong when they cannot be read.
    type Fault;

    /// The hash over leaves `[index << level, (index + 1) << level)`, all of which exist.
    fn node(&self, level: u8, index: u64) -> Result<Hash32, Self::Fault>;
}

/// The right edge of a tree: the roots of its complete subtrees, enough to add leaves and to tell
/// the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// By level; a place counts exactly where the size has that bit.
    nodes: [Hash32; MAX_LEVELS],
}

impl Default for Frontier {
    fn default() -> Self {
        Self { size: 0, nodes: [Hash32([0; 32]); MAX_LEVELS] }
    }
}

impl Frontier {
    /// The frontier of a tree whose nodes are stored.
    pub fn from_nodes<S: NodeSource>(size: EntryCount, source: &S) -> Result<Self, S::Fault> {
        let mut frontier = Self { size: size.0, ..Self::default() };
        for level in levels_of(size.0) {
            frontier.nodes[usize::from(level)] = source.node(level, peak_index(size.0, level))?;
        }
        Ok(frontier)
    }

    /// Adds a leaf hash.
    ///
    /// # Panics
    ///
    /// At 2^64 - 1 leaves, which is out of reach.
    pub fn push(&mut self, leaf: Hash32) {
        assert!(self.size < u64::MAX, "2^64 entries are out of reach");
        let mut node = leaf;
        let mut level = 0;
        // The size is below 2^64 - 1, so some bit is zero and ends the loop before level 64.
        while (self.size >> level) & 1 == 1 {
            node = node_hash(&self.nodes[level], &node);
            level += 1;
        }
        let unused = Hash32([0; 32]);
        self.nodes[..level].fill(unused);
        self.nodes[level] = node;
        self.size += 1;
    }

    /// How many leaves.
    pub fn size(&self) -> EntryCount {
        EntryCount(self.size)
    }

    /// The root; SHA-256 of nothing when there are no leaves.
    pub fn root(&self) -> Hash32 {
        let peaks = levels_of(self.size).map(|level| &self.nodes[usize::from(level)]);
        fold_peaks(peaks.copied()).unwrap_or_else(|| sha256(&[]))
    }
}

/// The levels of the complete subtrees of a tree, right to left: the bits of its size.
fn levels_of(size: u64) -> impl Iterator<Item = u8> {
    (0..64_u8).filter(move |level| (size >> level) & 1 == 1)
}

/// Index, on its level, of the complete subtree that a bit of the size stands for.
fn peak_index(size: u64, level: u8) -> u64 {
    (size >> level) - 1
}

fn fold_peaks(right_to_left: impl Iterator<Item = Hash32>) -> Option<Hash32> {
    right_to_left.reduce(|right, left| node_hash(&left, &right))
}

/// Why there is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault<F> {
    /// The entry is not in the tree.
    #[error("entry {index} is not in a tree of {size} entries")]
    OutOfRange {
        /// The entry.
        index: EntryIndex,
        /// The tree.
        size: EntryCount,
    },
    /// The old tree is larger than the new one.
    #[error("a tree of {old} entries does not grow into one of {new}")]
    Shrinks {
        /// Size of the old tree.
        old: EntryCount,
        /// Size of the new tree.
        new: EntryCount,
    },
    /// A node could not be read.
    #[error("a node of the tree could not be read")]
    Node(#[source] F),
}

/// Proof that an entry is in a tree: sibling hashes from the leaf up.
pub fn inclusion_proof<S: NodeSource>(
    index: EntryIndex,
    size: EntryCount,
    source: &S,
) -> Result<Vec<Hash32>, ProofFault<S::Fault>> {
    if index.0 >= size.0 {
        return Err(ProofFault::OutOfRange { index, size });
    }
    climb(0, index.0, size.0, source).map_err(ProofFault::Node)
}

/// Proof that a tree is the beginning of another; empty when either is the other, or nothing.
pub fn consistency_proof<S: NodeSource>(
    old: EntryCount,
    new: EntryCount,
    source: &S,
) -> Result<Vec<Hash32>, ProofFault<S::Fault>> {
    if old > new {
        return Err(ProofFault::Shrinks { old, new });
    }
    if old.0 == 0 || old == new {
        return Ok(Vec::new());
    }
    // The last complete subtree of the old tree; when it is the whole old tree, its root is known.
    let level = u8::try_from(old.0.trailing_zeros()).unwrap_or(u8::MAX);
    let index = peak_index(old.0, level);
    let mut proof = Vec::new();
    if index > 0 {
        proof.push(source.node(level, index).map_err(ProofFault::Node)?);
    }
    proof.extend(climb(level, index, new.0, source).map_err(ProofFault::Node)?);
    Ok(proof)
}

/// The siblings of a node on its way to the root.
fn climb<S: NodeSource>(
    from: u8,
    index: u64,
    size: u64,
    source: &S,
) -> Result<Vec<Hash32>, S::Fault> {
    let mut siblings = Vec::new();
    let (mut node, mut last) = (index, (size - 1) >> from);
    for level in from..64_u8 {
        if last == 0 {
            break;
        }
        let sibling = node ^ 1;
        // Without a sibling the last node of a level is carried up as it is.
        if sibling <= last {
            siblings.push(subtree(level, sibling, size, source)?);
        }
        node >>= 1;
        last >>= 1;
    }
    Ok(siblings)
}

/// The hash over the leaves of a place in the tree that exist, complete or not.
fn subtree<S: NodeSource>(
    level: u8,
    index: u64,
    size: u64,
    source: &S,
) -> Result<Hash32, S::Fault> {
    let complete = size >> level;
    if index < complete {
        return source.node(level, index);
    }
    // The ragged right edge: the peaks below this level. There is at least one, because the place
    // holds a leaf and is not complete.
    let below = size & ((1 << level) - 1);
    let mut hash: Option<Hash32> = None;
    for peak in levels_of(below) {
        let left = source.node(peak, peak_index(size, peak))?;
        hash = Some(hash.map_or(left, |right| node_hash(&left, &right)));
    }
    Ok(hash.unwrap_or_else(|| sha256(&[])))
}

/// Why a proof does not convince.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofRefused {
    /// The entry is not in the tree.
    #[error("entry {index} is not in a tree of {size} entries")]
    OutOfRange {
        /// The entry.
        index: EntryIndex,
        /// The tree.
        size: EntryCount,
    },
    /// The old tree is larger than the new one.
    #[error("a tree of {old} entries does not grow into one of {new}")]
    Shrinks {
        /// Size of the old tree.
        old: EntryCount,
        /// Size of the new tree.
        new: EntryCount,
    },
    /// The proof ends before the root is reached.
    #[error("the proof of {found} hashes is too short")]
    TooShort {
        /// Its length.
        found: usize,
    },
    /// The root is reached before the proof ends.
    #[error("the proof has at most {expected} hashes, not {found}")]
    TooLong {
        /// How many were used.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// It leads to another root.
    #[error("the root is {expected}, but the proof leads to {found}")]
    OtherRoot {
        /// The root it should lead to.
        expected: Hash32,
        /// Where it leads.
        found: Hash32,
    },
    /// It starts from another old root.
    #[error("the old root is {expected}, but the proof starts from {found}")]
    OtherOldRoot {
        /// The root it should start from.
        expected: Hash32,
        /// Where it starts.
        found: Hash32,
    },
}

/// RFC 9162, 2.1.3.2: whether a leaf is in the tree of this root.
pub fn verify_inclusion(
    leaf: &Hash32,
    index: EntryIndex,
    size: EntryCount,
    proof: &[Hash32],
    root: &Hash32,
) -> Result<(), ProofRefused> {
    climb_to_root(leaf, index, size, proof, root, &mut |_, left, right| node_hash(left, right))
}

/// As [`verify_inclusion`] for entries one after the other: a node above both of two neighbours is
/// hashed once.
#[derive(Debug, Default)]
pub struct NeighbourCheck {
    /// For each step of the way: what was hashed there last, and its hash.
    steps: Vec<Option<[Hash32; 3]>>,
}

impl NeighbourCheck {
    /// Whether the proof leads from the leaf to the root.
    pub fn verify_inclusion(
        &mut self,
        leaf: &Hash32,
        index: EntryIndex,
        size: EntryCount,
        proof: &[Hash32],
        root: &Hash32,
    ) -> Result<(), ProofRefused> {
        self.steps.resize(self.steps.len().max(proof.len()), None);
        climb_to_root(leaf, index, size, proof, root, &mut |step, left, right| {
            let kept = self.steps.get_mut(step);
            if let Some(Some([one, other, above])) = &kept
                && one == left
                && other == right
            {
                return *above;
            }
            let above = node_hash(left, right);
            if let Some(kept) = kept {
                *kept = Some([*left, *right, above]);
            }
            above
        })
    }
}

fn climb_to_root(
    leaf: &Hash32,
    index: EntryIndex,
    size: EntryCount,
    proof: &[Hash32],
    root: &Hash32,
    above: &mut impl FnMut(usize, &Hash32, &Hash32) -> Hash32,
) -> Result<(), ProofRefused> {
    if index.0 >= size.0 {
        return Err(ProofRefused::OutOfRange { index, size });
    }
    let (mut node, mut last) = (index.0, size.0 - 1);
    let mut hash = *leaf;
    for (used, sibling) in proof.iter().enumerate() {
        if last == 0 {
            return Err(ProofRefused::TooLong { expected: used, found: proof.len() });
        }
        if node & 1 == 1 || node == last {
            hash = above(used, sibling, &hash);
            skip_to_right_child(&mut node, &mut last);
        } else {
            hash = above(used, &hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofRefused::TooShort { found: proof.len() });
    }
    same_root(root, &hash)
}

/// RFC 9162, 2.1.4.2: whether the tree of the old root is the beginning of the tree of the new
/// root.
pub fn verify_consistency(
    old: EntryCount,
    old_root: &Hash32,
    new: EntryCount,
    new_root: &Hash32,
    proof: &[Hash32],
) -> Result<(), ProofRefused> {
    if old > new {
        return Err(ProofRefused::Shrinks { old, new });
    }
    if old.0 == 0 || old == new {
        return verify_trivial(old, old_root, new, new_root, proof);
    }
    // The old root itself is the first hash when the old tree is one complete subtree.
    let (first, rest) = if old.0.is_power_of_two() {
        (*old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(ProofRefused::TooShort { found: 0 })?;
        (*first, rest)
    };
    let skipped = (old.0 - 1).trailing_ones();
    let (mut node, mut last) = ((old.0 - 1) >> skipped, (new.0 - 1) >> skipped);
    let (mut old_hash, mut new_hash) = (first, first);
    for (used, sibling) in rest.iter().enumerate() {
        if last == 0 {
            let expected = proof.len() - rest.len() + used;
            return Err(ProofRefused::TooLong { expected, found: proof.len() });
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            skip_to_right_child(&mut node, &mut last);
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofRefused::TooShort { found: proof.len() });
    }
    if old_hash != *old_root {
        return Err(ProofRefused::OtherOldRoot { expected: *old_root, found: old_hash });
    }
    same_root(new_root, &new_hash)
}

/// Nothing is the beginning of everything, and a tree of itself; both without a proof.
fn verify_trivial(
    old: EntryCount,
    old_root: &Hash32,
    new: EntryCount,
    new_root: &Hash32,
    proof: &[Hash32],
) -> Result<(), ProofRefused> {
    if !proof.is_empty() {
        return Err(ProofRefused::TooLong { expected: 0, found: proof.len() });
    }
    let empty = sha256(&[]);
    if old.0 == 0 && *old_root != empty {
        return Err(ProofRefused::OtherOldRoot { expected: *old_root, found: empty });
    }
    if old == new { same_root(new_root, old_root) } else { Ok(()) }
}

/// The last node of a level that is a left child is carried up until it is a right child.
fn skip_to_right_child(node: &mut u64, last: &mut u64) {
    if *node & 1 == 0 {
        let levels = node.trailing_zeros().min(u64::BITS - 1);
        *node >>= levels;
        *last >>= levels;
    }
}

fn same_root(expected: &Hash32, found: &Hash32) -> Result<(), ProofRefused> {
    if expected == found {
        Ok(())
    } else {
        Err(ProofRefused::OtherRoot { expected: *expected, found: *found })
    }
}
