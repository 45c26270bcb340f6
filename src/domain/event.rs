//! An event after the border: every field present, in range and of its type.

use super::credit::Month;
use super::ids::{
    AffiliationId, CampaignId, EventId, Hash32, KeyId, LicenceId, LotId, Origin, PartyId,
    PublicKey, SiteId,
};
use super::party::{Affiliation, Licence, Party, Site};
use super::units::{FractionE8, Grams, OffsetMin, TimeMs, Validity};
use super::vocabulary::{
    AssayBasis, AttestResult, BuyerKind, CommitmentKind, CustodyModel, DocumentKind, ErrorKind,
    EventKind, HoldReason, InvoiceClass, LossKind, OriginKind, SellerKind, Substance,
    TransferReason, TransferScope, UptakeKind,
};

/// One thing that happened, said by the party that did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The client's id, never reused.
    pub id: EventId,
    /// The ledger it is meant for.
    pub origin: Origin,
    /// Who acts, and signs.
    pub actor: PartyId,
    /// Where it happened; present for everything done to a lot.
    pub site: Option<SiteId>,
    /// When, as the actor says.
    pub occurred_at: TimeMs,
    /// The actor's wall clock.
    pub occurred_at_offset: OffsetMin,
    /// Papers outside the ledger.
    pub documents: Vec<Document>,
    /// Private facts.
    pub commitments: Vec<Commitment>,
    /// The actor's own number.
    pub external_ref: String,
    /// What happened.
    pub body: Body,
}

/// A paper outside the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its kind.
    pub kind: DocumentKind,
    /// Its number.
    pub number: String,
    /// Hash of the file, when there is one.
    pub sha256: Option<Hash32>,
}

/// A private fact as a salted hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// What it hides.
    pub kind: CommitmentKind,
    /// The salted hash.
    pub sha256: Hash32,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The first entry.
    Genesis(Genesis),
    /// A party enters the registry.
    RegisterParty(Party),
    /// A party's record is replaced.
    AmendParty(Party),
    /// A site enters the registry.
    RegisterSite(Site),
    /// A site's record is replaced.
    AmendSite(Site),
    /// A licence is recorded: of which party, and what.
    RegisterLicence(PartyId, Licence),
    /// A licence's record is replaced.
    AmendLicence(PartyId, Licence),
    /// An affiliation is recorded.
    RegisterAffiliation(PartyId, Affiliation),
    /// An affiliation's record is replaced.
    AmendAffiliation(PartyId, Affiliation),
    /// A signing key is recorded.
    RegisterKey(RegisterKey),
    /// A signing key is no longer trusted.
    RevokeKey(RevokeKey),
    /// A chunk of a table set.
    PublishTables(PublishTables),
    /// Stock on the first day.
    OpeningInventory(OpeningInventory),
    /// A rule does not hold for a subject.
    Waiver(Waiver),
    /// An authority lets grams of a lot go from one party to another.
    Approval(Approval),
    /// A party may see a lot and what is behind it.
    VisibilityGrant(VisibilityGrant),
    /// A party acts for another from now on.
    SucceedParty(SucceedParty),
    /// Scrap comes in.
    CollectLot(Box<CollectLot>),
    /// An analysis.
    AssayLot(AssayLot),
    /// A lot is divided.
    SplitLot(SplitLot),
    /// Lots become one.
    MergeLots(Box<MergeLots>),
    /// Lots are made into others.
    TransformLots(Box<TransformLots>),
    /// A continuous process begins a period.
    OpenCampaign(OpenCampaign),
    /// Lots go into it.
    ChargeCampaign(ChargeCampaign),
    /// Lots come out of it.
    DrawCampaign(DrawCampaign),
    /// The period ends and is balanced.
    CloseCampaign(CloseCampaign),
    /// Grams are offered to another party.
    OfferTransfer(OfferTransfer),
    /// The consignee takes over.
    AcceptTransfer(AcceptTransfer),
    /// The consignee refuses.
    RejectTransfer(CloseTransfer),
    /// The sender withdraws.
    CancelTransfer(CloseTransfer),
    /// The consignee takes over a part, and refuses the rest.
    PartlyAcceptTransfer(PartlyAcceptTransfer),
    /// The consignee offers grams back to the sender.
    ReturnTransfer(ReturnTransfer),
    /// Both parties agree on what arrived.
    SettleDiscrepancy(SettleDiscrepancy),
    /// A lot is stopped.
    HoldLot(HoldLot),
    /// A hold ends.
    ReleaseLot(ReleaseLot),
    /// Grams go to whoever disposes of them.
    DisposeResidue(DisposeResidue),
    /// A lot is counted.
    Stocktake(Stocktake),
    /// Grams leave the ledger for good.
    ExitLot(ExitLot),
    /// An event is undone.
    DeclareError(DeclareError),
    /// Somebody looked, and says what was found.
    Attest(Attest),
    /// Somebody has seen an anomaly.
    AcknowledgeAnomaly(AcknowledgeAnomaly),
    /// Recycled content is claimed.
    ClaimCredit(ClaimCredit),
}

/// The first entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The key that signs checkpoints.
    pub ledger_key: PublicKey,
    /// The table set that judges.
    pub tables_hash: Hash32,
    /// The rules that judge.
    pub rules_version: u16,
    /// The first coordinator.
    pub coordinator: Party,
    /// Its key.
    pub coordinator_key: PublicKey,
    /// What is known of a ledger that this one follows.
    pub previous_checkpoint: String,
}

/// A signing key of a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterKey {
    /// Whose.
    pub party: PartyId,
    /// The key.
    pub public_key: PublicKey,
    /// When it may sign.
    pub validity: Validity,
}

/// A key is no longer trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeKey {
    /// Which.
    pub key: KeyId,
    /// From when.
    pub revoked_at: TimeMs,
    /// Why.
    pub reason: String,
}

/// A chunk of a table set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishTables {
    /// Hash of the whole set.
    pub tables_hash: Hash32,
    /// Which chunk, from 0.
    pub chunk_index: u32,
    /// Of how many.
    pub chunk_count: u32,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Stock on the first day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningInventory {
    /// Whose.
    pub party: PartyId,
    /// What; each with an origin kind.
    pub lots: Vec<NewLot>,
}

/// A rule does not hold for a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The reason that the rule refuses with.
    pub reason_code: String,
    /// What it is waived for: an id as text, a credit code.
    pub subject: String,
    /// First moment at which it holds again; `None`: without end.
    pub valid_to: Option<TimeMs>,
}

/// An authority lets grams of a lot go from one party to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Of which lot.
    pub lot: LotId,
    /// From whom.
    pub from: PartyId,
    /// To whom; the same as `from` for a stocktake.
    pub to: PartyId,
    /// How much, more than zero.
    pub mass: Grams,
    /// The authority's number.
    pub number: String,
    /// First moment at which it is void; `None`: without end.
    pub valid_to: Option<TimeMs>,
}

/// A party may see a lot and what is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisibilityGrant {
    /// Which lot.
    pub lot: LotId,
    /// Who.
    pub reader: PartyId,
    /// How many steps back, at least one.
    pub depth: u32,
    /// First moment at which it is void; `None`: without end.
    pub valid_to: Option<TimeMs>,
}

/// A party acts for another from the occurrence of the event on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SucceedParty {
    /// Who acts no more.
    pub party: PartyId,
    /// Who acts; the party itself: it acts for itself again.
    pub successor: PartyId,
}

/// A lot that comes into being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLot {
    /// Its id.
    pub id: LotId,
    /// Code of the material table.
    pub material: String,
    /// Code of the form table.
    pub form: String,
    /// Present exactly when the lot enters the ledger.
    pub origin_kind: Option<OriginKind>,
    /// More than zero.
    pub net_mass: Grams,
    /// How custody is modelled.
    pub custody_model: CustodyModel,
    /// References to grades.
    pub grades: Vec<GradeRef>,
    /// What the actor declares to be in it.
    pub composition: Option<Composition>,
}

/// A grade of a scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GradeRef {
    /// The scheme.
    pub scheme: String,
    /// The code in it.
    pub code: String,
}

/// What is in a lot, as analysed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composition {
    /// Ascending by substance, each once, not empty.
    pub values: Vec<AssayValue>,
    /// Water per gram as received.
    pub moisture: FractionE8,
    /// Total rare-earth oxide or metal per gram dried; zero when no value needs it.
    pub total: FractionE8,
    /// Uncertainty of the total.
    pub total_uncertainty: FractionE8,
    /// How it was measured.
    pub method: String,
    /// By whom, when by a registered laboratory.
    pub laboratory: Option<PartyId>,
    /// Sample or report number.
    pub sample: String,
}

/// One measured value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssayValue {
    /// Of what.
    pub substance: Substance,
    /// Per what.
    pub basis: AssayBasis,
    /// How much.
    pub fraction: FractionE8,
    /// Give or take.
    pub uncertainty: FractionE8,
}

/// Grams taken from a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LotDraw {
    /// Which lot.
    pub lot: LotId,
    /// How much, more than zero.
    pub mass: Grams,
}

/// One pass over a weighbridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighing {
    /// With the vehicle.
    pub gross: Grams,
    /// The vehicle.
    pub tare: Grams,
    /// The load.
    pub net: Grams,
    /// Number of the ticket.
    pub ticket: String,
}

/// Hazardous-waste transfer manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// 14 digits.
    pub number: String,
    /// Who drives.
    pub carrier: Option<PartyId>,
    /// In what.
    pub vehicle: String,
}

/// Scrap comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectLot {
    /// The lot; with an origin kind.
    pub lot: NewLot,
    /// From whom.
    pub seller_kind: SellerKind,
    /// Salted hash of who.
    pub seller_commitment: Hash32,
    /// The seller's certificate; empty when none.
    pub seller_certificate: String,
    /// On which scales.
    pub weighing: Weighing,
    /// Where it arose.
    pub origin_region: String,
    /// Paid how.
    pub invoice_class: InvoiceClass,
    /// For hazardous waste.
    pub manifest: Option<Manifest>,
}

/// An analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssayLot {
    /// Of which lot.
    pub lot: LotId,
    /// What was found.
    pub composition: Composition,
}

/// A lot is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitLot {
    /// Which.
    pub parent: LotId,
    /// Into what: new ids, in the order in which the shares are drawn.
    pub children: Vec<LotDraw>,
    /// What was lost.
    pub handling_loss: Grams,
}

/// Lots become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeLots {
    /// Which, each once.
    pub parents: Vec<LotDraw>,
    /// Into what.
    pub output: NewLot,
}

/// Lots are made into others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformLots {
    /// Code of the process table.
    pub process: String,
    /// What goes in, each lot once.
    pub inputs: Vec<LotDraw>,
    /// Alloying and primary metal, each lot once.
    pub additions: Vec<LotDraw>,
    /// What comes out.
    pub outputs: Vec<NewLot>,
    /// What is left over.
    pub residues: Vec<NewLot>,
    /// What is gone; kinds ascending, each once.
    pub losses: Vec<(LossKind, Grams)>,
    /// What joined; kinds ascending, each once.
    pub uptakes: Vec<(UptakeKind, Grams)>,
    /// Energy used.
    pub energy_wh: u64,
}

/// A continuous process begins a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCampaign {
    /// Its id.
    pub campaign: CampaignId,
    /// Code of the process table.
    pub process: String,
    /// What is in process.
    pub opening_stock: Grams,
    /// What is in it; absent: as the campaign before was closed.
    pub opening_composition: Option<Composition>,
}

/// Lots go into a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeCampaign {
    /// Which.
    pub campaign: CampaignId,
    /// What goes in, each lot once.
    pub inputs: Vec<LotDraw>,
    /// Alloying and primary metal, each lot once; one of the two is not empty.
    pub additions: Vec<LotDraw>,
}

/// Lots come out of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawCampaign {
    /// Which.
    pub campaign: CampaignId,
    /// What comes out.
    pub outputs: Vec<NewLot>,
    /// What is left over; one of the two is not empty.
    pub residues: Vec<NewLot>,
}

/// A campaign ends and is balanced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseCampaign {
    /// Which.
    pub campaign: CampaignId,
    /// What is still in process.
    pub closing_stock: Grams,
    /// What is in it.
    pub closing_composition: Option<Composition>,
    /// What is gone; kinds ascending, each once.
    pub losses: Vec<(LossKind, Grams)>,
    /// What joined; kinds ascending, each once.
    pub uptakes: Vec<(UptakeKind, Grams)>,
}

/// Grams are offered to another party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferTransfer {
    /// Of which lot.
    pub lot: LotId,
    /// How much, more than zero.
    pub mass: Grams,
    /// To whom.
    pub consignee: PartyId,
    /// To where; present exactly when custody moves.
    pub consignee_site: Option<SiteId>,
    /// What moves.
    pub scope: TransferScope,
    /// Who drives.
    pub carrier: Option<PartyId>,
    /// In what.
    pub vehicle: String,
    /// Paid how.
    pub invoice_class: Option<InvoiceClass>,
    /// For hazardous waste.
    pub manifest: Option<Manifest>,
}

/// The consignee takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptTransfer {
    /// Which offer.
    pub offer: EventId,
    /// What the scales say; `None` when only ownership moves.
    pub received: Option<Weighing>,
    /// The consignee's id for a part of a lot.
    pub received_lot: Option<LotId>,
}

/// A transfer ends without happening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseTransfer {
    /// Which offer.
    pub offer: EventId,
    /// Why.
    pub reason: TransferReason,
    /// In words.
    pub note: String,
}

/// The consignee takes over a part, and refuses the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartlyAcceptTransfer {
    /// Which offer.
    pub offer: EventId,
    /// What the scales say of the part that was taken; `None` when only ownership moves.
    pub received: Option<Weighing>,
    /// The consignee's id for it.
    pub received_lot: LotId,
    /// What goes back at once, more than zero.
    pub refused: Grams,
    /// Why.
    pub reason: TransferReason,
}

/// The consignee offers grams back to the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTransfer {
    /// Of which offer.
    pub offer: EventId,
    /// The lot that was received by it.
    pub lot: LotId,
    /// How much, more than zero.
    pub mass: Grams,
    /// Why.
    pub reason: TransferReason,
}

/// Both parties agree on what arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleDiscrepancy {
    /// Of which offer.
    pub offer: EventId,
    /// What arrived, as both say; zero when nothing did.
    pub agreed: Grams,
    /// Why it was not what was sent.
    pub cause: TransferReason,
}

/// A lot is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldLot {
    /// Which.
    pub lot: LotId,
    /// Why.
    pub reason: HoldReason,
    /// On whose word.
    pub authority: String,
}

/// A hold ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseLot {
    /// Of which lot.
    pub lot: LotId,
    /// Which hold.
    pub hold: EventId,
    /// In words.
    pub note: String,
}

/// Grams go to whoever disposes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisposeResidue {
    /// Which, and how much.
    pub residue: LotDraw,
    /// How: landfill, incineration, ...
    pub route: String,
    /// By whom.
    pub facility: PartyId,
    /// For hazardous waste.
    pub manifest: Option<Manifest>,
}

/// A lot is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stocktake {
    /// Which.
    pub lot: LotId,
    /// What is there.
    pub counted: Grams,
    /// Why it was counted, and why it differs.
    pub reason: String,
}

/// Grams leave the ledger for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitLot {
    /// Which, and how much.
    pub lot: LotDraw,
    /// To whom.
    pub buyer_kind: BuyerKind,
    /// Of the customs declaration; empty when nothing is exported.
    pub customs_number: String,
    /// Salted hash of who.
    pub buyer_commitment: Hash32,
}

/// An event is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclareError {
    /// Which.
    pub target: EventId,
    /// What was wrong.
    pub kind: ErrorKind,
    /// In words.
    pub note: String,
    /// Id and payload hash of the events that follow in its place.
    pub correctives: Vec<(EventId, Hash32)>,
}

/// Somebody looked, and says what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attest {
    /// At what.
    pub scope: String,
    /// At which state of the ledger: its checkpoint, as a signed note.
    pub checkpoint: String,
    /// What was found.
    pub result: AttestResult,
}

/// Somebody has seen an anomaly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcknowledgeAnomaly {
    /// Its id.
    pub anomaly: String,
    /// In words.
    pub note: String,
}

/// Recycled content is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimCredit {
    /// Earned where.
    pub site: SiteId,
    /// Of what.
    pub substance: Substance,
    /// How much, more than zero.
    pub mass: Grams,
    /// The first month that it may be taken from.
    pub from: Month,
    /// The first month after them.
    pub to: Month,
}

impl Event {
    /// Every hash in it that hides a private fact, in the order in which they stand.
    pub fn committed(&self) -> Vec<Hash32> {
        let mut all: Vec<Hash32> = self.commitments.iter().map(|it| it.sha256).collect();
        match &self.body {
            Body::CollectLot(collect) => all.push(collect.seller_commitment),
            Body::ExitLot(exit) => all.push(exit.buyer_commitment),
            _ => {}
        }
        all
    }
}

impl Body {
    /// Its kind.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Genesis(_) => EventKind::Genesis,
            Self::RegisterParty(_) => EventKind::RegisterParty,
            Self::AmendParty(_) => EventKind::AmendParty,
            Self::RegisterSite(_) => EventKind::RegisterSite,
            Self::AmendSite(_) => EventKind::AmendSite,
            Self::RegisterLicence(..) => EventKind::RegisterLicence,
            Self::AmendLicence(..) => EventKind::AmendLicence,
            Self::RegisterAffiliation(..) => EventKind::RegisterAffiliation,
            Self::AmendAffiliation(..) => EventKind::AmendAffiliation,
            Self::RegisterKey(_) => EventKind::RegisterKey,
            Self::RevokeKey(_) => EventKind::RevokeKey,
            Self::PublishTables(_) => EventKind::PublishTables,
            Self::OpeningInventory(_) => EventKind::OpeningInventory,
            Self::Waiver(_) => EventKind::Waiver,
            Self::Approval(_) => EventKind::Approval,
            Self::VisibilityGrant(_) => EventKind::VisibilityGrant,
            Self::SucceedParty(_) => EventKind::SucceedParty,
            Self::CollectLot(_) => EventKind::CollectLot,
            Self::AssayLot(_) => EventKind::AssayLot,
            Self::SplitLot(_) => EventKind::SplitLot,
            Self::MergeLots(_) => EventKind::MergeLots,
            Self::TransformLots(_) => EventKind::TransformLots,
            Self::OpenCampaign(_) => EventKind::OpenCampaign,
            Self::ChargeCampaign(_) => EventKind::ChargeCampaign,
            Self::DrawCampaign(_) => EventKind::DrawCampaign,
            Self::CloseCampaign(_) => EventKind::CloseCampaign,
            Self::OfferTransfer(_) => EventKind::OfferTransfer,
            Self::AcceptTransfer(_) => EventKind::AcceptTransfer,
            Self::RejectTransfer(_) => EventKind::RejectTransfer,
            Self::CancelTransfer(_) => EventKind::CancelTransfer,
            Self::PartlyAcceptTransfer(_) => EventKind::PartlyAcceptTransfer,
            Self::ReturnTransfer(_) => EventKind::ReturnTransfer,
            Self::SettleDiscrepancy(_) => EventKind::SettleDiscrepancy,
            Self::HoldLot(_) => EventKind::HoldLot,
            Self::ReleaseLot(_) => EventKind::ReleaseLot,
            Self::DisposeResidue(_) => EventKind::DisposeResidue,
            Self::Stocktake(_) => EventKind::Stocktake,
            Self::ExitLot(_) => EventKind::ExitLot,
            Self::DeclareError(_) => EventKind::DeclareError,
            Self::Attest(_) => EventKind::Attest,
            Self::AcknowledgeAnomaly(_) => EventKind::AcknowledgeAnomaly,
            Self::ClaimCredit(_) => EventKind::ClaimCredit,
        }
    }
}

/// Id of a licence or affiliation record inside its party.
pub trait RecordId {
    /// The type of the id.
    type Id: Eq + Copy;
    /// The id.
    fn record_id(&self) -> Self::Id;
}

impl RecordId for Licence {
    type Id = LicenceId;
    fn record_id(&self) -> LicenceId {
        self.id
    }
}

impl RecordId for Affiliation {
    type Id = AffiliationId;
    fn record_id(&self) -> AffiliationId {
        self.id
    }
}
