//! Reads, as of the last signed checkpoint for entries, as of the last written group for the rest.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::analyst::event_of;
use super::clock::Clock;
use super::feed::Feed;
use super::recent::{Recent, StoredGraph};
use super::writer::Shared;
use crate::domain::audit::{Acknowledgement, Attestation};
use crate::domain::campaign::{Campaign, CampaignStatus};
use crate::domain::credit::{Credit, CreditKey};
use crate::domain::effects::{LedgerState, View};
use crate::domain::fact::Fact;
use crate::domain::lot::{EventRecord, Lot, LotStatus, Transfer, TransferStatus};
use crate::domain::party::{KeyState, PartyState, Site};
use crate::domain::sight::Relation;
use crate::domain::waiver::WaiverState;
use crate::domain::{
    CampaignId, EntryCount, EntryIndex, Event, EventId, Hash32, KeyId, LotId, PartyId, SiteId,
    TimeMs,
};
use crate::ledger::checkpoint::{CheckpointFault, SignedCheckpoint};
use crate::ledger::entry::{Entry, EntryKind};
use crate::ledger::hash::leaf_hash;
use crate::ledger::lot_file::LotStateProof;
use crate::ledger::lot_map::prove_lot;
use crate::ledger::receipt::Receipt;
use crate::ledger::tiles::{TILE_HEIGHT, Tile, TileKind};
use crate::ledger::tree::{
    NodeSource as _, ProofFault, consistency_proof, inclusion_proof, verify_inclusion,
};
use crate::limits::{LOT_PROOF_PAUSE_MS, MAX_LOT_PROOF_TRIES, MAX_RECENT_BEHIND};
use crate::provenance::{
    Detail, Direction, LotClass, Measure, Origins, Trace, TraceFault, TraceLimits, origins,
    origins_and_trace, trace,
};
use crate::store::{CampaignQuery, LotQuery, Store, StoreFault, TransferQuery, TreeReader};

/// Why something could not be read; never "it does not exist".
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// The disk or the database.
    #[error("the store could not be read")]
    Store(#[from] StoreFault),
    /// A stored checkpoint is not one.
    #[error("a stored checkpoint does not parse")]
    Checkpoint(#[from] CheckpointFault),
    /// There is no checkpoint yet.
    #[error("the ledger has no checkpoint yet")]
    Empty,
    /// A trace did not come to an end.
    #[error("the movements of the lot do not add up: {0}")]
    Trace(String),
    /// A stored entry is not one.
    #[error("a stored entry does not parse: {0}")]
    Entry(String),
    /// A proof could not be built from the stored tree.
    #[error("the stored tree gives no proof: {0}")]
    Tree(String),
}

/// Which lots a list is about; `None` means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LotFilter {
    /// Whose property.
    pub owner: Option<PartyId>,
    /// In whose hands.
    pub possessor: Option<PartyId>,
    /// Where.
    pub site: Option<SiteId>,
    /// Of which material.
    pub material: Option<String>,
    /// How it stands.
    pub status: Option<LotStatus>,
}

impl LotFilter {
    fn query(&self) -> LotQuery {
        LotQuery {
            owner: self.owner,
            possessor: self.possessor,
            site: self.site,
            material: self.material.clone(),
            status: self.status,
        }
    }
}

/// Which transfers a list is about; `None` means any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferFilter {
    /// Who sends or receives: nobody else's are looked at.
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

/// Transfers that matched, and how far the list was looked through.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TransferScan {
    /// Those that matched, in order of the ids of their offers.
    pub transfers: Vec<Transfer>,
    /// The last transfer that was looked at, when the list goes on after it; `None` at its end.
    pub stopped_at: Option<EventId>,
}

/// Lots that matched, and how far the list was looked through.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LotScan {
    /// Those that matched, in order of their ids.
    pub lots: Vec<Lot>,
    /// The last lot that was looked at, when the list goes on after it; `None` at its end.
    pub stopped_at: Option<LotId>,
}

/// Which campaigns a list is about; `None` means any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CampaignFilter {
    /// Whose.
    pub party: Option<PartyId>,
    /// Where.
    pub site: Option<SiteId>,
    /// How it stands.
    pub status: Option<CampaignStatus>,
    /// Run by this party, or with its property in it.
    pub of_party: Option<PartyId>,
}

/// Campaigns that matched, and how far the list was looked through.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CampaignScan {
    /// Those that matched, in order of their ids.
    pub campaigns: Vec<Campaign>,
    /// The last one that was looked at, when the list goes on after it; `None` at its end.
    pub stopped_at: Option<CampaignId>,
}

/// A checkpoint that is the first one over some entries.
struct Covering {
    /// It is known to be the first over this one, and so over all from here to its size.
    from: EntryIndex,
    size: EntryCount,
    root: Hash32,
    checkpoint: SignedCheckpoint,
}

impl Covering {
    fn covers(&self, index: EntryIndex) -> bool {
        index >= self.from && index.0 < self.size.0
    }
}

fn receipt_under(
    group: &Covering,
    tree: &TreeReader<'_>,
    index: EntryIndex,
    entry: &Bytes,
) -> Result<Receipt, ReadFault> {
    let proof = inclusion_proof(index, group.size, tree).map_err(tree_fault)?;
    // A start compares the newest group only; a receipt that proves nothing never leaves the
    // house.
    verify_inclusion(&leaf_hash(entry), index, group.size, &proof, &group.root)
        .map_err(|refused| ReadFault::Tree(refused.to_string()))?;
    let checkpoint = group.checkpoint.clone();
    Ok(Receipt { entry: entry.clone(), index, proof, checkpoint })
}

/// A view for readers; cheap to clone.
#[derive(Clone)]
pub struct Reader {
    pub(super) store: Arc<Store>,
    pub(super) shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

impl Reader {
    pub(super) fn new(store: Arc<Store>, shared: Arc<Shared>, clock: Arc<dyn Clock>) -> Self {
        Self { store, shared, clock }
    }

    /// What the node's clock says.
    pub fn now(&self) -> TimeMs {
        self.clock.now()
    }

    /// Entries under the last signed checkpoint.
    pub fn size(&self) -> EntryCount {
        *self.shared.size.borrow()
    }

    /// Whether the ledger itself speaks in an entry under the checkpoint.
    pub fn is_statement(&self, index: EntryIndex) -> Result<bool, ReadFault> {
        let Some(bytes) = self.entry(index)? else { return Ok(false) };
        let entry = Entry::parse(&bytes).map_err(|it| ReadFault::Tree(it.to_string()))?;
        Ok(entry.kind == EntryKind::Statement)
    }

    /// When the last entry under the checkpoint was recorded.
    pub fn last_recorded_at(&self) -> Result<TimeMs, ReadFault> {
        let last = self.size().0.checked_sub(1).ok_or(ReadFault::Empty)?;
        let bytes = self.entry(EntryIndex(last))?.ok_or(ReadFault::Empty)?;
        let entry = Entry::parse(&bytes).map_err(|it| ReadFault::Tree(it.to_string()))?;
        Ok(entry.recorded_at)
    }

    /// Bytes of the database's files.
    pub fn database_bytes(&self) -> Result<u64, ReadFault> {
        Ok(self.store.database_bytes()?)
    }

    /// The ledger's own state.
    pub fn ledger(&self) -> Result<LedgerState, ReadFault> {
        self.store.ledger()?.ok_or(ReadFault::Empty)
    }

    /// The last signed checkpoint.
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, ReadFault> {
        // Not the newest that is stored: that one may not have reached the head guard yet.
        let last = self.size().0.checked_sub(1).ok_or(ReadFault::Empty)?;
        let found = self.store.checkpoint_covering(EntryIndex(last))?;
        let (_, bytes) = found.ok_or(ReadFault::Empty)?;
        Ok(SignedCheckpoint::parse(&bytes)?.1)
    }

    /// An entry under the last checkpoint.
    pub fn entry(&self, index: EntryIndex) -> Result<Option<Bytes>, ReadFault> {
        if index.0 >= self.size().0 {
            return Ok(None);
        }
        Ok(self.store.entry(index)?)
    }

    /// The event of an entry; `None` for one that is not there, and for a statement.
    pub fn event_at(&self, index: EntryIndex) -> Result<Option<Event>, ReadFault> {
        let Some(bytes) = self.entry(index)? else { return Ok(None) };
        let entry = Entry::parse(&bytes).map_err(|fault| ReadFault::Entry(fault.to_string()))?;
        event_of(&entry)
    }

    /// Consecutive entries under the last checkpoint.
    pub fn entries(
        &self,
        from: EntryIndex,
        max: usize,
    ) -> Result<Vec<(EntryIndex, Bytes)>, ReadFault> {
        let left = self.size().0.saturating_sub(from.0);
        let count = max.min(usize::try_from(left).unwrap_or(usize::MAX));
        if count == 0 {
            return Ok(Vec::new());
        }
        let found = self.store.entries(from, count)?;
        let indexes = (from.0..).map(EntryIndex);
        Ok(indexes.zip(found).collect())
    }

    /// What entries changed, from one on and below a size; at most so many.
    pub fn facts(
        &self,
        from: EntryIndex,
        size: EntryCount,
        max: usize,
    ) -> Result<Vec<Fact>, ReadFault> {
        Ok(self.store.facts(from, size, max)?)
    }

    /// The receipt of an entry: against its group's end checkpoint, so it is the same for ever.
    pub fn receipt(&self, index: EntryIndex) -> Result<Option<Receipt>, ReadFault> {
        Ok(self.receipts(&[index])?.pop().flatten())
    }

    /// Receipts of several entries. Their proofs share most of the tree, which is read once.
    pub fn receipts(&self, indexes: &[EntryIndex]) -> Result<Vec<Option<Receipt>>, ReadFault> {
        let tree = self.store.tree();
        let mut found = Vec::with_capacity(indexes.len());
        let mut covering: Option<Covering> = None;
        let mut rest = indexes;
        while let Some(&first) = rest.first() {
            let follows = |(at, index): (u64, &EntryIndex)| index.0 == first.0 + at;
            let run = (0..).zip(rest).take_while(|it| follows(*it)).count();
            let entries = self.entries(first, run)?;
            let (these, others) = rest.split_at(run);
            for (position, &index) in these.iter().enumerate() {
                let Some((_, entry)) = entries.get(position) else {
                    found.push(None);
                    continue;
                };
                let group = match covering.take().filter(|it| it.covers(index)) {
                    Some(known) => Some(known),
                    None => self.covering(index)?,
                };
                found.push(match &group {
                    Some(group) => Some(receipt_under(group, &tree, index, entry)?),
                    None => None,
                });
                covering = group;
            }
            rest = others;
        }
        Ok(found)
    }

    /// The checkpoint at the end of the group that holds an entry.
    fn covering(&self, index: EntryIndex) -> Result<Option<Covering>, ReadFault> {
        let Some((size, bytes)) = self.store.checkpoint_covering(index)? else { return Ok(None) };
        let (said, checkpoint) = SignedCheckpoint::parse(&bytes)?;
        Ok(Some(Covering { from: index, size, root: said.root, checkpoint }))
    }

    /// The receipt of an entry against the newest checkpoint that a quorum of witnesses cosigned;
    /// `None` when that does not cover it, or there is none. It changes as the ledger grows.
    pub fn cosigned_receipt(&self, index: EntryIndex) -> Result<Option<Receipt>, ReadFault> {
        let Some(cosigned) = self.cosigned() else { return Ok(None) };
        let Some(entry) = self.entry(index)?.filter(|_| index.0 < cosigned.size.0) else {
            return Ok(None);
        };
        let (said, checkpoint) = SignedCheckpoint::parse(cosigned.checkpoint.as_bytes())?;
        let tree = self.store.tree();
        let proof = inclusion_proof(index, said.size, &tree).map_err(tree_fault)?;
        verify_inclusion(&leaf_hash(&entry), index, said.size, &proof, &said.root)
            .map_err(|refused| ReadFault::Tree(refused.to_string()))?;
        Ok(Some(Receipt { entry, index, proof, checkpoint }))
    }

    /// Proof of how far the life of a lot got, or that there is no such lot, as the ledger stated
    /// it last; `None` while it never did.
    pub fn lot_state_proof(&self, lot: LotId) -> Result<Option<LotStateProof>, ReadFault> {
        for _ in 0..MAX_LOT_PROOF_TRIES {
            let Some((index, root)) = self.store.lot_statement()? else { return Ok(None) };
            // The tiles change in one batch with what was just read, and are read after it: a way
            // that leads to its root is whole.
            let way = prove_lot(&*self.store, lot);
            let is_whole = way.as_ref().is_ok_and(|way| way.verify(lot, &root).is_ok());
            let is_same = self.store.lot_statement()? == Some((index, root));
            if is_same && !is_whole {
                // Nothing moved, so it is the tiles that are broken.
                let way = way?;
                let told = way.verify(lot, &root).err().map(|it| it.to_string());
                return Err(ReadFault::Tree(told.unwrap_or_default()));
            }
            // The statement may not be under a signed checkpoint yet; it will be in a moment.
            if let (Ok(way), true) = (way, is_whole)
                && let Some(statement) = self.receipt(index)?
            {
                return Ok(Some(LotStateProof { lot, way, statement }));
            }
            std::thread::sleep(Duration::from_millis(LOT_PROOF_PAUSE_MS));
        }
        Err(ReadFault::Tree("the last statement of the lots is under no checkpoint".to_owned()))
    }

    /// The receipt of an event.
    pub fn receipt_of_event(&self, event: EventId) -> Result<Option<Receipt>, ReadFault> {
        match self.store.event(event)? {
            Some(record) => self.receipt(record.index),
            None => Ok(None),
        }
    }

    /// A proof that an entry is in the tree of a size; `None` when the ledger is not that large.
    pub fn inclusion_proof(
        &self,
        index: EntryIndex,
        size: EntryCount,
    ) -> Result<Option<Vec<Hash32>>, ReadFault> {
        if size > self.size() || index.0 >= size.0 {
            return Ok(None);
        }
        inclusion_proof(index, size, &self.store.tree()).map(Some).map_err(tree_fault)
    }

    /// A proof that one tree is the beginning of another; `None` when the ledger is not that large.
    pub fn consistency_proof(
        &self,
        old: EntryCount,
        new: EntryCount,
    ) -> Result<Option<Vec<Hash32>>, ReadFault> {
        if new > self.size() || old > new {
            return Ok(None);
        }
        consistency_proof(old, new, &self.store.tree()).map(Some).map_err(tree_fault)
    }

    /// The hashes of a tile; `None` when the tree under the last checkpoint does not have all of
    /// it.
    pub fn tile(&self, tile: &Tile) -> Result<Option<Vec<Hash32>>, ReadFault> {
        let TileKind::Hashes { level } = tile.kind() else { return Ok(None) };
        if !tile.is_within(self.size()) {
            return Ok(None);
        }
        let tree = self.store.tree();
        let places = tile.first()..tile.first() + u64::from(tile.width());
        let hashes = places.map(|place| tree.node(level * TILE_HEIGHT, place));
        Ok(Some(hashes.collect::<Result<_, StoreFault>>()?))
    }

    /// The entries of a bundle; `None` when there are not so many under the last checkpoint.
    pub fn bundle(&self, tile: &Tile) -> Result<Option<Vec<Bytes>>, ReadFault> {
        if tile.kind() != TileKind::Entries || !tile.is_within(self.size()) {
            return Ok(None);
        }
        let width = usize::from(tile.width());
        let entries = self.store.entries(EntryIndex(tile.first()), width)?;
        if entries.len() == width {
            return Ok(Some(entries));
        }
        Err(ReadFault::Entry(format!("{} of {width} in {}", entries.len(), tile.path())))
    }

    /// A lot.
    pub fn lot(&self, id: LotId) -> Result<Option<Lot>, ReadFault> {
        Ok(self.store.lot(id)?)
    }

    /// Lots after one, in order of their ids: as many as match, or as one scan finds.
    pub fn lots(
        &self,
        after: Option<LotId>,
        max: usize,
        filter: &LotFilter,
    ) -> Result<LotScan, ReadFault> {
        let page = self.store.lots(&filter.query(), after, max)?;
        Ok(LotScan { lots: page.items, stopped_at: page.next })
    }

    /// The entries and events of a lot, in their order.
    pub fn life(&self, lot: LotId) -> Result<Vec<(EntryIndex, EventId)>, ReadFault> {
        Ok(self.store.life_of(lot)?)
    }

    /// What is remembered of an event.
    pub fn event(&self, id: EventId) -> Result<Option<EventRecord>, ReadFault> {
        Ok(self.store.event(id)?)
    }

    /// A transfer.
    pub fn transfer(&self, offer: EventId) -> Result<Option<Transfer>, ReadFault> {
        Ok(self.store.transfer(offer)?)
    }

    /// A campaign.
    pub fn campaign(&self, id: CampaignId) -> Result<Option<Campaign>, ReadFault> {
        Ok(self.store.campaign(id)?)
    }

    /// Campaigns after one, in order of their ids: as many as match, or as one scan finds.
    pub fn campaigns(
        &self,
        after: Option<CampaignId>,
        max: usize,
        filter: &CampaignFilter,
    ) -> Result<CampaignScan, ReadFault> {
        let CampaignFilter { party, site, status, of_party } = *filter;
        let query = CampaignQuery { party, site, status, of_party };
        let page = self.store.campaigns(&query, after, max)?;
        Ok(CampaignScan { campaigns: page.items, stopped_at: page.next })
    }

    /// Transfers after one, in order of the ids of their offers: as many as match, or as one scan
    /// finds.
    pub fn transfers(
        &self,
        after: Option<EventId>,
        max: usize,
        filter: &TransferFilter,
    ) -> Result<TransferScan, ReadFault> {
        let TransferFilter { party, sender, consignee, lot, status } = *filter;
        let query = TransferQuery { party, sender, consignee, lot, status };
        let page = self.store.transfers(&query, after, max)?;
        Ok(TransferScan { transfers: page.items, stopped_at: page.next })
    }

    /// A party.
    pub fn party(&self, id: PartyId) -> Result<Option<PartyState>, ReadFault> {
        Ok(self.store.party(id)?.map(Arc::unwrap_or_clone))
    }

    /// A site.
    pub fn site(&self, id: SiteId) -> Result<Option<Arc<Site>>, ReadFault> {
        Ok(self.store.site(id)?)
    }

    /// A key.
    pub fn key(&self, id: KeyId) -> Result<Option<KeyState>, ReadFault> {
        Ok(self.store.key(id)?)
    }

    /// Entries under the last checkpoint that concern a party, ascending, from one on. Walks the
    /// party's own index only.
    pub fn concerning(
        &self,
        party: PartyId,
        from: EntryIndex,
        max: usize,
    ) -> Result<Vec<EntryIndex>, ReadFault> {
        let mut found = self.store.concerning(party, from, max)?;
        let size = self.size();
        found.retain(|index| index.0 < size.0);
        Ok(found)
    }

    /// Whether an entry concerns a party.
    pub fn concerns(&self, party: PartyId, index: EntryIndex) -> Result<bool, ReadFault> {
        Ok(self.store.concerns(party, index)?)
    }

    /// How a party is related to a lot; `None` when it is not.
    pub fn relation(&self, party: PartyId, lot: LotId) -> Result<Option<Relation>, ReadFault> {
        Ok(self.store.relation(party, lot)?)
    }

    /// Lots that a party is related to, after one, in order of their ids. Walks the party's own
    /// index only.
    pub fn related_lots(
        &self,
        party: PartyId,
        after: Option<LotId>,
        max: usize,
    ) -> Result<Vec<(LotId, Relation)>, ReadFault> {
        Ok(self.store.related_lots(party, after, max)?)
    }

    /// Parties whose record is public, after one, in order of their ids.
    pub fn public_parties(
        &self,
        after: Option<PartyId>,
        max: usize,
    ) -> Result<Vec<PartyId>, ReadFault> {
        Ok(self.store.public_parties(after, max)?)
    }

    /// Sites of a party, after one, in order of their ids.
    pub fn sites_of(
        &self,
        party: PartyId,
        after: Option<SiteId>,
        max: usize,
    ) -> Result<Vec<SiteId>, ReadFault> {
        Ok(self.store.sites_of(party, after, max)?)
    }

    /// Whether two parties share an entry.
    pub fn are_acquainted(&self, party: PartyId, other: PartyId) -> Result<bool, ReadFault> {
        Ok(self.store.are_acquainted(party, other)?)
    }

    /// Parties that share an entry with a party, after one, in order of their ids.
    pub fn acquaintances(
        &self,
        party: PartyId,
        after: Option<PartyId>,
        max: usize,
    ) -> Result<Vec<PartyId>, ReadFault> {
        Ok(self.store.acquaintances(party, after, max)?)
    }

    /// Waivers, ascending by reason and subject, after one.
    pub fn waivers(
        &self,
        after: Option<(String, String)>,
        max: usize,
    ) -> Result<Vec<WaiverState>, ReadFault> {
        Ok(self.store.waivers(after, max)?)
    }

    /// Attestations in ledger order, after one.
    pub fn attestations(
        &self,
        after: Option<EntryIndex>,
        max: usize,
    ) -> Result<Vec<Attestation>, ReadFault> {
        Ok(self.store.attestations(after, max)?)
    }

    /// What each party has said last of an anomaly, ascending by party.
    pub fn acknowledgements(
        &self,
        anomaly: &str,
        max: usize,
    ) -> Result<Vec<Acknowledgement>, ReadFault> {
        Ok(self.store.acknowledgements(anomaly, max)?)
    }

    /// Lots that a party has a grant to see, ascending by id, after one. Whether a grant is in
    /// force says [`Lot::grant_to`].
    pub fn granted_lots(
        &self,
        reader: PartyId,
        after: Option<LotId>,
        max: usize,
    ) -> Result<Vec<LotId>, ReadFault> {
        Ok(self.store.granted_lots(reader, after, max)?)
    }

    /// What a site earned and claimed of a substance in a month.
    pub fn credit(&self, key: CreditKey) -> Result<Credit, ReadFault> {
        Ok(self.store.credit(key)?.unwrap_or(Credit::empty(key)))
    }

    /// Where a lot's metal came from.
    pub fn origins(&self, lot: LotId, measure: Measure) -> Result<Origins, ReadFault> {
        let graph = self.graph(EntryCount(u64::MAX))?;
        origins(&graph, lot, measure, TraceLimits::default()).map_err(trace_fault)
    }

    /// Where a lot's metal came from, and the steps behind it, over so many entries. What later
    /// ones say of these, that one was an error, counts all the same.
    pub fn origins_and_trace_at(
        &self,
        lot: LotId,
        measure: Measure,
        detail: Detail,
        size: EntryCount,
    ) -> Result<(Origins, Trace), ReadFault> {
        let graph = self.graph(size)?;
        let limits = TraceLimits::default();
        origins_and_trace(&graph, lot, measure, detail, limits).map_err(trace_fault)
    }

    /// The steps behind or ahead of a lot.
    pub fn trace(&self, lot: LotId, direction: Direction) -> Result<Trace, ReadFault> {
        self.trace_at(lot, direction, EntryCount(u64::MAX))
    }

    /// The same over so many entries; as [`Self::origins_and_trace_at`].
    pub fn trace_at(
        &self,
        lot: LotId,
        direction: Direction,
        size: EntryCount,
    ) -> Result<Trace, ReadFault> {
        let graph = self.graph(size)?;
        trace(&graph, lot, direction, TraceLimits::default()).map_err(trace_fault)
    }

    /// What a lot is from its birth on.
    pub fn lot_class(&self, id: LotId) -> Result<Option<LotClass>, ReadFault> {
        if let Some(class) = self.shared.recent.class_of(id) {
            return Ok(Some(class));
        }
        let class = |Lot { id, origin_kinds, material, .. }: Lot| LotClass {
            lot: id,
            origin_kinds,
            material,
        };
        Ok(self.lot(id)?.map(class))
    }

    /// Takes over into memory what walks read of entries that are new, until the node closes.
    pub fn recall(&self) -> Result<(), ReadFault> {
        let is_closing = || self.shared.is_closing.load(Ordering::Relaxed);
        self.shared.recent.catch_up(&self.store, u64::MAX, is_closing).map(|_| ())
    }

    /// Recent history, for who has news of it.
    pub(super) fn recent(&self) -> &Recent {
        &self.shared.recent
    }

    /// Events on their way from the writer.
    pub(super) fn feed(&self) -> &Feed {
        &self.shared.feed
    }

    /// Memory has the say only when it is level with the database: what a correction changed lies
    /// anywhere in it.
    fn graph(&self, size: EntryCount) -> Result<StoredGraph<'_>, ReadFault> {
        let recent = &self.shared.recent;
        let is_level = recent.catch_up(&self.store, MAX_RECENT_BEHIND, || false)?;
        Ok(StoredGraph::new(&self.store, is_level.then_some(recent), size))
    }
}

fn trace_fault(fault: TraceFault<StoreFault>) -> ReadFault {
    match fault {
        TraceFault::Unreadable(fault) => ReadFault::Store(fault),
        other => ReadFault::Trace(other.to_string()),
    }
}

/// A tree that gives no proof.
pub(super) fn tree_fault(fault: ProofFault<StoreFault>) -> ReadFault {
    match fault {
        ProofFault::Node(fault) => ReadFault::Store(fault),
        other => ReadFault::Tree(other.to_string()),
    }
}
