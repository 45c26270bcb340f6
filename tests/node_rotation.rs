//! The ledger gets its next key: what stands still stands to the byte, the old key serves no more,
//! and a crash at every point is finished with both keys.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod common {
    pub mod node_kit;
}

use common::node_kit::{COORD, Kit, ledger_key, origin, register_key, secret, signed, told};
use urbanmine::domain::{EntryIndex, PublicKey};
use urbanmine::ledger::checkpoint::SignedCheckpoint;
use urbanmine::ledger::keys::SigningKey;
use urbanmine::ledger::receipt::Receipt;
use urbanmine::node::{AppendError, Node, NodeFault, Rotated};
use urbanmine::store::faults::FaultPoint;
use urbanmine::store::{JournalCause, StoreFault, read_guard, read_journal};
use urbanmine::verify::{GroupInput, Pins, Report, Verdict, Verifier};

/// The seed of the next key.
const NEXT: u8 = 201;

fn patiently<T>(mut open: impl FnMut() -> Result<T, NodeFault>) -> Result<T, NodeFault> {
    for _ in 0..500 {
        match open() {
            Err(NodeFault::Store(StoreFault::InUse(_))) => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            other => return other,
        }
    }
    open()
}

/// The same key once more: a key is never copied outside of tests.
fn again(key: &SigningKey) -> SigningKey {
    SigningKey::from_seed(*key.seed())
}

fn open(kit: &Kit, key: &SigningKey) -> Result<Node, NodeFault> {
    patiently(|| Node::open(&kit.config(), again(key)))
}

fn rotate(kit: &Kit, old: &SigningKey, next: &SigningKey) -> Result<Rotated, NodeFault> {
    patiently(|| Node::rotate(&kit.config(), again(old), again(next)))
}

fn judge(kit: &Kit, pinned: PublicKey) -> Report {
    let mut judge = Verifier::new(Pins { origin: Some(origin()), ledger_key: Some(pinned) });
    if let Some(head) = read_guard(&kit.guard()).unwrap() {
        judge.checkpoint(&head);
    }
    for group in read_journal(&kit.data()).unwrap() {
        let group = match group {
            Ok(group) => group,
            Err(fault) if matches!(fault.cause, JournalCause::Torn(_)) => break,
            Err(fault) => panic!("{fault}"),
        };
        judge.feed_group(&GroupInput {
            first: group.first,
            entries: &group.entries,
            previous_checkpoint: Some(&group.previous_checkpoint),
        });
    }
    judge.finish()
}

#[track_caller]
fn verified(kit: &Kit, keys: &[&SigningKey]) {
    for key in keys {
        let report = judge(kit, key.public_key());
        assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
    }
}

/// Everything acknowledged is there to the byte, whichever key signed it.
fn check_acknowledged(kit: &Kit, node: &Node) {
    for (event, kept) in &kit.acknowledged {
        let receipt = node.reader().receipt_of_event(*event).unwrap();
        assert_eq!(receipt.unwrap().encode(), *kept, "the receipt of {event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotation_the_next_key_goes_on_and_the_old_one_does_not() {
    let (mut kit, node) = Kit::new().await;
    let before = kit.copper();
    kit.append(&node, &before).await;
    let size = node.reader().size().0;
    node.shutdown().await;
    drop(node);

    let (old, next) = (ledger_key(), secret(NEXT));
    let done = rotate(&kit, &old, &next).unwrap();
    assert_eq!((done.index.0, done.size.0, done.was_begun_before), (size, size + 2, false));
    verified(&kit, &[&old, &next]);
    // The old key signed the last checkpoint that is its own; the next one the head.
    let last = Receipt::parse(done.receipt.encode().as_bytes()).unwrap();
    let last = last.verify(&origin(), &old.public_key()).unwrap();
    assert_eq!(last.checkpoint().size.0, size + 1);
    let head = read_guard(&kit.guard()).unwrap().unwrap();
    SignedCheckpoint::open(&head, &origin(), &next.public_key()).unwrap();

    // The old key neither serves nor rebuilds.
    let refused = |fault: Option<NodeFault>| match fault {
        Some(NodeFault::LedgerKey { expected, found }) => {
            assert_eq!((expected, found), (next.public_key(), old.public_key()));
        }
        other => panic!("{other:?}"),
    };
    refused(open(&kit, &old).err());
    refused(patiently(|| Node::rebuild(&kit.config(), again(&old))).err());
    assert!(!kit.data().join("sled.lost-1").exists(), "the database was moved aside");

    let node = open(&kit, &next).unwrap();
    check_acknowledged(&kit, &node);
    assert_eq!(node.reader().ledger().unwrap().ledger_key, next.public_key());
    assert!(node.reader().is_statement(done.index).unwrap());
    assert!(!node.reader().is_statement(EntryIndex(done.index.0 - 1)).unwrap());
    let after = kit.copper();
    kit.append(&node, &after).await;
    // Neither key of the ledger ever speaks for a party.
    for seed in [NEXT, 9] {
        let key = if seed == NEXT { secret(NEXT) } else { ledger_key() };
        let mut event = kit.event(COORD, register_key(COORD, seed));
        if let urbanmine::domain::Body::RegisterKey(new) = &mut event.body {
            new.public_key = key.public_key();
        }
        let refused = node.append(signed(&event)).await.unwrap_err();
        assert!(matches!(refused, AppendError::Rejected(_)), "{refused:?}");
    }
    node.shutdown().await;
    drop(node);
    verified(&kit, &[&old, &next]);

    // Made anew from the journal it is the same, to the byte.
    patiently(|| Node::rebuild(&kit.config(), again(&next))).unwrap();
    let node = open(&kit, &next).unwrap();
    check_acknowledged(&kit, &node);
    assert_eq!(node.reader().receipt(done.index).unwrap().unwrap().encode(), done.receipt.encode());
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_new_key_follows_and_only_the_key_in_force_says_so() {
    let (kit, node) = Kit::new().await;
    node.shutdown().await;
    drop(node);
    let (old, next, third) = (ledger_key(), secret(NEXT), secret(202));
    let size = judge(&kit, old.public_key()).entries;
    // The coordinator's key speaks for the coordinator.
    for wrong in [&old, &secret(1)] {
        assert!(rotate(&kit, &old, wrong).is_err());
    }
    assert!(matches!(rotate(&kit, &next, &third), Err(NodeFault::LedgerKey { .. })));
    assert_eq!(judge(&kit, old.public_key()).entries, size, "something was written");

    rotate(&kit, &old, &next).unwrap();
    assert!(matches!(rotate(&kit, &old, &third), Err(NodeFault::LedgerKey { .. })));
    assert!(matches!(rotate(&kit, &third, &next), Err(NodeFault::LedgerKey { .. })));
    let fault = rotate(&kit, &next, &old).unwrap_err();
    assert!(told(&fault).contains("is or was the ledger's own"), "{}", told(&fault));
    rotate(&kit, &next, &third).unwrap();
    verified(&kit, &[&old, &next, &third]);
    // Called once more it finds that all is done.
    let size = judge(&kit, old.public_key()).entries;
    let again = rotate(&kit, &next, &third).unwrap();
    assert_eq!((again.was_begun_before, again.size), (true, size));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_every_point_of_a_rotation_is_finished_with_both_keys() {
    let (mut kit, node) = Kit::new().await;
    node.shutdown().await;
    drop(node);
    // One ledger, a new key for each crash. The first group of a rotation is the statement's, the
    // second the next key's first words.
    let mut old = ledger_key();
    let mut seed = NEXT;
    let later =
        [FaultPoint::MidJournalWrite, FaultPoint::BeforeSign, FaultPoint::AfterGuardAdvance];
    for (passes, points) in [(0, FaultPoint::STEPS), (1, &later[..])] {
        for point in points {
            seed = seed.wrapping_add(1);
            let next = secret(seed);
            let size = judge(&kit, old.public_key()).entries.0;
            kit.plan.arm_later(*point, passes);
            let crashed = rotate(&kit, &old, &next);
            assert!(!kit.plan.disarm(), "{point:?} was never reached");
            assert!(crashed.is_err(), "{point:?}, {passes}");
            let verdict = judge(&kit, old.public_key()).verdict;
            assert!(verdict < Verdict::Undetermined, "{point:?}, {passes}: {verdict:?}");
            finish(&mut kit, &old, &next, *point, size).await;
            old = next;
        }
    }
    verified(&kit, &[&ledger_key(), &old]);
    // Who kept the journal alone still has every receipt.
    patiently(|| Node::rebuild(&kit.config(), again(&old))).unwrap();
    let node = open(&kit, &old).unwrap();
    check_acknowledged(&kit, &node);
    node.shutdown().await;
}

/// Exactly one of the two keys may go on, or both are needed; with both it is finished.
async fn finish(kit: &mut Kit, old: &SigningKey, next: &SigningKey, point: FaultPoint, at: u64) {
    let by_old = open(kit, old).err();
    let by_next = open(kit, next).err();
    match (&by_old, &by_next) {
        (None, Some(NodeFault::LedgerKey { .. })) | (Some(NodeFault::LedgerKey { .. }), None) => {}
        (Some(NodeFault::LedgerKey { .. }), Some(NodeFault::RotationUnfinished { index })) => {
            assert_eq!(index.0, at, "{point:?}");
        }
        other => panic!("{point:?}: {other:?}"),
    }
    let done = rotate(kit, old, next).unwrap_or_else(|it| panic!("{point:?}: {}", told(&it)));
    assert_eq!(done.index.0, at, "{point:?}");
    assert_eq!(done.was_begun_before, by_old.is_some(), "{point:?}");
    verified(kit, &[old, next]);
    let node = open(kit, next).unwrap();
    let after = kit.copper();
    kit.append(&node, &after).await;
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_and_an_old_copy_are_told_apart_after_a_rotation() {
    let (kit, node) = Kit::new().await;
    node.shutdown().await;
    drop(node);
    let (old, next) = (ledger_key(), secret(NEXT));
    let copy = kit.aside("copy");
    common::node_kit::copy_directory(&kit.data(), &copy);
    rotate(&kit, &old, &next).unwrap();
    std::fs::remove_dir_all(kit.data().join("sled")).unwrap();
    open(&kit, &next).unwrap().shutdown().await;
    // The guard has seen the next key's checkpoint; the copy knows nothing of it.
    std::fs::remove_dir_all(kit.data()).unwrap();
    common::node_kit::copy_directory(&copy, &kit.data());
    let fault = open(&kit, &old).err().unwrap();
    assert!(
        matches!(fault, NodeFault::GuardDisagrees { .. } | NodeFault::BehindGuard { .. })
            || matches!(fault, NodeFault::Store(_)),
        "{}",
        told(&fault)
    );
}
