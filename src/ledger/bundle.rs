//! The bundle: one lot's life in one file, with all that it rests on, to be checked offline.
//!
//! A text of lines like a receipt. Each entry stands with its proof of inclusion in the tree of one
//! checkpoint; see `docs/FORMAT.md`, section "Bundle".

use std::fmt::Write as _;

use bytes::Bytes;

use super::base64::{self, Base64Fault};
use super::checkpoint::{CheckpointFault, SignedCheckpoint, parse_decimal, parse_hash};
use crate::domain::{EntryIndex, Hash32, LotId};
use crate::limits::{
    MAX_LEDGER_KEYS, MAX_LOT_BUNDLE_BYTES, MAX_LOT_BUNDLE_ENTRIES, MAX_PROOF_HASHES,
};

/// First line of every bundle.
pub const BUNDLE_HEADER: &str = "urbanmine/bundle@v1";

/// An entry of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundledEntry {
    /// Its place.
    pub index: EntryIndex,
    /// Its bytes.
    pub entry: Bytes,
    /// Sibling hashes from the leaf up, in the tree of the bundle's checkpoint.
    pub proof: Vec<Hash32>,
}

/// A lot and its grounds. Nothing is checked but the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Whose grounds these are.
    pub lot: LotId,
    /// Strictly ascending by index.
    pub entries: Vec<BundledEntry>,
    /// Receipts of the statements that named a next ledger key, in their order.
    pub rotations: Vec<Vec<u8>>,
    /// Proofs of how many events lots have, and which is the last.
    pub lot_states: Vec<Vec<u8>>,
    /// The head, with its cosignatures.
    pub checkpoint: SignedCheckpoint,
}

/// Why a text is not a bundle. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleFault {
    /// Longer than any bundle.
    #[error("a bundle has at most {MAX_LOT_BUNDLE_BYTES} bytes, not {found}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Not UTF-8.
    #[error("bundle offset {offset}: not UTF-8")]
    NotUtf8 {
        /// Where.
        offset: usize,
    },
    /// A line is not what must stand there.
    #[error("bundle line {line}: not {expected}")]
    Line {
        /// Which.
        line: usize,
        /// What must stand there.
        expected: &'static str,
    },
    /// An entry is not base64.
    #[error("bundle line {line}: the entry is not base64")]
    Extra {
        /// Which line.
        line: usize,
        /// What is wrong with it.
        #[source]
        fault: Base64Fault,
    },
    /// More entries, proof lines or sections than any bundle has.
    #[error("bundle line {line}: more than {most} {what}")]
    TooMany {
        /// Which line.
        line: usize,
        /// How many there may be.
        most: usize,
        /// Of what.
        what: &'static str,
    },
    /// Entries out of order, or one twice.
    #[error("bundle line {line}: entry {found} does not come after entry {before}")]
    NotAscending {
        /// Which line.
        line: usize,
        /// The entry before it.
        before: EntryIndex,
        /// The entry.
        found: EntryIndex,
    },
    /// The checkpoint is not one.
    #[error("the bundle's checkpoint is refused")]
    Checkpoint(#[source] CheckpointFault),
    /// Something follows the checkpoint.
    #[error("bundle line {line}: {found} bytes follow the checkpoint")]
    BytesLeft {
        /// Which line.
        line: usize,
        /// How many bytes.
        found: usize,
    },
}

impl Bundle {
    /// The text. (A String takes every write.)
    pub fn encode(&self) -> String {
        let mut out = String::new();
        let (lot, count) = (self.lot, self.entries.len());
        let _ = write!(out, "{BUNDLE_HEADER}\nlot {lot}\nentries {count}\n");
        for BundledEntry { index, entry, proof } in &self.entries {
            let _ = write!(out, "extra {}\nindex {index}\n", base64::encode(entry));
            for hash in proof {
                out.push_str(&base64::encode(hash.as_bytes()));
                out.push('\n');
            }
            out.push('\n');
        }
        let rotations = self.rotations.iter().map(|it| ("rotation", &it[..]));
        let states = self.lot_states.iter().map(|it| ("lot-state", &it[..]));
        let head = std::iter::once(("checkpoint", self.checkpoint.as_bytes()));
        for (name, content) in rotations.chain(states).chain(head) {
            let content = String::from_utf8_lossy(content); // texts, all of them
            let _ = write!(out, "{name} {}\n{content}", content.len());
        }
        out
    }

    /// Takes a text apart; checks form only.
    pub fn parse(text: &[u8]) -> Result<Self, BundleFault> {
        if text.len() > MAX_LOT_BUNDLE_BYTES {
            return Err(BundleFault::TooLong { found: text.len() });
        }
        let text = std::str::from_utf8(text)
            .map_err(|fault| BundleFault::NotUtf8 { offset: fault.valid_up_to() })?;
        let mut lines = Lines { rest: text, line: 0 };
        if lines.next("the header")? != BUNDLE_HEADER {
            return Err(lines.fault("`urbanmine/bundle@v1`"));
        }
        let lot = lines.field("lot ", "`lot <id>`")?;
        let lot = parse_lot(lot).ok_or_else(|| lines.fault("`lot <id>`"))?;
        let entries = parse_entries(&mut lines)?;
        let rotations = lines.sections("rotation ", MAX_LEDGER_KEYS)?;
        let lot_states = lines.sections("lot-state ", MAX_LOT_BUNDLE_ENTRIES)?;
        let found = lines.section("checkpoint ")?;
        let found = found.ok_or_else(|| lines.fault("`checkpoint <bytes>`"))?;
        let (_, checkpoint) = SignedCheckpoint::parse(found).map_err(BundleFault::Checkpoint)?;
        let found = lines.rest.len();
        if found > 0 {
            return Err(BundleFault::BytesLeft { line: lines.line + 1, found });
        }
        Ok(Self { lot, entries, rotations, lot_states, checkpoint })
    }
}

fn parse_entries(lines: &mut Lines<'_>) -> Result<Vec<BundledEntry>, BundleFault> {
    let count = lines.field("entries ", "`entries <number>`")?;
    let count = parse_decimal(count).and_then(|it| usize::try_from(it).ok());
    let count = count.ok_or_else(|| lines.fault("`entries <number>`"))?;
    if count > MAX_LOT_BUNDLE_ENTRIES {
        let (line, most) = (lines.line, MAX_LOT_BUNDLE_ENTRIES);
        return Err(BundleFault::TooMany { line, most, what: "entries" });
    }
    let mut entries: Vec<BundledEntry> = Vec::new();
    for _ in 0..count {
        let entry = parse_entry(lines)?;
        if let Some(before) = entries.last().map(|it| it.index)
            && entry.index <= before
        {
            let (line, found) = (lines.line, entry.index);
            return Err(BundleFault::NotAscending { line, before, found });
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn parse_entry(lines: &mut Lines<'_>) -> Result<BundledEntry, BundleFault> {
    let extra = lines.field("extra ", "`extra <entry>`")?;
    let line = lines.line;
    let entry = base64::decode(extra).map_err(|fault| BundleFault::Extra { line, fault })?;
    let index = lines.field("index ", "`index <number>`")?;
    let index = parse_decimal(index).ok_or_else(|| lines.fault("`index <number>`"))?;
    let mut proof = Vec::new();
    loop {
        let line = lines.next("32 bytes in base64, or an empty line")?;
        if line.is_empty() {
            break;
        }
        if proof.len() == MAX_PROOF_HASHES {
            let (line, most) = (lines.line, MAX_PROOF_HASHES);
            return Err(BundleFault::TooMany { line, most, what: "proof lines" });
        }
        let expected = "32 bytes in base64, or an empty line";
        proof.push(parse_hash(line).ok_or_else(|| lines.fault(expected))?);
    }
    Ok(BundledEntry { index: EntryIndex(index), entry: entry.into(), proof })
}

/// A lot id as a UUID in its one spelling: lower case, with hyphens.
fn parse_lot(text: &str) -> Option<LotId> {
    let digits: String = text.chars().filter(|it| *it != '-').collect();
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0_u8; 16];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    let lot = LotId::parse(&bytes).ok()?;
    (lot.to_string() == text).then_some(lot)
}

/// A text, line by line.
struct Lines<'a> {
    rest: &'a str,
    /// The last line that was taken.
    line: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self, expected: &'static str) -> Result<&'a str, BundleFault> {
        self.line += 1;
        let (line, rest) = self.rest.split_once('\n').ok_or_else(|| self.fault(expected))?;
        self.rest = rest;
        Ok(line)
    }

    fn field(&mut self, name: &str, expected: &'static str) -> Result<&'a str, BundleFault> {
        let line = self.next(expected)?;
        line.strip_prefix(name).ok_or_else(|| self.fault(expected))
    }

    /// A section of so many bytes, when the next line begins one of this name.
    fn section(&mut self, name: &str) -> Result<Option<&'a [u8]>, BundleFault> {
        if !self.rest.starts_with(name) {
            return Ok(None);
        }
        let expected = "`<section> <bytes>`";
        let length = self.field(name, expected)?;
        let length = parse_decimal(length).and_then(|it| usize::try_from(it).ok());
        let length = length.filter(|it| self.rest.is_char_boundary(*it));
        let length = length.ok_or_else(|| self.fault("a section of as many bytes as it says"))?;
        let (content, rest) = self.rest.split_at(length);
        self.line += content.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
        Ok(Some(content.as_bytes()))
    }

    fn sections(&mut self, name: &'static str, most: usize) -> Result<Vec<Vec<u8>>, BundleFault> {
        let mut found = Vec::new();
        while let Some(content) = self.section(name)? {
            if found.len() == most {
                return Err(BundleFault::TooMany { line: self.line, most, what: "sections" });
            }
            found.push(content.to_vec());
        }
        Ok(found)
    }

    fn fault(&self, expected: &'static str) -> BundleFault {
        BundleFault::Line { line: self.line, expected }
    }
}
