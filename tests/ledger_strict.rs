//! Envelope and entry: each rule broken once is refused as such, every prefix is refused, nothing
//! panics.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::prelude::*;
use urbanmine::domain::effects::LotLink;
use urbanmine::domain::{EntryIndex, Hash32, KeyId, LotId, TimeMs};
use urbanmine::ledger::envelope::pae;
use urbanmine::ledger::{
    ChainValue, Draft, EVENT_PAYLOAD_TYPE, Entry, EntryFault, EntryKind, Envelope, EnvelopeFault,
    Position, STATEMENT_PAYLOAD_TYPE, SealFault, Sealed, SigningKey, StrictKey,
};
use urbanmine::limits::{MAX_ENTRY_BYTES, MAX_LOTS_PER_EVENT, MAX_PAYLOAD_BYTES, MAX_SIGNATURES};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

fn envelope(keys: &[u8], payload: &'static [u8]) -> Envelope {
    let keys: Vec<SigningKey> = keys.iter().map(|seed| key(*seed)).collect();
    let keys: Vec<&SigningKey> = keys.iter().collect();
    Envelope::sign(EVENT_PAYLOAD_TYPE, Bytes::from_static(payload), &keys)
}

fn lot(number: u8) -> LotId {
    let mut bytes = [number; 16];
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    LotId::parse(&bytes).unwrap()
}

fn link(number: u8, ordinal: u32, previous: Option<u64>) -> LotLink {
    LotLink { lot: lot(number), ordinal, previous: previous.map(EntryIndex) }
}

fn draft() -> Draft {
    Draft {
        kind: EntryKind::Event,
        recorded_at: TimeMs::of(1_700_000_000_000),
        rules_version: 1,
        tables_hash: Hash32([0x33; 32]),
        links: vec![link(1, 0, None), link(2, 4, Some(6))],
        envelope: envelope(&[1, 2], b"payload").encode(),
    }
}

fn position() -> Position {
    let (index, batch_first) = (EntryIndex(7), EntryIndex(5));
    Position { index, previous: ChainValue([0x22; 32]), batch_first, batch_len: 3 }
}

fn genesis() -> Sealed {
    let draft = Draft { links: Vec::new(), ..draft() };
    draft
        .seal(Position {
            index: EntryIndex(0),
            previous: ChainValue::START,
            batch_first: EntryIndex(0),
            batch_len: 1,
        })
        .unwrap()
}

/// Changes some bytes at an offset.
fn patched(bytes: &[u8], offset: usize, patch: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[offset..offset + patch.len()].copy_from_slice(patch);
    bytes.into()
}

fn sealed_again(entry: Entry) -> Sealed {
    let Entry { kind, index, previous, recorded_at, rules_version, tables_hash, .. } = entry;
    let Entry { batch_first, batch_len, links, envelope, .. } = entry;
    let draft = Draft { kind, recorded_at, rules_version, tables_hash, links, envelope };
    draft.seal(Position { index, previous, batch_first, batch_len }).unwrap()
}

#[test]
fn the_pre_authentication_encoding_is_that_of_dsse() {
    let example = pae("http://example.com/HelloWorld", b"hello world");
    assert_eq!(example, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
}

#[test]
fn an_envelope_keeps_its_bytes_and_its_signatures_hold() {
    let envelope = envelope(&[3, 1, 2, 1], b"payload");
    assert_eq!(envelope.signatures.len(), 3, "a key given twice signs once");
    assert!(envelope.signatures.is_sorted_by_key(|signature| signature.key));
    let bytes = envelope.encode();
    assert_eq!(bytes.len(), 1 + 3 * 98 + 4 + 7);
    assert_eq!(Envelope::parse(&bytes), Ok(envelope.clone()));
    for seed in 1..=3 {
        let strict = StrictKey::parse(&key(seed).public_key()).unwrap();
        let of_key =
            |signature: &&urbanmine::ledger::EnvelopeSignature| signature.key == strict.id();
        let signature = envelope.signatures.iter().find(of_key).unwrap().signature;
        assert_eq!(strict.verify(&pae(EVENT_PAYLOAD_TYPE, b"payload"), &signature), Ok(()));
        assert!(strict.verify(&pae(STATEMENT_PAYLOAD_TYPE, b"payload"), &signature).is_err());
        assert!(strict.verify(b"payload", &signature).is_err());
    }
}

#[test]
fn each_rule_of_an_envelope_broken_once_is_refused_as_such() {
    use EnvelopeFault as Fault;
    let good = envelope(&[1, 2], b"payload");
    let bytes = good.encode();
    let (first, second) = (good.signatures[0].key, good.signatures[1].key);
    let swapped =
        Envelope { signatures: vec![good.signatures[1], good.signatures[0]], ..good.clone() };
    let descending = Fault::SignaturesNotAscending { offset: 99, before: second, found: first };
    let doubled = Envelope { signatures: vec![good.signatures[0]; 2], ..good.clone() };
    let twice = Fault::SignaturesNotAscending { offset: 99, before: first, found: first };
    let mut long = bytes.to_vec();
    long.push(0);
    let over = u32::try_from(MAX_PAYLOAD_BYTES + 1).unwrap();
    let rows = [
        (patched(&bytes, 0, &[0]), Fault::SignatureCount { found: 0 }),
        (patched(&bytes, 0, &[5]), Fault::SignatureCount { found: 5 }),
        (patched(&bytes, 33, &[0, 0]), Fault::UnknownAlgorithm { offset: 33, found: 0 }),
        (patched(&bytes, 131, &[0, 2]), Fault::UnknownAlgorithm { offset: 131, found: 2 }),
        (swapped.encode(), descending),
        (doubled.encode(), twice),
        (patched(&bytes, 197, &[0; 4]), Fault::PayloadLength { offset: 197, found: 0 }),
        (
            patched(&bytes, 197, &over.to_be_bytes()),
            Fault::PayloadLength { offset: 197, found: over },
        ),
        (patched(&bytes, 197, &[0, 0, 0, 6]), Fault::TrailingBytes { offset: 207, extra: 1 }),
        (patched(&bytes, 197, &[0, 0, 0, 8]), Fault::Truncated { offset: 201, needed: 8, left: 7 }),
        (long.into(), Fault::TrailingBytes { offset: 208, extra: 1 }),
        (Bytes::new(), Fault::Truncated { offset: 0, needed: 1, left: 0 }),
    ];
    for (bytes, fault) in rows {
        assert_eq!(Envelope::parse(&bytes), Err(fault));
        assert!(!fault.to_string().is_empty());
    }
    let crowd = Envelope { signatures: vec![good.signatures[0]; 300], ..good };
    assert_eq!(Envelope::parse(&crowd.encode()), Err(Fault::SignatureCount { found: 255 }));
}

#[test]
fn an_entry_keeps_its_fields_and_its_bytes() {
    let sealed = draft().seal(position()).unwrap();
    let entry = Entry::parse(sealed.bytes()).unwrap();
    assert_eq!(entry.index, EntryIndex(7));
    assert_eq!(entry.links, draft().links);
    assert_eq!(entry.envelope, draft().envelope);
    assert_eq!(sealed.chain(), ChainValue::of_entry(sealed.bytes()));
    assert_eq!(sealed.leaf(), urbanmine::ledger::hash::leaf_hash(sealed.bytes()));
    assert_eq!(sealed_again(entry), sealed);
    assert!(Entry::parse(genesis().bytes()).is_ok());
}

/// A link's fault, and the patch of the good entry that makes it. Link 0 begins at 97, link 1 at
/// 125.
fn broken_links() -> Vec<(usize, Vec<u8>, EntryFault)> {
    use EntryFault as Fault;
    let (first, second) = (lot(1), lot(2));
    let version_4 = |lot: LotId| {
        let mut bytes = *lot.as_bytes();
        bytes[6] = 0x40;
        bytes
    };
    let none = [0xff; 8].to_vec();
    let none_but = |ordinal, previous| Fault::OrdinalAndPrevious { link: 1, ordinal, previous };
    let not_before = |index| Fault::PreviousNotBefore {
        link: 1,
        previous: EntryIndex(index),
        index: EntryIndex(7),
    };
    vec![
        (
            97,
            version_4(first).to_vec(),
            Fault::LotId { link: 0, found: LotId::from_bytes(version_4(first)) },
        ),
        (97, [0; 16].to_vec(), Fault::LotId { link: 0, found: LotId::UPTAKE }),
        (
            125,
            first.as_bytes().to_vec(),
            Fault::LinksNotAscending { link: 1, before: first, found: first },
        ),
        (
            97,
            lot(3).as_bytes().to_vec(),
            Fault::LinksNotAscending { link: 1, before: lot(3), found: second },
        ),
        (141, vec![0; 4], none_but(0, Some(EntryIndex(6)))),
        (145, none, none_but(4, None)),
        (145, 7_u64.to_be_bytes().to_vec(), not_before(7)),
        (145, 8_u64.to_be_bytes().to_vec(), not_before(8)),
    ]
}

#[test]
fn each_rule_of_an_entry_broken_once_is_refused_as_such() {
    use EntryFault as Fault;
    let bytes = draft().seal(position()).unwrap().bytes().clone();
    let late = TimeMs::MAX.get() + 1;
    let batch = |first, length| Fault::NotInBatch {
        first: EntryIndex(first),
        length,
        index: EntryIndex(7),
    };
    let too_many = u16::try_from(MAX_LOTS_PER_EVENT + 1).unwrap();
    let envelope = |fault| Fault::Envelope { offset: 153, fault };
    let mut rows = vec![
        (0, vec![0, 0], Fault::UnknownVersion { found: 0 }),
        (0, vec![0, 2], Fault::UnknownVersion { found: 2 }),
        (2, vec![2], Fault::UnknownKind { found: 2 }),
        (2, vec![1], Fault::LinksOfStatement { found: 2 }),
        (3, vec![0; 8], Fault::Genesis),
        (43, late.to_be_bytes().to_vec(), Fault::TimeTooLarge { found: late }),
        (85, 8_u64.to_be_bytes().to_vec(), batch(8, 3)),
        (85, 4_u64.to_be_bytes().to_vec(), batch(4, 3)),
        (85, vec![0xff; 8], batch(u64::MAX, 3)),
        (93, vec![0, 0], batch(5, 0)),
        (93, vec![0, 2], batch(5, 2)),
        (95, too_many.to_be_bytes().to_vec(), Fault::TooManyLinks { found: 513 }),
        (153, vec![0], envelope(EnvelopeFault::SignatureCount { found: 0 })),
    ];
    rows.extend(broken_links());
    for (offset, patch, fault) in rows {
        assert_eq!(Entry::parse(&patched(&bytes, offset, &patch)), Err(fault.clone()), "{fault}");
        assert!(!fault.to_string().is_empty());
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    let fault = envelope(EnvelopeFault::TrailingBytes { offset: 208, extra: 1 });
    assert_eq!(Entry::parse(&longer.clone().into()), Err(fault));
    longer.resize(MAX_ENTRY_BYTES + 1, 0);
    assert_eq!(Entry::parse(&longer.into()), Err(Fault::TooLong { found: 65_536 }));
}

#[test]
fn the_genesis_follows_nothing_and_links_nothing() {
    let bytes = genesis().bytes().clone();
    let after_something = patched(&bytes, 11, &[1]);
    assert_eq!(Entry::parse(&after_something), Err(EntryFault::Genesis));
    assert_eq!(Entry::parse(&patched(&bytes, 2, &[1])), Err(EntryFault::Genesis));
    let position = Position {
        index: EntryIndex(0),
        previous: ChainValue::START,
        batch_first: EntryIndex(0),
        batch_len: 1,
    };
    let linked = Draft { links: vec![link(1, 0, None)], ..draft() };
    assert_eq!(linked.seal(position), Err(SealFault::Rule(EntryFault::Genesis)));
}

#[test]
fn what_breaks_a_rule_is_never_sealed() {
    let refused = |draft: Draft, position: Position| draft.seal(position).unwrap_err();
    let unsorted = Draft { links: vec![link(2, 0, None), link(1, 0, None)], ..draft() };
    let fault = EntryFault::LinksNotAscending { link: 1, before: lot(2), found: lot(1) };
    assert_eq!(refused(unsorted, position()), SealFault::Rule(fault));
    let outside = Position { batch_len: 2, ..position() };
    assert!(matches!(refused(draft(), outside), SealFault::Rule(EntryFault::NotInBatch { .. })));
    let bare = Draft { envelope: Bytes::new(), ..draft() };
    assert!(matches!(refused(bare, position()), SealFault::Rule(EntryFault::Envelope { .. })));
    let links = (0..=MAX_LOTS_PER_EVENT).map(|_| link(1, 0, None)).collect();
    let crowded = Draft { links, ..draft() };
    let fault = EntryFault::TooManyLinks { found: MAX_LOTS_PER_EVENT + 1 };
    assert_eq!(refused(crowded, position()), SealFault::Rule(fault));
}

#[test]
fn the_largest_entry_fits() {
    let id = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let mut bytes = *lot(0).as_bytes();
        (bytes[0], bytes[1]) = (high, low);
        LotId::from_bytes(bytes)
    };
    let most = u16::try_from(MAX_LOTS_PER_EVENT).unwrap();
    let links = (0..most).map(|number| LotLink { lot: id(number), ordinal: 0, previous: None });
    let keys: Vec<SigningKey> = (1..=4).map(key).collect();
    let keys: Vec<&SigningKey> = keys.iter().collect();
    assert_eq!(keys.len(), MAX_SIGNATURES);
    let payload = Bytes::from(vec![9; MAX_PAYLOAD_BYTES]);
    let envelope = Envelope::sign(EVENT_PAYLOAD_TYPE, payload, &keys).encode();
    let sealed = Draft { links: links.collect(), envelope, ..draft() }.seal(position()).unwrap();
    assert!(sealed.bytes().len() <= MAX_ENTRY_BYTES);
    assert!(Entry::parse(sealed.bytes()).is_ok());
}

#[test]
fn every_prefix_is_refused() {
    let entry = draft().seal(position()).unwrap().bytes().clone();
    for length in 0..entry.len() {
        let fault = Entry::parse(&entry.slice(..length)).unwrap_err();
        let is_short = matches!(
            fault,
            EntryFault::Truncated { .. }
                | EntryFault::Envelope { fault: EnvelopeFault::Truncated { .. }, .. }
        );
        assert!(is_short, "{length}: {fault}");
    }
    let envelope = draft().envelope;
    for length in 0..envelope.len() {
        let fault = Envelope::parse(&envelope.slice(..length)).unwrap_err();
        assert!(matches!(fault, EnvelopeFault::Truncated { .. }), "{length}: {fault}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn flipped_bytes_never_panic_and_what_parses_is_spelled_once(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
    ) {
        let mut bytes = draft().seal(position()).unwrap().bytes().to_vec();
        for (at, change) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        let bytes = Bytes::from(bytes);
        if let Ok(entry) = Entry::parse(&bytes) {
            let envelope = Envelope::parse(&entry.envelope).unwrap();
            prop_assert_eq!(&envelope.encode(), &entry.envelope);
            let again = sealed_again(entry);
            prop_assert_eq!(again.bytes(), &bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        prop_assert!(Entry::parse(&bytes).is_err());
        if let Ok(envelope) = Envelope::parse(&bytes) {
            prop_assert_eq!(envelope.encode(), bytes);
        }
    }

    #[test]
    fn what_is_sealed_parses_to_the_same(
        index in 1..u64::MAX / 2,
        (before, after) in (0..200_u16, 1..200_u16),
        previous in any::<[u8; 32]>(),
        recorded_at in 0..=TimeMs::MAX.get(),
        numbers in prop::collection::btree_set(0..=255_u8, 0..12),
        is_event in any::<bool>(),
    ) {
        let kind = if is_event { EntryKind::Event } else { EntryKind::Statement };
        let links = numbers.iter().map(|number| match number % 2 {
            0 => link(*number, 0, None),
            _ => link(*number, u32::from(*number), Some(index - 1)),
        });
        let links = if is_event { links.collect() } else { Vec::new() };
        let draft = Draft { kind, links, recorded_at: TimeMs::of(recorded_at), ..draft() };
        let batch_first = EntryIndex(index.saturating_sub(u64::from(before)));
        let batch_len = u16::try_from(index - batch_first.0).unwrap() + after;
        let (index, previous) = (EntryIndex(index), ChainValue(previous));
        let position = Position { index, previous, batch_first, batch_len };
        let sealed = draft.clone().seal(position).unwrap();
        let entry = Entry::parse(sealed.bytes()).unwrap();
        prop_assert_eq!(&entry.links, &draft.links);
        prop_assert_eq!(entry.batch_len, batch_len);
        prop_assert_eq!(sealed_again(entry), sealed);
    }
}

#[test]
fn key_ids_are_hashes_of_public_keys() {
    let public = key(1).public_key();
    assert_eq!(key(1).key_id(), KeyId(urbanmine::ledger::hash::sha256(public.as_bytes()).0));
}
