//! Every report over the sample: each number is the sum of the entries behind it, balances close,
//! and what a report says as of an entry count is what it said then.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/sample.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod sample;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use sample::{SCRIPTS, Sample};
use urbanmine::cli::report_render;
use urbanmine::domain::credit::Month;
use urbanmine::domain::event::{Body, Event, NewLot};
use urbanmine::domain::flag::Flag;
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::vocabulary::{PartyRole, Substance};
use urbanmine::domain::{EntryCount, Hash32, LotId, TimeMs, tables};
use urbanmine::insight::reports::{
    AnomalyQuery, AsOf, BalanceBy, BalanceQuery, Cell, Codes, ColumnUnit, CorrectionsQuery,
    CoverageQuery, Figure, FlowBy, FlowQuery, Language, Level, LicenceQuery, MatrixQuery, Moves,
    OriginLot, OutputQuery, PassportQuery, ReportKind, StatementQuery, StockQuery, Table, Value,
    anomalies, balance, corrections, coverage, coverage_counts, csv, entries_behind, flow_matrix,
    inventory, label_statement, licences, lot_passport, monthly_flow, open_campaigns,
    open_transfers, output,
};
use urbanmine::insight::{Book, Seen};
use urbanmine::ledger::hash::sha256;
use urbanmine::provenance::{Direction, Measure, TraceLimits, origins, trace};

/// After everything that can be.
const ALWAYS: TimeMs = TimeMs::MAX;

fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| Sample::run_with(SCRIPTS, &mut |_: &MemoryState, _, _| {}))
}

fn tables_hash() -> Hash32 {
    sha256(tables::builtin().as_bytes())
}

/// A book of what is wanted of the first entries.
fn book_of(count: usize, is_wanted: impl Fn(&Event) -> bool) -> Book {
    let mut book = Book::default();
    extend(&mut book, 0..count, is_wanted);
    book
}

fn extend(book: &mut Book, range: std::ops::Range<usize>, is_wanted: impl Fn(&Event) -> bool) {
    let (sample, tables_hash) = (sample(), tables_hash());
    for (event, fact) in &sample.facts[range] {
        if is_wanted(event) {
            book.absorb(&Seen { event, fact, tables: &sample.tables, tables_hash });
        }
    }
}

fn full() -> &'static Book {
    static BOOK: OnceLock<Book> = OnceLock::new();
    BOOK.get_or_init(|| book_of(sample().facts.len(), |_| true))
}

fn months() -> (Month, Month) {
    let book = full();
    let all = book.totals(book.size(), None, |_| true);
    let months = all.iter().map(|(account, _)| account.month);
    (months.clone().min().unwrap(), months.max().unwrap().next())
}

/// Every report that is read from the book alone.
fn reports(book: &Book, as_of: AsOf) -> Vec<Table> {
    let tables = &sample().tables;
    let (first, end) = months();
    let mut all = Vec::new();
    let query = CoverageQuery {
        role: PartyRole::RareEarthRecoveryPlant,
        region_prefix: "36".to_owned(),
        active_days: 90,
    };
    all.push(coverage(book, as_of, &query));
    all.push(coverage_counts(book, as_of, &query));
    let mut month = first;
    while month < end {
        let query = FlowQuery { month, party: None, site: None, by: FlowBy::Material };
        all.push(monthly_flow(book, as_of, &query));
        if month.next() == end {
            let by = FlowBy::Measure;
            all.push(monthly_flow(book, as_of, &FlowQuery { by, ..query }));
        }
        month = month.next();
    }
    for by in [BalanceBy::Site, BalanceBy::Process, BalanceBy::Campaign] {
        all.push(balance(book, as_of, &balance_query(first, end, by), tables));
    }
    for level in [Level::Party, Level::Base, Level::County, Level::Prefecture, Level::Province] {
        for (moves, codes) in
            [(Moves::Custody, Codes::AsRecorded), (Moves::Ownership, Codes::Current)]
        {
            let measure = Measure::Substance(Substance::Cu);
            let (from, to, party) = (first, end, None);
            let query = MatrixQuery { from, to, measure, level, moves, codes, party };
            all.push(flow_matrix(book, as_of, &query, tables));
            let measure = Measure::Mass;
            all.push(flow_matrix(book, as_of, &MatrixQuery { measure, ..query }, tables));
        }
    }
    let query = OutputQuery { from: first, to: end, party: None };
    all.push(output(book, as_of, &query, tables));
    let stock = StockQuery::default();
    all.push(inventory(book, as_of, &stock));
    all.push(open_transfers(book, as_of, &stock));
    all.push(open_campaigns(book, as_of, &stock));
    all.push(licences(book, as_of, &LicenceQuery { within_days: 400, party: None }));
    let query = CorrectionsQuery { from: TimeMs::of(0), to: ALWAYS, party: None };
    all.push(corrections(book, as_of, &query));
    all.push(anomalies(book, as_of, &AnomalyQuery::default()));
    all
}

fn balance_query(from: Month, to: Month, by: BalanceBy) -> BalanceQuery {
    let (party, site, process, campaign, measure) = (None, None, None, None, None);
    BalanceQuery { from, to, party, site, process, campaign, measure, by }
}

fn number(cell: &Cell) -> i128 {
    match cell.value {
        Value::Grams(number) | Value::Count(number) => number,
        _ => panic!("{cell:?} is no number"),
    }
}

/// Columns whose numbers are made of others in the same row, or come from outside of the ledger.
const DERIVED: &[&str] = &["oxide_grams", "output_oxide", "national"];

/// Every figure travels and sums to its cell; and every mass has one, but for what is derived.
fn check_figures(book: &Book, table: &Table) -> usize {
    let mut checked = 0;
    let names: BTreeSet<_> = table.columns.iter().map(|head| head.name.as_ref()).collect();
    assert_eq!(names.len(), table.columns.len(), "{:?}: a name twice", table.kind);
    for row in &table.rows {
        assert_eq!(row.len(), table.columns.len());
        for (cell, head) in row.iter().zip(&table.columns) {
            let is_mass = matches!(cell.value, Value::Grams(_));
            let Some(figure) = &cell.figure else {
                let is_exempt = DERIVED.contains(&head.name.as_ref())
                    || matches!(table.kind, ReportKind::LabelStatement | ReportKind::LotPassport);
                assert!(!is_mass || is_exempt, "{:?} {}", table.kind, head.name);
                continue;
            };
            let text = figure.to_text();
            assert_eq!(Figure::parse(&text).as_ref(), Ok(figure), "{text}");
            // Most cells of a flow are nothing; a sample of them is enough.
            if number(cell) == 0 && text.len() % 5 != 0 {
                continue;
            }
            let behind = entries_behind(book, table.as_of, figure);
            let sum: i128 = behind.iter().map(|(_, it)| it).sum();
            assert_eq!(sum, number(cell), "{:?} {} {text}", table.kind, head.name);
            assert!(behind.is_sorted_by_key(|(index, _)| *index));
            checked += 1;
        }
    }
    checked
}

#[test]
fn every_number_is_the_sum_of_the_entries_behind_it() {
    let book = full();
    let as_of = AsOf { size: book.size(), time: ALWAYS };
    let mut by_kind: BTreeMap<ReportKind, (usize, usize)> = BTreeMap::new();
    let count = |table: &Table, by_kind: &mut BTreeMap<ReportKind, (usize, usize)>| {
        let counts = by_kind.entry(table.kind).or_default();
        counts.0 += table.rows.len();
        counts.1 += check_figures(book, table);
        assert_eq!(table.left_out, 0);
    };
    for table in &reports(book, as_of) {
        count(table, &mut by_kind);
    }
    // While a campaign ran and while offers were open, there is more to tell of them.
    let closed = book.runs().filter_map(|(_, run)| Some(run.closed?.0.0)).max().unwrap();
    for size in [closed / 2, closed] {
        let as_of = AsOf { size: EntryCount(size), time: ALWAYS };
        let stock = StockQuery::default();
        count(&open_campaigns(book, as_of, &stock), &mut by_kind);
        count(&open_transfers(book, as_of, &stock), &mut by_kind);
        count(&inventory(book, as_of, &stock), &mut by_kind);
    }
    for (kind, (rows, checked)) in &by_kind {
        println!("{}: {rows} rows, {checked} figures", kind.name());
    }
    for kind in ReportKind::ALL {
        let is_elsewhere = [ReportKind::LabelStatement, ReportKind::LotPassport].contains(kind);
        let may_be_empty = [ReportKind::Anomalies, ReportKind::Licences].contains(kind);
        let rows = by_kind.get(kind).map_or(0, |(rows, _)| *rows);
        assert!(rows > 0 || is_elsewhere || may_be_empty, "{} says nothing", kind.name());
    }
    // Half-way, with what had happened by then.
    let time = middle();
    for table in reports(book, AsOf { size: EntryCount(book.size().0 * 2 / 3), time }) {
        check_figures(book, &table);
    }
}

/// A moment in the middle of what happened.
fn middle() -> TimeMs {
    let mut times: Vec<TimeMs> =
        sample().facts.iter().map(|(event, _)| event.occurred_at).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn a_report_as_of_an_entry_count_is_what_it_was_then() {
    let (full, count) = (full(), sample().facts.len());
    let mut then = Book::default();
    let mut at = 0;
    for next in (1..=count).step_by(113).chain([count]) {
        extend(&mut then, at..next, |_| true);
        at = next;
        for time in [ALWAYS, middle()] {
            let as_of = AsOf { size: then.size(), time };
            for (now, was) in reports(full, as_of).iter().zip(&reports(&then, as_of)) {
                assert_eq!(now, was, "{} as of {next}", now.kind.name());
            }
        }
    }
}

#[test]
fn a_report_as_of_a_moment_is_that_of_what_happened_before() {
    let (full, time) = (full(), middle());
    let is_before = |event: &Event| event.occurred_at < time;
    let is_of_registry = |event: &Event| (20..40).contains(&event.body.kind().number());
    let count = sample().facts.len();
    let then = book_of(count, |event| is_before(event) || is_of_registry(event));
    let as_of = AsOf { size: full.size(), time };
    for (now, was) in reports(full, as_of).iter().zip(&reports(&then, as_of)) {
        // Rules look at what came in between as well.
        if now.kind != ReportKind::Anomalies {
            assert_eq!(now, was, "{}", now.kind.name());
        }
    }
}

#[test]
fn a_flow_leads_from_opening_to_closing_and_closing_is_what_is_there() {
    let book = full();
    let as_of = AsOf { size: book.size(), time: ALWAYS };
    let (first, end) = months();
    let mut month = first;
    let mut closing_before = BTreeMap::new();
    while month < end {
        let by = FlowBy::Measure;
        let table = monthly_flow(book, as_of, &FlowQuery { month, party: None, site: None, by });
        let mut closings = BTreeMap::new();
        for row in &table.rows {
            let at = |name: &str| number(&row[table.column(name).unwrap()]);
            let sum = |weigh: fn(urbanmine::insight::Column) -> i8| -> i128 {
                let columns = urbanmine::insight::Column::ALL.iter();
                columns.map(|it| at(&it.name().to_lowercase()) * i128::from(weigh(*it))).sum()
            };
            let lots = sum(urbanmine::insight::Column::in_lots);
            let process = sum(urbanmine::insight::Column::in_process);
            assert_eq!(at("opening_lots") + lots, at("closing_lots"));
            assert_eq!(at("opening_process") + process, at("closing_process"));
            let key = format!("{:?}", [&row[0].value, &row[1].value, &row[2].value]);
            let opening = (at("opening_lots"), at("opening_process"));
            let before = closing_before.remove(&key).unwrap_or_default();
            assert_eq!(opening, before, "a month begins as the one before it ended");
            closings.insert(key, (at("closing_lots"), at("closing_process")));
        }
        assert!(closing_before.values().all(|it| *it == (0, 0)), "nothing is forgotten");
        closing_before = closings;
        month = month.next();
    }
    let table = inventory(book, as_of, &StockQuery::default());
    let mut stock: BTreeMap<String, (i128, i128)> = BTreeMap::new();
    for row in &table.rows {
        let key = format!("{:?}", [&row[0].value, &row[1].value, &row[6].value]);
        let sums = stock.entry(key).or_default();
        match &row[2].value {
            Value::Code(held) if held == "LOTS" => sums.0 += number(&row[7]),
            _ => sums.1 += number(&row[7]),
        }
    }
    closing_before.retain(|_, it| *it != (0, 0));
    stock.retain(|_, it| *it != (0, 0));
    assert_eq!(closing_before, stock);
}

#[test]
fn balances_close_and_say_of_each_campaign_what_the_rules_said() {
    let book = full();
    let as_of = AsOf { size: book.size(), time: ALWAYS };
    let (first, end) = months();
    for by in [BalanceBy::Site, BalanceBy::Process, BalanceBy::Campaign] {
        let table = balance(book, as_of, &balance_query(first, end, by), &sample().tables);
        let last = if by == BalanceBy::Site { "corrected" } else { "carried_out" };
        let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
        for row in &table.rows {
            let at = |name: &str| number(&row[table.column(name).unwrap()]);
            let came = at("opening") + at("carried") + at("in") + at("additions");
            let went = at("out") + at("residue") + at("loss") - at(last);
            assert_eq!(came - went, at("closing"));
            let verdict = &row[table.column("reconciled").unwrap()].value;
            *verdicts.entry(format!("{verdict:?}")).or_default() += 1;
        }
        println!("{by:?}: {verdicts:?}");
    }
    // A13 as remarked at the close, of campaigns whose close still stands.
    let mut flagged = BTreeSet::new();
    for (event, fact) in &sample().facts {
        let Body::CloseCampaign(close) = &event.body else { continue };
        let stands = book.corrected_by(fact.index).is_none();
        for flag in fact.flags.iter().filter(|_| stands) {
            if let Flag::PeriodVariance(variance) = flag {
                flagged.insert(format!("{} {}", close.campaign, variance.substance));
            }
        }
    }
    let query = balance_query(first, end, BalanceBy::Campaign);
    let table = balance(book, as_of, &query, &sample().tables);
    let above = table.rows.iter().filter(|row| {
        row[table.column("reconciled").unwrap()].value == Value::Code("ABOVE".to_owned())
    });
    let name = |cell: &Cell| urbanmine::insight::reports::value_text(&cell.value, Language::En);
    let above: BTreeSet<String> =
        above.map(|row| format!("{} {}", name(&row[3]), name(&row[4]))).collect();
    assert_eq!(above, flagged);
}

#[test]
fn what_is_not_closed_is_not_known() {
    let book = full();
    let (first, end) = months();
    // Just after a campaign was charged, and before it was closed.
    let (_, run) = book.runs().find(|(_, run)| run.closed.is_some()).unwrap();
    let size = EntryCount(run.closed.unwrap().0.0);
    let as_of = AsOf { size, time: ALWAYS };
    let query = balance_query(first, end, BalanceBy::Campaign);
    let table = balance(book, as_of, &query, &sample().tables);
    let place = table.column("reconciled").unwrap();
    let unknown = Value::Code("NOT_KNOWN".to_owned());
    assert!(table.rows.iter().any(|row| row[place].value == unknown));
}

/// What each lot that came in is known by.
fn origin_lots() -> BTreeMap<LotId, OriginLot> {
    let mut found = BTreeMap::new();
    for (event, fact) in &sample().facts {
        let mut take = |lot: &NewLot, supplier, seller_kind, region: &str| {
            let origin = OriginLot {
                entry: fact.index,
                supplier,
                seller_kind,
                origin_kind: lot.origin_kind,
                material: lot.material.clone(),
                region: region.to_owned(),
            };
            found.insert(lot.id, origin);
        };
        match &event.body {
            Body::CollectLot(it) => {
                take(&it.lot, event.actor, Some(it.seller_kind), &it.origin_region);
            }
            Body::OpeningInventory(it) => {
                it.lots.iter().for_each(|lot| take(lot, it.party, None, ""));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn a_label_names_every_supplier_the_main_ones_first() {
    let (book, state) = (full(), &sample().state);
    let as_of = AsOf { size: book.size(), time: ALWAYS };
    let origin_lots = origin_lots();
    let products: Vec<_> = state
        .lots
        .values()
        .filter(|lot| lot.material.starts_with("RE_OXIDE") || lot.material == "CU_CATHODE")
        .collect();
    assert!(!products.is_empty());
    let mut is_below_seen = false;
    for lot in products {
        let substances = lot.contents.items.iter().map(|it| Measure::Substance(it.substance));
        for measure in std::iter::once(Measure::Mass).chain(substances) {
            let origins = origins(state, lot.id, measure, TraceLimits::default()).unwrap();
            let query =
                StatementQuery { lot: lot.id, measure, origins: &origins, is_at_birth: true };
            let look = |lot| origin_lots.get(&lot).cloned();
            let table = label_statement(book.registry(), as_of, &query, look, &sample().tables);
            check_figures(book, &table);
            let place = |name| table.column(name).unwrap();
            let grams: Vec<i128> = table
                .rows
                .iter()
                .filter_map(|row| match row[place("grams")].value {
                    Value::Grams(grams) => Some(grams),
                    _ => None,
                })
                .collect();
            let birth = &origins.at_birth;
            if birth.is_attributed {
                let total = i128::from(birth.total.unwrap().get());
                assert_eq!(grams.iter().sum::<i128>(), total, "{} {measure:?}", lot.id);
            }
            let is_supplier = |row: &&Vec<Cell>| matches!(row[1].value, Value::Party(_));
            let suppliers = table.rows.iter().filter(is_supplier);
            let named: i128 = suppliers.clone().map(|row| number(&row[place("origin_lots")])).sum();
            let lineage =
                origins.lineage.iter().filter(|lot| origin_lots.contains_key(lot)).count();
            assert_eq!(named, i128::try_from(lineage).unwrap(), "nobody is left out");
            let amounts: Vec<i128> = suppliers
                .map(|row| match row[place("grams")].value {
                    Value::Grams(grams) => grams,
                    _ => 0,
                })
                .collect();
            assert!(amounts.is_sorted_by(|one, next| one >= next));
            is_below_seen |= table.rows.iter().any(|row| {
                matches!(&row[place("remark")].value, Value::Words(it) if it.en == "below 1 g")
            });
        }
    }
    assert!(is_below_seen, "a share that rounds to nothing is named");
}

#[test]
fn a_passport_says_what_a_lot_is_and_its_shares_are_whole() {
    let (book, state) = (full(), &sample().state);
    let as_of = AsOf { size: book.size(), time: ALWAYS };
    let origin_lots = origin_lots();
    for lot in state.lots.values().filter(|lot| !lot.contents.items.is_empty()).step_by(5) {
        let first = Measure::Substance(lot.contents.items[0].substance);
        let answers: Vec<_> = [Measure::Mass, first]
            .into_iter()
            .map(|it| (it, origins(state, lot.id, it, TraceLimits::default())))
            .filter_map(|(it, answer)| Some((it, answer.ok()?)))
            .collect();
        let back = trace(state, lot.id, Direction::Back, TraceLimits::default()).ok();
        let documents: Vec<_> = sample()
            .facts
            .iter()
            .filter(|(_, fact)| fact.index == lot.born_at)
            .flat_map(|(event, fact)| event.documents.iter().map(|it| (fact.index, it.clone())))
            .collect();
        let query =
            PassportQuery { lot, origins: &answers, trace: back.as_ref(), documents: &documents };
        let look = |lot| origin_lots.get(&lot).cloned();
        let table = lot_passport(book.registry(), as_of, &query, look, &sample().tables);
        check_figures(book, &table);
        let of_section = |name: &str| {
            let name = Value::Code(name.to_owned());
            table.rows.iter().filter(move |row| row[0].value == name)
        };
        assert!(of_section("IDENTITY").count() == 13);
        assert_eq!(of_section("CONTENTS").count(), lot.contents.items.len());
        assert_eq!(of_section("DOCUMENT").count(), documents.len());
        let steps = back.as_ref().map_or(0, |it| it.steps.len());
        assert_eq!(of_section("STEP").count() > 0, steps > 0);
        for (measure, answer) in &answers {
            let (Some(total), true) = (answer.at_birth.total, answer.at_birth.is_attributed) else {
                continue;
            };
            let name = Value::Code(urbanmine::insight::reports::measure_name(*measure).to_owned());
            let lines = of_section("ORIGIN").filter(|row| row[1].value == name);
            let sum: i128 = lines.map(|row| number(&row[3])).sum();
            assert_eq!(sum, i128::from(total.get()), "{} {measure:?}", lot.id);
        }
    }
}

#[test]
fn corrections_name_target_reason_and_what_stands_in_its_place() {
    let book = full();
    let as_of = AsOf { size: book.size(), time: ALWAYS };
    let query = CorrectionsQuery { from: TimeMs::of(0), to: ALWAYS, party: None };
    let table = corrections(book, as_of, &query);
    let declared = sample().facts.iter().filter_map(|(event, fact)| match &event.body {
        Body::DeclareError(error) => Some((fact.index, error)),
        _ => None,
    });
    let declared: Vec<_> = declared.collect();
    assert!(!declared.is_empty());
    assert_eq!(table.rows.len(), declared.len());
    let place = |name| table.column(name).unwrap();
    for (row, (index, error)) in table.rows.iter().zip(&declared) {
        assert_eq!(row[place("entry")].value, Value::Entry(*index));
        assert_eq!(row[place("reason")].value, Value::Text(error.note.clone()));
        let count = i128::try_from(error.correctives.len()).unwrap();
        assert_eq!(number(&row[place("correctives")]), count, "all of them came");
        assert!(matches!(row[place("target")].value, Value::Entry(target) if target < *index));
    }
    assert!(table.rows.iter().any(|row| number(&row[place("grams_moved")]) > 0));
}

#[test]
fn every_report_leaves_the_house_whole() {
    let book = full();
    let as_of = AsOf { size: book.size(), time: ALWAYS };
    for table in reports(book, as_of) {
        for language in [Language::Zh, Language::En] {
            let bytes = csv(&table, language);
            let text = std::str::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap()).unwrap();
            let lines = text.split_terminator("\r\n").count();
            assert_eq!(lines, table.rows.len() + 1, "{}", table.kind.name());
            let names = table.columns.iter().filter(|head| {
                matches!(head.unit, ColumnUnit::Party | ColumnUnit::Parties | ColumnUnit::Site)
            });
            let fields = table.columns.len() + names.count();
            assert_eq!(text.lines().next().unwrap().split(',').count(), fields);
            let shown = report_render::human(&table, language);
            assert!(shown.starts_with(table.title.in_language(language)));
        }
        let json = report_render::json(&table);
        assert_eq!(json["report"], table.kind.name());
        assert_eq!(json["rows"].as_array().unwrap().len(), table.rows.len());
        for (row, (values, figures)) in table
            .rows
            .iter()
            .zip(json["rows"].as_array().unwrap().iter().zip(json["figures"].as_array().unwrap()))
        {
            for (cell, head) in row.iter().zip(&table.columns) {
                if let Value::Grams(grams) = cell.value {
                    assert_eq!(values[head.name.as_ref()].as_i64().map(i128::from), Some(grams));
                }
                let figure = cell.figure.as_ref().map(Figure::to_text);
                assert_eq!(figures[head.name.as_ref()].as_str(), figure.as_deref());
            }
        }
    }
}
