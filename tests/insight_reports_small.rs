//! Reports over a small made-up ledger, where each number can be told by hand: codes of regions
//! over time, offers that are open again, licences, and flags with who has seen them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use urbanmine::domain::credit::Month;
use urbanmine::domain::event::{
    AcceptTransfer, AcknowledgeAnomaly, Body, CloseCampaign, DeclareError, Event, OfferTransfer,
    OpenCampaign,
};
use urbanmine::domain::fact::{Fact, LotChange, Stand};
use urbanmine::domain::flag::{Flag, Variance};
use urbanmine::domain::party::{Licence, Party, Site};
use urbanmine::domain::units::{OffsetMin, TimeMs, Validity};
use urbanmine::domain::vocabulary::{
    ErrorKind, LicenceKind, OriginKinds, Substance, TransferScope,
};
use urbanmine::domain::{
    CampaignId, EntryCount, EntryIndex, EventId, Grams, Hash32, LicenceId, LotId, Origin, PartyId,
    SiteId, Tables, tables,
};
use urbanmine::insight::reports::{
    AnomalyQuery, AsOf, Codes, CorrectionsQuery, Day, Language, Level, LicenceQuery, MatrixQuery,
    Moves, StockQuery, Table, Value, anomalies, corrections, csv, entries_behind, flow_matrix,
    licences, open_campaigns, open_transfers, value_text,
};
use urbanmine::insight::{Book, Rule, Seen, Severity};
use urbanmine::provenance::Measure;

fn bytes(kind: u8, number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[0] = kind;
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    bytes[9..16].copy_from_slice(&number.to_be_bytes()[1..]);
    bytes
}

fn party(number: u64) -> PartyId {
    PartyId::from_bytes(bytes(1, number))
}

fn site(number: u64) -> SiteId {
    SiteId::from_bytes(bytes(2, number))
}

fn lot(number: u64) -> LotId {
    LotId::from_bytes(bytes(3, number))
}

fn event(index: EntryIndex) -> EventId {
    EventId::from_bytes(bytes(4, index.0))
}

/// Noon of a day.
fn noon(day: &str) -> TimeMs {
    TimeMs::of(Day::from_text(day).unwrap().begin().get() + 12 * 3_600_000)
}

struct World {
    book: Book,
    tables: Tables,
}

#[derive(Default)]
struct Changed {
    lots: Vec<LotChange>,
    flags: Vec<Flag>,
    undoes: Option<EntryIndex>,
}

impl World {
    fn new() -> Self {
        let tables = Tables::parse(tables::builtin()).unwrap();
        let mut world = Self { book: Book::default(), tables };
        for number in 1..=2 {
            let register = Party {
                id: party(number),
                credit_code: String::new(),
                name_zh: format!("甲{number}"),
                name_en: if number == 1 { "=1+1".to_owned() } else { "Second, \"Ltd\"".to_owned() },
                roles: Vec::new(),
                credit_code_waiver: None,
            };
            world.record(9, 9, "2016-10-01", Body::RegisterParty(register), Changed::default());
        }
        world.place(1, "360721", false);
        world.place(2, "440103", false);
        world
    }

    fn place(&mut self, number: u64, region: &str, is_amended: bool) {
        let record = Site {
            id: site(number),
            party: party(number),
            name_zh: String::new(),
            name_en: String::new(),
            region_code: region.to_owned(),
            base: if number == 1 { "赣南 base".to_owned() } else { String::new() },
            processes: Vec::new(),
            yearly_capacity: Grams::ZERO,
        };
        let body = if is_amended { Body::AmendSite(record) } else { Body::RegisterSite(record) };
        self.record(9, 9, "2017-01-03", body, Changed::default());
    }

    fn record(
        &mut self,
        actor: u64,
        at: u64,
        day: &str,
        body: Body,
        changed: Changed,
    ) -> EntryIndex {
        let index = EntryIndex(self.book.size().0);
        let event = Event {
            id: event(index),
            origin: Origin::parse("urbanmine.example/small").unwrap(),
            actor: party(actor),
            site: Some(site(at)),
            occurred_at: noon(day),
            occurred_at_offset: OffsetMin::default(),
            documents: Vec::new(),
            commitments: Vec::new(),
            external_ref: String::new(),
            body,
        };
        let Changed { lots, flags, undoes } = changed;
        let fact = Fact { index, recorded_at: TimeMs::of(0), lots, stock: None, flags, undoes };
        let (tables, tables_hash) = (&self.tables, Hash32([0; 32]));
        self.book.absorb(&Seen { event: &event, fact: &fact, tables, tables_hash });
        index
    }

    /// Party 1 offers a lot to party 2.
    fn offer(&mut self, number: u64, grams: u64, day: &str) -> EntryIndex {
        let offer = OfferTransfer {
            lot: lot(number),
            mass: Grams::of(grams),
            consignee: party(2),
            consignee_site: Some(site(2)),
            scope: TransferScope::CustodyAndOwnership,
            carrier: None,
            vehicle: "赣B12345".to_owned(),
            invoice_class: None,
            manifest: None,
        };
        self.record(1, 1, day, Body::OfferTransfer(offer), Changed::default())
    }

    fn accept(&mut self, number: u64, grams: u64, offer: EntryIndex, day: &str) -> EntryIndex {
        let stand = |holder, at| Stand {
            owner: party(holder),
            possessor: party(holder),
            keeper: party(holder),
            site: site(at),
            mass: Grams::of(grams),
            reserved: Grams::ZERO,
            contents: Vec::new(),
            is_held: false,
        };
        let change = LotChange {
            lot: lot(number),
            material: "CU_SCRAP_NO1".to_owned(),
            grades: Vec::new(),
            origin_kinds: OriginKinds::default(),
            before: Some(stand(1, 1)),
            after: stand(2, 2),
        };
        let body = AcceptTransfer { offer: event(offer), received: None, received_lot: None };
        let changed = Changed { lots: vec![change], ..Changed::default() };
        self.record(2, 2, day, Body::AcceptTransfer(body), changed)
    }

    fn now(&self) -> AsOf {
        AsOf { size: self.book.size(), time: noon("2018-01-01") }
    }

    fn matrix(&self, as_of: AsOf, level: Level, codes: Codes) -> Vec<(String, String, i128)> {
        let query = MatrixQuery {
            from: Month::of(noon("2016-01-01")),
            to: Month::of(noon("2018-01-01")),
            measure: Measure::Mass,
            level,
            moves: Moves::Custody,
            codes,
            party: None,
        };
        let table = flow_matrix(&self.book, as_of, &query, &self.tables);
        let rows = table.rows.iter().map(|row| {
            let Value::Grams(grams) = row[5].value else { panic!("{row:?}") };
            let behind = entries_behind(&self.book, as_of, row[5].figure.as_ref().unwrap());
            assert_eq!(behind.iter().map(|(_, it)| it).sum::<i128>(), grams);
            (text(&row[0].value), text(&row[2].value), grams)
        });
        rows.collect()
    }
}

fn text(value: &Value) -> String {
    value_text(value, Language::En)
}

fn column<'a>(table: &'a Table, name: &str) -> Vec<&'a Value> {
    let place = table.column(name).unwrap();
    table.rows.iter().map(|row| &row[place].value).collect()
}

fn row(from: &str, to: &str, grams: i128) -> (String, String, i128) {
    (from.to_owned(), to.to_owned(), grams)
}

#[test]
fn a_county_stays_what_it_was_and_is_one_with_its_successor_when_asked() {
    let mut world = World::new();
    let first = world.offer(1, 1_000, "2016-11-05");
    let accepted = world.accept(1, 1_000, first, "2016-11-06");
    world.place(1, "360704", true);
    let second = world.offer(2, 500, "2017-01-10");
    world.accept(2, 500, second, "2017-01-11");

    let recorded = world.matrix(world.now(), Level::County, Codes::AsRecorded);
    assert_eq!(recorded, [row("360721", "440103", 1_000), row("360704", "440103", 500)]);
    let current = world.matrix(world.now(), Level::County, Codes::Current);
    assert_eq!(current, [row("360704", "440103", 1_500)]);
    for codes in [Codes::AsRecorded, Codes::Current] {
        let prefectures = world.matrix(world.now(), Level::Prefecture, codes);
        assert_eq!(prefectures, [row("3607", "4401", 1_500)]);
        let provinces = world.matrix(world.now(), Level::Province, codes);
        assert_eq!(provinces, [row("36", "44", 1_500)]);
        let bases = world.matrix(world.now(), Level::Base, codes);
        assert_eq!(bases, [row("赣南 base", "", 1_500)]);
    }

    // What is taken back is taken back where it stood, though the county has another code by now.
    let error = DeclareError {
        target: event(accepted),
        kind: ErrorKind::DidNotOccur,
        note: "another lorry".to_owned(),
        correctives: Vec::new(),
    };
    let before = world.now();
    let undone = Changed { undoes: Some(accepted), ..Changed::default() };
    let by = world.record(2, 2, "2017-02-01", Body::DeclareError(error), undone);
    let recorded = world.matrix(world.now(), Level::County, Codes::AsRecorded);
    assert_eq!(recorded, [row("360704", "440103", 500)]);
    let recorded = world.matrix(before, Level::County, Codes::AsRecorded);
    assert_eq!(recorded.len(), 2, "as of then, nothing was taken back");

    // Its offer is open again; as of before, it is not.
    let open = |as_of| {
        let table = open_transfers(&world.book, as_of, &StockQuery::default());
        column(&table, "entry").into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(open(before), []);
    assert_eq!(open(world.now()), [Value::Entry(first)]);
    let answered = AsOf { size: EntryCount(accepted.0), ..before };
    assert_eq!(open(answered), [Value::Entry(first)], "before it was answered");
    let earlier = AsOf { time: noon("2016-11-06"), ..world.now() };
    assert_eq!(open(earlier), [Value::Entry(first)], "of what happened before the answer");
    let between = AsOf { time: noon("2017-02-01"), ..world.now() };
    assert_eq!(open(between), [], "of what happened before it was taken back");

    let query = CorrectionsQuery { from: TimeMs::of(0), to: TimeMs::MAX, party: None };
    let table = corrections(&world.book, world.now(), &query);
    assert_eq!(column(&table, "entry"), [&Value::Entry(by)]);
    assert_eq!(column(&table, "target"), [&Value::Entry(accepted)]);
    assert_eq!(column(&table, "reason"), [&Value::Text("another lorry".to_owned())]);
    assert_eq!(column(&table, "grams_moved"), [&Value::Grams(1_000)]);
}

#[test]
fn licences_expire_are_renewed_or_are_missed() {
    let mut world = World::new();
    let mut license = |number: u64, kind, to: Option<&str>| {
        let licence = Licence {
            id: LicenceId::from_bytes(bytes(5, number)),
            kind,
            number: format!("L{number}"),
            waste_codes: Vec::new(),
            yearly_capacity: Grams::ZERO,
            validity: Validity {
                from: noon("2016-01-01"),
                to: to.map(|to| Day::from_text(to).unwrap().begin()),
            },
        };
        let body = Body::RegisterLicence(party(1), licence);
        world.record(9, 9, "2016-10-02", body, Changed::default());
    };
    license(1, LicenceKind::HazardousWaste, Some("2017-01-31"));
    license(2, LicenceKind::Business, Some("2017-01-31"));
    license(3, LicenceKind::Business, Some("2018-01-31"));
    license(4, LicenceKind::PollutantDischarge, Some("2017-03-01"));
    license(5, LicenceKind::RareEarthRecovery, None);
    let act = world.offer(1, 1_000, "2017-02-05");

    let told = |day: &str, within_days| {
        let as_of = AsOf::end_of(world.book.size(), Day::from_text(day).unwrap());
        let query = LicenceQuery { within_days, party: None };
        let table = licences(&world.book, as_of, &query);
        for row in &table.rows {
            let cell = &row[table.column("acts_since").unwrap()];
            let behind = entries_behind(&world.book, as_of, cell.figure.as_ref().unwrap());
            assert_eq!(Value::Count(behind.iter().map(|(_, it)| it).sum()), cell.value);
        }
        let rows = column(&table, "number").into_iter().zip(column(&table, "state"));
        rows.map(|(number, state)| format!("{} {}", text(number), text(state))).collect::<Vec<_>>()
    };
    assert_eq!(told("2017-01-01", 29), Vec::<String>::new());
    assert_eq!(told("2017-01-01", 30), ["L1 EXPIRING", "L2 RENEWED"]);
    assert_eq!(told("2017-01-01", 60), ["L1 EXPIRING", "L2 RENEWED", "L4 EXPIRING"]);
    assert_eq!(told("2017-02-04", 1), Vec::<String>::new(), "expired, and nobody went on");
    assert_eq!(told("2017-02-05", 1), ["L1 EXPIRED_STILL_ACTING"]);
    assert_eq!(act, EntryIndex(world.book.size().0 - 1));
}

#[test]
fn flags_are_a_queue_with_who_has_seen_them() {
    let mut world = World::new();
    let campaign = CampaignId::from_bytes(bytes(6, 1));
    let open = OpenCampaign {
        campaign,
        process: "RE_EXTRACT".to_owned(),
        opening_stock: Grams::ZERO,
        opening_composition: None,
    };
    world.record(1, 1, "2017-01-01", Body::OpenCampaign(open), Changed::default());
    let opened = world.now();
    let close = CloseCampaign {
        campaign,
        closing_stock: Grams::ZERO,
        closing_composition: None,
        losses: Vec::new(),
        uptakes: Vec::new(),
    };
    let variance = Variance {
        substance: Substance::Nd,
        into: Grams::of(1_000),
        out: Grams::of(950),
        limit_e8: 2_000_000,
    };
    let flagged = Changed { flags: vec![Flag::PeriodVariance(variance)], ..Changed::default() };
    let closed = world.record(1, 1, "2017-01-31", Body::CloseCampaign(close), flagged);
    let raised = world.now();
    let id = format!("A13-{closed}-0");
    for by in [2, 1, 2] {
        let seen = AcknowledgeAnomaly { anomaly: id.clone(), note: format!("seen by {by}") };
        world.record(by, by, "2017-02-01", Body::AcknowledgeAnomaly(seen), Changed::default());
    }
    let told = |as_of, query: &AnomalyQuery| anomalies(&world.book, as_of, query);
    let all = AnomalyQuery::default();
    assert!(told(opened, &all).rows.is_empty());
    let table = told(raised, &all);
    assert_eq!(column(&table, "anomaly"), [&Value::Code(id.clone())]);
    assert_eq!(column(&table, "acknowledged_by"), [&Value::Nothing]);
    let table = told(world.now(), &all);
    let both = Value::Parties(vec![party(1), party(2)]);
    assert_eq!(column(&table, "acknowledged_by"), [&both]);
    let numbers =
        Value::Text("into=1000 g; out=950 g; variance=5000000 e8; limit=2000000 e8".into());
    assert_eq!(column(&table, "numbers"), [&numbers]);
    // Words in a spreadsheet are no formulas.
    let sheet = String::from_utf8(csv(&table, Language::En)).unwrap();
    assert!(sheet.contains(",'=1+1; \"\"Second") || sheet.contains("\"'=1+1; Second"), "{sheet}");

    let rows = [
        (AnomalyQuery { rules: vec![Rule::A13], ..all.clone() }, 1),
        (AnomalyQuery { rules: vec![Rule::A1], ..all.clone() }, 0),
        (AnomalyQuery { at_least: Some(Severity::High), ..all.clone() }, 1),
        (AnomalyQuery { at_least: Some(Severity::Severe), ..all.clone() }, 0),
        (AnomalyQuery { party: Some(party(1)), ..all.clone() }, 1),
        (AnomalyQuery { party: Some(party(2)), ..all.clone() }, 0),
        (AnomalyQuery { lot: Some(lot(1)), ..all.clone() }, 0),
        (AnomalyQuery { from: Some(noon("2017-01-31")), ..all.clone() }, 1),
        (AnomalyQuery { to: Some(noon("2017-01-31")), ..all }, 0),
    ];
    for (query, expected) in rows {
        let of_ours = told(raised, &query);
        assert_eq!(of_ours.rows.len(), expected, "{query:?}");
    }

    let open = |as_of| open_campaigns(&world.book, as_of, &StockQuery::default()).rows.len();
    assert_eq!(open(opened), 1);
    assert_eq!(open(world.now()), 0);
    let day_before = AsOf { time: noon("2017-01-30"), ..world.now() };
    assert_eq!(open(day_before), 1, "of what happened before the close");
}
