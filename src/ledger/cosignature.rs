//! Cosignatures (C2SP tlog-cosignature, `cosignature/v1`): what a witness puts under a checkpoint.
//!
//! It says: at this time this is the largest tree of this origin that I have seen, and all that I
//! saw before were its beginnings.

use super::base64;
use super::checkpoint::{CheckpointFault, Note, NoteSignature, SIGNATURE_MARK, SignedCheckpoint};
use super::keys::{SIGNATURE_LEN, SigningKey};
use super::vkey::{SignatureType, VerifierKey, VkeyFault};
use crate::limits::{MAX_CHECKPOINT_BYTES, MAX_NOTE_SIGNATURES};

/// First line of what is signed; keeps these signatures apart from all others.
const HEADER: &str = "cosignature/v1";
/// Bytes of a timestamped signature: time 8, ed25519 signature.
const TIMESTAMPED_LEN: usize = 8 + SIGNATURE_LEN;
/// The latest time that the specification allows.
const MAX_TIME_S: u64 = i64::MAX as u64;

/// Why a signature line under a known name and key id does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureFault {
    /// More signature lines than are looked at.
    #[error("the note has {0} signature lines, at most {MAX_NOTE_SIGNATURES} are looked at")]
    TooManyLines(usize),
    /// Not time and signature.
    #[error("signature {number}: {found} bytes behind the key id, not {expected}")]
    Length {
        /// Which line, from 1.
        number: usize,
        /// What it has.
        found: usize,
        /// What it has to have.
        expected: usize,
    },
    /// A time that is zero or beyond 2^63 - 1.
    #[error("signature {number}: {found} is not a time in seconds, 1 to 2^63 - 1")]
    Time {
        /// Which line, from 1.
        number: usize,
        /// The time.
        found: u64,
    },
    /// The signature does not hold.
    #[error("signature {number}: by {name}, but does not hold")]
    BadSignature {
        /// Which line, from 1.
        number: usize,
        /// Whose it claims to be.
        name: String,
    },
}

/// A witness's own hand: its name and its key.
#[derive(Debug)]
pub struct Cosigner {
    vkey: VerifierKey,
    key: SigningKey,
}

impl Cosigner {
    /// Of a name and a key. The key must sign nothing else: the signed message names no witness.
    pub fn new(name: &str, key: SigningKey) -> Result<Self, VkeyFault> {
        let vkey = VerifierKey::new(name, SignatureType::CosignatureV1, &key.public_key())?;
        Ok(Self { vkey, key })
    }

    /// By what others know it.
    pub fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }

    /// Cosigns the text of a note, with its last newline, at a time in seconds since 1970.
    ///
    /// # Panics
    ///
    /// When the time is zero or beyond 2^63 - 1: such a line would be refused everywhere.
    pub fn cosign(&self, note_text: &str, time_s: u64) -> Held {
        assert!((1..=MAX_TIME_S).contains(&time_s), "{time_s} is no time of a cosignature");
        let signature = self.key.sign(message(note_text, time_s).as_bytes());
        let bytes = [&self.vkey.id()[..], &time_s.to_be_bytes(), &signature].concat();
        let line = format!("{SIGNATURE_MARK}{} {}", self.vkey.name(), base64::encode(&bytes));
        Held { vkey: self.vkey.clone(), time_s, note_text: note_text.to_owned(), line }
    }
}

/// A cosignature that holds. Only checking, or making, gives one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    vkey: VerifierKey,
    time_s: u64,
    note_text: String,
    line: String,
}

impl Held {
    /// Whose it is.
    pub fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }

    /// When, in seconds since 1970, by the witness's clock.
    pub fn time_s(&self) -> u64 {
        self.time_s
    }

    /// The signature line, without its newline.
    pub fn line(&self) -> &str {
        &self.line
    }
}

/// The cosignature of a witness on a checkpoint's text: `None` when there is no line with its name
/// and key id. Several lines of one witness must all hold; the newest counts.
pub fn cosignature_on(
    checkpoint: &[u8],
    witness: &VerifierKey,
) -> Result<Result<Option<Held>, CosignatureFault>, CheckpointFault> {
    Ok(held_in(&Note::parse(checkpoint)?, witness))
}

/// As [`cosignature_on`], of a note that was taken apart.
pub(super) fn held_in(
    note: &Note<'_>,
    witness: &VerifierKey,
) -> Result<Option<Held>, CosignatureFault> {
    let count = note.signatures.len();
    if count > MAX_NOTE_SIGNATURES {
        return Err(CosignatureFault::TooManyLines(count));
    }
    let mut newest: Option<Held> = None;
    for (at, signature) in note.signatures.iter().enumerate() {
        if !witness.is_of(signature.name, signature.key_id) {
            continue;
        }
        let held = check(note.text, signature, witness, at + 1)?;
        if newest.as_ref().is_none_or(|known| known.time_s < held.time_s) {
            newest = Some(held);
        }
    }
    Ok(newest)
}

fn check(
    note_text: &str,
    signature: &NoteSignature<'_>,
    witness: &VerifierKey,
    number: usize,
) -> Result<Held, CosignatureFault> {
    let bytes = signature.signature.as_slice();
    let (found, expected) = (bytes.len(), TIMESTAMPED_LEN);
    let length = CosignatureFault::Length { number, found, expected };
    let (time, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| length.clone())?;
    let ed25519: &[u8; SIGNATURE_LEN] = rest.try_into().map_err(|_| length)?;
    let time_s = u64::from_be_bytes(*time);
    if !(1..=MAX_TIME_S).contains(&time_s) {
        return Err(CosignatureFault::Time { number, found: time_s });
    }
    let name = witness.name().to_owned();
    let message = message(note_text, time_s);
    let verified = witness.key().verify(message.as_bytes(), ed25519);
    verified.map_err(|_| CosignatureFault::BadSignature { number, name })?;
    let (vkey, note_text) = (witness.clone(), note_text.to_owned());
    Ok(Held { vkey, time_s, note_text, line: signature.line.to_owned() })
}

/// What is signed: header, time, and the note's text.
fn message(note_text: &str, time_s: u64) -> String {
    format!("{HEADER}\ntime {time_s}\n{note_text}")
}

/// A checkpoint with cosignatures under its own signatures: one line for each witness, the newest.
/// What others had put under the checkpoint in a witness's name is replaced.
///
/// Cosignatures of another text are left out: they say nothing about this one.
pub fn with_cosignatures(
    checkpoint: &SignedCheckpoint,
    cosignatures: &[Held],
) -> Result<SignedCheckpoint, CheckpointFault> {
    let note = Note::parse(checkpoint.as_bytes())?;
    let mut newest: Vec<&Held> = Vec::new();
    for held in cosignatures.iter().filter(|held| held.note_text == note.text) {
        match newest.iter_mut().find(|known| known.vkey == held.vkey) {
            Some(known) if known.time_s < held.time_s => *known = held,
            Some(_) => {}
            None => newest.push(held),
        }
    }
    let is_replaced = |line: &NoteSignature<'_>| {
        newest.iter().any(|held| held.vkey.is_of(line.name, line.key_id))
    };
    let kept = note.signatures.iter().filter(|line| !is_replaced(line)).map(|line| line.line);
    let mut text = format!("{}\n", note.text);
    for line in kept.chain(newest.iter().map(|held| held.line.as_str())) {
        text.push_str(line);
        text.push('\n');
    }
    if text.len() > MAX_CHECKPOINT_BYTES {
        return Err(CheckpointFault::TooLong { found: text.len() });
    }
    Ok(SignedCheckpoint::with_text(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EntryCount, Origin, PublicKey};
    use crate::ledger::Checkpoint;
    use crate::ledger::hash::sha256;

    fn signed(size: u64) -> SignedCheckpoint {
        let origin = Origin::parse("log.example/one").unwrap();
        let root = sha256(&size.to_be_bytes());
        Checkpoint { origin, size: EntryCount(size), root }.sign(&SigningKey::from_seed([1; 32]))
    }

    fn witness(seed: u8) -> Cosigner {
        let name = format!("witness.example/w{seed}");
        Cosigner::new(&name, SigningKey::from_seed([seed; 32])).unwrap()
    }

    fn on(text: &str, key: &VerifierKey) -> Result<Option<Held>, CosignatureFault> {
        cosignature_on(text.as_bytes(), key).unwrap()
    }

    /// The specification, spelled out by hand.
    #[test]
    fn a_line_is_what_the_specification_says() {
        let (w, checkpoint) = (witness(9), signed(5));
        let held = w.cosign(checkpoint.note_text(), 1_679_315_147);
        let encoded = held.line().strip_prefix("\u{2014} witness.example/w9 ").unwrap();
        let bytes = base64::decode(encoded).unwrap();
        assert_eq!(bytes.len(), 4 + 8 + 64);
        let public = SigningKey::from_seed([9; 32]).public_key();
        let named = [&b"witness.example/w9\n\x04"[..], public.as_bytes()].concat();
        assert_eq!(bytes[..4], sha256(&named).0[..4]);
        assert_eq!(bytes[4..12], 1_679_315_147_u64.to_be_bytes());
        let text = checkpoint.text().split("\n\n").next().unwrap();
        let message = format!("cosignature/v1\ntime 1679315147\n{text}\n");
        let key = w.vkey().key();
        key.verify(message.as_bytes(), bytes[12..].try_into().unwrap()).unwrap();
    }

    #[test]
    fn a_cosigned_checkpoint_opens_for_ledger_and_witnesses() {
        let checkpoint = signed(5);
        let (one, two) = (witness(9), witness(10));
        let lines = [one.cosign(checkpoint.note_text(), 7), two.cosign(checkpoint.note_text(), 8)];
        let cosigned = with_cosignatures(&checkpoint, &lines).unwrap();
        let ledger = SigningKey::from_seed([1; 32]).public_key();
        let origin = Origin::parse("log.example/one").unwrap();
        SignedCheckpoint::open(cosigned.as_bytes(), &origin, &ledger).unwrap();
        for (witness, held) in [(&one, &lines[0]), (&two, &lines[1])] {
            assert_eq!(on(cosigned.text(), witness.vkey()).unwrap().as_ref(), Some(held));
        }
        assert_eq!(on(cosigned.text(), witness(11).vkey()), Ok(None));
    }

    #[test]
    fn one_line_a_witness_stays_and_it_is_the_newest() {
        let (w, checkpoint) = (witness(9), signed(5));
        let at = |time| w.cosign(checkpoint.note_text(), time);
        let cosigned = with_cosignatures(&checkpoint, &[at(7), at(9), at(8)]).unwrap();
        assert_eq!(cosigned.text().matches("witness.example/w9").count(), 1);
        assert_eq!(on(cosigned.text(), w.vkey()).unwrap().unwrap().time_s(), 9);
        let again = with_cosignatures(&cosigned, &[at(11)]).unwrap();
        assert_eq!(again, with_cosignatures(&checkpoint, &[at(11)]).unwrap());
        let other = w.cosign(signed(6).note_text(), 12);
        assert_eq!(with_cosignatures(&checkpoint, &[other]).unwrap(), checkpoint);
    }

    #[test]
    fn what_does_not_hold_is_told_apart() {
        let (w, checkpoint) = (witness(9), signed(5));
        let under = |id: [u8; 4], rest: &[u8]| {
            let line = base64::encode(&[&id[..], rest].concat());
            format!("{}{SIGNATURE_MARK}{} {line}\n", checkpoint.text(), w.vkey().name())
        };
        let id = w.vkey().id();
        let bad = CosignatureFault::BadSignature { number: 2, name: w.vkey().name().into() };
        let timed = |time: u64| [&time.to_be_bytes()[..], &[7; 64]].concat();
        let rows = [
            (
                under(id, &[1; 71]),
                Err(CosignatureFault::Length { number: 2, found: 71, expected: 72 }),
            ),
            (
                under(id, &[1; 7]),
                Err(CosignatureFault::Length { number: 2, found: 7, expected: 72 }),
            ),
            (under(id, &timed(0)), Err(CosignatureFault::Time { number: 2, found: 0 })),
            (under(id, &timed(1 << 63)), Err(CosignatureFault::Time { number: 2, found: 1 << 63 })),
            (under(id, &timed(5)), Err(bad)),
            // Another's line, whatever is in it.
            (under([0; 4], &timed(5)), Ok(None)),
        ];
        for (text, said) in rows {
            assert_eq!(on(&text, w.vkey()), said, "{text}");
        }
        // Of another tree, or another time.
        let elsewhere = w.cosign(signed(6).note_text(), 5);
        let text = format!("{}{}\n", checkpoint.text(), elsewhere.line());
        assert!(matches!(on(&text, w.vkey()), Err(CosignatureFault::BadSignature { .. })));
        // One that holds does not make up for one that does not.
        let good = w.cosign(checkpoint.note_text(), 5);
        let text = format!("{}{}\n{}\n", checkpoint.text(), good.line(), elsewhere.line());
        assert!(matches!(on(&text, w.vkey()), Err(CosignatureFault::BadSignature { .. })));
        let many = format!("{}\n", good.line()).repeat(MAX_NOTE_SIGNATURES);
        let text = format!("{}{many}", checkpoint.text());
        let count = MAX_NOTE_SIGNATURES + 1;
        assert_eq!(on(&text, w.vkey()), Err(CosignatureFault::TooManyLines(count)));
    }

    /// Another's implementation reads the cosigned note, and knows the ledger's line among others.
    #[test]
    fn others_take_a_cosigned_checkpoint() {
        let checkpoint = signed(5);
        let cosigned =
            with_cosignatures(&checkpoint, &[witness(9).cosign(checkpoint.note_text(), 7)]);
        let cosigned = cosigned.unwrap();
        let note = signed_note::Note::from_bytes(cosigned.as_bytes()).unwrap();
        let key: PublicKey = SigningKey::from_seed([1; 32]).public_key();
        let log = VerifierKey::new("log.example/one", SignatureType::Ed25519, &key).unwrap();
        let verifier = signed_note::StandardVerifier::new(&log.to_string()).unwrap();
        let list = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        let (known, unknown) = note.verify(&list).unwrap();
        assert_eq!((known.len(), unknown.len()), (1, 1));
        assert_eq!(unknown[0].name(), "witness.example/w9");
        assert_eq!(note.to_bytes(), cosigned.as_bytes());
    }
}
