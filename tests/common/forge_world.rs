//! What the forged ledgers are about: a few parties, the codes that they use, and the bodies of
//! events.

use urbanmine::domain::event::{
    AcceptTransfer, Approval, AssayLot, AssayValue, CloseTransfer, CollectLot, Composition,
    DeclareError, DisposeResidue, ExitLot, HoldLot, LotDraw, Manifest, MergeLots, NewLot,
    OfferTransfer, PartlyAcceptTransfer, ReleaseLot, ReturnTransfer, SettleDiscrepancy, SplitLot,
    Stocktake, TransformLots, Weighing,
};
use urbanmine::domain::party::Licence;
use urbanmine::domain::vocabulary::{
    AssayBasis, BuyerKind, CustodyModel, ErrorKind, HoldReason, InvoiceClass, LicenceKind,
    LossKind, OriginKind, PartyRole, SellerKind, Substance, TransferReason, TransferScope,
};
use urbanmine::domain::{
    Body, Event, EventId, FractionE8, Grams, Hash32, LicenceId, LotId, PartyId,
};
use urbanmine::ledger::hash::sha256;
use urbanmine::wire::statement::StatementBody;

use super::forge::{Forge, LEDGER, VALID, party, payload, site, uuid};

/// Registers and stops lots.
pub const COORD: PartyId = party(1);
/// Buys scrap.
pub const COLLECTOR: PartyId = party(2);
/// Makes copper.
pub const SMELTER: PartyId = party(3);
/// Recovers rare earths from scrap, and nothing else.
pub const RECOVERY: PartyId = party(4);
/// Licensed for ore.
pub const SEPARATOR: PartyId = party(5);
/// Analyses.
pub const LAB: PartyId = party(6);

/// A party of the world.
pub struct PartyRow {
    /// Which.
    pub id: PartyId,
    /// What it may be.
    pub roles: &'static [PartyRole],
    /// What it holds.
    pub licences: &'static [LicenceKind],
}

/// The world's parties.
pub const PARTIES: &[PartyRow] = &[
    PartyRow { id: COORD, roles: &[PartyRole::Coordinator], licences: &[] },
    PartyRow {
        id: COLLECTOR,
        roles: &[PartyRole::Collector],
        licences: &[
            LicenceKind::Business,
            LicenceKind::RenewableResourceRecycling,
            LicenceKind::ProductiveScrap,
            LicenceKind::HazardousWaste,
        ],
    },
    PartyRow {
        id: SMELTER,
        roles: &[PartyRole::Smelter],
        licences: &[
            LicenceKind::Business,
            LicenceKind::RenewableResourceRecycling,
            LicenceKind::ProductiveScrap,
            LicenceKind::PollutantDischarge,
        ],
    },
    PartyRow {
        id: RECOVERY,
        roles: &[PartyRole::RareEarthRecoveryPlant],
        licences: &[
            LicenceKind::Business,
            LicenceKind::RenewableResourceRecycling,
            LicenceKind::RareEarthRecovery,
        ],
    },
    PartyRow {
        id: SEPARATOR,
        roles: &[PartyRole::RareEarthSeparationPlant],
        licences: &[
            LicenceKind::Business,
            LicenceKind::RenewableResourceRecycling,
            LicenceKind::RareEarthSeparation,
        ],
    },
    PartyRow {
        id: LAB,
        roles: &[PartyRole::Laboratory],
        licences: &[LicenceKind::LaboratoryAccreditation],
    },
];

// --- codes of the tables -------------------------------------------------------------------------

/// A region of Jiangxi.
pub const NEAR_REGION: &str = "360702";
/// A region of another province.
pub const FAR_REGION: &str = "440103";
/// A hazardous-waste code.
pub const WASTE: &str = "900-052-31";
/// A hazardous-waste code of the later tables.
pub const LATER_WASTE: &str = "900-053-31";
/// Copper scrap.
pub const COPPER: &str = "CU_SCRAP_NO2";
/// What copper is refined to.
pub const CATHODE: &str = "CU_CATHODE";
/// What is left of it.
pub const SLAG: &str = "CU_SLAG";
/// Hazardous lead scrap.
pub const BATTERY: &str = "PB_BATTERY";
/// Rare-earth ore.
pub const ORE: &str = "RE_ORE";
/// How lots lie about.
pub const FORM: &str = "BULK";
/// Copper scrap to copper, balanced on copper.
pub const REFINE: &str = "CU_FIRE_REFINE";

/// The files of the table set, ascending by name: only what the stories need.
const TABLE_FILES: &[(&str, &str)] = &[
    ("forms.csv", "code,name_zh,name_en,source\nBULK,散料,Bulk,test\n"),
    ("grades.csv", "scheme,code,note,source\nReMA,Birch,Mixed copper,test\n"),
    ("invoices.csv", "bought,sold,match,source\nVAT_SPECIAL,NONE,no,test\n"),
    (
        "materials.csv",
        "code,name_zh,name_en,family,merge_group,waste_code,ore_product,productive_scrap,\
         transfer_tolerance_e8,valid_from,source\n\
         CU_CATHODE,阴极铜,Cathode,COPPER,CU_CATHODE,,no,no,1000000,2016-01-01,test\n\
         CU_SCRAP_NO2,废铜,Scrap,COPPER,CU_SCRAP,,no,no,1000000,2016-01-01,test\n\
         CU_SLAG,铜渣,Slag,COPPER,CU_SLAG,,no,no,1000000,2016-01-01,test\n\
         PB_BATTERY,废电池,Batteries,LEAD,PB_BATTERY,900-052-31,no,no,1000000,2016-01-01,test\n\
         RE_ORE,稀土矿,Ore,RARE_EARTH,RE_ORE,,yes,no,1000000,2016-01-01,test\n",
    ),
    ("origins.csv", include_str!("../../tables/origins.csv")),
    ("oxides.csv", include_str!("../../tables/oxides.csv")),
    (
        "parameters.csv",
        "name,value,unit,source\n\
         CLOCK_SKEW_MS,300000,ms,test\n\
         STOCKTAKE_TOLERANCE_E8,500000,e8,test\n",
    ),
    (
        "permissions.csv",
        "action,role,licence,source\n\
         ACCEPT_TRANSFER,COLLECTOR,-,test\n\
         ACCEPT_TRANSFER,SMELTER,-,test\n\
         APPROVAL,COORDINATOR,-,test\n\
         ASSAY_LOT,LABORATORY,LABORATORY_ACCREDITATION,test\n\
         ATTEST,AUDITOR,-,test\n\
         CHARGE_CAMPAIGN,SMELTER,-,test\n\
         CLAIM_CREDIT,SMELTER,-,test\n\
         CLOSE_CAMPAIGN,SMELTER,-,test\n\
         COLLECT_LOT,COLLECTOR,RENEWABLE_RESOURCE_RECYCLING,test\n\
         COLLECT_ORE,RARE_EARTH_SEPARATION_PLANT,RARE_EARTH_SEPARATION,test\n\
         DISPOSE_RESIDUE,COLLECTOR,-,test\n\
         DRAW_CAMPAIGN,SMELTER,-,test\n\
         EXIT_LOT,COLLECTOR,-,test\n\
         HOLD_LOT,COORDINATOR,-,test\n\
         MERGE_LOTS,SMELTER,-,test\n\
         OFFER_TRANSFER,COLLECTOR,-,test\n\
         OFFER_TRANSFER,RARE_EARTH_SEPARATION_PLANT,-,test\n\
         OFFER_TRANSFER,SMELTER,-,test\n\
         OPEN_CAMPAIGN,SMELTER,-,test\n\
         SPLIT_LOT,COLLECTOR,-,test\n\
         STOCKTAKE,COLLECTOR,-,test\n\
         SUCCEED_PARTY,COORDINATOR,-,test\n\
         TRANSFORM_LOTS,SMELTER,-,test\n\
         VISIBILITY_GRANT,COORDINATOR,-,test\n\
         WAIVER,COORDINATOR,-,test\n",
    ),
    (
        "processes.csv",
        "code,name_zh,name_en,family,balances,roles,yield_low_e8,yield_high_e8,valid_from,source\n\
         CU_FIRE_REFINE,火法精炼,Fire refining,COPPER,CU,SMELTER,98000000,99700000,2016-01-01,test\n",
    ),
    (
        "regions.csv",
        "code,name,valid_from,valid_to,source\n\
         360702,章贡区,2016-01-01,,test\n\
         440103,荔湾区,2016-01-01,,test\n",
    ),
    ("wastes.csv", "code,name_zh,name_en,source\n900-052-31,废铅蓄电池,Batteries,test\n"),
];

/// The table set of the world.
pub fn tables_text() -> String {
    set_with("")
}

/// The set with one more hazardous waste.
pub fn later_tables_text() -> String {
    set_with(&format!("{LATER_WASTE},废铅膏,Paste,test\n"))
}

/// More rows of the last file.
fn set_with(more: &str) -> String {
    let (last, files) = TABLE_FILES.split_last().unwrap();
    let file = |(name, text): &(&str, &str)| format!("== {name} {}\n{text}", text.len());
    let set: String = files.iter().map(file).collect();
    let rows = format!("{}{more}", last.1);
    set + &file(&(last.0, rows.as_str()))
}

// --- bodies --------------------------------------------------------------------------------------

/// A lot that enters the ledger.
pub fn new_lot(id: LotId, material: &str, grams: u64) -> NewLot {
    NewLot {
        id,
        material: material.to_owned(),
        form: FORM.to_owned(),
        origin_kind: Some(OriginKind::PostConsumer),
        net_mass: Grams::of(grams),
        custody_model: CustodyModel::Segregated,
        grades: Vec::new(),
        composition: None,
    }
}

/// A lot that is made from others.
pub fn made(id: LotId, material: &str, grams: u64) -> NewLot {
    NewLot { origin_kind: None, ..new_lot(id, material, grams) }
}

/// A lot with so much copper in 1e-8 parts, exactly.
pub fn with_copper(lot: NewLot, parts: u32) -> NewLot {
    NewLot { composition: Some(copper(parts)), ..lot }
}

/// So much copper, exactly.
pub fn copper(parts: u32) -> Composition {
    let value = AssayValue {
        substance: Substance::Cu,
        basis: AssayBasis::AsReceived,
        fraction: FractionE8::new(parts).unwrap(),
        uncertainty: FractionE8::ZERO,
    };
    Composition {
        values: vec![value],
        moisture: FractionE8::ZERO,
        total: FractionE8::ZERO,
        total_uncertainty: FractionE8::ZERO,
        method: "ICP-OES".to_owned(),
        laboratory: None,
        sample: String::new(),
    }
}

/// A pass over the scales.
pub fn weighed(net: u64) -> Weighing {
    Weighing {
        gross: Grams::of(net + 5_000),
        tare: Grams::of(5_000),
        net: Grams::of(net),
        ticket: "T-1".to_owned(),
    }
}

/// A manifest.
pub fn manifest() -> Manifest {
    Manifest { number: "20243607000001".to_owned(), carrier: None, vehicle: String::new() }
}

/// Scrap comes in.
pub fn collecting(lot: NewLot) -> CollectLot {
    CollectLot {
        weighing: weighed(lot.net_mass.get()),
        lot,
        seller_kind: SellerKind::Enterprise,
        seller_commitment: Hash32([3; 32]),
        seller_certificate: "C-1".to_owned(),
        origin_region: NEAR_REGION.to_owned(),
        invoice_class: InvoiceClass::VatSpecial,
        manifest: None,
    }
}

/// Scrap comes in, as a body.
pub fn collect(lot: NewLot) -> Body {
    Body::CollectLot(Box::new(collecting(lot)))
}

/// Grams of a lot.
pub fn draw(lot: LotId, grams: u64) -> LotDraw {
    LotDraw { lot, mass: Grams::of(grams) }
}

/// A lot is divided without loss.
pub fn split(parent: LotId, children: &[LotDraw]) -> Body {
    let children = children.to_vec();
    Body::SplitLot(SplitLot { parent, children, handling_loss: Grams::ZERO })
}

/// Copper is refined: inputs, cathode, slag, volatile loss.
pub fn refining(inputs: &[LotDraw], outputs: &[NewLot], residues: &[NewLot]) -> TransformLots {
    TransformLots {
        process: REFINE.to_owned(),
        inputs: inputs.to_vec(),
        additions: Vec::new(),
        outputs: outputs.to_vec(),
        residues: residues.to_vec(),
        losses: Vec::new(),
        uptakes: Vec::new(),
        energy_wh: 0,
    }
}

/// Refining, as a body.
pub fn refine(melt: TransformLots) -> Body {
    Body::TransformLots(Box::new(melt))
}

/// Custody and ownership are offered.
pub fn offering(lot: LotId, grams: u64, to: PartyId) -> OfferTransfer {
    OfferTransfer {
        lot,
        mass: Grams::of(grams),
        consignee: to,
        consignee_site: Some(site(to)),
        scope: TransferScope::CustodyAndOwnership,
        carrier: None,
        vehicle: String::new(),
        invoice_class: None,
        manifest: None,
    }
}

/// An approval without end.
pub fn approving(lot: LotId, from: PartyId, to: PartyId, grams: u64) -> Body {
    let (mass, number) = (Grams::of(grams), "A-1".to_owned());
    Body::Approval(Approval { lot, from, to, mass, number, valid_to: None })
}

/// The consignee takes over.
pub fn accept(offer: EventId, net: u64, received_lot: Option<LotId>) -> Body {
    Body::AcceptTransfer(AcceptTransfer { offer, received: Some(weighed(net)), received_lot })
}

/// The consignee takes over a part, and refuses the rest.
pub fn partly(offer: EventId, net: u64, refused: u64, received_lot: LotId) -> Body {
    Body::PartlyAcceptTransfer(PartlyAcceptTransfer {
        offer,
        received: Some(weighed(net)),
        received_lot,
        refused: Grams::of(refused),
        reason: TransferReason::Quality,
    })
}

/// The consignee offers grams back.
pub fn giving_back(offer: EventId, lot: LotId, grams: u64) -> Body {
    let (mass, reason) = (Grams::of(grams), TransferReason::Quality);
    Body::ReturnTransfer(ReturnTransfer { offer, lot, mass, reason })
}

/// Both parties agree on what arrived.
pub fn settling(offer: EventId, grams: u64) -> Body {
    let (agreed, cause) = (Grams::of(grams), TransferReason::Quantity);
    Body::SettleDiscrepancy(SettleDiscrepancy { offer, agreed, cause })
}

/// A lot is counted.
pub fn counting(lot: LotId, grams: u64) -> Body {
    let (counted, reason) = (Grams::of(grams), "end of the month".to_owned());
    Body::Stocktake(Stocktake { lot, counted, reason })
}

/// Grams go to whoever disposes of them.
pub fn disposing(lot: LotId, grams: u64, facility: PartyId) -> DisposeResidue {
    let route = "D10".to_owned();
    DisposeResidue { residue: draw(lot, grams), route, facility, manifest: None }
}

/// Grams leave the ledger.
pub fn leaving(lot: LotId, grams: u64) -> Body {
    Body::ExitLot(ExitLot {
        lot: draw(lot, grams),
        buyer_kind: BuyerKind::Manufacturer,
        customs_number: String::new(),
        buyer_commitment: Hash32([4; 32]),
    })
}

/// An event is declared an error, and these follow in its place.
pub fn error(target: EventId, correctives: &[&Event]) -> Body {
    let kind =
        if correctives.is_empty() { ErrorKind::DidNotOccur } else { ErrorKind::IncorrectData };
    let correctives = correctives.iter().map(|event| (event.id, sha256(&payload(event)))).collect();
    Body::DeclareError(DeclareError { target, kind, note: String::new(), correctives })
}

// --- stories -------------------------------------------------------------------------------------

impl Forge {
    /// Copper scrap, half of it copper, collected by the collector.
    pub fn copper(&mut self, grams: u64) -> LotId {
        let id = self.lot();
        self.say(COLLECTOR, collect(with_copper(new_lot(id, COPPER, grams), 50_000_000)));
        id
    }

    /// A whole lot goes from the collector to the smelter.
    pub fn deliver(&mut self, lot: LotId, grams: u64) {
        let offer = self.say(COLLECTOR, Body::OfferTransfer(offering(lot, grams, SMELTER)));
        self.say(SMELTER, accept(offer, grams, None));
    }

    /// Every kind of thing that the rules allow, once.
    pub fn story(&mut self) {
        let whole = self.copper(1_000_000);
        let (left, right) = (self.lot(), self.lot());
        self.say(COLLECTOR, split(whole, &[draw(left, 600_000), draw(right, 400_000)]));
        self.deliver(left, 600_000);
        let offer = self.say(COLLECTOR, Body::OfferTransfer(offering(right, 100_000, SMELTER)));
        let part = self.lot();
        self.say(SMELTER, accept(offer, 100_000, Some(part)));
        self.withdrawn(right);
        let pooled = self.lot();
        let merge = MergeLots {
            parents: vec![draw(left, 600_000), draw(part, 100_000)],
            output: made(pooled, COPPER, 700_000),
        };
        self.say(SMELTER, Body::MergeLots(Box::new(merge)));
        self.melt(pooled);
        let battery = self.lot();
        let mut collecting = collecting(new_lot(battery, BATTERY, 20_000));
        collecting.manifest = Some(manifest());
        self.say(COLLECTOR, Body::CollectLot(Box::new(collecting)));
        self.corrected();
        self.publish(&later_tables_text());
        // Only the later tables know this waste.
        let licence = Licence {
            id: LicenceId::from_bytes(uuid(9_000)),
            kind: LicenceKind::HazardousWaste,
            number: "L-later".to_owned(),
            waste_codes: vec![LATER_WASTE.to_owned()],
            yearly_capacity: Grams::ZERO,
            validity: VALID,
        };
        self.say(COORD, Body::RegisterLicence(SMELTER, licence));
        let note = StatementBody::RestartNote { software: "forge 1".to_owned() };
        self.state(note, &[LEDGER]);
        self.copper(5_000);
    }

    /// An offer is refused, another withdrawn.
    fn withdrawn(&mut self, lot: LotId) {
        let close =
            |offer| CloseTransfer { offer, reason: TransferReason::Quality, note: String::new() };
        let offer = self.say(COLLECTOR, Body::OfferTransfer(offering(lot, 50_000, SMELTER)));
        self.say(SMELTER, Body::RejectTransfer(close(offer)));
        let offer = self.say(COLLECTOR, Body::OfferTransfer(offering(lot, 50_000, SMELTER)));
        self.say(COLLECTOR, Body::CancelTransfer(close(offer)));
    }

    /// A lot is analysed, stopped, let go and refined.
    fn melt(&mut self, pooled: LotId) {
        let composition = Composition { laboratory: Some(LAB), ..copper(51_000_000) };
        let assay = AssayLot { lot: pooled, composition };
        let mut event = self.event(LAB, Body::AssayLot(assay));
        event.site = Some(site(LAB));
        self.append(&event);
        let reason = HoldReason::Quality;
        let hold = self.say(
            COORD,
            Body::HoldLot(HoldLot { lot: pooled, reason, authority: "office".to_owned() }),
        );
        let release = ReleaseLot { lot: pooled, hold, note: String::new() };
        self.say(COORD, Body::ReleaseLot(release));
        let (cathode, slag) = (self.lot(), self.lot());
        let mut melt = refining(
            &[draw(pooled, 700_000)],
            &[with_copper(made(cathode, CATHODE, 350_000), 99_000_000)],
            &[made(slag, SLAG, 340_000)],
        );
        melt.losses = vec![(LossKind::Volatile, Grams::of(10_000))];
        self.say(SMELTER, refine(melt));
    }

    /// Two batches in one group: in one a collection is declared an error and made good.
    fn corrected(&mut self) {
        let (wrong, better, other) = (self.lot(), self.lot(), self.lot());
        let mistake = self.say(COLLECTOR, collect(new_lot(wrong, COPPER, 7_000)));
        let corrective = self.event(COLLECTOR, collect(new_lot(better, COPPER, 6_900)));
        let declared = self.event(COLLECTOR, error(mistake, &[&corrective]));
        let alone = self.event(COLLECTOR, collect(new_lot(other, COPPER, 1_000)));
        self.group(&[&[alone], &[declared, corrective]]);
    }
}
