//! What can be said of an entry without the entries before it.
//!
//! Parsing, hashing, decoding and checking a signature under a key are pure: what they answer does
//! not depend on when they are asked. So they are done by as many cores as there are, ahead of the
//! one judge who knows the state; see [`Prepared`].

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::{Body, Event, Hash32, KeyId, Origin, PublicKey};
use crate::ledger::envelope::pae_onto;
use crate::ledger::hash::{leaf_hash, sha256};
use crate::ledger::keys::{SIGNATURE_LEN, key_id};
use crate::ledger::{
    ChainValue, Check, Entry, EntryFault, EntryKind, Envelope, SignedCheckpoint, SignerTables,
    StrictKey,
};
use crate::wire::statement::{Statement, StatementBody};
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

    /// Adds the keys that entries would put in force. Whether they do, the judge tells, who looks
    /// at no verdict under a key that nobody put in force.
    pub fn learn(&mut self, prepared: &[Prepared]) {
        for parsed in prepared.iter().filter_map(|it| it.parsed.as_ref().ok()) {
            for key in parsed.payload.new_keys().into_iter().flatten() {
                let id = key_id(&key);
                if !self.contains(&id) {
                    self.insert(id, StrictKey::parse(&key).ok());
                }
            }
        }
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

    /// The keys that it would put in force.
    fn new_keys(&self) -> [Option<PublicKey>; 2] {
        match self {
            Self::Event(Ok(event)) => match &event.body {
                Body::RegisterKey(new) => [Some(new.public_key), None],
                Body::Genesis(new) => [Some(new.coordinator_key), Some(new.ledger_key)],
                _ => [None, None],
            },
            Self::Statement(Ok(statement)) => match &statement.body {
                StatementBody::LedgerKeyRotation { next_key, .. } => [Some(*next_key), None],
                _ => [None, None],
            },
            Self::Event(Err(_)) | Self::Statement(Err(_)) => [None, None],
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

fn parse(bytes: &Bytes) -> Result<Parsed, EntryFault> {
    let (entry, envelope) = Entry::parse_with_envelope(bytes)?;
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

/// Takes entries apart, and checks their signatures together, as far as their keys are known.
pub fn prepare_all(
    entries: &[Bytes],
    keys: &KnownKeys,
    signers: &SignerTables,
    ahead: Ahead,
) -> Vec<Prepared> {
    let mut prepared: Vec<Prepared> = entries.iter().map(prepare).collect();
    if ahead == Ahead::Signatures {
        let answers = answer(&questions(&prepared, &[], keys, None), signers);
        note_answers(&mut prepared, answers, None);
    }
    prepared
}

/// Under which name and key the ledger signs, as far as the entries so far tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// Its name.
    pub(super) origin: Origin,
    /// Its key.
    pub(super) key: StrictKey,
}

/// Whether the signature of a checkpoint holds, as far as it is by a certain name and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    pub(super) speaker: Speaker,
    pub(super) holds: bool,
}

/// A signature that is to be checked ahead of the judge.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    place: QuestionPlace,
    key: &'a StrictKey,
    said: Said<'a>,
    signature: [u8; SIGNATURE_LEN],
}

/// What was signed.
#[derive(Debug, Clone, Copy)]
enum Said<'a> {
    Envelope(EntryKind, &'a Bytes),
    Checkpoint(&'a [u8]),
}

/// Where the answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QuestionPlace {
    /// Which entry, and which of its signatures.
    Entry(usize, usize),
    /// Which checkpoint.
    Checkpoint(usize),
}

/// Whether a signature holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    place: QuestionPlace,
    holds: bool,
}

/// The signatures of entries and checkpoints that can be checked ahead: those whose keys are known.
/// Those of a signer stand together, so that whoever takes a part of them has few signers.
pub fn questions<'a>(
    prepared: &'a [Prepared],
    checkpoints: &'a [Bytes],
    keys: &'a KnownKeys,
    speaker: Option<&'a Speaker>,
) -> Vec<Question<'a>> {
    let mut of_signers: BTreeMap<KeyId, Vec<Question<'a>>> = BTreeMap::new();
    for (entry, prepared) in prepared.iter().enumerate() {
        let Ok(parsed) = &prepared.parsed else { continue };
        let Parsed { entry: Entry { kind, .. }, envelope, .. } = &**parsed;
        for (number, signed) in envelope.signatures.iter().enumerate() {
            // The judge knows by itself that nothing holds under an unsound key.
            let Known::Sound(key) = keys.get(&signed.key) else { continue };
            let said = Said::Envelope(*kind, &envelope.payload);
            let place = QuestionPlace::Entry(entry, number);
            let question = Question { place, key, said, signature: signed.signature };
            of_signers.entry(signed.key).or_default().push(question);
        }
    }
    if let Some(Speaker { origin, key }) = speaker {
        for (number, text) in checkpoints.iter().enumerate() {
            let signed = SignedCheckpoint::signed_by(text, origin, key);
            let Some((text, signature)) = signed else { continue };
            let (place, said) = (QuestionPlace::Checkpoint(number), Said::Checkpoint(text));
            let question = Question { place, key, said, signature };
            of_signers.entry(key.id()).or_default().push(question);
        }
    }
    of_signers.into_values().flatten().collect()
}

/// Checks signatures together.
pub fn answer(questions: &[Question<'_>], signers: &SignerTables) -> Vec<Answer> {
    // All messages in one buffer.
    let (mut messages, mut ends) = (Vec::new(), Vec::with_capacity(questions.len()));
    for question in questions {
        question.said.message_onto(&mut messages);
        ends.push(messages.len());
    }
    let begins = std::iter::once(&0).chain(&ends);
    let checks = questions.iter().zip(begins.zip(&ends)).map(|(question, (begin, end))| Check {
        key: question.key,
        message: messages.get(*begin..*end).unwrap_or_default(),
        signature: &question.signature,
    });
    let answers = signers.check_all(&checks.collect::<Vec<_>>());
    let answers = questions.iter().zip(answers);
    answers.map(|(it, answer)| Answer { place: it.place, holds: answer.is_ok() }).collect()
}

/// Writes answers down where the judge finds them; gives those on checkpoints, with their numbers.
pub fn note_answers(
    prepared: &mut [Prepared],
    answers: impl IntoIterator<Item = Answer>,
    speaker: Option<&Speaker>,
) -> BTreeMap<usize, Vouched> {
    let mut vouched = BTreeMap::new();
    for Answer { place, holds } in answers {
        match place {
            QuestionPlace::Entry(entry, number) => {
                let parsed = prepared.get_mut(entry).and_then(|it| it.parsed.as_mut().ok());
                if let Some(verdict) = parsed.and_then(|it| it.verdicts.get_mut(number)) {
                    *verdict = Some(holds);
                }
            }
            QuestionPlace::Checkpoint(number) => {
                let speaker = speaker.cloned();
                vouched.extend(speaker.map(|speaker| (number, Vouched { speaker, holds })));
            }
        }
    }
    vouched
}

impl Said<'_> {
    fn message_onto(self, out: &mut Vec<u8>) {
        match self {
            Self::Envelope(kind, payload) => pae_onto(out, kind.payload_type(), payload),
            Self::Checkpoint(text) => out.extend_from_slice(text),
        }
    }
}
