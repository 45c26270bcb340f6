//! Campaigns: what went into each pool and, once it is closed, of which origins all is that came
//! out of it.
//!
//! Until then a lot that was drawn from a campaign is of one origin, the pool itself
//! ([`LotId::pool`]). Afterwards that name is replaced by the mix of everything that went in. Pools
//! may feed each other, and themselves, before they are closed: those that do are one pool, and
//! what they give each other says nothing of where it came from.

use std::collections::{BTreeMap, BTreeSet};

use super::range::Mix;
use super::share::Vector;
use crate::domain::LotId;

/// What went into one pool.
#[derive(Debug, Clone)]
pub(super) struct Inflow<V> {
    /// By origin as it went in, pools among them; `None`: of some grams nobody knows the origins.
    shares: Option<V>,
    /// What is in process after the close; `None`: nobody knows how much.
    stock: Option<u64>,
    is_closed: bool,
}

impl<V: Mix> Inflow<V> {
    pub(super) fn new() -> Self {
        Self { shares: Some(V::default()), stock: Some(0), is_closed: false }
    }

    /// More goes in; `None` makes the whole mix unknown.
    pub(super) fn fill(&mut self, shares: Option<&V>) {
        let both = self.shares.take().zip(shares);
        self.shares = both.map(|(sum, shares)| sum.merged(shares));
    }

    /// The mix is final.
    pub(super) fn close(&mut self, stock: Option<u64>) {
        self.stock = stock;
        self.is_closed = true;
    }

    /// The same without ranges.
    pub(super) fn of_shares(&self) -> Inflow<Vector> {
        let shares = self.shares.as_ref().map(|mix| mix.shares().clone());
        Inflow { shares, stock: self.stock, is_closed: self.is_closed }
    }

    /// How many origins it has so far: the work of handling it.
    pub(super) fn len(&self) -> usize {
        self.shares.as_ref().map_or(1, V::size)
    }
}

/// The pools of a walk, resolved.
pub(super) struct Mixes<V> {
    pools: BTreeMap<LotId, PoolMix<V>>,
    /// Shares handled to resolve them.
    pub(super) handled: usize,
}

/// One pool.
struct PoolMix<V> {
    /// What went in from outside, by origin; open pools may be among them. `None`: not known.
    inflow: Option<V>,
    /// Of what all of it is that came out; `None` while the pool is open, and when not known.
    outflow: Option<V>,
    /// How much more than the sum of `outflow` may have come from outside.
    doubt: u64,
    stock: Option<u64>,
    is_closed: bool,
}

impl<V: Mix> Mixes<V> {
    /// Resolves all pools, those that others drew from first.
    pub(super) fn resolve(pools: &BTreeMap<LotId, Inflow<V>>) -> Self {
        let is_closed = |id: &LotId| pools.get(id).is_some_and(|pool| pool.is_closed);
        let feeds = |pool: &Inflow<V>| -> Vec<LotId> {
            pool.shares.iter().flat_map(V::origins).filter(is_closed).collect()
        };
        let closed = pools.iter().filter(|(_, pool)| pool.is_closed);
        let edges = closed.map(|(id, pool)| (*id, feeds(pool))).collect();
        let mut mixes = Self { pools: BTreeMap::new(), handled: 0 };
        for group in groups(&edges).into_iter().rev() {
            mixes.add(pools, &group, true);
        }
        for (id, _) in pools.iter().filter(|(_, pool)| !pool.is_closed) {
            mixes.add(pools, &[*id], false);
        }
        mixes
    }

    /// Adds pools that feed each other; all others that they drew from are there.
    fn add(&mut self, pools: &BTreeMap<LotId, Inflow<V>>, group: &[LotId], is_closed: bool) {
        let members: BTreeSet<LotId> = group.iter().copied().collect();
        let mut mix = Some(V::default());
        let mut inflows = Vec::with_capacity(group.len());
        let mut doubt = 0_u64;
        for pool in group.iter().filter_map(|id| pools.get(id)) {
            doubt += pool.shares.as_ref().map_or(0, |shares| shares.doubt_of(&members));
            let outside = pool.shares.as_ref().map(|it| it.parted(|id| members.contains(&id)).1);
            let inflow = outside.and_then(|shares| self.resolved(&shares));
            self.handled += inflow.as_ref().map_or(1, V::size);
            mix = mix.zip(inflow.as_ref()).map(|(sum, shares)| sum.merged(shares));
            inflows.push(inflow);
        }
        for (id, inflow) in group.iter().zip(inflows) {
            let outflow = mix.clone().filter(|_| is_closed);
            let stock = pools.get(id).and_then(|pool| pool.stock);
            self.pools.insert(*id, PoolMix { inflow, outflow, doubt, stock, is_closed });
        }
    }

    /// The same grams, with every closed pool replaced by its mix. `None` when of some grams nobody
    /// knows the origins.
    pub(super) fn resolved(&self, vector: &V) -> Option<V> {
        let is_closed = |id| self.pools.get(&id).is_some_and(|pool| pool.is_closed);
        let (pooled, mut sum) = vector.parted(is_closed);
        for origin in pooled.origins() {
            let part = pooled.parted(|id| id == origin).0;
            let pool = self.pools.get(&origin)?;
            let mix = pool.outflow.as_ref().filter(|mix| mix.sum() > 0);
            sum = match mix {
                Some(mix) => sum.merged(&part.drawn_from(mix, pool.doubt)),
                // It has no share, and may have one: the range stays that of the pool.
                None if part.sum() == 0 => sum.merged(&part),
                None => return None,
            };
        }
        Some(sum)
    }

    /// Grams of an origin that went into a pool from outside.
    pub(super) fn inflow_of(&self, pool: LotId, origin: LotId) -> Option<u64> {
        Some(self.pools.get(&pool)?.inflow.as_ref()?.shares().grams_of(origin))
    }

    /// Grams of an origin that are in process in a pool: all that went in while it is open, its
    /// part of the closing stock afterwards.
    pub(super) fn in_process(&self, pool: LotId, origin: LotId) -> Option<u64> {
        let found = self.pools.get(&pool)?;
        if !found.is_closed {
            return self.inflow_of(pool, origin);
        }
        Some(found.outflow.as_ref()?.rescaled(found.stock?).shares().grams_of(origin))
    }
}

/// The strongly connected groups of a graph: a group that points at another one comes before it.
/// Two passes with a stack of their own, never recursion. Edges to nodes without a row are ignored.
pub(super) fn groups(edges: &BTreeMap<LotId, Vec<LotId>>) -> Vec<Vec<LotId>> {
    let mut back: BTreeMap<LotId, Vec<LotId>> = BTreeMap::new();
    for (from, targets) in edges {
        for to in targets {
            back.entry(*to).or_default().push(*from);
        }
    }
    let mut seen = BTreeSet::new();
    let mut finished = Vec::with_capacity(edges.len());
    for start in edges.keys() {
        finished.extend(finishing_order(edges, *start, &mut seen));
    }
    let mut grouped = BTreeSet::new();
    let mut found = Vec::new();
    for start in finished.into_iter().rev() {
        let mut group = Vec::new();
        let mut stack = vec![start];
        while let Some(node) = stack.pop() {
            if edges.contains_key(&node) && grouped.insert(node) {
                group.push(node);
                stack.extend(back.get(&node).into_iter().flatten());
            }
        }
        if !group.is_empty() {
            group.sort_unstable();
            found.push(group);
        }
    }
    found
}

/// The nodes that are reached from one and were not seen before, in the order in which they are
/// done with.
fn finishing_order(
    edges: &BTreeMap<LotId, Vec<LotId>>,
    start: LotId,
    seen: &mut BTreeSet<LotId>,
) -> Vec<LotId> {
    let mut finished = Vec::new();
    let mut stack = Vec::new();
    if seen.insert(start) {
        stack.push((start, 0));
    }
    while let Some((node, next)) = stack.last_mut() {
        let target = edges.get(node).and_then(|targets| targets.get(*next)).copied();
        *next += 1;
        match target {
            Some(to) if edges.contains_key(&to) && seen.insert(to) => stack.push((to, 0)),
            Some(_) => {}
            None => {
                finished.push(*node);
                stack.pop();
            }
        }
    }
    finished
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> LotId {
        LotId::from_bytes([number; 16])
    }

    fn pool(feeds: &[(u8, u64)], is_closed: bool) -> Inflow<Vector> {
        let mut inflow = Inflow::new();
        for (origin, grams) in feeds {
            inflow.fill(Some(&Vector::of(id(*origin), *grams)));
        }
        if is_closed {
            inflow.close(Some(0));
        }
        inflow
    }

    fn shares(mixes: &Mixes<Vector>, of: u8, grams: u64) -> Option<Vec<(LotId, u64)>> {
        let found = mixes.resolved(&Vector::of(id(of), grams))?;
        Some(found.components().to_vec())
    }

    #[test]
    fn groups_come_in_the_order_of_their_edges() {
        let edges = [(1, vec![2]), (2, vec![3, 4]), (3, vec![1, 5]), (4, vec![9]), (5, vec![4])];
        let edges = edges.map(|(from, to)| (id(from), to.into_iter().map(id).collect()));
        let found = groups(&edges.into());
        assert_eq!(found, [vec![id(1), id(2), id(3)], vec![id(5)], vec![id(4)]]);
    }

    #[test]
    fn a_pool_that_feeds_itself_has_the_mix_of_what_came_from_outside() {
        let pools = [(id(8), pool(&[(1, 30), (2, 10), (8, 500)], true))].into();
        let mixes = Mixes::resolve(&pools);
        assert_eq!(shares(&mixes, 8, 4).unwrap(), [(id(1), 3), (id(2), 1)]);
        assert_eq!(mixes.inflow_of(id(8), id(1)), Some(30));
    }

    #[test]
    fn pools_that_feed_each_other_are_one() {
        let one = pool(&[(1, 30), (9, 7)], true);
        let other = pool(&[(2, 10), (8, 5)], true);
        let pools = [(id(8), one), (id(9), other)].into();
        let mixes = Mixes::resolve(&pools);
        for asked in [8, 9] {
            assert_eq!(shares(&mixes, asked, 40).unwrap(), [(id(1), 30), (id(2), 10)]);
        }
    }

    #[test]
    fn a_pool_that_is_open_keeps_its_name_in_those_that_drew_from_it() {
        let pools = [(id(7), pool(&[(1, 5)], false)), (id(8), pool(&[(7, 1), (2, 3)], true))];
        let mixes = Mixes::resolve(&pools.into());
        assert_eq!(shares(&mixes, 8, 8).unwrap(), [(id(2), 6), (id(7), 2)]);
        assert_eq!(shares(&mixes, 7, 8).unwrap(), [(id(7), 8)]);
        assert_eq!(mixes.in_process(id(7), id(1)), Some(5));
    }

    #[test]
    fn an_unknown_feed_makes_all_of_it_unknown() {
        let mut blind = pool(&[(1, 5)], true);
        blind.fill(None);
        let pools = [(id(7), blind), (id(8), pool(&[(7, 1), (2, 3)], true))].into();
        let mixes = Mixes::resolve(&pools);
        assert_eq!(shares(&mixes, 7, 8), None);
        assert_eq!(shares(&mixes, 8, 8), None);
        assert_eq!(shares(&mixes, 2, 8).unwrap(), [(id(2), 8)]);
    }
}
