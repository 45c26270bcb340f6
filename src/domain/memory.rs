//! A state in memory: what verifiers, tests and the writer's not yet stored groups look at.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use super::audit::{Acknowledgement, Attestation};
use super::campaign::{Campaign, Line};
use super::credit::{Credit, CreditKey};
use super::effects::{Effects, LedgerState, View};
use super::ids::{CampaignId, EntryIndex, EventId, Hash32, KeyId, LotId, PartyId, SiteId};
use super::lot::{EventRecord, Lot, Transfer};
use super::movement::Movement;
use super::party::{KeyState, PartyState, Site};
use super::waiver::WaiverState;

/// Everything that effects can set, by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState {
    /// The ledger's own state.
    pub ledger: Option<LedgerState>,
    /// Parties.
    pub parties: BTreeMap<PartyId, Arc<PartyState>>,
    /// Who has a credit code.
    pub credit_codes: BTreeMap<String, PartyId>,
    /// Sites.
    pub sites: BTreeMap<SiteId, Arc<Site>>,
    /// Keys.
    pub keys: BTreeMap<KeyId, KeyState>,
    /// Waivers by reason and subject.
    pub waivers: BTreeMap<(String, String), WaiverState>,
    /// Accounts of credits.
    pub credits: BTreeMap<CreditKey, Credit>,
    /// Attestations by entry.
    pub attestations: BTreeMap<EntryIndex, Attestation>,
    /// The latest word of each party on an anomaly.
    pub acknowledgements: BTreeMap<(String, PartyId), Acknowledgement>,
    /// Lots, in boxes, as transfers and events are: a map that grows at its right edge is little
    /// more than half full, and these are what a replayed ledger consists of.
    pub lots: BTreeMap<LotId, Box<Lot>>,
    /// Transfers by the event of their offer.
    pub transfers: BTreeMap<EventId, Box<Transfer>>,
    /// Campaigns.
    pub campaigns: BTreeMap<CampaignId, Campaign>,
    /// The last campaign of a process at a site.
    pub lines: BTreeMap<(SiteId, String), Line>,
    /// Events.
    pub events: BTreeMap<EventId, Box<EventRecord>>,
    /// The lives of lots.
    pub lives: BTreeMap<(LotId, u32), EventId>,
    /// Movements by entry; a retracted one is gone.
    pub movements: BTreeMap<EntryIndex, Movement>,
    /// Chunks of tables.
    pub table_chunks: BTreeMap<(Hash32, u32), Vec<u8>>,
}

impl MemoryState {
    /// Takes over what an accepted event changes.
    pub fn absorb(&mut self, effects: Effects, event: EventId) {
        if effects.ledger.is_some() {
            self.ledger = effects.ledger;
        }
        self.parties.extend(effects.parties.into_iter().map(|it| (it.party.id, Arc::new(it))));
        self.credit_codes.extend(effects.credit_codes);
        self.sites.extend(effects.sites.into_iter().map(|it| (it.id, Arc::new(it))));
        self.keys.extend(effects.keys.into_iter().map(|it| (it.id, it)));
        let waivers = effects.waivers.into_iter();
        self.waivers.extend(waivers.map(|it| ((it.reason_code.clone(), it.subject.clone()), it)));
        self.credits.extend(effects.credits.into_iter().map(|it| (it.key(), it)));
        self.attestations.extend(effects.attestation.map(|it| (it.index, it)));
        let acknowledged = effects.acknowledgement.into_iter();
        self.acknowledgements.extend(acknowledged.map(|it| ((it.anomaly.clone(), it.by), it)));
        self.lots.extend(effects.lots.into_iter().map(|it| (it.id, Box::new(it))));
        self.lives.extend(effects.links.into_iter().map(|it| ((it.lot, it.ordinal), event)));
        self.transfers.extend(effects.transfers.into_iter().map(|it| (it.offer, Box::new(it))));
        self.campaigns.extend(effects.campaigns.into_iter().map(|it| (it.id, it)));
        let lines = effects.lines.into_iter();
        self.lines.extend(lines.map(|(site, process, line)| ((site, process), line)));
        self.events.extend(effects.events.into_iter().map(|it| (it.id, Box::new(it))));
        self.movements.extend(effects.movement.map(|it| (it.index, it)));
        self.movements.extend(effects.amended_movement.map(|it| (it.index, it)));
        if let Some(index) = effects.retracted_movement {
            self.movements.remove(&index);
        }
        let chunk = effects.table_chunk.into_iter();
        self.table_chunks.extend(chunk.map(|(set, at, bytes)| ((set, at), bytes)));
    }
}

impl MemoryState {
    /// Takes over another state's values; where both have one, the other's.
    pub fn merge(&mut self, other: Self) {
        if other.ledger.is_some() {
            self.ledger = other.ledger;
        }
        self.parties.extend(other.parties);
        self.credit_codes.extend(other.credit_codes);
        self.sites.extend(other.sites);
        self.keys.extend(other.keys);
        self.waivers.extend(other.waivers);
        self.credits.extend(other.credits);
        self.attestations.extend(other.attestations);
        self.acknowledgements.extend(other.acknowledgements);
        self.lots.extend(other.lots);
        self.transfers.extend(other.transfers);
        self.campaigns.extend(other.campaigns);
        self.lines.extend(other.lines);
        self.events.extend(other.events);
        self.lives.extend(other.lives);
        self.movements.extend(other.movements);
        self.table_chunks.extend(other.table_chunks);
    }
}

impl View for MemoryState {
    type Fault = Infallible;

    fn ledger(&self) -> Result<Option<LedgerState>, Infallible> {
        Ok(self.ledger.clone())
    }

    fn party(&self, id: PartyId) -> Result<Option<Arc<PartyState>>, Infallible> {
        Ok(self.parties.get(&id).cloned())
    }

    fn party_of_credit_code(&self, code: &str) -> Result<Option<PartyId>, Infallible> {
        Ok(self.credit_codes.get(code).copied())
    }

    fn site(&self, id: SiteId) -> Result<Option<Arc<Site>>, Infallible> {
        Ok(self.sites.get(&id).cloned())
    }

    fn key(&self, id: KeyId) -> Result<Option<KeyState>, Infallible> {
        Ok(self.keys.get(&id).cloned())
    }

    fn lot(&self, id: LotId) -> Result<Option<Lot>, Infallible> {
        Ok(self.lots.get(&id).map(|it| Lot::clone(it)))
    }

    fn transfer(&self, offer: EventId) -> Result<Option<Transfer>, Infallible> {
        Ok(self.transfers.get(&offer).map(|it| Transfer::clone(it)))
    }

    fn campaign(&self, id: CampaignId) -> Result<Option<Campaign>, Infallible> {
        Ok(self.campaigns.get(&id).cloned())
    }

    fn line(&self, site: SiteId, process: &str) -> Result<Option<Line>, Infallible> {
        Ok(self.lines.get(&(site, process.to_owned())).copied())
    }

    fn event(&self, id: EventId) -> Result<Option<EventRecord>, Infallible> {
        Ok(self.events.get(&id).map(|it| EventRecord::clone(it)))
    }

    fn life(&self, lot: LotId, ordinal: u32) -> Result<Option<EventId>, Infallible> {
        Ok(self.lives.get(&(lot, ordinal)).copied())
    }

    fn waiver(&self, reason_code: &str, subject: &str) -> Result<Option<WaiverState>, Infallible> {
        Ok(self.waivers.get(&(reason_code.to_owned(), subject.to_owned())).cloned())
    }

    fn credit(&self, key: CreditKey) -> Result<Option<Credit>, Infallible> {
        Ok(self.credits.get(&key).copied())
    }

    fn table_chunk(&self, tables: Hash32, chunk: u32) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.table_chunks.get(&(tables, chunk)).cloned())
    }
}
