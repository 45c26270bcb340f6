//! One entry, step by step: every hash, what the rules read, and what follows.

use std::collections::BTreeSet;

use super::history::Rests;
use super::prepare::{Parsed, Payload};
use crate::domain::effects::Effects;
use crate::domain::lot::Lot;
use crate::domain::memory::MemoryState;
use crate::domain::subject::Subject;
use crate::domain::{EntryIndex, Hash32};
use crate::ledger::envelope::pae;
use crate::ledger::hash::sha256;
use crate::ledger::{ChainValue, EntryKind};

/// One thing that was worked out of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Of which part: `entry`, `chain`, `tree`, `links`, `payload`, `signatures`, `rules`,
    /// `effects`.
    pub part: &'static str,
    /// What it is.
    pub name: String,
    /// What it came to.
    pub value: String,
}

impl Step {
    pub(super) fn new(
        part: &'static str,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        Self { part, name: name.into(), value: value.into() }
    }
}

/// What the bytes of an entry show by themselves.
pub(super) fn of_bytes(parsed: &Parsed, chain: ChainValue, before: ChainValue) -> Vec<Step> {
    let entry = &parsed.entry;
    let kind = match entry.kind {
        EntryKind::Event => "0, an event",
        EntryKind::Statement => "1, a statement of the ledger",
    };
    let mut steps = vec![
        Step::new("entry", "kind", kind),
        Step::new("entry", "index", entry.index.to_string()),
        Step::new("entry", "recorded_at", format!("{} ms", entry.recorded_at.get())),
        Step::new("entry", "rules version", entry.rules_version.to_string()),
        Step::new("entry", "tables", entry.tables_hash.to_string()),
        Step::new(
            "entry",
            "batch",
            format!("{} from entry {}", entry.batch_len, entry.batch_first),
        ),
        Step::new("chain", "value before, as computed", Hash32(before.0).to_string()),
        Step::new(
            "chain",
            "value before, as the entry repeats it",
            Hash32(entry.previous.0).to_string(),
        ),
        Step::new("chain", "value of this entry (BLAKE3)", Hash32(chain.0).to_string()),
    ];
    for link in &entry.links {
        let previous = link.previous.map_or("none".to_owned(), |it| format!("entry {it}"));
        let value = format!("ordinal {}, previous {previous}", link.ordinal);
        steps.push(Step::new("links", format!("lot {}", link.lot), value));
    }
    steps.extend(of_payload(parsed));
    steps
}

fn of_payload(parsed: &Parsed) -> Vec<Step> {
    let payload = &parsed.envelope.payload;
    let message = pae(parsed.entry.kind.payload_type(), payload);
    let said = match &parsed.payload {
        Payload::Event(Ok(event)) => format!(
            "{} {} by {}, at {} ms",
            event.body.kind(),
            event.id,
            event.actor,
            event.occurred_at.get()
        ),
        Payload::Statement(Ok(_)) => "a statement of the ledger".to_owned(),
        Payload::Event(Err(fault)) | Payload::Statement(Err(fault)) => super::told(fault),
    };
    let mut steps = vec![
        Step::new("payload", "length", format!("{} bytes", payload.len())),
        Step::new("payload", "SHA-256", parsed.payload_hash.to_string()),
        Step::new("payload", "says", said),
        Step::new("signatures", "SHA-256 of what is signed (PAE)", sha256(&message).to_string()),
    ];
    for signature in &parsed.envelope.signatures {
        let name = format!("key {}", signature.key);
        let (head, tail) = signature.signature.split_at(32);
        let half = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map(Hash32).map(|it| it.to_string());
        let value =
            format!("R {}, S {}", half(head).unwrap_or_default(), half(tail).unwrap_or_default());
        steps.push(Step::new("signatures", name, value));
    }
    steps
}

/// Whether a signature holds.
pub(super) fn of_signature(key: &crate::domain::KeyId, holds: bool) -> Step {
    let value = if holds { "holds, strictly" } else { "does not hold" };
    Step::new("signatures", format!("under key {key}"), value)
}

/// What the rules read, and which entry had last written it; then what they let the event change.
pub(super) fn of_rules(
    state: &MemoryState,
    rests: &Rests,
    read: &BTreeSet<Subject>,
    effects: &Effects,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for subject in read {
        let value = match rests.writer(subject) {
            Some(index) => format!("as entry {index} left it"),
            None => "not there".to_owned(),
        };
        steps.push(Step::new("rules", format!("read {subject}"), value));
    }
    for lot in &effects.lots {
        let before = state.lots.get(&lot.id).map_or("not there".to_owned(), |it| told_lot(it));
        let value = format!("{before} -> {}", told_lot(lot));
        steps.push(Step::new("effects", format!("lot {}", lot.id), value));
    }
    for transfer in &effects.transfers {
        let value = format!("{} g of lot {}", transfer.mass.get(), transfer.lot);
        steps.push(Step::new("effects", format!("transfer {}", transfer.offer), value));
    }
    for party in &effects.parties {
        steps.push(Step::new("effects", format!("party {}", party.party.id), "written"));
    }
    for key in &effects.keys {
        steps.push(Step::new("effects", format!("key {}", key.id), "written"));
    }
    for campaign in &effects.campaigns {
        steps.push(Step::new("effects", format!("campaign {}", campaign.id), "written"));
    }
    if effects.ledger.is_some() {
        steps.push(Step::new("effects", "the ledger itself", "written"));
    }
    steps
}

fn told_lot(lot: &Lot) -> String {
    format!(
        "{} g of {} ({} g promised), owner {}, in the hands of {}",
        lot.remaining.get(),
        lot.initial_mass.get(),
        lot.reserved.get(),
        lot.owner,
        lot.possessor
    )
}

/// What is being explained.
#[derive(Debug)]
pub(super) struct Explained {
    pub(super) at: EntryIndex,
    pub(super) steps: Vec<Step>,
}
