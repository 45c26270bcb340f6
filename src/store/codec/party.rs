//! Parties, sites and keys.

use super::{codec_struct, codec_vocabulary};
use crate::domain::party::{
    Affiliation, DatedRole, KeyState, Licence, Party, PartyState, Site, Succession,
};
use crate::domain::vocabulary::{AffiliationKind, LicenceKind, PartyRole};
use crate::domain::waiver::WaiverState;

codec_vocabulary!(AffiliationKind, LicenceKind, PartyRole);
codec_struct!(DatedRole { role, validity });
codec_struct!(Party { id, credit_code, name_zh, name_en, roles, credit_code_waiver });
codec_struct!(Licence { id, kind, number, waste_codes, yearly_capacity, validity });
codec_struct!(Affiliation { id, kind, group, validity });
codec_struct!(Succession { successor, since, event });
codec_struct!(PartyState {
    party,
    licences,
    affiliations,
    keys,
    successions,
    predecessors,
    generation,
    registered_at,
});
codec_struct!(Site { id, party, name_zh, name_en, region_code, base, processes, yearly_capacity });
codec_struct!(KeyState { id, public_key, party, validity, registered_at, revoked });
codec_struct!(WaiverState { reason_code, subject, event, index, validity });

#[cfg(test)]
mod tests {
    use super::super::assert_round_trip;
    use super::*;
    use crate::domain::units::Validity;
    use crate::domain::{
        AffiliationId, EntryIndex, EventId, Grams, KeyId, LicenceId, PartyId, PublicKey, SiteId,
        TimeMs,
    };

    fn party(waiver: Option<EventId>) -> Party {
        let validity = Validity { from: TimeMs::of(5), to: None };
        let roles = PartyRole::ALL.iter().map(|role| DatedRole { role: *role, validity });
        Party {
            id: PartyId::from_bytes([1; 16]),
            credit_code: "91360700MA35X7QJ0K".to_owned(),
            name_zh: "赣州回收".to_owned(),
            name_en: String::new(),
            roles: roles.collect(),
            credit_code_waiver: waiver,
        }
    }

    #[test]
    fn parties_come_back() {
        let validity = Validity { from: TimeMs::of(5), to: Some(TimeMs::of(9)) };
        let licence = |kind: &LicenceKind| Licence {
            id: LicenceId::from_bytes([2; 16]),
            kind: *kind,
            number: "JX-1".to_owned(),
            waste_codes: vec!["900-044-49".to_owned()],
            yearly_capacity: Grams::of(9),
            validity,
        };
        let affiliation = |kind: &AffiliationKind| Affiliation {
            id: AffiliationId::from_bytes([3; 16]),
            kind: *kind,
            group: (*kind == AffiliationKind::Equity).then_some(PartyId::from_bytes([4; 16])),
            validity,
        };
        let full = PartyState {
            party: party(Some(EventId::from_bytes([8; 16]))),
            licences: LicenceKind::ALL.iter().map(licence).collect(),
            affiliations: AffiliationKind::ALL.iter().map(affiliation).collect(),
            keys: vec![KeyId([5; 32]), KeyId([6; 32])],
            successions: vec![Succession {
                successor: PartyId::from_bytes([7; 16]),
                since: TimeMs::of(6),
                event: EventId::from_bytes([8; 16]),
            }],
            predecessors: vec![PartyId::from_bytes([9; 16])],
            generation: 2,
            registered_at: EntryIndex(3),
        };
        assert_round_trip(&full);
        assert_round_trip(&PartyState::new(party(None), EntryIndex(1)));
    }

    #[test]
    fn waivers_come_back() {
        assert_round_trip(&WaiverState {
            reason_code: "CREDIT_CODE_INVALID".to_owned(),
            subject: "91350211M0000XUF46".to_owned(),
            event: EventId::from_bytes([1; 16]),
            index: EntryIndex(9),
            validity: Validity { from: TimeMs::of(5), to: None },
        });
    }

    #[test]
    fn sites_and_keys_come_back() {
        assert_round_trip(&Site {
            id: SiteId::from_bytes([1; 16]),
            party: PartyId::from_bytes([2; 16]),
            name_zh: "一号".to_owned(),
            name_en: "one".to_owned(),
            region_code: "360704".to_owned(),
            base: String::new(),
            processes: vec!["MELT".to_owned()],
            yearly_capacity: Grams::ZERO,
        });
        let key = KeyState {
            id: KeyId([1; 32]),
            public_key: PublicKey([2; 32]),
            party: PartyId::from_bytes([2; 16]),
            validity: Validity { from: TimeMs::of(5), to: None },
            registered_at: EntryIndex(1),
            revoked: None,
        };
        assert_round_trip(&key);
        assert_round_trip(&KeyState { revoked: Some((TimeMs::of(7), EntryIndex(8))), ..key });
    }
}
