//! What each target holds of the bytes that it is given. The same code runs under libFuzzer and,
//! over the committed corpus, in the house's own tests.
//!
//! A property is more than "does not panic": what parses is spelled back to the same bytes, what is
//! accepted keeps the limits, and no judge vouches for bytes that nobody signed. The honest bytes
//! are known here ([`Honest`]), their keys are not in the corpus, so whatever else is vouched for
//! is a hole.

use std::collections::BTreeSet;
use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;
use urbanmine::domain::{EntryIndex, LotId, Origin, Tables};
use urbanmine::ledger::cosignature::cosignature_on;
use urbanmine::ledger::lot_map::TilePath;
use urbanmine::ledger::tiles::{
    bundle_entries, encode_hashes, parse_hashes, push_entry, tiles_of_kind,
};
use urbanmine::ledger::{
    Bundle, Check, Draft, Entry, Envelope, Evidence, LogCheckpoint, LotFile, Policy, Position,
    Receipt, SignatureType, SignedCheckpoint, SignerTables, StrictKey, Tile, VerifierKey, base64,
    frame, with_cosignatures,
};
use urbanmine::limits::{
    MAX_CHECKPOINT_BYTES, MAX_ENTRY_BYTES, MAX_FINDINGS, MAX_FRAME_BYTES, MAX_GROUP_ENTRIES,
    MAX_LOTS_PER_EVENT, MAX_NOTE_SIGNATURES, MAX_PAYLOAD_BYTES, MAX_POLICY_WITNESSES,
    MAX_PROOF_HASHES, MAX_SIGNATURES, MAX_STORY_ENTRIES, TABLE_AFTER_SIGNATURES,
};
use urbanmine::verify::{
    GroupInput, Verdict, Verifier, judge_cosignatures, verify_bundle, verify_evidence, verify_lot,
    verify_receipt,
};
use urbanmine::wire::{decode_event, decode_statement, encode_event, encode_statement};
use urbanmine::witness::Submission;

use crate::artefacts::{self, WITNESSES};
use crate::forge::{self, Forged};

/// A target: its name, what it holds, and what its corpus begins with.
pub struct Target {
    /// Name of the target and of its corpus.
    pub name: &'static str,
    /// Panics when a property does not hold.
    pub run: fn(&[u8]),
    /// Honest inputs, each with a name.
    pub seeds: fn(&Honest) -> Vec<Seed>,
}

/// An honest input, with the name of its file.
pub type Seed = (String, Vec<u8>);

/// Every target.
pub const TARGETS: [Target; 19] = [
    Target { name: "bundle", run: bundle, seeds: bundle_seeds },
    Target { name: "checkpoint", run: checkpoint, seeds: checkpoint_seeds },
    Target { name: "cosignature", run: cosignature, seeds: cosignature_seeds },
    Target { name: "entry", run: entry, seeds: entry_seeds },
    Target { name: "entry_bundle", run: entry_bundle, seeds: entry_bundle_seeds },
    Target { name: "envelope", run: envelope, seeds: envelope_seeds },
    Target { name: "event", run: event, seeds: event_seeds },
    Target { name: "evidence", run: evidence, seeds: evidence_seeds },
    Target { name: "frame", run: frame_target, seeds: frame_seeds },
    Target { name: "lot_file", run: lot_file, seeds: lot_file_seeds },
    Target { name: "policy", run: policy, seeds: policy_seeds },
    Target { name: "receipt", run: receipt, seeds: receipt_seeds },
    Target { name: "signers", run: signers, seeds: signers_seeds },
    Target { name: "statement", run: statement, seeds: statement_seeds },
    Target { name: "submission", run: submission, seeds: submission_seeds },
    Target { name: "tables", run: tables, seeds: tables_seeds },
    Target { name: "tile", run: tile, seeds: tile_seeds },
    Target { name: "verifier", run: verifier, seeds: verifier_seeds },
    Target { name: "vkey", run: vkey, seeds: vkey_seeds },
];

/// What was really signed.
pub struct Honest {
    /// A short ledger.
    pub forged: Forged,
    /// What its ledger's key signed too: another end of the same beginning.
    pub fork: Forged,
    /// A lot of it.
    pub lot: LotId,
    /// The entry that states its lots.
    pub stated: u64,
    /// The texts under signatures of the ledger's key.
    notes: BTreeSet<String>,
    entries: BTreeSet<Vec<u8>>,
}

impl Honest {
    /// The same for everybody: keys and times are fixed.
    pub fn make() -> Self {
        let (forge, lot, stated) = artefacts::short_story(3_000);
        let (mut fork, ..) = artefacts::short_story(9_000);
        fork.copper(10);
        let (forged, fork) = (forge.forged, fork.forged);
        let texts = forged.checkpoints.iter().chain(&fork.checkpoints);
        let notes = texts.map(|text| note_text(text)).collect();
        let entries = forged.entries.iter().chain(&fork.entries).map(|it| it.to_vec()).collect();
        Self { forged, fork, lot, stated, notes, entries }
    }

    fn of_target() -> &'static Self {
        static HONEST: OnceLock<Honest> = OnceLock::new();
        HONEST.get_or_init(Self::make)
    }

    fn assert_signed(&self, text: &[u8]) {
        assert!(self.notes.contains(&note_text(text)), "a text that the ledger never signed");
    }

    fn assert_recorded(&self, entry: &[u8]) {
        assert!(self.entries.contains(entry), "an entry that was never recorded");
    }
}

/// What the signatures of a note are over.
fn note_text(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let blank = text.rfind("\n\n").expect("a note has an empty line");
    text[..=blank].to_owned()
}

fn named(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Seed {
    (name.into(), bytes.into())
}

// --- the record ----------------------------------------------------------------------------------

fn envelope(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let Ok(envelope) = Envelope::parse(&bytes) else { return };
    assert_eq!(envelope.encode(), bytes, "one spelling");
    assert!((1..=MAX_SIGNATURES).contains(&envelope.signatures.len()));
    assert!((1..=MAX_PAYLOAD_BYTES).contains(&envelope.payload.len()));
    assert!(envelope.signatures.is_sorted_by(|one, next| one.key < next.key));
}

fn envelopes(honest: &Honest) -> impl Iterator<Item = (String, Envelope)> {
    honest.forged.entries.iter().map(|bytes| {
        let entry = Entry::parse(bytes).expect("an honest entry");
        let envelope = Envelope::parse(&entry.envelope).expect("an honest envelope");
        (format!("{}-{:?}", entry.index, entry.kind).to_lowercase(), envelope)
    })
}

fn envelope_seeds(honest: &Honest) -> Vec<Seed> {
    let few = envelopes(honest).filter(|(_, it)| it.payload.len() < 600);
    few.map(|(name, it)| named(name, it.encode())).collect()
}

fn entry(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let Ok(entry) = Entry::parse(&bytes) else { return };
    assert!(bytes.len() <= MAX_ENTRY_BYTES);
    assert!(entry.links.len() <= MAX_LOTS_PER_EVENT);
    envelope(&entry.envelope);
    let position = Position {
        index: entry.index,
        previous: entry.previous,
        batch_first: entry.batch_first,
        batch_len: entry.batch_len,
    };
    let draft = Draft {
        kind: entry.kind,
        recorded_at: entry.recorded_at,
        rules_version: entry.rules_version,
        tables_hash: entry.tables_hash,
        links: entry.links,
        envelope: entry.envelope,
    };
    let sealed = draft.seal(position).expect("what parses can be sealed");
    assert_eq!(*sealed.bytes(), bytes, "one spelling");
}

fn entry_seeds(honest: &Honest) -> Vec<Seed> {
    let all = (0_u64..).zip(&honest.forged.entries).filter(|(_, it)| it.len() < 700);
    all.map(|(at, it)| named(at.to_string(), it.to_vec())).collect()
}

fn event(data: &[u8]) {
    let Ok(event) = decode_event(data) else { return };
    assert!(data.len() <= MAX_PAYLOAD_BYTES);
    assert_eq!(encode_event(&event), data, "one spelling");
}

fn event_seeds(_: &Honest) -> Vec<Seed> {
    // A whole story: every kind of event that the forge knows, the shortest of each.
    let mut whole = forge::Forge::new();
    whole.story();
    let mut shortest: std::collections::BTreeMap<String, Vec<u8>> = Default::default();
    for bytes in &whole.forged.entries {
        let entry = Entry::parse(bytes).expect("an honest entry");
        let payload = Envelope::parse(&entry.envelope).expect("an honest envelope").payload;
        let Ok(event) = decode_event(&payload) else { continue };
        let text = format!("{:?}", event.body);
        let name = text.split(['(', ' ', '{']).next().unwrap_or_default().to_lowercase();
        let known = shortest.entry(name).or_insert_with(|| payload.to_vec());
        if payload.len() < known.len() {
            *known = payload.to_vec();
        }
    }
    shortest.into_iter().collect()
}

/// Signatures that somebody made, bent: with the table of their signer they are what they are
/// without. Each is a byte for the signer, one for the length of the message, 64 bytes that are
/// laid over signature (all zero: it stays as it was), and the message.
fn signers(data: &[u8]) {
    static KNOWN: LazyLock<SignerTables> = LazyLock::new(|| {
        let known = SignerTables::default();
        for seed in 1..4 {
            let key = StrictKey::parse(&forge::public(seed)).expect("a sound key");
            let signature = forge::secret(seed).sign(b"often");
            let check = Check { key: &key, message: b"often", signature: &signature };
            let answers = known.check_all(&[check; TABLE_AFTER_SIGNATURES as usize]);
            assert!(answers.iter().all(Result::is_ok) && known.has_table(&key.public_key()));
        }
        known
    });
    let mut said = Vec::new();
    let mut left = data;
    while let [who, length, rest @ ..] = left
        && let Some((laid, rest)) = rest.split_first_chunk::<64>()
        && said.len() < 16
    {
        let (message, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        // The fourth has no table.
        let seed = 1 + who % 4;
        let mut signature = forge::secret(seed).sign(message);
        signature.iter_mut().zip(laid).for_each(|(byte, laid)| *byte ^= laid);
        let key = StrictKey::parse(&forge::public(seed)).expect("a sound key");
        said.push((key, message, signature, laid.iter().all(|laid| *laid == 0)));
        left = rest;
    }
    let checks = said.iter().map(|(key, message, signature, _)| Check { key, message, signature });
    let answers = KNOWN.check_all(&checks.collect::<Vec<_>>());
    for ((key, message, signature, is_honest), answer) in said.iter().zip(answers) {
        assert_eq!(answer, key.verify(message, signature), "a table answers otherwise");
        assert_eq!(answer.is_ok(), *is_honest, "a signature that nobody made holds");
    }
}

fn signers_seeds(_: &Honest) -> Vec<Seed> {
    let one = |who: u8, bent: Option<usize>| {
        let mut laid = [0; 64];
        if let Some(place) = bent {
            laid[place] = 1;
        }
        [&[who, 5], &laid[..], b"words"].concat()
    };
    vec![
        named("batch", [one(0, None), one(1, Some(0)), one(3, None), one(0, Some(63))].concat()),
        named("bent-r", one(1, Some(3))),
        named("bent-s", one(2, Some(40))),
        named("honest", one(0, None)),
    ]
}

fn statement(data: &[u8]) {
    let Ok(statement) = decode_statement(data) else { return };
    assert_eq!(encode_statement(&statement), data, "one spelling");
}

fn statement_seeds(honest: &Honest) -> Vec<Seed> {
    use urbanmine::wire::statement::{Statement, StatementBody as B};
    let rotation = B::LedgerKeyRotation { next_key: forge::public(7), possession: [7; 64] };
    let note = B::RestartNote { software: "urbanmine 0.1.0".to_owned() };
    let of = |body| encode_statement(&Statement { origin: forge::origin(), body });
    let (_, stated) = envelopes(honest)
        .find(|(name, _)| name.starts_with(&format!("{}-", honest.stated)))
        .expect("the lots are stated");
    vec![
        named("lot-state-root", stated.payload),
        named("restart-note", of(note)),
        named("rotation", of(rotation)),
    ]
}

fn frame_target(data: &[u8]) {
    frame_of(data);
    // Checksums are no secret: whoever can write a file can make them right.
    let mut repaired = data.to_vec();
    if repaired.len() < 32 {
        return;
    }
    let header = crc32c::crc32c(&repaired[..24]).to_be_bytes();
    repaired[24..28].copy_from_slice(&header);
    let end = repaired.len() - 4;
    let body = u32::try_from(end - 28).unwrap_or(u32::MAX).to_be_bytes();
    frame_of(&repaired);
    repaired[16..20].copy_from_slice(&body);
    let header = crc32c::crc32c(&repaired[..24]).to_be_bytes();
    repaired[24..28].copy_from_slice(&header);
    let whole = crc32c::crc32c(&repaired[..end]).to_be_bytes();
    repaired[end..].copy_from_slice(&whole);
    frame_of(&repaired);
}

fn frame_of(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    match frame::parse(&bytes) {
        Ok((header, group)) => {
            assert!(header.frame_len() <= MAX_FRAME_BYTES);
            assert!((1..=MAX_GROUP_ENTRIES).contains(&group.entries.len()));
            let spelled = frame::encode(&group).expect("what parses is spelled");
            assert_eq!(spelled, data[..header.frame_len()], "one spelling");
            assert_eq!(group.end(), header.end());
        }
        Err(fault) => {
            // A torn write is at most one frame, and no sound frame is ever called torn.
            if frame::breakage(&fault, data) == frame::Breakage::Torn {
                assert!(data.len() <= MAX_FRAME_BYTES, "more than a frame is not torn");
            }
        }
    }
}

fn frame_seeds(honest: &Honest) -> Vec<Seed> {
    let forged = &honest.forged;
    let (mut next, mut previous) = (0, Bytes::new());
    let mut seeds = Vec::new();
    for (length, checkpoint) in forged.groups.iter().zip(&forged.checkpoints) {
        let entries = forged.entries[next..next + length].to_vec();
        let first = EntryIndex(next as u64);
        let group = frame::Group { first, previous_checkpoint: previous, entries };
        let bytes = frame::encode(&group).expect("an honest group");
        if bytes.len() < 3_000 {
            seeds.push(named(next.to_string(), bytes));
        }
        next += length;
        previous = Bytes::from(checkpoint.clone());
    }
    seeds
}

// --- under signatures ----------------------------------------------------------------------------

fn pinned() -> (Origin, urbanmine::domain::PublicKey) {
    (forge::origin(), forge::public(forge::LEDGER))
}

fn checkpoint(data: &[u8]) {
    let any = LogCheckpoint::parse(data);
    let Ok((checkpoint, signed)) = SignedCheckpoint::parse(data) else { return };
    assert_eq!(signed.as_bytes(), data);
    assert!(data.len() <= MAX_CHECKPOINT_BYTES);
    assert_eq!(signed.note_text(), checkpoint.note_text(), "one spelling");
    let any = any.expect("our checkpoints are checkpoints");
    assert_eq!((any.size(), any.root()), (checkpoint.size, &checkpoint.root));
    assert_eq!(any.origin(), checkpoint.origin.as_str());
    let (origin, key) = pinned();
    if SignedCheckpoint::open(data, &origin, &key).is_ok() {
        Honest::of_target().assert_signed(data);
    }
    if let Ok(opened) = any.open(&[artefacts::ledger_vkey()]) {
        Honest::of_target().assert_signed(data);
        assert_eq!(opened.note_text(), signed.note_text());
    }
}

fn checkpoint_seeds(honest: &Honest) -> Vec<Seed> {
    let some = (0..).zip(honest.forged.checkpoints.iter().step_by(3));
    let mut seeds: Vec<Seed> =
        some.map(|(at, text): (u32, _)| named(at.to_string(), text.clone())).collect();
    let head = artefacts::checkpoint_of(&honest.forged, honest.forged.size().0);
    seeds.push(named("cosigned", artefacts::cosigned(&head, &WITNESSES).as_bytes()));
    seeds
}

fn cosignature(data: &[u8]) {
    let honest = Honest::of_target();
    for seed in WITNESSES {
        let hand = artefacts::cosigner(seed);
        let Ok(Ok(Some(held))) = cosignature_on(data, hand.vkey()) else { continue };
        honest.assert_signed(data);
        assert_eq!(held.time_s(), artefacts::COSIGNED_S, "a time that was never signed");
        let (_, signed) = SignedCheckpoint::parse(data).expect("an honest text is a checkpoint");
        let Ok(again) = with_cosignatures(&signed, std::slice::from_ref(&held)) else { continue };
        assert_eq!(cosignature_on(again.as_bytes(), hand.vkey()), Ok(Ok(Some(held))));
    }
    let policy = Policy::parse(artefacts::policy().as_bytes()).expect("an honest policy");
    let (origin, key) = pinned();
    let said = judge_cosignatures(data, &policy, &origin, &[key]);
    if said.verdict == Verdict::Verified {
        honest.assert_signed(data);
        let held = said.report.map_or(0, |report| report.held.len());
        assert_eq!(held, WITNESSES.len(), "the policy asks both");
    }
}

fn cosignature_seeds(honest: &Honest) -> Vec<Seed> {
    let head = artefacts::checkpoint_of(&honest.forged, honest.forged.size().0);
    let rows: [(&str, &[u8]); 3] = [("none", &[]), ("one", &WITNESSES[..1]), ("both", &WITNESSES)];
    rows.map(|(name, seeds)| named(name, artefacts::cosigned(&head, seeds).as_bytes())).into()
}

fn receipt(data: &[u8]) {
    let Ok(receipt) = Receipt::parse(data) else { return };
    assert_eq!(receipt.encode().as_bytes(), data, "one spelling");
    assert!(receipt.proof.len() <= MAX_PROOF_HASHES);
    let report = verify_receipt(data, &forge::pins());
    if report.verdict == Verdict::Verified {
        let honest = Honest::of_target();
        honest.assert_signed(receipt.checkpoint.as_bytes());
        honest.assert_recorded(&receipt.entry);
        let entry = report.entry.expect("a receipt that holds has an entry");
        assert_eq!(entry.index, receipt.index);
    }
}

fn receipt_seeds(honest: &Honest) -> Vec<Seed> {
    let last = honest.forged.size().0 - 1;
    let some = [1, honest.stated - 1, honest.stated, last];
    some.map(|at| named(at.to_string(), artefacts::receipt(&honest.forged, at).encode())).into()
}

fn bundle(data: &[u8]) {
    let Ok(bundle) = Bundle::parse(data) else { return };
    assert_eq!(bundle.encode().as_bytes(), data, "one spelling");
    let report = verify_bundle(data, None, &forge::pins(), None);
    assert!(report.findings.len() <= MAX_FINDINGS);
    if report.verdict < Verdict::Undetermined {
        let honest = Honest::of_target();
        honest.assert_signed(bundle.checkpoint.as_bytes());
        for one in &bundle.entries {
            honest.assert_recorded(&one.entry);
        }
    }
}

fn bundle_seeds(honest: &Honest) -> Vec<Seed> {
    let whole = artefacts::bundle(&honest.forged, honest.lot);
    let mut cut = whole.clone();
    cut.entries.truncate(2);
    let statement = artefacts::receipt(&honest.forged, honest.stated).encode();
    cut.rotations = vec![statement.clone().into_bytes()];
    cut.lot_states = vec![statement.into_bytes()];
    vec![named("cut", cut.encode()), named("whole", whole.encode())]
}

fn evidence(data: &[u8]) {
    let report = verify_evidence(data, &[], &forge::pins());
    assert!(matches!(report.verdict, Verdict::Tampered | Verdict::Undetermined));
    let Ok(evidence) = Evidence::parse(data) else {
        assert_eq!(report.verdict, Verdict::Undetermined, "what is no evidence accuses nobody");
        return;
    };
    assert_eq!(evidence.encode().as_bytes(), data, "one spelling");
    assert!(evidence.proof.len() <= MAX_PROOF_HASHES + 1);
    if report.verdict == Verdict::Tampered {
        let honest = Honest::of_target();
        honest.assert_signed(evidence.older.as_bytes());
        honest.assert_signed(evidence.newer.as_bytes());
        let (older, newer) = (report.older.expect("signed"), report.newer.expect("signed"));
        assert!(older.size <= newer.size && older.root != evidence.found);
        // Only where the histories have parted is there anything to prove.
        assert_eq!(older.size, honest.forged.size(), "an honest beginning is accused");
    }
}

fn evidence_seeds(honest: &Honest) -> Vec<Seed> {
    let older = artefacts::checkpoint_of(&honest.forged, honest.forged.size().0);
    let proven = artefacts::evidence(&older, &honest.fork);
    let first = artefacts::checkpoint_of(&honest.forged, 1);
    let nothing = artefacts::evidence(&first, &honest.fork);
    vec![named("fork", proven.encode()), named("nothing", nothing.encode())]
}

fn lot_file(data: &[u8]) {
    let Ok(file) = LotFile::parse(data) else { return };
    assert_eq!(file.encode().as_bytes(), data, "one spelling");
    assert!(file.story.as_ref().is_none_or(|story| story.len() <= MAX_STORY_ENTRIES));
    let report = verify_lot(data, None, &[], &forge::pins());
    if report.verdict != Verdict::Verified {
        return;
    }
    let honest = Honest::of_target();
    honest.assert_signed(file.state.statement.checkpoint.as_bytes());
    let stated = usize::try_from(honest.stated).expect("a short ledger");
    let truth: Vec<&Bytes> = honest.forged.entries[..stated]
        .iter()
        .filter(|bytes| {
            let entry = Entry::parse(bytes).expect("an honest entry");
            entry.links.iter().any(|link| link.lot == file.state.lot)
        })
        .collect();
    let is_absent = matches!(report.standing, Some(urbanmine::verify::LotStanding::Absent));
    assert_eq!(is_absent, truth.is_empty(), "a lot is there, or it is not");
    if let Some(story) = &file.story {
        let told: Vec<&Bytes> = story.iter().map(|one| &one.entry).collect();
        assert_eq!(told, truth, "a story leaves out or adds an entry");
    }
}

fn lot_file_seeds(honest: &Honest) -> Vec<Seed> {
    let whole = artefacts::lot_file(&honest.forged, honest.stated, honest.lot);
    let nobody = LotId::from_bytes(forge::uuid(77_777));
    let absent = artefacts::lot_file(&honest.forged, honest.stated, nobody);
    vec![
        named("absent", absent.state.encode()),
        named("state", whole.state.encode()),
        named("story", whole.encode()),
    ]
}

// --- beside the record ---------------------------------------------------------------------------

fn policy(data: &[u8]) {
    let Ok(policy) = Policy::parse(data) else { return };
    let count = policy.witnesses().len();
    assert!(count <= MAX_POLICY_WITNESSES);
    // More witnesses are never worse, and all of them are enough.
    let met: Vec<bool> = (0..=count).map(|held| policy.is_quorum(&vec![true; held])).collect();
    assert!(met.is_sorted() && met[count], "{met:?}");
    let honest = Honest::of_target();
    let head = artefacts::checkpoint_of(&honest.forged, honest.forged.size().0);
    let cosigned = artefacts::cosigned(&head, &WITNESSES[..1]);
    let report = policy.judge(cosigned.as_bytes()).expect("an honest checkpoint");
    assert_eq!(report.held.len() + report.missing.len() + report.bad.len(), count);
    assert!(report.held.len() <= 1, "one hand signed");
    assert!(!report.is_quorum_met || met[0] || !report.held.is_empty());
}

fn policy_seeds(_: &Honest) -> Vec<Seed> {
    let [a, b] = WITNESSES.map(|seed| artefacts::cosigner(seed).vkey().to_string());
    let nested =
        format!("witness A {a}\nwitness B {b}\ngroup one any A\ngroup two 1 B one\nquorum two\n");
    let none = format!("log {}\nquorum none\n", artefacts::ledger_vkey());
    vec![
        named("both", artefacts::policy()),
        named("nested", nested),
        named("none", none),
        named("one", format!("witness A {a}\nquorum A\n")),
    ]
}

fn vkey(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(key) = VerifierKey::parse(text) else { return };
    assert_eq!(key.to_string(), text, "one spelling");
    let is_log = VerifierKey::parse_as(SignatureType::Ed25519, text).is_ok();
    let is_witness = VerifierKey::parse_as(SignatureType::CosignatureV1, text).is_ok();
    assert!(is_log != is_witness, "a key is of one type");
}

fn vkey_seeds(_: &Honest) -> Vec<Seed> {
    let witness = artefacts::cosigner(WITNESSES[0]).vkey().to_string();
    vec![named("log", artefacts::ledger_vkey().to_string()), named("witness", witness)]
}

fn submission(data: &[u8]) {
    let Ok(submission) = Submission::parse(data) else { return };
    let blank = data.windows(2).position(|pair| pair == b"\n\n").expect("it has an empty line");
    let text = std::str::from_utf8(&data[blank + 2..]).expect("a checkpoint is text");
    let body = Submission::body(submission.old, &submission.proof, text);
    assert_eq!(body.as_bytes(), data, "one spelling");
    if let Ok(opened) = submission.checkpoint.open(&[artefacts::ledger_vkey()]) {
        Honest::of_target().assert_signed(text.as_bytes());
        assert!(opened.newest_key() == 0);
        let lines = text.matches("\n\u{2014} ").count();
        assert!(lines <= MAX_NOTE_SIGNATURES, "more lines than are looked at");
    }
}

fn submission_seeds(honest: &Honest) -> Vec<Seed> {
    let older = artefacts::checkpoint_of(&honest.fork, 4);
    let way = artefacts::evidence(&older, &honest.fork);
    let head = artefacts::checkpoint_of(&honest.fork, honest.fork.size().0);
    let size = urbanmine::domain::EntryCount(4);
    vec![
        named("first", Submission::body(urbanmine::domain::EntryCount(0), &[], older.text())),
        named("next", Submission::body(size, &way.proof, head.text())),
    ]
}

fn tables(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(tables) = Tables::parse(text) else { return };
    assert_eq!(Tables::parse(text).as_ref(), Ok(&tables));
    for (code, row) in &tables.materials {
        let is_known = row.waste_code.is_empty() || tables.wastes.contains_key(&row.waste_code);
        assert!(is_known, "{code} names a waste that is not in the set");
    }
    for permission in tables.permissions.values() {
        assert!(!permission.is_empty(), "an action that nobody may do has no row");
    }
}

fn tables_seeds(_: &Honest) -> Vec<Seed> {
    let of = |text: String| text.into_bytes();
    vec![
        named("later", of(crate::forge_world::later_tables_text())),
        named("world", of(crate::forge_world::tables_text())),
    ]
}

fn tile(data: &[u8]) {
    if let Some(path) = TilePath::parse(data) {
        assert_eq!(path.bytes(), data, "one spelling");
    }
    let width = u16::try_from(data.len() / 32).unwrap_or(u16::MAX);
    if let Ok(hashes) = parse_hashes(data, width) {
        assert_eq!(encode_hashes(&hashes), data, "one spelling");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(bytes) = base64::decode(text) {
        assert_eq!(base64::encode(&bytes), text, "one spelling");
    }
    let Ok(tile) = Tile::parse(text) else { return };
    assert_eq!(tile.path(), text, "one spelling");
    assert!(tile.is_within(urbanmine::domain::EntryCount(u64::MAX)));
    let end = urbanmine::domain::EntryCount(tile.first() + u64::from(tile.width()));
    if tile.kind().level() == 0 {
        assert!(tile.is_within(end) && !tile.is_within(urbanmine::domain::EntryCount(end.0 - 1)));
        let first = tiles_of_kind(tile.kind(), end).next();
        assert_eq!(first.map(|it| it.index()), Some(0));
    }
}

fn tile_seeds(_: &Honest) -> Vec<Seed> {
    let mut path = vec![3_u8, 0xab, 0xc0];
    path.truncate(3);
    vec![
        named("entries", "tile/entries/x001/x234/067.p/17"),
        named("hashes", "tile/0/000"),
        named("map-path", path),
        named("rows", vec![7_u8; 96]),
        named("upper", "tile/3/x001/234"),
    ]
}

fn entry_bundle(data: &[u8]) {
    let Some((width, rest)) = data.split_first() else { return };
    let (width, bytes) = (u16::from(*width) + 1, Bytes::copy_from_slice(rest));
    let steps: Vec<_> = bundle_entries(&bytes, width).collect();
    assert!(steps.len() <= usize::from(width) + 1, "one fault at most, and it is the last");
    let Ok(entries) = steps.into_iter().collect::<Result<Vec<Bytes>, _>>() else { return };
    assert_eq!(entries.len(), usize::from(width));
    let mut spelled = Vec::new();
    for entry in &entries {
        push_entry(&mut spelled, entry).expect("an entry of a bundle fits a bundle");
    }
    assert_eq!(spelled, rest, "one spelling");
}

fn entry_bundle_seeds(honest: &Honest) -> Vec<Seed> {
    let small = honest.forged.entries.iter().filter(|entry| entry.len() < 700);
    let entries: Vec<&Bytes> = small.take(3).collect();
    let width = u8::try_from(entries.len() - 1).expect("three");
    let mut bytes = vec![width];
    for entry in &entries {
        push_entry(&mut bytes, entry).expect("an honest entry");
    }
    vec![named("three", bytes), named("empty-entries", vec![1, 0, 0, 0, 0])]
}

// --- the judge -----------------------------------------------------------------------------------

/// The first byte says how: edits of the honest ledger as a stream (0) or in groups (1), entries
/// of the fuzzer's own (2), or a head of the fuzzer's own (3).
fn verifier(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let honest = Honest::of_target();
    let mut forged = honest.forged.clone();
    match mode % 4 {
        0 | 1 => edit(&mut forged, rest),
        2 => {
            let bytes = Bytes::copy_from_slice(rest);
            let own = bundle_entries(&bytes, 256).map_while(Result::ok).take(64);
            forged.entries = own.collect();
            forged.groups = vec![1; forged.entries.len()];
        }
        _ => *forged.checkpoints.last_mut().expect("a head") = rest.to_vec(),
    }
    let report =
        if mode % 4 == 1 { in_groups(&forged) } else { forged.judge_stream(forge::pins()) };
    assert!(report.findings.len() <= MAX_FINDINGS);
    let is_honest = forged.entries == honest.forged.entries;
    if report.verdict == Verdict::Verified {
        assert!(is_honest, "entries that nobody signed are verified");
        honest.assert_signed(forged.head());
    } else if is_honest && mode % 4 == 0 {
        panic!("an honest ledger is refused: {:?}", report.findings);
    }
}

/// Each edit is five bytes: what, which entry, where (two bytes), with what.
fn edit(forged: &mut Forged, edits: &[u8]) {
    for one in edits.chunks_exact(5).take(8) {
        let count = forged.entries.len();
        if count == 0 {
            return;
        }
        let at = usize::from(one[1]) % count;
        let place = usize::from(u16::from_be_bytes([one[2], one[3]]));
        match one[0] % 7 {
            0 | 1 => forged.alter(at, |bytes| {
                let place = place % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= one[4];
                }
            }),
            2 => forged.alter(at, |bytes| bytes.truncate(place)),
            3 => {
                forged.entries.remove(at);
            }
            4 => forged.entries.swap(at, usize::from(one[4]) % count),
            5 => {
                let copy = forged.entries[at].clone();
                forged.entries.insert(usize::from(one[4]) % count, copy);
            }
            _ => {
                let at = usize::from(one[1]) % forged.groups.len();
                forged.groups[at] = usize::from(one[4]) % 8;
            }
        }
    }
}

/// As a journal gives it, whatever the groups have become.
fn in_groups(forged: &Forged) -> urbanmine::verify::Report {
    let mut judge = Verifier::new(forge::pins());
    let mut left = forged.entries.as_slice();
    let mut previous: Option<&[u8]> = None;
    for (length, checkpoint) in forged.groups.iter().zip(&forged.checkpoints) {
        let (entries, rest) = left.split_at((*length).min(left.len()));
        let first = EntryIndex((forged.entries.len() - left.len()) as u64);
        judge.feed_group(&GroupInput { first, entries, previous_checkpoint: previous });
        (left, previous) = (rest, Some(checkpoint.as_slice()));
    }
    for entry in left {
        judge.feed_entry(entry);
    }
    judge.checkpoint(forged.head());
    judge.finish()
}

fn verifier_seeds(honest: &Honest) -> Vec<Seed> {
    let mut own = vec![2];
    for entry in honest.forged.entries.iter().take(2) {
        push_entry(&mut own, entry).expect("an honest entry");
    }
    vec![
        named("altered", vec![0, 0, 2, 0, 120, 1]),
        named("grouped", vec![1]),
        named("head", [&[3], honest.forged.head()].concat()),
        named("own", own),
        named("regrouped", vec![1, 6, 1, 0, 0, 3]),
        named("removed", vec![0, 3, 4, 0, 0, 0]),
        named("streamed", vec![0]),
    ]
}
