//! A crash at every point of a commit: what was acknowledged stands to the byte, what was not is
//! there whole or not at all, and the judge agrees after every step.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod common {
    pub mod node_kit;
}

use std::time::Duration;

use common::node_kit::{Kit, signed};
use urbanmine::domain::Event;
use urbanmine::node::{AppendError, Node};
use urbanmine::store::faults::FaultPoint;

/// Points that come after the reply: the caller has its receipt.
const AFTER_REPLY: [FaultPoint; 2] =
    [FaultPoint::BeforeDatabaseSync, FaultPoint::AfterDatabaseSync];
/// Points before which nothing of the group can be on disk.
const NOTHING_THERE: [FaultPoint; 2] =
    [FaultPoint::BeforeJournalWrite, FaultPoint::MidJournalWrite];

/// Points that a start passes as well.
const ON_THE_WAY_UP: [FaultPoint; 5] = [
    FaultPoint::BeforeDatabaseWrite,
    FaultPoint::AfterDatabaseWrite,
    FaultPoint::AfterCheckpointWrite,
    FaultPoint::BeforeGuardAdvance,
    FaultPoint::AfterGuardAdvance,
];

/// The crash comes while these events are appended, in one batch, or alone when there is one.
async fn crash_in(kit: &mut Kit, node: Node, point: FaultPoint, events: &[Event]) {
    let before = kit.verify();
    kit.plan.arm(point);
    let batch: Vec<_> = events.iter().map(signed).collect();
    let answer = node.append_batch(batch.clone()).await;
    if AFTER_REPLY.contains(&point) {
        for (event, appended) in events.iter().zip(&answer.unwrap()) {
            kit.keep(event, appended);
        }
        // The idle writer syncs soon after.
        for _ in 0..300 {
            if node.is_poisoned() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    } else {
        assert_eq!(answer.unwrap_err().error, AppendError::Indeterminate, "{point:?}");
    }
    assert!(!kit.plan.disarm(), "{point:?} was never reached");
    assert!(node.is_poisoned(), "{point:?}");
    let late = kit.site();
    assert_eq!(node.append(signed(&late)).await.unwrap_err(), AppendError::Poisoned, "{point:?}");
    let verdict = node.validate(vec![signed(&late)]).await.unwrap_err();
    assert_eq!(verdict.error, AppendError::Poisoned, "{point:?}");
    // What was acknowledged can still be read.
    kit.check_acknowledged(&node);
    kit.verify();
    drop(node);

    let node = kit.open();
    kit.verify_all(&node);
    kit.check_acknowledged(&node);
    let count = events.len() as u64;
    let is_there = !NOTHING_THERE.contains(&point);
    let expected = if is_there { before + count } else { before };
    assert_eq!(node.reader().size().0, expected, "{point:?}");

    // Sent again: one entry, and from now on one receipt.
    let again = kit.append_batch(&node, events).await;
    assert!(again.iter().all(|it| it.was_recorded_before == is_there), "{point:?}");
    assert_eq!(node.reader().size().0, before + count, "{point:?}");
    let once_more = kit.append_batch(&node, events).await;
    assert!(once_more.iter().all(|it| it.was_recorded_before), "{point:?}");
    kit.append(&node, &late).await;
    kit.verify_all(&node);
    node.shutdown().await;
    drop(node);

    let node = kit.open();
    assert_eq!(node.reader().size().0, before + count + 1);
    kit.check_acknowledged(&node);
    kit.verify_all(&node);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_a_single_append() {
    let (mut kit, mut node) = Kit::new().await;
    for point in FaultPoint::STEPS {
        let first = kit.copper();
        kit.append(&node, &first).await;
        let event = kit.copper();
        crash_in(&mut kit, node, *point, &[event]).await;
        node = kit.open();
    }
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_panics_while_it_is_synced_stops_the_node() {
    for point in AFTER_REPLY {
        let (mut kit, node) = Kit::new().await;
        kit.plan.panic_instead();
        let event = kit.copper();
        crash_in(&mut kit, node, point, &[event]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_a_batch() {
    let (mut kit, mut node) = Kit::new().await;
    for point in FaultPoint::STEPS {
        let events = kit.mixed(7);
        crash_in(&mut kit, node, *point, &events).await;
        node = kit.open();
    }
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_first_group_after_the_genesis() {
    for point in FaultPoint::STEPS {
        let (mut kit, node) = Kit::bare();
        let founding = kit.founding();
        crash_in_founding(&mut kit, node, *point, &founding).await;
    }
}

/// Before the tables are there no other event is let in, so this is its own, shorter story.
async fn crash_in_founding(kit: &mut Kit, node: Node, point: FaultPoint, founding: &[Event]) {
    kit.plan.arm(point);
    let answer = node.append_batch(founding.iter().map(signed).collect()).await;
    assert_eq!(answer.is_ok(), AFTER_REPLY.contains(&point), "{point:?}");
    node.shutdown().await;
    kit.plan.disarm();
    kit.verify();
    drop(node);

    let node = kit.open();
    kit.verify_all(&node);
    kit.append_batch(&node, founding).await;
    assert_eq!(node.reader().size().0, 1 + founding.len() as u64, "{point:?}");
    let event = kit.copper();
    kit.append(&node, &event).await;
    kit.check_acknowledged(&node);
    kit.verify_all(&node);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_genesis_itself() {
    for point in FaultPoint::STEPS {
        if AFTER_REPLY.contains(point) {
            continue;
        }
        let mut kit = Kit::empty();
        kit.plan.arm(*point);
        assert!(kit.init().is_err(), "{point:?}");
        assert!(!kit.plan.disarm(), "{point:?} was never reached");
        // Either the genesis is there, or the same directory takes a new one.
        let node = match kit.try_open() {
            Ok(node) => node,
            Err(_) => kit.init().unwrap_or_else(|fault| panic!("{point:?}: {fault:?}")),
        };
        assert_eq!(node.reader().size().0, 1, "{point:?}");
        kit.verify_all(&node);
        let founding = kit.founding();
        kit.append_batch(&node, &founding).await;
        kit.verify_all(&node);
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_crash_is_mended() {
    // The replay writes the database and the guard as well: it may fail there, and again.
    let (mut kit, mut node) = Kit::new().await;
    for first in [FaultPoint::AfterJournalSync, FaultPoint::AfterSign, FaultPoint::MidJournalWrite]
    {
        for second in ON_THE_WAY_UP {
            let event = kit.copper();
            kit.plan.arm(first);
            node.append(signed(&event)).await.unwrap_err();
            drop(node);
            kit.plan.arm(second);
            let opened = kit.try_open();
            if kit.plan.disarm() {
                assert!(opened.is_ok(), "{first:?}, {second:?}: nothing failed");
            } else {
                assert!(opened.is_err(), "{first:?}, {second:?} was not told");
            }
            drop(opened);
            kit.verify();
            node = kit.open();
            kit.append(&node, &event).await;
            kit.check_acknowledged(&node);
            kit.verify_all(&node);
        }
    }
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_under_many_callers() {
    let (mut kit, mut node) = Kit::new().await;
    for point in FaultPoint::STEPS {
        let events: Vec<Event> = kit.mixed(60);
        let mut calls = Vec::new();
        for (number, event) in events.iter().enumerate() {
            if number == 20 {
                kit.plan.arm(*point);
            }
            let (node, envelope) = (node.clone(), signed(event));
            calls.push(tokio::spawn(async move { node.append(envelope).await }));
        }
        for (event, call) in events.iter().zip(calls) {
            match call.await.unwrap() {
                Ok(appended) => kit.keep(event, &appended),
                Err(AppendError::Indeterminate | AppendError::Poisoned) => {}
                Err(other) => panic!("{point:?}: {other:?}"),
            }
        }
        drop(node);
        kit.verify();
        // The writer's last sync meets the points that nobody came by before.
        node = kit.open();
        kit.plan.disarm();
        kit.check_acknowledged(&node);
        kit.verify_all(&node);
        let before = node.reader().size().0;
        let there = events.iter().filter(|event| is_recorded(&node, event)).count() as u64;
        for event in &events {
            kit.append(&node, event).await;
        }
        assert_eq!(node.reader().size().0, before + 60 - there, "{point:?}");
    }
    kit.verify_all(&node);
    node.shutdown().await;
}

fn is_recorded(node: &Node, event: &Event) -> bool {
    node.reader().receipt_of_event(event.id).unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shutdown_under_many_callers_loses_and_doubles_nothing() {
    let (mut kit, mut node) = Kit::new().await;
    for round in 0..5 {
        let events = kit.mixed(200);
        let mut calls = Vec::new();
        for event in &events {
            let (node, envelope) = (node.clone(), signed(event));
            calls.push(tokio::spawn(async move { node.append(envelope).await }));
        }
        tokio::time::sleep(Duration::from_millis(round * 8)).await;
        node.shutdown().await;
        let mut told = 0;
        for (event, call) in events.iter().zip(calls) {
            match call.await.unwrap() {
                Ok(appended) => {
                    told += 1;
                    kit.keep(event, &appended);
                }
                // Nobody is left in doubt by a shutdown.
                Err(AppendError::ShuttingDown) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        drop(node);
        node = kit.open();
        let there = events.iter().filter(|event| is_recorded(&node, event)).count();
        assert_eq!(there, told, "what is recorded was acknowledged");
        kit.check_acknowledged(&node);
        kit.verify_all(&node);
        for event in &events {
            kit.append(&node, event).await;
        }
        let there = events.iter().filter(|event| is_recorded(&node, event)).count();
        assert_eq!(there, 200);
        kit.verify_all(&node);
    }
    node.shutdown().await;
}
