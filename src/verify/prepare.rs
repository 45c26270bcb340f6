//! What can be said of an entry without the entries before it.
//!
//! Parsing, hashing, decoding and checking a signature under a key are pure: what they answer does
//! not depend on when they are asked. So they are done by as many cores as there are, ahead of the
//! one judge who knows the state; see [`Prepared`].

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::{Event, Hash32, KeyId};
use crate::ledger::envelope::pae;
use crate::ledger::hash::{leaf_hash, sha256};
use crate::ledger::keys::SIGNATURE_LEN;
use crate::ledger::{
    ChainValue, Check, Entry, EntryFault, EntryKind, Envelope, SignerTables, StrictKey,
};
use crate::wire::statement::Statement;
use crate::wire::{DecodeFault, decode_event, decode_statement};

/// The keys that a ledger has put in force so far, by id; `None` for one that is not sound. An id
/// is the hash of its key, so an id means the same key for ever: a verdict under it never changes.
#[derive(Debug, Clone, Default)]
pub struct KnownKeys(Arc<BTreeMap<KeyId, Option<StrictKey>>>);

impl KnownKeys {
    pub(super) fn get(&self, id: &KeyId) -> Known<'_> {
        match self.0.get(id) {
            None => Known::Nowhere,
            Some(None) => Known::Unsound,
            Some(Some(key)) => Known::Sound(key),
        }
    }

    pub(super) fn contains(&self, id: &KeyId) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn insert(&mut self, id: KeyId, key: Option<StrictKey>) {
        Arc::make_mut(&mut self.0).insert(id, key);
    }
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known<'a> {
    /// Nobody put it in force.
    Nowhere,
    /// It was put in force, and no signature under it can be trusted.
    Unsound,
    /// Signatures are checked with it.
    Sound(&'a StrictKey),
}

impl Known<'_> {
    /// Whether a signature holds under it, strictly.
    pub(super) fn holds(self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        match self {
            Self::Nowhere | Self::Unsound => false,
            Self::Sound(key) => key.verify(message, signature).is_ok(),
        }
    }
}

/// An entry that was taken apart and hashed, with the verdicts on those of its signatures whose
/// keys were known. Only [`prepare`] makes one.
#[derive(Debug)]
pub struct Prepared {
    pub(super) length: usize,
    pub(super) chain: ChainValue,
    pub(super) leaf: Hash32,
    pub(super) parsed: Result<Box<Parsed>, EntryFault>,
}

/// An entry whose bytes keep the rules of one entry.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) entry: Entry,
    pub(super) envelope: Envelope,
    pub(super) payload: Payload,
    pub(super) payload_hash: Hash32,
    /// One for each signature of the envelope: whether it holds; `None` when it was not asked.
    pub(super) verdicts: Vec<Option<bool>>,
}

/// What was signed.
#[derive(Debug)]
pub(super) enum Payload {
    Event(Result<Box<Event>, DecodeFault>),
    Statement(Result<Box<Statement>, DecodeFault>),
}

impl Payload {
    /// Why it does not read.
    pub(super) fn fault(&self) -> Option<&DecodeFault> {
        match self {
            Self::Event(event) => event.as_ref().err(),
            Self::Statement(statement) => statement.as_ref().err(),
        }
    }
}

/// Whether signatures are to be checked ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// Those under known keys.
    Signatures,
    /// None: the judge asks for those that it needs.
    Nothing,
}

/// Takes an entry apart; its signatures are left for the judge.
pub fn prepare(bytes: &Bytes) -> Prepared {
    Prepared {
        length: bytes.len(),
        chain: ChainValue::of_entry(bytes),
        leaf: leaf_hash(bytes),
        parsed: parse(bytes).map(Box::new),
    }
}

/// Takes entries apart, and checks their signatures together.
pub fn prepare_all(
    entries: &[Bytes],
    keys: &KnownKeys,
    signers: &SignerTables,
    ahead: Ahead,
) -> Vec<Prepared> {
    let mut prepared: Vec<Prepared> = entries.iter().map(prepare).collect();
    if ahead == Ahead::Signatures {
        check_signatures(&mut prepared, keys, signers);
    }
    prepared
}

fn parse(bytes: &Bytes) -> Result<Parsed, EntryFault> {
    let entry = Entry::parse(bytes)?;
    let offset = bytes.len() - entry.envelope.len();
    let envelope =
        Envelope::parse(&entry.envelope).map_err(|fault| EntryFault::Envelope { offset, fault })?;
    let payload = match entry.kind {
        EntryKind::Event => Payload::Event(decode_event(&envelope.payload).map(Box::new)),
        EntryKind::Statement => {
            Payload::Statement(decode_statement(&envelope.payload).map(Box::new))
        }
    };
    let verdicts = vec![None; envelope.signatures.len()];
    let payload_hash = sha256(&envelope.payload);
    Ok(Parsed { entry, envelope, payload, payload_hash, verdicts })
}

/// Writes down whether signatures hold, where their keys are known.
fn check_signatures(prepared: &mut [Prepared], keys: &KnownKeys, signers: &SignerTables) {
    let mut messages = Vec::with_capacity(prepared.len());
    for parsed in prepared.iter().filter_map(|it| it.parsed.as_ref().ok()) {
        messages.push(pae(parsed.entry.kind.payload_type(), &parsed.envelope.payload));
    }
    let mut checks = Vec::with_capacity(prepared.len());
    let parsed = prepared.iter_mut().filter_map(|it| it.parsed.as_mut().ok());
    let mut asked: Vec<&mut Option<bool>> = Vec::with_capacity(messages.len());
    for (parsed, message) in parsed.zip(&messages) {
        let Parsed { envelope, verdicts, .. } = &mut **parsed;
        for (signed, verdict) in envelope.signatures.iter().zip(verdicts) {
            match keys.get(&signed.key) {
                Known::Nowhere => {}
                Known::Unsound => *verdict = Some(false),
                Known::Sound(key) => {
                    checks.push(Check { key, message, signature: &signed.signature });
                    asked.push(verdict);
                }
            }
        }
    }
    let answers = signers.check_all(&checks);
    for (verdict, answer) in asked.into_iter().zip(answers) {
        *verdict = Some(answer.is_ok());
    }
}
