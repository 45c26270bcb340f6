//! The tree over a few entries, as a list of its levels.

use bytes::Bytes;
use urbanmine::domain::Hash32;
use urbanmine::ledger::NodeSource;
use urbanmine::ledger::hash::{leaf_hash, node_hash};

/// Every perfect subtree, level by level.
pub struct Tree(Vec<Vec<Hash32>>);

impl NodeSource for Tree {
    type Fault = ();

    fn node(&self, level: u8, index: u64) -> Result<Hash32, ()> {
        let nodes = self.0.get(usize::from(level)).ok_or(())?;
        nodes.get(usize::try_from(index).unwrap()).copied().ok_or(())
    }
}

/// The tree over entries.
pub fn tree(entries: &[Bytes]) -> Tree {
    let mut levels: Vec<Vec<Hash32>> = vec![entries.iter().map(|it| leaf_hash(it)).collect()];
    while levels.last().unwrap().len() > 1 {
        let below = levels.last().unwrap();
        levels.push(below.chunks_exact(2).map(|it| node_hash(&it[0], &it[1])).collect());
    }
    Tree(levels)
}
