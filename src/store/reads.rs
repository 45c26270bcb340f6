//! What is read from the database: checkpoints, pages, and the view of `apply`.

use std::sync::Arc;

use bytes::Bytes;
use sled::IVec;

use super::Store;
use super::database::decoded;
use super::fault::StoreFault;
use super::headings::{entries_under, first_under};
use super::keyspace::{Key, Tag};
use super::lives::LotRow;
use super::tree::TreeReader;
use super::write::credit_key;
use crate::domain::campaign::{Campaign, CampaignStatus, Line};
use crate::domain::credit::{Credit, CreditKey};
use crate::domain::effects::LedgerState;
use crate::domain::fact::Fact;
use crate::domain::lot::{EventRecord, Lot, LotStatus, Transfer, TransferStatus};
use crate::domain::party::{KeyState, PartyState, Site};
use crate::domain::vocabulary::EventKind;
use crate::domain::waiver::WaiverState;
use crate::domain::{
    CampaignId, EntryCount, EntryIndex, EventId, Hash32, KeyId, LotId, PartyId, SiteId, View,
};
use crate::ledger::frame::Group;
use crate::ledger::hash::ChainValue;
use crate::ledger::tree::NodeSource;
use crate::limits::MAX_SCANNED_ROWS;

/// Which lots: every part that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LotQuery {
    /// Whose property.
    pub owner: Option<PartyId>,
    /// In whose hands.
    pub possessor: Option<PartyId>,
    /// Where.
    pub site: Option<SiteId>,
    /// Code of the material table.
    pub material: Option<String>,
    /// How it stands.
    pub status: Option<LotStatus>,
}

/// Which campaigns: every part that is given must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CampaignQuery {
    /// Whose.
    pub party: Option<PartyId>,
    /// Where.
    pub site: Option<SiteId>,
    /// How it stands.
    pub status: Option<CampaignStatus>,
    /// Run by this party, or with its property in it.
    pub of_party: Option<PartyId>,
}

/// Which transfers: every part that is given must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferQuery {
    /// Who sends or receives.
    pub party: Option<PartyId>,
    /// Who offers.
    pub sender: Option<PartyId>,
    /// To whom.
    pub consignee: Option<PartyId>,
    /// The lot that was offered, or the one that arrived.
    pub lot: Option<LotId>,
    /// How it stands.
    pub status: Option<TransferStatus>,
}

/// A page of a list, ascending by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, I> {
    /// What was found. May be fewer than asked for, even none, while there is more to look at.
    pub items: Vec<T>,
    /// Where to go on, as `after`; `None` when everything was looked at.
    pub next: Option<I>,
    /// How many rows were looked at, at most [`MAX_SCANNED_ROWS`].
    pub scanned: usize,
}

impl Store {
    /// The checkpoint at the end of the group that holds an entry, and its size: that of its
    /// receipt.
    pub fn checkpoint_covering(
        &self,
        index: EntryIndex,
    ) -> Result<Option<(EntryCount, Bytes)>, StoreFault> {
        let from = Key::Checkpoint(EntryCount(index.next().0));
        self.database.walk(Tag::Checkpoint, from.bytes()).next().map(checkpoint).transpose()
    }

    /// The largest checkpoint and its size.
    pub fn latest_checkpoint(&self) -> Result<Option<(EntryCount, Bytes)>, StoreFault> {
        let (from, behind) =
            (Key::Checkpoint(EntryCount(0)), Key::Checkpoint(EntryCount(u64::MAX)));
        self.database.last_row_before(&from, &behind)?.map(|row| checkpoint(Ok(row))).transpose()
    }

    /// The chain value after the last applied entry.
    pub fn chain_at_head(&self) -> Result<ChainValue, StoreFault> {
        self.database.head().map(|(_, chain)| chain)
    }

    /// The tree's hashes, for one answer with any number of proofs.
    pub fn tree(&self) -> TreeReader<'_> {
        TreeReader::new(&self.database)
    }

    /// How many entries are in the database, by what stands in it: who sees a row that an entry
    /// wrote finds the entry counted here.
    pub fn head(&self) -> Result<EntryCount, StoreFault> {
        self.database.head().map(|(size, _)| size)
    }

    /// What entries changed, from one on and below a size, ascending: at most so many. Entries that
    /// changed nothing beside what their events say have none.
    pub fn facts(
        &self,
        from: EntryIndex,
        size: EntryCount,
        max: usize,
    ) -> Result<Vec<Fact>, StoreFault> {
        let mut facts = Vec::new();
        for item in self.database.walk(Tag::Facts, Key::Facts(from).bytes()) {
            let (key, value) = item?;
            let pack: Vec<Fact> = decoded(&key, &value)?;
            let is_over = pack.last().is_none_or(|fact| fact.index.0 >= size.0);
            let is_asked = |fact: &Fact| fact.index >= from && fact.index.0 < size.0;
            facts.extend(pack.into_iter().filter(is_asked).take(max - facts.len()));
            if is_over || facts.len() >= max {
                break;
            }
        }
        Ok(facts)
    }

    /// Lots, ascending by id. By owner or possessor it looks only at that party's; everything else
    /// that is asked is held against each, up to a limit of rows that the page reports.
    pub fn lots(
        &self,
        query: &LotQuery,
        after: Option<LotId>,
        limit: usize,
    ) -> Result<Page<Lot, LotId>, StoreFault> {
        let mut page = Page { items: Vec::new(), next: None, scanned: 0 };
        let mut last = after;
        for candidate in self.candidates(query, after) {
            let (id, lot) = candidate?;
            if Some(id) == after {
                continue;
            }
            if page.items.len() >= limit || page.scanned >= MAX_SCANNED_ROWS {
                page.next = last;
                break;
            }
            last = Some(id);
            page.scanned += 1;
            if query.matches(&lot) {
                page.items.push(lot);
            }
        }
        Ok(page)
    }

    /// Transfers, ascending by the id of their offer. By party or lot it looks only at that one's;
    /// everything else that is asked is held against each, up to a limit of rows that the page
    /// reports.
    pub fn transfers(
        &self,
        query: &TransferQuery,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Page<Transfer, EventId>, StoreFault> {
        let mut page = Page { items: Vec::new(), next: None, scanned: 0 };
        let mut last = after;
        for candidate in self.transfer_candidates(query, after) {
            let transfer = candidate?;
            if Some(transfer.offer) == after {
                continue;
            }
            if page.items.len() >= limit || page.scanned >= MAX_SCANNED_ROWS {
                page.next = last;
                break;
            }
            last = Some(transfer.offer);
            page.scanned += 1;
            if query.matches(&transfer) {
                page.items.push(transfer);
            }
        }
        Ok(page)
    }

    /// Parties, ascending by id.
    pub fn parties(
        &self,
        after: Option<PartyId>,
        limit: usize,
    ) -> Result<Page<PartyState, PartyId>, StoreFault> {
        let from = after.map_or(vec![Tag::Party as u8], |id| Key::Party(id).bytes());
        let rows = self.database.walk(Tag::Party, from);
        page_of(rows, after, limit, |party: &PartyState| party.party.id, |_| true)
    }

    /// Sites, of one party or of all, ascending by id.
    pub fn sites(
        &self,
        party: Option<PartyId>,
        after: Option<SiteId>,
        limit: usize,
    ) -> Result<Page<Site, SiteId>, StoreFault> {
        let from = after.map_or(vec![Tag::Site as u8], |id| Key::Site(id).bytes());
        let rows = self.database.walk(Tag::Site, from);
        let is_asked = |site: &Site| party.is_none_or(|party| site.party == party);
        page_of(rows, after, limit, |site: &Site| site.id, is_asked)
    }

    /// Campaigns, ascending by id.
    pub fn campaigns(
        &self,
        query: &CampaignQuery,
        after: Option<CampaignId>,
        limit: usize,
    ) -> Result<Page<Campaign, CampaignId>, StoreFault> {
        let from = after.map_or(vec![Tag::Campaign as u8], |id| Key::Campaign(id).bytes());
        let rows = self.database.walk(Tag::Campaign, from);
        page_of(rows, after, limit, |campaign: &Campaign| campaign.id, |it| query.matches(it))
    }

    /// A party as it stood when the ledger had so many entries; `None` when it was not registered.
    pub fn party_as_of(
        &self,
        id: PartyId,
        size: EntryCount,
    ) -> Result<Option<PartyState>, StoreFault> {
        let version = |at| Key::PartyVersion(id, EntryIndex(at));
        let found = self.database.last_before(&version(0), &version(size.0))?;
        Ok(found.map(|(_, party)| party))
    }

    /// A site as it stood when the ledger had so many entries; `None` when it was not registered.
    pub fn site_as_of(&self, id: SiteId, size: EntryCount) -> Result<Option<Site>, StoreFault> {
        let version = |at| Key::SiteVersion(id, EntryIndex(at));
        let found = self.database.last_before(&version(0), &version(size.0))?;
        Ok(found.map(|(_, site)| site))
    }

    /// Parties as they stood when the ledger had so many entries, ascending by id.
    pub fn parties_as_of(
        &self,
        after: Option<PartyId>,
        limit: usize,
        size: EntryCount,
    ) -> Result<Page<PartyState, PartyId>, StoreFault> {
        let from = after.map_or(vec![Tag::Party as u8], |id| Key::Party(id).bytes());
        let ids = self.database.walk(Tag::Party, from).map(|row| match row? {
            (Key::Party(id), _) => Ok(id),
            (key, _) => Err(StoreFault::value(&key, "is not the key of a party")),
        });
        page_as_of(ids, after, limit, |id| self.party_as_of(id, size))
    }

    /// Sites, of one party or of all, as they stood when the ledger had so many entries, ascending
    /// by id.
    pub fn sites_as_of(
        &self,
        party: Option<PartyId>,
        after: Option<SiteId>,
        limit: usize,
        size: EntryCount,
    ) -> Result<Page<Site, SiteId>, StoreFault> {
        let from = after.map_or(vec![Tag::Site as u8], |id| Key::Site(id).bytes());
        let ids = self.database.walk(Tag::Site, from).map(|row| match row? {
            (Key::Site(id), _) => Ok(id),
            (key, _) => Err(StoreFault::value(&key, "is not the key of a site")),
        });
        let is_asked = |site: &Site| party.is_none_or(|party| site.party == party);
        page_as_of(ids, after, limit, |id| Ok(self.site_as_of(id, size)?.filter(is_asked)))
    }

    /// The first entry of a kind at or after an index, as far as a size.
    pub fn entry_of_kind(
        &self,
        kind: EventKind,
        from: EntryIndex,
        size: EntryCount,
    ) -> Result<Option<EntryIndex>, StoreFault> {
        let last_of = move |key: &Key| match key {
            Key::KindEntry(of, last) if *of == kind.number() => Some(*last),
            _ => None,
        };
        let from = Key::KindEntry(kind.number(), from);
        first_under(entries_under(&self.database, Tag::KindEntry, &from, last_of), size)
    }

    /// A party's keys in order of registration; none for a party that is not known.
    pub fn keys_of(&self, party: PartyId) -> Result<Vec<KeyState>, StoreFault> {
        let party: Option<PartyState> = self.database.value(&Key::Party(party))?;
        let ids = party.map(|party| party.keys).unwrap_or_default();
        let read = |id: KeyId| {
            let key = Key::Signer(id);
            self.database.value(&key)?.ok_or_else(|| StoreFault::value(&key, "is missing"))
        };
        ids.into_iter().map(read).collect()
    }

    fn candidates(
        &self,
        query: &LotQuery,
        after: Option<LotId>,
    ) -> Box<dyn Iterator<Item = Result<(LotId, Lot), StoreFault>> + '_> {
        let start = after.unwrap_or(LotId::from_bytes([0; 16]));
        let Some(party) = query.owner.or(query.possessor) else {
            let rows = self.database.walk(Tag::Lot, Key::Lot(start).bytes());
            return Box::new(rows.map(|item| {
                let (key, value) = item?;
                let LotRow { lot, .. } = decoded(&key, &value)?;
                Ok((lot.id, lot))
            }));
        };
        Box::new(self.lots_of(party, start, query.owner.is_some()).map(|id| {
            let id = id?;
            let row = self.lot_row(id)?;
            let row = row.ok_or_else(|| StoreFault::value(&Key::Lot(id), "the lot is missing"))?;
            Ok((id, row.lot))
        }))
    }
}

impl Store {
    fn transfer_candidates(
        &self,
        query: &TransferQuery,
        after: Option<EventId>,
    ) -> Box<dyn Iterator<Item = Result<Transfer, StoreFault>> + '_> {
        let start = after.unwrap_or(EventId::from_bytes([0; 16]));
        let side = query.sender.or(query.consignee);
        let lot = query.lot.filter(|_| query.party.is_none());
        let party = query.party.or(side);
        let (tag, from) = match (lot, party) {
            (Some(lot), _) => (Tag::LotTransfer, Key::LotTransfer(lot, start)),
            (None, Some(party)) => (Tag::PartyTransfer, Key::PartyTransfer(party, start)),
            (None, None) => (Tag::Transfer, Key::Transfer(start)),
        };
        let rows = self.database.walk(tag, from.bytes());
        let is_asked = move |item: &Result<(Key, IVec), StoreFault>| match item {
            Ok((Key::LotTransfer(of, _), _)) => Some(*of) == lot,
            Ok((Key::PartyTransfer(of, _), _)) => Some(*of) == party,
            _ => true,
        };
        Box::new(rows.take_while(is_asked).map(|item| {
            let (key, value) = item?;
            let (Key::LotTransfer(_, offer) | Key::PartyTransfer(_, offer)) = &key else {
                return decoded(&key, &value);
            };
            let transfer = self.database.value(&Key::Transfer(*offer))?;
            transfer.ok_or_else(|| StoreFault::value(&key, "the transfer is missing"))
        }))
    }
}

impl TransferQuery {
    fn matches(&self, transfer: &Transfer) -> bool {
        let is_of = |lot: LotId| {
            transfer.lot == lot || transfer.arrived.is_some_and(|arrived| arrived.lot == lot)
        };
        let is_side = |party| transfer.sender == party || transfer.consignee == party;
        self.party.is_none_or(is_side)
            && self.sender.is_none_or(|sender| transfer.sender == sender)
            && self.consignee.is_none_or(|consignee| transfer.consignee == consignee)
            && self.lot.is_none_or(is_of)
            && self.status.is_none_or(|status| transfer.status == status)
    }
}

impl LotQuery {
    fn matches(&self, lot: &Lot) -> bool {
        self.owner.is_none_or(|owner| lot.owner == owner)
            && self.possessor.is_none_or(|possessor| lot.possessor == possessor)
            && self.site.is_none_or(|site| lot.site == site)
            && self.material.as_ref().is_none_or(|material| lot.material == *material)
            && self.status.is_none_or(|status| lot.status() == status)
    }
}

impl CampaignQuery {
    fn matches(&self, campaign: &Campaign) -> bool {
        self.party.is_none_or(|party| campaign.party == party)
            && self.site.is_none_or(|site| campaign.site == site)
            && self.status.is_none_or(|status| campaign.status() == status)
            && self.of_party.is_none_or(|it| campaign.party == it || campaign.owner == Some(it))
    }
}

impl NodeSource for Store {
    type Fault = StoreFault;

    fn node(&self, level: u8, index: u64) -> Result<Hash32, StoreFault> {
        self.tree().node(level, index)
    }
}

impl View for Store {
    type Fault = StoreFault;

    fn ledger(&self) -> Result<Option<LedgerState>, StoreFault> {
        self.known.ledger(|| self.database.value(&Key::Ledger))
    }

    fn party(&self, id: PartyId) -> Result<Option<Arc<PartyState>>, StoreFault> {
        let read = || Ok(self.database.value(&Key::Party(id))?.map(Arc::new));
        self.known.party(id, read)
    }

    fn party_of_credit_code(&self, code: &str) -> Result<Option<PartyId>, StoreFault> {
        self.database.value(&Key::CreditCode(code.to_owned()))
    }

    fn site(&self, id: SiteId) -> Result<Option<Arc<Site>>, StoreFault> {
        self.known.site(id, || Ok(self.database.value(&Key::Site(id))?.map(Arc::new)))
    }

    fn key(&self, id: KeyId) -> Result<Option<KeyState>, StoreFault> {
        self.known.key(id, || self.database.value(&Key::Signer(id)))
    }

    fn lot(&self, id: LotId) -> Result<Option<Lot>, StoreFault> {
        Ok(self.lot_row(id)?.map(|row| row.lot))
    }

    fn transfer(&self, offer: EventId) -> Result<Option<Transfer>, StoreFault> {
        self.database.value(&Key::Transfer(offer))
    }

    fn campaign(&self, id: CampaignId) -> Result<Option<Campaign>, StoreFault> {
        self.database.value(&Key::Campaign(id))
    }

    fn line(&self, site: SiteId, process: &str) -> Result<Option<Line>, StoreFault> {
        self.database.value(&Key::Line(site, process.to_owned()))
    }

    fn event(&self, id: EventId) -> Result<Option<EventRecord>, StoreFault> {
        self.database.value(&Key::Event(id))
    }

    fn life(&self, lot: LotId, ordinal: u32) -> Result<Option<EventId>, StoreFault> {
        self.event_in_life(lot, ordinal)
    }

    fn waiver(&self, reason_code: &str, subject: &str) -> Result<Option<WaiverState>, StoreFault> {
        self.database.value(&Key::Waiver(reason_code.to_owned(), subject.to_owned()))
    }

    fn credit(&self, key: CreditKey) -> Result<Option<Credit>, StoreFault> {
        self.database.value(&credit_key(key))
    }

    fn table_chunk(&self, tables: Hash32, chunk: u32) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.database.get(&Key::TableChunk(tables, chunk))?.map(|bytes| bytes.to_vec()))
    }
}

/// Holds a group of the journal against what is read of it by the database.
pub(super) fn compare_group(store: &Store, group: &Group) -> Result<(), StoreFault> {
    let stored = store.entries(group.first, group.entries.len())?;
    let mut index = group.first;
    for (position, entry) in group.entries.iter().enumerate() {
        let detail = match stored.get(position) {
            Some(found) if found == entry => {
                index = index.next();
                continue;
            }
            Some(found) => format!("{} and {} bytes differ", entry.len(), found.len()),
            None => "the database does not have it".to_owned(),
        };
        return Err(StoreFault::Disagreement { index, detail });
    }
    Ok(())
}

fn checkpoint(item: Result<(Key, IVec), StoreFault>) -> Result<(EntryCount, Bytes), StoreFault> {
    match item? {
        (Key::Checkpoint(size), signed) => Ok((size, Bytes::copy_from_slice(&signed))),
        (key, _) => Err(StoreFault::value(&key, "is not the key of a checkpoint")),
    }
}

fn page_of<T: super::codec::Codec, I: Copy + PartialEq>(
    rows: impl Iterator<Item = Result<(Key, IVec), StoreFault>>,
    after: Option<I>,
    limit: usize,
    id_of: impl Fn(&T) -> I,
    is_asked: impl Fn(&T) -> bool,
) -> Result<Page<T, I>, StoreFault> {
    let mut page = Page { items: Vec::new(), next: None, scanned: 0 };
    let mut last = after;
    for row in rows {
        let (key, value) = row?;
        let item: T = decoded(&key, &value)?;
        let id = id_of(&item);
        if Some(id) == after {
            continue;
        }
        if page.items.len() >= limit || page.scanned >= MAX_SCANNED_ROWS {
            page.next = last;
            break;
        }
        last = Some(id);
        page.scanned += 1;
        if is_asked(&item) {
            page.items.push(item);
        }
    }
    Ok(page)
}

/// A page of what stood at some time, from the ids of what stands now: nothing that was registered
/// ever goes away. One that was not there yet counts as looked at.
fn page_as_of<T, I: Copy + PartialEq>(
    ids: impl Iterator<Item = Result<I, StoreFault>>,
    after: Option<I>,
    limit: usize,
    stood: impl Fn(I) -> Result<Option<T>, StoreFault>,
) -> Result<Page<T, I>, StoreFault> {
    let mut page = Page { items: Vec::new(), next: None, scanned: 0 };
    let mut last = after;
    for id in ids {
        let id = id?;
        if Some(id) == after {
            continue;
        }
        if page.items.len() >= limit || page.scanned >= MAX_SCANNED_ROWS {
            page.next = last;
            break;
        }
        last = Some(id);
        page.scanned += 1;
        page.items.extend(stood(id)?);
    }
    Ok(page)
}
