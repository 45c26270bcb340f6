//! Why the rules refuse an event. In order of precedence: a refusal names the first rule that is
//! broken.
//!
//! Numbers are public, stable and never reused (`docs/REASONS.md`); 1 to 99 belong to the border
//! (bytes, envelope, fields), 900 and up to the service. A rejection carries the numbers that
//! explain it.

use super::credit::Month;
use super::ids::{
    AffiliationId, CampaignId, EntryIndex, EventId, Hash32, KeyId, LicenceId, LotId, Origin,
    PartyId, SiteId,
};
use super::units::{Grams, TimeMs};
use super::vocabulary::{EventKind, InvoiceClass, LicenceKind, OriginKinds, Substance};

/// Why the rules refuse an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message beside each variant says what each field is")]
pub enum Rejection {
    // --- ledger ---
    #[error("the event is meant for ledger {found}, this is {expected}")]
    OriginMismatch { expected: Origin, found: Origin },
    #[error("entry 0, and no other, is the genesis; entry {index} would be {kind}")]
    GenesisMisplaced { kind: EventKind, index: EntryIndex },
    #[error("the genesis is not sound: {rule}")]
    GenesisMalformed { rule: &'static str },
    #[error("event {event} is recorded as entry {recorded_at} with other bytes")]
    EventIdConflict { event: EventId, recorded_at: EntryIndex },
    #[error("event {event} is recorded as entry {recorded_at}")]
    EventAlreadyRecorded { event: EventId, recorded_at: EntryIndex },
    #[error("a declared error announced {expected} here, with its payload hash; this is {found}")]
    CorrectiveExpected { expected: EventId, found: EventId },
    #[error("{declared} correctives are declared, and {following} new events follow in the batch")]
    CorrectivesIncomplete { declared: usize, following: usize },
    #[error("the table set {tables} of the genesis is published first; chunk {next_chunk} is next")]
    TablesNotPublished { tables: Hash32, next_chunk: u32 },
    #[error(
        "event {event} follows a declared error as its corrective, and declares an error itself"
    )]
    CorrectiveNested { event: EventId },
    // --- who ---
    #[error("no party {actor} is registered")]
    ActorUnknown { actor: PartyId },
    #[error("no key {key} is registered")]
    KeyUnknown { key: KeyId },
    #[error("key {key} of party {party} signs, and this event does not need it")]
    SignerUnexpected { key: KeyId, party: PartyId },
    #[error("party {party} has to sign, and did not")]
    SignerMissing { party: PartyId },
    #[error(
        "key {key} is valid from {f} ms (inside) to {t} (outside), the event occurred at {o} ms",
        f = .from.get(), t = end(*.to), o = .occurred_at.get()
    )]
    KeyNotValid { key: KeyId, occurred_at: TimeMs, from: TimeMs, to: Option<TimeMs> },
    #[error("key {key} was revoked by entry {by} as of {r} ms", r = .revoked_at.get())]
    KeyRevoked { key: KeyId, revoked_at: TimeMs, by: EntryIndex },
    #[error(
        "occurred at {o} ms, which is more than {skew_ms} ms after the ledger's clock, {rec} ms",
        o = .occurred_at.get(), rec = .recorded_at.get()
    )]
    OccurredInFuture { occurred_at: TimeMs, recorded_at: TimeMs, skew_ms: u64 },
    #[error("party {party} holds no role that may {action} at the time of the event")]
    RoleNotHeld { party: PartyId, action: &'static str },
    #[error("party {party} needs a {needed} licence, valid at the time of the event, to {action}")]
    LicenceNotHeld { party: PartyId, action: &'static str, needed: LicenceKind },
    #[error("no site {site} is registered")]
    SiteUnknown { site: SiteId },
    #[error("site {site} belongs to party {owner}, not to {party}")]
    SiteNotOfParty { site: SiteId, party: PartyId, owner: PartyId },
    #[error(
        "party {successor} acts for party {party} in what occurs from {s} ms on",
        s = .since.get()
    )]
    PartySucceeded { party: PartyId, successor: PartyId, since: TimeMs },
    #[error(
        "event {target} occurred at {l} ms, and this one, at {o} ms, would undo it earlier",
        l = .last.get(), o = .occurred_at.get()
    )]
    EventBeforeTarget { target: EventId, last: TimeMs, occurred_at: TimeMs },
    // --- registry ---
    #[error("party {party} is registered already")]
    PartyExists { party: PartyId },
    #[error("no party {party} is registered")]
    PartyUnknown { party: PartyId },
    #[error("credit code {code} fails GB 32100: its last character would have to be {expected}")]
    CreditCodeInvalid { code: String, expected: char },
    #[error("credit code {code} belongs to party {by}")]
    CreditCodeTaken { code: String, by: PartyId },
    #[error("site {site} is registered already")]
    SiteExists { site: SiteId },
    #[error("region code {code} is not in GB/T 2260 as of {a} ms", a = .at.get())]
    RegionUnknown { code: String, at: TimeMs },
    #[error("licence {licence} is recorded already")]
    LicenceExists { licence: LicenceId },
    #[error("the party has no licence {licence}")]
    LicenceUnknown { licence: LicenceId },
    #[error("waste code {code} is not in the table")]
    WasteCodeUnknown { code: String },
    #[error("affiliation {affiliation} is recorded already")]
    AffiliationExists { affiliation: AffiliationId },
    #[error("the party has no affiliation {affiliation}")]
    AffiliationUnknown { affiliation: AffiliationId },
    #[error("key {key} is registered already")]
    KeyExists { key: KeyId },
    #[error("key {key} was revoked by entry {by}")]
    KeyAlreadyRevoked { key: KeyId, by: EntryIndex },
    #[error("one party has at most {limit} {what}")]
    RegistryFull { what: &'static str, limit: usize },
    #[error("chunk {expected} of the table set is next, not {found}")]
    TableChunkUnexpected { expected: u32, found: u32 },
    #[error("the table set is not sound: {detail}")]
    TablesInvalid { detail: String },
    #[error("rule {reason_code} is never waived")]
    WaiverNotPossible { reason_code: String },
    #[error(
        "it would end at {t} ms, and the event that begins it occurred at {o} ms",
        t = .valid_to.get(), o = .occurred_at.get()
    )]
    ValidityEmpty { valid_to: TimeMs, occurred_at: TimeMs },
    #[error("party {successor} cannot succeed party {party}: {rule}")]
    SuccessionNotPossible { party: PartyId, successor: PartyId, rule: &'static str },
    #[error("the checkpoint is not one of this ledger up to here: {detail}")]
    CheckpointInvalid { detail: String },
    // --- codes and lots ---
    #[error("material {code} is not in the table at the time of the event")]
    MaterialUnknown { code: String },
    #[error("form {code} is not in the table")]
    FormUnknown { code: String },
    #[error("grade {code} of scheme {scheme} is not in the table")]
    GradeUnknown { scheme: String, code: String },
    #[error("process {code} is not in the table at the time of the event")]
    ProcessUnknown { code: String },
    #[error("process {code} is not registered for site {site}")]
    ProcessNotAtSite { code: String, site: SiteId },
    #[error("campaign {campaign} exists already; ids are never reused")]
    CampaignExists { campaign: CampaignId },
    #[error("no campaign {campaign} is recorded")]
    CampaignUnknown { campaign: CampaignId },
    #[error("campaign {campaign} takes no more of this: {rule}")]
    CampaignTakesNoMore { campaign: CampaignId, rule: &'static str },
    #[error("campaign {campaign} is at site {site}, not at {event_site}")]
    CampaignElsewhere { campaign: CampaignId, site: SiteId, event_site: SiteId },
    #[error("process {process} runs at site {site} as campaign {campaign}, which is not closed")]
    CampaignRunning { campaign: CampaignId, process: String, site: SiteId },
    #[error("lot {lot} is named twice in one event")]
    LotRepeated { lot: LotId },
    #[error("lot {lot} exists already; ids are never reused")]
    LotExists { lot: LotId },
    #[error("no transfer was offered by event {offer}")]
    TransferUnknown { offer: EventId },
    #[error("transfer {offer} is not open any more")]
    TransferClosed { offer: EventId },
    #[error("transfer {offer} is for party {consignee}, not for {actor}")]
    NotTheConsignee { offer: EventId, consignee: PartyId, actor: PartyId },
    #[error("transfer {offer} is party {sender}'s, not {actor}'s")]
    NotTheSender { offer: EventId, sender: PartyId, actor: PartyId },
    #[error("party {party} cannot offer to itself")]
    TransferToSelf { party: PartyId },
    #[error("transfer {offer}: {rule}")]
    ReceivedLotMismatch { offer: EventId, rule: &'static str },
    #[error("no lot {lot} is recorded")]
    LotUnknown { lot: LotId },
    #[error("the birth of lot {lot} was declared an error by event {by}")]
    LotRetracted { lot: LotId, by: EventId },
    #[error("lot {lot} is in the hands of party {possessor}, not of {actor}")]
    LotNotHeld { lot: LotId, possessor: PartyId, actor: PartyId },
    #[error("lot {lot} is the property of party {owner}, not of {actor}")]
    LotNotOwned { lot: LotId, owner: PartyId, actor: PartyId },
    #[error("lot {lot} is at site {site}, not at {event_site}")]
    LotElsewhere { lot: LotId, site: SiteId, event_site: SiteId },
    #[error("lot {lot} is on hold by event {hold}")]
    LotOnHold { lot: LotId, hold: EventId },
    #[error(
        "the event occurred at {o} ms, before the last event of lot {lot}, {l} ms",
        o = .occurred_at.get(), l = .last.get()
    )]
    EventBeforeLot { lot: LotId, last: TimeMs, occurred_at: TimeMs },
    #[error("lot {lot} has no hold by event {hold}")]
    HoldUnknown { lot: LotId, hold: EventId },
    #[error("hold {hold} was placed by party {placed_by}; that party or a coordinator ends it")]
    HoldNotYours { hold: EventId, placed_by: PartyId },
    #[error("hold {hold} stands for a discrepancy and ends when both parties settle it")]
    HoldIsDiscrepancy { hold: EventId },
    #[error("lot {lot} has {limit} holds already, the most that it can have")]
    TooManyHolds { lot: LotId, limit: usize },
    #[error("transfer {offer} is {status}, and would have to be {needed}")]
    TransferStateMismatch { offer: EventId, status: &'static str, needed: &'static str },
    // --- metal ---
    #[error(
        "party {party} may not hold or use ore, primary rare earths or ore products; \
         lot {lot} is of {kinds}",
        kinds = kinds(*.origin_kinds)
    )]
    OreForbidden { party: PartyId, lot: LotId, origin_kinds: OriginKinds },
    #[error("{material} is productive scrap metal: the seller's certificate number is needed")]
    SellerCertificateMissing { material: String },
    #[error("{material} is hazardous waste {waste_code}: a manifest is needed")]
    ManifestMissing { material: String, waste_code: String },
    #[error(
        "party {party} has no hazardous-waste licence that covers {waste_code} at the time of the \
         event"
    )]
    PermitMissing { party: PartyId, waste_code: String },
    #[error(
        "hazardous lot {lot} would go from province {from_province} to {to_province}: an approval \
         of {asked} comes first, {unused} are approved"
    )]
    ApprovalMissing {
        lot: LotId,
        from_province: String,
        to_province: String,
        asked: Grams,
        unused: Grams,
    },
    #[error("lot {lot} is the property of party {owner}, the others of {other}")]
    MergeOwnersDiffer { lot: LotId, owner: PartyId, other: PartyId },
    #[error("lot {lot} is of merge group {group}, the others of {other}")]
    MergeClassesDiffer { lot: LotId, group: String, other: String },
    #[error("{asked} are asked of lot {lot}; {available} of its {remaining} are available")]
    InsufficientMass { lot: LotId, asked: Grams, available: Grams, remaining: Grams },
    #[error("net {net} is not gross {gross} less tare {tare}")]
    WeighingMismatch { gross: Grams, tare: Grams, net: Grams },
    #[error("{into} g go in and {out} g come out; every gram is declared, losses included")]
    MassNotConserved { into: u128, out: u128 },
    #[error("composition of lot {lot}: {rule} ({sum_e8} against {limit_e8}, in 1e-8 parts)")]
    CompositionInconsistent { lot: LotId, rule: &'static str, sum_e8: u128, limit_e8: u128 },
    #[error("lot {lot} has no assay of {substance}, which this process balances")]
    AssayMissing { lot: LotId, substance: Substance },
    #[error(
        "{out} g of {substance} come out of {into} g that went in, and the uncertainties add up to \
         {uncertainty} g"
    )]
    ElementGained { substance: Substance, into: u128, out: u128, uncertainty: u128 },
    #[error(
        "campaign {campaign} is said to begin with {stated}{of}; the one before it left {expected}",
        of = of(*.substance)
    )]
    OpeningStockMismatch {
        campaign: CampaignId,
        substance: Option<Substance>,
        stated: Grams,
        expected: Grams,
    },
    #[error("campaign {campaign}: {detail}")]
    CampaignNotAnalysed { campaign: CampaignId, detail: String },
    #[error(
        "occurred at {o} ms, before the last event of campaign {campaign} at {l} ms",
        o = .occurred_at.get(), l = .last.get()
    )]
    EventBeforeCampaign { campaign: CampaignId, last: TimeMs, occurred_at: TimeMs },
    #[error("{offered} were offered by transfer {offer}: {rule}, not {grams}")]
    TransferMassExceeded { offer: EventId, offered: Grams, grams: Grams, rule: &'static str },
    #[error(
        "{counted} were counted in lot {lot}, {booked} are booked; without an approval its \
         stocktakes may find at most {limit} more, and at most {limit} less, in all"
    )]
    StocktakeBeyondTolerance { lot: LotId, counted: Grams, booked: Grams, limit: Grams },
    #[error(
        "lot {lot} is hazardous waste {waste_code}: it is transferred with a manifest or disposed \
         of, and does not leave the ledger by a sale"
    )]
    HazardousExit { lot: LotId, waste_code: String },
    #[error(
        "lot {lot} was bought on {bought} and is sold on {sold}: the table says that they do not \
         match"
    )]
    InvoiceClassMismatch { lot: LotId, bought: InvoiceClass, sold: InvoiceClass },
    // --- corrections ---
    #[error("no event {target} is recorded")]
    TargetUnknown { target: EventId },
    #[error("event {target} is party {actor}'s")]
    TargetNotYours { target: EventId, actor: PartyId },
    #[error("events of kind {kind} are not undone; amend the record instead")]
    TargetNotCorrectable { target: EventId, kind: EventKind },
    #[error("event {target} was declared an error by event {by}")]
    TargetCorrected { target: EventId, by: EventId },
    #[error(
        "what event {target} did to lot or campaign {lot} was used since; in the way: {list}{rest}",
        list = list(.blocking), rest = rest(*.more)
    )]
    CorrectionBlocked { target: EventId, lot: LotId, blocking: Vec<EventId>, more: usize },
    // --- what is kept on a lot ---
    #[error("lot {lot} has {limit} {what} in force, the most that it can have")]
    LotRecordsFull { lot: LotId, what: &'static str, limit: usize },
    // --- credits ---
    #[error(
        "{asked} of {substance} are claimed of site {site}; in these months {available} were \
         earned and not claimed"
    )]
    CreditInsufficient { site: SiteId, substance: Substance, asked: Grams, available: u128 },
    #[error(
        "without event {target} site {site} would have earned {left} of {substance} in {month}, \
         and it claimed {claimed}"
    )]
    CreditClaimed {
        target: EventId,
        site: SiteId,
        substance: Substance,
        month: Month,
        left: Grams,
        claimed: Grams,
    },
}

impl Rejection {
    /// Every reason in order of precedence, with its public number.
    pub const ALL: &'static [(u16, &'static str)] = &[
        (100, "ORIGIN_MISMATCH"),
        (102, "GENESIS_MISPLACED"),
        (103, "GENESIS_MALFORMED"),
        (104, "EVENT_ID_CONFLICT"),
        (105, "EVENT_ALREADY_RECORDED"),
        (106, "CORRECTIVE_EXPECTED"),
        (107, "CORRECTIVES_INCOMPLETE"),
        (108, "TABLES_NOT_PUBLISHED"),
        (109, "CORRECTIVE_NESTED"),
        (110, "ACTOR_UNKNOWN"),
        (111, "KEY_UNKNOWN"),
        (112, "SIGNER_UNEXPECTED"),
        (113, "SIGNER_MISSING"),
        (114, "KEY_NOT_VALID"),
        (115, "KEY_REVOKED"),
        (116, "OCCURRED_IN_FUTURE"),
        (117, "ROLE_NOT_HELD"),
        (118, "LICENCE_NOT_HELD"),
        (119, "SITE_UNKNOWN"),
        (120, "SITE_NOT_OF_PARTY"),
        (121, "PARTY_SUCCEEDED"),
        (129, "EVENT_BEFORE_TARGET"),
        (130, "PARTY_EXISTS"),
        (131, "PARTY_UNKNOWN"),
        (132, "CREDIT_CODE_INVALID"),
        (133, "CREDIT_CODE_TAKEN"),
        (134, "SITE_EXISTS"),
        (135, "REGION_UNKNOWN"),
        (136, "LICENCE_EXISTS"),
        (137, "LICENCE_UNKNOWN"),
        (138, "WASTE_CODE_UNKNOWN"),
        (139, "AFFILIATION_EXISTS"),
        (140, "AFFILIATION_UNKNOWN"),
        (141, "KEY_EXISTS"),
        (142, "KEY_ALREADY_REVOKED"),
        (143, "REGISTRY_FULL"),
        (144, "TABLE_CHUNK_UNEXPECTED"),
        (145, "TABLES_INVALID"),
        (146, "WAIVER_NOT_POSSIBLE"),
        (147, "VALIDITY_EMPTY"),
        (148, "SUCCESSION_NOT_POSSIBLE"),
        (149, "CHECKPOINT_INVALID"),
        (150, "MATERIAL_UNKNOWN"),
        (151, "FORM_UNKNOWN"),
        (152, "GRADE_UNKNOWN"),
        (153, "PROCESS_UNKNOWN"),
        (154, "PROCESS_NOT_AT_SITE"),
        (155, "CAMPAIGN_EXISTS"),
        (156, "CAMPAIGN_UNKNOWN"),
        (157, "CAMPAIGN_TAKES_NO_MORE"),
        (158, "CAMPAIGN_ELSEWHERE"),
        (159, "CAMPAIGN_RUNNING"),
        (160, "LOT_REPEATED"),
        (161, "LOT_EXISTS"),
        (162, "TRANSFER_UNKNOWN"),
        (163, "TRANSFER_CLOSED"),
        (164, "NOT_THE_CONSIGNEE"),
        (165, "NOT_THE_SENDER"),
        (166, "TRANSFER_TO_SELF"),
        (167, "RECEIVED_LOT_MISMATCH"),
        (168, "LOT_UNKNOWN"),
        (169, "LOT_RETRACTED"),
        (170, "LOT_NOT_HELD"),
        (171, "LOT_NOT_OWNED"),
        (172, "LOT_ELSEWHERE"),
        (173, "LOT_ON_HOLD"),
        (174, "EVENT_BEFORE_LOT"),
        (175, "HOLD_UNKNOWN"),
        (176, "HOLD_NOT_YOURS"),
        (177, "HOLD_IS_DISCREPANCY"),
        (178, "TOO_MANY_HOLDS"),
        (179, "TRANSFER_STATE_MISMATCH"),
        (180, "ORE_FORBIDDEN"),
        (181, "SELLER_CERTIFICATE_MISSING"),
        (182, "MANIFEST_MISSING"),
        (183, "PERMIT_MISSING"),
        (184, "APPROVAL_MISSING"),
        (185, "MERGE_OWNERS_DIFFER"),
        (186, "MERGE_CLASSES_DIFFER"),
        (187, "INSUFFICIENT_MASS"),
        (188, "WEIGHING_MISMATCH"),
        (189, "MASS_NOT_CONSERVED"),
        (190, "COMPOSITION_INCONSISTENT"),
        (191, "ASSAY_MISSING"),
        (192, "ELEMENT_GAINED"),
        (193, "OPENING_STOCK_MISMATCH"),
        (194, "CAMPAIGN_NOT_ANALYSED"),
        (195, "EVENT_BEFORE_CAMPAIGN"),
        (196, "TRANSFER_MASS_EXCEEDED"),
        (197, "STOCKTAKE_BEYOND_TOLERANCE"),
        (198, "HAZARDOUS_EXIT"),
        (199, "INVOICE_CLASS_MISMATCH"),
        (200, "TARGET_UNKNOWN"),
        (201, "TARGET_NOT_YOURS"),
        (202, "TARGET_NOT_CORRECTABLE"),
        (203, "TARGET_CORRECTED"),
        (204, "CORRECTION_BLOCKED"),
        (207, "LOT_RECORDS_FULL"),
        (208, "CREDIT_INSUFFICIENT"),
        (209, "CREDIT_CLAIMED"),
    ];

    /// The public number.
    #[expect(clippy::too_many_lines, reason = "a line for each")]
    pub const fn number(&self) -> u16 {
        match self {
            Self::OriginMismatch { .. } => 100,
            Self::GenesisMisplaced { .. } => 102,
            Self::GenesisMalformed { .. } => 103,
            Self::EventIdConflict { .. } => 104,
            Self::EventAlreadyRecorded { .. } => 105,
            Self::CorrectiveExpected { .. } => 106,
            Self::CorrectivesIncomplete { .. } => 107,
            Self::TablesNotPublished { .. } => 108,
            Self::CorrectiveNested { .. } => 109,
            Self::ActorUnknown { .. } => 110,
            Self::KeyUnknown { .. } => 111,
            Self::SignerUnexpected { .. } => 112,
            Self::SignerMissing { .. } => 113,
            Self::KeyNotValid { .. } => 114,
            Self::KeyRevoked { .. } => 115,
            Self::OccurredInFuture { .. } => 116,
            Self::RoleNotHeld { .. } => 117,
            Self::LicenceNotHeld { .. } => 118,
            Self::SiteUnknown { .. } => 119,
            Self::SiteNotOfParty { .. } => 120,
            Self::PartySucceeded { .. } => 121,
            Self::EventBeforeTarget { .. } => 129,
            Self::PartyExists { .. } => 130,
            Self::PartyUnknown { .. } => 131,
            Self::CreditCodeInvalid { .. } => 132,
            Self::CreditCodeTaken { .. } => 133,
            Self::SiteExists { .. } => 134,
            Self::RegionUnknown { .. } => 135,
            Self::LicenceExists { .. } => 136,
            Self::LicenceUnknown { .. } => 137,
            Self::WasteCodeUnknown { .. } => 138,
            Self::AffiliationExists { .. } => 139,
            Self::AffiliationUnknown { .. } => 140,
            Self::KeyExists { .. } => 141,
            Self::KeyAlreadyRevoked { .. } => 142,
            Self::RegistryFull { .. } => 143,
            Self::TableChunkUnexpected { .. } => 144,
            Self::TablesInvalid { .. } => 145,
            Self::WaiverNotPossible { .. } => 146,
            Self::ValidityEmpty { .. } => 147,
            Self::SuccessionNotPossible { .. } => 148,
            Self::CheckpointInvalid { .. } => 149,
            Self::MaterialUnknown { .. } => 150,
            Self::FormUnknown { .. } => 151,
            Self::GradeUnknown { .. } => 152,
            Self::ProcessUnknown { .. } => 153,
            Self::ProcessNotAtSite { .. } => 154,
            Self::CampaignExists { .. } => 155,
            Self::CampaignUnknown { .. } => 156,
            Self::CampaignTakesNoMore { .. } => 157,
            Self::CampaignElsewhere { .. } => 158,
            Self::CampaignRunning { .. } => 159,
            Self::LotRepeated { .. } => 160,
            Self::LotExists { .. } => 161,
            Self::TransferUnknown { .. } => 162,
            Self::TransferClosed { .. } => 163,
            Self::NotTheConsignee { .. } => 164,
            Self::NotTheSender { .. } => 165,
            Self::TransferToSelf { .. } => 166,
            Self::ReceivedLotMismatch { .. } => 167,
            Self::LotUnknown { .. } => 168,
            Self::LotRetracted { .. } => 169,
            Self::LotNotHeld { .. } => 170,
            Self::LotNotOwned { .. } => 171,
            Self::LotElsewhere { .. } => 172,
            Self::LotOnHold { .. } => 173,
            Self::EventBeforeLot { .. } => 174,
            Self::HoldUnknown { .. } => 175,
            Self::HoldNotYours { .. } => 176,
            Self::HoldIsDiscrepancy { .. } => 177,
            Self::TooManyHolds { .. } => 178,
            Self::TransferStateMismatch { .. } => 179,
            Self::OreForbidden { .. } => 180,
            Self::SellerCertificateMissing { .. } => 181,
            Self::ManifestMissing { .. } => 182,
            Self::PermitMissing { .. } => 183,
            Self::ApprovalMissing { .. } => 184,
            Self::MergeOwnersDiffer { .. } => 185,
            Self::MergeClassesDiffer { .. } => 186,
            Self::InsufficientMass { .. } => 187,
            Self::WeighingMismatch { .. } => 188,
            Self::MassNotConserved { .. } => 189,
            Self::CompositionInconsistent { .. } => 190,
            Self::AssayMissing { .. } => 191,
            Self::ElementGained { .. } => 192,
            Self::OpeningStockMismatch { .. } => 193,
            Self::CampaignNotAnalysed { .. } => 194,
            Self::EventBeforeCampaign { .. } => 195,
            Self::TransferMassExceeded { .. } => 196,
            Self::StocktakeBeyondTolerance { .. } => 197,
            Self::HazardousExit { .. } => 198,
            Self::InvoiceClassMismatch { .. } => 199,
            Self::TargetUnknown { .. } => 200,
            Self::TargetNotYours { .. } => 201,
            Self::TargetNotCorrectable { .. } => 202,
            Self::TargetCorrected { .. } => 203,
            Self::CorrectionBlocked { .. } => 204,
            Self::LotRecordsFull { .. } => 207,
            Self::CreditInsufficient { .. } => 208,
            Self::CreditClaimed { .. } => 209,
        }
    }

    /// The stable name, as in the proto.
    pub fn reason(&self) -> &'static str {
        let number = self.number();
        Self::ALL.iter().find(|(known, _)| *known == number).map_or("UNKNOWN", |(_, name)| name)
    }
}

fn end(to: Option<TimeMs>) -> String {
    to.map_or_else(|| "no end".to_owned(), |to| format!("{} ms", to.get()))
}

fn of(substance: Option<Substance>) -> String {
    substance.map_or_else(String::new, |substance| format!(" of {substance}"))
}

fn kinds(kinds: OriginKinds) -> String {
    kinds.iter().map(super::vocabulary::OriginKind::name).collect::<Vec<_>>().join(", ")
}

fn list(events: &[EventId]) -> String {
    events.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn rest(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" and {more} more") }
}
