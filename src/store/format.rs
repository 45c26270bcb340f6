//! The file `FORMAT`: which version of a store this is, and of which ledger.

use std::path::Path;

use super::fault::StoreFault;
use super::files;
use crate::domain::{Hash32, Origin, PublicKey};
use crate::ledger::hash::sha256;
use crate::limits::MAX_FORMAT_FILE_BYTES;

const FIRST_LINE: &str = "urbanmine store 1";
const ORIGIN_PREFIX: &str = "origin ";
const KEY_PREFIX: &str = "ledger-key ";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    /// The ledger's name.
    pub(super) origin: Origin,
    /// The ledger's first key.
    pub(super) ledger_key: PublicKey,
}

impl Format {
    pub(super) fn new(origin: &Origin, ledger_key: &PublicKey) -> Self {
        Self { origin: origin.clone(), ledger_key: *ledger_key }
    }

    /// Reads the file, strictly.
    pub(super) fn read(path: &Path) -> Result<Self, StoreFault> {
        let refused =
            |rule: &str| StoreFault::Format { path: path.to_owned(), rule: rule.to_owned() };
        let content = files::read_small(path, MAX_FORMAT_FILE_BYTES)?;
        let content = content.ok_or_else(|| refused("there is no store here"))?;
        let text = String::from_utf8(content).map_err(|_| refused("is not a text"))?;
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(refused("is not of a store of version 1"));
        }
        let origin = lines
            .next()
            .and_then(|line| line.strip_prefix(ORIGIN_PREFIX))
            .and_then(|origin| Origin::parse(origin).ok())
            .ok_or_else(|| refused("names no origin"))?;
        let ledger_key = lines
            .next()
            .and_then(|line| line.strip_prefix(KEY_PREFIX))
            .and_then(key_of_hex)
            .ok_or_else(|| refused("names no ledger key"))?;
        let format = Self { origin, ledger_key };
        if format.text() == text { Ok(format) } else { Err(refused("says more than it should")) }
    }

    /// The file's content.
    pub(super) fn text(&self) -> String {
        let Self { origin, ledger_key } = self;
        format!("{FIRST_LINE}\n{ORIGIN_PREFIX}{origin}\n{KEY_PREFIX}{ledger_key}\n")
    }

    /// Names the ledger in segments and database: SHA-256 of origin, line feed, key.
    pub(super) fn ledger_hash(&self) -> Hash32 {
        let name = [self.origin.as_str().as_bytes(), b"\n", self.ledger_key.as_bytes()].concat();
        sha256(&name)
    }
}

fn key_of_hex(text: &str) -> Option<PublicKey> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let is_whole = rest.is_empty() && pairs.len() == 32;
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    if is_whole { bytes.try_into().ok().map(PublicKey) } else { None }
}

/// Lower case only: one text for one key.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
