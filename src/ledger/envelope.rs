//! The envelope: what was signed, verbatim, and by whom. Nobody re-encodes the payload, ever.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::keys::{SIGNATURE_LEN, SigningKey};
use super::reader::{Reader, Short};
use crate::domain::KeyId;
use crate::limits::{MAX_PAYLOAD_BYTES, MAX_SIGNATURES, SIGNATURE_BYTES};

/// Payload type of an event (entry kind 0).
pub const EVENT_PAYLOAD_TYPE: &str = "application/vnd.urbanmine.event.v1+protobuf";
/// Payload type of a statement of the ledger itself (entry kind 1).
pub const STATEMENT_PAYLOAD_TYPE: &str = "application/vnd.urbanmine.statement.v1+protobuf";
/// Algorithm number of ed25519. 2 is reserved for SM2 with SM3.
pub const ALGORITHM_ED25519: u16 = 1;

/// What is signed: the pre-authentication encoding of DSSE v1.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pae_len_at_most(payload_type, payload));
    pae_onto(&mut out, payload_type, payload);
    out
}

/// [`pae`], behind what is there.
pub(crate) fn pae_onto(out: &mut Vec<u8>, payload_type: &str, payload: &[u8]) {
    out.reserve(pae_len_at_most(payload_type, payload));
    out.extend_from_slice(b"DSSEv1 ");
    for part in [payload_type.as_bytes(), payload] {
        let decimal = part.len().to_string();
        out.extend_from_slice(decimal.as_bytes());
        out.push(b' ');
        out.extend_from_slice(part);
        out.push(b' ');
    }
    // No space behind the payload.
    out.pop();
}

/// The type and the payload, their lengths in at most 20 digits, and what stands between.
const fn pae_len_at_most(payload_type: &str, payload: &[u8]) -> usize {
    "DSSEv1 ".len() + 2 * (20 + 2) + payload_type.len() + payload.len()
}

/// One signature of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// Who signed.
    pub key: KeyId,
    /// ed25519 over [`pae`].
    pub signature: [u8; SIGNATURE_LEN],
}

/// Signed bytes with their signatures. Well-formed when parsed; whether the signatures hold is
/// another question ([`super::keys::StrictKey::verify`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// 1 to 4, strictly ascending by key id.
    pub signatures: Vec<EnvelopeSignature>,
    /// What was signed, verbatim.
    pub payload: Bytes,
}

/// Why bytes are not an envelope. Offsets count from the envelope's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeFault {
    /// The bytes end inside a field.
    #[error("envelope offset {offset}: a field of {needed} bytes, but {left} are left")]
    Truncated {
        /// Where the field begins.
        offset: usize,
        /// Its length.
        needed: usize,
        /// What is left.
        left: usize,
    },
    /// No signature, or too many.
    #[error("envelope offset 0: 1 to {MAX_SIGNATURES} signatures, not {found}")]
    SignatureCount {
        /// The count byte.
        found: u8,
    },
    /// An algorithm that this version of the format does not know.
    #[error("envelope offset {offset}: algorithm {ALGORITHM_ED25519} (ed25519), not {found}")]
    UnknownAlgorithm {
        /// Where the number stands.
        offset: usize,
        /// The number.
        found: u16,
    },
    /// Key ids out of order, or one twice.
    #[error("envelope offset {offset}: key id {found} must be above {before}")]
    SignaturesNotAscending {
        /// Where the key id stands.
        offset: usize,
        /// The key id before it.
        before: KeyId,
        /// The key id.
        found: KeyId,
    },
    /// Nothing was signed, or too much.
    #[error("envelope offset {offset}: a payload of 1 to {MAX_PAYLOAD_BYTES} bytes, not {found}")]
    PayloadLength {
        /// Where the length stands.
        offset: usize,
        /// The length.
        found: u32,
    },
    /// Bytes after the payload.
    #[error("envelope offset {offset}: the end, not {extra} more bytes")]
    TrailingBytes {
        /// Where the payload ends.
        offset: usize,
        /// How many follow.
        extra: usize,
    },
}

impl From<Short> for EnvelopeFault {
    fn from(Short { offset, needed, left }: Short) -> Self {
        Self::Truncated { offset, needed, left }
    }
}

impl Envelope {
    /// Parses strictly: one byte string for one envelope.
    pub fn parse(bytes: &Bytes) -> Result<Self, EnvelopeFault> {
        let mut reader = Reader::new(bytes);
        let count = reader.u8()?;
        if count == 0 || usize::from(count) > MAX_SIGNATURES {
            return Err(EnvelopeFault::SignatureCount { found: count });
        }
        let mut signatures: Vec<EnvelopeSignature> = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let before = signatures.last().map(|signature| signature.key);
            signatures.push(parse_signature(&mut reader, before)?);
        }
        let offset = reader.offset();
        let length = reader.u32()?;
        let payload_bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if payload_bytes == 0 || payload_bytes > MAX_PAYLOAD_BYTES {
            return Err(EnvelopeFault::PayloadLength { offset, found: length });
        }
        let payload = reader.bytes(payload_bytes)?;
        if reader.left() > 0 {
            let (offset, extra) = (reader.offset(), reader.left());
            return Err(EnvelopeFault::TrailingBytes { offset, extra });
        }
        Ok(Self { signatures, payload })
    }

    /// The bytes. An envelope that breaks a limit gets bytes that do not parse.
    pub fn encode(&self) -> Bytes {
        let capacity = 1 + self.signatures.len() * SIGNATURE_BYTES + 4 + self.payload.len();
        let mut out = BytesMut::with_capacity(capacity);
        // Over the limit the count saturates far above it, and `parse` refuses it.
        out.put_u8(u8::try_from(self.signatures.len()).unwrap_or(u8::MAX));
        for EnvelopeSignature { key, signature } in &self.signatures {
            out.put_slice(key.as_bytes());
            out.put_u16(ALGORITHM_ED25519);
            out.put_slice(signature);
        }
        out.put_u32(u32::try_from(self.payload.len()).unwrap_or(u32::MAX));
        out.put_slice(&self.payload);
        out.freeze()
    }

    /// Signs a payload with each key; a key given twice signs once.
    pub fn sign(payload_type: &str, payload: Bytes, keys: &[&SigningKey]) -> Self {
        let message = pae(payload_type, &payload);
        let mut signatures: Vec<EnvelopeSignature> = keys
            .iter()
            .map(|key| EnvelopeSignature { key: key.key_id(), signature: key.sign(&message) })
            .collect();
        signatures.sort_by_key(|signature| signature.key);
        signatures.dedup_by_key(|signature| signature.key);
        Self { signatures, payload }
    }
}

fn parse_signature(
    reader: &mut Reader<'_>,
    before: Option<KeyId>,
) -> Result<EnvelopeSignature, EnvelopeFault> {
    let offset = reader.offset();
    let key = KeyId(reader.array()?);
    if let Some(before) = before
        && key <= before
    {
        return Err(EnvelopeFault::SignaturesNotAscending { offset, before, found: key });
    }
    let offset = reader.offset();
    let algorithm = reader.u16()?;
    if algorithm != ALGORITHM_ED25519 {
        return Err(EnvelopeFault::UnknownAlgorithm { offset, found: algorithm });
    }
    Ok(EnvelopeSignature { key, signature: reader.array()? })
}
