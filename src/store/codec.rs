//! How the state of the domain is spelled in the database. Private to this machine: a rebuild makes it anew.
//!
//! Every struct is its fields in order, every list its u32 length and items, every enum its stable number.
//! Reading is strict: what is left over, missing or unknown is a fault, never a guess.

use crate::domain::effects::LedgerState;
use crate::domain::event::{GradeRef, LotDraw};
use crate::domain::lot::{
    Content, Contents, Delta, EventRecord, Hold, Life, Lot, Standing, Transfer, TransferStatus,
};
use crate::domain::movement::{Birth, Movement};
use crate::domain::party::{Affiliation, DatedRole, KeyState, Licence, Party, PartyState, Site};
use crate::domain::units::{Grams, TimeMs, Validity};
use crate::domain::vocabulary::{
    AffiliationKind, CustodyModel, EventKind, HoldReason, InvoiceClass, LicenceKind, OriginKinds,
    PartyRole, Substance, TransferScope,
};
use crate::domain::{
    AffiliationId, EntryIndex, EventId, Hash32, KeyId, LicenceId, LotId, Origin, PartyId,
    PublicKey, SiteId,
};
use crate::ledger::hash::ChainValue;

/// What does not parse.
pub type Fault = &'static str;

/// Something that the database keeps.
pub trait Stored: Sized {
    /// Adds its bytes.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes it off the front of some bytes.
    fn take(rest: &mut &[u8]) -> Result<Self, Fault>;
}

/// The bytes of a value.
pub fn to_bytes(value: &impl Stored) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    value.put(&mut out);
    out
}

/// The value of some bytes, all of them.
pub fn from_bytes<T: Stored>(mut bytes: &[u8]) -> Result<T, Fault> {
    let value = T::take(&mut bytes)?;
    if bytes.is_empty() { Ok(value) } else { Err("bytes are left over") }
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or("bytes are missing")?;
    *rest = tail;
    Ok(*head)
}

macro_rules! stored_numbers {
    ($($type:ty),+) => { $(
        impl Stored for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend(self.to_be_bytes());
            }
            fn take(rest: &mut &[u8]) -> Result<Self, Fault> {
                Ok(Self::from_be_bytes(take_array(rest)?))
            }
        }
    )+ };
}

/// Through another type: how to get it, how to make the value of it.
macro_rules! stored_through {
    ($($type:ty: $inner:ty, $out:expr, $back:expr;)+) => { $(
        impl Stored for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let inner: $inner = ($out)(self);
                inner.put(out);
            }
            fn take(rest: &mut &[u8]) -> Result<Self, Fault> {
                let back: fn($inner) -> Result<Self, Fault> = $back;
                back(<$inner>::take(rest)?)
            }
        }
    )+ };
}

macro_rules! stored_ids {
    ($($type:ident),+) => {
        stored_through! { $(
            $type: [u8; 16], |id: &$type| *id.as_bytes(), |raw| Ok($type::from_bytes(raw));
        )+ }
    };
}

macro_rules! stored_words {
    ($($type:ident),+) => {
        stored_through! { $(
            $type: u8, |word: &$type| word.number(),
                |number| $type::from_number(number.into()).ok_or("a word is unknown");
        )+ }
    };
}

macro_rules! stored_structs {
    ($($type:ident { $($field:ident),+ $(,)? })+) => { $(
        impl Stored for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)+
            }
            fn take(rest: &mut &[u8]) -> Result<Self, Fault> {
                Ok(Self { $($field: Stored::take(rest)?,)+ })
            }
        }
    )+ };
}

impl<const N: usize> Stored for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self);
    }
    fn take(rest: &mut &[u8]) -> Result<Self, Fault> {
        take_array(rest)
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        // Every list of the domain is bounded by limits.rs, far below 2^32.
        u32::try_from(self.len()).unwrap_or(u32::MAX).put(out);
        for item in self {
            item.put(out);
        }
    }
    fn take(rest: &mut &[u8]) -> Result<Self, Fault> {
        let count = u32::take(rest)? as usize;
        if count > rest.len() {
            return Err("a list is longer than its bytes");
        }
        (0..count).map(|_| T::take(rest)).collect()
    }
}

impl<T: Stored> Stored for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        u8::from(self.is_some()).put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(rest: &mut &[u8]) -> Result<Self, Fault> {
        match u8::take(rest)? {
            0 => Ok(None),
            1 => T::take(rest).map(Some),
            _ => Err("an option is 0 or 1"),
        }
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(rest: &mut &[u8]) -> Result<Self, Fault> {
        Ok((A::take(rest)?, B::take(rest)?))
    }
}

impl<A: Stored, B: Stored, C: Stored> Stored for (A, B, C) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }
    fn take(rest: &mut &[u8]) -> Result<Self, Fault> {
        Ok((A::take(rest)?, B::take(rest)?, C::take(rest)?))
    }
}

stored_numbers!(u8, u16, u32, u64);
stored_ids!(EventId, LotId, PartyId, SiteId, LicenceId, AffiliationId);
stored_words!(
    AffiliationKind,
    CustodyModel,
    EventKind,
    HoldReason,
    InvoiceClass,
    LicenceKind,
    PartyRole,
    Substance,
    TransferScope
);
stored_through! {
    bool: u8, |it: &bool| u8::from(*it), |it| match it {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err("a truth is 0 or 1"),
    };
    usize: u64, |it: &usize| *it as u64, |it| usize::try_from(it).map_err(|_| "too large");
    String: Vec<u8>, |it: &String| it.as_bytes().to_vec(),
        |it| String::from_utf8(it).map_err(|_| "a text is not UTF-8");
    Origin: String, |it: &Origin| it.as_str().to_owned(),
        |it| Origin::parse(&it).map_err(|_| "not an origin");
    EntryIndex: u64, |it: &EntryIndex| it.0, |it| Ok(EntryIndex(it));
    KeyId: [u8; 32], |it: &KeyId| it.0, |it| Ok(KeyId(it));
    PublicKey: [u8; 32], |it: &PublicKey| it.0, |it| Ok(PublicKey(it));
    Hash32: [u8; 32], |it: &Hash32| it.0, |it| Ok(Hash32(it));
    ChainValue: [u8; 32], |it: &ChainValue| it.0, |it| Ok(ChainValue(it));
    Grams: u64, |it: &Grams| it.get(), |it| Ok(Grams::of(it));
    TimeMs: u64, |it: &TimeMs| it.get(), |it| Ok(TimeMs::of(it));
    OriginKinds: u16, |it: &OriginKinds| it.bits(), |it| Ok(OriginKinds::from_bits(it));
    TransferStatus: u8, |it: &TransferStatus| match it {
        TransferStatus::Open => 1,
        TransferStatus::Accepted => 2,
        TransferStatus::Discrepant => 3,
        TransferStatus::Rejected => 4,
        TransferStatus::Cancelled => 5,
        TransferStatus::Retracted => 6,
    }, |it| match it {
        1 => Ok(TransferStatus::Open),
        2 => Ok(TransferStatus::Accepted),
        3 => Ok(TransferStatus::Discrepant),
        4 => Ok(TransferStatus::Rejected),
        5 => Ok(TransferStatus::Cancelled),
        6 => Ok(TransferStatus::Retracted),
        _ => Err("a status is unknown"),
    };
}
stored_structs! {
    Validity { from, to }
    DatedRole { role, validity }
    Party { id, credit_code, name_zh, name_en, roles, credit_code_waiver }
    Licence { id, kind, number, waste_codes, yearly_capacity, validity }
    Affiliation { id, kind, group, validity }
    PartyState { party, licences, affiliations, keys, registered_at }
    Site { id, party, name_zh, name_en, region_code, base, processes, yearly_capacity }
    KeyState { id, public_key, party, validity, registered_at, revoked }
    GradeRef { scheme, code }
    LotDraw { lot, mass }
    Content { substance, contained, uncertainty }
    Contents { of_mass, items }
    Hold { event, reason, placed_by }
    Life { count, last }
    Standing { lot, owner, possessor, site, invoice_class, moved_at, loss }
    Lot {
        id, material, form, origin_kinds, custody_model, grades, owner, possessor, site,
        origin_region, invoice_class, born_at, born_by, born_occurred_at, moved_at, initial_mass,
        remaining, reserved, contents, assayed_by, holds, retracted_by, last_occurred_at, life,
    }
    Transfer {
        offer, lot, mass, is_whole_lot, sender, consignee, consignee_site, scope, invoice_class,
        offered_at, occurred_at, status,
    }
    EventRecord {
        id, index, payload_hash, kind, actor, occurred_at, deltas, corrected_by,
    }
    Birth { lot, mass, contents }
    Movement { index, event, kind, draws, births, output_count, uptake, loss, assay }
    LedgerState {
        origin, ledger_key, rules_version, tables_hash, are_tables_published, publishing,
        expected_correctives, corrected_occurred_at,
    }
}

impl Stored for Delta {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Born(lot, mass) => (1_u8, *lot, *mass).put(out),
            Self::Drawn(lot, mass) => (2_u8, *lot, *mass).put(out),
            Self::Assayed(lot, before, assay) => {
                (3_u8, *lot, *assay).put(out);
                before.put(out);
            }
            Self::Offered(offer) => (4_u8, *offer).put(out),
            Self::AcceptedPart(offer) => (5_u8, *offer).put(out),
            Self::AcceptedWhole(offer, before) => (6_u8, *offer, *before).put(out),
            Self::Closed(offer) => (7_u8, *offer).put(out),
            Self::Held(lot, hold) => (8_u8, *lot, *hold).put(out),
            Self::Released(lot, hold) => (9_u8, *lot, *hold).put(out),
        }
    }

    fn take(rest: &mut &[u8]) -> Result<Self, Fault> {
        Ok(match u8::take(rest)? {
            1 => Self::Born(Stored::take(rest)?, Stored::take(rest)?),
            2 => Self::Drawn(Stored::take(rest)?, Stored::take(rest)?),
            3 => {
                let (lot, assay) = Stored::take(rest)?;
                Self::Assayed(lot, Stored::take(rest)?, assay)
            }
            4 => Self::Offered(Stored::take(rest)?),
            5 => Self::AcceptedPart(Stored::take(rest)?),
            6 => Self::AcceptedWhole(Stored::take(rest)?, Stored::take(rest)?),
            7 => Self::Closed(Stored::take(rest)?),
            8 => Self::Held(Stored::take(rest)?, Stored::take(rest)?),
            9 => Self::Released(Stored::take(rest)?, Stored::take(rest)?),
            _ => return Err("a delta is unknown"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lot() -> Lot {
        let party = PartyId::from_bytes([3; 16]);
        Lot {
            id: LotId::from_bytes([1; 16]),
            material: "CU_SCRAP_NO2".to_owned(),
            form: "CABLE".to_owned(),
            origin_kinds: OriginKinds::from_bits(0b110),
            custody_model: CustodyModel::Segregated,
            grades: vec![GradeRef { scheme: "ReMA".to_owned(), code: "Birch".to_owned() }],
            owner: party,
            possessor: party,
            site: SiteId::from_bytes([4; 16]),
            origin_region: "360704".to_owned(),
            invoice_class: Some(InvoiceClass::Reverse),
            born_at: EntryIndex(9),
            born_by: EventId::from_bytes([5; 16]),
            born_occurred_at: TimeMs::of(10),
            moved_at: EntryIndex(11),
            initial_mass: Grams::of(12),
            remaining: Grams::of(7),
            reserved: Grams::of(2),
            contents: Contents {
                of_mass: Grams::of(12),
                items: vec![Content {
                    substance: Substance::Cu,
                    contained: Grams::of(11),
                    uncertainty: Grams::of(1),
                }],
            },
            assayed_by: Some(EventId::from_bytes([6; 16])),
            holds: vec![Hold {
                event: EventId::from_bytes([7; 16]),
                reason: None,
                placed_by: party,
            }],
            retracted_by: None,
            last_occurred_at: TimeMs::of(13),
            life: Life { count: 4, last: EntryIndex(14) },
        }
    }

    #[test]
    fn a_lot_reads_back_and_nothing_else_does() {
        let bytes = to_bytes(&lot());
        assert_eq!(from_bytes::<Lot>(&bytes), Ok(lot()));
        for cut in 0..bytes.len() {
            assert!(from_bytes::<Lot>(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let longer = [bytes, vec![0]].concat();
        assert_eq!(from_bytes::<Lot>(&longer), Err("bytes are left over"));
    }

    #[test]
    fn every_delta_reads_back() {
        let (lot, event) = (LotId::from_bytes([1; 16]), EventId::from_bytes([2; 16]));
        let hold = Hold {
            event,
            reason: Some(HoldReason::Dispute),
            placed_by: PartyId::from_bytes([3; 16]),
        };
        let before = Standing {
            lot,
            owner: hold.placed_by,
            possessor: hold.placed_by,
            site: SiteId::from_bytes([4; 16]),
            invoice_class: None,
            moved_at: EntryIndex(5),
            loss: Grams::of(6),
        };
        let deltas = vec![
            Delta::Born(lot, Grams::of(1)),
            Delta::Drawn(lot, Grams::of(2)),
            Delta::Assayed(lot, self::lot().contents, Some(event)),
            Delta::Offered(event),
            Delta::AcceptedPart(event),
            Delta::AcceptedWhole(event, before),
            Delta::Closed(event),
            Delta::Held(lot, event),
            Delta::Released(lot, hold),
        ];
        assert_eq!(from_bytes::<Vec<Delta>>(&to_bytes(&deltas)), Ok(deltas));
    }
}
