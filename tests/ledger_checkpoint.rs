//! Checkpoints and receipts: other people open ours, and each rule broken once is refused as such.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::prelude::*;
use signed_note::{Note, StandardVerifier, VerifierList};
use urbanmine::domain::{EntryCount, EntryIndex, Hash32, Origin, PublicKey, TimeMs};
use urbanmine::ledger::checkpoint::vkey;
use urbanmine::ledger::hash::sha256;
use urbanmine::ledger::{
    Base64Fault, ChainValue, Checkpoint, CheckpointFault, Draft, EVENT_PAYLOAD_TYPE, EntryKind,
    Envelope, KeyFault, Position, ProofRefused, Receipt, ReceiptFault, Sealed, SignedCheckpoint,
    SigningKey,
};

const ORIGIN: &str = "urbanmine.example/jiangxi";

fn origin() -> Origin {
    Origin::parse(ORIGIN).unwrap()
}

fn ledger_key() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint { origin: origin(), size: EntryCount(size), root: sha256(&size.to_be_bytes()) }
}

fn open(text: &str) -> Result<(Checkpoint, SignedCheckpoint), CheckpointFault> {
    SignedCheckpoint::open(text.as_bytes(), &origin(), &ledger_key().public_key())
}

/// Opens a note with `signed_note` and reads its text with `tlog_tiles`.
fn opened_by_others(signed: &SignedCheckpoint, vkey: &str) -> tlog_tiles::Checkpoint {
    let note = Note::from_bytes(signed.as_bytes()).unwrap();
    let verifier = StandardVerifier::new(vkey).unwrap();
    let (known, unknown) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((known.len(), unknown.len()), (1, 0));
    assert_eq!(note.to_bytes(), signed.as_bytes());
    tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn others_open_our_checkpoints(
        name in "[A-Za-z0-9._/:~-]{1,128}",
        size in any::<u64>(),
        root in any::<[u8; 32]>(),
        seed in any::<[u8; 32]>(),
    ) {
        let (origin, key) = (Origin::parse(&name).unwrap(), SigningKey::from_seed(seed));
        let (origin_of, root_of) = (origin.clone(), Hash32(root));
        let ours = Checkpoint { origin: origin_of, size: EntryCount(size), root: root_of };
        let signed = ours.sign(&key);
        let theirs = opened_by_others(&signed, &vkey(&origin, &key.public_key()));
        prop_assert_eq!(theirs.origin(), name.as_str());
        prop_assert_eq!(theirs.size(), size);
        prop_assert_eq!(theirs.hash().0, root);
        prop_assert_eq!(theirs.extension(), "");
        let again = SignedCheckpoint::open(signed.as_bytes(), &origin, &key.public_key());
        prop_assert_eq!(again, Ok((ours, signed)));
    }

    #[test]
    fn a_changed_byte_is_refused(at in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let mut text = checkpoint(7).sign(&ledger_key()).as_bytes().to_vec();
        let at = at.index(text.len());
        text[at] ^= change;
        let key = ledger_key().public_key();
        prop_assert!(SignedCheckpoint::open(&text, &origin(), &key).is_err());
    }

    #[test]
    fn hostile_texts_never_panic(text in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = SignedCheckpoint::parse(&text);
        let _ = Receipt::parse(&text);
    }

    #[test]
    fn hostile_lines_never_panic(
        lines in prop::collection::vec(
            "(a|1||— a [A-Za-z0-9+/=]{4,12}|index 1|c2sp.org/tlog-proof@v1|extra AA==)\n",
            0..9,
        ),
    ) {
        let text = lines.concat();
        let _ = SignedCheckpoint::parse(text.as_bytes());
        let _ = Receipt::parse(text.as_bytes());
    }
}

#[test]
fn the_example_of_the_specification_parses() {
    let text = "example.com/behind-the-sofa\n20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+\
        ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
    let (checkpoint, signed) = SignedCheckpoint::parse(text.as_bytes()).unwrap();
    assert_eq!(checkpoint.size, EntryCount(20_852_163));
    assert_eq!(signed.text(), text);
}

#[test]
fn signatures_by_others_are_left_alone() {
    let signed = checkpoint(7).sign(&ledger_key());
    let note = checkpoint(7).note_text();
    let witness = "\u{2014} witness.example AAAAAAECAwQ=\n";
    let same_name = format!("\u{2014} {ORIGIN} AAAAAAECAwQ=\n");
    let after = format!("{}{witness}{same_name}", signed.text());
    let (checkpoint, opened) = open(&after).unwrap();
    assert_eq!(checkpoint, self::checkpoint(7));
    assert_eq!(opened.text(), after);
    let own = signed.text().strip_prefix(&format!("{note}\n")).unwrap();
    assert!(open(&format!("{note}\n{witness}{own}")).is_ok(), "in any order");
}

#[test]
fn each_rule_of_a_checkpoint_broken_once_is_refused_as_such() {
    use CheckpointFault as Fault;
    let signed = checkpoint(7).sign(&ledger_key());
    let good = signed.text();
    let own = good.lines().last().unwrap();
    let [_, size, root, ..] = good.lines().collect::<Vec<_>>()[..] else { panic!() };
    let other = Checkpoint { origin: Origin::parse("other").unwrap(), ..checkpoint(7) };
    let stranger = checkpoint(7).sign(&SigningKey::from_seed([3; 32]));
    let cut = format!("{}A==\n", &good[..good.len() - 4]);
    let rows = [
        (
            "long",
            format!("{}{good}", "a".repeat(131_072)),
            Fault::TooLong { found: good.len() + 131_072 },
        ),
        (
            "tab",
            good.replace("jiangxi\n", "jiangxi\t\n"),
            Fault::ControlCharacter { offset: 25, found: 9 },
        ),
        ("no blank", good.replace("\n\n", "\n"), Fault::NoSignatures),
        ("no end", good.trim_end().to_owned(), Fault::NoSignatures),
        ("no signature", format!("{}\n", checkpoint(7).note_text()), Fault::NoSignatures),
        ("extension", good.replace("\n\n", "\nmore\n\n"), Fault::LineCount { found: 4 }),
        ("no root", good.replace(&format!("{root}\n"), ""), Fault::LineCount { found: 2 }),
        ("zero", good.replace("\n7\n", "\n07\n"), Fault::Size { found: "07".to_owned() }),
        ("plus", good.replace("\n7\n", "\n+7\n"), Fault::Size { found: "+7".to_owned() }),
        ("root", good.replace(root, "AAAA"), Fault::Root { found: "AAAA".to_owned() }),
        ("hyphen", good.replace('\u{2014}', "-"), Fault::SignatureLine { number: 1 }),
        (
            "name",
            good.replace(&format!("{own}\n"), "\u{2014} a+b AAAAAAE=\n"),
            Fault::SignatureLine { number: 1 },
        ),
        (
            "key only",
            good.replace(&format!("{own}\n"), "\u{2014} a AAAAAA==\n"),
            Fault::SignatureLine { number: 1 },
        ),
        ("empty line", format!("{good}{own}\n\n"), Fault::NoSignatures),
        (
            "other",
            other.sign(&ledger_key()).text().to_owned(),
            Fault::OtherOrigin { expected: origin(), found: other.origin },
        ),
        ("stranger", stranger.text().to_owned(), Fault::NotSigned { found: 1 }),
        ("twice", format!("{good}{own}\n"), Fault::SignedTwice { number: 2 }),
        ("size", good.replace(&format!("\n{size}\n"), "\n8\n"), Fault::BadSignature { number: 1 }),
        ("short", cut, Fault::BadSignature { number: 1 }),
    ];
    for (name, text, fault) in rows {
        assert_eq!(open(&text).unwrap_err(), fault, "{name}");
        assert!(!fault.to_string().is_empty());
    }
    let not_utf8 = [good.as_bytes(), &[0xff]].concat();
    let fault = SignedCheckpoint::parse(&not_utf8).unwrap_err();
    assert_eq!(fault, Fault::NotUtf8 { offset: good.len() });
    let spaced = good.replacen(ORIGIN, "a b", 1);
    assert!(matches!(open(&spaced), Err(Fault::Origin(_))));
    let weak = PublicKey(std::array::from_fn(|at| u8::from(at == 0)));
    let fault = SignedCheckpoint::open(good.as_bytes(), &origin(), &weak).unwrap_err();
    assert_eq!(fault, Fault::Key(KeyFault::SmallOrder(weak)));
}

fn sealed(index: u64, previous: ChainValue) -> Sealed {
    let payload = Bytes::from(format!("payload {index}"));
    let draft = Draft {
        kind: EntryKind::Event,
        recorded_at: TimeMs::of(1_700_000_000_000 + index),
        rules_version: 1,
        tables_hash: sha256(b"tables"),
        links: Vec::new(),
        envelope: Envelope::sign(EVENT_PAYLOAD_TYPE, payload, &[&ledger_key()]).encode(),
    };
    let (index, batch_len) = (EntryIndex(index), 1);
    draft.seal(Position { index, previous, batch_first: index, batch_len }).unwrap()
}

/// A receipt for the second of two entries: the proof is the first one's leaf.
fn receipt() -> Receipt {
    let first = sealed(0, ChainValue::START);
    let second = sealed(1, first.chain());
    let root = urbanmine::ledger::hash::node_hash(&first.leaf(), &second.leaf());
    let checkpoint = Checkpoint { origin: origin(), size: EntryCount(2), root };
    Receipt {
        entry: second.bytes().clone(),
        index: EntryIndex(1),
        proof: vec![first.leaf()],
        checkpoint: checkpoint.sign(&ledger_key()),
    }
}

fn verify(receipt: &Receipt) -> Result<urbanmine::ledger::VerifiedReceipt, ReceiptFault> {
    receipt.verify(&origin(), &ledger_key().public_key())
}

#[test]
fn a_receipt_verifies_offline_and_keeps_its_text() {
    let receipt = receipt();
    let text = receipt.encode();
    assert_eq!(Receipt::parse(text.as_bytes()), Ok(receipt.clone()));
    let verified = verify(&receipt).unwrap();
    assert_eq!(verified.entry().index, EntryIndex(1));
    assert_eq!(verified.checkpoint().size, EntryCount(2));

    let first = sealed(0, ChainValue::START);
    let root = first.leaf();
    let checkpoint = Checkpoint { origin: origin(), size: EntryCount(1), root };
    let (entry, checkpoint) = (first.bytes().clone(), checkpoint.sign(&ledger_key()));
    let alone = Receipt { entry, index: EntryIndex(0), proof: Vec::new(), checkpoint };
    assert_eq!(Receipt::parse(alone.encode().as_bytes()), Ok(alone.clone()));
    assert!(verify(&alone).is_ok(), "a proof without a line");
}

#[test]
fn every_prefix_of_a_receipt_is_refused() {
    let text = receipt().encode();
    for length in 0..text.len() {
        let cut = Receipt::parse(&text.as_bytes()[..length]);
        let is_refused = cut.is_err_and(|_| true);
        assert!(is_refused, "{length} of {} bytes", text.len());
    }
}

#[test]
fn each_rule_of_a_receipt_broken_once_is_refused_as_such() {
    use ReceiptFault as Fault;
    let good = receipt().encode();
    let lines: Vec<&str> = good.lines().collect();
    let proof_line = format!("{}\n", lines[3]);
    let rows = [
        (
            "long",
            format!("{good}{}", "a".repeat(300_000)),
            Fault::TooLong { found: good.len() + 300_000 },
        ),
        ("header", good.replacen("@v1", "@v2", 1), Fault::Header),
        ("no extra", good.replacen(&format!("{}\n", lines[1]), "", 1), Fault::NoExtra),
        (
            "base64",
            good.replacen("extra ", "extra *", 1),
            Fault::Extra(Base64Fault::InvalidByte(0, b'*')),
        ),
        ("zero", good.replacen("index 1", "index 01", 1), Fault::Index),
        ("hash", good.replacen(lines[3], "AAAA", 1), Fault::ProofLine { line: 4 }),
        ("levels", good.replacen(&proof_line, &proof_line.repeat(65), 1), Fault::ProofTooLong),
        ("blank", good.replacen("\n\n", "\n", 2), Fault::NoCheckpoint),
        (
            "note",
            good.replacen('\u{2014}', "-", 1),
            Fault::Checkpoint(CheckpointFault::SignatureLine { number: 1 }),
        ),
    ];
    for (name, text, fault) in rows {
        assert_eq!(Receipt::parse(text.as_bytes()).unwrap_err(), fault, "{name}");
        assert!(!fault.to_string().is_empty());
    }
    let not_utf8 = [good.as_bytes(), &[0xff]].concat();
    assert_eq!(Receipt::parse(&not_utf8), Err(Fault::NotUtf8 { offset: good.len() }));
}

#[test]
fn a_receipt_of_something_else_does_not_convince() {
    use ReceiptFault as Fault;
    let good = receipt();
    let index = Receipt { index: EntryIndex(0), ..good.clone() };
    let (receipt, entry) = (EntryIndex(0), EntryIndex(1));
    assert_eq!(verify(&index), Err(Fault::OtherIndex { receipt, entry }));

    let entry = Receipt { entry: good.entry.slice(..9), ..good.clone() };
    assert!(matches!(verify(&entry), Err(Fault::Entry(_))));

    let mut changed = good.entry.to_vec();
    changed[50] ^= 1;
    let entry = Receipt { entry: changed.into(), ..good.clone() };
    assert!(matches!(verify(&entry), Err(Fault::Proof(ProofRefused::OtherRoot { .. }))));

    let proof = Receipt { proof: Vec::new(), ..good.clone() };
    assert_eq!(verify(&proof), Err(Fault::Proof(ProofRefused::TooShort { found: 0 })));

    let unsigned = Fault::Checkpoint(CheckpointFault::NotSigned { found: 1 });
    let stranger = SigningKey::from_seed([9; 32]).public_key();
    assert_eq!(good.verify(&origin(), &stranger), Err(unsigned));
    let other = good.verify(&Origin::parse("other").unwrap(), &ledger_key().public_key());
    assert!(matches!(other, Err(Fault::Checkpoint(CheckpointFault::OtherOrigin { .. }))));
}
