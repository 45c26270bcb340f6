//! The rules of trade and paper (A5, A7, A9 to A12, A14, A15, A17): silent over honest work, exact
//! over the paper trails, and exact at every limit.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/domain_kit.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod domain_kit;
#[path = "common/sample.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod sample;

use std::collections::{BTreeMap, BTreeSet};

use domain_kit::{
    AUDITOR, COLLECTOR, COORD, DISMANTLER, EVER, RECOVERY, SEPARATOR, SMELTER, TRADER, World,
    accept, assay, collecting, error, giving_back, lot, made, new_lot, offering, party_record,
    public_key, site, site_record,
};
use sample::{PAPER_TRAILS, SCRIPTS, Sample};
use urbanmine::domain::event::{
    AssayLot, Attest, CloseTransfer, CollectLot, GradeRef, Manifest, MergeLots, OfferTransfer,
    RegisterKey, SplitLot,
};
use urbanmine::domain::fact::{Fact, LotChange, Stand};
use urbanmine::domain::party::{Affiliation, Licence};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{
    AffiliationKind, AttestResult, LicenceKind, OriginKind, OriginKinds, PartyRole, Substance,
    TransferReason, TransferScope,
};
use urbanmine::domain::{
    AffiliationId, Body, EntryIndex, Event, EventId, Grams, LicenceId, LotId, PartyId, SiteId,
    Tables, TimeMs, tables,
};
use urbanmine::insight::{Anomaly, Book, Rule, Seen, Severity};
use urbanmine::ledger::hash::sha256;

const RULES: &[Rule] = &[
    Rule::A5,
    Rule::A7,
    Rule::A9,
    Rule::A10,
    Rule::A11,
    Rule::A12,
    Rule::A14,
    Rule::A15,
    Rule::A17,
];
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// 2026-06-01, a Monday, 08:00 in Beijing.
const MONDAY: u64 = 1_780_272_000_000;

// --- the sample ----------------------------------------------------------------------------------

/// The book over some scripts, by a clock.
fn book_of(scripts: &[&str], clock: &mut dyn FnMut(&Event) -> TimeMs) -> Book {
    let tables_hash = sha256(tables::builtin().as_bytes());
    let set = Tables::parse(tables::builtin()).unwrap();
    let mut book = Book::default();
    Sample::run_clocked(scripts, clock, &mut |_, event, fact| {
        book.absorb(&Seen { event, fact, tables: &set, tables_hash });
    });
    book
}

fn ours(book: &Book) -> impl Iterator<Item = &Anomaly> {
    book.anomalies().iter().filter(|it| RULES.contains(&it.rule))
}

fn line(it: &Anomaly) -> String {
    let mut entries: Vec<String> = it.entries.iter().map(ToString::to_string).collect();
    if entries.len() > 8 {
        let (first, last) = (entries[0].clone(), entries[entries.len() - 1].clone());
        entries = vec![format!("{first}..={last} ({})", entries.len())];
    }
    format!("{} {} {} {}", it.id, it.severity.name(), it.variant, entries.join(" "))
}

#[test]
fn honest_history_is_late_and_nothing_worse() {
    // 2026-11-01: all of it is brought in at once.
    let now = TimeMs::of(1_793_462_400_000);
    let book = book_of(SCRIPTS, &mut |_| now);
    let mut variants: BTreeMap<(Rule, &str), usize> = BTreeMap::new();
    for flag in ours(&book) {
        assert_eq!(flag.severity, Severity::Low, "{flag:?}");
        *variants.entry((flag.rule, flag.variant)).or_default() += 1;
    }
    // One for each party and month of it.
    let expected = BTreeMap::from([((Rule::A12, "late"), HONEST_MONTHS)]);
    assert_eq!(variants, expected);
}

const HONEST_MONTHS: usize = 71;

#[test]
fn honest_work_that_is_recorded_on_time_says_nothing_but_what_is_worth_knowing() {
    // Scripts that stand on the first one alone; each goes forward in time.
    for script in [1, 2, 3, 4, 7] {
        let book = book_of(&[SCRIPTS[0], SCRIPTS[script]], &mut prompt());
        let flags: Vec<String> = ours(&book).map(line).collect();
        let worse = ours(&book).filter(|it| it.severity > Severity::Low).count();
        assert_eq!(worse, 0, "script {script}: {flags:?}");
    }
}

/// The ledger's clock: ten minutes after what happened, and never back.
fn prompt() -> impl FnMut(&Event) -> TimeMs {
    let mut now = 0;
    move |event| {
        now = now.max(event.occurred_at.get() + 10 * MINUTE_MS);
        TimeMs::of(now)
    }
}

#[test]
fn each_paper_trail_raises_its_flag_and_no_other() {
    let book = book_of(&[SCRIPTS[0], PAPER_TRAILS], &mut prompt());
    let found: Vec<String> = ours(&book).map(line).collect();
    assert_eq!(found, PAPER_TRAIL_FLAGS, "\n{}", found.join("\n"));
    for rule in RULES {
        assert!(ours(&book).any(|it| it.rule == *rule), "{rule} has no trail");
    }
    let again = book_of(&[SCRIPTS[0], PAPER_TRAILS], &mut prompt());
    assert_eq!(again, book, "a replay says the same");
}

const PAPER_TRAIL_FLAGS: &[&str] = &[
    "A5-175-0 MEDIUM arrival 174 175",
    "A7-183-0 HIGH lot 179 181 183",
    "A7-192-0 MEDIUM material 186 189 192",
    "A9-198-0 MEDIUM manifest 196 198",
    "A10-201-0 MEDIUM journey 200 201",
    "A10-207-0 MEDIUM vehicle 205 206 207",
    "A9-209-0 MEDIUM transit 194",
    "A11-212-0 MEDIUM CU 209 211 212",
    "A11-215-0 MEDIUM grade 215",
    "A14-223-0 MEDIUM before_report 217 219 221 223",
    "A15-225-0 HIGH ticket 224 225",
    "A15-230-0 HIGH manifest 227 230",
    "A15-237-0 MEDIUM vehicle 235 236 237",
    "A15-267-0 MEDIUM round_tonnes 238..=267 (30)",
    "A15-267-1 MEDIUM round_100_kg 238..=267 (30)",
    "A17-271-0 MEDIUM sold_by_uncovered 270 271",
    "A17-273-0 HIGH sold_to_uncovered 272 273",
    "A9-275-0 LOW stock 172",
    "A12-276-0 MEDIUM reported 274 276",
    "A12-277-0 HIGH role_ended 277",
    "A12-278-0 LOW late 278",
];

#[test]
fn paper_trails_are_lawful_after_all_of_the_sample_too() {
    let now = TimeMs::of(1_793_462_400_000);
    let scripts: Vec<&str> = SCRIPTS.iter().copied().chain([PAPER_TRAILS]).collect();
    let book = book_of(&scripts, &mut |_| now);
    // Brought in at once, it is history: what needs the ledger's own clock is not told.
    let rules: BTreeSet<Rule> = ours(&book).map(|it| it.rule).collect();
    assert!(RULES.iter().all(|rule| *rule == Rule::A14 || rules.contains(rule)), "{rules:?}");
}

#[test]
fn without_limits_nobody_is_held_against_any() {
    let tables_hash = sha256(tables::builtin().as_bytes());
    let mut set = Tables::parse(tables::builtin()).unwrap();
    set.parameters.clear();
    let mut book = Book::default();
    let scripts = [SCRIPTS[0], PAPER_TRAILS];
    Sample::run_clocked(&scripts, &mut prompt(), &mut |_, event, fact| {
        book.absorb(&Seen { event, fact, tables: &set, tables_hash });
    });
    assert_eq!(ours(&book).count(), 0);
}

// --- hand-made entries ---------------------------------------------------------------------------

/// A book to which entries are told by hand, under the limits of one test alone.
struct Desk {
    world: World,
    book: Book,
    tables: Tables,
    next: u64,
}

/// When an entry says that it happened, and when it was recorded.
#[derive(Clone, Copy)]
struct When(u64, u64);

impl Desk {
    fn with(limits: &[(&str, u64)]) -> Self {
        let mut tables = Tables::parse(tables::builtin()).unwrap();
        tables.parameters = limits.iter().map(|(name, it)| ((*name).to_owned(), *it)).collect();
        let mut desk = Self { world: World::new(), book: Book::default(), tables, next: 0 };
        let parties = [
            (COLLECTOR, PartyRole::Collector, "360702"),
            (SMELTER, PartyRole::Smelter, "360704"),
            (TRADER, PartyRole::Trader, "360681"),
            (DISMANTLER, PartyRole::Dismantler, "440111"),
            (RECOVERY, PartyRole::RareEarthRecoveryPlant, "360783"),
            (SEPARATOR, PartyRole::RareEarthRecoveryPlant, "360704"),
            (AUDITOR, PartyRole::Auditor, "360702"),
        ];
        for (id, role, region) in parties {
            desk.tell(COORD, MONDAY, Body::RegisterParty(party_record(id, role)));
            desk.tell(COORD, MONDAY, Body::RegisterSite(site_record(site(id), id, region)));
        }
        desk
    }

    fn entry(
        &mut self,
        actor: PartyId,
        When(at, recorded_at): When,
        body: Body,
        lots: Vec<LotChange>,
        undoes: Option<u64>,
    ) -> (u64, EventId) {
        let mut event = self.world.event(actor, body);
        event.occurred_at = TimeMs::of(at);
        let index = EntryIndex(self.next);
        let recorded_at = TimeMs::of(recorded_at);
        let undoes = undoes.map(EntryIndex);
        let fact = Fact { index, recorded_at, lots, stock: None, flags: Vec::new(), undoes };
        let tables_hash = sha256(b"tables");
        let seen = Seen { event: &event, fact: &fact, tables: &self.tables, tables_hash };
        self.book.absorb(&seen);
        self.next += 1;
        (index.0, event.id)
    }

    /// Recorded when it happened, and it changed no lot.
    fn tell(&mut self, actor: PartyId, at: u64, body: Body) -> (u64, EventId) {
        self.entry(actor, When(at, at), body, Vec::new(), None)
    }

    fn undo(&mut self, actor: PartyId, at: u64, target: (u64, EventId)) {
        self.entry(actor, When(at, at), error(target.1, &[]), Vec::new(), Some(target.0));
    }

    /// An offer of all of a lot.
    fn offer(&mut self, it: &Sale<'_>, at: u64) -> (u64, EventId) {
        let mut offer = offering(it.lot, it.mass, it.to, it.scope);
        it.vehicle.clone_into(&mut offer.vehicle);
        self.tell(it.from, at, Body::OfferTransfer(offer))
    }

    /// A sale: the entry of its acceptance.
    fn sell(&mut self, it: &Sale<'_>, at: u64, until: u64) -> (u64, EventId) {
        let (_, offer) = self.offer(it, at);
        self.take(it, offer, until, it.mass)
    }

    fn take(&mut self, it: &Sale<'_>, offer: EventId, at: u64, net: u64) -> (u64, EventId) {
        let stand = |party| stand(party, it.mass);
        let changes = vec![changed(it.lot, it.material, Some(stand(it.from)), stand(it.to))];
        self.entry(it.to, When(at, at), accept(offer, net, None), changes, None)
    }

    fn flags(&self) -> Vec<String> {
        let text = |it: &Anomaly| format!("{} {} {}", it.rule, it.severity.name(), it.variant);
        ours(&self.book).map(text).collect()
    }

    fn entries(&self, place: usize) -> Vec<u64> {
        let flag = ours(&self.book).nth(place).unwrap();
        flag.entries.iter().map(|it| it.0).collect()
    }
}

/// All of a lot, from one party to another.
#[derive(Clone, Copy)]
struct Sale<'a> {
    lot: LotId,
    from: PartyId,
    to: PartyId,
    mass: u64,
    material: &'a str,
    scope: TransferScope,
    vehicle: &'a str,
}

fn sale<'a>(number: u64, from: PartyId, to: PartyId) -> Sale<'a> {
    let (material, scope) = ("CU_SCRAP_NO2", TransferScope::CustodyAndOwnership);
    Sale { lot: lot(number), from, to, mass: 1_000_000, material, scope, vehicle: "" }
}

fn stand(party: PartyId, mass: u64) -> Stand {
    Stand {
        owner: party,
        possessor: party,
        keeper: party,
        site: site(party),
        mass: Grams::of(mass),
        reserved: Grams::ZERO,
        contents: Vec::new(),
        is_held: false,
    }
}

fn changed(lot: LotId, material: &str, before: Option<Stand>, after: Stand) -> LotChange {
    LotChange {
        lot,
        material: material.to_owned(),
        grades: Vec::new(),
        origin_kinds: OriginKinds::of(OriginKind::PostConsumer),
        before,
        after,
    }
}

fn collected(number: u64, net: u64, ticket: &str) -> CollectLot {
    let mut it = collecting(new_lot(lot(number), "CU_SCRAP_NO2", net));
    ticket.clone_into(&mut it.weighing.ticket);
    it
}

fn collect(it: CollectLot) -> Body {
    Body::CollectLot(Box::new(it))
}

// --- A5 ------------------------------------------------------------------------------------------

#[test]
fn a5_more_arrives_than_scales_may_err() {
    let rows = [
        (1_003_000, &[][..]),
        (1_003_001, &["A5 MEDIUM arrival"][..]),
        (1_006_000, &["A5 MEDIUM arrival"][..]),
        (1_006_001, &["A5 HIGH arrival"][..]),
        (900_000, &[][..]),
    ];
    for (net, expected) in rows {
        let mut desk = Desk::with(&[("SCALE_TOLERANCE_E8", 300_000)]);
        let it = sale(1, COLLECTOR, SMELTER);
        let (offered, offer) = desk.offer(&it, MONDAY);
        let (taken, _) = desk.take(&it, offer, MONDAY + 1, net);
        assert_eq!(desk.flags(), expected, "{net}");
        if !expected.is_empty() {
            assert_eq!(desk.entries(0), [offered, taken]);
        }
    }
}

// --- A7 ------------------------------------------------------------------------------------------

const CIRCLE: &[(&str, u64)] =
    &[("CIRCULAR_DAYS", 90), ("CIRCULAR_OTHERS", 2), ("CIRCULAR_MASS_E8", 5_000_000)];

#[test]
fn a7_a_lot_comes_home_through_two_others() {
    // How long after the first sale was accepted the lot is home again.
    for (took, expected) in [(90 * DAY_MS, &["A7 HIGH lot"][..]), (90 * DAY_MS + 1, &[][..])] {
        let mut desk = Desk::with(CIRCLE);
        let (first, _) = desk.sell(&sale(1, COLLECTOR, SMELTER), MONDAY, MONDAY);
        let (second, _) = desk.sell(&sale(1, SMELTER, TRADER), MONDAY + 1, MONDAY + 2);
        let (last, _) = desk.sell(&sale(1, TRADER, COLLECTOR), MONDAY + 3, MONDAY + took);
        assert_eq!(desk.flags(), expected, "{took}");
        if !expected.is_empty() {
            assert_eq!(desk.entries(0), [first, second, last]);
        }
    }
}

#[test]
fn a7_one_other_a_return_custody_or_a_sale_that_never_was_are_no_circle() {
    let mut desk = Desk::with(CIRCLE);
    desk.sell(&sale(1, COLLECTOR, SMELTER), MONDAY, MONDAY);
    desk.sell(&sale(1, SMELTER, COLLECTOR), MONDAY + 1, MONDAY + 2);
    // Lent twice and brought home.
    for (from, to) in [(COLLECTOR, SMELTER), (SMELTER, TRADER), (TRADER, COLLECTOR)] {
        let it = Sale { scope: TransferScope::Custody, ..sale(2, from, to) };
        desk.sell(&it, MONDAY + 3, MONDAY + 4);
    }
    // Sold on, and given back by both.
    let first = sale(3, COLLECTOR, SMELTER);
    let (_, one) = desk.offer(&first, MONDAY + 5);
    desk.take(&first, one, MONDAY + 6, first.mass);
    let second = sale(3, SMELTER, TRADER);
    let (_, two) = desk.offer(&second, MONDAY + 7);
    desk.take(&second, two, MONDAY + 8, second.mass);
    for (back, offer) in [(sale(3, TRADER, SMELTER), two), (sale(3, SMELTER, COLLECTOR), one)] {
        let (_, returned) =
            desk.tell(back.from, MONDAY + 9, giving_back(offer, back.lot, back.mass));
        desk.take(&back, returned, MONDAY + 10, back.mass);
    }
    // A sale of the circle is declared an error.
    desk.sell(&Sale { mass: 5_000, ..sale(4, COLLECTOR, SMELTER) }, MONDAY + 11, MONDAY + 12);
    let it = Sale { mass: 5_000, ..sale(4, SMELTER, TRADER) };
    let wrong = desk.sell(&it, MONDAY + 13, MONDAY + 14);
    desk.undo(TRADER, MONDAY + 15, wrong);
    desk.sell(&Sale { mass: 5_000, ..sale(4, TRADER, COLLECTOR) }, MONDAY + 16, MONDAY + 17);
    assert_eq!(desk.flags(), Vec::<String>::new());
}

#[test]
fn a7_the_walk_goes_through_splits_merges_and_past_returns() {
    let mut desk = Desk::with(CIRCLE);
    desk.sell(&sale(1, COLLECTOR, SMELTER), MONDAY, MONDAY);
    let split = SplitLot {
        parent: lot(1),
        children: vec![domain_kit::draw(lot(2), 600_000), domain_kit::draw(lot(3), 400_000)],
        handling_loss: Grams::ZERO,
    };
    desk.tell(SMELTER, MONDAY + 1, Body::SplitLot(split));
    // The buyer gives it back; it goes home by somebody else.
    let astray = Sale { mass: 600_000, ..sale(2, SMELTER, DISMANTLER) };
    let (_, offer) = desk.offer(&astray, MONDAY + 2);
    desk.take(&astray, offer, MONDAY + 3, astray.mass);
    let back = Sale { mass: 600_000, ..sale(2, DISMANTLER, SMELTER) };
    let (_, returned) = desk.tell(DISMANTLER, MONDAY + 4, giving_back(offer, lot(2), 600_000));
    desk.take(&back, returned, MONDAY + 5, back.mass);
    desk.sell(&Sale { mass: 600_000, ..sale(2, SMELTER, TRADER) }, MONDAY + 6, MONDAY + 7);
    let merge = MergeLots {
        parents: vec![domain_kit::draw(lot(9), 100_000), domain_kit::draw(lot(2), 600_000)],
        output: made(lot(4), "CU_SCRAP_NO2", 700_000),
    };
    desk.tell(TRADER, MONDAY + 8, Body::MergeLots(Box::new(merge)));
    assert_eq!(desk.flags(), Vec::<String>::new());
    desk.sell(&Sale { mass: 700_000, ..sale(4, TRADER, COLLECTOR) }, MONDAY + 9, MONDAY + 10);
    assert_eq!(desk.flags(), ["A7 HIGH lot"]);
    let numbers = &ours(&desk.book).next().unwrap().numbers;
    let others = numbers.iter().find(|it| it.name == "others").unwrap();
    assert_eq!(others.value, 2, "who gave it back is not among them");
}

#[test]
fn a7_as_much_of_a_material_comes_home() {
    for (mass, expected) in [(1_050_000, &["A7 MEDIUM material"][..]), (1_050_001, &[][..])] {
        let mut desk = Desk::with(CIRCLE);
        desk.sell(&Sale { mass, ..sale(1, COLLECTOR, SMELTER) }, MONDAY, MONDAY);
        desk.sell(&sale(2, SMELTER, TRADER), MONDAY + 1, MONDAY + 2);
        desk.sell(&sale(3, TRADER, COLLECTOR), MONDAY + 3, MONDAY + 4);
        assert_eq!(desk.flags(), expected, "{mass}");
    }
}

#[test]
fn a7_a_walk_that_is_cut_says_so() {
    // 1 + 512 steps, and as many more for each of the lots that every parent was merged of.
    for (each, expected) in [(2, &[][..]), (3, &["A7 LOW too_many_ways"][..])] {
        let mut desk = Desk::with(CIRCLE);
        let merged = |output: u64, parents: std::ops::Range<u64>| {
            let parents = parents.map(|number| domain_kit::draw(lot(number), 1)).collect();
            let output = made(lot(output), "CU_SCRAP_NO2", 1_000);
            Body::MergeLots(Box::new(MergeLots { parents, output }))
        };
        for parent in 0..512 {
            let first = 10_000 + parent * each;
            desk.tell(SMELTER, MONDAY, merged(1_000 + parent, first..first + each));
        }
        desk.tell(SMELTER, MONDAY, merged(1, 1_000..1_512));
        desk.sell(&sale(1, SMELTER, TRADER), MONDAY + 1, MONDAY + 2);
        assert_eq!(desk.flags(), expected, "{each}");
    }
}

// --- A9 ------------------------------------------------------------------------------------------

/// Any entry that has nothing to do with anything.
fn tick(desk: &mut Desk, at: u64) {
    desk.tell(
        COORD,
        at,
        Body::RegisterSite(site_record(SiteId::from_bytes([77; 16]), COORD, "360702")),
    );
}

#[test]
fn a9_an_open_transfer_is_told_once_with_the_first_entry_after_its_time() {
    let limits = [("TRANSIT_OPEN_DAYS", 15)];
    let mut desk = Desk::with(&limits);
    let (offered, offer) = desk.offer(&sale(1, COLLECTOR, SMELTER), MONDAY);
    let due = MONDAY + 15 * DAY_MS;
    tick(&mut desk, due - 1);
    assert_eq!(desk.flags(), Vec::<String>::new());
    tick(&mut desk, due);
    assert_eq!(desk.flags(), ["A9 MEDIUM transit"]);
    assert_eq!(desk.entries(0), [offered], "the entry that came by is no evidence");
    assert_eq!(ours(&desk.book).next().unwrap().occurred_at, TimeMs::of(due));
    desk.take(&sale(1, COLLECTOR, SMELTER), offer, due + 1, 1_000_000);
    tick(&mut desk, due + DAY_MS);
    assert_eq!(desk.flags().len(), 1, "each once");

    // Answered in time, and the answer is declared an error later: it is open again.
    let mut desk = Desk::with(&limits);
    let (_, offer) = desk.offer(&sale(1, COLLECTOR, SMELTER), MONDAY);
    let taken = desk.take(&sale(1, COLLECTOR, SMELTER), offer, MONDAY + 1, 1_000_000);
    tick(&mut desk, due + 1);
    assert_eq!(desk.flags(), Vec::<String>::new());
    desk.undo(SMELTER, due + 2, taken);
    tick(&mut desk, due + 3);
    assert_eq!(desk.flags(), ["A9 MEDIUM transit"]);
}

#[test]
fn a9_what_one_entry_does_not_tell_the_next_one_does() {
    let mut desk = Desk::with(&[("TRANSIT_OPEN_DAYS", 15)]);
    for number in 0..70 {
        desk.offer(&sale(number, COLLECTOR, SMELTER), MONDAY);
    }
    for told in [64, 70, 70] {
        tick(&mut desk, MONDAY + 15 * DAY_MS);
        assert_eq!(desk.flags().len(), told);
    }
}

#[test]
fn a9_an_answer_that_says_itself_that_it_is_late_is_told_with_it() {
    for (late, expected) in [(0, &["A9 MEDIUM transit"][..]), (1, &[][..])] {
        let mut desk = Desk::with(&[("TRANSIT_OPEN_DAYS", 15)]);
        let it = sale(1, COLLECTOR, SMELTER);
        let (offered, offer) = desk.offer(&it, MONDAY);
        // History that is brought in at once: nothing lay open on the ledger's clock.
        let at = MONDAY + 15 * DAY_MS - late;
        let body = accept(offer, it.mass, None);
        let (taken, _) = desk.entry(it.to, When(at, MONDAY + 1), body, Vec::new(), None);
        assert_eq!(desk.flags(), expected);
        if !expected.is_empty() {
            assert_eq!(desk.entries(0), [offered, taken]);
        }
    }
}

#[test]
fn a9_a_manifest_is_confirmed_within_five_working_days() {
    let manifest = |number: &str| Manifest {
        number: number.to_owned(),
        carrier: None,
        vehicle: String::new(),
    };
    // Sent on Monday: Tuesday to the Monday after are five working days, until its midnight.
    let due = MONDAY - 8 * 60 * MINUTE_MS + 8 * DAY_MS;
    for (at, expected) in [(due - 1, &[][..]), (due, &["A9 MEDIUM manifest"][..])] {
        let mut desk = Desk::with(&[("MANIFEST_CONFIRM_DAYS", 5)]);
        let mut offer = offering(lot(1), 1_000_000, SMELTER, TransferScope::CustodyAndOwnership);
        offer.manifest = Some(manifest("20263609000001"));
        let (offered, _) = desk.tell(COLLECTOR, MONDAY, Body::OfferTransfer(offer));
        tick(&mut desk, at);
        assert_eq!(desk.flags(), expected);
        if !expected.is_empty() {
            assert_eq!(desk.entries(0), [offered]);
            assert_eq!(ours(&desk.book).next().unwrap().party, Some(SMELTER));
        }
    }
}

#[test]
fn a9_stock_that_nobody_touches() {
    let limits =
        [("STOCK_AGE_DAYS", 180), ("STOCK_AGE_DAYS_LEAD", 30), ("STOCK_AGE_WASTE_DAYS", 365)];
    let rows = [
        ("CU_SCRAP_NO2", 180, "A9 LOW stock"),
        ("PB_SCRAP", 30, "A9 LOW stock"),
        ("PB_BATTERY", 365, "A9 MEDIUM waste"),
    ];
    for (material, days, expected) in rows {
        let mut desk = Desk::with(&limits);
        let born = changed(lot(1), material, None, stand(COLLECTOR, 1_000_000));
        let body = || collect(collected(1, 1_000_000, "1"));
        let first = When(MONDAY, MONDAY);
        desk.entry(COLLECTOR, first, body(), vec![born.clone()], None);
        // Touched the next day: its time begins anew.
        let next = When(MONDAY + DAY_MS, MONDAY + DAY_MS);
        let (by, _) = desk.entry(COLLECTOR, next, body(), vec![born], None);
        tick(&mut desk, MONDAY + (days + 1) * DAY_MS - 1);
        assert_eq!(desk.flags(), Vec::<String>::new(), "{material}");
        tick(&mut desk, MONDAY + (days + 1) * DAY_MS);
        tick(&mut desk, MONDAY + (days + 9) * DAY_MS);
        assert_eq!(desk.flags(), [expected], "{material}");
        assert_eq!(desk.entries(0), [by]);
    }
}

#[test]
fn a9_stock_that_was_told_of_is_told_again_when_it_was_touched_since() {
    let mut desk = Desk::with(&[("STOCK_AGE_DAYS", 180)]);
    let mut touched = Vec::new();
    for begin in [MONDAY, MONDAY + 400 * DAY_MS] {
        let it = changed(lot(1), "CU_SCRAP_NO2", None, stand(COLLECTOR, 1_000_000));
        let body = collect(collected(1, 1_000_000, "1"));
        let (by, _) = desk.entry(COLLECTOR, When(begin, begin), body, vec![it], None);
        touched.push(by);
        tick(&mut desk, begin + 180 * DAY_MS - 1);
        assert_eq!(desk.flags().len(), touched.len() - 1);
        tick(&mut desk, begin + 180 * DAY_MS);
        tick(&mut desk, begin + 390 * DAY_MS);
        assert_eq!(desk.flags().len(), touched.len());
        assert_eq!(desk.entries(touched.len() - 1), [by]);
    }
}

#[test]
fn a9_tables_move_the_deadline_of_stock() {
    // What the tables say when the first deadline passes, and when it is told then.
    for (days, expected) in [(Some(200), &["A9 LOW stock"][..]), (None, &[])] {
        let mut desk = Desk::with(&[("STOCK_AGE_DAYS", 180)]);
        let it = changed(lot(1), "CU_SCRAP_NO2", None, stand(COLLECTOR, 1_000_000));
        let body = collect(collected(1, 1_000_000, "1"));
        desk.entry(COLLECTOR, When(MONDAY, MONDAY), body, vec![it], None);
        desk.tables.parameters =
            days.map(|it| ("STOCK_AGE_DAYS".to_owned(), it)).into_iter().collect();
        tick(&mut desk, MONDAY + 180 * DAY_MS);
        tick(&mut desk, MONDAY + 200 * DAY_MS - 1);
        assert_eq!(desk.flags(), Vec::<String>::new(), "{days:?}");
        // Without a limit it is asked of no more, until somebody touches it.
        desk.tables.parameters.insert("STOCK_AGE_DAYS".to_owned(), 200);
        tick(&mut desk, MONDAY + 200 * DAY_MS);
        tick(&mut desk, MONDAY + 300 * DAY_MS);
        assert_eq!(desk.flags(), expected, "{days:?}");
    }
}

// --- A10 -----------------------------------------------------------------------------------------

const ROADS: &[(&str, u64)] = &[
    ("TRAVEL_PREFECTURE_MS", 15 * MINUTE_MS),
    ("TRAVEL_PROVINCE_MS", 45 * MINUTE_MS),
    ("TRAVEL_BEYOND_MS", 90 * MINUTE_MS),
];

#[test]
fn a10_a_journey_takes_its_time() {
    for (to, minutes) in [(SMELTER, 15), (TRADER, 45), (DISMANTLER, 90)] {
        let least = minutes * MINUTE_MS;
        let rows = [
            (least, &[][..]),
            (least - 1, &["A10 MEDIUM journey"][..]),
            (least / 2, &["A10 MEDIUM journey"][..]),
            (least / 2 - 1, &["A10 HIGH journey"][..]),
        ];
        for (took, expected) in rows {
            let mut desk = Desk::with(ROADS);
            desk.sell(&sale(1, COLLECTOR, to), MONDAY, MONDAY + took);
            assert_eq!(desk.flags(), expected, "{minutes} min, {took} ms");
        }
    }
}

#[test]
fn a10_a_vehicle_is_at_one_place_at_a_time() {
    let (begin, end) = (MONDAY, MONDAY + 6 * 60 * MINUTE_MS);
    // To where the next load is, in the next prefecture, and on beyond the province; or straight
    // there, when that load was on board before.
    let rows = [
        (end, 135 * MINUTE_MS, &[][..]),
        (end, 135 * MINUTE_MS - 1, &["A10 MEDIUM vehicle"][..]),
        (end - 1, 90 * MINUTE_MS, &[][..]),
        (end - 1, 90 * MINUTE_MS - 1, &["A10 MEDIUM vehicle"][..]),
        (begin, 45 * MINUTE_MS - 1, &["A10 HIGH vehicle"][..]),
    ];
    for (offered, pause, expected) in rows {
        let there = Sale { vehicle: "B1", ..sale(1, COLLECTOR, TRADER) };
        let on = Sale { vehicle: "B1", ..sale(2, SMELTER, DISMANTLER) };
        let mut desk = Desk::with(ROADS);
        let (first, _) = desk.sell(&there, begin, end);
        let (last, _) = desk.sell(&on, offered, end + pause);
        assert_eq!(desk.flags(), expected, "{offered} {pause}");
        if !expected.is_empty() {
            assert_eq!(desk.entries(0), [first, last - 1, last]);
        }
        // The other way round in the ledger it is the same.
        let mut desk = Desk::with(ROADS);
        desk.sell(&on, offered, end + pause);
        desk.sell(&there, begin, end);
        assert_eq!(desk.flags(), expected, "{offered} {pause}");
        // The first arrival is declared an error.
        let mut desk = Desk::with(ROADS);
        let wrong = desk.sell(&there, begin, end);
        desk.undo(TRADER, end + 1, wrong);
        desk.sell(&on, offered, end + pause);
        assert_eq!(desk.flags(), Vec::<String>::new());
    }
}

// --- A11 -----------------------------------------------------------------------------------------

fn analysed(number: u64, copper: u32) -> Body {
    let composition = assay(&[(Substance::Cu, copper)]);
    Body::AssayLot(AssayLot { lot: lot(number), composition })
}

#[test]
fn a11_an_analysis_drifts_after_a_transfer() {
    let limits = [("ASSAY_DRIFT_E8", 3_000_000), ("ASSAY_DRIFT_FLOOR_E8", 100_000)];
    let rows = [
        (50_000_000, 51_500_000, &[][..]),
        (50_000_000, 48_499_999, &["A11 MEDIUM CU"][..]),
        (50_000_000, 51_500_001, &["A11 MEDIUM CU"][..]),
        (50_000_000, 53_000_001, &["A11 HIGH CU"][..]),
        (10_000, 99_999, &[][..]),
        (10_000, 100_000, &["A11 HIGH CU"][..]),
    ];
    for (before, after, expected) in rows {
        let mut desk = Desk::with(&limits);
        let (first, _) = desk.tell(COLLECTOR, MONDAY, analysed(1, before));
        // Nobody had it in between: an analysis that replaces another is no drift.
        let (moved, _) = desk.sell(&sale(1, COLLECTOR, SMELTER), MONDAY + 1, MONDAY + 2);
        let (last, _) = desk.tell(SMELTER, MONDAY + 3, analysed(1, after));
        assert_eq!(desk.flags(), expected, "{before} {after}");
        if !expected.is_empty() {
            assert_eq!(desk.entries(0), [first, moved, last]);
        }
    }
}

#[test]
fn a11_water_another_hand_or_an_error_is_no_drift() {
    let limits = [("ASSAY_DRIFT_E8", 3_000_000), ("ASSAY_DRIFT_FLOOR_E8", 100_000)];
    let mut desk = Desk::with(&limits);
    let it = sale(1, COLLECTOR, SMELTER);
    desk.tell(COLLECTOR, MONDAY, analysed(1, 50_000_000));
    desk.tell(COLLECTOR, MONDAY, analysed(1, 60_000_000));
    desk.sell(&it, MONDAY + 1, MONDAY + 2);
    // A fifth of it is water now; what is dry holds as much as before.
    let mut wet = assay(&[(Substance::Cu, 48_000_000)]);
    wet.moisture = urbanmine::domain::FractionE8::new(20_000_000).unwrap();
    desk.tell(SMELTER, MONDAY + 3, Body::AssayLot(AssayLot { lot: lot(1), composition: wet }));
    // An analysis from before the journey that comes late.
    desk.tell(COLLECTOR, MONDAY + 1, analysed(1, 40_000_000));
    assert_eq!(desk.flags(), Vec::<String>::new());
    // The one before is an error; the one before that drifts.
    let mut desk = Desk::with(&limits);
    desk.tell(COLLECTOR, MONDAY, analysed(1, 50_000_000));
    let wrong = desk.tell(COLLECTOR, MONDAY, analysed(1, 60_000_000));
    desk.undo(COLLECTOR, MONDAY, wrong);
    desk.sell(&it, MONDAY + 1, MONDAY + 2);
    desk.tell(SMELTER, MONDAY + 3, analysed(1, 60_000_000));
    assert_eq!(desk.flags(), ["A11 HIGH CU"]);
}

#[test]
fn a11_a_mix_is_named_better_than_its_best_part() {
    let limits = [
        ("GRADE_E8_CU_SCRAP_BRIGHT", 99_900_000),
        ("GRADE_E8_CU_SCRAP_NO1", 99_000_000),
        ("GRADE_E8_ReMA_Barley", 99_900_000),
        ("GRADE_E8_ReMA_Berry", 99_000_000),
        ("UPGRADE_MARGIN_E8", 0),
    ];
    let rows = [
        ("CU_SCRAP_NO1", "", &[][..]),
        ("CU_SCRAP_NO1", "Berry", &[][..]),
        ("CU_SCRAP_NO1", "Barley", &["A11 MEDIUM grade"][..]),
        ("CU_SCRAP_BRIGHT", "", &["A11 MEDIUM material"][..]),
        // Of what has no row nobody says that it is better.
        ("CU_ROD", "", &[][..]),
    ];
    for (material, grade, expected) in rows {
        let mut desk = Desk::with(&limits);
        let parents = [lot(1), lot(2)];
        let output = made(lot(3), material, 2_000);
        let mut after = changed(output.id, material, None, stand(COLLECTOR, 2_000));
        if !grade.is_empty() {
            after.grades.push(GradeRef { scheme: "ReMA".to_owned(), code: grade.to_owned() });
        }
        let used = |id| {
            let stood = Some(stand(COLLECTOR, 1_000));
            changed(id, "CU_SCRAP_NO1", stood, stand(COLLECTOR, 0))
        };
        let changes = vec![used(parents[0]), used(parents[1]), after];
        let merge =
            MergeLots { parents: parents.map(|it| domain_kit::draw(it, 1_000)).into(), output };
        let body = Body::MergeLots(Box::new(merge));
        desk.entry(COLLECTOR, When(MONDAY, MONDAY), body, changes, None);
        assert_eq!(desk.flags(), expected, "{material} {grade}");
    }
}

// --- A12 -----------------------------------------------------------------------------------------

const LATE: &[(&str, u64)] =
    &[("BACKDATE_LATE_DAYS", 7), ("BACKDATE_BEHIND_DAYS", 3), ("REPORT_DUE_DAY", 10)];

fn collect_at(desk: &mut Desk, at: u64, recorded_at: u64) -> (u64, EventId) {
    let body = collect(collected(1, 1_000, "1"));
    desk.entry(COLLECTOR, When(at, recorded_at), body, Vec::new(), None)
}

#[test]
fn a12_history_is_late_once_a_month() {
    let mut desk = Desk::with(LATE);
    collect_at(&mut desk, MONDAY, MONDAY + 7 * DAY_MS);
    assert_eq!(desk.flags(), Vec::<String>::new());
    let mut desk = Desk::with(LATE);
    for load in 0..5 {
        collect_at(&mut desk, MONDAY + load, MONDAY + 7 * DAY_MS + 5);
    }
    assert_eq!(desk.flags(), ["A12 LOW late"]);
    collect_at(&mut desk, MONDAY - 10 * DAY_MS, MONDAY + 7 * DAY_MS + 6);
    assert_eq!(desk.flags().len(), 2, "another month");
}

#[test]
fn a12_what_is_put_into_a_reported_month() {
    // The report of June is due until the end of the tenth of July.
    let due = MONDAY - 8 * 60 * MINUTE_MS + 40 * DAY_MS;
    let at = MONDAY + 5 * DAY_MS;
    let rows = [
        (at + 3 * DAY_MS + 1, due, &["A12 MEDIUM reported"][..]),
        (at + 3 * DAY_MS, due, &["A12 LOW late"][..]),
        (at + 3 * DAY_MS + 1, due - 1, &["A12 LOW late"][..]),
    ];
    for (later, recorded_at, expected) in rows {
        let mut desk = Desk::with(LATE);
        collect_at(&mut desk, MONDAY, MONDAY);
        let (by, _) = collect_at(&mut desk, later, later);
        let (late, _) = collect_at(&mut desk, at, recorded_at);
        assert_eq!(desk.flags(), expected);
        if expected[0].contains("reported") {
            assert_eq!(desk.entries(0), [by, late]);
        }
    }
    // Nothing was recorded on time before it: the site had not joined.
    let mut desk = Desk::with(LATE);
    collect_at(&mut desk, at + 4 * DAY_MS, at + 4 * DAY_MS);
    collect_at(&mut desk, at, due);
    assert_eq!(desk.flags(), ["A12 LOW late"]);
}

#[test]
fn a12_what_is_put_before_an_audit_and_what_a_corrective_repeats() {
    let due = MONDAY - 8 * 60 * MINUTE_MS + 40 * DAY_MS;
    let (scope, checkpoint) = ("June".to_owned(), String::new());
    let attest = Body::Attest(Attest { scope, checkpoint, result: AttestResult::Passed });
    for (audited, expected) in [(due, "A12 HIGH audited"), (due - 1, "A12 MEDIUM reported")] {
        let mut desk = Desk::with(LATE);
        collect_at(&mut desk, MONDAY, MONDAY);
        collect_at(&mut desk, MONDAY + 9 * DAY_MS, MONDAY + 9 * DAY_MS);
        desk.tell(AUDITOR, audited, attest.clone());
        collect_at(&mut desk, MONDAY + 5 * DAY_MS, due + 1);
        assert_eq!(desk.flags(), [expected]);
    }
    // A corrective has the time of what it corrects.
    let mut desk = Desk::with(LATE);
    let (wrong, id) = collect_at(&mut desk, MONDAY, MONDAY);
    collect_at(&mut desk, MONDAY + 9 * DAY_MS, MONDAY + 9 * DAY_MS);
    let again = desk.world.event(COLLECTOR, collect(collected(2, 1_000, "1")));
    let body = error(id, &[&again]);
    desk.entry(COLLECTOR, When(due, due), body, Vec::new(), Some(wrong));
    desk.world.serial -= 2;
    let again = collect(collected(2, 1_000, "1"));
    desk.entry(COLLECTOR, When(MONDAY, due), again, Vec::new(), None);
    assert_eq!(desk.flags(), ["A12 LOW late"]);
}

#[test]
fn a12_what_needed_a_role_licence_or_key_that_has_ended() {
    let now = MONDAY + 30 * DAY_MS;
    for (end, is_ended) in [(now, true), (now + 1, false)] {
        let until = Validity { from: TimeMs::of(0), to: Some(TimeMs::of(end)) };
        let expected = |word: &str| {
            let flag =
                if is_ended { format!("A12 HIGH {word}") } else { "A12 LOW late".to_owned() };
            vec![flag]
        };
        let licence = |kind, validity| {
            let codes = vec![domain_kit::WASTE.to_owned()];
            let held = Licence {
                id: LicenceId::from_bytes([1; 16]),
                kind,
                number: String::new(),
                waste_codes: codes,
                yearly_capacity: Grams::ZERO,
                validity,
            };
            Body::RegisterLicence(COLLECTOR, held)
        };
        let mut desk = Desk::with(LATE);
        desk.tell(COORD, MONDAY, licence(LicenceKind::RenewableResourceRecycling, until));
        collect_at(&mut desk, MONDAY, now);
        assert_eq!(desk.flags(), expected("role_ended"));

        let mut desk = Desk::with(LATE);
        let key = RegisterKey { party: COLLECTOR, public_key: public_key(2), validity: until };
        desk.tell(COORD, MONDAY, Body::RegisterKey(key));
        desk.tell(COORD, MONDAY, licence(LicenceKind::RenewableResourceRecycling, EVER));
        collect_at(&mut desk, MONDAY, now);
        assert_eq!(desk.flags(), expected("key_ended"));

        let mut desk = Desk::with(LATE);
        desk.tell(COORD, MONDAY, licence(LicenceKind::HazardousWaste, until));
        let (_, offer) = desk.offer(&sale(1, SMELTER, COLLECTOR), MONDAY);
        let born = changed(lot(1), "PB_BATTERY", None, stand(COLLECTOR, 1_000));
        let body = accept(offer, 1_000, None);
        desk.entry(COLLECTOR, When(MONDAY, now), body, vec![born], None);
        assert_eq!(desk.flags(), expected("permit_ended"));
    }
}

// --- A14 -----------------------------------------------------------------------------------------

#[test]
fn a14_the_fourth_correction_before_a_report() {
    let limits = [("CORRECTIONS_COUNT", 3), ("CORRECTIONS_DAYS", 3), ("REPORT_DUE_DAY", 10)];
    // The report of May is due until the end of the tenth of June.
    let due = MONDAY - 8 * 60 * MINUTE_MS + 10 * DAY_MS;
    let declare = |desk: &mut Desk, at, recorded_at| {
        let body = error(domain_kit::event_id(1), &[]);
        desk.entry(COLLECTOR, When(at, recorded_at), body, Vec::new(), None).0
    };
    for begin in [due - 3 * DAY_MS, due - 7] {
        let mut desk = Desk::with(&limits);
        let told: Vec<u64> = (0..7).map(|it| declare(&mut desk, begin + it, begin + it)).collect();
        assert_eq!(desk.flags(), ["A14 MEDIUM before_report", "A14 HIGH before_report"]);
        assert_eq!(desk.entries(0), told[..4]);
    }
    let outside = [
        (due - 3 * DAY_MS - 1, due - 3 * DAY_MS - 1),
        // History that is brought in just then.
        (due - 40 * DAY_MS, due - 1),
        (due, due),
    ];
    for (at, recorded_at) in outside {
        let mut desk = Desk::with(&limits);
        for _ in 0..7 {
            declare(&mut desk, at, recorded_at);
        }
        assert_eq!(desk.flags(), Vec::<String>::new(), "{at}");
    }
}

// --- A15 -----------------------------------------------------------------------------------------

#[test]
fn a15_a_ticket_serves_once_a_year() {
    let year = 365 * DAY_MS;
    let rows = [
        (year, 1_000, &["A15 HIGH ticket"][..]),
        (year, 2_000, &["A15 MEDIUM ticket"][..]),
        (year + 1, 1_000, &[][..]),
    ];
    for (later, net, expected) in rows {
        let mut desk = Desk::with(&[("TICKET_REUSE_DAYS", 365)]);
        desk.tell(COLLECTOR, MONDAY, collect(collected(1, 1_000, "T1")));
        desk.tell(COLLECTOR, MONDAY, collect(collected(2, 1_000, "T2")));
        // Other scales have a ticket of that number too.
        desk.tell(TRADER, MONDAY, collect(collected(3, 3_000, "T1")));
        assert_eq!(desk.flags(), Vec::<String>::new());
        desk.tell(COLLECTOR, MONDAY + later, collect(collected(4, net, "T1")));
        assert_eq!(desk.flags(), expected, "{later} {net}");
    }
    // The first use is declared an error, and said again; another yard copies the paper.
    let mut desk = Desk::with(&[("TICKET_REUSE_DAYS", 365)]);
    let wrong = desk.tell(COLLECTOR, MONDAY, collect(collected(1, 1_000, "T1")));
    desk.undo(COLLECTOR, MONDAY, wrong);
    desk.tell(COLLECTOR, MONDAY, collect(collected(2, 1_000, "T1")));
    assert_eq!(desk.flags(), Vec::<String>::new());
    desk.tell(TRADER, MONDAY, collect(collected(3, 1_000, "T1")));
    assert_eq!(desk.flags(), ["A15 HIGH ticket"]);
}

#[test]
fn a15_a_ticket_of_other_scales_is_known_by_what_it_says() {
    let mut desk = Desk::with(&[("TICKET_REUSE_DAYS", 365)]);
    let mut collects = |by: PartyId, net: u64| {
        let (index, _) = desk.tell(by, MONDAY, collect(collected(1, net, "T1")));
        let flags = desk.book.anomalies().iter().filter(|it| it.raised_at.0 == index);
        let told: Vec<(Severity, u64)> = flags.map(|it| (it.severity, it.entries[0].0)).collect();
        (index, told)
    };
    let (first, told) = collects(COLLECTOR, 1_000);
    assert_eq!(told, [], "once");
    let (second, told) = collects(TRADER, 2_000);
    assert_eq!(told, [], "neither the scales nor what they say");
    let (third, told) = collects(SMELTER, 1_000);
    assert_eq!(told, [(Severity::High, first)], "what the first use said");
    let (fourth, told) = collects(TRADER, 3_000);
    assert_eq!(told, [(Severity::Medium, second)], "the scales of the second");
    let (_, told) = collects(COLLECTOR, 2_000);
    assert_eq!(told, [(Severity::Medium, first)], "the scales go before what they say");
    let (_, told) = collects(DISMANTLER, 3_000);
    assert_eq!(told, [(Severity::High, fourth)]);
    let (_, told) = collects(RECOVERY, 1_000);
    assert_eq!(told, [(Severity::High, third)], "the newest of them");
}

#[test]
fn a15_a_first_use_that_was_an_error_hides_no_other() {
    let rows = [
        (TRADER, 1_000, false),
        (COLLECTOR, 2_000, false),
        (SMELTER, 3_000, true),
        (DISMANTLER, 4_000, true),
    ];
    for (by, net, is_told) in rows {
        let mut desk = Desk::with(&[("TICKET_REUSE_DAYS", 365)]);
        let wrong = desk.tell(COLLECTOR, MONDAY, collect(collected(1, 1_000, "T1")));
        let (other, _) = desk.tell(SMELTER, MONDAY, collect(collected(2, 4_000, "T1")));
        desk.undo(COLLECTOR, MONDAY, wrong);
        let (last, _) = desk.tell(by, MONDAY, collect(collected(3, net, "T1")));
        assert_eq!(desk.flags().len(), usize::from(is_told), "{by} {net}");
        if is_told {
            assert_eq!(desk.entries(0), [other, last]);
        }
    }
}

#[test]
fn a15_of_a_worn_number_the_newest_eight_uses_are_known() {
    // Uses after the first, which is too long ago for each of them; then one that comes late.
    for (uses, net, expected) in
        [(7, 9_000, "A15 MEDIUM ticket"), (8, 9_000, ""), (8, 1_000, "A15 HIGH ticket")]
    {
        let mut desk = Desk::with(&[("TICKET_REUSE_DAYS", 1)]);
        let (first, _) = desk.tell(COLLECTOR, MONDAY, collect(collected(1, 1_000, "T1")));
        for later in 1..=uses {
            let at = MONDAY + 10 * later * DAY_MS;
            desk.tell(COLLECTOR, at, collect(collected(1, 1_000 + later, "T1")));
        }
        assert_eq!(desk.flags(), Vec::<String>::new());
        let (late, _) = desk.tell(COLLECTOR, MONDAY + 1, collect(collected(1, net, "T1")));
        assert_eq!(desk.flags().concat(), expected, "{uses} {net}");
        if !expected.is_empty() {
            assert_eq!(desk.entries(0), [first, late]);
        }
    }
}

/// A use of a ticket: entry, number, whose scales, what they say, when.
type Use = (u64, u64, PartyId, u64, u64);

/// The use that a ticket is told with: of the newest eight at the same scales, else of the newest
/// eight that say the same. Uses are in ledger order, this one is not among them.
fn served(uses: &[Use], undone: &[u64], now: Use) -> Option<u64> {
    let (_, number, by, net, at) = now;
    let newest = |is_like: &dyn Fn(&Use) -> bool| {
        let mut like = uses.iter().rev().filter(|it| it.1 == number && is_like(it)).take(8);
        let is_near = |it: &&Use| it.4.abs_diff(at) <= 30 * DAY_MS && !undone.contains(&it.0);
        like.find(is_near).map(|it| it.0)
    };
    newest(&|it| it.2 == by).or_else(|| newest(&|it| it.3 == net))
}

#[test]
fn a15_tickets_are_told_as_a_plain_list_of_uses_has_them() {
    let mut desk = Desk::with(&[("TICKET_REUSE_DAYS", 30)]);
    let parties = [COLLECTOR, SMELTER, TRADER, DISMANTLER, RECOVERY, SEPARATOR];
    let mut state = 15_u64;
    let mut draw = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let (mut uses, mut undone) = (Vec::<Use>::new(), Vec::new());
    let (mut events, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..1_500 {
        if draw(8) == 0 && !events.is_empty() {
            let place = usize::try_from(draw(events.len() as u64)).unwrap();
            let wrong: (u64, EventId) = events.swap_remove(place);
            desk.undo(COLLECTOR, MONDAY, wrong);
            undone.push(wrong.0);
            continue;
        }
        // Some numbers are worn, some serve twice or once.
        let number = if draw(2) == 0 { draw(4) } else { draw(500) };
        let by = parties[usize::try_from(draw(6)).unwrap()];
        let (net, at) = (1_000 + draw(12), MONDAY + draw(200) * DAY_MS);
        let it = collect(collected(1, net, &number.to_string()));
        let (index, event) = desk.entry(by, When(at, MONDAY), it, Vec::new(), None);
        let now = (index, number, by, net, at);
        expected.extend(served(&uses, &undone, now).map(|other| vec![other, index]));
        uses.push(now);
        events.push((index, event));
    }
    let told = ours(&desk.book).map(|it| it.entries.iter().map(|it| it.0).collect());
    assert_eq!(told.collect::<Vec<Vec<u64>>>(), expected);
    assert!(expected.len() > 300, "{}", expected.len());
}

fn with_manifest(number: u64, to: PartyId) -> OfferTransfer {
    let mut it = offering(lot(number), 1_000, to, TransferScope::CustodyAndOwnership);
    let (number, vehicle) = ("20263609000001".to_owned(), "C1".to_owned());
    it.manifest = Some(Manifest { number, carrier: None, vehicle });
    it
}

#[test]
fn a15_a_manifest_is_one_trip() {
    let rows = [
        (DAY_MS, SMELTER, &[][..]),
        (DAY_MS + 1, SMELTER, &["A15 HIGH manifest"][..]),
        (0, TRADER, &["A15 HIGH manifest"][..]),
    ];
    for (later, to, expected) in rows {
        let mut desk = Desk::with(&[("MANIFEST_TRIP_MS", DAY_MS)]);
        desk.tell(COLLECTOR, MONDAY, Body::OfferTransfer(with_manifest(1, SMELTER)));
        desk.tell(COLLECTOR, MONDAY + later, Body::OfferTransfer(with_manifest(2, to)));
        assert_eq!(desk.flags(), expected, "{later}");
    }
    // The truck never left.
    let mut desk = Desk::with(&[("MANIFEST_TRIP_MS", DAY_MS)]);
    let first = with_manifest(1, SMELTER);
    let (_, offer) = desk.tell(COLLECTOR, MONDAY, Body::OfferTransfer(first));
    let (reason, note) = (TransferReason::NotShipped, String::new());
    let cancel = Body::CancelTransfer(CloseTransfer { offer, reason, note });
    desk.tell(COLLECTOR, MONDAY + 1, cancel);
    desk.tell(COLLECTOR, MONDAY + 2, Body::OfferTransfer(with_manifest(2, TRADER)));
    assert_eq!(desk.flags(), Vec::<String>::new());
}

#[test]
fn a15_a_vehicle_goes_one_way_at_a_time() {
    let hour = 60 * MINUTE_MS;
    let end = MONDAY + 6 * hour;
    let on = |from, to, number| Sale { vehicle: "B1", ..sale(number, from, to) };
    let rows = [
        (hour, SMELTER, DISMANTLER, &[][..]),
        (hour + 1, SMELTER, DISMANTLER, &["A15 MEDIUM vehicle"][..]),
        // One tour that loads at two places, or unloads at two.
        (hour + 1, SMELTER, TRADER, &[][..]),
        (hour + 1, COLLECTOR, SMELTER, &[][..]),
    ];
    for (overlap, from, to, expected) in rows {
        let mut desk = Desk::with(&[("VEHICLE_OVERLAP_MS", hour)]);
        desk.sell(&on(COLLECTOR, TRADER, 1), MONDAY, end);
        desk.sell(&on(from, to, 2), end - overlap, end + 6 * hour);
        assert_eq!(desk.flags(), expected, "{overlap}");
    }
}

#[test]
fn a15_weights_that_are_rounder_than_chance() {
    let limits =
        [("ROUND_WEIGHINGS", 30), ("ROUND_TONNE_E8", 20_000_000), ("ROUND_100KG_E8", 80_000_000)];
    // So many of thirty are whole tonnes, so many more whole hundredweights.
    let rows = [
        (6, 18, &[][..]),
        (7, 0, &["A15 MEDIUM round_tonnes"][..]),
        (0, 25, &["A15 MEDIUM round_100_kg"][..]),
    ];
    for (tonnes, hundreds, expected) in rows {
        let mut desk = Desk::with(&limits);
        let net = |load| match load {
            it if it < tonnes => 4_000_000,
            it if it < tonnes + hundreds => 4_100_000,
            _ => 4_120_000,
        };
        for load in 0..29 {
            desk.tell(COLLECTOR, MONDAY, collect(collected(load, net(load), "")));
        }
        assert_eq!(desk.flags(), Vec::<String>::new(), "29 say little");
        desk.tell(COLLECTOR, MONDAY, collect(collected(29, net(29), "")));
        assert_eq!(desk.flags(), expected, "{tonnes} {hundreds}");
        desk.tell(COLLECTOR, MONDAY, collect(collected(30, 4_120_000, "")));
        assert_eq!(desk.flags(), expected, "told once");
    }
}

// --- A17 -----------------------------------------------------------------------------------------

fn belongs(kind: AffiliationKind, from: u64, to: Option<u64>) -> Affiliation {
    let validity = Validity { from: TimeMs::of(from), to: to.map(TimeMs::of) };
    let is_of_group = !matches!(
        kind,
        AffiliationKind::Independent | AffiliationKind::Exited | AffiliationKind::Deregistered
    );
    let group = is_of_group.then_some(TRADER);
    Affiliation { id: AffiliationId::from_bytes([kind as u8; 16]), kind, group, validity }
}

#[test]
fn a17_a_covered_party_trades_with_a_plant_that_is_not() {
    use AffiliationKind::{CooperationAgreement, Deregistered, Equity, GoldenShare, Independent};
    let rows = [
        (Some(belongs(Independent, 0, None)), &["A17 MEDIUM sold_by_uncovered"][..]),
        (None, &["A17 MEDIUM sold_by_uncovered"][..]),
        (Some(belongs(Deregistered, 0, None)), &["A17 HIGH sold_by_uncovered"][..]),
        (Some(belongs(CooperationAgreement, 0, None)), &[][..]),
        // To the millisecond of the sale.
        (Some(belongs(Equity, MONDAY + 2, None)), &[][..]),
        (Some(belongs(Equity, MONDAY + 3, None)), &["A17 MEDIUM sold_by_uncovered"][..]),
        (Some(belongs(GoldenShare, 0, Some(MONDAY + 2))), &["A17 MEDIUM sold_by_uncovered"][..]),
    ];
    for (affiliation, expected) in rows {
        let mut desk = Desk::with(&[("COVERAGE_PROVINCE", 36)]);
        let member = belongs(CooperationAgreement, 0, None);
        desk.tell(COORD, MONDAY, Body::RegisterAffiliation(SEPARATOR, member));
        if let Some(affiliation) = affiliation {
            desk.tell(COORD, MONDAY, Body::RegisterAffiliation(RECOVERY, affiliation));
        }
        let it = Sale { material: "RE_NDFEB_ENDS", ..sale(1, RECOVERY, SEPARATOR) };
        desk.sell(&it, MONDAY + 1, MONDAY + 2);
        assert_eq!(desk.flags(), expected, "{affiliation:?}");
        // What is recorded later judges nothing again.
        let late = belongs(Equity, 0, None);
        desk.tell(COORD, MONDAY, Body::RegisterAffiliation(RECOVERY, late));
        assert_eq!(desk.flags(), expected);
    }
}

#[test]
fn a17_is_about_rare_earths_of_the_plants_of_one_province() {
    let member = belongs(AffiliationKind::CooperationAgreement, 0, None);
    let rows = [
        (36, "RE_NDFEB_ENDS", RECOVERY, SEPARATOR, &["A17 MEDIUM sold_by_uncovered"][..]),
        (36, "RE_NDFEB_ENDS", SEPARATOR, RECOVERY, &["A17 MEDIUM sold_to_uncovered"][..]),
        (44, "RE_NDFEB_ENDS", RECOVERY, SEPARATOR, &[][..]),
        (36, "CU_SCRAP_NO2", RECOVERY, SEPARATOR, &[][..]),
        // A collector belongs to no group, and may.
        (36, "RE_NDFEB_ENDS", COLLECTOR, SEPARATOR, &[][..]),
        (36, "RE_NDFEB_ENDS", COLLECTOR, RECOVERY, &[][..]),
        // The group itself is covered.
        (36, "RE_NDFEB_ENDS", RECOVERY, TRADER, &["A17 MEDIUM sold_by_uncovered"][..]),
    ];
    for (province, material, from, to, expected) in rows {
        let mut desk = Desk::with(&[("COVERAGE_PROVINCE", province)]);
        desk.tell(COORD, MONDAY, Body::RegisterAffiliation(SEPARATOR, member));
        desk.sell(&Sale { material, ..sale(1, from, to) }, MONDAY + 1, MONDAY + 2);
        assert_eq!(desk.flags(), expected, "{material}");
    }
}
