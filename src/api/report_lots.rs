//! Reports of one lot, which need its origins beside the book: the label statement and the
//! passport.

use super::errors::Failure;
use super::report_requests::{OfLot, no_lot};
use crate::domain::event::Document;
use crate::domain::{Body, EntryIndex, Event, LotId, Tables};
use crate::insight::Book;
use crate::insight::reports::{
    OriginLot, PassportQuery, StatementQuery, Table, label_statement, lot_passport,
};
use crate::limits::MAX_PASSPORT_ENTRIES;
use crate::node::{Direction, Measure, Origins, Reader};

/// The label statement of a lot, as it was born.
pub fn label(book: &Book, reader: &Reader, of: &OfLot, tables: &Tables) -> Result<Table, Failure> {
    let origins = origins_of(reader, of.lot, of.measure)?;
    let known = known_origins(reader, &origins)?;
    let query =
        StatementQuery { lot: of.lot, measure: of.measure, origins: &origins, is_at_birth: true };
    let look = |lot: LotId| known.iter().find(|(id, _)| *id == lot).map(|(_, it)| it.clone());
    Ok(label_statement(book.registry(), of.as_of, &query, look, tables))
}

/// The passport of a lot.
pub fn passport(
    book: &Book,
    reader: &Reader,
    of: &OfLot,
    tables: &Tables,
) -> Result<Table, Failure> {
    let lot = reader.lot(of.lot)?.ok_or_else(|| no_lot(of.lot))?;
    let mut origins = vec![(Measure::Mass, origins_of(reader, of.lot, Measure::Mass)?)];
    for item in &lot.contents.items {
        let measure = Measure::Substance(item.substance);
        origins.push((measure, origins_of(reader, of.lot, measure)?));
    }
    let mut known = Vec::new();
    for (_, origins) in &origins {
        known.extend(known_origins(reader, origins)?);
    }
    let trace = reader.trace(of.lot, Direction::Back)?;
    let documents = documents(reader, of.lot)?;
    let query =
        PassportQuery { lot: &lot, origins: &origins, trace: Some(&trace), documents: &documents };
    let look = |lot: LotId| known.iter().find(|(id, _)| *id == lot).map(|(_, it)| it.clone());
    Ok(lot_passport(book.registry(), of.as_of, &query, look, tables))
}

fn origins_of(reader: &Reader, lot: LotId, measure: Measure) -> Result<Origins, Failure> {
    let found = reader.lot(lot)?.filter(|lot| lot.retracted_by.is_none());
    if found.is_none() {
        return Err(no_lot(lot));
    }
    Ok(reader.origins(lot, measure)?)
}

/// What brought each origin lot into the ledger.
fn known_origins(reader: &Reader, origins: &Origins) -> Result<Vec<(LotId, OriginLot)>, Failure> {
    let mut known = Vec::with_capacity(origins.lineage.len());
    for id in &origins.lineage {
        let Some(lot) = reader.lot(*id)? else { continue }; // a campaign's stock is no lot
        let Some(event) = reader.event_at(lot.born_at)? else { continue };
        known.push((*id, origin(&lot, &event)));
    }
    Ok(known)
}

fn origin(lot: &crate::domain::lot::Lot, event: &Event) -> OriginLot {
    let (supplier, seller_kind) = match &event.body {
        Body::CollectLot(collect) => (event.actor, Some(collect.seller_kind)),
        Body::OpeningInventory(inventory) => (inventory.party, None),
        _ => (event.actor, None),
    };
    OriginLot {
        entry: lot.born_at,
        supplier,
        seller_kind,
        origin_kind: lot.origin_kinds.iter().next(),
        material: lot.material.clone(),
        region: lot.origin_region.clone(),
    }
}

/// Papers of the entries of a lot's life; of a long life, those of its first entries.
fn documents(reader: &Reader, lot: LotId) -> Result<Vec<(EntryIndex, Document)>, Failure> {
    let mut documents = Vec::new();
    for (index, _) in reader.life(lot)?.into_iter().take(MAX_PASSPORT_ENTRIES) {
        let Some(event) = reader.event_at(index)? else { continue };
        documents.extend(event.documents.into_iter().map(|it| (index, it)));
    }
    Ok(documents)
}
