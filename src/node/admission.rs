//! The border of the write path: bytes become an [`Admitted`] event, in parallel, before the
//! writer.
//!
//! Signatures by keys that the registry knows are checked here. A key that is not known yet may be
//! registered by an event that waits before this one: its signature is left for the writer, which
//! knows.

use std::cell::LazyCell;
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::{Body, Event, Hash32, KeyId, PublicKey};
use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope, EnvelopeSignature, pae};
use crate::ledger::hash::sha256;
use crate::ledger::keys::{SIGNATURE_LEN, StrictKey, key_id};
use crate::ledger::{Check, SignerTables};
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

    /// The event, when nothing else is needed any more.
    pub(super) fn into_event(self) -> Event {
        self.event
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
    signers: &SignerTables,
    envelope_bytes: Bytes,
    key_of: impl FnMut(KeyId) -> Result<Option<PublicKey>, F>,
) -> Result<Result<Admitted, AppendError>, F> {
    match admit_all(signers, vec![envelope_bytes], key_of) {
        Ok(mut admitted) => Ok(admitted.pop().ok_or(AppendError::BatchEmpty)),
        Err((_, Refused::Error(error))) => Ok(Err(error)),
        Err((_, Refused::Fault(fault))) => Err(fault),
    }
}

/// Why an envelope is not let in.
pub(super) enum Refused<F> {
    /// It is not right.
    Error(AppendError),
    /// A key could not be looked up.
    Fault(F),
}

/// Takes envelopes apart, strictly, with all their signatures checked together. What is told is
/// what taking one after the other would meet first, with its place.
pub(super) fn admit_all<F>(
    signers: &SignerTables,
    batch: Vec<Bytes>,
    mut key_of: impl FnMut(KeyId) -> Result<Option<PublicKey>, F>,
) -> Result<Vec<Admitted>, (usize, Refused<F>)> {
    let (mut admitted, mut asked) = (Vec::with_capacity(batch.len()), Vec::new());
    let mut refused = None;
    for (position, bytes) in batch.into_iter().enumerate() {
        match take_apart(signers, bytes, position, &mut asked, &mut key_of) {
            Ok(event) => admitted.push(event),
            Err(error) => {
                refused = Some((position, error));
                break;
            }
        }
    }
    let checks = asked.iter().map(Asked::check).collect::<Vec<_>>();
    let answers = signers.check_all(&checks);
    // All that was asked stands before what was refused.
    match asked.iter().zip(answers).find(|(_, answer)| answer.is_err()) {
        Some((bad, _)) => {
            let error = AppendError::Signature { key: bad.key.id() };
            Err((bad.position, Refused::Error(error)))
        }
        None => refused.map_or(Ok(admitted), Err),
    }
}

/// As [`admit`] for each by itself, with all their signatures checked together. `key_of` is told
/// for which of them it is asked.
pub(super) fn admit_each<F>(
    signers: &SignerTables,
    envelopes: Vec<Bytes>,
    mut key_of: impl FnMut(usize, KeyId) -> Result<Option<PublicKey>, F>,
) -> Vec<Result<Admitted, Refused<F>>> {
    let mut asked = Vec::with_capacity(envelopes.len());
    let mut verdicts: Vec<Result<Admitted, Refused<F>>> = Vec::with_capacity(envelopes.len());
    for (position, bytes) in envelopes.into_iter().enumerate() {
        let key_of = |key| key_of(position, key);
        verdicts.push(take_apart(signers, bytes, position, &mut asked, key_of));
    }
    let checks = asked.iter().map(Asked::check).collect::<Vec<_>>();
    let answers = signers.check_all(&checks);
    // From the last to the first: of several bad ones of an event the first is told, and what was
    // asked stands before what was refused.
    for (bad, _) in asked.iter().zip(answers).rev().filter(|(_, answer)| answer.is_err()) {
        if let Some(verdict) = verdicts.get_mut(bad.position) {
            *verdict = Err(Refused::Error(AppendError::Signature { key: bad.key.id() }));
        }
    }
    verdicts
}

/// A signature to be checked, and where it stands in the batch.
struct Asked {
    position: usize,
    key: StrictKey,
    message: Arc<[u8]>,
    signature: [u8; SIGNATURE_LEN],
}

impl Asked {
    fn check(&self) -> Check<'_> {
        Check { key: &self.key, message: &self.message, signature: &self.signature }
    }
}

/// All but the checking of signatures: those by known keys are asked for.
fn take_apart<F>(
    signers: &SignerTables,
    envelope_bytes: Bytes,
    position: usize,
    asked: &mut Vec<Asked>,
    mut key_of: impl FnMut(KeyId) -> Result<Option<PublicKey>, F>,
) -> Result<Admitted, Refused<F>> {
    let (envelope, event) = open(&envelope_bytes).map_err(Refused::Error)?;
    let message = LazyCell::new(|| Arc::from(pae(EVENT_PAYLOAD_TYPE, &envelope.payload)));
    let mut unchecked = Vec::new();
    for EnvelopeSignature { key: id, signature } in &envelope.signatures {
        let Some(public) = key_of(*id).map_err(Refused::Fault)? else {
            unchecked.push(*id);
            continue;
        };
        let unsound = |_| Refused::Error(AppendError::Signature { key: *id });
        let key = signers.parse(&public).map_err(unsound)?;
        let message = Arc::clone(&*message);
        asked.push(Asked { position, key, message, signature: *signature });
    }
    let payload_hash = sha256(&envelope.payload);
    let signed_by = envelope.signatures.iter().map(|signature| signature.key).collect();
    drop(message);
    Ok(Admitted { envelope_bytes, envelope, event, payload_hash, signers: signed_by, unchecked })
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
