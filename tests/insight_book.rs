//! The book of stocks over the whole sample: after every event it says of every party, site,
//! material and substance what the lots themselves say.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/sample.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod sample;

use std::collections::BTreeMap;

use sample::{SCRIPTS, Sample};
use urbanmine::domain::fact::Stand;
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::{EntryCount, PartyId, SiteId, Tables, tables};
use urbanmine::insight::{Book, Column, Seen};
use urbanmine::ledger::hash::sha256;
use urbanmine::provenance::Measure;

type Stocks = BTreeMap<(PartyId, SiteId, String, Measure), i128>;

/// What the lots say.
fn in_lots(state: &MemoryState) -> Stocks {
    let mut stocks = Stocks::new();
    for lot in state.lots.values() {
        let stand = Stand::of(lot, lot.possessor);
        let mut add = |measure, grams: u64| {
            let key = (stand.possessor, stand.site, lot.material.clone(), measure);
            *stocks.entry(key).or_default() += i128::from(grams);
        };
        add(Measure::Mass, stand.mass.get());
        for (substance, grams) in &stand.contents {
            add(Measure::Substance(*substance), grams.get());
        }
    }
    stocks.retain(|_, grams| *grams != 0);
    stocks
}

/// What the book says.
fn in_book(book: &Book, size: EntryCount) -> Stocks {
    let mut stocks = Stocks::new();
    for (account, grams) in book.totals(size, None, |it| it.column.in_lots() != 0) {
        let material = account.material.to_string();
        let key = (account.party, account.site, material, account.measure);
        *stocks.entry(key).or_default() += grams * i128::from(account.column.in_lots());
    }
    stocks.retain(|_, grams| *grams != 0);
    stocks
}

#[test]
fn stocks_are_those_of_the_lots_after_every_event_and_as_of_every_entry() {
    let tables_hash = sha256(tables::builtin().as_bytes());
    let set = Tables::parse(tables::builtin()).unwrap();
    let mut book = Book::default();
    let mut expected = Vec::new();
    Sample::run_with(SCRIPTS, &mut |state, event, fact| {
        book.absorb(&Seen { event, fact, tables: &set, tables_hash });
        let stocks = in_lots(state);
        let kind = event.body.kind();
        assert_eq!(in_book(&book, book.size()), stocks, "{} {kind}", fact.index);
        expected.push(stocks);
    });
    assert!(expected.len() > 800, "{} entries", expected.len());
    for (size, stocks) in (1..).zip(&expected).step_by(13) {
        assert_eq!(&in_book(&book, EntryCount(size)), stocks, "as of {size} entries");
    }
}

#[test]
fn little_is_left_for_adjustments_and_campaigns_balance() {
    let tables_hash = sha256(tables::builtin().as_bytes());
    let set = Tables::parse(tables::builtin()).unwrap();
    let mut book = Book::default();
    Sample::run_with(SCRIPTS, &mut |_, event, fact| {
        book.absorb(&Seen { event, fact, tables: &set, tables_hash });
    });
    // Mass is never adjusted: every column of it is a rule's.
    let mass = |column| {
        let wanted =
            book.totals(book.size(), None, |it| it.column == column && it.measure == Measure::Mass);
        wanted.iter().map(|(_, grams)| *grams).sum::<i128>()
    };
    assert_eq!(mass(Column::Adjusted), 0);
    assert_eq!(mass(Column::Shipped), mass(Column::Received), "what is shipped arrives");
    assert_eq!(mass(Column::Sold), mass(Column::Bought));
    assert_eq!(mass(Column::CarriedOut), mass(Column::CarriedIn));
    assert_eq!(mass(Column::Remade), 0, "a merge loses nothing");
    assert!(mass(Column::Produced) > 0 && mass(Column::ProcessLoss) > 0);
    // In process is what campaigns hold: nothing outside of them.
    for (account, grams) in book.totals(book.size(), None, |it| it.column.in_process() != 0) {
        assert!(grams != 0 && !account.process.is_empty(), "{account:?}");
    }
}
