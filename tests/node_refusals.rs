//! What a start refuses, so that a ledger never forks and never says what it did not sign; and what
//! a running node does when it cannot go on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod common {
    pub mod node_kit;
    pub mod rows;
}

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use common::node_kit::{
    Kit, START_MS, copy_directory, ledger_key, secret, signed, signed_by, told,
};
use common::rows::{Rows, with_rows};
use urbanmine::domain::EntryIndex;
use urbanmine::domain::sight::Onlooker;
use urbanmine::limits::{
    MAX_BATCH_EVENTS, MAX_CLOCK_STEP_BACK_MS, MAX_GROUP_ENTRIES, MAX_MAILBOX_REQUESTS,
    MAX_PARALLEL_JOBS, MAX_REBUILDS_UNASKED,
};
use urbanmine::node::{AppendError, Listener, Node, NodeFault};
use urbanmine::store::faults::FaultPoint;
use urbanmine::store::{StoreFault, read_guard};

/// A ledger that was shut down, with some entries.
async fn closed(count: usize) -> Kit {
    let (mut kit, node) = Kit::new().await;
    for event in kit.mixed(count) {
        kit.append(&node, &event).await;
    }
    node.shutdown().await;
    kit
}

fn refused(kit: &Kit) -> NodeFault {
    match kit.try_open() {
        Ok(_) => panic!("it opens"),
        Err(fault) => fault,
    }
}

fn opens_whole(kit: &Kit) -> Node {
    let node = kit.open();
    kit.check_acknowledged(&node);
    kit.verify_all(&node);
    node
}

fn replace(from: &std::path::Path, to: &std::path::Path) {
    std::fs::remove_dir_all(to).unwrap();
    copy_directory(from, to);
}

fn segment(kit: &Kit) -> PathBuf {
    kit.data().join("journal/00000000000000000000.umj")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_is_refused() {
    let (kit, node) = Kit::new().await;
    let second = Node::open(&kit.config(), ledger_key());
    assert!(matches!(second, Err(NodeFault::Store(StoreFault::InUse(_)))));
    let rebuild = Node::rebuild(&kit.config(), ledger_key());
    assert!(matches!(rebuild, Err(NodeFault::Store(StoreFault::InUse(_)))));
    // A copy of the data with the same guard is the same ledger.
    let mut other = kit.config();
    other.data = kit.aside("copy");
    copy_directory(&kit.data(), &other.data);
    let second = Node::open(&other, ledger_key());
    assert!(matches!(second, Err(NodeFault::Store(StoreFault::InUse(_)))));
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_is_refused() {
    let mut kit = closed(3).await;
    let old = kit.aside("old");
    copy_directory(&kit.data(), &old);
    let node = kit.open();
    let event = kit.copper();
    kit.append(&node, &event).await;
    node.shutdown().await;
    drop(node);
    let new = kit.aside("new");
    copy_directory(&kit.data(), &new);
    let size = kit.verify();

    replace(&old, &kit.data());
    match refused(&kit) {
        NodeFault::BehindGuard { guard, journal } => {
            assert_eq!((guard.0, journal.0), (size, size - 1));
        }
        other => panic!("{}", told(&other)),
    }
    // No more by a rebuild, which leaves the database where it is; and no better the second time.
    assert!(matches!(kit.rebuild(), Err(NodeFault::BehindGuard { .. })));
    assert!(!kit.data().join("sled.lost-1").exists(), "the database was moved aside");
    assert!(matches!(refused(&kit), NodeFault::BehindGuard { .. }));
    // An old journal under the newest database.
    replace(&new, &kit.data());
    replace(&old.join("journal"), &kit.data().join("journal"));
    assert!(matches!(refused(&kit), NodeFault::Store(StoreFault::Disagreement { .. })));
    // An old database under the newest journal is only slow.
    replace(&new, &kit.data());
    replace(&old.join("sled"), &kit.data().join("sled"));
    opens_whole(&kit).shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_gone_or_anothers_is_refused() {
    let kit = closed(2).await;
    let file = kit.guard().join("guard");
    let held = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(refused(&kit), NodeFault::GuardMissing { .. }));
    assert_eq!(read_guard(&kit.guard()).unwrap(), None, "it was not made up");

    let other = closed(2).await;
    for strange in [
        Vec::new(),
        b"checkpoint".to_vec(),
        held[..held.len() - 9].to_vec(),
        // The same origin and key, but other entries: a fork.
        std::fs::read(other.guard().join("guard")).unwrap(),
    ] {
        let is_fork = strange.len() == held.len();
        if strange == held {
            continue;
        }
        std::fs::write(&file, &strange).unwrap();
        let fault = refused(&kit);
        assert!(matches!(fault, NodeFault::GuardDisagrees { .. }), "{is_fork}: {}", told(&fault));
        assert_eq!(std::fs::read(&file).unwrap(), strange, "it was not written over");
    }
    std::fs::write(&file, &held).unwrap();
    opens_whole(&kit).shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_history_is_refused() {
    // Two copies of one ledger go on with different events; the guard knows the first.
    let mut kit = closed(2).await;
    let old = kit.aside("old");
    let old_guard = kit.aside("old-guard");
    copy_directory(&kit.data(), &old);
    copy_directory(&kit.guard(), &old_guard);
    let node = kit.open();
    for event in kit.mixed(2) {
        kit.append(&node, &event).await;
    }
    node.shutdown().await;
    drop(node);

    let mut fork = kit.config();
    (fork.data, fork.guard) = (old.clone(), old_guard);
    let node = Node::open(&fork, ledger_key()).unwrap();
    for event in kit.mixed(3) {
        node.append(signed(&event)).await.unwrap();
    }
    node.shutdown().await;
    drop(node);
    fork.guard = kit.guard();
    let fault = Node::open(&fork, ledger_key()).err().unwrap();
    assert!(matches!(fault, NodeFault::GuardDisagrees { .. }), "{}", told(&fault));
    // Half of one and half of the other.
    let kept = kit.aside("kept");
    copy_directory(&kit.data(), &kept);
    replace(&old.join("sled"), &kit.data().join("sled"));
    let fault = refused(&kit);
    assert!(
        matches!(
            fault,
            NodeFault::Store(StoreFault::Disagreement { .. }) | NodeFault::Disagree { .. }
        ),
        "{}",
        told(&fault)
    );
    replace(&kept, &kit.data());
    opens_whole(&kit).shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_ledger_key_is_refused_before_anything_is_written() {
    let kit = closed(2).await;
    let fault = Node::open(&kit.config(), secret(77)).err().unwrap();
    assert!(matches!(fault, NodeFault::LedgerKey { .. }), "{}", told(&fault));
    let fault = Node::rebuild(&kit.config(), secret(77)).err().unwrap();
    assert!(matches!(fault, NodeFault::LedgerKey { .. }), "{}", told(&fault));
    assert!(!kit.data().join("sled.lost-1").exists(), "the database was moved aside");
    // Also where only the journal can tell.
    std::fs::remove_dir_all(kit.data().join("sled")).unwrap();
    let guard = read_guard(&kit.guard()).unwrap();
    let fault = Node::open(&kit.config(), secret(77)).err().unwrap();
    assert!(matches!(fault, NodeFault::LedgerKey { .. }), "{}", told(&fault));
    assert_eq!(read_guard(&kit.guard()).unwrap(), guard);
    opens_whole(&kit).shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_init_is_refused() {
    let mut kit = closed(1).await;
    assert!(matches!(kit.init(), Err(NodeFault::Store(StoreFault::NotEmpty(_)))));
    // Nor does a guard become another ledger's.
    let data = kit.aside("data-2");
    std::fs::rename(kit.data(), &data).unwrap();
    assert!(matches!(kit.init(), Err(NodeFault::Store(StoreFault::NotEmpty(_)))));
    std::fs::remove_dir_all(kit.data()).unwrap();
    std::fs::rename(&data, kit.data()).unwrap();
    opens_whole(&kit).shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_is_made_anew() {
    let kit = closed(6).await;
    std::fs::remove_dir_all(kit.data().join("sled")).unwrap();
    let node = opens_whole(&kit);
    node.shutdown().await;
    drop(node);
    for number in 1..=2 {
        kit.rebuild().unwrap();
        assert!(kit.data().join(format!("sled.lost-{number}")).exists());
        let node = opens_whole(&kit);
        node.shutdown().await;
    }
}

type Damage<'a> = Box<dyn FnOnce(&mut Rows) + 'a>;

fn bend(rows: &mut Rows, key: &[u8], at: usize) {
    rows.get_mut(key).unwrap()[at] ^= 1;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_disagrees_is_refused_and_made_anew() {
    let kit = closed(5).await;
    let kept = kit.aside("kept");
    copy_directory(&kit.data(), &kept);
    let size = kit.verify();
    let last = size - 1;
    let entries = [&[0x10][..], &last.to_be_bytes()].concat();
    // Sixteen hashes a row.
    let tile = [&[0x11, 0][..], &(last / 16).to_be_bytes()].concat();
    assert!(last % 16 > 1, "an older leaf is in the row");
    let checkpoint = [&[0x12][..], &size.to_be_bytes()].concat();
    let head = vec![0x02];
    let position = usize::try_from(last % 16).unwrap();
    let damages: Vec<(&str, Damage<'_>)> = vec![
        // Of the place of the last group: its segment, where in it, the length of an entry.
        ("the last entry's segment", Box::new(|tree| bend(tree, &entries, 15))),
        ("far behind its segment", Box::new(|tree| bend(tree, &entries, 17))),
        ("a little further on", Box::new(|tree| bend(tree, &entries, 23))),
        ("a longer last entry", Box::new(|tree| bend(tree, &entries, 25))),
        ("the last leaf", Box::new(|tree| bend(tree, &tile, 32 * position))),
        ("an older leaf", Box::new(|tree| bend(tree, &tile, 32))),
        ("the checkpoint", Box::new(|tree| bend(tree, &checkpoint, 60))),
        ("the chain value", Box::new(|tree| bend(tree, &head, 20))),
        (
            "the last leaf, and the checkpoint over it is gone",
            Box::new(|tree| {
                bend(tree, &tile, 32 * position);
                tree.remove(&checkpoint).unwrap();
            }),
        ),
    ];
    for (what, damage) in damages {
        replace(&kept, &kit.data());
        with_rows(&kit.data().join("sled"), damage);
        match refused(&kit) {
            NodeFault::Disagree { index, .. } => {
                assert!(index == EntryIndex(last) || index == EntryIndex(last - 1), "{what}");
            }
            other => panic!("{what}: {}", told(&other)),
        }
        kit.rebuild().unwrap();
        opens_whole(&kit).shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_entry_of_another_place_gets_no_receipt() {
    let kit = closed(40).await;
    let index = kit.verify() - 3;
    let key = [&[0x10][..], &index.to_be_bytes()].concat();
    let first_row = [&[0x11, 0][..], &0_u64.to_be_bytes()].concat();
    with_rows(&kit.data().join("sled"), |tree| {
        bend(tree, &key, 23);
        // The leaf of entry 1.
        bend(tree, &first_row, 32);
    });
    // A start compares the last group only; but nothing false is handed out.
    let node = kit.open();
    assert!(node.reader().receipt(EntryIndex(index)).is_err());
    assert!(node.reader().receipt(EntryIndex(1)).is_err());
    assert!(node.reader().entry(EntryIndex(1)).is_err());
    node.shutdown().await;
    drop(node);
    kit.rebuild().unwrap();
    opens_whole(&kit).shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_bent_in_the_journal_is_never_served() {
    let kit = closed(5).await;
    let index = EntryIndex(kit.verify() - 3);
    let node = kit.open();
    let reader = node.reader();
    let entry = reader.entry(index).unwrap().unwrap();
    let segment = kit.data().join("journal").join(format!("{:020}.umj", 0));
    let mut journal = std::fs::read(&segment).unwrap();
    let found: Vec<usize> =
        (0..journal.len()).filter(|at| journal[*at..].starts_with(&entry)).collect();
    assert_eq!(found.len(), 1, "an entry is on disk once");
    // Its first byte, one in the middle, its last.
    for within in [0, entry.len() / 2, entry.len() - 1] {
        journal[found[0] + within] ^= 1;
        std::fs::write(&segment, &journal).unwrap();
        let fault = reader.entry(index).unwrap_err().to_string();
        assert!(reader.receipt(index).is_err());
        assert!(reader.entry(EntryIndex(index.0 - 1)).unwrap().is_some(), "its neighbour is whole");
        assert!(reader.receipt(EntryIndex(index.0 + 1)).unwrap().is_some());
        assert!(!fault.is_empty());
        journal[found[0] + within] ^= 1;
    }
    std::fs::write(&segment, &journal).unwrap();
    assert_eq!(reader.entry(index).unwrap().unwrap(), entry);
    drop(reader);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_cut_opens_whole_or_is_refused() {
    let kit = closed(40).await;
    let kept = kit.aside("kept");
    copy_directory(&kit.data(), &kept);
    let db = kit.data().join("sled/db");
    let len = std::fs::metadata(&db).unwrap().len();
    for part in [0, 1, 13, 50, 87, 99] {
        replace(&kept, &kit.data());
        let file = std::fs::File::options().write(true).open(&db).unwrap();
        file.set_len(len * part / 100).unwrap();
        drop(file);
        if let Ok(node) = kit.try_open() {
            kit.check_acknowledged(&node);
            kit.verify_all(&node);
            node.shutdown().await;
        }
        kit.rebuild().unwrap();
        opens_whole(&kit).shutdown().await;
    }
}

/// Lets sled's files be such that it does not open them. (It takes a settings file of up to eight
/// bytes for none, and writes another.)
fn break_database(kit: &Kit) {
    let settings = "segment_size: many\nuse_compression: false\nversion: 0.34\n0000";
    std::fs::write(kit.data().join("sled/conf"), settings).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_open_is_made_anew_by_the_start() {
    let kit = closed(40).await;
    for number in 1..=MAX_REBUILDS_UNASKED {
        break_database(&kit);
        let node = opens_whole(&kit);
        node.shutdown().await;
        assert!(
            kit.data().join(format!("sled.lost-{number}")).exists(),
            "{number}: it was not needed"
        );
    }
    // So many have a cause: somebody should look.
    break_database(&kit);
    match refused(&kit) {
        NodeFault::Store(fault) => assert!(fault.is_broken_database(), "{}", told(&fault)),
        other => panic!("{}", told(&other)),
    }
    kit.rebuild().unwrap();
    opens_whole(&kit).shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_with_a_flipped_bit_is_refused() {
    let kit = closed(12).await;
    let whole = std::fs::read(segment(&kit)).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let guard = read_guard(&kit.guard()).unwrap();
    let mut places: Vec<usize> = (0..64).step_by(7).chain((64..end).step_by(end / 40)).collect();
    places.extend([end - 1, end - 5]);
    for at in places {
        let is_header = (52..64).contains(&at);
        let bent = segment(&kit);
        flip(&bent, at);
        match refused(&kit) {
            // Damage has its place …
            NodeFault::Store(StoreFault::Journal(_)) => {}
            // … and the last frame, which could have been torn, was seen by database and guard.
            NodeFault::Store(StoreFault::Disagreement { .. }) => assert!(at > end / 2, "byte {at}"),
            other => panic!("byte {at}, {is_header}: {}", told(&other)),
        }
        // Nor does a rebuild take it for torn: the guard has seen it.
        if at + 200 > end {
            assert!(matches!(kit.rebuild(), Err(NodeFault::BehindGuard { .. })), "byte {at}");
            assert!(!kit.data().join("sled.lost-1").exists(), "the database was moved aside");
        }
        flip(&bent, at);
        assert_eq!(read_guard(&kit.guard()).unwrap(), guard);
    }
    // Behind the end: what was never written is no frame.
    flip(&segment(&kit), end + 1_000_000);
    opens_whole(&kit).shutdown().await;
}

fn flip(path: &std::path::Path, at: usize) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).unwrap();
    file.write_all_at(&[byte[0] ^ 0x20], at as u64).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_leaps_back_stops_the_writer() {
    let (mut kit, node) = Kit::new().await;
    let event = kit.copper();
    kit.append(&node, &event).await;
    // Within the limit time stands still.
    kit.clock.set(START_MS - MAX_CLOCK_STEP_BACK_MS);
    let event = kit.copper();
    kit.append(&node, &event).await;
    kit.verify_all(&node);
    kit.clock.set(START_MS - MAX_CLOCK_STEP_BACK_MS - 1);
    let late = kit.copper();
    assert_eq!(node.append(signed(&late)).await.unwrap_err(), AppendError::Poisoned);
    kit.clock.set(START_MS);
    assert_eq!(node.append(signed(&late)).await.unwrap_err(), AppendError::Poisoned);
    drop(node);
    let node = opens_whole(&kit);
    kit.append(&node, &late).await;
    kit.verify_all(&node);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let (mut kit, node) = Kit::new().await;
    let before = node.reader().size().0;
    // More than a group takes, so that one of them stays in the writer's hand while the group
    // before is not committed; what comes then waits behind it.
    let batches = 2 * MAX_GROUP_ENTRIES / MAX_BATCH_EVENTS;
    let mut begun = vec![vec![signed(&kit.copper())]];
    for _ in 0..batches {
        begun.push((0..MAX_BATCH_EVENTS).map(|_| signed(&kit.copper())).collect());
    }
    kit.plan.shut();
    let mut calls = Vec::new();
    for batch in begun {
        let other = node.clone();
        calls.push(tokio::spawn(async move { other.append_batch(batch).await.map(drop) }));
    }
    let stuck = stays(&node).await;
    // Of every four, the second will hang up, and the time of the fourth is over.
    let listener = |number| Listener::until((number % 4 == 3).then(std::time::Instant::now));
    let waiting: Vec<_> = (0..20).map(|number| (kit.copper(), listener(number))).collect();
    let mut late = Vec::new();
    for (number, (event, listener)) in waiting.iter().enumerate() {
        let (other, envelope, listener) = (node.clone(), signed(event), listener.clone());
        late.push(tokio::spawn(async move {
            other.append_for(Onlooker::Everything, vec![envelope], &listener).await.map(drop)
        }));
        while node.mailbox_depth() <= stuck + number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for (_, listener) in waiting.iter().skip(1).step_by(4) {
        listener.leave();
    }
    kit.plan.open();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    for (number, call) in late.into_iter().enumerate() {
        let told = call.await.unwrap().map_err(|it| it.error);
        let expected = if number % 2 == 0 { Ok(()) } else { Err(AppendError::Busy) };
        assert_eq!(told, expected, "{number}");
    }
    let recorded = before + 1 + (batches * MAX_BATCH_EVENTS) as u64 + 10;
    assert_eq!(node.reader().size().0, recorded);
    // Who asks again is answered, and one who is gone before anything begins is not let in.
    let (event, gone) = &waiting[1];
    let refused = node.append_for(Onlooker::Everything, vec![signed(event)], gone).await;
    assert_eq!(refused.map(drop).unwrap_err().error, AppendError::Busy);
    kit.append(&node, event).await;
    assert_eq!(node.reader().size().0, recorded + 1);
    kit.verify_all(&node);
    node.shutdown().await;
}

/// How many requests wait for the writer, once there are some and it takes none of them.
async fn stays(node: &Node) -> usize {
    let mut seen = (0, 0);
    while seen.0 == 0 || seen.1 < 20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let depth = node.mailbox_depth();
        seen = if depth == seen.0 { (depth, seen.1 + 1) } else { (depth, 0) };
    }
    seen.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_mailbox_is_busy_and_who_hangs_up_leaves_nothing_half_done() {
    let (mut kit, node) = Kit::new().await;
    let before = node.reader().size().0;
    kit.plan.shut();
    // One is being committed, a group is formed behind it, one more does not fit that; behind them
    // the mailbox fills.
    let events = kit.mixed(1 + MAX_GROUP_ENTRIES + 1 + MAX_MAILBOX_REQUESTS + 40);
    let mut calls = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let (other, envelope) = (node.clone(), signed(event));
        calls.push(tokio::spawn(async move { other.append(envelope).await }));
        while number == 0 && !kit.plan.is_waiting() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if number % MAX_PARALLEL_JOBS == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for _ in 0..1_000 {
        if calls.iter().filter(|call| call.is_finished()).count() >= 40 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Nothing of what waits can be seen.
    assert_eq!(node.reader().size().0, before);
    assert_eq!(kit.verify(), before);
    // Every third caller loses patience.
    for (number, call) in calls.iter().enumerate() {
        if number % 3 == 0 && !call.is_finished() {
            call.abort();
        }
    }
    kit.plan.open();
    let (mut busy, mut gone) = (0, 0);
    for (event, call) in events.iter().zip(calls) {
        match call.await {
            Ok(Ok(appended)) => kit.keep(event, &appended),
            Ok(Err(AppendError::Busy)) => busy += 1,
            Ok(Err(other)) => panic!("{other:?}"),
            Err(_) => gone += 1,
        }
    }
    assert!(busy >= 40 && gone > 100, "{busy} were refused, {gone} hung up");
    kit.verify_all(&node);
    // What the impatient sent is there once, or comes now.
    for part in events.chunks(256) {
        kit.append_batch(&node, part).await;
    }
    assert_eq!(node.reader().size().0, before + events.len() as u64);
    drop(node);
    let node = opens_whole(&kit);
    assert_eq!(node.reader().size().0, before + events.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_was_not_begun_is_told_so() {
    // While the first group waits, two groups' worth of callers queue up; the second group fails,
    // and who did not fit into it was never begun. The first is durable by then, and its caller
    // hears so, though the fault may come while it waits for the guard.
    let (mut kit, node) = Kit::new().await;
    kit.plan.shut();
    let events = kit.mixed(1 + 5 * 250);
    let (first, envelope) = (node.clone(), signed(&events[0]));
    let first = tokio::spawn(async move { first.append(envelope).await });
    while !kit.plan.is_waiting() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut calls = Vec::new();
    for part in events[1..].chunks(250) {
        let (other, batch) = (node.clone(), part.iter().map(signed).collect());
        calls.push(tokio::spawn(async move { other.append_batch(batch).await }));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    kit.plan.arm_later(FaultPoint::BeforeSign, 1);
    kit.plan.slow_the_guard(true);
    kit.plan.open();
    kit.keep(&events[0], &first.await.unwrap().unwrap());
    kit.plan.slow_the_guard(false);
    let mut told_of = [0, 0];
    for call in calls {
        match call.await.unwrap().unwrap_err().error {
            AppendError::Indeterminate => told_of[0] += 1,
            AppendError::Poisoned => told_of[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told_of, [4, 1], "in doubt, and not begun");
    drop(node);
    let node = opens_whole(&kit);
    for part in events.chunks(250) {
        kit.append_batch(&node, part).await;
    }
    opens_after(node, &kit).await;
}

async fn opens_after(node: Node, kit: &Kit) {
    node.shutdown().await;
    drop(node);
    opens_whole(kit).shutdown().await;
}

/// The signatures of a batch are checked together, and what is told is what taking one event after
/// the other meets first.
#[tokio::test]
async fn the_first_of_several_faults_of_a_batch_is_told() {
    let (mut kit, node) = Kit::new().await;
    // A byte of R, behind the count, the key's id and the algorithm.
    let bent = |envelope: &Bytes| {
        let mut bytes = envelope.to_vec();
        bytes[1 + 32 + 2 + 5] ^= 1;
        Bytes::from(bytes)
    };
    for kinds in 0..4_u32.pow(4) {
        let (mut batch, mut expected) = (Vec::new(), None);
        for position in 0..4 {
            let event = kit.copper();
            let (envelope, fault) = match kinds / 4_u32.pow(position) % 4 {
                0 => (signed(&event), None),
                1 => (bent(&signed(&event)), Some("signature")),
                2 => (Bytes::from_static(b"no envelope"), Some("envelope")),
                _ => (signed_by(&event, 77), Some("rule")),
            };
            batch.push(envelope);
            // A key that nobody knows is left for the writer, who comes after all of admission.
            let is_later = fault == Some("rule");
            let told = fault.map(|fault| (usize::try_from(position).unwrap(), fault));
            expected = match expected {
                Some((_, "rule")) if !is_later && told.is_some() => told,
                None => told,
                first => first,
            };
        }
        let found = node.validate(batch).await.err().map(|refused| {
            let fault = match refused.error {
                AppendError::Signature { .. } => "signature",
                AppendError::Envelope(_) => "envelope",
                AppendError::Rejected(_) => "rule",
                other => panic!("{other:?}"),
            };
            (refused.position.unwrap(), fault)
        });
        assert_eq!(found, expected, "{kinds}");
    }
    node.shutdown().await;
}
