//! The border of the write path: bytes become an [`Admitted`] event, in parallel, before the
//! writer.
//!
//! Signatures by keys that the registry knows are checked here. A key that is not known yet may be
//! registered by an event that waits before this one: its signature is left for the writer, which
//! knows.

use bytes::Bytes;

use crate::domain::{Body, Event, Hash32, KeyId, PublicKey};
use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope, pae};
use crate::ledger::hash::sha256;
use crate::ledger::keys::{StrictKey, key_id};
use crate::node::error::AppendError;
use crate::wire;

/// An event that is well-formed, with its signatures by known keys checked. Only [`admit`] makes
/// one.
#[derive(Debug, Clone)]
pub struct Admitted {
    envelope_bytes: Bytes,
    envelope: Envelope,
    event: Event,
    payload_hash: Hash32,
    signers: Vec<KeyId>,
    unchecked: Vec<KeyId>,
}

impl Admitted {
    /// The envelope, verbatim.
    pub fn envelope_bytes(&self) -> &Bytes {
        &self.envelope_bytes
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The envelope, taken apart.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The same event as if these keys had signed as well: for the rules to judge, never to be
    /// recorded, because it has no signatures of theirs.
    pub(super) fn assuming(&self, keys: &[KeyId]) -> Self {
        let mut assumed = self.clone();
        assumed.signers.extend_from_slice(keys);
        assumed.signers.sort_unstable();
        assumed
    }

    /// SHA-256 of the signed bytes.
    pub fn payload_hash(&self) -> Hash32 {
        self.payload_hash
    }

    /// The keys that signed, ascending.
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// A key that a genesis brings with it.
    pub fn genesis_key(&self, key: KeyId) -> Option<PublicKey> {
        let Body::Genesis(genesis) = &self.event.body else { return None };
        let brought = [genesis.ledger_key, genesis.coordinator_key];
        brought.into_iter().find(|public| key_id(public) == key)
    }

    /// Checks the signatures that admission left, with the keys as they are known now.
    pub fn check_rest<F>(
        &self,
        mut key_of: impl FnMut(KeyId) -> Result<Option<PublicKey>, F>,
    ) -> Result<Result<(), AppendError>, F> {
        for &key in &self.unchecked {
            // The rules refuse unknown keys before this; so a key that is not there is a bad
            // signature.
            let good = key_of(key)?
                .is_some_and(|public| check_signature(&self.envelope, key, &public).is_ok());
            if !good {
                return Ok(Err(AppendError::Signature { key }));
            }
        }
        Ok(Ok(()))
    }
}

/// Takes an envelope apart, strictly. `key_of` finds a registered key.
pub fn admit<F>(
    envelope_bytes: Bytes,
    mut key_of: impl FnMut(KeyId) -> Result<Option<PublicKey>, F>,
) -> Result<Result<Admitted, AppendError>, F> {
    let (envelope, event) = match open(&envelope_bytes) {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error)),
    };
    let mut unchecked = Vec::new();
    for signature in &envelope.signatures {
        match key_of(signature.key)? {
            None => unchecked.push(signature.key),
            Some(public) => {
                if let Err(error) = check_signature(&envelope, signature.key, &public) {
                    return Ok(Err(error));
                }
            }
        }
    }
    let payload_hash = sha256(&envelope.payload);
    let signers = envelope.signatures.iter().map(|signature| signature.key).collect();
    Ok(Ok(Admitted { envelope_bytes, envelope, event, payload_hash, signers, unchecked }))
}

fn open(bytes: &Bytes) -> Result<(Envelope, Event), AppendError> {
    let envelope = Envelope::parse(bytes).map_err(AppendError::Envelope)?;
    let event = wire::decode_event(&envelope.payload).map_err(AppendError::Decode)?;
    check_new_keys(&event)?;
    Ok((envelope, event))
}

/// Keys of small order, and bytes that are no point, never enter the registry.
fn check_new_keys(event: &Event) -> Result<(), AppendError> {
    let sound = |field: &'static str, key: &PublicKey| {
        let weak = |fault: crate::ledger::keys::KeyFault| AppendError::KeyWeak {
            field,
            rule: fault.to_string(),
        };
        StrictKey::parse(key).map(drop).map_err(weak)
    };
    match &event.body {
        Body::RegisterKey(new) => sound("register_key.public_key", &new.public_key),
        Body::Genesis(genesis) => {
            sound("genesis.ledger_public_key", &genesis.ledger_key)?;
            sound("genesis.coordinator_public_key", &genesis.coordinator_key)
        }
        _ => Ok(()),
    }
}

/// Checks the signature of an envelope that names a key.
pub(super) fn check_signature(
    envelope: &Envelope,
    key: KeyId,
    public: &PublicKey,
) -> Result<(), AppendError> {
    let refused = AppendError::Signature { key };
    let Some(signature) = envelope.signatures.iter().find(|signature| signature.key == key) else {
        return Err(refused);
    };
    let message = pae(EVENT_PAYLOAD_TYPE, &envelope.payload);
    let strict = StrictKey::parse(public).map_err(|_| refused.clone())?;
    strict.verify(&message, &signature.signature).map_err(|_| refused)
}
