//! `@name` in sample files: ids that anybody can compute again.

use std::collections::BTreeMap;

use crate::domain::{Hash32, PublicKey};
use crate::ledger::hash::sha256;

/// Where a symbol stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolContext<'a> {
    /// Name of the field in the proto, e.g. `lot_id`.
    pub field: &'a str,
    /// The name after the `@`.
    pub name: &'a str,
}

/// 2026-01-01T00:00:00Z: the time part of every sample id.
const SAMPLE_TIME_MS: u64 = 1_767_225_600_000;

/// Resolves names to sample ids, sample hashes and known keys.
#[derive(Debug, Clone, Default)]
pub struct SampleIds {
    keys: BTreeMap<String, PublicKey>,
}

impl SampleIds {
    /// Knows some public keys by name.
    pub fn new(keys: BTreeMap<String, PublicKey>) -> Self {
        Self { keys }
    }

    /// The bytes of a name in its field: a key or its id by name, a commitment or file hash made
    /// from the name, and for every other `*_id` the sample id of the name.
    pub fn resolve(&self, symbol: &SymbolContext<'_>) -> Result<Vec<u8>, String> {
        let SymbolContext { field, name } = *symbol;
        if name.is_empty() {
            return Err("has a name after the @".to_owned());
        }
        let key = || {
            let known = self.keys.get(name);
            known.ok_or_else(|| "is the name of a key that is known here".to_owned())
        };
        match field {
            "key_id" => Ok(sha256(key()?.as_bytes()).as_bytes().to_vec()),
            "sha256" => Ok(sample_hash(name).as_bytes().to_vec()),
            _ if field.ends_with("public_key") => Ok(key()?.as_bytes().to_vec()),
            _ if field.ends_with("_commitment") => Ok(sample_hash(name).as_bytes().to_vec()),
            _ if field.ends_with("_id") => Ok(sample_id(name).to_vec()),
            _ => Err("is not a symbol here: there is nothing to make it from".to_owned()),
        }
    }
}

/// The sample id of a name: a `UUIDv7` of a fixed time, the rest from SHA-256 of the name.
pub fn sample_id(name: &str) -> [u8; 16] {
    let mut id = [0_u8; 16];
    let digest = sha256(format!("urbanmine sample id\n{name}").as_bytes());
    id.copy_from_slice(&digest.as_bytes()[..16]);
    // 48 bits of time: the last six bytes of the eight.
    id[..6].copy_from_slice(&SAMPLE_TIME_MS.to_be_bytes()[2..]);
    id[6] = 0x70 | (id[6] & 0x0f);
    id[8] = 0x80 | (id[8] & 0x3f);
    id
}

/// The sample hash of a name, for commitments and files that do not exist.
pub fn sample_hash(name: &str) -> Hash32 {
    sha256(format!("urbanmine sample hash\n{name}").as_bytes())
}
