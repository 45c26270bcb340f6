//! How many entries a lot has is stated by the ledger, found wrong by the judge where it is wrong,
//! and proven to a stranger: a story that leaves out or adds an entry is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod common {
    pub mod node_kit;
}
#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::node_kit::{self, Kit, signed};
use forge::{Forge, LEDGER};
use urbanmine::domain::event::{HoldLot, ReleaseLot};
use urbanmine::domain::vocabulary::HoldReason;
use urbanmine::domain::{Body, EntryCount, EntryIndex, Event, Hash32, LotId};
use urbanmine::ledger::lot_map::{
    EMPTY_MAP, LotKey, LotState, MapTile, TilePath, TileSource, map_branch, map_leaf, prove_lot,
    update_map,
};
use urbanmine::ledger::{Entry, EntryKind, Envelope, LotFile, ProvenEntry};
use urbanmine::limits::MAX_GROUP_ENTRIES;
use urbanmine::node::{AppendError, LotStatePolicy, Node, NodeConfig, NodeFault};
use urbanmine::store::faults::FaultPoint;
use urbanmine::store::{Group, Store, StoreConfig, StoreFault};
use urbanmine::verify::{FindingKind as Kind, LotReport, LotStanding, Pins, Verdict, verify_lot};
use urbanmine::wire::decode_statement;
use urbanmine::wire::statement::StatementBody;

const EVERY_8: LotStatePolicy =
    LotStatePolicy { every_entries: 8, wait: Duration::from_secs(3_600) };

fn pins() -> Pins {
    let ledger_key = Some(node_kit::ledger_key().public_key());
    Pins { origin: Some(node_kit::origin()), ledger_key }
}

/// What each statement of the lots in a ledger says: index, size, root.
fn statements(node: &Node) -> Vec<(u64, EntryCount, Hash32)> {
    let entries = node.reader().entries(EntryIndex(0), 100_000).unwrap();
    let said = entries.into_iter().filter_map(|(index, bytes)| {
        let entry = Entry::parse(&bytes).unwrap();
        let envelope = Envelope::parse(&entry.envelope).unwrap();
        if entry.kind == EntryKind::Event {
            return None;
        }
        match decode_statement(&envelope.payload).unwrap().body {
            StatementBody::LotStateRoot { size, root } => Some((index.0, size, root)),
            _ => None,
        }
    });
    said.collect()
}

/// The states of all lots, as the links of the entries before an index say.
fn states_before(node: &Node, end: u64) -> BTreeMap<LotId, LotState> {
    let mut states = BTreeMap::new();
    for (index, bytes) in node.reader().entries(EntryIndex(0), 100_000).unwrap() {
        for link in Entry::parse(&bytes).unwrap().links.iter().filter(|_| index.0 < end) {
            let entry_count = u64::from(link.ordinal) + 1;
            states.insert(link.lot, LotState { entry_count, last: index });
        }
    }
    states
}

/// FORMAT.md, section 18, word by word.
fn defined(lots: &[(LotKey, LotState)], at: usize) -> Hash32 {
    match lots {
        [] => EMPTY_MAP,
        [(key, state)] => map_leaf(key, state),
        more => {
            let (right, left): (Vec<_>, Vec<_>) =
                more.iter().partition(|(key, _)| key.is_right(at));
            map_branch(&defined(&left, at + 1), &defined(&right, at + 1))
        }
    }
}

fn root_of(states: &BTreeMap<LotId, LotState>) -> Hash32 {
    let all: Vec<_> = states.iter().map(|(lot, state)| (LotKey::of(*lot), *state)).collect();
    defined(&all, 0)
}

fn check_statements(node: &Node) {
    for (index, size, root) in statements(node) {
        assert_eq!(size, EntryCount(index));
        assert_eq!(root, root_of(&states_before(node, index)), "statement {index}");
    }
}

/// Every lot that a ledger has is proven, and one that it has not.
fn check_proofs(node: &Node) {
    let (last, ..) = *statements(node).last().unwrap();
    let states = states_before(node, last);
    assert!(!states.is_empty());
    for (lot, state) in states {
        let proof = node.reader().lot_state_proof(lot).unwrap().unwrap();
        let report = verify_lot(proof.encode().as_bytes(), Some(lot), &[], &pins());
        assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
        assert_eq!(report.standing, Some(LotStanding::Present(state)));
        assert_eq!(report.as_of, Some(EntryCount(last)));
    }
    let nobody = LotId::from_bytes(node_kit::uuid(77_777));
    let proof = node.reader().lot_state_proof(nobody).unwrap().unwrap();
    let report = verify_lot(proof.encode().as_bytes(), Some(nobody), &[], &pins());
    assert_eq!((report.verdict, report.standing), (Verdict::Verified, Some(LotStanding::Absent)));
}

fn collected(event: &Event) -> LotId {
    match &event.body {
        Body::CollectLot(it) => it.lot.id,
        other => panic!("{other:?}"),
    }
}

fn held(kit: &mut Kit, lot: LotId) -> Event {
    let authority = "notice 7".to_owned();
    let body = HoldLot { lot, reason: HoldReason::ALL[0], authority };
    kit.event(node_kit::COORD, Body::HoldLot(body))
}

/// A ledger with a lot of five entries among others; stated at its end.
async fn with_story() -> (Kit, Node, LotId) {
    let (mut kit, node, _) = founded().await;
    let born = kit.copper();
    let lot = collected(&born);
    kit.append(&node, &born).await;
    for _ in 0..2 {
        let hold = held(&mut kit, lot);
        kit.append(&node, &hold).await;
        let other = kit.copper();
        kit.append(&node, &other).await;
        let body = Body::ReleaseLot(ReleaseLot { lot, hold: hold.id, note: String::new() });
        let release = kit.event(node_kit::COORD, body);
        kit.append(&node, &release).await;
    }
    node.shutdown().await;
    drop(node);
    let node = kit.open();
    (kit, node, lot)
}

/// The proof of a lot with all of its entries, as the command line puts it together.
fn file_of(node: &Node, lot: LotId) -> LotFile {
    let reader = node.reader();
    let state = reader.lot_state_proof(lot).unwrap().unwrap();
    let size = EntryCount(state.statement.index.next().0);
    let life = reader.life(lot).unwrap().into_iter();
    let proven = life.map(|(index, _)| ProvenEntry {
        entry: reader.entry(index).unwrap().unwrap(),
        proof: reader.inclusion_proof(index, size).unwrap().unwrap(),
    });
    LotFile { state, story: Some(proven.collect()) }
}

fn judged(file: &LotFile) -> LotReport {
    verify_lot(file.encode().as_bytes(), None, &[], &pins())
}

#[track_caller]
fn refused(file: &LotFile, kind: Kind) {
    let report = judged(file);
    assert_eq!(report.verdict, Verdict::Tampered, "{:?}", report.findings);
    assert_eq!(report.findings[0].kind, kind, "{:?}", report.findings);
    assert_eq!(report.story, None);
}

// --- a node --------------------------------------------------------------------------------------

/// A node that states its lots every eight entries, with its founding: so many entries.
async fn founded() -> (Kit, Node, u64) {
    let mut kit = Kit::empty();
    kit.lot_state = EVERY_8;
    let node = kit.init().unwrap();
    let founding = kit.founding();
    kit.append_batch(&node, &founding).await;
    let entries = 1 + founding.len() as u64;
    (kit, node, entries)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_states_its_lots_as_often_as_it_is_told() {
    let (mut kit, node, founding) = founded().await;
    let mut appended = founding;
    for _ in 0..20 {
        let event = kit.copper();
        kit.append(&node, &event).await;
        appended += 1;
    }
    node.shutdown().await;
    drop(node);
    let node = kit.open();
    let said = statements(&node);
    assert_eq!(node.reader().size().0, appended + said.len() as u64, "nothing else was added");
    // At most 8 entries come between two, and the batch of the founding at once.
    let places: Vec<u64> = said.iter().map(|(index, ..)| *index).collect();
    assert_eq!(places[0], founding);
    assert!(places.windows(2).all(|two| two[1] - two[0] <= 9), "{places:?}");
    assert_eq!(places.last(), Some(&(node.reader().size().0 - 1)), "a clean stop leaves none open");
    check_statements(&node);
    check_proofs(&node);
    kit.verify_all(&node);
    kit.check_acknowledged(&node);
    node.shutdown().await;
    // Nothing came since, so nothing is stated again.
    drop(node);
    let node = kit.open();
    assert_eq!(statements(&node), said);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_entries_are_stated_when_they_have_waited() {
    let mut kit = Kit::empty();
    kit.lot_state = LotStatePolicy { every_entries: 1_000, wait: Duration::from_millis(700) };
    let node = kit.init().unwrap();
    let founding = kit.founding();
    kit.append_batch(&node, &founding).await;
    let event = kit.copper();
    kit.append(&node, &event).await;
    let began = Instant::now();
    while statements(&node).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is stated");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    check_statements(&node);
    check_proofs(&node);
    // Its own statement is nothing to state.
    let said = statements(&node);
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert_eq!(statements(&node), said);
    node.shutdown().await;
    kit.verify_all(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_told_to_states_nothing_and_can_begin_at_any_time() {
    let (mut kit, node) = Kit::new().await;
    let events = kit.mixed(30);
    kit.append_batch(&node, &events).await;
    assert_eq!(node.reader().lot_state_proof(collected(&events[0])).unwrap(), None);
    node.shutdown().await;
    drop(node);
    kit.lot_state = EVERY_8;
    let node = kit.open();
    assert_eq!(statements(&node).len(), 0);
    let event = kit.copper();
    kit.append(&node, &event).await;
    node.shutdown().await;
    drop(node);
    let node = kit.open();
    assert!(!statements(&node).is_empty());
    check_statements(&node);
    check_proofs(&node);
    kit.verify_all(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_database_has_the_same_map() {
    let (mut kit, node, lot) = with_story().await;
    let before = file_of(&node, lot);
    node.shutdown().await;
    drop(node);
    kit.rebuild().unwrap();
    let node = kit.open();
    assert_eq!(file_of(&node, lot), before);
    check_proofs(&node);
    // And it goes on from there.
    let more = kit.mixed(20);
    kit.append_batch(&node, &more).await;
    node.shutdown().await;
    drop(node);
    let node = kit.open();
    check_statements(&node);
    check_proofs(&node);
    kit.verify_all(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_is_never_empty_does_not_put_statements_off() {
    let (mut kit, node, _) = founded().await;
    wait_until(|| statements(&node).len() == 1, "the founding is never stated").await;
    // One is being committed, a group forms behind it, and half as many wait behind that.
    kit.plan.shut();
    let waiting = MAX_GROUP_ENTRIES / 2;
    let mut calls = Vec::new();
    for number in 0..=MAX_GROUP_ENTRIES + waiting {
        let (other, envelope) = (node.clone(), signed(&kit.copper()));
        calls.push(tokio::spawn(async move { other.append(envelope).await }));
        if number == 0 {
            wait_until(|| kit.plan.is_waiting(), "nothing is committed").await;
        }
    }
    wait_until(|| node.mailbox_depth() >= waiting - 1, "they do not wait").await;
    kit.plan.open();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let stated = |size: u64| statements(&node).last().is_some_and(|it| it.0 + 1 == size);
    wait_until(|| stated(node.reader().size().0), "the end is never stated").await;
    let places: Vec<u64> = statements(&node).iter().map(|it| it.0).collect();
    let longest = places.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= MAX_GROUP_ENTRIES as u64 + 2, "{places:?}");
    kit.verify_all(&node);
    node.shutdown().await;
}

/// Wherever a statement is interrupted, the next start finds it whole or makes it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_was_cut_off_is_there_or_is_made_again() {
    let is_sync = |point: &FaultPoint| {
        matches!(point, FaultPoint::BeforeDatabaseSync | FaultPoint::AfterDatabaseSync)
    };
    for point in FaultPoint::STEPS.iter().filter(|point| !is_sync(point)) {
        let mut kit = Kit::empty();
        kit.lot_state = EVERY_8;
        let node = kit.init().unwrap();
        let founding = kit.founding();
        kit.append_batch(&node, &founding).await;
        wait_until(|| statements(&node).len() == 1, "the founding is never stated").await;
        for _ in 0..7 {
            let event = kit.copper();
            kit.append(&node, &event).await;
        }
        // The eighth passes the point, and its statement does not (or, when the guard moved on over
        // both at once, one that comes after them).
        kit.plan.arm_later(*point, 1);
        let mut unclear = Vec::new();
        for number in 0..20 {
            let event = kit.copper();
            match node.append(signed(&event)).await {
                Ok(appended) => kit.keep(&event, &appended),
                // Whatever becomes of the statement, the group before it is there.
                Err(fault) if number == 0 => panic!("{point:?}: {fault}"),
                Err(AppendError::Indeterminate | AppendError::Poisoned) => unclear.push(event),
                Err(other) => panic!("{point:?}: {other}"),
            }
            for _ in 0..40 {
                if !node.is_poisoned() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            if node.is_poisoned() {
                break;
            }
        }
        assert!(node.is_poisoned(), "{point:?}: the fault never comes");
        node.shutdown().await;
        drop(node);
        let node = kit.open();
        kit.check_acknowledged(&node);
        unclear.push(kit.copper());
        for event in unclear {
            kit.append(&node, &event).await;
        }
        node.shutdown().await;
        drop(node);
        let node = kit.open();
        check_statements(&node);
        check_proofs(&node);
        kit.verify_all(&node);
    }
}

async fn wait_until(mut is_so: impl FnMut() -> bool, otherwise: &str) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{otherwise}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_by_the_next_key_is_believed_by_way_of_the_rotation() {
    let (kit, node, lot) = with_story().await;
    let before = file_of(&node, lot);
    node.shutdown().await;
    drop(node);
    let next = || node_kit::secret(77);
    let rotated = loop {
        match Node::rotate(&kit.config(), node_kit::ledger_key(), next()) {
            Err(NodeFault::Store(StoreFault::InUse(_))) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => break other.unwrap(),
        }
    };
    let open = || loop {
        match Node::open(&kit.config(), next()) {
            Err(NodeFault::Store(StoreFault::InUse(_))) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => break other.unwrap(),
        }
    };
    let node = open();
    node.shutdown().await;
    drop(node);
    let node = open();
    let after = file_of(&node, lot).encode();
    let rotations = [rotated.receipt.encode().into_bytes()];
    let judge = |rotations: &[Vec<u8>], ledger_key| {
        let pins = Pins { ledger_key: Some(ledger_key), ..pins() };
        verify_lot(after.as_bytes(), Some(lot), rotations, &pins).verdict
    };
    let old_key = node_kit::ledger_key().public_key();
    assert_eq!(judge(&rotations, old_key), Verdict::Verified);
    assert_eq!(judge(&[], next().public_key()), Verdict::Verified);
    assert_eq!(judge(&[], old_key), Verdict::Tampered, "the old key does not sign any more");
    // What the old key stated it still states.
    let text = before.encode();
    let report = verify_lot(text.as_bytes(), Some(lot), &rotations, &pins());
    assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
    node.shutdown().await;
}

// --- the judge -----------------------------------------------------------------------------------

/// A map that knows no tiles yet.
struct Nothing;

impl TileSource for Nothing {
    type Fault = Infallible;

    fn tile(&self, path: &TilePath) -> Result<MapTile, Infallible> {
        assert_eq!(*path, TilePath::TOP);
        Ok(MapTile::EMPTY)
    }
}

/// The root that a forged ledger would have to state now.
fn root_now(forge: &Forge) -> Hash32 {
    let mut states = BTreeMap::new();
    for bytes in &forge.forged.entries {
        let entry = Entry::parse(bytes).unwrap();
        for link in &entry.links {
            let entry_count = u64::from(link.ordinal) + 1;
            states.insert(LotKey::of(link.lot), LotState { entry_count, last: entry.index });
        }
    }
    update_map(&Nothing, &EMPTY_MAP, &states).unwrap().root
}

fn state_lots(forge: &mut Forge) -> u64 {
    let body =
        StatementBody::LotStateRoot { size: EntryCount(forge.next()), root: root_now(forge) };
    forge.state(body, &[LEDGER])
}

fn found(forge: &Forge) -> Vec<(Option<u64>, Kind)> {
    let of = |report: urbanmine::verify::Report| -> Vec<_> {
        report.findings.iter().map(|it| (it.index.map(|at| at.0), it.kind)).collect()
    };
    let streamed = of(forge.forged.judge_stream(forge::pins()));
    assert_eq!(of(forge.forged.judge_groups(forge::pins())), streamed);
    streamed
}

#[test]
fn an_operator_who_states_a_wrong_root_is_found_with_the_index() {
    let mut forge = Forge::new();
    state_lots(&mut forge);
    let lots: Vec<LotId> = (0..40).map(|_| forge.copper(1_000)).collect();
    state_lots(&mut forge);
    forge.deliver(lots[3], 1_000);
    state_lots(&mut forge);
    assert_eq!(found(&forge), []);

    // One lot's last entry left out of the count: what hides an event from whoever trusts the root.
    let mut hiding = forge.clone();
    let stale = root_now(&hiding);
    hiding.deliver(lots[5], 1_000);
    let size = EntryCount(hiding.next());
    let wrong = hiding.state(StatementBody::LotStateRoot { size, root: stale }, &[LEDGER]);
    hiding.copper(500);
    // The next statement is right again, and only the wrong one is named.
    state_lots(&mut hiding);
    assert_eq!(found(&hiding), [(Some(wrong), Kind::LotStateWrong)]);

    // A right root over another number of entries than it says.
    let mut early = forge.clone();
    let (size, root) = (EntryCount(early.next() - 1), root_now(&early));
    let wrong = early.state(StatementBody::LotStateRoot { size, root }, &[LEDGER]);
    assert_eq!(found(&early), [(Some(wrong), Kind::LotStateWrong)]);

    // By a party's key, not the ledger's.
    let body =
        StatementBody::LotStateRoot { size: EntryCount(forge.next()), root: root_now(&forge) };
    let wrong = forge.state(body, &[1]);
    assert_eq!(found(&forge), [(Some(wrong), Kind::StatementInvalid)]);
}

/// Lays a forged ledger down as a node would have.
fn lay(forged: &forge::Forged, config: &NodeConfig) {
    let place = StoreConfig::new(&config.data, &config.guard);
    let store = Store::create(&place, &forge::origin(), &forge::public(LEDGER)).unwrap();
    let (mut next, mut previous) = (0, Bytes::new());
    for (length, checkpoint) in forged.groups.iter().zip(&forged.checkpoints) {
        let group = Group {
            first: EntryIndex(u64::try_from(next).unwrap()),
            previous_checkpoint: previous.clone(),
            entries: forged.entries[next..next + length].to_vec(),
        };
        store.journal_append(&group).unwrap();
        store.guard_advance((next > 0).then_some(&previous[..]), checkpoint).unwrap();
        (next, previous) = (next + length, Bytes::from(checkpoint.clone()));
    }
}

/// A rebuild, which judges every entry again, stops at a wrong root.
#[test]
fn a_database_is_not_rebuilt_over_a_wrong_root() {
    let mut forge = Forge::new();
    let lots: Vec<LotId> = (0..20).map(|_| forge.copper(1_000)).collect();
    state_lots(&mut forge);
    let mut wrong = forge.clone();
    let stale = root_now(&wrong);
    for one in [&mut forge, &mut wrong] {
        one.deliver(lots[2], 1_000);
    }
    state_lots(&mut forge);
    let size = EntryCount(wrong.next());
    let at = wrong.state(StatementBody::LotStateRoot { size, root: stale }, &[LEDGER]);

    let rebuilt = |forge: &Forge| {
        let folder = tempfile::tempdir().unwrap();
        let config = NodeConfig::new(folder.path().join("data"), folder.path().join("guard"));
        lay(&forge.forged, &config);
        loop {
            match Node::rebuild(&config, forge::secret(LEDGER)) {
                Err(NodeFault::Store(StoreFault::InUse(_))) => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                other => return other,
            }
        }
    };
    assert_eq!(rebuilt(&forge).unwrap(), EntryCount(forge.next()));
    match rebuilt(&wrong) {
        Err(NodeFault::Replay { index, rule }) => {
            assert_eq!(index, EntryIndex(at));
            assert!(rule.contains(&stale.to_string()), "{rule}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_thing_that_happens_to_lots_is_counted_alike() {
    let mut forge = Forge::new();
    forge.story();
    state_lots(&mut forge);
    assert_eq!(found(&forge), []);
}

// --- a stranger ----------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_story_is_all_or_it_is_refused() {
    let (_kit, node, lot) = with_story().await;
    let whole = file_of(&node, lot);
    let report = judged(&whole);
    assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
    let told = report.story.unwrap();
    assert_eq!(told.len(), 5);
    assert!(told.iter().all(|entry| entry.links.iter().any(|link| link.lot == lot)));
    assert_eq!(LotFile::parse(whole.encode().as_bytes()).unwrap(), whole);

    let altered = |alter: &dyn Fn(&mut Vec<ProvenEntry>)| {
        let mut file = whole.clone();
        alter(file.story.as_mut().unwrap());
        file
    };
    // Every single one left out, the last ones together, all.
    for at in 0..5 {
        refused(&altered(&|story| drop(story.remove(at))), Kind::LotStoryOmits);
    }
    refused(&altered(&|story| story.truncate(2)), Kind::LotStoryOmits);
    refused(&altered(&Vec::clear), Kind::LotStoryOmits);
    // One told twice, two in another order.
    refused(&altered(&|story| story.push(story[4].clone())), Kind::LotStoryInvents);
    refused(&altered(&|story| story.insert(1, story[0].clone())), Kind::LotStoryInvents);
    refused(&altered(&|story| story.swap(0, 1)), Kind::LotStoryOmits);
    // One of another lot, though it is in the ledger.
    let other = file_of(&node, other_lot(&node, lot)).story.unwrap();
    refused(&altered(&|story| story.push(other[0].clone())), Kind::LotStoryInvents);
    refused(&altered(&|story| story[2] = other[0].clone()), Kind::LotStoryInvents);
    // One that is not in the ledger.
    let bend = |one: &mut ProvenEntry| {
        let mut bytes = one.entry.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        one.entry = Bytes::from(bytes);
    };
    refused(&altered(&|story| bend(&mut story[3])), Kind::LotStoryInvents);
    refused(&altered(&|story| story[3].proof[0].0[0] ^= 1), Kind::LotStoryInvents);
    refused(&altered(&|story| story[3].entry = Bytes::from_static(b"no")), Kind::LotStoryInvents);
    // A story of a lot that is not there has no entries.
    let nobody = LotId::from_bytes(node_kit::uuid(77_777));
    let mut nothing = file_of(&node, nobody);
    assert_eq!(judged(&nothing).verdict, Verdict::Verified);
    nothing.story.as_mut().unwrap().push(other[0].clone());
    refused(&nothing, Kind::LotStoryInvents);
}

fn other_lot(node: &Node, lot: LotId) -> LotId {
    let states = states_before(node, node.reader().size().0);
    *states.keys().find(|other| **other != lot).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_ends_where_the_statement_does() {
    let (mut kit, node, lot) = with_story().await;
    let stated = file_of(&node, lot);
    // It goes on; the newer entry is in the ledger, and not among what was stated.
    let hold = held(&mut kit, lot);
    kit.append(&node, &hold).await;
    let mut newer = stated.clone();
    let (index, _) = *node.reader().life(lot).unwrap().last().unwrap();
    let entry = node.reader().entry(index).unwrap().unwrap();
    let size = node.reader().size();
    let proof = node.reader().inclusion_proof(index, size).unwrap().unwrap();
    newer.story.as_mut().unwrap().push(ProvenEntry { entry, proof });
    refused(&newer, Kind::LotStoryInvents);
    // What was stated stays what was stated.
    assert_eq!(judged(&stated).verdict, Verdict::Verified);
    node.shutdown().await;
    drop(node);
    let node = kit.open();
    assert_eq!(judged(&stated).verdict, Verdict::Verified);
    let report = judged(&file_of(&node, lot));
    assert_eq!(report.story.map(|story| story.len()), Some(6), "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_in_any_byte_is_not_verified() {
    let (_kit, node, lot) = with_story().await;
    for asked in [lot, LotId::from_bytes(node_kit::uuid(77_777))] {
        let proof = node.reader().lot_state_proof(asked).unwrap().unwrap();
        let text = proof.encode().into_bytes();
        assert_eq!(verify_lot(&text, Some(asked), &[], &pins()).verdict, Verdict::Verified);
        for at in 0..text.len() {
            for bit in [0, 1, 4] {
                let mut changed = text.clone();
                changed[at] ^= 1 << bit;
                let report = verify_lot(&changed, Some(asked), &[], &pins());
                assert_ne!(report.verdict, Verdict::Verified, "byte {at}, bit {bit}");
            }
        }
        for length in 0..text.len() {
            let report = verify_lot(&text[..length], Some(asked), &[], &pins());
            assert_eq!(report.verdict, Verdict::Tampered, "{length} bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_convinces_of_its_own_lot_and_ledger_only() {
    let (_kit, node, lot) = with_story().await;
    let mut file = LotFile { state: file_of(&node, lot).state, story: None };
    let text = file.encode();
    let other = other_lot(&node, lot);
    let report = verify_lot(text.as_bytes(), Some(other), &[], &pins());
    assert_eq!(report.findings[0].kind, Kind::LotStateUnproven);
    // Under another name the way leads elsewhere.
    file.state.lot = other;
    refused(&file, Kind::LotStateUnproven);
    // Another statement of the ledger, or an event, in the place of the statement.
    let reader = node.reader();
    let mut file = LotFile { state: file_of(&node, lot).state, story: None };
    let (first, ..) = statements(&node)[0];
    file.state.statement = reader.receipt(EntryIndex(first)).unwrap().unwrap();
    refused(&file, Kind::LotStateUnproven);
    file.state.statement = reader.receipt(EntryIndex(3)).unwrap().unwrap();
    refused(&file, Kind::StatementInvalid);
    // Nobody pinned anything, or another key.
    let report = verify_lot(text.as_bytes(), None, &[], &Pins::default());
    assert_eq!(report.verdict, Verdict::Undetermined);
    assert_eq!(report.standing, None);
    let stranger = Pins { ledger_key: Some(node_kit::secret(9).public_key()), ..pins() };
    assert_eq!(verify_lot(text.as_bytes(), None, &[], &stranger).verdict, Verdict::Tampered);
}

// --- the format ----------------------------------------------------------------------------------

/// The tiles of one statement.
struct Stated(BTreeMap<TilePath, MapTile>);

impl TileSource for Stated {
    type Fault = Infallible;

    fn tile(&self, path: &TilePath) -> Result<MapTile, Infallible> {
        Ok(self.0[path].clone())
    }
}

#[test]
fn the_worked_example_of_the_format_is_what_the_code_says() {
    let lot = |last: u8| {
        let mut id = [1, 0x58, 0x98, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];
        id[15] = last;
        LotId::parse(&id).unwrap()
    };
    let state = |entry_count, last| LotState { entry_count, last: EntryIndex(last) };
    let states = [(lot(0xb1), state(3, 7)), (lot(0xb2), state(1, 4)), (lot(0xb3), state(2, 8))];
    let format = include_str!("../docs/FORMAT.md");
    let says =
        |line: &str| assert!(format.contains(&format!("{line}\n")), "FORMAT.md has no {line}");

    let mut changes = BTreeMap::new();
    for (number, (lot, state)) in (1..).zip(states) {
        let key = LotKey::of(lot);
        says(&format!("key(b{number})    {}", Hash32(key.0)));
        says(&format!("leaf(b{number})   {}", map_leaf(&key, &state)));
        changes.insert(key, state);
    }
    let update = update_map(&Nothing, &EMPTY_MAP, &changes).unwrap();
    says(&format!("root                        {}", update.root));
    let shelf = Stated(update.tiles.iter().collect());
    for (asked, expected) in [(lot(0xb1), Some(state(3, 7))), (lot(0xb4), None)] {
        let Ok(way) = prove_lot(&shelf, asked);
        assert_eq!(way.verify(asked, &update.root), Ok(expected));
        // The receipt behind it is another matter: section 16 has one.
        let receipt = include_bytes!("vectors/receipt.txt");
        let statement = urbanmine::ledger::Receipt::parse(receipt).unwrap();
        let text = urbanmine::ledger::LotStateProof { lot: asked, way, statement }.encode();
        let (head, rest) = text.split_once("\n\n").unwrap();
        assert_eq!(rest.as_bytes(), receipt);
        says(&format!("```\n{head}\n```"));
    }
}
