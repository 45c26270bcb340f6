//! What `apply` reads, and what it answers.

use std::sync::Arc;

use super::audit::{Acknowledgement, Attestation};
use super::campaign::{Campaign, Line};
use super::credit::{Credit, CreditKey};
use super::fact::LotChange;
use super::ids::{
    CampaignId, EntryCount, EntryIndex, EventId, Hash32, KeyId, LotId, Origin, PartyId, PublicKey,
    SiteId,
};
use super::lot::{EventRecord, Lot, Transfer};
use super::movement::Movement;
use super::party::{KeyState, PartyState, Site};
use super::sight::Sight;
use super::tables::Tables;
use super::waiver::WaiverState;

/// What the rules may look at: only the things that an event names, as they stand before it.
pub trait View {
    /// What goes wrong when the view cannot be read (a disk); never a verdict about the event.
    type Fault;

    /// The ledger's own state; `None` before the genesis.
    fn ledger(&self) -> Result<Option<LedgerState>, Self::Fault>;
    /// A party with its licences, affiliations and keys: shared, because every event asks for it.
    fn party(&self, id: PartyId) -> Result<Option<Arc<PartyState>>, Self::Fault>;
    /// Who has a credit code.
    fn party_of_credit_code(&self, code: &str) -> Result<Option<PartyId>, Self::Fault>;
    /// A site.
    fn site(&self, id: SiteId) -> Result<Option<Arc<Site>>, Self::Fault>;
    /// A signing key.
    fn key(&self, id: KeyId) -> Result<Option<KeyState>, Self::Fault>;
    /// A lot.
    fn lot(&self, id: LotId) -> Result<Option<Lot>, Self::Fault>;
    /// A transfer, by the event of its offer.
    fn transfer(&self, offer: EventId) -> Result<Option<Transfer>, Self::Fault>;
    /// A campaign.
    fn campaign(&self, id: CampaignId) -> Result<Option<Campaign>, Self::Fault>;
    /// The last campaign of a process at a site.
    fn line(&self, site: SiteId, process: &str) -> Result<Option<Line>, Self::Fault>;
    /// What is remembered of an event.
    fn event(&self, id: EventId) -> Result<Option<EventRecord>, Self::Fault>;
    /// The event at a place in a lot's life, counted from 0.
    fn life(&self, lot: LotId, ordinal: u32) -> Result<Option<EventId>, Self::Fault>;
    /// The waiver of a rule, by its reason, for a subject.
    fn waiver(&self, reason_code: &str, subject: &str) -> Result<Option<WaiverState>, Self::Fault>;
    /// What a site earned and claimed in a month.
    fn credit(&self, key: CreditKey) -> Result<Option<Credit>, Self::Fault>;
    /// A chunk of a table set that is being published.
    fn table_chunk(&self, tables: Hash32, chunk: u32) -> Result<Option<Vec<u8>>, Self::Fault>;
}

/// The ledger's own state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerState {
    /// Its name.
    pub origin: Origin,
    /// The key that signs its statements, and its checkpoints from the next entry on.
    pub ledger_key: PublicKey,
    /// The keys before it, in the order in which they signed; the first is that of the genesis. At
    /// most [`MAX_LEDGER_KEYS`](crate::limits::MAX_LEDGER_KEYS) with the one in force.
    pub former_ledger_keys: Vec<FormerLedgerKey>,
    /// The rules that judge.
    pub rules_version: u16,
    /// The table set that judges.
    pub tables_hash: Hash32,
    /// Whether the content of that set is in the ledger yet.
    pub are_tables_published: bool,
    /// A set whose chunks are arriving: hash, next chunk, count.
    pub publishing: Option<(Hash32, u32, u32)>,
    /// Events that must follow a declared error, in order: id and payload hash; and the time from
    /// which they may be dated.
    pub expected_correctives: Vec<(EventId, Hash32)>,
    /// The occurrence of the event that they correct.
    pub corrected_occurred_at: super::units::TimeMs,
}

/// A key that signed for the ledger once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerLedgerKey {
    /// The key.
    pub key: PublicKey,
    /// The entry in which it named the next one: the last that a checkpoint of its own covers.
    pub rotated_at: EntryIndex,
}

impl LedgerState {
    /// Whether a key signs for the ledger, or did.
    pub fn was_ledger_key(&self, key: &PublicKey) -> bool {
        self.ledger_key == *key || self.former_ledger_keys.iter().any(|former| former.key == *key)
    }

    /// The key whose signature a checkpoint of a size has: the entry that names a next key is still
    /// under the old one.
    pub fn signer_of(&self, size: EntryCount) -> PublicKey {
        let is_its = |former: &&FormerLedgerKey| size.0 <= former.rotated_at.next().0;
        self.former_ledger_keys.iter().find(is_its).map_or(self.ledger_key, |former| former.key)
    }
}

/// One lot's link in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LotLink {
    /// Which lot.
    pub lot: LotId,
    /// This entry's place in the lot's life, counted from 0.
    pub ordinal: u32,
    /// The lot's entry before this one; `None` exactly when the ordinal is 0.
    pub previous: Option<EntryIndex>,
}

/// Everything that an accepted event changes: whole new values, so writing them twice changes
/// nothing.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// The ledger's own state, when it changes.
    pub ledger: Option<LedgerState>,
    /// Parties that change.
    pub parties: Vec<PartyState>,
    /// Credit codes that get a party.
    pub credit_codes: Vec<(String, PartyId)>,
    /// Sites that change.
    pub sites: Vec<Site>,
    /// Keys that change.
    pub keys: Vec<KeyState>,
    /// Waivers that change.
    pub waivers: Vec<WaiverState>,
    /// Accounts of credits that change.
    pub credits: Vec<Credit>,
    /// What was attested.
    pub attestation: Option<Attestation>,
    /// What was acknowledged.
    pub acknowledgement: Option<Acknowledgement>,
    /// Lots that change, ascending by id: exactly those of `links`.
    pub lots: Vec<Lot>,
    /// The same lots, before and after.
    pub lot_changes: Vec<LotChange>,
    /// The links of the entry, ascending by lot.
    pub links: Vec<LotLink>,
    /// Transfers that change.
    pub transfers: Vec<Transfer>,
    /// Campaigns that change.
    pub campaigns: Vec<Campaign>,
    /// Which campaign is now the last of a process at a site.
    pub lines: Vec<(SiteId, String, Line)>,
    /// This event's record, and that of the event it declares an error.
    pub events: Vec<EventRecord>,
    /// What it did to metal.
    pub movement: Option<Movement>,
    /// The movement of an earlier entry, as it counts from now on: a settlement says how much
    /// arrived.
    pub amended_movement: Option<Movement>,
    /// The entry whose movement no longer counts.
    pub retracted_movement: Option<EntryIndex>,
    /// A chunk of tables: of which set, which, and its bytes.
    pub table_chunk: Option<(Hash32, u32, Vec<u8>)>,
    /// The parties that the entry concerns, ascending: who acted, signed, is named, owns or holds a
    /// lot of it, before or after, or is party to a transfer of it. At most
    /// [`MAX_CONCERNED`](crate::limits::MAX_CONCERNED).
    pub concerned: Vec<PartyId>,
    /// Parties that know each other by the entry: each pair once, the smaller id first.
    pub acquainted: Vec<(PartyId, PartyId)>,
    /// Lots that parties see otherwise from this entry on.
    pub sights: Vec<Sight>,
    /// The table set that judges from the next entry on.
    pub activated_tables: Option<Arc<Tables>>,
}
