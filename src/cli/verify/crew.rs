//! All cores at one verification: while the judge replays a piece of the ledger, the others read
//! the next one and take it apart.
//!
//! Memory: twice [`PIECE_ENTRIES`] entries or [`PIECE_BYTES`], whichever is less, and one commit
//! group more.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;
use indicatif::ProgressBar;
use rayon::prelude::*;

use crate::domain::EntryIndex;
use crate::ledger::SignerTables;
use crate::limits::{
    MAX_FINDINGS, MAX_GROUP_ENTRIES, MAX_PART_ENTRIES, MIN_PART_ENTRIES, PIECE_BYTES, PIECE_ENTRIES,
};
use crate::verify::{
    Ahead, Answer, GroupInput, KnownKeys, Prepared, Speaker, Verifier, Vouched, answer,
    note_answers, prepare, questions,
};

/// Neighbouring entries, as they lie where they come from.
#[derive(Debug, Default)]
pub(in crate::cli) struct Piece {
    /// The index of the first, as its carrier says.
    pub first: EntryIndex,
    /// Their bytes.
    pub entries: Vec<Bytes>,
    /// For a commit group of a journal: the checkpoint of the group before it, as it stands there.
    pub group: Option<Bytes>,
    /// Checkpoints that end inside, right after entries that name a next ledger key.
    pub rotations: Vec<(EntryIndex, Vec<u8>)>,
}

/// Where entries come from.
pub(in crate::cli) trait Source: Send {
    /// The next piece; `None` at the end.
    fn next(&mut self) -> Result<Option<Piece>>;
}

/// A piece with its entries taken apart.
struct Ready {
    piece: Piece,
    entries: Vec<Prepared>,
    /// What is known of the signature of its checkpoint.
    vouched: Option<Vouched>,
}

/// What is known before a piece is taken apart.
struct Before {
    keys: KnownKeys,
    speaker: Option<Speaker>,
    ahead: Ahead,
}

/// Feeds a verifier with all that a source has.
pub(in crate::cli) fn judge(
    verifier: &mut Verifier,
    source: &mut dyn Source,
    progress: &ProgressBar,
) -> Result<()> {
    let (mut ready, signers) = (Vec::<Ready>::new(), SignerTables::default());
    // Each turn takes a piece from the source, which ends.
    loop {
        let (mut keys, reached) = (verifier.known_keys(), verifier.progress().entries);
        // The judge has not come to these.
        for it in &ready {
            keys.learn(&it.entries);
        }
        let coming: usize = ready.iter().map(|it| it.entries.len()).sum();
        let next = EntryIndex(reached.saturating_add(coming as u64));
        let before = Before { keys, speaker: verifier.speaker(), ahead: verifier.ahead(next) };
        let (told, read) = rayon::join(
            || feed(verifier, std::mem::take(&mut ready)),
            || Ok::<_, anyhow::Error>(take_apart(gather(source)?, before, &signers)),
        );
        progress.set_position(told);
        ready = read?;
        // Whoever sends what is no ledger does not keep us reading.
        if verifier.progress().findings > MAX_FINDINGS as u64 {
            verifier.cut_short("so much is wrong that the rest was not read");
            return Ok(());
        }
        if ready.is_empty() {
            return Ok(());
        }
    }
}

/// Pieces until there is enough for all cores.
fn gather(source: &mut dyn Source) -> Result<Vec<Piece>> {
    let (mut pieces, mut entries, mut bytes) = (Vec::new(), 0, 0);
    while entries < PIECE_ENTRIES && bytes < PIECE_BYTES {
        let Some(piece) = source.next()? else { break };
        // An empty group still counts, so that a source of nothing but those is bounded.
        entries += piece.entries.len().max(1);
        bytes += piece.entries.iter().map(Bytes::len).sum::<usize>();
        pieces.push(piece);
    }
    debug_assert!(entries < PIECE_ENTRIES + MAX_GROUP_ENTRIES, "a piece is at most a group");
    Ok(pieces)
}

/// On all cores, across the pieces: a commit group may be a single entry, and the signatures of a
/// signer are to stand together.
fn take_apart(pieces: Vec<Piece>, before: Before, signers: &SignerTables) -> Vec<Ready> {
    let Before { mut keys, speaker, ahead } = before;
    let all: Vec<Bytes> = pieces.iter().flat_map(|piece| piece.entries.iter().cloned()).collect();
    let mut prepared: Vec<Prepared> =
        all.par_iter().with_min_len(MIN_PART_ENTRIES).map(prepare).collect();
    let mut vouched = BTreeMap::new();
    if ahead == Ahead::Signatures {
        keys.learn(&prepared);
        let checkpoints = pieces.iter().map(|piece| piece.group.clone().unwrap_or_default());
        let checkpoints: Vec<Bytes> = checkpoints.collect();
        let asked = questions(&prepared, &checkpoints, &keys, speaker.as_ref());
        let parts = asked.par_chunks(part_signatures(asked.len()));
        let answers: Vec<Vec<Answer>> = parts.map(|part| answer(part, signers)).collect();
        let answers = answers.into_iter().flatten();
        vouched = note_answers(&mut prepared, answers, speaker.as_ref());
    }
    let mut prepared = prepared.into_iter();
    let ready = pieces.into_iter().enumerate().map(|(number, piece)| {
        let entries = prepared.by_ref().take(piece.entries.len()).collect();
        Ready { piece, entries, vouched: vouched.remove(&number) }
    });
    ready.collect()
}

/// How many signatures a core checks at a time: some parts for each core, so that none waits long
/// for another.
fn part_signatures(signatures: usize) -> usize {
    let parts = rayon::current_num_threads().saturating_mul(4).max(1);
    signatures.div_ceil(parts).clamp(MIN_PART_ENTRIES, MAX_PART_ENTRIES)
}

/// The judge's own work, in order; answers how far it got.
fn feed(verifier: &mut Verifier, pieces: Vec<Ready>) -> u64 {
    for Ready { piece, entries, vouched } in pieces {
        let Piece { first, entries: bytes, group, rotations } = piece;
        if let Some(previous) = group {
            let previous_checkpoint = Some(&previous[..]);
            let input = GroupInput { first, entries: &bytes, previous_checkpoint };
            verifier.feed_group_of(&input, entries, vouched.as_ref());
            continue;
        }
        let mut rotations = rotations.into_iter();
        for entry in entries {
            verifier.feed(entry);
            if let Some(rotated) = verifier.awaits_checkpoint()
                && let Some((_, text)) = rotations.find(|(index, _)| *index == rotated)
            {
                verifier.rotation_checkpoint(&text);
            }
        }
    }
    verifier.progress().entries
}
