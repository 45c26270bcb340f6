//! Ids that people type: a UUID, or `@name` of the sample.

use anyhow::bail;

use super::event_json::{SampleIds, SymbolContext, sample_id};

/// The 16 bytes of a UUID, or of a sample name with its `@`.
pub fn id_bytes(text: &str) -> anyhow::Result<[u8; 16]> {
    if let Some(name) = text.strip_prefix('@') {
        return Ok(sample_id(name));
    }
    match uuid::Uuid::parse_str(text) {
        Ok(id) => Ok(*id.as_bytes()),
        Err(_) => bail!("{text} is not an id: give a UUID, or @name of the sample"),
    }
}

/// The same for a message, where no id is no bytes.
pub fn id_or_none(text: Option<&str>) -> anyhow::Result<bytes::Bytes> {
    match text {
        None => Ok(bytes::Bytes::new()),
        Some(text) => Ok(bytes::Bytes::copy_from_slice(&id_bytes(text)?)),
    }
}

/// Looks up `@name` in scripts that bring no keys of their own.
pub fn lookup_samples(symbol: &SymbolContext<'_>) -> Result<Vec<u8>, String> {
    SampleIds::default().resolve(symbol)
}

/// The hyphenated form of 16 bytes; hexadecimal for anything else.
pub fn id_text(bytes: &[u8]) -> String {
    match <[u8; 16]>::try_from(bytes) {
        Ok(raw) => uuid::Uuid::from_bytes(raw).hyphenated().to_string(),
        Err(_) => super::output::hex(bytes),
    }
}
