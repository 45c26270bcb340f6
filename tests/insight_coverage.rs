//! Coverage of rare-earth recovery in Jiangxi as it was reported: the group and 41 enterprises of
//! no group met on 2016-09-29; later 22 of them were of a group by a state golden share, 30
//! enterprises of the province were of some group (the 22 among them), and 4 had left the market
//! (3 deregistered). Names and days are made up; the numbers are the reported ones. Who the other
//! eight of the thirty were is not told: here they were of groups before, and so not at the
//! meeting.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::collections::BTreeMap;

use urbanmine::domain::event::{Body, Event};
use urbanmine::domain::fact::Fact;
use urbanmine::domain::party::{Affiliation, DatedRole, Party, Site};
use urbanmine::domain::units::{OffsetMin, TimeMs, Validity};
use urbanmine::domain::vocabulary::{AffiliationKind, PartyRole};
use urbanmine::domain::{
    AffiliationId, EntryCount, EntryIndex, EventId, Hash32, Origin, PartyId, SiteId, Tables,
};
use urbanmine::insight::reports::{
    AsOf, CoverageQuery, Day, Table, Value, coverage, coverage_counts, entries_behind,
};
use urbanmine::insight::{Book, Seen};

const ENTERPRISES: u8 = 41;
const OF_GROUPS_BEFORE: u8 = 8;
const GROUP: u8 = 100;
const OTHER_GROUP: u8 = 101;
const ELSEWHERE: u8 = 102;
const COORDINATOR: u8 = 200;

fn bytes(kind: u8, number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[0] = kind;
    bytes[6] = 0x70;
    bytes[7..15].copy_from_slice(&number.to_be_bytes());
    bytes[8] |= 0x80;
    bytes
}

fn party(number: u8) -> PartyId {
    PartyId::from_bytes(bytes(1, number.into()))
}

fn day(text: &str) -> Day {
    Day::from_text(text).unwrap()
}

fn from(text: &str) -> Validity {
    Validity { from: day(text).begin(), to: None }
}

fn until(from: &str, to: &str) -> Validity {
    Validity { from: day(from).begin(), to: Some(day(to).begin()) }
}

struct World {
    book: Book,
    tables: Tables,
    /// By party: its affiliations so far.
    affiliations: BTreeMap<u8, Vec<Affiliation>>,
}

impl World {
    fn new() -> Self {
        let tables = Tables::default();
        Self { book: Book::default(), tables, affiliations: BTreeMap::new() }
    }

    fn size(&self) -> EntryCount {
        self.book.size()
    }

    /// Records an event of a party on a day.
    fn record(&mut self, actor: u8, on: &str, body: Body) {
        let index = EntryIndex(self.size().0);
        let event = Event {
            id: EventId::from_bytes(bytes(2, index.0)),
            origin: Origin::parse("urbanmine.example/coverage").unwrap(),
            actor: party(actor),
            site: None,
            occurred_at: TimeMs::of(day(on).begin().get() + 3_600_000),
            occurred_at_offset: OffsetMin::new(480).unwrap(),
            documents: Vec::new(),
            commitments: Vec::new(),
            external_ref: String::new(),
            body,
        };
        let fact = Fact {
            index,
            recorded_at: TimeMs::of(0),
            lots: Vec::new(),
            stock: None,
            flags: Vec::new(),
            undoes: None,
        };
        let tables_hash = Hash32([0; 32]);
        let seen = Seen { event: &event, fact: &fact, tables: &self.tables, tables_hash };
        self.book.absorb(&seen);
    }

    fn register(&mut self, number: u8, role: PartyRole, region: &str) {
        let register = Party {
            id: party(number),
            credit_code: format!("91{region}MA35{number:06}X"),
            name_zh: format!("某稀土{number}"),
            name_en: format!("Enterprise {number}"),
            roles: vec![DatedRole { role, validity: from("2010-01-01") }],
            credit_code_waiver: None,
        };
        self.record(COORDINATOR, "2016-09-01", Body::RegisterParty(register));
        // Every third has no site yet: its region is that of its credit code.
        if !number.is_multiple_of(3) {
            let site = Site {
                id: SiteId::from_bytes(bytes(3, number.into())),
                party: party(number),
                name_zh: String::new(),
                name_en: String::new(),
                region_code: region.to_owned(),
                base: String::new(),
                processes: Vec::new(),
                yearly_capacity: urbanmine::domain::Grams::ZERO,
            };
            self.record(COORDINATOR, "2016-09-01", Body::RegisterSite(site));
        }
    }

    /// A new affiliation; the one before it ends where this one begins.
    fn affiliate(
        &mut self,
        number: u8,
        kind: AffiliationKind,
        group: Option<u8>,
        since: &str,
        recorded_on: &str,
    ) {
        let known = self.affiliations.entry(number).or_default();
        let count = known.len();
        let before = known.last_mut().map(|last| {
            last.validity.to = Some(day(since).begin());
            *last
        });
        let id = AffiliationId::from_bytes(bytes(4, u64::from(number) * 16 + count as u64));
        let group = group.map(party);
        let next = Affiliation { id, kind, group, validity: from(since) };
        known.push(next);
        if let Some(before) = before {
            self.record(COORDINATOR, recorded_on, Body::AmendAffiliation(party(number), before));
        }
        self.record(COORDINATOR, recorded_on, Body::RegisterAffiliation(party(number), next));
    }

    /// Parties by status, as a day ended.
    fn statuses(&self, size: EntryCount, on: Day) -> BTreeMap<String, usize> {
        let (table, _) = self.tables_of(size, on);
        let mut counts = BTreeMap::new();
        let place = table.column("status").unwrap();
        for row in &table.rows {
            *counts.entry(code(&row[place].value)).or_default() += 1;
        }
        counts
    }

    fn tables_of(&self, size: EntryCount, on: Day) -> (Table, Table) {
        let query = CoverageQuery::of_recovery_plants("36");
        let as_of = AsOf::end_of(size, on);
        (coverage(&self.book, as_of, &query), coverage_counts(&self.book, as_of, &query))
    }

    /// Parties by kind, from the counts, each held against the entries behind it.
    fn kinds(&self, size: EntryCount, on: Day) -> BTreeMap<String, i128> {
        let (_, table) = self.tables_of(size, on);
        let mut counts = BTreeMap::new();
        for row in &table.rows {
            let name = match (code(&row[0].value), &row[1].value) {
                (status, Value::Nothing) => status,
                (_, kind) => code(kind),
            };
            for cell in row.iter().filter(|cell| cell.figure.is_some()) {
                let Value::Count(count) = cell.value else { panic!("{cell:?}") };
                let figure = cell.figure.as_ref().unwrap();
                let behind = entries_behind(&self.book, table.as_of, figure);
                assert_eq!(behind.iter().map(|(_, it)| it).sum::<i128>(), count);
            }
            let Value::Count(count) = row[2].value else { panic!("{row:?}") };
            counts.insert(name, count);
        }
        counts
    }
}

fn code(value: &Value) -> String {
    let Value::Code(code) = value else { panic!("{value:?}") };
    code.clone()
}

/// As of the meeting.
fn meeting() -> World {
    let mut world = World::new();
    world.register(GROUP, PartyRole::RareEarthSeparationPlant, "360702");
    world.register(OTHER_GROUP, PartyRole::RareEarthSeparationPlant, "360702");
    for number in 0..ENTERPRISES + OF_GROUPS_BEFORE {
        world.register(number, PartyRole::RareEarthRecoveryPlant, "360704");
    }
    // Not of the province, so nobody counts it.
    world.register(ELSEWHERE, PartyRole::RareEarthRecoveryPlant, "441802");
    for number in 0..ENTERPRISES {
        let kind = AffiliationKind::Independent;
        world.affiliate(number, kind, None, "2012-01-01", "2016-09-20");
    }
    for number in ENTERPRISES..ENTERPRISES + OF_GROUPS_BEFORE {
        let (kind, group) = if number % 2 == 0 {
            (AffiliationKind::Equity, GROUP)
        } else {
            (AffiliationKind::CooperationAgreement, OTHER_GROUP)
        };
        world.affiliate(number, kind, Some(group), "2014-05-01", "2016-09-20");
    }
    world
}

/// Who changes how and when: 22 golden shares on three days, three deregistrations, one exit.
fn changes() -> Vec<(u8, AffiliationKind, Option<u8>, &'static str)> {
    let mut changes = Vec::new();
    for number in 0..22 {
        let since = match number {
            0..=6 => "2016-12-01",
            7..=14 => "2017-03-15",
            _ => "2017-06-30",
        };
        changes.push((number, AffiliationKind::GoldenShare, Some(GROUP), since));
    }
    changes.push((30, AffiliationKind::Deregistered, None, "2017-01-10"));
    changes.push((31, AffiliationKind::Deregistered, None, "2017-04-01"));
    changes.push((32, AffiliationKind::Exited, None, "2017-05-02"));
    changes.push((33, AffiliationKind::Deregistered, None, "2017-07-01"));
    changes.sort_by_key(|(number, .., since)| (*since, *number));
    changes
}

#[test]
fn the_group_and_forty_one_enterprises_of_no_group_met() {
    let world = meeting();
    let kinds = world.kinds(world.size(), day("2016-09-29"));
    assert_eq!(kinds["INDEPENDENT"], 41);
    assert_eq!(kinds["INDEPENDENT"] + 1, 42, "with the group");
    assert_eq!(kinds["ALL"], 49);
    let statuses = world.statuses(world.size(), day("2016-09-29"));
    assert_eq!(statuses["NOT_COVERED"], 41);
    assert_eq!(statuses["COVERED"], 8);
}

#[test]
fn coverage_is_right_the_day_before_and_the_day_of_each_change() {
    let mut world = meeting();
    for (number, kind, group, since) in changes() {
        world.affiliate(number, kind, group, since, since);
    }
    let size = world.size();
    let dates: std::collections::BTreeSet<&str> = changes().iter().map(|it| it.3).collect();
    for date in dates {
        let on = day(date);
        let before = Day::of(TimeMs::of(on.begin().get() - 1));
        for asked in [before, on, on.next()] {
            let count = |wanted: &[AffiliationKind]| {
                let all = changes();
                let in_force = all
                    .iter()
                    .filter(|(_, kind, _, since)| day(since) <= asked && wanted.contains(kind));
                in_force.count()
            };
            let golden = count(&[AffiliationKind::GoldenShare]);
            let deregistered = count(&[AffiliationKind::Deregistered]);
            let exited = count(&[AffiliationKind::Exited]);
            let statuses = world.statuses(size, asked);
            let of = |name: &str| statuses.get(name).copied().unwrap_or_default();
            assert_eq!(of("COVERED"), 8 + golden, "{asked}");
            assert_eq!(of("DEREGISTERED"), deregistered, "{asked}");
            assert_eq!(of("EXITED"), exited, "{asked}");
            assert_eq!(of("NOT_COVERED"), 41 - golden - deregistered - exited, "{asked}");
            assert_eq!(statuses.values().sum::<usize>(), 49, "{asked}");
        }
    }
    // The outcome as reported.
    let kinds = world.kinds(size, day("2017-12-31"));
    assert_eq!(kinds["GOLDEN_SHARE"], 22);
    let of_a_group = ["GOLDEN_SHARE", "EQUITY", "COOPERATION_AGREEMENT"];
    assert_eq!(of_a_group.iter().map(|kind| kinds[*kind]).sum::<i128>(), 30);
    assert_eq!(kinds["DEREGISTERED"], 3);
    assert_eq!(kinds["DEREGISTERED"] + kinds["EXITED"], 4);
}

#[test]
fn what_is_recorded_late_is_not_known_before_and_known_of_the_same_day_afterwards() {
    let mut world = meeting();
    let before = world.size();
    // Recorded two months after it began.
    world.affiliate(5, AffiliationKind::GoldenShare, Some(GROUP), "2016-12-01", "2017-02-03");
    let after = world.size();
    let place = |size, on| {
        let (table, _) = world.tables_of(size, on);
        let row = table.rows.iter().find(|row| row[0].value == Value::Party(party(5))).unwrap();
        let column = |name| row[table.column(name).unwrap()].value.clone();
        (code(&column("status")), column("since"), column("group"), column("entry"))
    };
    let (status, ..) = place(before, day("2016-12-01"));
    assert_eq!(status, "NOT_COVERED", "nobody had said so");
    let (status, since, group, entry) = place(after, day("2016-12-01"));
    assert_eq!(status, "COVERED");
    assert_eq!(since, Value::Date(day("2016-12-01")));
    assert_eq!(group, Value::Party(party(GROUP)));
    assert_eq!(entry, Value::Entry(EntryIndex(after.0 - 1)));
    let (status, ..) = place(after, day("2016-11-30"));
    assert_eq!(status, "NOT_COVERED", "the day before it began");
}

#[test]
fn who_acted_is_active_and_who_did_not_is_silent() {
    let mut world = meeting();
    let seen = || {
        let seen = urbanmine::domain::event::AcknowledgeAnomaly {
            anomaly: "A5-1-0".to_owned(),
            note: String::new(),
        };
        Body::AcknowledgeAnomaly(seen)
    };
    world.record(7, "2016-10-01", seen());
    world.record(7, "2016-10-20", seen());
    let activity = |on: &str| {
        let (table, _) = world.tables_of(world.size(), day(on));
        let row = table.rows.iter().find(|row| row[0].value == Value::Party(party(7))).unwrap();
        let column = |name| row[table.column(name).unwrap()].clone();
        let acts = column("acts");
        let behind = entries_behind(&world.book, table.as_of, acts.figure.as_ref().unwrap());
        assert_eq!(Value::Count(behind.iter().map(|(_, it)| it).sum()), acts.value, "{on}");
        (code(&column("activity").value), acts.value)
    };
    let rows = [
        ("2016-09-30", "SILENT", 0),
        ("2016-10-01", "ACTIVE", 1),
        ("2016-10-20", "ACTIVE", 2),
        ("2016-10-30", "ACTIVE", 2),
        ("2016-10-31", "ACTIVE", 1),
        ("2016-11-18", "ACTIVE", 1),
        ("2016-11-19", "SILENT", 0),
    ];
    for (on, expected, acts) in rows {
        assert_eq!(activity(on), (expected.to_owned(), Value::Count(acts)), "{on}");
    }
}

#[test]
fn an_affiliation_with_an_end_ends() {
    let mut world = meeting();
    let affiliation = Affiliation {
        id: AffiliationId::from_bytes(bytes(4, 9_999)),
        kind: AffiliationKind::Equity,
        group: Some(party(GROUP)),
        validity: until("2016-10-05", "2016-10-08"),
    };
    let body = Body::RegisterAffiliation(party(9), affiliation);
    world.record(COORDINATOR, "2016-10-05", body);
    let covered = |on| world.statuses(world.size(), day(on))["COVERED"];
    let counts = ["2016-10-04", "2016-10-05", "2016-10-07", "2016-10-08"].map(covered);
    assert_eq!(counts, [8, 9, 9, 8]);
}
