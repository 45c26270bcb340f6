//! The checkpoint: C2SP tlog-checkpoint inside a C2SP signed-note, ed25519, no extension lines.

use super::base64;
use super::hash::sha256;
use super::keys::{KeyFault, SIGNATURE_LEN, SigningKey, StrictKey};
use crate::domain::ids::OriginFault;
use crate::domain::{EntryCount, Hash32, Origin, PublicKey};
use crate::limits::MAX_CHECKPOINT_BYTES;

/// Signature type of ed25519 in a signed note.
pub(super) const TYPE_ED25519: u8 = 0x01;
/// How a signature line begins: em dash, space.
pub(super) const SIGNATURE_MARK: &str = "\u{2014} ";

/// How large the tree is, and its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which ledger.
    pub origin: Origin,
    /// How many entries.
    pub size: EntryCount,
    /// The root of the tree over them.
    pub root: Hash32,
}

/// The text of a checkpoint with signatures: well-formed. Who signed it is known only where it came
/// from [`Checkpoint::sign`] or [`SignedCheckpoint::open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    text: String,
}

/// Why a text is not this ledger's checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// Longer than any checkpoint.
    #[error("a checkpoint has at most {MAX_CHECKPOINT_BYTES} bytes, not {found}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Not UTF-8.
    #[error("checkpoint offset {offset}: not UTF-8")]
    NotUtf8 {
        /// Where.
        offset: usize,
    },
    /// An ASCII control character other than newline.
    #[error("checkpoint offset {offset}: control character {found:#04x}")]
    ControlCharacter {
        /// Where.
        offset: usize,
        /// Which.
        found: u8,
    },
    /// No empty line, or no newline at the end.
    #[error("a checkpoint is a text, an empty line, and signature lines that end in a newline")]
    NoSignatures,
    /// Not origin, size and root, and nothing else.
    #[error("a checkpoint has 3 lines before its signatures, not {found}")]
    LineCount {
        /// How many.
        found: usize,
    },
    /// The first line is not an origin.
    #[error("checkpoint line 1: not an origin")]
    Origin(#[source] OriginFault),
    /// The second line is not a tree size.
    #[error("checkpoint line 2: {found:?} is not a tree size")]
    Size {
        /// The line.
        found: String,
    },
    /// The third line is not a root hash.
    #[error("checkpoint line 3: {found:?} is not 32 bytes in base64")]
    Root {
        /// The line.
        found: String,
    },
    /// A line after the empty one is not a signature.
    #[error("checkpoint signature {number}: not `\u{2014} <name> <base64>`")]
    SignatureLine {
        /// Which, from 1.
        number: usize,
    },
    /// Another ledger's.
    #[error("the checkpoint is of {found}, not of {expected}")]
    OtherOrigin {
        /// The pinned origin.
        expected: Origin,
        /// The checkpoint's.
        found: Origin,
    },
    /// The pinned key is not sound.
    #[error("the pinned ledger key is not sound")]
    Key(#[source] KeyFault),
    /// Nobody signed under the pinned key.
    #[error("none of {found} signatures is by the pinned ledger key")]
    NotSigned {
        /// How many signatures there are.
        found: usize,
    },
    /// The pinned key's line is there more than once.
    #[error("checkpoint signature {number}: a second one by the pinned ledger key")]
    SignedTwice {
        /// Which, from 1.
        number: usize,
    },
    /// The pinned key's signature does not hold.
    #[error("checkpoint signature {number}: by the pinned ledger key, but does not hold")]
    BadSignature {
        /// Which, from 1.
        number: usize,
    },
}

impl Checkpoint {
    /// The signed text: origin, size and root, a line each.
    pub fn note_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64::encode(self.root.as_bytes()))
    }

    /// Signs it as the ledger; the key's name is the origin.
    pub fn sign(&self, key: &SigningKey) -> SignedCheckpoint {
        let note = self.note_text();
        let id = note_key_id(self.origin.as_str(), TYPE_ED25519, &key.public_key());
        let line = base64::encode(&[&id[..], &key.sign(note.as_bytes())].concat());
        SignedCheckpoint { text: format!("{note}\n{SIGNATURE_MARK}{} {line}\n", self.origin) }
    }
}

impl SignedCheckpoint {
    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole text, as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The signed part: origin, size and root, a line each.
    pub fn note_text(&self) -> &str {
        // Well-formed, so there is an empty line; the lines after the last one are signatures.
        self.text.rfind("\n\n").map_or("", |blank| &self.text[..=blank])
    }

    /// A text that [`Note::parse`] took, with other signatures under it.
    pub(super) const fn with_text(text: String) -> Self {
        Self { text }
    }

    /// Checks form only, and says what the text claims. Not a word about who signed it.
    pub fn parse(text: &[u8]) -> Result<(Checkpoint, Self), CheckpointFault> {
        let note = Note::parse(text)?;
        Ok((parse_note_text(note.text)?, Self { text: note.whole.to_owned() }))
    }

    /// Opens a checkpoint of a pinned ledger: one signature by its key, which holds. Signatures by
    /// others (witnesses) stay in the text and are not judged.
    pub fn open(
        text: &[u8],
        origin: &Origin,
        ledger_key: &PublicKey,
    ) -> Result<(Checkpoint, Self), CheckpointFault> {
        let key = StrictKey::parse(ledger_key).map_err(CheckpointFault::Key)?;
        Self::open_by(text, origin, &key, |message, signature| {
            key.verify(message, signature).is_ok()
        })
    }

    /// [`SignedCheckpoint::open`] for whoever has parsed the key, and knows whether the one
    /// signature holds that there can be: that of [`SignedCheckpoint::signed_by`].
    pub fn open_by(
        text: &[u8],
        origin: &Origin,
        key: &StrictKey,
        holds: impl FnOnce(&[u8], &[u8; SIGNATURE_LEN]) -> bool,
    ) -> Result<(Checkpoint, Self), CheckpointFault> {
        let note = Note::parse(text)?;
        let checkpoint = parse_note_text(note.text)?;
        if checkpoint.origin != *origin {
            let (expected, found) = (origin.clone(), checkpoint.origin);
            return Err(CheckpointFault::OtherOrigin { expected, found });
        }
        note.check_signature(origin, key, holds)?;
        Ok((checkpoint, Self { text: note.whole.to_owned() }))
    }

    /// The text that a key signed under a name, as its line says, and the signature; `None` where
    /// [`SignedCheckpoint::open_by`] asks for none. Whether it holds is another question.
    pub fn signed_by<'a>(
        text: &'a [u8],
        origin: &Origin,
        key: &StrictKey,
    ) -> Option<(&'a [u8], [u8; SIGNATURE_LEN])> {
        let note = Note::parse(text).ok()?;
        let id = note_key_id(origin.as_str(), TYPE_ED25519, &key.public_key());
        let mut own = note.signatures.iter();
        let own = own.find(|it| it.name == origin.as_str() && it.key_id == id)?;
        Some((note.text.as_bytes(), own.signature.as_slice().try_into().ok()?))
    }
}

/// The verifier key of C2SP signed-note: `<origin>+<key id, hex>+<base64 of type and key>`.
pub fn vkey(origin: &Origin, key: &PublicKey) -> String {
    let id = u32::from_be_bytes(note_key_id(origin.as_str(), TYPE_ED25519, key));
    let typed = [&[TYPE_ED25519], &key.as_bytes()[..]].concat();
    format!("{origin}+{id:08x}+{}", base64::encode(&typed))
}

/// First four bytes of SHA-256 of `name || 0x0A || signature type || public key`.
pub(super) fn note_key_id(name: &str, signature_type: u8, key: &PublicKey) -> [u8; 4] {
    let named = [name.as_bytes(), b"\n", &[signature_type], key.as_bytes()].concat();
    let [a, b, c, d, ..] = sha256(&named).0;
    [a, b, c, d]
}

/// A signed note, taken apart.
pub(super) struct Note<'a> {
    pub(super) whole: &'a str,
    /// With its last newline.
    pub(super) text: &'a str,
    pub(super) signatures: Vec<NoteSignature<'a>>,
}

/// A line under a note: who says it signed, and what.
pub(super) struct NoteSignature<'a> {
    /// The line, without its newline.
    pub(super) line: &'a str,
    pub(super) name: &'a str,
    pub(super) key_id: [u8; 4],
    pub(super) signature: Vec<u8>,
}

impl<'a> Note<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, CheckpointFault> {
        if bytes.len() > MAX_CHECKPOINT_BYTES {
            return Err(CheckpointFault::TooLong { found: bytes.len() });
        }
        let whole = std::str::from_utf8(bytes)
            .map_err(|fault| CheckpointFault::NotUtf8 { offset: fault.valid_up_to() })?;
        let control = bytes.iter().enumerate().find(|(_, byte)| **byte < 0x20 && **byte != b'\n');
        if let Some((offset, &found)) = control {
            return Err(CheckpointFault::ControlCharacter { offset, found });
        }
        let blank = whole.rfind("\n\n").ok_or(CheckpointFault::NoSignatures)?;
        let (text, lines) = (&whole[..=blank], &whole[blank + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(CheckpointFault::NoSignatures)?;
        let signatures = lines
            .split('\n')
            .enumerate()
            .map(|(at, line)| {
                parse_signature(line).ok_or(CheckpointFault::SignatureLine { number: at + 1 })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { whole, text, signatures })
    }

    fn check_signature(
        &self,
        name: &Origin,
        key: &StrictKey,
        holds: impl FnOnce(&[u8], &[u8; SIGNATURE_LEN]) -> bool,
    ) -> Result<(), CheckpointFault> {
        let id = note_key_id(name.as_str(), TYPE_ED25519, &key.public_key());
        let mut holds = Some(holds);
        for (at, signature) in self.signatures.iter().enumerate() {
            if signature.name != name.as_str() || signature.key_id != id {
                continue;
            }
            let number = at + 1;
            let Some(holds) = holds.take() else {
                return Err(CheckpointFault::SignedTwice { number });
            };
            let bad = CheckpointFault::BadSignature { number };
            let bytes: &[u8; SIGNATURE_LEN] =
                signature.signature.as_slice().try_into().map_err(|_| bad.clone())?;
            if !holds(self.text.as_bytes(), bytes) {
                return Err(bad);
            }
        }
        let found = self.signatures.len();
        if holds.is_none() { Ok(()) } else { Err(CheckpointFault::NotSigned { found }) }
    }
}

fn parse_signature(line: &str) -> Option<NoteSignature<'_>> {
    let (name, signature) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
    if !is_key_name(name) {
        return None;
    }
    let bytes = base64::decode(signature).ok()?;
    let (key_id, signature) = bytes.split_first_chunk::<4>()?;
    if signature.is_empty() {
        return None;
    }
    Some(NoteSignature { line, name, key_id: *key_id, signature: signature.to_vec() })
}

/// Whether a signed note admits a name: not empty, no Unicode space, no plus.
pub(super) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

fn parse_note_text(text: &str) -> Result<Checkpoint, CheckpointFault> {
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    let &[origin, size, root] = lines.as_slice() else {
        return Err(CheckpointFault::LineCount { found: lines.len() });
    };
    Ok(Checkpoint {
        origin: Origin::parse(origin).map_err(CheckpointFault::Origin)?,
        size: parse_decimal(size)
            .map(EntryCount)
            .ok_or_else(|| CheckpointFault::Size { found: size.to_owned() })?,
        root: parse_hash(root).ok_or_else(|| CheckpointFault::Root { found: root.to_owned() })?,
    })
}

/// A number in ASCII decimal without leading zeros.
pub fn parse_decimal(text: &str) -> Option<u64> {
    let is_canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_canonical { text.parse().ok() } else { None }
}

/// 32 bytes in base64.
pub fn parse_hash(text: &str) -> Option<Hash32> {
    // 32 bytes take 44 characters; without this a hostile line would be decoded whole first.
    if text.len() != 44 {
        return None;
    }
    base64::decode(text).ok()?.try_into().ok().map(Hash32)
}

/// Reads a checkpoint that somebody quotes: a signed note of an origin under a key. Size and root,
/// or what is wrong, in words.
pub fn read_checkpoint(
    text: &str,
    origin: &Origin,
    key: &PublicKey,
) -> Result<(EntryCount, Hash32), String> {
    let (checkpoint, _) =
        SignedCheckpoint::open(text.as_bytes(), origin, key).map_err(|fault| fault.to_string())?;
    Ok((checkpoint.size, checkpoint.root))
}
