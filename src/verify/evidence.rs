//! Evidence that a ledger told two histories: a text that proves it to anybody who knows its key.
//!
//! Two checkpoints that the ledger's key signed, and a proof that the newer tree begins otherwise
//! than the older one says. Nobody can make it up without the ledger's key, and the operator cannot
//! explain it away.

use std::fmt::Write as _;

use super::checkpoints::kind_of;
use super::report::{Finding, FindingKind, Findings, Verdict};
use super::told;
use super::verifier::Pins;
use crate::domain::{EntryCount, Hash32};
use crate::ledger::base64::encode as to_base64;
use crate::ledger::checkpoint::{parse_decimal, parse_hash};
use crate::ledger::tree::verify_consistency;
use crate::ledger::{Checkpoint, SignedCheckpoint};
use crate::limits::{MAX_CHECKPOINT_BYTES, MAX_PROOF_HASHES};

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

/// What the judge says of an evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceReport {
    /// `Tampered`: the fork is proven. `Undetermined`: it proves nothing.
    pub verdict: Verdict,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The older checkpoint, when the ledger's key signed it.
    pub older: Option<Checkpoint>,
    /// The newer one.
    pub newer: Option<Checkpoint>,
}

impl Evidence {
    /// The text. (A String takes every write.)
    pub fn encode(&self) -> String {
        let mut out = format!("{HEADER}\n");
        for text in [&self.older, &self.newer] {
            let _ = write!(out, "checkpoint {}\n{}", text.as_bytes().len(), text.text());
        }
        let _ = writeln!(out, "found {}", to_base64(self.found.as_bytes()));
        for hash in &self.proof {
            let _ = writeln!(out, "{}", to_base64(hash.as_bytes()));
        }
        out
    }

    /// Takes a text apart; checks form only. In words, what is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let most = 2 * MAX_CHECKPOINT_BYTES + 64 * (MAX_PROOF_HASHES + 8);
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
    let (_, text) = SignedCheckpoint::parse(content.as_bytes()).map_err(|it| told(&it))?;
    Ok((text, rest))
}

/// Judges an evidence. Both pins are needed: whoever holds another key can make any.
pub fn verify_evidence(bytes: &[u8], pins: &Pins) -> EvidenceReport {
    let mut findings = Findings::default();
    let (mut older, mut newer) = (None, None);
    match Evidence::parse(bytes) {
        Ok(evidence) => {
            older = open(&evidence.older, pins, &mut findings);
            newer = open(&evidence.newer, pins, &mut findings);
            if let (Some(older), Some(newer)) = (&older, &newer) {
                judge(&evidence, older, newer, &mut findings);
            }
        }
        Err(detail) => findings.overall(FindingKind::EvidenceUnusable, detail),
    }
    let verdict = findings.verdict();
    EvidenceReport { verdict, findings: findings.into_kept().0, older, newer }
}

/// A checkpoint that the pinned ledger did not sign accuses nobody.
fn open(text: &SignedCheckpoint, pins: &Pins, findings: &mut Findings) -> Option<Checkpoint> {
    let (Some(origin), Some(key)) = (&pins.origin, &pins.ledger_key) else {
        let detail = "origin and ledger key have to be pinned: anybody can sign with another key";
        findings.overall(FindingKind::EvidenceUnusable, detail);
        return None;
    };
    match SignedCheckpoint::open(text.as_bytes(), origin, key) {
        Ok((checkpoint, _)) => Some(checkpoint),
        Err(fault) => {
            let detail = format!("{}: {}", kind_of(&fault), told(&fault));
            findings.overall(FindingKind::EvidenceUnusable, detail);
            None
        }
    }
}

fn judge(evidence: &Evidence, older: &Checkpoint, newer: &Checkpoint, findings: &mut Findings) {
    let found = &evidence.found;
    if older.size == EntryCount(0) || *found == older.root {
        let detail = "the newer tree begins as the older one says: the two may be of one ledger";
        return findings.overall(FindingKind::EvidenceUnusable, detail);
    }
    let proof = &evidence.proof;
    if let Err(fault) = verify_consistency(older.size, found, newer.size, &newer.root, proof) {
        return findings.overall(FindingKind::EvidenceUnusable, told(&fault));
    }
    let detail = format!(
        "the ledger's key signed root {} over {} entries, and root {} over {} whose first {} have \
         root {found}: no ledger has both",
        older.root, older.size, newer.root, newer.size, older.size
    );
    findings.overall(FindingKind::Forked, detail);
}
