//! The openings of commitments: salts and facts that their owners chose to show to some.
//!
//! An entry holds the hash alone. What lies here can be erased, and no proof changes. Who may read
//! is asked here and nowhere else; that a fact is the committed one is checked when it comes, and
//! every reader can check it again.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::drafts::Asker;
use crate::domain::effects::View as _;
use crate::domain::{Event, EventId, Hash32, PartyId};
use crate::ledger::entry::Entry;
use crate::ledger::envelope::Envelope;
use crate::ledger::hash::sha256;
use crate::limits::{MAX_OPENING_READERS, SALT_BYTES};
use crate::store::{Cabinet, Drawer, Store, StoreFault};
use crate::wire::decode_event;

/// What a commitment hides.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    /// The event that holds the commitment.
    pub event: EventId,
    /// The commitment.
    pub commitment: Hash32,
    /// Whose it is: the party that acted in the event.
    pub deposited_by: PartyId,
    /// Who else may read it, ascending.
    pub readers: Vec<PartyId>,
    /// What makes the fact impossible to guess.
    pub salt: [u8; SALT_BYTES],
    /// The fact.
    pub fact: Vec<u8>,
}

/// Why an opening is not kept, or not found.
#[derive(Debug, thiserror::Error)]
pub enum OpeningFault {
    /// No commitment of the event is the hash of this salt and fact.
    #[error("no commitment of event {event} is {found}, the hash of this salt and fact")]
    Mismatch {
        /// The event.
        event: EventId,
        /// The hash.
        found: Hash32,
    },
    /// There is no such event, or it is not the asker's.
    #[error("no event {0} is recorded")]
    EventUnknown(EventId),
    /// There is no such opening, or it is not for the asker.
    #[error("there is no opening of commitment {commitment} of event {event}")]
    Unknown {
        /// The event.
        event: EventId,
        /// The commitment.
        commitment: Hash32,
    },
    /// The drawer, or the ledger's store.
    #[error("the store failed")]
    Store(#[from] StoreFault),
}

/// The openings of a node.
pub struct Vault {
    store: Arc<Store>,
    cabinet: Cabinet,
    /// Changes come one after the other, so that a reader is never added to an erased opening.
    changes: Mutex<()>,
}

impl Vault {
    /// Opens the drawer.
    pub fn open(store: Arc<Store>) -> Result<Self, StoreFault> {
        let cabinet = store.cabinet(Drawer::Openings)?;
        Ok(Self { store, cabinet, changes: Mutex::new(()) })
    }

    /// Keeps the opening of a commitment of an event that the asker acted in; which one, its hash
    /// says.
    pub fn deposit(
        &self,
        asker: Asker,
        event: EventId,
        salt: [u8; SALT_BYTES],
        fact: Vec<u8>,
        readers: Vec<PartyId>,
    ) -> Result<Hash32, OpeningFault> {
        let recorded = self.event(event)?.filter(|it| is_own(asker, it.actor));
        let recorded = recorded.ok_or(OpeningFault::EventUnknown(event))?;
        let commitment = commitment_of(&salt, &fact);
        if !recorded.committed().contains(&commitment) {
            return Err(OpeningFault::Mismatch { event, found: commitment });
        }
        let deposited_by = recorded.actor;
        let opening = Opening { event, commitment, deposited_by, readers, salt, fact };
        let _changing = self.changes();
        self.cabinet.put(&name_of(event, commitment), &pack(&opening))?;
        Ok(commitment)
    }

    /// An opening, for its depositor and its readers.
    pub fn read(
        &self,
        asker: Asker,
        event: EventId,
        commitment: Hash32,
    ) -> Result<Opening, OpeningFault> {
        let found = self.find(event, commitment)?.filter(|it| may_read(asker, it));
        found.ok_or(OpeningFault::Unknown { event, commitment })
    }

    /// The openings of an event that the asker may read, in the order of its commitments. An event
    /// that is not recorded has none.
    pub fn list(&self, asker: Asker, event: EventId) -> Result<Vec<Opening>, OpeningFault> {
        let mut openings = Vec::new();
        for commitment in self.event(event)?.map_or_else(Vec::new, |event| event.committed()) {
            let found = self.find(event, commitment)?;
            openings.extend(found.filter(|opening| may_read(asker, opening)));
        }
        Ok(openings)
    }

    /// Says anew who may read.
    pub fn set_readers(
        &self,
        asker: Asker,
        event: EventId,
        commitment: Hash32,
        readers: Vec<PartyId>,
    ) -> Result<(), OpeningFault> {
        let _changing = self.changes();
        let opening = self.own(asker, event, commitment)?;
        let opening = Opening { readers, ..opening };
        Ok(self.cabinet.put(&name_of(event, commitment), &pack(&opening))?)
    }

    /// Erases an opening.
    pub fn erase(
        &self,
        asker: Asker,
        event: EventId,
        commitment: Hash32,
    ) -> Result<(), OpeningFault> {
        let _changing = self.changes();
        self.own(asker, event, commitment)?;
        self.cabinet.remove(&name_of(event, commitment))?;
        Ok(())
    }

    fn own(
        &self,
        asker: Asker,
        event: EventId,
        commitment: Hash32,
    ) -> Result<Opening, OpeningFault> {
        let found = self.find(event, commitment)?.filter(|it| is_own(asker, it.deposited_by));
        found.ok_or(OpeningFault::Unknown { event, commitment })
    }

    fn find(&self, event: EventId, commitment: Hash32) -> Result<Option<Opening>, OpeningFault> {
        let content = self.cabinet.get(&name_of(event, commitment))?;
        let found = content.and_then(|content| unpack(event, commitment, &content));
        // A file that was bent on disk opens nothing, so it is not there.
        Ok(found.filter(|it| commitment_of(&it.salt, &it.fact) == commitment))
    }

    /// An event as recorded.
    fn event(&self, id: EventId) -> Result<Option<Event>, OpeningFault> {
        let Some(record) = self.store.event(id)? else { return Ok(None) };
        let entry = self.store.entry(record.index)?;
        let opened = entry.and_then(|bytes| {
            let entry = Entry::parse(&bytes).ok()?;
            let envelope = Envelope::parse(&entry.envelope).ok()?;
            decode_event(&envelope.payload).ok()
        });
        Ok(opened)
    }

    fn changes(&self) -> MutexGuard<'_, ()> {
        // There is nothing in it that a panic could leave half changed.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { event, commitment, .. } = self;
        write!(f, "Opening({event}, {commitment}, salt and fact redacted)")
    }
}

/// `SHA-256(salt, fact)`.
pub fn commitment_of(salt: &[u8; SALT_BYTES], fact: &[u8]) -> Hash32 {
    sha256(&[salt.as_slice(), fact].concat())
}

fn is_own(asker: Asker, owner: PartyId) -> bool {
    match asker {
        Asker::Party(party) => party == owner,
        Asker::Operator => true,
    }
}

fn may_read(asker: Asker, opening: &Opening) -> bool {
    let is_reader = match asker {
        Asker::Party(party) => opening.readers.contains(&party),
        Asker::Operator => true,
    };
    is_reader || is_own(asker, opening.deposited_by)
}

fn name_of(event: EventId, commitment: Hash32) -> String {
    format!("{event}-{commitment}")
}

const VERSION: u8 = 1;

/// Version 1, depositor 16, count 1, readers 16 each, salt 32, fact.
fn pack(opening: &Opening) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend(opening.deposited_by.as_bytes());
    let readers = opening.readers.get(..MAX_OPENING_READERS).unwrap_or(&opening.readers);
    out.push(u8::try_from(readers.len()).unwrap_or(0));
    out.extend(readers.iter().flat_map(|party| *party.as_bytes()));
    out.extend(opening.salt);
    out.extend(&opening.fact);
    out
}

fn unpack(event: EventId, commitment: Hash32, content: &[u8]) -> Option<Opening> {
    let (version, rest) = content.split_first()?;
    let (depositor, rest) = rest.split_first_chunk::<16>()?;
    let (count, mut rest) = rest.split_first()?;
    let mut readers = Vec::new();
    for _ in 0..*count {
        let (reader, after) = rest.split_first_chunk::<16>()?;
        readers.push(PartyId::parse(reader).ok()?);
        rest = after;
    }
    let (salt, fact) = rest.split_first_chunk::<SALT_BYTES>()?;
    let deposited_by = PartyId::parse(depositor).ok()?;
    let opening =
        Opening { event, commitment, deposited_by, readers, salt: *salt, fact: fact.to_vec() };
    (*version == VERSION).then_some(opening)
}
