//! What a mutant of the judge would get past the other tests: evidence of a fork, cosignatures, a
//! lot's state and story, each of them right, and each bent in one place.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/artefacts.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod artefacts;
#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;

use artefacts::{WITNESSES, short_story};
use bytes::Bytes;
use forge::{Forge, Forged, LEDGER, origin, pins, public, secret};
use forge_world::{COLLECTOR, draw, split};
use urbanmine::domain::{EntryCount, EntryIndex, Hash32, LotId};
use urbanmine::ledger::{
    Checkpoint, Evidence, LotFile, Policy, ProvenEntry, SignedCheckpoint, WayEnd, lot_map,
};
use urbanmine::limits::{MAX_CHECKPOINT_BYTES, MAX_PROOF_HASHES};
use urbanmine::verify::{
    EvidenceReport, FindingKind as Kind, LotReport, LotStanding, Pins, Remembered, Verdict,
    Verifier, judge_cosignatures, verify_evidence, verify_lot,
};
use urbanmine::wire::statement::StatementBody;

// --- evidence of a fork --------------------------------------------------------------------------

/// A ledger, and another that begins alike, ends otherwise and is longer.
fn forked() -> (Forged, Forged) {
    let (forge, ..) = short_story(3_000);
    let (mut other, ..) = short_story(9_000);
    other.copper(10);
    (forge.forged, other.forged)
}

fn head(forged: &Forged) -> SignedCheckpoint {
    SignedCheckpoint::parse(forged.head()).unwrap().0.sign(&secret(LEDGER))
}

fn proven() -> Evidence {
    let (forged, other) = forked();
    artefacts::evidence(&head(&forged), &other)
}

fn judged(evidence: &Evidence) -> EvidenceReport {
    verify_evidence(evidence.encode().as_bytes(), &[], &pins())
}

#[track_caller]
fn proves_nothing(report: &EvidenceReport, why: &str) {
    assert_eq!(report.verdict, Verdict::Undetermined, "{:?}", report.findings);
    let first = &report.findings[0];
    assert_eq!((first.kind, first.index), (Kind::EvidenceUnusable, None));
    assert!(first.detail.contains(why), "{}", first.detail);
}

#[test]
fn a_fork_is_proven_to_whoever_pins_the_ledger() {
    let (forged, other) = forked();
    let evidence = proven();
    let report = judged(&evidence);
    assert_eq!(report.verdict, Verdict::Tampered);
    assert_eq!(report.findings.len(), 1);
    assert_eq!((report.findings[0].kind, report.findings[0].index), (Kind::Forked, None));
    let (older, newer) = (report.older.unwrap(), report.newer.unwrap());
    assert_eq!((older.size, newer.size), (forged.size(), other.size()));
    for said in [older.root, newer.root, evidence.found] {
        assert!(report.findings[0].detail.contains(&said.to_string()));
    }
    assert_eq!(Evidence::parse(evidence.encode().as_bytes()).unwrap(), evidence);
    // As long as each other: the proof is that the roots differ.
    let (even, ..) = short_story(9_000);
    let same_size = artefacts::evidence(&head(&forged), &even.forged);
    assert!(same_size.proof.is_empty());
    assert_eq!(judged(&same_size).verdict, Verdict::Tampered);
}

#[test]
fn evidence_that_was_changed_in_any_byte_accuses_nobody() {
    let text = proven().encode().into_bytes();
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        let report = verify_evidence(&changed, &[], &pins());
        assert_eq!(report.verdict, Verdict::Undetermined, "byte {at}");
        assert_eq!(verify_evidence(&text[..at], &[], &pins()).verdict, Verdict::Undetermined);
    }
}

#[test]
fn evidence_needs_both_pins() {
    let text = proven().encode().into_bytes();
    for pins in
        [Pins::default(), Pins { ledger_key: None, ..pins() }, Pins { origin: None, ..pins() }]
    {
        let report = verify_evidence(&text, &[], &pins);
        proves_nothing(&report, "have to be pinned");
        assert_eq!((report.older, report.newer), (None, None));
    }
    let stranger = Pins { ledger_key: Some(public(77)), ..pins() };
    proves_nothing(&verify_evidence(&text, &[], &stranger), "checkpoint-unsigned");
}

#[test]
fn two_checkpoints_of_one_ledger_accuse_nobody() {
    let (forged, other) = forked();
    let lawful = artefacts::evidence(&artefacts::checkpoint_of(&forged, 1), &other);
    proves_nothing(&judged(&lawful), "may be of one ledger");
    // Of no entries, whatever is said to be found.
    let root = Hash32([9; 32]);
    let nothing = Checkpoint { origin: origin(), size: EntryCount(0), root };
    let mut empty = proven();
    empty.older = nothing.sign(&secret(LEDGER));
    proves_nothing(&judged(&empty), "may be of one ledger");
    // A root that no proof leads to the newer one from.
    let mut unproven = proven();
    unproven.found.0[0] ^= 1;
    assert_eq!(judged(&unproven).verdict, Verdict::Undetermined);
    let mut unproven = proven();
    unproven.proof[0].0[0] ^= 1;
    assert_eq!(judged(&unproven).verdict, Verdict::Undetermined);
}

#[test]
fn evidence_has_one_spelling_and_a_longest() {
    let whole = proven();
    let text = whole.encode();
    let refused = |text: &str| Evidence::parse(text.as_bytes()).unwrap_err();
    let first = |from: &str, to: &str| text.replacen(from, to, 1);
    assert!(refused(&first("checkpoint ", "checkpoint +")).contains("checkpoint <bytes>"));
    assert!(refused(&first("checkpoint ", "checkpoint 0")).contains("checkpoint <bytes>"));
    assert!(refused(&text[..text.len() - 1]).contains("newline"));
    assert!(refused(&format!("{text}\n")).contains("32 bytes"));
    // Into the middle of the dash that begins a signature line.
    let dash = head(&forked().0).text().find('\u{2014}').unwrap();
    let length = whole.older.text().len();
    let split = first(&format!("checkpoint {length}\n"), &format!("checkpoint {}\n", dash + 1));
    assert!(refused(&split).contains("checkpoint <bytes>"));

    let most = 2 * MAX_CHECKPOINT_BYTES + 64 * (MAX_PROOF_HASHES + 8);
    assert!(refused(&"a".repeat(most)).contains("line 1"));
    let long = refused(&"a".repeat(most + 1));
    assert!(long.contains(&format!("at most {most} bytes, not {}", most + 1)), "{long}");
    let mut many = whole;
    many.proof = vec![Hash32([1; 32]); MAX_PROOF_HASHES + 1];
    assert_eq!(Evidence::parse(many.encode().as_bytes()).unwrap(), many);
    many.proof.push(Hash32([1; 32]));
    assert!(refused(&many.encode()).contains("more than 65 hashes"));
}

// --- cosignatures --------------------------------------------------------------------------------

#[test]
fn cosignatures_are_as_many_as_the_policy_asks() {
    let (forged, _) = forked();
    let policy = Policy::parse(artefacts::policy().as_bytes()).unwrap();
    let judge = |text: &[u8]| judge_cosignatures(text, &policy, &origin(), &[public(LEDGER)]);
    let of = |seeds: &[u8]| artefacts::cosigned(&head(&forged), seeds);

    let both = judge(of(&WITNESSES).as_bytes());
    assert_eq!((both.verdict, both.findings.len()), (Verdict::Verified, 0));
    assert_eq!(both.report.unwrap().held.len(), 2);
    let one = judge(of(&WITNESSES[1..]).as_bytes());
    assert_eq!(one.verdict, Verdict::Undetermined);
    assert_eq!(one.findings.len(), 1);
    assert_eq!(one.findings[0].kind, Kind::CosignaturesMissing);
    let detail = &one.findings[0].detail;
    assert!(detail.starts_with("1 of 2 witnesses cosigned (B)"), "{detail}");
    assert!(detail.ends_with("missing: A"), "{detail}");
    let none = judge(of(&[]).as_bytes());
    let detail = &none.findings[0].detail;
    assert!(detail.starts_with("0 of 2 witnesses cosigned (none)"), "{detail}");
    assert!(detail.ends_with("missing: A, B"), "{detail}");

    // A's line under another text: enough would hold without it, and it is told all the same.
    let (_, other) = forked();
    let stolen = artefacts::cosigned(&head(&other), &WITNESSES[..1]);
    let line = stolen.text().lines().last().unwrap().to_owned();
    let wrong = format!("{}{line}\n", of(&WITNESSES[1..]).text());
    let wrong = judge(wrong.as_bytes());
    assert_eq!(wrong.verdict, Verdict::Tampered);
    let kinds: Vec<Kind> = wrong.findings.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [Kind::CosignatureInvalid, Kind::CosignaturesMissing]);
    assert!(wrong.findings[0].detail.starts_with("witness A: "));

    let nothing = judge(b"no checkpoint");
    assert_eq!((nothing.verdict, nothing.report), (Verdict::Tampered, None));
    assert_eq!(nothing.findings[0].kind, Kind::CheckpointMalformed);
}

#[test]
fn a_policy_for_other_logs_says_nothing_of_this_one() {
    let (forged, _) = forked();
    let policy = Policy::parse(artefacts::policy().as_bytes()).unwrap();
    let cosigned = artefacts::cosigned(&head(&forged), &WITNESSES);
    let judge = |keys: &[_]| judge_cosignatures(cosigned.as_bytes(), &policy, &origin(), keys);
    let stranger = judge(&[public(77)]);
    assert_eq!(stranger.verdict, Verdict::Undetermined);
    assert_eq!(stranger.findings[0].kind, Kind::PolicyLogUnknown);
    assert!(stranger.findings[0].detail.contains("names 1 logs"));
    // One of the ledger's keys is enough.
    assert_eq!(judge(&[public(77), public(LEDGER)]).verdict, Verdict::Verified);
    assert_eq!(judge(&[]).verdict, Verdict::Undetermined);
}

// --- a lot's state and story ---------------------------------------------------------------------

struct Told {
    forged: Forged,
    lot: LotId,
    stated: u64,
    file: LotFile,
}

/// A lot of three entries; its state, and after that one more entry of it.
fn told() -> Told {
    let (mut forge, lot, _) = short_story(3_000);
    for grams in [100, 200] {
        let child = forge.lot();
        let (rest, born) = (forge.lot(), draw(child, grams));
        let parent = forge.copper(1_000);
        let both = [born, draw(rest, 1_000 - grams)];
        forge.say(COLLECTOR, split(parent, &both));
    }
    let stated = artefacts::state_lots(&mut forge);
    let file = artefacts::lot_file(&forge.forged, stated, lot);
    Told { forged: forge.forged, lot, stated, file }
}

fn judge(file: &LotFile) -> LotReport {
    verify_lot(file.encode().as_bytes(), None, &[], &pins())
}

#[track_caller]
fn refused(file: &LotFile, kind: Kind, index: Option<u64>) {
    let report = judge(file);
    assert_eq!(report.verdict, Verdict::Tampered, "{:?}", report.findings);
    let first = &report.findings[0];
    assert_eq!((first.kind, first.index.map(|it| it.0)), (kind, index), "{}", first.detail);
    assert_eq!(report.story, None);
}

#[test]
fn a_lots_state_and_story_are_told() {
    let Told { forged, lot, stated, file } = told();
    let report = judge(&file);
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Verified, 0));
    assert_eq!((report.lot, report.as_of), (Some(lot), Some(EntryCount(stated))));
    assert_eq!(report.checkpoint.unwrap().size, EntryCount(stated + 1));
    let story = report.story.unwrap();
    let WayEnd::Lot(state) = file.state.way.end else { panic!("{:?}", file.state.way) };
    assert_eq!(report.standing, Some(LotStanding::Present(state)));
    assert_eq!((story.len() as u64, story.last().unwrap().index), (state.entry_count, state.last));
    // Who asks for another lot is told so; who asks for this one is not.
    let text = file.encode().into_bytes();
    assert_eq!(verify_lot(&text, Some(lot), &[], &pins()).verdict, Verdict::Verified);
    let other = LotId::from_bytes(forge::uuid(77_777));
    let report = verify_lot(&text, Some(other), &[], &pins());
    assert_eq!(report.findings[0].kind, Kind::LotStateUnproven);
    assert_eq!((report.standing, report.as_of), (None, None));
    // No such lot.
    let absent = artefacts::lot_file(&forged, stated, other);
    let report = judge(&absent);
    assert_eq!((report.verdict, report.standing), (Verdict::Verified, Some(LotStanding::Absent)));
    assert_eq!(report.story, Some(Vec::new()));
    let state_only = LotFile { story: None, ..file };
    assert_eq!(judge(&state_only).story, None);
    assert_eq!(judge(&state_only).verdict, Verdict::Verified);
}

#[test]
fn a_lots_file_needs_the_pins() {
    let text = told().file.encode().into_bytes();
    let of = |pins: &Pins| verify_lot(&text, None, &[], pins);
    let unpinned = of(&Pins::default());
    assert_eq!((unpinned.verdict, unpinned.standing), (Verdict::Undetermined, None));
    let kinds: Vec<Kind> = unpinned.findings.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [Kind::CheckpointUnchecked, Kind::PinsMissing]);
    assert_eq!(of(&Pins { origin: None, ..pins() }).verdict, Verdict::Warnings);
    let stranger = of(&Pins { ledger_key: Some(public(77)), ..pins() });
    assert_eq!(stranger.findings[0].kind, Kind::CheckpointUnsigned);
    let nothing = verify_lot(b"no file", None, &[], &pins());
    assert_eq!((nothing.verdict, nothing.lot), (Verdict::Tampered, None));
    assert_eq!(nothing.findings[0].kind, Kind::LotStateMalformed);
}

#[test]
fn a_story_leaves_nothing_out_and_adds_nothing() {
    let Told { forged, stated, file, .. } = told();
    let altered = |alter: &dyn Fn(&mut Vec<ProvenEntry>)| {
        let mut file = file.clone();
        alter(file.story.as_mut().unwrap());
        file
    };
    let story = file.story.as_ref().unwrap();
    assert_eq!(story.len(), 2);
    let at =
        |place: usize| Some(urbanmine::ledger::Entry::parse(&story[place].entry).unwrap().index.0);
    refused(&altered(&|story| drop(story.remove(0))), Kind::LotStoryOmits, at(1));
    refused(&altered(&|story| drop(story.remove(1))), Kind::LotStoryOmits, None);
    refused(&altered(&Vec::clear), Kind::LotStoryOmits, None);
    refused(&altered(&|story| story.push(story[1].clone())), Kind::LotStoryInvents, at(1));
    refused(&altered(&|story| story.insert(1, story[0].clone())), Kind::LotStoryInvents, at(0));
    refused(&altered(&|story| story.swap(0, 1)), Kind::LotStoryOmits, at(1));
    // Not of this lot, though in the ledger.
    let stranger = artefacts::receipt(&forged, 1);
    let size = EntryCount(stated + 1);
    let nodes = artefacts::tree(&forged.entries);
    let proof = urbanmine::ledger::tree::inclusion_proof(EntryIndex(1), size, &nodes).unwrap();
    let one = ProvenEntry { entry: stranger.entry, proof };
    refused(&altered(&|story| story.push(one.clone())), Kind::LotStoryInvents, Some(1));
    // Not in the ledger, not an entry.
    refused(&altered(&|story| story[1].proof[0].0[0] ^= 1), Kind::LotStoryInvents, at(1));
    let no = Bytes::from_static(b"no");
    refused(&altered(&|story| story[1].entry = no.clone()), Kind::LotStoryInvents, None);
}

/// As [`told`], but the root is stated over a map and a number of entries of the forger's own.
fn stated_otherwise(size: impl Fn(u64) -> u64, last: impl Fn(u64) -> u64) -> (LotFile, u64) {
    let (mut forge, lot, _) = short_story(3_000);
    let next = forge.next();
    let state = lot_map::LotState { entry_count: 2, last: EntryIndex(last(next)) };
    let root = lot_map::map_leaf(&lot_map::LotKey::of(lot), &state);
    let body = StatementBody::LotStateRoot { size: EntryCount(size(next)), root };
    let at = forge.state(body, &[LEDGER]);
    let way = lot_map::MapProof { end: WayEnd::Lot(state), siblings: Vec::new() };
    let statement = artefacts::receipt(&forge.forged, at);
    let state = urbanmine::ledger::LotStateProof { lot, way, statement };
    (LotFile { state, story: None }, at)
}

#[test]
fn a_statement_of_lots_speaks_of_the_entries_before_it() {
    let (right, _) = stated_otherwise(|next| next, |next| next - 1);
    assert_eq!(judge(&right).verdict, Verdict::Verified);
    let (early, at) = stated_otherwise(|next| next - 1, |next| next - 2);
    refused(&early, Kind::LotStateWrong, Some(at));
    let (ahead, at) = stated_otherwise(|next| next, |next| next);
    refused(&ahead, Kind::LotStateWrong, Some(at));
    // Another statement, or an event, in its place; another way.
    let Told { forged, file, stated, .. } = told();
    let with = |index: u64| {
        let mut file = file.clone();
        file.state.statement = artefacts::receipt(&forged, index);
        file
    };
    refused(&with(3), Kind::StatementInvalid, Some(3));
    let mut forge = Forge::bare();
    let note = StatementBody::RestartNote { software: "s".to_owned() };
    let at = forge.state(note, &[LEDGER]);
    let mut noted = file.clone();
    noted.state.statement = artefacts::receipt(&forge.forged, at);
    refused(&noted, Kind::StatementInvalid, Some(at));
    let mut bent = file;
    bent.state.way.siblings[0].0[0] ^= 1;
    refused(&bent, Kind::LotStateUnproven, Some(stated));
}

#[test]
fn an_operator_who_states_a_wrong_root_is_found_with_the_index() {
    let (mut forge, ..) = short_story(3_000);
    for _ in 0..20 {
        forge.copper(1_000);
    }
    artefacts::state_lots(&mut forge);
    let found = |forge: &Forge| -> Vec<(Option<u64>, Kind)> {
        let report = forge.forged.judge_stream(pins());
        report.findings.iter().map(|it| (it.index.map(|at| at.0), it.kind)).collect()
    };
    assert_eq!(found(&forge), []);
    let mut wrong = forge.clone();
    let (size, root) = (EntryCount(wrong.next()), Hash32([1; 32]));
    let at = wrong.state(StatementBody::LotStateRoot { size, root }, &[LEDGER]);
    wrong.copper(500);
    artefacts::state_lots(&mut wrong);
    assert_eq!(found(&wrong), [(Some(at), Kind::LotStateWrong)]);
}

// --- what a verifier keeps and tells -------------------------------------------------------------

fn fed(forged: &Forged, prepare: impl FnOnce(&mut Verifier)) -> Verifier {
    let mut verifier = Verifier::new(pins());
    prepare(&mut verifier);
    verifier.checkpoint(forged.head());
    for entry in &forged.entries {
        verifier.feed_entry(entry);
    }
    verifier
}

#[test]
fn what_the_reader_remembers_is_held_against_what_comes() {
    let (forged, other) = forked();
    let kept = artefacts::checkpoint_of(&forged, 4);
    let verifier = fed(&forged, |it| it.remember(kept.as_bytes(), Remembered::Consistency));
    let head = artefacts::checkpoint_of(&forged, forged.size().0);
    assert_eq!(verifier.last_checkpoints(), [(public(LEDGER), head.clone())]);
    assert_eq!(verifier.ledger_keys(), [public(LEDGER)]);
    let report = verifier.finish();
    assert_eq!((report.verdict, report.fork), (Verdict::Verified, None));
    assert_eq!(report.remembered, Some(EntryCount(4)));
    assert_eq!(report.signed_checkpoint, Some(head.clone()));

    let parted = fed(&other, |it| it.remember(head.as_bytes(), Remembered::Consistency));
    let report = parted.finish();
    assert_eq!((report.verdict, report.remembered), (Verdict::Tampered, None));
    let fork = report.fork.unwrap();
    assert_eq!((fork.remembered, fork.size), (head, forged.size()));
    assert_eq!(fork.found, proven().found);
}

#[test]
fn what_could_not_be_read_accuses_nobody() {
    let (mut forged, _) = forked();
    let head = forged.head().to_vec();
    forged.entries.pop();
    let judge = |cut: bool| {
        let mut verifier = Verifier::new(pins());
        verifier.checkpoint(&head);
        for entry in &forged.entries {
            verifier.feed_entry(entry);
        }
        if cut {
            verifier.cut_short("the disk failed");
        }
        let report = verifier.finish();
        let kinds: Vec<Kind> = report.findings.iter().map(|it| it.kind).collect();
        (report.verdict, kinds)
    };
    let (verdict, kinds) = judge(false);
    assert_eq!((verdict, kinds.contains(&Kind::EntriesMissing)), (Verdict::Tampered, true));
    let (verdict, kinds) = judge(true);
    assert_eq!((verdict, kinds.contains(&Kind::EntriesUnreadable)), (Verdict::Undetermined, true));
}

#[test]
fn an_entry_is_explained_by_what_it_reads_and_changes() {
    let (forge, lot, stated) = short_story(3_000);
    let forged = forge.forged;
    let divided = stated - 1;
    let report = fed(&forged, |it| {
        it.keep_history();
        it.explain(EntryIndex(divided));
    })
    .finish();
    assert_eq!(report.verdict, Verdict::Verified);
    let steps: Vec<String> = report.steps.iter().map(|it| format!("{it:?}")).collect();
    let has = |words: &[&str]| {
        let found = steps.iter().any(|step| words.iter().all(|word| step.contains(word)));
        assert!(found, "{words:?} in {steps:#?}");
    };
    has(&["\"entry\"", "\"index\"", &divided.to_string()]);
    has(&["\"links\"", &lot.to_string(), "ordinal 1, previous entry"]);
    has(&["\"signatures\"", "holds, strictly"]);
    has(&["\"payload\"", "\"says\"", &COLLECTOR.to_string()]);
    has(&["\"signatures\"", "what is signed (PAE)"]);
    has(&["\"effects\"", &lot.to_string(), "1000 g of 1000 (0 g promised)", "0 g of 1000"]);
    has(&[
        "\"tree\"",
        &urbanmine::ledger::hash::leaf_hash(&forged.entries[usize::try_from(divided).unwrap()])
            .to_string(),
    ]);
    // The lot was written by the entry that its link names.
    let entry = urbanmine::ledger::Entry::parse(&forged.entries[usize::try_from(divided).unwrap()]);
    let links = entry.unwrap().links;
    let born = links.iter().find(|link| link.lot == lot).unwrap().previous.unwrap();
    has(&["\"rules\"", &lot.to_string(), &format!("as entry {born} left it")]);
    has(&["\"rules\"", "not there"]);
    // Nobody asked, nothing is told.
    assert!(fed(&forged, |_| {}).finish().steps.is_empty());
}

/// As many entries as were counted, and another last one: the ledger's own word is broken.
#[test]
fn a_story_ends_with_the_entry_that_was_stated() {
    let (mut file, at) = stated_otherwise(|next| next, |next| next - 1);
    let (forge, lot, _) = short_story(3_000);
    let mut forged = forge.forged;
    forged.entries.push(file.state.statement.entry.clone());
    forged.groups.push(1);
    forged.sign(&origin(), &secret(LEDGER));
    file.story = artefacts::lot_file(&forged, at, lot).story;
    assert_eq!(file.story.as_ref().unwrap().len(), 2);
    refused(&file, Kind::LotStoryInvents, None);
}

/// The right ordinal behind another entry than the one before it in the story.
#[test]
fn a_story_is_one_chain() {
    let mut forge = Forge::new();
    let lot = forge.copper(1_000);
    let halves = [draw(forge.lot(), 400), draw(forge.lot(), 600)];
    let event = forge.event(COLLECTOR, split(lot, &halves));
    let at = forge.append_altered(&event, &[forge::seed_of(COLLECTOR)], |draft| {
        let link = draft.links.iter_mut().find(|link| link.lot == lot).unwrap();
        link.previous = Some(EntryIndex(1));
    });
    let stated = artefacts::state_lots(&mut forge);
    let file = artefacts::lot_file(&forge.forged, stated, lot);
    refused(&file, Kind::LotStoryInvents, Some(at));
}

/// Behind the right entry, under a number that was there before.
#[test]
fn a_story_counts_every_entry() {
    let mut forge = Forge::new();
    let lot = forge.copper(1_000);
    let part = |forge: &mut Forge, ordinal: u32| {
        let child = draw(forge.lot(), 100);
        let event = forge.event(COLLECTOR, split(lot, &[child]));
        forge.append_altered(&event, &[forge::seed_of(COLLECTOR)], |draft| {
            draft.links.iter_mut().find(|link| link.lot == lot).unwrap().ordinal = ordinal;
        })
    };
    part(&mut forge, 1);
    let at = part(&mut forge, 1);
    let stated = artefacts::state_lots(&mut forge);
    let file = artefacts::lot_file(&forge.forged, stated, lot);
    refused(&file, Kind::LotStoryInvents, Some(at));
}
