//! Signers that are seen often: their keys parsed once, their tables built once.
//!
//! Few signers sign almost everything. What is kept of them is bounded, and decides nothing: a
//! signature gets the answer of [`StrictKey::verify`] with a table and without. A signer is named
//! by the 32 bytes of its key, so whatever becomes of a registry, nothing here is out of date.
//!
//! Who is kept: only signatures that hold count, so without its private half nobody makes a key
//! look busy. Counts are halved as time goes on. A signer comes in place of the least seen of a few
//! that have no table; a table goes from one signer to another only when the other was seen twice
//! as often and more. So ten thousand signers who come by once move nobody who comes every day, and
//! as many who come equally often do not make tables go back and forth.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::keys::{BadSignature, KeyFault, SIGNATURE_LEN, StrictKey};
use super::signer_table::{SignerTable, TableCheck, hold};
use crate::domain::PublicKey;
use crate::limits::{
    MAX_KNOWN_SIGNERS, MAX_SIGNER_TABLES, SIGNER_PROBES, SIGNERS_AGE_AFTER, TABLE_AFTER_SIGNATURES,
};

/// A signature to be checked.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// The key that it is said to be by.
    pub key: &'a StrictKey,
    /// What was signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8; SIGNATURE_LEN],
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignerBounds {
    /// Parsed keys.
    pub signers: usize,
    /// Tables, among them.
    pub tables: usize,
}

impl Default for SignerBounds {
    fn default() -> Self {
        Self { signers: MAX_KNOWN_SIGNERS, tables: MAX_SIGNER_TABLES }
    }
}

/// The signers of a ledger, as far as they are seen often. Shared by threads.
#[derive(Debug, Default)]
pub struct SignerTables {
    crowd: RwLock<Crowd>,
}

impl SignerTables {
    /// Knows nobody yet.
    pub fn new(bounds: SignerBounds) -> Self {
        Self { crowd: RwLock::new(Crowd { bounds, ..Crowd::default() }) }
    }

    /// [`StrictKey::parse`], without its work where the key is known.
    pub fn parse(&self, key: &PublicKey) -> Result<StrictKey, KeyFault> {
        match self.find(key) {
            Some(signer) => Ok(signer.key.clone()),
            None => StrictKey::parse(key),
        }
    }

    /// [`StrictKey::verify`], with a table where there is one.
    pub fn check(&self, check: Check<'_>) -> Result<(), BadSignature> {
        self.check_all(&[check]).pop().unwrap_or(Err(BadSignature { key: check.key.id() }))
    }

    /// [`StrictKey::verify`] of each, in their order. Each is decided by itself.
    pub fn check_all(&self, checks: &[Check<'_>]) -> Vec<Result<(), BadSignature>> {
        let keys: Vec<PublicKey> = checks.iter().map(|check| check.key.public_key()).collect();
        let mut order: Vec<usize> = (0..checks.len()).collect();
        order.sort_by_key(|place| keys.get(*place));
        let mut told: Vec<Told> = Vec::new();
        for &place in &order {
            let (Some(check), Some(key)) = (checks.get(place), keys.get(place)) else { continue };
            match told.last_mut().filter(|last| last.public == *key) {
                Some(last) => last.places.push(place),
                None => told.push(Told {
                    public: *key,
                    key: check.key,
                    signer: self.find(key),
                    places: vec![place],
                    held: 0,
                }),
            }
        }
        let mut answers: Vec<_> =
            checks.iter().map(|check| Err(BadSignature { key: check.key.id() })).collect();
        // Who signed many of these and has no table gets one by the first of them, for the others.
        let mut others: Vec<Told<'_>> = told.iter_mut().filter_map(Told::beyond_a_table).collect();
        decide(checks, &mut told, &mut answers);
        self.note(&told);
        if !others.is_empty() {
            for it in &mut others {
                it.signer = self.find(&it.public);
            }
            decide(checks, &mut others, &mut answers);
            self.note(&others);
        }
        answers
    }

    /// How many keys are known.
    pub fn signer_count(&self) -> usize {
        self.read(|crowd| crowd.places.len())
    }

    /// How many of them have tables.
    pub fn table_count(&self) -> usize {
        self.read(|crowd| crowd.with_table.len())
    }

    /// Whether a signer has a table.
    pub fn has_table(&self, key: &PublicKey) -> bool {
        self.find(key).is_some_and(|signer| signer.table.get().is_some())
    }

    /// Counts what held, and builds the tables that are due. Others go on without them meanwhile.
    fn note(&self, told: &[Told<'_>]) {
        if told.iter().all(|it| it.held == 0) {
            return;
        }
        let due: Vec<Arc<Signer>> = {
            let mut crowd = self.crowd.write().unwrap_or_else(PoisonError::into_inner);
            let held = told.iter().filter(|it| it.held > 0);
            held.filter_map(|it| crowd.saw(&it.public, it.key, it.held)).collect()
        };
        for signer in due {
            let _ = signer.table.set(SignerTable::of(&signer.key));
        }
    }

    fn find(&self, key: &PublicKey) -> Option<Arc<Signer>> {
        self.read(|crowd| crowd.find(key).map(|slot| Arc::clone(&slot.signer)))
    }

    fn read<T>(&self, of: impl FnOnce(&Crowd) -> T) -> T {
        // Nothing in here panics half way.
        of(&self.crowd.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one signer is said to have signed.
struct Told<'a> {
    public: PublicKey,
    key: &'a StrictKey,
    signer: Option<Arc<Signer>>,
    /// Where it stands among the checks.
    places: Vec<usize>,
    /// How many hold.
    held: u32,
}

impl Told<'_> {
    fn table(&self) -> Option<&SignerTable> {
        self.signer.as_ref().and_then(|signer| signer.table.get())
    }

    /// Splits off what comes after the signatures that pay for a table, where there is none.
    fn beyond_a_table(&mut self) -> Option<Self> {
        let enough = TABLE_AFTER_SIGNATURES as usize;
        if self.table().is_some() || self.places.len() <= enough {
            return None;
        }
        let places = self.places.split_off(enough);
        Some(Self { public: self.public, key: self.key, signer: None, places, held: 0 })
    }
}

fn decide(checks: &[Check<'_>], told: &mut [Told<'_>], answers: &mut [Result<(), BadSignature>]) {
    let (mut by_table, mut owners) = (Vec::new(), Vec::new());
    let mut holding: Vec<(usize, usize)> = Vec::new();
    for (owner, it) in told.iter().enumerate() {
        let table = it.table();
        for &place in &it.places {
            let Some(Check { key, message, signature }) = checks.get(place) else { continue };
            match table {
                Some(table) => {
                    by_table.push(TableCheck { table, message, signature });
                    owners.push((owner, place));
                }
                None if key.verify(message, signature).is_ok() => holding.push((owner, place)),
                None => {}
            }
        }
    }
    let answered = hold(&by_table);
    holding.extend(owners.iter().zip(answered).filter(|(_, holds)| *holds).map(|(it, _)| *it));
    for (owner, place) in holding {
        if let (Some(it), Some(answer)) = (told.get_mut(owner), answers.get_mut(place)) {
            it.held = it.held.saturating_add(1);
            *answer = Ok(());
        }
    }
}

struct Signer {
    key: StrictKey,
    table: OnceLock<SignerTable>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({}, table: {})", self.key.id(), self.table.get().is_some())
    }
}

impl Signer {
    fn of(key: &StrictKey) -> Arc<Self> {
        Arc::new(Self { key: key.clone(), table: OnceLock::new() })
    }
}

/// Who is known.
#[derive(Debug, Default)]
struct Crowd {
    bounds: SignerBounds,
    places: BTreeMap<PublicKey, usize>,
    slots: Vec<Slot>,
    /// Where the next search for somebody seldom seen begins.
    hand: usize,
    /// The slots whose signers have tables, or are about to.
    with_table: Vec<usize>,
    table_hand: usize,
    /// Since counts were halved.
    seen: u64,
}

#[derive(Debug)]
struct Slot {
    public: PublicKey,
    signer: Arc<Signer>,
    seen: u32,
    has_table: bool,
}

impl Crowd {
    fn find(&self, key: &PublicKey) -> Option<&Slot> {
        self.places.get(key).and_then(|place| self.slots.get(*place))
    }

    /// So many signatures of a signer held. Gives it back when its table is to be built.
    fn saw(&mut self, public: &PublicKey, key: &StrictKey, times: u32) -> Option<Arc<Signer>> {
        self.seen = self.seen.saturating_add(u64::from(times));
        if self.seen >= SIGNERS_AGE_AFTER {
            self.seen = 0;
            self.slots.iter_mut().for_each(|slot| slot.seen /= 2);
        }
        let place = match self.places.get(public) {
            Some(place) => *place,
            None => self.admit(public, key)?,
        };
        let slot = self.slots.get_mut(place)?;
        slot.seen = slot.seen.saturating_add(times);
        if slot.has_table || slot.seen < TABLE_AFTER_SIGNATURES {
            return None;
        }
        let seen = slot.seen;
        self.make_room_for_table(seen)?;
        self.with_table.push(place);
        let slot = self.slots.get_mut(place)?;
        slot.has_table = true;
        Some(Arc::clone(&slot.signer))
    }

    /// A place for a new signer; `None` where nobody makes room.
    fn admit(&mut self, public: &PublicKey, key: &StrictKey) -> Option<usize> {
        let new = Slot { public: *public, signer: Signer::of(key), seen: 0, has_table: false };
        let place = self.slots.len();
        if place < self.bounds.signers {
            self.slots.push(new);
            self.places.insert(*public, place);
            return Some(place);
        }
        let probed = (0..SIGNER_PROBES.min(place)).map(|step| (self.hand + step) % place);
        let without = probed.filter_map(|at| Some((at, self.slots.get(at)?)));
        let least = without.filter(|(_, slot)| !slot.has_table).min_by_key(|(_, slot)| slot.seen);
        let least = least.map(|(at, _)| at);
        self.hand = (self.hand + SIGNER_PROBES) % place.max(1);
        let place = least?;
        let slot = self.slots.get_mut(place)?;
        self.places.remove(&slot.public);
        self.places.insert(*public, place);
        *slot = new;
        Some(place)
    }

    /// Takes a table from a signer that is seen much less; `None` where all are needed more.
    fn make_room_for_table(&mut self, seen: u32) -> Option<()> {
        let count = self.with_table.len();
        if count < self.bounds.tables {
            return Some(());
        }
        let probed = (0..SIGNER_PROBES.min(count)).map(|step| (self.table_hand + step) % count);
        let holders = probed.filter_map(|at| {
            let slot = self.slots.get(*self.with_table.get(at)?)?;
            Some((at, slot.seen))
        });
        let least = holders.min_by_key(|(_, seen)| *seen);
        self.table_hand = (self.table_hand + SIGNER_PROBES) % count.max(1);
        let (at, least_seen) = least?;
        if seen < least_seen.saturating_mul(2).saturating_add(TABLE_AFTER_SIGNATURES) {
            return None;
        }
        let slot = self.slots.get_mut(self.with_table.swap_remove(at))?;
        slot.signer = Signer::of(&slot.signer.key);
        slot.has_table = false;
        Some(())
    }
}
