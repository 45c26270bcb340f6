//! Keys and strict signatures: one answer for every input, in every verifier of the house.

use std::fmt;

use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

use super::hash::sha256;
use crate::domain::{KeyId, PublicKey};

/// Bytes of an ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;

/// How an envelope names a signer: SHA-256 of the 32 bytes of the public key.
pub fn key_id(key: &PublicKey) -> KeyId {
    KeyId(sha256(key.as_bytes()).0)
}

/// Why 32 bytes are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// No point of the curve has this y.
    #[error("public key {0}: not a point of the curve")]
    NotAPoint(PublicKey),
    /// A point, but spelled in a second way: y is not below 2^255 - 19, or the sign of x = 0 is
    /// set.
    #[error("public key {0}: not the canonical encoding of its point")]
    NotCanonical(PublicKey),
    /// One of the eight points of small order: signatures under it prove nothing.
    #[error("public key {0}: a point of small order")]
    SmallOrder(PublicKey),
}

/// A signature that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold under key {key}")]
pub struct BadSignature {
    /// The key that it was checked with.
    pub key: KeyId,
}

/// A public key that was parsed strictly; only through it are signatures checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrictKey {
    key: ed25519_dalek::VerifyingKey,
    id: KeyId,
}

impl StrictKey {
    /// Takes the canonical encoding of a point that is not of small order.
    pub fn parse(bytes: &PublicKey) -> Result<Self, KeyFault> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes.as_bytes())
            .map_err(|_| KeyFault::NotAPoint(*bytes))?;
        // dalek reduces y and ignores the sign of x = 0; spelled again, such a point looks
        // different.
        if key.to_edwards().compress().as_bytes() != bytes.as_bytes() {
            return Err(KeyFault::NotCanonical(*bytes));
        }
        if key.is_weak() {
            return Err(KeyFault::SmallOrder(*bytes));
        }
        Ok(Self { key, id: key_id(bytes) })
    }

    /// Checks a signature: S below the group order, R canonical and not of small order, and
    /// `R = [S]B - [k]A` exactly (no cofactor), with `k = SHA-512(R || A || message)`.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), BadSignature> {
        // R is compared byte by byte with a computed point, so a second spelling of R never passes.
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.key.verify_strict(message, &signature).map_err(|_| BadSignature { key: self.id })
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Its point.
    pub(super) fn point(&self) -> curve25519_dalek::EdwardsPoint {
        self.key.to_edwards()
    }

    /// Its bytes.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.key.to_bytes())
    }
}

/// A private key; wiped from memory when dropped, never shown.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From the 32 bytes of RFC 8032. Wiping the caller's copy is the caller's part.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The id of the public half.
    pub fn key_id(&self) -> KeyId {
        key_id(&self.public_key())
    }

    /// Signs, as RFC 8032 says: the same message always gives the same signature.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(message).to_bytes()
    }

    /// The 32 bytes, for whoever writes the key file.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, private half redacted)", self.key_id())
    }
}
