//! What ties a party to a lot: one row for each pair. While the party owns the lot, or has it in
//! its hands, the row lies among its holdings, so that a list of these looks at nothing else;
//! afterwards among the lots that it is related to.

use std::collections::BTreeMap;
use std::iter::Peekable;

use sled::IVec;

use super::batch::Batch;

use super::Store;
use super::codec::{self, codec_struct};
use super::database::{Database, decoded};
use super::fault::StoreFault;
use super::keyspace::{Key, Tag};
use super::lives::LotRow;
use crate::domain::lot::Lot;
use crate::domain::sight::{EntrySight, Relation, Turn};
use crate::domain::{EntryIndex, LotId, PartyId};

/// What a party has of a lot, and how it is related to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holding {
    /// It is the party's property.
    pub(super) is_owned: bool,
    /// It is in the party's hands.
    pub(super) is_held: bool,
    relation: Option<Relation>,
}

codec_struct!(Holding { is_owned, is_held, relation });

/// What stands of a pair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tie {
    /// Property, hands.
    has: (bool, bool),
    relation: Option<Relation>,
}

impl Tie {
    fn is_holding(&self) -> bool {
        self.has.0 || self.has.1
    }

    /// A group may move the pair from one row to the other between two readings: where neither was
    /// found it came among the holdings meanwhile, or there is none.
    fn read(database: &Database, party: PartyId, lot: LotId) -> Result<Self, StoreFault> {
        let of = |holding: Holding| {
            let has = (holding.is_owned, holding.is_held);
            Self { has, relation: holding.relation }
        };
        let holding = Key::Holding(party, lot);
        if let Some(found) = database.value(&holding)? {
            return Ok(of(found));
        }
        if let Some(relation) = database.value(&Key::RelatedLot(party, lot))? {
            return Ok(Self { has: (false, false), relation: Some(relation) });
        }
        Ok(database.value(&holding)?.map_or_else(Self::default, of))
    }

    fn put(self, before: &Self, batch: &mut Batch, party: PartyId, lot: LotId) {
        if self == *before {
            return;
        }
        let (holding, related) = (Key::Holding(party, lot), Key::RelatedLot(party, lot));
        if before.is_holding() && !self.is_holding() {
            batch.remove(holding.packed());
        } else if before.relation.is_some() && !before.is_holding() && self.is_holding() {
            batch.remove(related.packed());
        }
        if self.is_holding() {
            let ((is_owned, is_held), relation) = (self.has, self.relation);
            let row = Holding { is_owned, is_held, relation };
            batch.insert(holding.packed(), codec::encode(&row));
        } else if let Some(relation) = &self.relation {
            batch.insert(related.packed(), codec::encode(relation));
        }
    }
}

/// Writes what a group that begins with `first` changes: whose its lots are, and who sees them
/// otherwise. A lot that was born in it has no rows yet.
pub(super) fn put_ties(
    database: &Database,
    batch: &mut Batch,
    first: EntryIndex,
    lots: &BTreeMap<LotId, Box<Lot>>,
    before: &BTreeMap<LotId, LotRow>,
    entries: &[EntrySight],
) -> Result<(), StoreFault> {
    let mut turns: BTreeMap<(LotId, PartyId), Vec<&Turn>> = BTreeMap::new();
    for (id, lot) in lots {
        let earlier =
            before.get(id).map(|it| [it.lot.owner, it.lot.possessor]).into_iter().flatten();
        for party in earlier.chain([lot.owner, lot.possessor]) {
            turns.entry((*id, party)).or_default();
        }
    }
    for sight in entries.iter().flat_map(|entry| &entry.sights) {
        turns.entry((sight.lot, sight.party)).or_default().push(&sight.turn);
    }
    for ((id, party), turns) in turns {
        let lot = lots.get(&id);
        let stood = if lot.is_some_and(|lot| lot.born_at >= first) {
            Tie::default()
        } else {
            Tie::read(database, party, id)?
        };
        let mut tie = stood.clone();
        if let Some(lot) = lot {
            tie.has = (lot.owner == party, lot.possessor == party);
        }
        for turn in turns {
            tie.relation.get_or_insert_default().take(turn);
        }
        tie.put(&stood, batch, party, id);
    }
    Ok(())
}

impl Store {
    /// How a party is related to a lot; `None` when it is not.
    pub fn relation(&self, party: PartyId, lot: LotId) -> Result<Option<Relation>, StoreFault> {
        Ok(Tie::read(&self.database, party, lot)?.relation)
    }

    /// Lots that a party is related to, ascending, after one.
    pub fn related_lots(
        &self,
        party: PartyId,
        after: Option<LotId>,
        max: usize,
    ) -> Result<Vec<(LotId, Relation)>, StoreFault> {
        let from = after.unwrap_or(LotId::from_bytes([0; 16]));
        let mut held = self.holdings(party, from).peekable();
        let mut others = self.related_elsewhere(party, from).peekable();
        let mut found = Vec::new();
        while found.len() < max {
            let Some((lot, relation)) = next_of(&mut held, &mut others)? else { break };
            if let Some(relation) = relation
                && Some(lot) != after
            {
                found.push((lot, relation));
            }
        }
        Ok(found)
    }

    /// Lots that a party owns (or has in its hands), ascending, from one on.
    pub(super) fn lots_of(
        &self,
        party: PartyId,
        from: LotId,
        must_own: bool,
    ) -> impl Iterator<Item = Result<LotId, StoreFault>> {
        let is_asked = move |it: &Holding| if must_own { it.is_owned } else { it.is_held };
        self.holding_rows(party, from).filter_map(move |row| match row {
            Ok((lot, holding)) => is_asked(&holding).then_some(Ok(lot)),
            Err(fault) => Some(Err(fault)),
        })
    }

    fn holding_rows(
        &self,
        party: PartyId,
        from: LotId,
    ) -> impl Iterator<Item = Result<(LotId, Holding), StoreFault>> {
        let rows = self.database.walk(Tag::Holding, Key::Holding(party, from).bytes());
        rows_of(rows, move |key| match key {
            Key::Holding(of, lot) if *of == party => Some(*lot),
            _ => None,
        })
    }

    fn holdings(&self, party: PartyId, from: LotId) -> impl Iterator<Item = Tied> {
        let rows = self.holding_rows(party, from);
        rows.map(|row| row.map(|(lot, holding)| (lot, holding.relation)))
    }

    fn related_elsewhere(&self, party: PartyId, from: LotId) -> impl Iterator<Item = Tied> {
        let rows = self.database.walk(Tag::RelatedLot, Key::RelatedLot(party, from).bytes());
        let rows = rows_of(rows, move |key| match key {
            Key::RelatedLot(of, lot) if *of == party => Some(*lot),
            _ => None,
        });
        rows.map(|row| row.map(|(lot, relation)| (lot, Some(relation))))
    }
}

type Tied = Result<(LotId, Option<Relation>), StoreFault>;

/// Rows as long as they are of one party.
fn rows_of<T: codec::Codec>(
    rows: impl Iterator<Item = Result<(Key, IVec), StoreFault>>,
    lot_of: impl Fn(&Key) -> Option<LotId>,
) -> impl Iterator<Item = Result<(LotId, T), StoreFault>> {
    rows.map_while(move |row| match row {
        Ok((key, value)) => {
            let lot = lot_of(&key)?;
            Some(decoded(&key, &value).map(|value| (lot, value)))
        }
        Err(fault) => Some(Err(fault)),
    })
}

/// The next of two ascending walks. A lot that moved from one to the other meanwhile, and is in
/// both, comes once.
fn next_of(
    one: &mut Peekable<impl Iterator<Item = Tied>>,
    other: &mut Peekable<impl Iterator<Item = Tied>>,
) -> Result<Option<(LotId, Option<Relation>)>, StoreFault> {
    let is_first = match (one.peek(), other.peek()) {
        (Some(Ok((lot, _))), Some(Ok((rival, _)))) => lot <= rival,
        // A fault comes first, whichever walk it is of.
        (None, _) | (Some(Ok(_)), Some(Err(_))) => false,
        (Some(Err(_)), _) | (Some(_), None) => true,
    };
    if !is_first {
        return other.next().transpose();
    }
    let found = one.next().transpose()?;
    let is_same = |rival: &Tied| {
        let lot = rival.as_ref().ok().map(|(lot, _)| *lot);
        lot.is_some() && lot == found.as_ref().map(|(lot, _)| *lot)
    };
    if other.peek().is_some_and(is_same) {
        other.next();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;
    use crate::domain::Grams;

    fn walk(lots: &[u8]) -> Peekable<std::vec::IntoIter<Tied>> {
        let relation = Relation { arrived: Some(Grams::of(1)), ..Relation::default() };
        let row = |lot: &u8| Ok((LotId::from_bytes([*lot; 16]), Some(relation.clone())));
        lots.iter().map(row).collect::<Vec<Tied>>().into_iter().peekable()
    }

    #[test]
    fn two_walks_are_one_and_a_lot_in_both_comes_once() {
        let (mut one, mut other) = (walk(&[1, 4, 5, 9]), walk(&[2, 4, 8, 9]));
        let mut lots = Vec::new();
        while let Some((lot, _)) = next_of(&mut one, &mut other).unwrap() {
            lots.push(lot.as_bytes()[0]);
        }
        assert_eq!(lots, [1, 2, 4, 5, 8, 9]);
    }

    #[test]
    fn a_fault_of_either_walk_is_told() {
        let broken = || -> Tied { Err(StoreFault::Poisoned) };
        let mut sound = walk(&[1, 2]);
        let mut bad = vec![broken()].into_iter().peekable();
        assert!(next_of(&mut sound, &mut bad).is_err());
        let mut bad = vec![broken()].into_iter().peekable();
        assert!(next_of(&mut bad, &mut walk(&[1])).is_err());
    }
}
