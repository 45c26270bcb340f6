//! The store through a viewer's eyes: gets the facts that the rules of [`super::visibility`] ask
//! for, and hands on what is seen.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::convert::{lot_event, missing};
use super::errors::Failure;
use super::viewer::Viewer;
use super::visibility::{
    LotSight, PartySight, allowances, lot_sight, party_sight, sees_transfer, since_arrival, step_of,
};
use crate::domain::lot::{EventRecord, Lot, Transfer};
use crate::domain::{EntryIndex, EventId, LotId, PartyId};
use crate::limits::{MAX_SCANNED_ROWS, RELATED_READ_AHEAD};
use crate::node::{LotFilter, ReadFault, Reader};
use crate::wire::v1;

/// A reader with whoever looks.
#[derive(Clone, Copy)]
pub struct Eyes<'a> {
    /// What is there.
    pub reader: &'a Reader,
    /// Who looks.
    pub viewer: Viewer,
}

/// A lot that is seen, somehow.
pub struct SeenLot {
    /// As it stands. Only what `sight` lets through is told.
    pub lot: Lot,
    /// How much of it is seen.
    pub sight: LotSight,
}

/// Lots that are seen, and where the list goes on.
#[derive(Default)]
pub struct SeenLots {
    /// In order of their ids.
    pub lots: Vec<v1::Lot>,
    /// Their ids.
    pub ids: Vec<LotId>,
    /// The last lot that was looked at, when the list goes on after it.
    pub stopped_at: Option<LotId>,
}

/// Entries that are seen, and the index with which they go on.
pub type SeenEntries = (Vec<(EntryIndex, Bytes)>, Option<EntryIndex>);

impl<'a> Eyes<'a> {
    /// A viewer before a reader.
    pub const fn new(reader: &'a Reader, viewer: Viewer) -> Self {
        Self { reader, viewer }
    }

    /// Whether an entry is the viewer's to read.
    pub fn sees_entry(&self, index: EntryIndex) -> Result<bool, ReadFault> {
        match self.viewer {
            Viewer::Overseer => Ok(true),
            // What the ledger itself says (its next key, say) is for everybody who relies on it.
            Viewer::Party(party) => {
                Ok(self.reader.concerns(party, index)? || self.reader.is_statement(index)?)
            }
            Viewer::Stranger => Ok(false),
        }
    }

    /// Whether the entry of an event is the viewer's to read; not when there is none.
    pub fn sees_event(&self, event: EventId) -> Result<bool, ReadFault> {
        match self.reader.event(event)? {
            Some(record) => self.sees_entry(record.index),
            None => Ok(false),
        }
    }

    /// Entries that the viewer may read, from one on, and where they go on.
    pub fn entries(&self, from: EntryIndex, max: usize) -> Result<SeenEntries, ReadFault> {
        let party = match self.viewer {
            Viewer::Overseer => {
                let found = self.reader.entries(from, max)?;
                let next = EntryIndex(from.0.saturating_add(found.len() as u64));
                let goes_on = !found.is_empty() && next.0 < self.reader.size().0;
                return Ok((found, goes_on.then_some(next)));
            }
            Viewer::Party(party) => party,
            Viewer::Stranger => return Ok((Vec::new(), None)),
        };
        let mut indexes = self.reader.concerning(party, from, max.saturating_add(1))?;
        let next = if indexes.len() > max { indexes.pop() } else { None };
        let mut found = Vec::with_capacity(indexes.len());
        for index in indexes {
            if let Some(entry) = self.reader.entry(index)? {
                found.push((index, entry));
            }
        }
        Ok((found, next))
    }

    /// What is remembered of an event that the viewer may read of.
    pub fn event(&self, event: EventId) -> Result<Option<EventRecord>, ReadFault> {
        match self.reader.event(event)? {
            Some(record) if self.sees_entry(record.index)? => Ok(Some(record)),
            _ => Ok(None),
        }
    }

    /// A lot that the viewer sees.
    pub fn lot(&self, id: LotId) -> Result<Option<SeenLot>, ReadFault> {
        let Some(lot) = self.reader.lot(id)? else { return Ok(None) };
        let relation = match self.viewer {
            Viewer::Party(party) => self.reader.relation(party, id)?,
            Viewer::Overseer | Viewer::Stranger => None,
        };
        let sight = lot_sight(self.viewer, &lot, relation.as_ref(), self.reader.now());
        Ok(if sight == LotSight::Hidden { None } else { Some(SeenLot { lot, sight }) })
    }

    /// What is told of a lot.
    pub fn tell_lot(&self, seen: &SeenLot) -> Result<v1::Lot, ReadFault> {
        let (lot, arrived, view) = match &seen.sight {
            LotSight::Whole { arrived } => (&seen.lot, *arrived, v1::LotView::Whole),
            LotSight::AsLeft { stood, arrived } => (&**stood, *arrived, v1::LotView::AsLeft),
            LotSight::Step(kinship, with) => {
                return Ok(step_of((&seen.lot).into(), *kinship, *with));
            }
            LotSight::Granted { .. } => {
                return Ok(v1::Lot { view: v1::LotView::Whole.into(), ..v1::Lot::from(&seen.lot) });
            }
            LotSight::Hidden => return Ok(v1::Lot::default()),
        };
        let told = v1::Lot { view: view.into(), ..v1::Lot::from(lot) };
        let told = allowances(self.viewer, told);
        let Viewer::Party(own) = self.viewer else { return Ok(told) };
        if self.sees_entry(lot.born_at)? {
            return Ok(told);
        }
        let mut told = since_arrival(told, own, &lot.contents, arrived.unwrap_or(lot.remaining));
        if let Some(assay) = lot.assayed_by
            && !self.sees_event(assay)?
        {
            told.assay_event_id = Bytes::new();
        }
        Ok(told)
    }

    /// What is told of an event in the life of a lot: that it was declared an error only to those
    /// whom the declaration concerns.
    pub fn tell_event(
        &self,
        ordinal: u32,
        index: EntryIndex,
        mut record: EventRecord,
    ) -> Result<v1::LotEvent, ReadFault> {
        if let Some(by) = record.corrected_by
            && !self.sees_event(by)?
        {
            record.corrected_by = None;
        }
        Ok(lot_event(ordinal, index, &record))
    }

    /// A transfer that the viewer sees.
    pub fn transfer(&self, offer: EventId) -> Result<Option<Transfer>, ReadFault> {
        let Some(transfer) = self.reader.transfer(offer)? else { return Ok(None) };
        let lot = self.reader.lot(transfer.lot)?;
        let is_concerned = self.sees_entry(transfer.offered_at)?;
        let is_seen = sees_transfer(self.viewer, &transfer, lot.as_ref(), is_concerned);
        Ok(is_seen.then_some(transfer))
    }

    /// How much of a party is seen; hidden when it is not there.
    pub fn party_sight(&self, party: PartyId) -> Result<PartySight, ReadFault> {
        if self.viewer == Viewer::Stranger {
            return Ok(PartySight::Hidden);
        }
        let Some(state) = self.reader.party(party)? else { return Ok(PartySight::Hidden) };
        let is_acquainted = match self.viewer {
            Viewer::Party(own) => self.reader.are_acquainted(own, party)?,
            Viewer::Overseer | Viewer::Stranger => false,
        };
        Ok(party_sight(self.viewer, &state.party, is_acquainted))
    }

    /// A party's sight, or the answer for one that is not there.
    pub fn party_in_sight(&self, party: PartyId) -> Result<PartySight, Failure> {
        match self.party_sight(party)? {
            PartySight::Hidden => Err(missing("party", &party)),
            sight => Ok(sight),
        }
    }

    /// Parties that a party sees, after one, in order of their ids: itself, those that it knows,
    /// and the public ones.
    pub fn parties(
        &self,
        own: PartyId,
        after: Option<PartyId>,
        max: usize,
    ) -> Result<Vec<PartyId>, ReadFault> {
        let mut seen: BTreeSet<PartyId> =
            self.reader.acquaintances(own, after, max)?.into_iter().collect();
        seen.extend(self.reader.public_parties(after, max)?);
        if after.is_none_or(|after| own > after) {
            seen.insert(own);
        }
        Ok(seen.into_iter().take(max).collect())
    }

    /// Lots that a party sees, after one, in order of their ids. Looks at lots that it is related
    /// to, never at others.
    pub fn lots(
        &self,
        own: PartyId,
        after: Option<LotId>,
        max: usize,
        filter: &LotFilter,
    ) -> Result<SeenLots, ReadFault> {
        let mut seen = SeenLots { lots: Vec::new(), ids: Vec::new(), stopped_at: None };
        let (mut last, mut scanned) = (after, 0);
        loop {
            let rows = self.reader.related_lots(own, last, RELATED_READ_AHEAD)?;
            if rows.is_empty() {
                return Ok(seen);
            }
            for (id, relation) in rows {
                if seen.lots.len() >= max || scanned >= MAX_SCANNED_ROWS {
                    seen.stopped_at = last;
                    return Ok(seen);
                }
                scanned += 1;
                last = Some(id);
                let Some(lot) = self.reader.lot(id)? else { continue };
                let sight = lot_sight(self.viewer, &lot, Some(&relation), self.reader.now());
                if passes(filter, &lot, &sight) {
                    seen.lots.push(self.tell_lot(&SeenLot { lot, sight })?);
                    seen.ids.push(id);
                }
            }
        }
    }
}

/// Whether a lot meets a filter as far as it is seen: what is not told meets none.
fn passes(filter: &LotFilter, lot: &Lot, sight: &LotSight) -> bool {
    let LotFilter { owner, possessor, site, material, status } = filter;
    let is_of_material = material.as_ref().is_none_or(|material| lot.material == *material);
    let asks_how_it_stands =
        owner.is_some() || possessor.is_some() || site.is_some() || status.is_some();
    match sight {
        LotSight::Hidden => false,
        LotSight::AsLeft { .. } | LotSight::Step(..) => is_of_material && !asks_how_it_stands,
        LotSight::Whole { .. } | LotSight::Granted { .. } => {
            is_of_material
                && owner.is_none_or(|owner| lot.owner == owner)
                && possessor.is_none_or(|possessor| lot.possessor == possessor)
                && site.is_none_or(|site| lot.site == site)
                && status.is_none_or(|status| lot.status() == status)
        }
    }
}
