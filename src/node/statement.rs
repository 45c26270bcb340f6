//! What the ledger says itself: made, and taken apart again at a replay.
//!
//! A statement is signed by the ledger key in force alone. The one that names the next key is the
//! only one that changes state; it is a commit group of its own, so that the old key signs a
//! checkpoint that ends with it.

use bytes::Bytes;

use crate::domain::apply::RotationFault;
use crate::domain::{EntryCount, EntryIndex, Hash32, Origin, PublicKey};
use crate::ledger::envelope::{EnvelopeFault, STATEMENT_PAYLOAD_TYPE, pae};
use crate::ledger::keys::{KeyFault, SigningKey, StrictKey, key_id};
use crate::ledger::{Entry, EntryKind, Envelope};
use crate::wire::statement::StatementBody;
use crate::wire::{DecodeFault, Statement, decode_statement, encode_possession, encode_statement};

/// Why a statement is not one of this ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    /// The envelope is not one.
    #[error("the envelope is malformed: {0}")]
    Envelope(EnvelopeFault),
    /// The signed bytes are not a statement.
    #[error("{0}")]
    Decode(DecodeFault),
    /// Before the genesis nobody speaks.
    #[error("there is no ledger yet that could say it")]
    NoGenesis,
    /// It names another ledger.
    #[error("it is a statement of {found}")]
    OtherOrigin {
        /// Which.
        found: Origin,
    },
    /// Not the ledger key in force, or not it alone.
    #[error("it is signed by others than the ledger key in force alone")]
    Signers,
    /// The signature does not hold.
    #[error("the ledger key's signature does not hold")]
    Signature,
    /// Correctives are expected instead.
    #[error("it stands where a declared error's correctives must")]
    Interrupts,
    /// The key that is to follow is of no use.
    #[error("the next key is not sound: {0}")]
    NextKey(KeyFault),
    /// Nobody showed to hold the key that is to follow.
    #[error("the next key did not sign that somebody holds it")]
    Possession,
    /// The rules for keys say no.
    #[error("{0}")]
    Rotation(RotationFault),
    /// It states the lots of another number of entries than those before it.
    #[error("it states the lots of {stated} entries, and stands behind {expected}")]
    LotSize {
        /// As it says.
        stated: EntryCount,
        /// Its own place.
        expected: EntryCount,
    },
    /// It states another root of the lots than the entries before it give.
    #[error("it states the lots' root {stated}, and the entries before it give {expected}")]
    LotRoot {
        /// As it says.
        stated: Hash32,
        /// As the entries give.
        expected: Hash32,
    },
    /// It fits no entry.
    #[error("it is too long for an entry")]
    TooLong,
}

/// A statement whose signature by the ledger key holds. Only [`check`] makes one.
#[derive(Debug, Clone)]
pub struct Checked {
    body: StatementBody,
}

impl Checked {
    /// What it says.
    pub fn body(&self) -> &StatementBody {
        &self.body
    }
}

/// The statement that names the next key, signed by both: the ledger says it, and the next key
/// shows that somebody holds it.
pub fn rotation(origin: &Origin, old: &SigningKey, next: &SigningKey) -> Bytes {
    let next_key = next.public_key();
    let unproven = encode_possession(origin, &next_key);
    let possession = next.sign(&pae(STATEMENT_PAYLOAD_TYPE, &unproven));
    sign(origin, StatementBody::LedgerKeyRotation { next_key, possession }, old)
}

/// The statement that the service began again, by this software.
pub fn note(origin: &Origin, key: &SigningKey) -> Bytes {
    let software = concat!("urbanmine ", env!("CARGO_PKG_VERSION")).to_owned();
    sign(origin, StatementBody::RestartNote { software }, key)
}

/// The statement of the map of lot states over all entries before the one that says it.
pub fn lots(origin: &Origin, key: &SigningKey, at: EntryIndex, root: Hash32) -> Bytes {
    sign(origin, StatementBody::LotStateRoot { size: EntryCount(at.0), root }, key)
}

/// Whether an envelope states the lots, as it says: nothing of it is checked.
pub fn states_lots(envelope: &Bytes) -> bool {
    lots_root_of(envelope).is_some()
}

/// The root of the lots that an entry states, as it says: nothing of it is checked.
pub fn lots_root(entry: &Bytes) -> Option<Hash32> {
    let entry = Entry::parse(entry).ok().filter(|entry| entry.kind == EntryKind::Statement)?;
    lots_root_of(&entry.envelope)
}

fn lots_root_of(envelope: &Bytes) -> Option<Hash32> {
    let envelope = Envelope::parse(envelope).ok()?;
    match decode_statement(&envelope.payload).ok()?.body {
        StatementBody::LotStateRoot { root, .. } => Some(root),
        StatementBody::LedgerKeyRotation { .. } | StatementBody::RestartNote { .. } => None,
    }
}

/// A stated root is that of the entries before it, all of them.
pub fn check_lots(
    stated: EntryCount,
    at: EntryIndex,
    root: Hash32,
    expected: Hash32,
) -> Result<(), StatementFault> {
    if stated.0 != at.0 {
        return Err(StatementFault::LotSize { stated, expected: EntryCount(at.0) });
    }
    if root != expected {
        return Err(StatementFault::LotRoot { stated: root, expected });
    }
    Ok(())
}

fn sign(origin: &Origin, body: StatementBody, key: &SigningKey) -> Bytes {
    let payload = encode_statement(&Statement { origin: origin.clone(), body });
    Envelope::sign(STATEMENT_PAYLOAD_TYPE, payload.into(), &[key]).encode()
}

/// Takes a statement apart, strictly, under the name and key in force.
pub fn check(
    envelope: &Bytes,
    origin: &Origin,
    ledger_key: &PublicKey,
) -> Result<Checked, StatementFault> {
    let envelope = Envelope::parse(envelope).map_err(StatementFault::Envelope)?;
    let [signature] = envelope.signatures.as_slice() else { return Err(StatementFault::Signers) };
    if signature.key != key_id(ledger_key) {
        return Err(StatementFault::Signers);
    }
    let strict = StrictKey::parse(ledger_key).map_err(|_| StatementFault::Signature)?;
    strict
        .verify(&pae(STATEMENT_PAYLOAD_TYPE, &envelope.payload), &signature.signature)
        .map_err(|_| StatementFault::Signature)?;
    let statement = decode_statement(&envelope.payload).map_err(StatementFault::Decode)?;
    if statement.origin != *origin {
        return Err(StatementFault::OtherOrigin { found: statement.origin });
    }
    if let StatementBody::LedgerKeyRotation { next_key, possession } = &statement.body {
        let next = StrictKey::parse(next_key).map_err(StatementFault::NextKey)?;
        let unproven = encode_possession(origin, next_key);
        next.verify(&pae(STATEMENT_PAYLOAD_TYPE, &unproven), possession)
            .map_err(|_| StatementFault::Possession)?;
    }
    Ok(Checked { body: statement.body })
}

/// The next key that an entry names, as it says: nothing of it is checked. For finding out which
/// key a journal asks for, before it is replayed.
pub fn named_key(entry: &Bytes) -> Option<PublicKey> {
    let entry = Entry::parse(entry).ok().filter(|entry| entry.kind == EntryKind::Statement)?;
    let envelope = Envelope::parse(&entry.envelope).ok()?;
    match decode_statement(&envelope.payload).ok()?.body {
        StatementBody::LedgerKeyRotation { next_key, .. } => Some(next_key),
        StatementBody::LotStateRoot { .. } | StatementBody::RestartNote { .. } => None,
    }
}
