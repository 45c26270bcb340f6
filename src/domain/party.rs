//! Who acts: parties, sites, keys, as the registry stands at an index.

use super::ids::{
    AffiliationId, EntryCount, EntryIndex, EventId, KeyId, LicenceId, PartyId, PublicKey, SiteId,
};
use super::units::{Grams, TimeMs, Validity};
use super::vocabulary::{AffiliationKind, LicenceKind, PartyRole};

/// A party: the record that a coordinator signed. (Licences, affiliations and keys lie in
/// [`PartyState`].)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Its id.
    pub id: PartyId,
    /// Unified Social Credit Code, 18 characters of its alphabet; the check digit is a rule of
    /// `apply`.
    pub credit_code: String,
    /// Name in Chinese.
    pub name_zh: String,
    /// Name in English.
    pub name_en: String,
    /// What it may be, and when.
    pub roles: Vec<DatedRole>,
    /// The waiver for a code that fails its check digit.
    pub credit_code_waiver: Option<EventId>,
}

/// A role for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatedRole {
    /// Which.
    pub role: PartyRole,
    /// When.
    pub validity: Validity,
}

/// A licence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Licence {
    /// Its id.
    pub id: LicenceId,
    /// Its kind.
    pub kind: LicenceKind,
    /// Its number.
    pub number: String,
    /// Hazardous-waste codes it covers, ascending.
    pub waste_codes: Vec<String>,
    /// Capacity in a calendar year; zero when not stated.
    pub yearly_capacity: Grams,
    /// When it holds.
    pub validity: Validity,
}

/// How a party belongs to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affiliation {
    /// Its id.
    pub id: AffiliationId,
    /// Its kind.
    pub kind: AffiliationKind,
    /// The group, for kinds that have one.
    pub group: Option<PartyId>,
    /// When it holds.
    pub validity: Validity,
}

/// A party with all that hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyState {
    /// The record as last amended.
    pub party: Party,
    /// Its licences, in order of registration.
    pub licences: Vec<Licence>,
    /// Its affiliations, in order of registration.
    pub affiliations: Vec<Affiliation>,
    /// Its keys, in order of registration.
    pub keys: Vec<KeyId>,
    /// Who acts for it, since when; in the order of their events, which is that of `since`.
    pub successions: Vec<Succession>,
    /// Parties that it was ever named as successor of, in the order of their events.
    pub predecessors: Vec<PartyId>,
    /// The longest chain of predecessors that leads to it.
    pub generation: u32,
    /// The entry that registered it.
    pub registered_at: EntryIndex,
}

/// A party acts for another from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Succession {
    /// Who acts; the party itself: it acts for itself again.
    pub successor: PartyId,
    /// From when on.
    pub since: TimeMs,
    /// The event that says so.
    pub event: EventId,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Whose.
    pub party: PartyId,
    /// Name in Chinese.
    pub name_zh: String,
    /// Name in English.
    pub name_en: String,
    /// Six digits of GB/T 2260.
    pub region_code: String,
    /// Urban-mine base; empty when none.
    pub base: String,
    /// Codes of the process table, ascending.
    pub processes: Vec<String>,
    /// Input capacity in a calendar year; zero when not stated.
    pub yearly_capacity: Grams,
}

/// A signing key as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// SHA-256 of the key.
    pub id: KeyId,
    /// The key.
    pub public_key: PublicKey,
    /// Whose.
    pub party: PartyId,
    /// When it may sign.
    pub validity: Validity,
    /// The entry that registered it.
    pub registered_at: EntryIndex,
    /// When and by which entry it was revoked.
    pub revoked: Option<(TimeMs, EntryIndex)>,
}

impl Party {
    /// Whether it holds a role at a time.
    pub fn has_role(&self, role: PartyRole, at: TimeMs) -> bool {
        self.roles.iter().any(|dated| dated.role == role && dated.validity.contains(at))
    }

    /// Whether everybody may read who it is: whoever coordinates, audits, regulates or analyses
    /// stands in public, also for the time before and after.
    pub fn is_public(&self) -> bool {
        self.roles.iter().any(|dated| {
            matches!(
                dated.role,
                PartyRole::Coordinator
                    | PartyRole::Auditor
                    | PartyRole::Regulator
                    | PartyRole::Laboratory
            )
        })
    }

    /// The roles it holds at a time.
    pub fn roles_at(&self, at: TimeMs) -> impl Iterator<Item = PartyRole> {
        self.roles.iter().filter(move |dated| dated.validity.contains(at)).map(|dated| dated.role)
    }
}

impl PartyState {
    /// A party that was registered just now.
    pub const fn new(party: Party, registered_at: EntryIndex) -> Self {
        Self {
            party,
            licences: Vec::new(),
            affiliations: Vec::new(),
            keys: Vec::new(),
            successions: Vec::new(),
            predecessors: Vec::new(),
            generation: 0,
            registered_at,
        }
    }

    /// The succession that tells who acts for it at a time; `None`: it acts for itself.
    pub fn succession_at(&self, at: TimeMs) -> Option<&Succession> {
        let latest = self.successions.iter().rev().find(|one| one.since <= at);
        latest.filter(|one| one.successor != self.party.id)
    }

    /// Whether it holds a licence of a kind at a time.
    pub fn has_licence(&self, kind: LicenceKind, at: TimeMs) -> bool {
        self.licences.iter().any(|held| held.kind == kind && held.validity.contains(at))
    }
}

impl KeyState {
    /// The key as it stood when the ledger had so many entries; `None` when it was not registered.
    #[must_use]
    pub fn as_of(mut self, size: EntryCount) -> Option<Self> {
        self.revoked = self.revoked.filter(|(_, by)| by.0 < size.0);
        (self.registered_at.0 < size.0).then_some(self)
    }

    /// Whether it is trusted at a time: inside its validity, and before the moment from which it is
    /// revoked. (Once a revocation is recorded, the rules take nothing more that it signs, whenever
    /// it occurred.)
    pub fn is_in_force(&self, at: TimeMs) -> bool {
        self.validity.contains(at) && self.revoked.is_none_or(|(from, _)| at < from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_force_to_the_millisecond_and_as_far_as_it_was_recorded() {
        let (from, to, revoked_at) = (1_000, 2_000, 1_500);
        let key = KeyState {
            id: KeyId([1; 32]),
            public_key: PublicKey([2; 32]),
            party: PartyId::from_bytes([3; 16]),
            validity: Validity { from: TimeMs::of(from), to: Some(TimeMs::of(to)) },
            registered_at: EntryIndex(5),
            revoked: Some((TimeMs::of(revoked_at), EntryIndex(8))),
        };
        let stood = |size, at| {
            let key = key.clone().as_of(EntryCount(size));
            key.map(|key| key.is_in_force(TimeMs::of(at)))
        };
        assert_eq!(stood(5, from), None, "registered by the entry after these");
        let before_revocation = [(from - 1, false), (from, true), (from + 1, true)];
        let at_its_end = [(to - 1, true), (to, false), (to + 1, false)];
        for (at, is_in_force) in before_revocation.into_iter().chain(at_its_end) {
            assert_eq!(stood(6, at), Some(is_in_force), "{at}");
            assert_eq!(stood(8, at), Some(is_in_force), "{at}");
        }
        for (at, is_in_force) in
            [(from, true), (revoked_at - 1, true), (revoked_at, false), (revoked_at + 1, false)]
        {
            assert_eq!(stood(9, at), Some(is_in_force), "{at}");
        }
    }
}
