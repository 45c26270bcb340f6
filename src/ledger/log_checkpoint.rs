//! The checkpoint of any log, as a witness sees it: C2SP tlog-checkpoint with whatever origin and
//! extension lines the log likes.

use super::checkpoint::{CheckpointFault, Note, SIGNATURE_MARK, parse_decimal, parse_hash};
use super::keys::SIGNATURE_LEN;
use super::vkey::VerifierKey;
use crate::domain::{EntryCount, Hash32};
use crate::limits::MAX_NOTE_SIGNATURES;

/// A checkpoint: form checked, signatures not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCheckpoint {
    text: String,
    origin: String,
    size: EntryCount,
    root: Hash32,
}

/// A checkpoint that one or more trusted keys signed. Only [`LogCheckpoint::open`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedCheckpoint {
    checkpoint: LogCheckpoint,
    note_text: String,
    /// The signature lines that hold, without their newlines.
    lines: Vec<String>,
    /// The last of the trusted keys that signed, as a place in their list.
    newest_key: usize,
}

/// Why nobody who is trusted signed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogSignatureFault {
    /// More signature lines than are looked at.
    #[error("the note has {0} signature lines, at most {MAX_NOTE_SIGNATURES} are looked at")]
    TooManyLines(usize),
    /// No line with the name and id of a trusted key.
    #[error("none of {0} signatures is by a trusted key of this origin")]
    NotSigned(usize),
    /// A line with the name and id of a trusted key that does not hold.
    #[error("signature {number}: by a trusted key, but does not hold")]
    BadSignature {
        /// Which, from 1.
        number: usize,
    },
}

impl LogCheckpoint {
    /// Takes a text apart.
    pub fn parse(text: &[u8]) -> Result<Self, CheckpointFault> {
        let note = Note::parse(text)?;
        let lines: Vec<&str> =
            note.text.strip_suffix('\n').unwrap_or(note.text).split('\n').collect();
        let found = lines.len();
        let [origin, size, root, ..] = lines.as_slice() else {
            return Err(CheckpointFault::LineCount { found });
        };
        // Extension lines are the log's own business, but an empty one ends the text.
        if lines.iter().any(|line| line.is_empty()) {
            return Err(CheckpointFault::LineCount { found });
        }
        let size = parse_decimal(size)
            .ok_or_else(|| CheckpointFault::Size { found: (*size).to_owned() })?;
        let root =
            parse_hash(root).ok_or_else(|| CheckpointFault::Root { found: (*root).to_owned() })?;
        let (text, origin) = (note.whole.to_owned(), (*origin).to_owned());
        Ok(Self { text, origin, size: EntryCount(size), root })
    }

    /// Which log, as it says.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many entries, as it says.
    pub fn size(&self) -> EntryCount {
        self.size
    }

    /// The root over them, as it says.
    pub fn root(&self) -> &Hash32 {
        &self.root
    }

    /// Checks the signatures of the keys that are trusted for its origin. Lines by others are
    /// ignored; one by a trusted key that does not hold spoils the note (C2SP tlog-witness, 403).
    pub fn open(&self, keys: &[VerifierKey]) -> Result<OpenedCheckpoint, LogSignatureFault> {
        // It was taken apart before.
        let note =
            Note::parse(self.text.as_bytes()).map_err(|_| LogSignatureFault::NotSigned(0))?;
        let count = note.signatures.len();
        if count > MAX_NOTE_SIGNATURES {
            return Err(LogSignatureFault::TooManyLines(count));
        }
        let (mut lines, mut newest_key) = (Vec::new(), None);
        for (at, signature) in note.signatures.iter().enumerate() {
            let by = keys.iter().position(|key| key.is_of(signature.name, signature.key_id));
            let Some(place) = by else { continue };
            let bad = LogSignatureFault::BadSignature { number: at + 1 };
            let bytes: &[u8; SIGNATURE_LEN] =
                signature.signature.as_slice().try_into().map_err(|_| bad.clone())?;
            keys[place].key().verify(note.text.as_bytes(), bytes).map_err(|_| bad)?;
            newest_key = newest_key.max(Some(place));
            lines.push(signature.line.to_owned());
        }
        let newest_key = newest_key.ok_or(LogSignatureFault::NotSigned(count))?;
        let note_text = note.text.to_owned();
        Ok(OpenedCheckpoint { checkpoint: self.clone(), note_text, lines, newest_key })
    }
}

impl OpenedCheckpoint {
    /// What it says.
    pub fn checkpoint(&self) -> &LogCheckpoint {
        &self.checkpoint
    }

    /// The text that is signed, with its last newline.
    pub fn note_text(&self) -> &str {
        &self.note_text
    }

    /// The last of the trusted keys, in the order of their list, that signed it.
    pub fn newest_key(&self) -> usize {
        self.newest_key
    }

    /// The note with the signatures that were checked, and one more line.
    pub fn with_line(&self, line: &str) -> String {
        debug_assert!(line.starts_with(SIGNATURE_MARK), "a line is a signature line");
        let mut text = format!("{}\n", self.note_text);
        for line in self.lines.iter().map(String::as_str).chain([line]) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::base64;
    use crate::ledger::hash::sha256;
    use crate::ledger::keys::SigningKey;
    use crate::ledger::vkey::SignatureType;

    fn vkey(name: &str, seed: u8) -> VerifierKey {
        let key = SigningKey::from_seed([seed; 32]).public_key();
        VerifierKey::new(name, SignatureType::Ed25519, &key).unwrap()
    }

    fn note(text: &str, signers: &[(&str, u8)]) -> String {
        let mut whole = format!("{text}\n");
        for (name, seed) in signers {
            let signature = SigningKey::from_seed([*seed; 32]).sign(text.as_bytes());
            let bytes = [&vkey(name, *seed).id()[..], &signature].concat();
            whole = whole + SIGNATURE_MARK + name + " " + &base64::encode(&bytes) + "\n";
        }
        whole
    }

    fn text(extra: &str) -> String {
        format!("a log, with spaces\n7\n{}\n{extra}", base64::encode(&sha256(b"root").0))
    }

    #[test]
    fn any_origin_and_extension_lines_are_taken() {
        let whole = note(&text("extra one\nextra two\n"), &[("key.example/a", 3)]);
        let parsed = LogCheckpoint::parse(whole.as_bytes()).unwrap();
        assert_eq!((parsed.origin(), parsed.size()), ("a log, with spaces", EntryCount(7)));
        assert_eq!(parsed.root(), &sha256(b"root"));
        let opened = parsed.open(&[vkey("key.example/a", 3)]).unwrap();
        assert_eq!(opened.note_text(), text("extra one\nextra two\n"));
        assert_eq!(
            opened.with_line("\u{2014} w AAAAAAA="),
            whole.clone() + "\u{2014} w AAAAAAA=\n"
        );
        for bad in ["a\n7\n", "a\n07\nx\n", "a\n7\nx\n"] {
            assert!(LogCheckpoint::parse(note(bad, &[("k", 3)]).as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_trusted_line_that_does_not_hold_spoils_the_note() {
        let keys = [vkey("k.example", 3), vkey("k.example", 4)];
        let open = |whole: &str| LogCheckpoint::parse(whole.as_bytes()).unwrap().open(&keys);
        let both = note(&text(""), &[("k.example", 3), ("x.example", 9), ("k.example", 4)]);
        assert_eq!(open(&both).unwrap().newest_key(), 1);
        assert!(!open(&both).unwrap().with_line("\u{2014} w AAAAAAA=").contains("x.example"));
        let first = note(&text(""), &[("k.example", 3)]);
        assert_eq!(open(&first).unwrap().newest_key(), 0);
        let stranger = note(&text(""), &[("x.example", 3), ("k.example", 9)]);
        assert_eq!(open(&stranger), Err(LogSignatureFault::NotSigned(2)));
        let other = both.replacen("\n7\n", "\n8\n", 1);
        assert_eq!(open(&other), Err(LogSignatureFault::BadSignature { number: 1 }));
    }
}
