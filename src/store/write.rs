//! What one commit group writes into the database: a single batch, so that the database always
//! stands at the end of a group.

use std::collections::BTreeSet;

use super::batch::Batch;

use super::codec;
use super::database::Database;
use super::fault::StoreFault;
use super::headings::Headings;
use super::keyspace::Key;
use super::lives::{lots_before, put_lot};
use super::movements::put_movements;
use super::ties::put_ties;
use super::trail::{Trail, put_trail};
use super::{Store, reads, tree};
use crate::domain::credit::CreditKey;
use crate::domain::lot::Lot;
use crate::domain::memory::MemoryState;
use crate::domain::sight::EntrySight;
use crate::domain::{EntryCount, EntryIndex, Hash32, PartyId};
use crate::ledger::frame::Group;
use crate::ledger::hash::ChainValue;
use crate::ledger::lot_map::MapUpdate;

/// A group with all that it changes.
#[derive(Debug, Clone, Copy)]
pub struct GroupRows<'a> {
    /// The group, as in the journal.
    pub group: &'a Group,
    /// The leaf hash of each entry.
    pub leaves: &'a [Hash32],
    /// The chain value after its last entry.
    pub chain: ChainValue,
    /// New values of everything that changes.
    pub changes: &'a MemoryState,
    /// Entries whose movements no longer count.
    pub retracted: &'a [EntryIndex],
    /// What is kept of each of its entries.
    pub trail: &'a Trail,
    /// What the entries let parties see, in their order.
    pub sights: &'a [EntrySight],
    /// The map of lot states that the group states; it is then a group of that statement alone.
    pub lot_map: Option<&'a MapUpdate>,
}

/// Writes a group that follows the last and is in the journal. One that is there already is
/// compared, never written again: its values may be older than what stands there. Answers how many
/// entries are applied afterwards.
pub(super) fn write_group(store: &Store, rows: &GroupRows<'_>) -> Result<EntryCount, StoreFault> {
    let database = &store.database;
    assert_eq!(rows.leaves.len(), rows.group.entries.len(), "every entry has its leaf hash");
    let (applied, _) = database.head()?;
    let (first, end) = (rows.group.first, rows.group.end());
    if end.0 <= applied.0 {
        reads::compare_group(store, rows.group)?;
        return Ok(applied);
    }
    if first.0 != applied.0 {
        let expected = EntryIndex(applied.0);
        return Err(StoreFault::Order { place: "database", expected, found: first });
    }

    let mut batch = Batch::default();
    store.frames.put(&mut batch, rows.group)?;
    if first.0 > 0 {
        put_checkpoint(database, &mut batch, EntryCount(first.0), &rows.group.previous_checkpoint)?;
    }
    for (key, row) in tree::rows_with(database, first, rows.leaves)? {
        batch.insert(key.packed(), row);
    }
    put_registry(&mut batch, rows.changes);
    let stood = lots_before(database, first, &rows.changes.lots)?;
    for (id, lot) in &rows.changes.lots {
        let before = stood.get(id);
        move_grants(&mut batch, before.map(|row| &row.lot), lot);
        put_lot(database, &mut batch, lot, before, rows.changes)?;
    }
    put_ties(database, &mut batch, first, &rows.changes.lots, &stood, rows.sights)?;
    put_history(&mut batch, rows);
    put_movements(database, &mut batch, first, &rows.changes.movements, rows.retracted)?;
    put_trail(&mut batch, rows.trail);
    put_sights(database, &mut batch, rows.sights)?;
    if let Some(stated) = rows.lot_map {
        assert_eq!(rows.group.entries.len(), 1, "lots are stated in a group of its own");
        put_lot_map(&mut batch, first, stated);
    }
    batch.insert(Key::Head.packed(), codec::encode(&(end.0, rows.chain.0)));
    database.apply(batch)?;
    Ok(EntryCount(end.0))
}

/// Adds a group's checkpoint. It is part of receipts, so one that differs from what stands there is
/// refused.
pub(super) fn put_checkpoint(
    database: &Database,
    batch: &mut Batch,
    size: EntryCount,
    signed: &[u8],
) -> Result<(), StoreFault> {
    let key = Key::Checkpoint(size);
    match database.get(&key)? {
        Some(found) if found == signed => {}
        Some(_) => return Err(other_checkpoint(size)),
        None => batch.insert(key.packed(), signed),
    }
    Ok(())
}

/// Two checkpoints of one size are a fork.
pub(super) fn other_checkpoint(size: EntryCount) -> StoreFault {
    let index = EntryIndex(size.0.saturating_sub(1));
    let detail = format!("another checkpoint of size {size} is stored");
    StoreFault::Disagreement { index, detail }
}

fn put_registry(batch: &mut Batch, changes: &MemoryState) {
    if let Some(ledger) = &changes.ledger {
        batch.insert(Key::Ledger.packed(), codec::encode(ledger));
    }
    for (id, party) in &changes.parties {
        batch.insert(Key::Party(*id).packed(), codec::encode(party.as_ref()));
        if party.party.is_public() {
            batch.insert(Key::PublicParty(*id).packed(), &[]);
        } else {
            batch.remove(Key::PublicParty(*id).packed());
        }
    }
    for (code, party) in &changes.credit_codes {
        batch.insert(Key::CreditCode(code.clone()).packed(), codec::encode(party));
    }
    for (id, site) in &changes.sites {
        batch.insert(Key::Site(*id).packed(), codec::encode(site.as_ref()));
        // A site keeps its party for ever.
        batch.insert(Key::SiteOf(site.party, *id).packed(), &[]);
    }
    for (id, key) in &changes.keys {
        batch.insert(Key::Signer(*id).packed(), codec::encode(key));
    }
    for ((reason_code, subject), waiver) in &changes.waivers {
        let key = Key::Waiver(reason_code.clone(), subject.clone());
        batch.insert(key.packed(), codec::encode(waiver));
    }
    put_words(batch, changes);
    for ((set, chunk), bytes) in &changes.table_chunks {
        batch.insert(Key::TableChunk(*set, *chunk).packed(), bytes.as_slice());
    }
}

/// Accounts of credits, and what was said of the ledger.
fn put_words(batch: &mut Batch, changes: &MemoryState) {
    for account in changes.credits.values() {
        batch.insert(credit_key(account.key()).packed(), codec::encode(account));
    }
    for (index, attestation) in &changes.attestations {
        batch.insert(Key::Attestation(*index).packed(), codec::encode(attestation));
    }
    for ((anomaly, party), word) in &changes.acknowledgements {
        let key = Key::Acknowledgement(anomaly.clone(), *party);
        batch.insert(key.packed(), codec::encode(word));
    }
}

/// Where an account lies.
pub(super) fn credit_key((site, substance, month): CreditKey) -> Key {
    Key::Credit(site, substance.number(), month.number())
}

fn move_grants(batch: &mut Batch, before: Option<&Lot>, lot: &Lot) {
    let readers =
        |lot: &Lot| -> BTreeSet<PartyId> { lot.grants.iter().map(|grant| grant.reader).collect() };
    let (had, has) = (before.map(readers).unwrap_or_default(), readers(lot));
    for reader in had.difference(&has) {
        batch.remove(Key::GrantedLot(*reader, lot.id).packed());
    }
    for reader in has.difference(&had) {
        batch.insert(Key::GrantedLot(*reader, lot.id).packed(), &[]);
    }
}

/// Whom entries concern, and who knows whom: pairs that do already are left alone, so that trading
/// on does not grow the file.
fn put_sights(
    database: &Database,
    batch: &mut Batch,
    entries: &[EntrySight],
) -> Result<(), StoreFault> {
    let mut pairs = BTreeSet::new();
    let mut concerned = Headings::default();
    for entry in entries {
        for party in &entry.concerned {
            concerned.note(*party, entry.index);
        }
        pairs.extend(entry.acquainted.iter().copied());
    }
    concerned.put(batch, Key::Concerned);
    for (one, other) in pairs {
        if database.get(&Key::Acquainted(one, other))?.is_none() {
            batch.insert(Key::Acquainted(one, other).packed(), &[]);
            batch.insert(Key::Acquainted(other, one).packed(), &[]);
        }
    }
    Ok(())
}

/// The tiles stand as the last statement says, between statements too: whoever is proven a lot's
/// state needs no versions, and nothing has to be cleared away.
fn put_lot_map(batch: &mut Batch, statement: EntryIndex, stated: &MapUpdate) {
    for (path, tile) in stated.tiles.iter() {
        batch.insert(Key::LotTile(path).packed(), codec::encode(&tile));
    }
    batch.insert(Key::LotState.packed(), codec::encode(&(statement, stated.root)));
}

fn put_history(batch: &mut Batch, rows: &GroupRows<'_>) {
    for (id, transfer) in &rows.changes.transfers {
        batch.insert(Key::Transfer(*id).packed(), codec::encode(transfer));
        for party in [transfer.sender, transfer.consignee] {
            batch.insert(Key::PartyTransfer(party, *id).packed(), &[]);
        }
        let arrived = transfer.arrived.map(|arrived| arrived.lot);
        for lot in arrived.into_iter().chain([transfer.lot]) {
            batch.insert(Key::LotTransfer(lot, *id).packed(), &[]);
        }
    }
    for (id, campaign) in &rows.changes.campaigns {
        batch.insert(Key::Campaign(*id).packed(), codec::encode(campaign));
    }
    for ((site, process), line) in &rows.changes.lines {
        batch.insert(Key::Line(*site, process.clone()).packed(), codec::encode(line));
    }
    for (id, event) in &rows.changes.events {
        batch.insert(Key::Event(*id).packed(), codec::encode(event.as_ref()));
    }
}
