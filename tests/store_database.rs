//! The database: what is written is read back, twice is once, and the tree is the tree.
#![allow(clippy::unwrap_used, reason = "tests")]

mod store_support;

use std::sync::Arc;

use proptest::prelude::*;
use store_support::{
    House, chain, checkpoint, commit, entry, group, groups, leaves, write, write_retracting,
    write_seen,
};
use urbanmine::domain::effects::LedgerState;
use urbanmine::domain::lot::{
    Contents, EventRecord, Life, Lot, LotStatus, Tally, Transfer, TransferStatus,
};
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::movement::Movement;
use urbanmine::domain::party::{KeyState, Party, PartyState, Site};
use urbanmine::domain::sight::{EntrySight, Kinship, Sight, Turn};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{
    CustodyModel, EventKind, OriginKind, OriginKinds, TransferScope,
};
use urbanmine::domain::waiver::WaiverState;
use urbanmine::domain::{
    EntryCount, EntryIndex, EventId, Grams, Hash32, KeyId, LotId, PartyId, PublicKey, SiteId,
    TimeMs, View,
};
use urbanmine::ledger::hash::{ChainValue, leaf_hash, node_hash};
use urbanmine::ledger::tree::NodeSource;
use urbanmine::store::{DatabaseState, LotQuery, Store, StoreFault};

fn event_id(n: u8) -> EventId {
    EventId::from_bytes([n; 16])
}

fn lot_id(n: u8) -> LotId {
    LotId::from_bytes([n; 16])
}

fn party_id(n: u8) -> PartyId {
    PartyId::from_bytes([n; 16])
}

fn site_id(n: u8) -> SiteId {
    SiteId::from_bytes([n; 16])
}

fn lot(n: u8, owner: u8, possessor: u8) -> Lot {
    Lot {
        id: lot_id(n),
        material: if n.is_multiple_of(2) { "CU" } else { "AL" }.to_owned(),
        form: "WIRE".to_owned(),
        origin_kinds: OriginKinds::of(OriginKind::PostConsumer),
        custody_model: CustodyModel::Segregated,
        grades: vec![],
        owner: party_id(owner),
        possessor: party_id(possessor),
        site: site_id(possessor),
        origin_region: String::new(),
        invoice_class: None,
        born_at: EntryIndex(1),
        born_by: event_id(n),
        born_occurred_at: TimeMs::of(1),
        moved_at: EntryIndex(0),
        initial_mass: Grams::of(10),
        remaining: Grams::of(if n == 4 { 0 } else { 10 }),
        reserved: Grams::ZERO,
        contents: Contents::default(),
        assayed_by: None,
        holds: vec![],
        ended: None,
        tally: Tally::default(),
        has_earned: false,
        approvals: vec![],
        grants: vec![],
        retracted_by: None,
        last_occurred_at: TimeMs::of(1),
        life: Life { count: 1, last: EntryIndex(1) },
    }
}

fn record(n: u8, index: u64) -> EventRecord {
    EventRecord {
        id: event_id(n),
        index: EntryIndex(index),
        payload_hash: Hash32([n; 32]),
        kind: EventKind::CollectLot,
        actor: party_id(1),
        occurred_at: TimeMs::of(1),
        flags: vec![],
        deltas: vec![],
        corrected_by: None,
    }
}

fn movement(n: u8, index: u64) -> Movement {
    Movement {
        index: EntryIndex(index),
        event: event_id(n),
        kind: EventKind::CollectLot,
        draws: vec![],
        births: vec![],
        output_count: 0,
        uptake: Grams::ZERO,
        loss: Grams::ZERO,
        assay: None,
        campaign: None,
        stock: None,
        gained: None,
    }
}

fn party(n: u8) -> PartyState {
    let record = Party {
        id: party_id(n),
        credit_code: format!("CODE{n}"),
        name_zh: "甲".to_owned(),
        name_en: "A".to_owned(),
        roles: vec![],
        credit_code_waiver: None,
    };
    let mut state = PartyState::new(record, EntryIndex(0));
    state.keys = vec![KeyId([n; 32]), KeyId([n + 100; 32])];
    state
}

fn key(n: u8, party: u8) -> KeyState {
    KeyState {
        id: KeyId([n; 32]),
        public_key: PublicKey([n; 32]),
        party: party_id(party),
        validity: Validity { from: TimeMs::of(0), to: None },
        registered_at: EntryIndex(0),
        revoked: None,
    }
}

fn site(n: u8, party: u8) -> Site {
    Site {
        id: site_id(n),
        party: party_id(party),
        name_zh: "乙".to_owned(),
        name_en: "B".to_owned(),
        region_code: "360704".to_owned(),
        base: String::new(),
        processes: vec![],
        yearly_capacity: Grams::ZERO,
    }
}

fn waiver() -> WaiverState {
    WaiverState {
        reason_code: "CODE".to_owned(),
        subject: "1".to_owned(),
        event: event_id(1),
        index: EntryIndex(1),
        validity: Validity { from: TimeMs::of(0), to: None },
    }
}

fn transfer(n: u8) -> Transfer {
    Transfer {
        offer: event_id(n),
        lot: lot_id(1),
        mass: Grams::of(3),
        is_whole_lot: false,
        sender: party_id(1),
        consignee: party_id(2),
        consignee_site: None,
        scope: TransferScope::Ownership,
        from_site: site_id(1),
        invoice_class: None,
        bought_class: None,
        offered_at: EntryIndex(1),
        occurred_at: TimeMs::of(1),
        approval: None,
        status: TransferStatus::Open,
        refused: Grams::ZERO,
        arrived: None,
        returns: None,
    }
}

/// One of everything.
fn everything() -> MemoryState {
    let mut state = MemoryState {
        ledger: Some(LedgerState {
            origin: store_support::origin(),
            ledger_key: store_support::KEY,
            former_ledger_keys: vec![],
            rules_version: 1,
            tables_hash: Hash32([1; 32]),
            are_tables_published: false,
            publishing: Some((Hash32([1; 32]), 0, 2)),
            expected_correctives: vec![],
            corrected_occurred_at: TimeMs::of(0),
        }),
        ..MemoryState::default()
    };
    for n in 1..4 {
        state.parties.insert(party_id(n), Arc::new(party(n)));
        state.credit_codes.insert(format!("CODE{n}"), party_id(n));
        state.sites.insert(site_id(n), Arc::new(site(n, n.min(2))));
        for key in [key(n, n), key(n + 100, n)] {
            state.keys.insert(key.id, key);
        }
    }
    for n in 1..10 {
        state.lots.insert(lot_id(n), Box::new(lot(n, n % 3 + 1, n % 2 + 1)));
        state.events.insert(event_id(n), Box::new(record(n, n.into())));
        state.lives.insert((lot_id(n), 0), event_id(n));
        state.movements.insert(EntryIndex(n.into()), movement(n, n.into()));
    }
    state.lives.insert((lot_id(1), 1), event_id(7));
    state.lots.get_mut(&lot_id(1)).unwrap().life.count = 2;
    state.transfers.insert(event_id(5), transfer(5).into());
    state.waivers.insert(("CODE".to_owned(), "1".to_owned()), waiver());
    state.table_chunks.insert((Hash32([1; 32]), 0), vec![9; 40_000]);
    state
}

/// Every answer of the view about the things of a state.
fn assert_view_equals(store: &Store, state: &MemoryState) {
    assert_eq!(View::ledger(store).unwrap(), state.ledger);
    for (id, party) in &state.parties {
        assert_eq!(store.party(*id).unwrap().as_ref(), Some(party));
    }
    for (code, party) in &state.credit_codes {
        assert_eq!(store.party_of_credit_code(code).unwrap(), Some(*party));
    }
    for (id, site) in &state.sites {
        assert_eq!(store.site(*id).unwrap().as_ref(), Some(site));
    }
    for (id, key) in &state.keys {
        assert_eq!(store.key(*id).unwrap().as_ref(), Some(key));
    }
    for ((reason_code, subject), waiver) in &state.waivers {
        let found = store.waiver(reason_code, subject).unwrap();
        assert_eq!(found.as_ref(), Some(waiver));
    }
    for (id, lot) in &state.lots {
        assert_eq!(store.lot(*id).unwrap().as_ref(), Some(lot.as_ref()));
    }
    for (id, transfer) in &state.transfers {
        assert_eq!(store.transfer(*id).unwrap().as_ref(), Some(transfer.as_ref()));
    }
    for (id, event) in &state.events {
        assert_eq!(store.event(*id).unwrap().as_ref(), Some(event.as_ref()));
    }
    for ((lot, ordinal), event) in &state.lives {
        assert_eq!(View::life(store, *lot, *ordinal).unwrap(), Some(*event));
    }
    for (index, movement) in &state.movements {
        assert_eq!(store.movement(*index).unwrap().as_ref(), Some(movement));
    }
    for ((set, chunk), bytes) in &state.table_chunks {
        assert_eq!(store.table_chunk(*set, *chunk).unwrap().as_ref(), Some(bytes));
    }
}

#[test]
fn the_view_answers_what_was_written_also_after_a_restart() {
    let house = House::new();
    let store = house.create();
    let state = everything();
    let nobody = party_id(200);
    assert_eq!(View::ledger(&store).unwrap(), None);
    store.journal_append(&group(0, 10)).unwrap();
    write(&store, &group(0, 10), &state).unwrap();
    assert_view_equals(&store, &state);
    assert_eq!(store.party(nobody).unwrap(), None);
    assert_eq!(store.party_of_credit_code("CODE").unwrap(), None);
    assert_eq!(store.movement(EntryIndex(0)).unwrap(), None);
    assert_eq!(store.life(lot_id(1)).unwrap(), [EntryIndex(1), EntryIndex(7)]);
    assert_eq!(store.life(lot_id(99)).unwrap(), []);
    store.sync().unwrap();
    drop(store);
    let store = house.open();
    assert_view_equals(&store, &state);
    assert_eq!(store.chain_at_head().unwrap(), chain(&group(0, 10)));
}

#[test]
fn entries_and_checkpoints_are_found_wherever_their_group_ends() {
    let house = House::new();
    let store = house.create();
    let counts = [1, 2, 200, 1, 64, 65, 5];
    for group in groups(&counts) {
        commit(&store, &group).unwrap();
    }
    let total: u64 = counts.iter().sum();
    assert_eq!(store.applied(), EntryCount(total));
    let ends: Vec<u64> = groups(&counts).iter().map(|group| group.end().0).collect();
    for index in 0..total {
        assert_eq!(store.entry(EntryIndex(index)).unwrap(), Some(entry(index)));
        let end = *ends.iter().find(|end| **end > index).unwrap();
        let found = store.checkpoint_covering(EntryIndex(index)).unwrap();
        assert_eq!(found, Some((EntryCount(end), checkpoint(end))));
    }
    for (from, max) in [(0, 338), (0, 1_000), (2, 1), (150, 100), (337, 5), (100, 0)] {
        let expected: Vec<_> = (from..total).take(max).map(entry).collect();
        assert_eq!(store.entries(EntryIndex(from), max).unwrap(), expected, "{from} {max}");
    }
    assert_eq!(store.entry(EntryIndex(total)).unwrap(), None);
    assert_eq!(store.checkpoint_covering(EntryIndex(total)).unwrap(), None);
    assert_eq!(store.latest_checkpoint().unwrap().unwrap(), (EntryCount(total), checkpoint(total)));
}

#[test]
fn the_largest_entries_are_packed_and_found() {
    let house = House::new();
    let store = house.create();
    let large = |index: u64| bytes::Bytes::from(vec![u8::try_from(index + 1).unwrap(); 65_535]);
    let group = urbanmine::store::Group { entries: (0..100).map(large).collect(), ..group(0, 1) };
    commit(&store, &group).unwrap();
    store.sync().unwrap();
    drop(store);
    let store = house.open();
    assert_eq!(store.entries(EntryIndex(0), 100).unwrap(), group.entries);
    assert_eq!(store.compare_with_journal(EntryIndex(0)).unwrap(), EntryCount(100));
}

#[test]
fn a_group_written_twice_is_written_once() {
    let house = House::new();
    let store = house.create();
    let state = everything();
    write(&store, &group(0, 10), &state).unwrap();
    let mut later = MemoryState::default();
    later.lots.insert(lot_id(1), Box::new(Lot { remaining: Grams::of(1), ..lot(1, 2, 2) }));
    write(&store, &group(10, 1), &later).unwrap();
    // Again, with what was true then: what is true now stays.
    write(&store, &group(0, 10), &state).unwrap();
    assert_eq!(store.lot(lot_id(1)).unwrap().unwrap().remaining, Grams::of(1));
    assert_eq!(store.applied(), EntryCount(11));
    let mut other = group(0, 10);
    other.entries[4] = entry(99);
    let fault = write(&store, &other, &state).unwrap_err();
    let is_named = matches!(fault, StoreFault::Disagreement { index: EntryIndex(4), .. });
    assert!(is_named, "{fault}");
    assert!(store.is_poisoned());
}

#[test]
fn a_group_that_does_not_follow_is_refused_without_effect() {
    let house = House::new();
    let store = house.create();
    write(&store, &group(0, 3), &MemoryState::default()).unwrap();
    for (first, count) in [(4, 1), (2, 2)] {
        let fault = write(&store, &group(first, count), &MemoryState::default()).unwrap_err();
        assert!(matches!(fault, StoreFault::Order { .. }), "{fault}");
    }
    let fault = store.write_checkpoint(EntryCount(4), b"x").unwrap_err();
    assert!(matches!(fault, StoreFault::Order { .. }), "{fault}");
    write(&store, &group(3, 1), &MemoryState::default()).unwrap();
}

#[test]
fn a_checkpoint_is_never_replaced() {
    let house = House::new();
    let store = house.create();
    write(&store, &group(0, 3), &MemoryState::default()).unwrap();
    store.write_checkpoint(EntryCount(3), &checkpoint(3)).unwrap();
    store.write_checkpoint(EntryCount(3), &checkpoint(3)).unwrap();
    let fault = store.write_checkpoint(EntryCount(3), &checkpoint(4)).unwrap_err();
    assert!(matches!(fault, StoreFault::Disagreement { .. }), "{fault}");
}

#[test]
fn a_retracted_movement_is_gone_also_within_its_group() {
    let house = House::new();
    let store = house.create();
    let state = everything();
    write_retracting(&store, &group(0, 10), &state, &[EntryIndex(3)]).unwrap();
    assert_eq!(store.movement(EntryIndex(3)).unwrap(), None);
    let none = MemoryState::default();
    write_retracting(&store, &group(10, 1), &none, &[EntryIndex(4), EntryIndex(8)]).unwrap();
    for index in 1..10 {
        let is_gone = [3, 4, 8].contains(&index);
        assert_eq!(store.movement(EntryIndex(index)).unwrap().is_none(), is_gone, "{index}");
    }
}

#[test]
fn pages_of_lots_hold_what_was_asked_for() {
    let house = House::new();
    let store = house.create();
    let state = everything();
    write(&store, &group(0, 10), &state).unwrap();
    let mut moved = MemoryState::default();
    moved.lots.insert(lot_id(1), Box::new(lot(1, 3, 1)));
    moved.lots.insert(lot_id(2), Box::new(lot(2, 3, 2)));
    write(&store, &group(10, 1), &moved).unwrap();
    let mut lots = state.lots;
    lots.extend(moved.lots);

    let all = LotQuery::default();
    let by_owner = |n| LotQuery { owner: Some(party_id(n)), ..LotQuery::default() };
    let by_holder = |n| LotQuery { possessor: Some(party_id(n)), ..LotQuery::default() };
    let queries = [
        all.clone(),
        by_owner(1),
        by_owner(2),
        by_owner(3),
        by_owner(9),
        by_holder(1),
        by_holder(2),
        LotQuery { possessor: Some(party_id(1)), ..by_owner(3) },
        LotQuery { site: Some(site_id(2)), ..all.clone() },
        LotQuery { material: Some("CU".to_owned()), ..by_owner(3) },
        LotQuery { status: Some(LotStatus::Consumed), ..all },
    ];
    for query in queries {
        let is_asked = |lot: &&Lot| {
            query.owner.is_none_or(|it| lot.owner == it)
                && query.possessor.is_none_or(|it| lot.possessor == it)
                && query.site.is_none_or(|it| lot.site == it)
                && query.material.as_ref().is_none_or(|it| lot.material == *it)
                && query.status.is_none_or(|it| lot.status() == it)
        };
        let all = lots.values().map(AsRef::as_ref);
        let expected: Vec<Lot> = all.filter(is_asked).cloned().collect();
        for limit in [1, 2, 100] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = store.lots(&query, after, limit).unwrap();
                assert!(page.items.len() <= limit);
                found.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{query:?} by {limit}");
        }
    }
}

#[test]
fn a_party_finds_its_own_rows_and_no_others() {
    let house = House::new();
    let store = house.create();
    let came = |n: u8, of: u8| {
        let turn = Turn::Came(Grams::of(u64::from(of)));
        Sight { party: party_id(n), lot: lot_id(of), turn }
    };
    let sight = |index: u64, concerned: &[u8], sights: Vec<Sight>| EntrySight {
        index: EntryIndex(index),
        concerned: concerned.iter().map(|n| party_id(*n)).collect(),
        acquainted: concerned.windows(2).map(|it| (party_id(it[0]), party_id(it[1]))).collect(),
        sights,
    };
    let gone = Turn::Left(Box::new(lot(1, 1, 1)));
    let left = Sight { party: party_id(1), lot: lot_id(1), turn: gone };
    let kin = Turn::Kin(Kinship::Up, party_id(1));
    let up = Sight { party: party_id(2), lot: lot_id(3), turn: kin };
    let first = [
        sight(0, &[1], vec![came(1, 1), came(1, 2)]),
        sight(1, &[1, 2], vec![came(2, 1), left, up]),
    ];
    let second = [sight(2, &[2], vec![]), sight(3, &[1, 2, 3], vec![came(1, 1)])];
    let none = MemoryState::default();
    write_seen(&store, &group(0, 2), &none, &[], &first).unwrap();
    write_seen(&store, &group(2, 2), &none, &[], &second).unwrap();

    let indexes = |n: u8, from: u64, max: usize| -> Vec<u64> {
        let found = store.concerning(party_id(n), EntryIndex(from), max).unwrap();
        found.into_iter().map(|index| index.0).collect()
    };
    assert_eq!(indexes(1, 0, 9), [0, 1, 3]);
    assert_eq!(indexes(1, 1, 1), [1]);
    assert_eq!(indexes(2, 2, 9), [2, 3]);
    assert!(indexes(4, 0, 9).is_empty());
    assert!(store.concerns(party_id(3), EntryIndex(3)).unwrap());
    assert!(!store.concerns(party_id(3), EntryIndex(2)).unwrap());

    let lots = |n: u8, after: Option<u8>, max: usize| -> Vec<LotId> {
        let found = store.related_lots(party_id(n), after.map(lot_id), max).unwrap();
        found.into_iter().map(|(lot, _)| lot).collect()
    };
    assert_eq!(lots(1, None, 9), [lot_id(1), lot_id(2)]);
    assert_eq!(lots(1, Some(1), 9), [lot_id(2)]);
    assert_eq!(lots(2, None, 1), [lot_id(1)]);
    let relation = store.relation(party_id(1), lot_id(1)).unwrap().unwrap();
    assert_eq!(relation.left, Some(lot(1, 1, 1)), "an earlier group's, kept by a later one");
    let relation = store.relation(party_id(2), lot_id(3)).unwrap().unwrap();
    assert_eq!(relation.kin, Some((Kinship::Up, party_id(1))));
    assert_eq!(relation.arrived, None);
    assert_eq!(store.relation(party_id(3), lot_id(1)).unwrap(), None);

    let known = |n: u8| store.acquaintances(party_id(n), None, 9).unwrap();
    assert_eq!(known(2), [party_id(1), party_id(3)]);
    assert_eq!(known(3), [party_id(2)]);
    assert_eq!(store.acquaintances(party_id(2), Some(party_id(1)), 9).unwrap(), [party_id(3)]);
    assert!(store.are_acquainted(party_id(1), party_id(2)).unwrap());
    assert!(!store.are_acquainted(party_id(1), party_id(3)).unwrap());
}

#[test]
fn pages_of_the_registry() {
    let house = House::new();
    let store = house.create();
    write(&store, &group(0, 10), &everything()).unwrap();
    let first = store.parties(None, 2).unwrap();
    assert_eq!(first.items, [party(1), party(2)]);
    let rest = store.parties(first.next, 2).unwrap();
    assert_eq!((rest.items, rest.next), (vec![party(3)], None));
    assert_eq!(store.sites(Some(party_id(2)), None, 9).unwrap().items, [site(2, 2), site(3, 2)]);
    assert_eq!(store.sites(None, Some(site_id(1)), 1).unwrap().items, [site(2, 2)]);
    assert_eq!(store.keys_of(party_id(2)).unwrap(), [key(2, 2), key(102, 2)]);
    assert_eq!(store.keys_of(party_id(50)).unwrap(), []);
}

/// The root over leaves of a complete subtree, by the definition of RFC 6962.
fn naive(leaves: &[Hash32]) -> Hash32 {
    if let [one] = leaves {
        return *one;
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    node_hash(&naive(left), &naive(right))
}

fn assert_nodes(store: &Store, total: u64) {
    let leaves: Vec<Hash32> = (0..total).map(|index| leaf_hash(&entry(index))).collect();
    let tree = store.tree();
    for level in 0..17_u8 {
        let count = total >> level;
        let nearby = [0, 1, count / 2, count.saturating_sub(2), count.saturating_sub(1)];
        for index in nearby.into_iter().filter(|index| *index < count) {
            let start = usize::try_from(index << level).unwrap();
            let expected = naive(&leaves[start..start + (1 << level)]);
            assert_eq!(tree.node(level, index).unwrap(), expected, "{level} {index} of {total}");
            assert_eq!(store.node(level, index).unwrap(), expected);
        }
        let beyond = tree.node(level, count).unwrap_err();
        assert!(matches!(beyond, StoreFault::Database { .. }), "{beyond}");
    }
    assert!(tree.node(64, 0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn nodes_are_those_of_a_naive_tree(
        counts in proptest::collection::vec(
            prop_oneof![1..4_u64, 200..300_u64, 255..258_u64],
            1..12,
        ),
    ) {
        let house = House::new();
        let store = house.create();
        let none = MemoryState::default();
        for group in groups(&counts) {
            write(&store, &group, &none).unwrap();
        }
        assert_nodes(&store, counts.iter().sum());
    }
}

#[test]
fn nodes_of_three_row_levels() {
    let house = House::new();
    let store = house.create();
    let none = MemoryState::default();
    for group in groups(&[1_000; 66]) {
        write(&store, &group, &none).unwrap();
    }
    assert_nodes(&store, 66_000);
}

#[test]
fn a_reader_of_the_tree_sees_it_grow() {
    let house = House::new();
    let store = house.create();
    let none = MemoryState::default();
    write(&store, &group(0, 3), &none).unwrap();
    let tree = store.tree();
    assert_eq!(tree.node(0, 2).unwrap(), leaves(&group(0, 3))[2]);
    assert!(tree.node(2, 0).is_err());
    write(&store, &group(3, 1), &none).unwrap();
    assert_eq!(tree.node(2, 0).unwrap(), naive(&leaves(&group(0, 4))));
}

#[test]
fn an_empty_store_answers_nothing() {
    let store = House::new().create();
    assert_eq!(store.applied(), EntryCount(0));
    assert_eq!(store.chain_at_head().unwrap(), ChainValue::START);
    assert_eq!(store.latest_checkpoint().unwrap(), None);
    assert_eq!(store.entry(EntryIndex(0)).unwrap(), None);
    assert_eq!(store.compare_with_journal(EntryIndex(0)).unwrap(), EntryCount(0));
    assert!(store.lots(&LotQuery::default(), None, 10).unwrap().items.is_empty());
}

#[test]
fn a_lost_or_damaged_database_is_made_again_from_the_journal() {
    let house = House::new();
    let store = house.create();
    let written = groups(&[5, 300, 2]);
    for group in &written {
        commit(&store, group).unwrap();
    }
    store.sync().unwrap();
    let root = store.node(8, 0).unwrap();
    drop(store);

    let sled = house.config.data.join("sled");
    let mut log = std::fs::read(sled.join("db")).unwrap();
    let half = log.len() / 2;
    log[..half].fill(0x5A);
    std::fs::write(sled.join("db"), log).unwrap();
    std::fs::write(sled.join("conf"), b"no configuration at all").unwrap();
    assert!(urbanmine::store::Store::open(&house.config).is_err());

    let opened = Store::open_rebuilding(&house.config).unwrap();
    let (store, tail) = (opened.store, opened.tail);
    assert_eq!((tail.applied.0, tail.journaled.0), (0, 307));
    assert_eq!(tail.database, DatabaseState::Created);
    assert!(tail.database_set_aside.unwrap().ends_with("sled.lost-1"));
    for replayed in store.journal_read(EntryIndex(0)).unwrap() {
        write(&store, &replayed.unwrap(), &MemoryState::default()).unwrap();
    }
    assert_eq!(store.node(8, 0).unwrap(), root);
    assert_eq!(store.compare_with_journal(EntryIndex(0)).unwrap(), EntryCount(307));
    // Checkpoints of earlier groups come back with the groups after them; the last is signed again.
    assert_eq!(store.latest_checkpoint().unwrap().unwrap().0, EntryCount(305));
}
