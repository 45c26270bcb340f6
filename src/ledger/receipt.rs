//! The receipt: C2SP `tlog-proof@v1` with the entry itself as `extra`. It verifies offline.

use bytes::Bytes;

use super::base64::{self, Base64Fault};
use super::checkpoint::{Checkpoint, CheckpointFault, SignedCheckpoint, parse_decimal, parse_hash};
use super::entry::{Entry, EntryFault};
use super::hash::leaf_hash;
use super::tree::{ProofRefused, verify_inclusion};
use crate::domain::{EntryIndex, Hash32, Origin, PublicKey};
use crate::limits::{MAX_PROOF_HASHES, MAX_RECEIPT_BYTES};

/// First line of every receipt.
pub const RECEIPT_HEADER: &str = "c2sp.org/tlog-proof@v1";

/// An entry with its proof of inclusion in the tree of a checkpoint. Nothing is checked until
/// [`Receipt::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The bytes of the entry.
    pub entry: Bytes,
    /// Its place.
    pub index: EntryIndex,
    /// Sibling hashes from the leaf up.
    pub proof: Vec<Hash32>,
    /// The checkpoint at the end of the entry's commit group.
    pub checkpoint: SignedCheckpoint,
}

/// A receipt that was checked against a pinned ledger: the entry is in its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedReceipt {
    entry: Entry,
    checkpoint: Checkpoint,
}

impl VerifiedReceipt {
    /// The entry that was recorded.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The tree that holds it.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

/// Why a text is not a receipt, or does not convince.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptFault {
    /// Longer than any receipt.
    #[error("a receipt has at most {MAX_RECEIPT_BYTES} bytes, not {found}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Not UTF-8.
    #[error("receipt offset {offset}: not UTF-8")]
    NotUtf8 {
        /// Where.
        offset: usize,
    },
    /// The first line is another.
    #[error("receipt line 1: not `{RECEIPT_HEADER}`")]
    Header,
    /// No entry on the second line.
    #[error("receipt line 2: not `extra <entry>`")]
    NoExtra,
    /// The entry is not base64.
    #[error("receipt line 2: the entry is not base64")]
    Extra(#[source] Base64Fault),
    /// No index on the third line.
    #[error("receipt line 3: not `index <number>`")]
    Index,
    /// A proof line is not a hash.
    #[error("receipt line {line}: not 32 bytes in base64")]
    ProofLine {
        /// Which, from 1.
        line: usize,
    },
    /// More hashes than any tree has levels.
    #[error("a receipt has at most {MAX_PROOF_HASHES} proof lines")]
    ProofTooLong,
    /// No empty line before the checkpoint.
    #[error("a receipt has an empty line before its checkpoint")]
    NoCheckpoint,
    /// The checkpoint is malformed, another ledger's, or not signed by it.
    #[error("the receipt's checkpoint is refused")]
    Checkpoint(#[source] CheckpointFault),
    /// The entry is malformed.
    #[error("the receipt's entry is malformed")]
    Entry(#[source] EntryFault),
    /// The entry names another place than the receipt.
    #[error("the receipt is for entry {receipt}, but its entry says {entry}")]
    OtherIndex {
        /// The receipt's index.
        receipt: EntryIndex,
        /// The entry's index.
        entry: EntryIndex,
    },
    /// The proof does not lead to the checkpoint's root.
    #[error("the receipt's proof does not convince")]
    Proof(#[source] ProofRefused),
}

impl Receipt {
    /// The text.
    pub fn encode(&self) -> String {
        let checkpoint = self.checkpoint.text();
        // Four characters for each three bytes that were begun, and a few for what stands between.
        let spelled = |bytes: usize| bytes.div_ceil(3) * 4;
        let proof = self.proof.len() * (spelled(size_of::<Hash32>()) + 1);
        let length = spelled(self.entry.len()) + proof + checkpoint.len();
        let mut out = String::with_capacity(length + RECEIPT_HEADER.len() + 40);
        out.push_str(RECEIPT_HEADER);
        out.push_str("\nextra ");
        base64::encode_onto(&mut out, &self.entry);
        out.push_str("\nindex ");
        out.push_str(&self.index.to_string());
        out.push('\n');
        for hash in &self.proof {
            base64::encode_onto(&mut out, hash.as_bytes());
            out.push('\n');
        }
        out.push('\n');
        out.push_str(checkpoint);
        out
    }

    /// Takes a text apart; checks form only.
    pub fn parse(text: &[u8]) -> Result<Self, ReceiptFault> {
        if text.len() > MAX_RECEIPT_BYTES {
            return Err(ReceiptFault::TooLong { found: text.len() });
        }
        let text = std::str::from_utf8(text)
            .map_err(|fault| ReceiptFault::NotUtf8 { offset: fault.valid_up_to() })?;
        // The first empty line ends the proof: no line before it can be empty.
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ReceiptFault::NoCheckpoint)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(RECEIPT_HEADER) {
            return Err(ReceiptFault::Header);
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let entry = base64::decode(extra.ok_or(ReceiptFault::NoExtra)?);
        let entry = Bytes::from(entry.map_err(ReceiptFault::Extra)?);
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(parse_decimal).map(EntryIndex).ok_or(ReceiptFault::Index)?;
        let proof = parse_proof(lines)?;
        let (_, checkpoint) =
            SignedCheckpoint::parse(checkpoint.as_bytes()).map_err(ReceiptFault::Checkpoint)?;
        Ok(Self { entry, index, proof, checkpoint })
    }

    /// Checks that the pinned ledger has this entry in its tree. That the entry's own signatures
    /// hold and its event was allowed is `verify`'s to say.
    pub fn verify(
        &self,
        origin: &Origin,
        ledger_key: &PublicKey,
    ) -> Result<VerifiedReceipt, ReceiptFault> {
        let (checkpoint, _) =
            SignedCheckpoint::open(self.checkpoint.as_bytes(), origin, ledger_key)
                .map_err(ReceiptFault::Checkpoint)?;
        let entry = Entry::parse(&self.entry).map_err(ReceiptFault::Entry)?;
        if entry.index != self.index {
            return Err(ReceiptFault::OtherIndex { receipt: self.index, entry: entry.index });
        }
        let leaf = leaf_hash(&self.entry);
        verify_inclusion(&leaf, self.index, checkpoint.size, &self.proof, &checkpoint.root)
            .map_err(ReceiptFault::Proof)?;
        Ok(VerifiedReceipt { entry, checkpoint })
    }
}

fn parse_proof<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash32>, ReceiptFault> {
    let mut proof = Vec::new();
    for line in lines {
        if proof.len() == MAX_PROOF_HASHES {
            return Err(ReceiptFault::ProofTooLong);
        }
        // The first three lines are header, entry and index.
        let fault = ReceiptFault::ProofLine { line: proof.len() + 4 };
        proof.push(parse_hash(line).ok_or(fault)?);
    }
    Ok(proof)
}
