//! What the ledger itself says: entry kind 1. Same canonical rules as an event.

use bytes::Bytes;
use prost::Message as _;

use super::canonical::MessageName;
use super::event::fields::Fields;
use super::event::{DecodeFault, decode_canonical, finish};
use super::v1;
use crate::domain::{EntryCount, Hash32, Origin, PublicKey};
use crate::limits::MAX_SHORT_TEXT_BYTES;

/// A statement of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The ledger that says it.
    pub origin: Origin,
    /// What it says.
    pub body: StatementBody,
}

/// What the ledger says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementBody {
    /// Root of a map from each lot to the number of its entries and the last of them.
    LotStateRoot {
        /// Over how many entries: those before the statement.
        size: EntryCount,
        /// The root.
        root: Hash32,
    },
    /// The ledger key that follows.
    LedgerKeyRotation {
        /// The next key.
        next_key: PublicKey,
        /// The next key's signature over the same statement with this field absent.
        possession: [u8; 64],
    },
    /// The service started again.
    RestartNote {
        /// Name and version.
        software: String,
    },
}

/// Reads a statement.
pub fn decode_statement(bytes: &[u8]) -> Result<Statement, DecodeFault> {
    let message: v1::Statement = decode_canonical(MessageName::Statement, bytes)?;
    let mut fields = Fields::default();
    let statement = read_statement(&mut fields, &message);
    finish(fields, statement)
}

/// Writes a statement's canonical bytes.
pub fn encode_statement(statement: &Statement) -> Vec<u8> {
    use v1::statement::Body as B;
    let body = match &statement.body {
        StatementBody::LotStateRoot { size, root } => B::LotStateRoot(v1::LotStateRoot {
            tree_size: size.0,
            root: Bytes::copy_from_slice(root.as_bytes()),
        }),
        StatementBody::LedgerKeyRotation { next_key, possession } => {
            B::LedgerKeyRotation(v1::LedgerKeyRotation {
                next_public_key: Bytes::copy_from_slice(next_key.as_bytes()),
                possession_signature: Bytes::copy_from_slice(possession),
            })
        }
        StatementBody::RestartNote { software } => {
            B::RestartNote(v1::RestartNote { software: software.clone() })
        }
    };
    let origin = statement.origin.as_str().to_owned();
    v1::Statement { origin, body: Some(body) }.encode_to_vec()
}

/// What the next key signs to show that somebody holds it: the rotation statement without its
/// `possession_signature`.
pub fn encode_possession(origin: &Origin, next_key: &PublicKey) -> Vec<u8> {
    let rotation = v1::LedgerKeyRotation {
        next_public_key: Bytes::copy_from_slice(next_key.as_bytes()),
        possession_signature: Bytes::new(),
    };
    let body = Some(v1::statement::Body::LedgerKeyRotation(rotation));
    v1::Statement { origin: origin.as_str().to_owned(), body }.encode_to_vec()
}

fn read_statement(fields: &mut Fields, statement: &v1::Statement) -> Option<Statement> {
    use v1::statement::Body as B;
    let origin = fields.origin("origin", &statement.origin);
    let body = match statement.body.as_ref() {
        // The canonical check admitted exactly one body.
        None => fields.message("body", None::<&()>, |_, ()| None),
        Some(B::LotStateRoot(one)) => fields.message("lot_state_root", Some(one), |f, one| {
            let root = f.bytes32("root", &one.root).map(Hash32);
            Some(StatementBody::LotStateRoot { size: EntryCount(one.tree_size), root: root? })
        }),
        Some(B::LedgerKeyRotation(one)) => {
            fields.message("ledger_key_rotation", Some(one), key_rotation)
        }
        Some(B::RestartNote(one)) => fields.message("restart_note", Some(one), |f, one| {
            let software = f.text("software", &one.software, (0, MAX_SHORT_TEXT_BYTES));
            Some(StatementBody::RestartNote { software: software? })
        }),
    };
    Some(Statement { origin: origin?, body: body? })
}

fn key_rotation(fields: &mut Fields, rotation: &v1::LedgerKeyRotation) -> Option<StatementBody> {
    let next_key = fields.bytes32("next_public_key", &rotation.next_public_key).map(PublicKey);
    let found = rotation.possession_signature.len();
    let possession = <[u8; 64]>::try_from(rotation.possession_signature.as_ref()).ok();
    let rule = "has exactly 64 bytes";
    fields.require(possession.is_some(), "possession_signature", rule, found);
    Some(StatementBody::LedgerKeyRotation { next_key: next_key?, possession: possession? })
}
