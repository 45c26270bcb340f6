//! The whole sample: honest work raises no anomaly above low, and every rule has its case among
//! the others. Folded anew up to any entry, the book is the same.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/sample.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod sample;

use std::collections::BTreeMap;

use sample::{LAUNDERERS, PAPER_TRAILS, SCRIPTS, Sample};
use urbanmine::domain::event::Event;
use urbanmine::domain::fact::Fact;
use urbanmine::domain::{Tables, TimeMs, tables};
use urbanmine::insight::{Anomaly, Book, Rule, Seen, Severity};
use urbanmine::ledger::hash::sha256;

fn folded(facts: &[(Event, Fact)]) -> Book {
    let tables_hash = sha256(tables::builtin().as_bytes());
    let set = Tables::parse(tables::builtin()).unwrap();
    let mut book = Book::default();
    for (event, fact) in facts {
        book.absorb(&Seen { event, fact, tables: &set, tables_hash });
    }
    book
}

#[test]
fn honest_work_is_at_most_low_and_every_rule_has_its_case() {
    let all = [SCRIPTS, &[LAUNDERERS, PAPER_TRAILS]].concat();
    let sample = Sample::run_with(&all, &mut |_, _, _| {});
    let honest = Sample::run_with(SCRIPTS, &mut |_, _, _| {}).facts.len();
    let book = folded(&sample.facts);
    let is_honest = |it: &&Anomaly| it.raised_at.0 < honest as u64;
    for anomaly in book.anomalies().iter().filter(is_honest) {
        assert_eq!(anomaly.severity, Severity::Low, "{anomaly:?}");
    }
    // Some of it is told on time alone: who brings in history at once just before a report is due
    // corrects nothing on purpose.
    let mut last = TimeMs::default();
    let mut prompt = |event: &Event| {
        last = last.max(TimeMs::of(event.occurred_at.get() + 600_000));
        last
    };
    let scripts = [SCRIPTS[0], PAPER_TRAILS];
    let on_time = folded(&Sample::run_clocked(&scripts, &mut prompt, &mut |_, _, _| {}).facts);

    let mut gravest: BTreeMap<Rule, Severity> = BTreeMap::new();
    let others = book.anomalies().iter().filter(|it| !is_honest(it));
    for anomaly in others.chain(on_time.anomalies()) {
        let known = gravest.entry(anomaly.rule).or_insert(anomaly.severity);
        *known = (*known).max(anomaly.severity);
        assert!(!anomaly.entries.is_empty() && !anomaly.numbers.is_empty(), "{anomaly:?}");
        assert!(anomaly.entries.is_sorted_by(|one, next| one < next), "{anomaly:?}");
    }
    for rule in Rule::ALL {
        let found = gravest.get(rule).copied();
        assert!(found.is_some_and(|it| it > Severity::Low), "{rule}: {found:?}");
    }
}

#[test]
fn a_book_that_grew_is_the_one_that_is_folded_anew() {
    let all = [SCRIPTS, &[LAUNDERERS, PAPER_TRAILS]].concat();
    let facts = Sample::run_with(&all, &mut |_, _, _| {}).facts;
    let tables_hash = sha256(tables::builtin().as_bytes());
    let set = Tables::parse(tables::builtin()).unwrap();
    let mut growing = Book::default();
    for (place, (event, fact)) in facts.iter().enumerate() {
        growing.absorb(&Seen { event, fact, tables: &set, tables_hash });
        if place % 97 == 0 || place + 1 == facts.len() {
            assert!(growing == folded(&facts[..=place]), "after entry {}", fact.index);
        }
    }
}
