//! Evidence that a ledger told two histories, as a text; see `docs/FORMAT.md`, section 20.

use std::fmt::Write as _;

use super::base64;
use super::checkpoint::{SignedCheckpoint, parse_decimal, parse_hash};
use crate::domain::Hash32;
use crate::limits::{MAX_EVIDENCE_BYTES, MAX_PROOF_HASHES};

/// First line of every evidence.
const HEADER: &str = "urbanmine/fork-evidence@v1";

/// Two checkpoints that cannot be of one ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The one with fewer entries, or as many.
    pub older: SignedCheckpoint,
    /// The other.
    pub newer: SignedCheckpoint,
    /// The root over as many entries as the older one has, of the newer one's tree.
    pub found: Hash32,
    /// That this is so: the consistency proof from that root to the newer one's.
    pub proof: Vec<Hash32>,
}

impl Evidence {
    /// The text. (A String takes every write.)
    pub fn encode(&self) -> String {
        let mut out = format!("{HEADER}\n");
        for text in [&self.older, &self.newer] {
            let _ = write!(out, "checkpoint {}\n{}", text.as_bytes().len(), text.text());
        }
        let _ = writeln!(out, "found {}", base64::encode(self.found.as_bytes()));
        for hash in &self.proof {
            let _ = writeln!(out, "{}", base64::encode(hash.as_bytes()));
        }
        out
    }

    /// Takes a text apart; checks form only. In words, what is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let most = MAX_EVIDENCE_BYTES;
        if text.len() > most {
            return Err(format!("an evidence has at most {most} bytes, not {}", text.len()));
        }
        let text = std::str::from_utf8(text).map_err(|fault| fault.to_string())?;
        let rest = text.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n'));
        let rest = rest.ok_or_else(|| format!("line 1: not `{HEADER}`"))?;
        let (older, rest) = parse_checkpoint(rest)?;
        let (newer, rest) = parse_checkpoint(rest)?;
        let lines = rest.strip_suffix('\n').ok_or("the last line does not end in a newline")?;
        let mut lines = lines.split('\n');
        let found = lines.next().and_then(|line| line.strip_prefix("found "));
        let found = found.and_then(parse_hash).ok_or("no line `found <32 bytes in base64>`")?;
        let mut proof = Vec::new();
        for line in lines {
            // A consistency proof has one hash more than an inclusion proof at most.
            if proof.len() > MAX_PROOF_HASHES {
                return Err(format!("more than {} hashes", MAX_PROOF_HASHES + 1));
            }
            proof.push(parse_hash(line).ok_or("a line that is not 32 bytes in base64")?);
        }
        Ok(Self { older, newer, found, proof })
    }
}

fn parse_checkpoint(text: &str) -> Result<(SignedCheckpoint, &str), String> {
    let (head, rest) = text.split_once('\n').ok_or("no line `checkpoint <bytes>`")?;
    let length = head.strip_prefix("checkpoint ").and_then(parse_decimal);
    let length = length.and_then(|it| usize::try_from(it).ok());
    let length = length.filter(|it| rest.is_char_boundary(*it));
    let length = length.ok_or("no line `checkpoint <bytes>`")?;
    let (content, rest) = rest.split_at(length);
    let (_, text) = SignedCheckpoint::parse(content.as_bytes()).map_err(|it| it.to_string())?;
    Ok((text, rest))
}
