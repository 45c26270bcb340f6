//! The numbers that explain a rejection, as the metadata of an error.

use crate::domain::credit::Month;
use crate::domain::vocabulary::{
    EventKind, InvoiceClass, LicenceKind, OriginKind, OriginKinds, Substance,
};
use crate::domain::{
    AffiliationId, CampaignId, EntryIndex, EventId, Grams, Hash32, KeyId, LicenceId, LotId, Origin,
    PartyId, Rejection, SiteId, TimeMs,
};

/// A number or name with the key under which a caller finds it.
pub type Number = (&'static str, String);

/// Makes `metadata` from one line per rejection. Every field of the variant has to be named, and is
/// its own key: a new field does not compile until it stands here.
macro_rules! numbers_of_rejections {
    ($($variant:ident { $($field:ident),* })*) => {
        /// The fields of a rejection under their own names.
        pub fn metadata(rejection: &Rejection) -> Vec<Number> {
            match rejection {
                $(Rejection::$variant { $($field),* } => {
                    vec![$((stringify!($field), $field.told())),*]
                })*
            }
        }

        /// The same as names alone, by variant.
        #[cfg(test)]
        pub const FIELDS: &[(&str, &[&str])] =
            &[$((stringify!($variant), &[$(stringify!($field)),*])),*];
    };
}

numbers_of_rejections! {
    OriginMismatch { expected, found }
    GenesisMisplaced { kind, index }
    GenesisMalformed { rule }
    EventIdConflict { event, recorded_at }
    EventAlreadyRecorded { event, recorded_at }
    CorrectiveExpected { expected, found }
    CorrectivesIncomplete { declared, following }
    TablesNotPublished { tables, next_chunk }
    CorrectiveNested { event }
    ActorUnknown { actor }
    KeyUnknown { key }
    SignerUnexpected { key, party }
    SignerMissing { party }
    KeyNotValid { key, occurred_at, from, to }
    KeyRevoked { key, revoked_at, by }
    OccurredInFuture { occurred_at, recorded_at, skew_ms }
    RoleNotHeld { party, action }
    LicenceNotHeld { party, action, needed }
    SiteUnknown { site }
    SiteNotOfParty { site, party, owner }
    PartySucceeded { party, successor, since }
    EventBeforeTarget { target, last, occurred_at }
    PartyExists { party }
    PartyUnknown { party }
    CreditCodeInvalid { code, expected }
    CreditCodeTaken { code, by }
    SiteExists { site }
    RegionUnknown { code, at }
    LicenceExists { licence }
    LicenceUnknown { licence }
    WasteCodeUnknown { code }
    AffiliationExists { affiliation }
    AffiliationUnknown { affiliation }
    KeyExists { key }
    KeyAlreadyRevoked { key, by }
    RegistryFull { what, limit }
    TableChunkUnexpected { expected, found }
    TablesInvalid { detail }
    WaiverNotPossible { reason_code }
    ValidityEmpty { valid_to, occurred_at }
    SuccessionNotPossible { party, successor, rule }
    CheckpointInvalid { detail }
    MaterialUnknown { code }
    FormUnknown { code }
    GradeUnknown { scheme, code }
    ProcessUnknown { code }
    ProcessNotAtSite { code, site }
    CampaignExists { campaign }
    CampaignUnknown { campaign }
    CampaignTakesNoMore { campaign, rule }
    CampaignElsewhere { campaign, site, event_site }
    CampaignRunning { campaign, process, site }
    LotRepeated { lot }
    LotExists { lot }
    TransferUnknown { offer }
    TransferClosed { offer }
    NotTheConsignee { offer, consignee, actor }
    NotTheSender { offer, sender, actor }
    TransferToSelf { party }
    ReceivedLotMismatch { offer, rule }
    LotUnknown { lot }
    LotRetracted { lot, by }
    LotNotHeld { lot, possessor, actor }
    LotNotOwned { lot, owner, actor }
    LotElsewhere { lot, site, event_site }
    LotOnHold { lot, hold }
    EventBeforeLot { lot, last, occurred_at }
    HoldUnknown { lot, hold }
    HoldNotYours { hold, placed_by }
    HoldIsDiscrepancy { hold }
    TooManyHolds { lot, limit }
    TransferStateMismatch { offer, status, needed }
    OreForbidden { party, lot, origin_kinds }
    SellerCertificateMissing { material }
    ManifestMissing { material, waste_code }
    PermitMissing { party, waste_code }
    ApprovalMissing { lot, from_province, to_province, asked, unused }
    MergeOwnersDiffer { lot, owner, other }
    MergeClassesDiffer { lot, group, other }
    InsufficientMass { lot, asked, available, remaining }
    WeighingMismatch { gross, tare, net }
    MassNotConserved { into, out }
    CompositionInconsistent { lot, rule, sum_e8, limit_e8 }
    AssayMissing { lot, substance }
    ElementGained { substance, into, out, uncertainty }
    OpeningStockMismatch { campaign, substance, stated, expected }
    CampaignNotAnalysed { campaign, detail }
    EventBeforeCampaign { campaign, last, occurred_at }
    TransferMassExceeded { offer, offered, grams, rule }
    StocktakeBeyondTolerance { lot, counted, booked, limit }
    HazardousExit { lot, waste_code }
    InvoiceClassMismatch { lot, bought, sold }
    TargetUnknown { target }
    TargetNotYours { target, actor }
    TargetNotCorrectable { target, kind }
    TargetCorrected { target, by }
    CorrectionBlocked { target, lot, blocking, more }
    LotRecordsFull { lot, what, limit }
    CreditInsufficient { site, substance, asked, available }
    CreditClaimed { target, site, substance, month, left, claimed }
}

/// How a field is told: the bare number, without its unit.
trait Told {
    fn told(&self) -> String;
}

macro_rules! told_as_displayed {
    ($($type:ty),+ $(,)?) => {
        $(impl Told for $type {
            fn told(&self) -> String {
                self.to_string()
            }
        })+
    };
}

told_as_displayed!(
    &'static str,
    AffiliationId,
    CampaignId,
    EntryIndex,
    EventId,
    EventKind,
    Hash32,
    InvoiceClass,
    KeyId,
    LicenceId,
    LicenceKind,
    LotId,
    Month,
    Origin,
    PartyId,
    SiteId,
    String,
    Substance,
    char,
    u32,
    u64,
    u128,
    usize,
);

impl Told for TimeMs {
    fn told(&self) -> String {
        self.get().to_string()
    }
}

impl Told for Option<TimeMs> {
    fn told(&self) -> String {
        self.map(|time| time.get().to_string()).unwrap_or_default()
    }
}

impl Told for Option<Substance> {
    fn told(&self) -> String {
        self.map(|substance| substance.name().to_owned()).unwrap_or_default()
    }
}

impl Told for Grams {
    fn told(&self) -> String {
        self.get().to_string()
    }
}

impl Told for OriginKinds {
    fn told(&self) -> String {
        self.iter().map(OriginKind::name).collect::<Vec<_>>().join(", ")
    }
}

impl Told for Vec<EventId> {
    fn told(&self) -> String {
        self.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}
