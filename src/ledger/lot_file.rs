//! What a stranger gets of one lot, as text: the proof of its state, and its story with the proofs
//! of every entry. In the manner of a receipt, which stands in it verbatim.

use std::fmt::Write as _;

use bytes::Bytes;

use super::base64;
use super::checkpoint::{parse_decimal, parse_hash};
use super::lot_map::{LotKey, LotState, MapProof, WayEnd};
use super::receipt::{Receipt, ReceiptFault};
use crate::domain::{EntryIndex, Hash32, LotId};
use crate::limits::{
    MAX_ENTRY_BYTES, MAX_LOT_PROOF_HASHES, MAX_LOT_STATE_BYTES, MAX_PROOF_HASHES, MAX_STORY_BYTES,
    MAX_STORY_ENTRIES,
};

/// First line of a proof of a lot's state.
pub const LOT_STATE_HEADER: &str = "urbanmine/lot-state@v1";
/// First line of a lot's story.
pub const LOT_STORY_HEADER: &str = "urbanmine/lot-story@v1";

/// How far the life of a lot got, as the ledger stated it: the receipt of the statement, and the
/// way in the map under its root. Form only: nothing is checked until `verify::verify_lot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotStateProof {
    /// Which lot.
    pub lot: LotId,
    /// Its way in the map.
    pub way: MapProof,
    /// The receipt of the entry that states the root.
    pub statement: Receipt,
}

/// An entry, with the way from it to the root of a checkpoint that is known from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    /// The bytes of the entry.
    pub entry: Bytes,
    /// Sibling hashes from the leaf up.
    pub proof: Vec<Hash32>,
}

/// A proof of a lot's state, alone or with all entries of its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotFile {
    /// How far its life got.
    pub state: LotStateProof,
    /// The entries, in their order, under the checkpoint of the statement's receipt.
    pub story: Option<Vec<ProvenEntry>>,
}

/// Why a text is neither. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LotFileFault {
    /// Longer than any.
    #[error("it has at most {max} bytes, not {found}")]
    TooLong {
        /// Its length.
        found: usize,
        /// What is allowed.
        max: usize,
    },
    /// Not UTF-8.
    #[error("offset {offset}: not UTF-8")]
    NotUtf8 {
        /// Where.
        offset: usize,
    },
    /// The first line is another.
    #[error("line {line}: not `{LOT_STATE_HEADER}`{}", also(*is_whole))]
    Header {
        /// Which line.
        line: usize,
        /// Whether a story could have begun there.
        is_whole: bool,
    },
    /// A line is not what has to stand there.
    #[error("line {line}: not {rule}")]
    Line {
        /// Which line.
        line: usize,
        /// What it has to be.
        rule: &'static str,
    },
    /// More lines of a kind than there can be.
    #[error("line {line}: at most {max} {what}")]
    TooMany {
        /// Which line.
        line: usize,
        /// Of what.
        what: &'static str,
        /// How many.
        max: usize,
    },
    /// No empty line.
    #[error("there is no empty line before the {before}")]
    NoEmptyLine {
        /// Before what.
        before: &'static str,
    },
    /// The receipt of the statement is none.
    #[error("the receipt of the statement is refused")]
    Receipt(#[source] ReceiptFault),
}

fn also(is_whole: bool) -> &'static str {
    if is_whole { " or `urbanmine/lot-story@v1`" } else { "" }
}

const LOT_RULE: &str = "`lot <id>`";
const WAY_RULE: &str = "`way lot <entries> <last entry>`, `way empty`, or `way other <key> \
                        <entries> <last entry>`";
const HASH_RULE: &str = "32 bytes in base64";
const ENTRY_RULE: &str = "`entry <bytes in base64>`";

impl LotStateProof {
    /// The text.
    pub fn encode(&self) -> String {
        let mut out = format!("{LOT_STATE_HEADER}\nlot {}\n", self.lot);
        // Writing to a text does not fail.
        let _ = match &self.way.end {
            WayEnd::Lot(it) => writeln!(out, "way lot {} {}", it.entry_count, it.last),
            WayEnd::Empty => writeln!(out, "way empty"),
            WayEnd::Other(key, it) => {
                let key = base64::encode(&key.0);
                writeln!(out, "way other {key} {} {}", it.entry_count, it.last)
            }
        };
        put_hashes(&mut out, &self.way.siblings);
        out.push('\n');
        out += &self.statement.encode();
        out
    }

    /// Takes a text apart; `first_line` is the number of its first line in a larger one.
    fn parse(text: &str, first_line: usize) -> Result<Self, LotFileFault> {
        if text.len() > MAX_LOT_STATE_BYTES {
            let (found, max) = (text.len(), MAX_LOT_STATE_BYTES);
            return Err(LotFileFault::TooLong { found, max });
        }
        let before = "receipt of the statement";
        let (head, receipt) =
            text.split_once("\n\n").ok_or(LotFileFault::NoEmptyLine { before })?;
        let mut lines = (first_line..).zip(head.split('\n'));
        if lines.next().map(|(_, line)| line) != Some(LOT_STATE_HEADER) {
            return Err(LotFileFault::Header { line: first_line, is_whole: first_line == 1 });
        }
        let fault = |line, rule| LotFileFault::Line { line: first_line + line, rule };
        let lot = lines.next().and_then(|(_, line)| line.strip_prefix("lot "));
        let lot = lot.and_then(|id| LotId::from_text(id).ok()).ok_or(fault(1, LOT_RULE))?;
        let end = lines.next().and_then(|(_, line)| parse_end(line)).ok_or(fault(2, WAY_RULE))?;
        let mut siblings = Vec::new();
        for (line, text) in lines {
            let (what, max) = ("hashes beside the way", MAX_LOT_PROOF_HASHES);
            if siblings.len() == max {
                return Err(LotFileFault::TooMany { line, what, max });
            }
            let hash = parse_hash(text).ok_or(LotFileFault::Line { line, rule: HASH_RULE })?;
            siblings.push(hash);
        }
        let statement = Receipt::parse(receipt.as_bytes()).map_err(LotFileFault::Receipt)?;
        Ok(Self { lot, way: MapProof { end, siblings }, statement })
    }
}

impl LotFile {
    /// The text.
    pub fn encode(&self) -> String {
        let Some(story) = &self.story else { return self.state.encode() };
        let mut out = format!("{LOT_STORY_HEADER}\n");
        for one in story {
            // Writing to a text does not fail.
            let _ = writeln!(out, "entry {}", base64::encode(&one.entry));
            put_hashes(&mut out, &one.proof);
        }
        out.push('\n');
        out += &self.state.encode();
        out
    }

    /// Takes a text apart; checks form only.
    pub fn parse(bytes: &[u8]) -> Result<Self, LotFileFault> {
        if bytes.len() > MAX_STORY_BYTES {
            return Err(LotFileFault::TooLong { found: bytes.len(), max: MAX_STORY_BYTES });
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|fault| LotFileFault::NotUtf8 { offset: fault.valid_up_to() })?;
        let is_story = text.strip_prefix(LOT_STORY_HEADER).is_some_and(|it| it.starts_with('\n'));
        if !is_story {
            return Ok(Self { state: LotStateProof::parse(text, 1)?, story: None });
        }
        let before = "proof of the lot's state";
        let (head, state) = text.split_once("\n\n").ok_or(LotFileFault::NoEmptyLine { before })?;
        let lines = head.split('\n').count();
        let story = parse_story(head)?;
        Ok(Self { state: LotStateProof::parse(state, lines + 2)?, story: Some(story) })
    }
}

fn put_hashes(out: &mut String, hashes: &[Hash32]) {
    for hash in hashes {
        out.push_str(&base64::encode(hash.as_bytes()));
        out.push('\n');
    }
}

fn parse_end(line: &str) -> Option<WayEnd> {
    let words: Vec<&str> = line.splitn(6, ' ').collect();
    let state = |entries: &str, last: &str| {
        let (entry_count, last) = (parse_decimal(entries)?, EntryIndex(parse_decimal(last)?));
        Some(LotState { entry_count, last })
    };
    match words.as_slice() {
        ["way", "empty"] => Some(WayEnd::Empty),
        ["way", "lot", entries, last] => Some(WayEnd::Lot(state(entries, last)?)),
        ["way", "other", key, entries, last] => {
            Some(WayEnd::Other(LotKey(parse_hash(key)?.0), state(entries, last)?))
        }
        _ => None,
    }
}

/// The header, and for each entry its line and the hashes of its proof.
fn parse_story(head: &str) -> Result<Vec<ProvenEntry>, LotFileFault> {
    let mut story: Vec<ProvenEntry> = Vec::new();
    for (line, text) in (1..).zip(head.split('\n')).skip(1) {
        if let Some(entry) = text.strip_prefix("entry ") {
            let (what, max) = ("entries of a story", MAX_STORY_ENTRIES);
            if story.len() == max {
                return Err(LotFileFault::TooMany { line, what, max });
            }
            let is_short = entry.len() <= MAX_ENTRY_BYTES.div_ceil(3) * 4;
            let entry = base64::decode(entry).ok().filter(|_| is_short);
            let entry = entry.ok_or(LotFileFault::Line { line, rule: ENTRY_RULE })?;
            story.push(ProvenEntry { entry: entry.into(), proof: Vec::new() });
            continue;
        }
        let Some(last) = story.last_mut() else {
            return Err(LotFileFault::Line { line, rule: ENTRY_RULE });
        };
        let (what, max) = ("hashes of an inclusion proof", MAX_PROOF_HASHES);
        if last.proof.len() == max {
            return Err(LotFileFault::TooMany { line, what, max });
        }
        last.proof.push(parse_hash(text).ok_or(LotFileFault::Line { line, rule: HASH_RULE })?);
    }
    Ok(story)
}
