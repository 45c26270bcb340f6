//! A receipt is the same to the byte for ever, and an event is recorded once, however often it is
//! sent.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod common {
    pub mod node_kit;
}

use std::time::Duration;

use bytes::Bytes;
use common::node_kit::{COLLECTOR, COORD, Kit, check_receipt, register_key, signed, signed_by};
use urbanmine::domain::event::DeclareError;
use urbanmine::domain::vocabulary::ErrorKind;
use urbanmine::domain::{Body, Event, Rejection};
use urbanmine::insight::Book;
use urbanmine::ledger::envelope::Envelope;
use urbanmine::limits::{GROUP_PACE_MS, MAX_GATHERED_EVENTS};
use urbanmine::node::{AppendError, BatchError, LotStatePolicy, Node};
use urbanmine::store::read_journal;

fn size(node: &Node) -> u64 {
    node.reader().size().0
}

/// Calls that come together share groups, which keep their distance, however fast the disk is.
#[tokio::test(flavor = "multi_thread")]
async fn groups_keep_a_distance_where_calls_come_together() {
    let (mut kit, node) = Kit::new().await;
    let before = size(&node);
    let events: Vec<Event> = (0..256).map(|_| kit.copper()).collect();
    let begun = std::time::Instant::now();
    let callers = events.chunks(8).map(|own| {
        let (node, own) = (node.clone(), own.iter().map(signed).collect::<Vec<_>>());
        tokio::spawn(async move {
            for envelope in own {
                node.append(envelope).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap();
    node.shutdown().await;
    let groups = read_journal(&kit.data()).unwrap().map(Result::unwrap);
    let shared = groups.filter(|it| it.first.0 >= before && it.entries.len() > 1).count() as u64;
    assert!(shared > 0, "32 callers at a time share groups");
    assert!(shared <= elapsed / GROUP_PACE_MS + 2, "{shared} groups in {elapsed} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_book_is_the_same_from_the_writer_and_from_the_store() {
    let mut kit = Kit::empty();
    let every = Duration::from_secs(3_600);
    kit.lot_state = LotStatePolicy { every_entries: 7, wait: every };
    let node = kit.init().unwrap();
    let book = |node: &Node| node.analyst().ask(Book::clone).unwrap();
    // From here on the writer hands on; what came before is read.
    book(&node);
    let founding = kit.founding();
    kit.append_batch(&node, &founding).await;
    for round in 0..30 {
        let events = kit.mixed(1 + round % 5);
        kit.append_batch(&node, &events).await;
        // Some of it is recorded already.
        let again = [events, kit.mixed(2)].concat();
        kit.append_batch(&node, &again).await;
        if round % 4 == 0 {
            book(&node);
        }
    }
    let born = kit.copper();
    kit.append(&node, &born).await;
    let error = DeclareError {
        target: born.id,
        kind: ErrorKind::ALL[0],
        note: "twice".to_owned(),
        correctives: Vec::new(),
    };
    let undone = kit.event(born.actor, Body::DeclareError(error));
    kit.append(&node, &undone).await;
    let mut live = book(&node);
    assert_eq!(live.corrections().count(), 1);
    assert!(!live.totals(live.size(), None, |_| true).is_empty());
    node.shutdown().await;
    drop(node);
    let node = kit.open();
    let read = book(&node);
    // The stop stated the lots once more.
    live.reach(read.size());
    assert!(live == read);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_never_change() {
    let (mut kit, node) = Kit::new().await;
    let alone = kit.copper();
    let at_once = kit.append(&node, &alone).await.receipt.encode();
    let together = kit.mixed(9);
    kit.append_batch(&node, &together).await;
    kit.check_acknowledged(&node);

    node.shutdown().await;
    drop(node);
    let node = kit.open();
    kit.check_acknowledged(&node);
    node.shutdown().await;
    drop(node);
    let rebuilt = kit.rebuild().unwrap();
    let node = kit.open();
    assert_eq!(rebuilt, node.reader().size());
    kit.check_acknowledged(&node);

    let before = size(&node);
    let mut later = Vec::new();
    for _ in 0..40 {
        let events: Vec<Event> = (0..250).map(|_| kit.site()).collect();
        let batch = events.iter().map(signed).collect();
        let appended = node.append_batch(batch).await.unwrap();
        let last = appended.last().unwrap();
        later.push((last.index, last.receipt.encode()));
    }
    assert_eq!(size(&node), before + 10_000);
    kit.check_acknowledged(&node);
    kit.verify_all(&node);
    node.shutdown().await;
    drop(node);

    // Now a rebuild has something to build, and the tree more than one row.
    assert_eq!(kit.rebuild().unwrap().0, before + 10_000);
    let node = kit.open();
    kit.check_acknowledged(&node);
    for (index, receipt) in &later {
        assert_eq!(node.reader().receipt(*index).unwrap().unwrap().encode(), *receipt);
    }
    assert_eq!(kit.append(&node, &alone).await.receipt.encode(), at_once);
    node.shutdown().await;
    drop(node);

    // The ledger is gone; a receipt needs key and origin, nothing else.
    std::fs::remove_dir_all(kit.data()).unwrap();
    std::fs::remove_dir_all(kit.guard()).unwrap();
    for text in kit.acknowledged.values() {
        check_receipt(text);
    }
    for (_, text) in &later {
        check_receipt(text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_is_recorded_once() {
    let (mut kit, node) = Kit::new().await;
    let event = kit.copper();
    let first = kit.append(&node, &event).await;
    assert!(!first.was_recorded_before);
    let count = size(&node);
    let second = kit.append(&node, &event).await;
    assert!(second.was_recorded_before);
    assert_eq!((second.index, size(&node)), (first.index, count));
    // From many callers at once, before any of them was answered.
    let event = kit.copper();
    let mut calls = Vec::new();
    for _ in 0..32 {
        let (node, envelope) = (node.clone(), signed(&event));
        calls.push(tokio::spawn(async move { node.append(envelope).await.unwrap() }));
    }
    let mut firsts = 0;
    for call in calls {
        let appended = call.await.unwrap();
        firsts += usize::from(!appended.was_recorded_before);
        kit.keep(&event, &appended);
    }
    assert_eq!((firsts, size(&node)), (1, count + 1));
    kit.verify_all(&node);
}

/// Calls on one thread are all there before any is checked, so their signatures are checked
/// together; what one is told is what it would be told alone.
#[tokio::test]
async fn what_is_wrong_with_one_of_many_calls_is_its_own() {
    let (mut kit, node) = Kit::new().await;
    let mut sent = Vec::new();
    for number in 0..3 * MAX_GATHERED_EVENTS {
        let event = kit.copper();
        let envelope = match number % 5 {
            // By a key that nobody registered, of an event that was changed, and no envelope.
            1 => signed_by(&event, 99),
            2 => {
                let mut other = event.clone();
                other.id = kit.copper().id;
                forged(&signed(&event), &signed(&other))
            }
            3 => Bytes::from_static(b"{}"),
            _ => signed(&event),
        };
        sent.push((number % 5, envelope));
    }
    let calls: Vec<_> = sent
        .into_iter()
        .map(|(kind, envelope)| {
            let node = node.clone();
            tokio::spawn(async move { (kind, node.append(envelope).await) })
        })
        .collect();
    let before = size(&node);
    let mut recorded = 0;
    for call in calls {
        let (kind, told) = call.await.unwrap();
        match (kind, told) {
            (0 | 4, Ok(_)) => recorded += 1,
            (1, Err(AppendError::Rejected(Rejection::KeyUnknown { .. })))
            | (2, Err(AppendError::Signature { .. }))
            | (3, Err(AppendError::Envelope(_))) => {}
            (kind, told) => panic!("{kind}: {told:?}"),
        }
    }
    assert_eq!(
        recorded,
        (0..3 * MAX_GATHERED_EVENTS).filter(|it| [0, 4].contains(&(it % 5))).count()
    );
    assert!(size(&node) >= before + recorded as u64);
    node.shutdown().await;
}

/// The signature of one envelope over the payload of another.
fn forged(signature: &Bytes, payload: &Bytes) -> Bytes {
    let Envelope { signatures, .. } = Envelope::parse(signature).unwrap();
    Envelope { signatures, ..Envelope::parse(payload).unwrap() }.encode()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_has_one_meaning() {
    let (mut kit, node) = Kit::new().await;
    let event = kit.copper();
    let index = kit.append(&node, &event).await.index;
    let other = Event { external_ref: "other".to_owned(), ..event.clone() };
    let count = size(&node);
    let refused = node.append(signed(&other)).await.unwrap_err();
    let conflict = Rejection::EventIdConflict { event: event.id, recorded_at: index };
    assert_eq!(refused, AppendError::Rejected(conflict.clone()));
    let batch = vec![signed(&kit.site()), signed(&other)];
    let refused = node.append_batch(batch).await.unwrap_err();
    assert_eq!(refused, BatchError::at(1, AppendError::Rejected(conflict)));
    assert_eq!(size(&node), count);
    kit.check_acknowledged(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_batch_may_be_recorded_already() {
    let (mut kit, node) = Kit::new().await;
    let events = kit.mixed(6);
    kit.append(&node, &events[1]).await;
    kit.append_batch(&node, &events[3..5]).await;
    let before = size(&node);
    let appended = kit.append_batch(&node, &events).await;
    let known: Vec<bool> = appended.iter().map(|it| it.was_recorded_before).collect();
    assert_eq!(known, [false, true, false, true, true, false]);
    let new: Vec<u64> =
        appended.iter().filter(|it| !it.was_recorded_before).map(|it| it.index.0).collect();
    assert_eq!(new, [before, before + 1, before + 2], "what is new is contiguous");
    kit.append_batch(&node, &events).await;
    assert_eq!(size(&node), before + 3);
    kit.verify_all(&node);
    drop(node);
    let node = kit.open();
    kit.check_acknowledged(&node);
    kit.verify_all(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_one_bad_event_records_nothing() {
    let (mut kit, node) = Kit::new().await;
    let before = size(&node);
    for position in [0, 3, 6] {
        let mut events = kit.mixed(7);
        events[position].origin = urbanmine::domain::Origin::parse("other.example/x").unwrap();
        let refused = node.append_batch(events.iter().map(signed).collect()).await.unwrap_err();
        assert_eq!(refused.position, Some(position));
        assert!(matches!(refused.error, AppendError::Rejected(Rejection::OriginMismatch { .. })));

        let events = kit.mixed(7);
        let mut batch: Vec<_> = events.iter().map(signed).collect();
        batch[position] = signed_by(&events[position], 9);
        let refused = node.append_batch(batch).await.unwrap_err();
        assert_eq!(refused.position, Some(position));
        let mut batch: Vec<_> = events.iter().map(signed).collect();
        let mut bent = batch[position].to_vec();
        bent[60] ^= 1; // in the signature
        batch[position] = bent.into();
        let refused = node.append_batch(batch).await.unwrap_err();
        assert_eq!(refused.position, Some(position));
        assert!(matches!(refused.error, AppendError::Signature { .. }));
    }
    let event = kit.site();
    let twice = node.append_batch(vec![signed(&event), signed(&event)]).await.unwrap_err();
    assert_eq!(twice, BatchError::at(1, AppendError::BatchRepeats));
    let nothing = node.append_batch(Vec::new()).await.unwrap_err();
    assert_eq!(nothing, BatchError::whole(AppendError::BatchEmpty));
    let many = vec![signed(&event); 257];
    let many = node.append_batch(many).await.unwrap_err().error;
    assert!(matches!(many, AppendError::BatchTooLarge { events: 257, .. }));
    assert_eq!(size(&node), before);
    kit.verify_all(&node);
    // Nothing of the refused batches is in the way of the same events.
    kit.append(&node, &event).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn judging_records_nothing() {
    let (mut kit, node) = Kit::new().await;
    let before = size(&node);
    let head = node.reader().checkpoint().unwrap();
    let events = kit.mixed(5);
    let batch: Vec<_> = events.iter().map(signed).collect();
    node.validate(batch.clone()).await.unwrap();
    node.validate(batch.clone()).await.unwrap();
    let mut bad = batch.clone();
    bad[2] = signed_by(&events[2], 9);
    assert_eq!(node.validate(bad).await.unwrap_err().position, Some(2));
    assert_eq!(size(&node), before);
    assert_eq!(node.reader().checkpoint().unwrap(), head);
    for event in &events {
        assert!(node.reader().receipt_of_event(event.id).unwrap().is_none());
    }
    let appended = kit.append_batch(&node, &events).await;
    assert!(appended.iter().all(|it| !it.was_recorded_before));
    node.validate(batch).await.unwrap();
    assert_eq!(size(&node), before + 5);
    kit.verify_all(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_may_use_the_key_that_it_registers() {
    let (mut kit, node) = Kit::new().await;
    let registration = kit.event(COORD, register_key(COLLECTOR, 3));
    let use_of_it = kit.copper();
    let before = size(&node);
    // The other way round the key is not known yet.
    let wrong = vec![signed_by(&use_of_it, 3), signed(&registration)];
    let refused = node.append_batch(wrong).await.unwrap_err();
    assert_eq!(refused.position, Some(0));
    assert!(matches!(refused.error, AppendError::Rejected(Rejection::KeyUnknown { .. })));
    // A signature that is left for the writer is checked by the writer.
    let mut bent = signed_by(&use_of_it, 3).to_vec();
    bent[60] ^= 1;
    let refused = node.append_batch(vec![signed(&registration), bent.into()]).await.unwrap_err();
    assert_eq!(refused.position, Some(1));
    assert!(matches!(refused.error, AppendError::Signature { .. }));
    assert_eq!(size(&node), before);

    let batch = vec![signed(&registration), signed_by(&use_of_it, 3)];
    let appended = node.append_batch(batch).await.unwrap();
    kit.keep(&registration, &appended[0]);
    kit.keep(&use_of_it, &appended[1]);
    kit.verify_all(&node);
    drop(node);
    kit.rebuild().unwrap();
    let node = kit.open();
    kit.check_acknowledged(&node);
    kit.verify_all(&node);
}
