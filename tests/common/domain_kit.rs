//! A small world in memory: tables, parties, keys and sites made by hand, and events without bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use urbanmine::domain::apply::Refusal;
use urbanmine::domain::credit::Month;
use urbanmine::domain::effects::LedgerState;
use urbanmine::domain::event::{
    AcceptTransfer, Approval, AssayValue, ChargeCampaign, ClaimCredit, CloseCampaign, CollectLot,
    Composition, DeclareError, DisposeResidue, DrawCampaign, ExitLot, LotDraw, NewLot,
    OfferTransfer, OpenCampaign, PartlyAcceptTransfer, ReturnTransfer, SettleDiscrepancy,
    Stocktake, SucceedParty, TransformLots, Weighing,
};
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::party::{DatedRole, KeyState, Licence, Party, PartyState, Site};
use urbanmine::domain::tables::{Material, Permission, Process};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{
    AssayBasis, BuyerKind, CustodyModel, ErrorKind, InvoiceClass, LicenceKind, LossKind,
    OriginKind, OriginKinds, PartyRole, SellerKind, Substance, TransferReason, TransferScope,
};
use urbanmine::domain::{
    Body, CampaignId, Effects, EntryIndex, Event, EventId, FractionE8, Grams, Hash32, KeyId,
    LicenceId, LotId, Moment, OffsetMin, Origin, PartyId, PublicKey, Rejection, Signed, SiteId,
    Tables, TimeMs, apply,
};
use urbanmine::ledger::checkpoint::read_checkpoint;
use urbanmine::ledger::hash::sha256;

/// The clock of a fresh world, in milliseconds.
pub const START_MS: u64 = 1_480_000_000_000;
/// The material row `OLD` is in force before this.
pub const OLD_UNTIL_MS: u64 = START_MS + 1_000_000;
pub const WASTE: &str = "900-052-31";
pub const EVER: Validity = Validity { from: TimeMs::of(0), to: None };

pub const COORD: PartyId = party(1);
pub const COLLECTOR: PartyId = party(2);
pub const SMELTER: PartyId = party(3);
pub const RECOVERY: PartyId = party(4);
pub const SEPARATOR: PartyId = party(5);
/// Collects with a licence that it does not have; transforms as a smelter would.
pub const DISMANTLER: PartyId = party(6);
pub const LAB: PartyId = party(7);
pub const AUDITOR: PartyId = party(8);
/// A second party that may do all that a collector may.
pub const TRADER: PartyId = party(9);
pub const NOBODY: PartyId = party(99);

pub const fn party(n: u8) -> PartyId {
    PartyId::from_bytes([n; 16])
}

/// The first site of a party; every party of the kit has it, in province 36.
pub const fn site(of: PartyId) -> SiteId {
    SiteId::from_bytes([of.as_bytes()[0]; 16])
}

/// The second site of a party, in province 44.
pub const fn far_site(of: PartyId) -> SiteId {
    SiteId::from_bytes([of.as_bytes()[0] + 100; 16])
}

pub const fn lot(n: u64) -> LotId {
    LotId::from_bytes(wide(n))
}

pub const fn campaign(n: u64) -> CampaignId {
    CampaignId::from_bytes(wide(n))
}

pub const fn event_id(n: u64) -> EventId {
    EventId::from_bytes(wide(n))
}

const fn wide(n: u64) -> [u8; 16] {
    ((7 << 76) | (2 << 62) | ((n as u128) << 80) | (n as u128 & 0xffff_ffff)).to_be_bytes()
}

pub const fn public_key(n: u8) -> PublicKey {
    PublicKey([n; 32])
}

pub fn key(of: PartyId) -> KeyId {
    key_of(public_key(of.as_bytes()[0]))
}

pub fn key_of(key: PublicKey) -> KeyId {
    KeyId(sha256(key.as_bytes()).0)
}

pub fn origin() -> Origin {
    Origin::parse("urbanmine.example/kit").unwrap()
}

/// What a client would have signed, told apart by its content.
pub fn payload_hash(event: &Event) -> Hash32 {
    sha256(format!("{event:?}").as_bytes())
}

/// One event on its way to a verdict.
#[derive(Clone)]
pub struct Attempt {
    pub event: Event,
    pub signers: Vec<KeyId>,
    pub following: usize,
    /// The entry it would become; the next one when `None`.
    pub index: Option<u64>,
}

impl Attempt {
    pub fn of(event: Event) -> Self {
        let signers = vec![key(event.actor)];
        Self { event, signers, following: 0, index: None }
    }

    pub fn signed_by(mut self, signers: &[KeyId]) -> Self {
        self.signers = signers.to_vec();
        self.signers.sort_unstable();
        self
    }

    pub fn followed_by(mut self, following: usize) -> Self {
        self.following = following;
        self
    }
}

/// A ledger without bytes.
#[derive(Clone)]
pub struct World {
    pub state: MemoryState,
    pub tables: Option<Tables>,
    pub index: u64,
    pub now: u64,
    pub serial: u64,
}

impl World {
    /// Parties, keys, sites and tables are there; no lot is.
    pub fn new() -> Self {
        let mut world = Self {
            state: MemoryState { ledger: Some(ledger()), ..MemoryState::default() },
            tables: Some(tables()),
            index: 100,
            now: START_MS,
            serial: 1_000,
        };
        let roles = [
            (COORD, PartyRole::Coordinator),
            (COLLECTOR, PartyRole::Collector),
            (SMELTER, PartyRole::Smelter),
            (RECOVERY, PartyRole::RareEarthRecoveryPlant),
            (SEPARATOR, PartyRole::RareEarthSeparationPlant),
            (DISMANTLER, PartyRole::Dismantler),
            (LAB, PartyRole::Laboratory),
            (AUDITOR, PartyRole::Auditor),
            (TRADER, PartyRole::Trader),
        ];
        for (id, role) in roles {
            world.add_party(id, role);
        }
        for id in [COLLECTOR, SMELTER, TRADER] {
            let state = Arc::make_mut(world.state.parties.get_mut(&id).unwrap());
            state.licences.push(waste_licence(1));
        }
        world
    }

    /// Adds a party with one role, one key and two sites.
    pub fn add_party(&mut self, id: PartyId, role: PartyRole) {
        let n = id.as_bytes()[0];
        let mut state = PartyState::new(party_record(id, role), EntryIndex(1));
        state.keys.push(key(id));
        self.state.credit_codes.insert(state.party.credit_code.clone(), id);
        self.state.parties.insert(id, Arc::new(state));
        self.add_key(id, n, EVER);
        for (site_id, region_code) in [(site(id), "360702"), (far_site(id), "440103")] {
            let record = site_record(site_id, id, region_code);
            self.state.sites.insert(site_id, Arc::new(record));
        }
    }

    pub fn add_key(&mut self, of: PartyId, n: u8, validity: Validity) -> KeyId {
        let id = key_of(public_key(n));
        let state = KeyState {
            id,
            public_key: public_key(n),
            party: of,
            validity,
            registered_at: EntryIndex(1),
            revoked: None,
        };
        self.state.keys.insert(id, state);
        id
    }

    /// A number that was not used before, for ids.
    pub fn fresh(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// An event of an actor, now, at its first site; registry events happen nowhere.
    pub fn event(&mut self, actor: PartyId, body: Body) -> Event {
        use Body as B;
        self.now += 1_000;
        let place = match &body {
            B::OpeningInventory(inventory) => Some(site(inventory.party)),
            B::CollectLot(_)
            | B::AssayLot(_)
            | B::SplitLot(_)
            | B::MergeLots(_)
            | B::TransformLots(_)
            | B::OpenCampaign(_)
            | B::ChargeCampaign(_)
            | B::DrawCampaign(_)
            | B::CloseCampaign(_)
            | B::OfferTransfer(_)
            | B::AcceptTransfer(_)
            | B::PartlyAcceptTransfer(_)
            | B::ReturnTransfer(_)
            | B::DisposeResidue(_)
            | B::Stocktake(_)
            | B::ExitLot(_) => Some(site(actor)),
            _ => None,
        };
        Event {
            id: event_id(self.fresh()),
            origin: origin(),
            actor,
            site: place,
            occurred_at: TimeMs::of(self.now),
            occurred_at_offset: OffsetMin::new(480).unwrap(),
            documents: Vec::new(),
            commitments: Vec::new(),
            external_ref: String::new(),
            body,
        }
    }

    pub fn attempt(&mut self, actor: PartyId, body: Body) -> Attempt {
        Attempt::of(self.event(actor, body))
    }

    /// The verdict, without taking anything over.
    pub fn judge(&self, attempt: &Attempt) -> Result<Effects, Rejection> {
        let signed = Signed {
            event: &attempt.event,
            payload_hash: payload_hash(&attempt.event),
            signers: &attempt.signers,
        };
        let moment = Moment {
            index: EntryIndex(attempt.index.unwrap_or(self.index)),
            recorded_at: TimeMs::of(self.now),
            following: attempt.following,
            tables: self.tables.as_ref(),
            sha256,
            checkpoint: read_checkpoint,
        };
        match apply(&self.state, signed, moment) {
            Ok(effects) => Ok(effects),
            Err(Refusal::Rejected(rejection)) => Err(rejection),
            Err(Refusal::Unreadable(never)) => match never {},
        }
    }

    /// The verdict; what is accepted is taken over.
    pub fn take(&mut self, attempt: &Attempt) -> Result<Effects, Rejection> {
        let effects = self.judge(attempt)?;
        self.state.absorb(effects.clone(), attempt.event.id);
        self.index += 1;
        Ok(effects)
    }

    /// An event that has to be accepted; its id.
    pub fn must(&mut self, actor: PartyId, body: Body) -> EventId {
        let attempt = self.attempt(actor, body);
        self.take(&attempt).unwrap_or_else(|refused| panic!("{refused}: {:?}", attempt.event));
        attempt.event.id
    }

    /// A lot of copper scrap with half of it copper, collected by a party.
    pub fn copper(&mut self, of: PartyId, grams: u64) -> LotId {
        let id = lot(self.fresh());
        let mut new = new_lot(id, "CU", grams);
        new.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
        self.must(of, collect(new));
        id
    }

    /// The same under mass balance.
    pub fn balanced(&mut self, of: PartyId, grams: u64) -> LotId {
        let id = lot(self.fresh());
        let mut new = new_lot(id, "CU", grams);
        new.custody_model = CustodyModel::MassBalance;
        new.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
        self.must(of, collect(new));
        id
    }

    /// A lot of rare-earth ore, collected by the separation plant.
    pub fn ore(&mut self, grams: u64) -> LotId {
        let id = lot(self.fresh());
        let mut new = new_lot(id, "ORE", grams);
        new.origin_kind = Some(OriginKind::Ore);
        self.must(SEPARATOR, collect(new));
        id
    }

    pub fn lot_state(&self, id: LotId) -> &urbanmine::domain::lot::Lot {
        &self.state.lots[&id]
    }

    pub fn ledger_mut(&mut self) -> &mut LedgerState {
        self.state.ledger.as_mut().unwrap()
    }
}

// --- records -------------------------------------------------------------------------------------

pub fn ledger() -> LedgerState {
    LedgerState {
        origin: origin(),
        ledger_key: public_key(200),
        former_ledger_keys: Vec::new(),
        rules_version: 1,
        tables_hash: Hash32([9; 32]),
        are_tables_published: true,
        publishing: None,
        expected_correctives: Vec::new(),
        corrected_occurred_at: TimeMs::default(),
    }
}

pub fn party_record(id: PartyId, role: PartyRole) -> Party {
    Party {
        id,
        credit_code: credit_code(id.as_bytes()[0]),
        name_zh: String::new(),
        name_en: format!("party {}", id.as_bytes()[0]),
        roles: vec![DatedRole { role, validity: EVER }],
        credit_code_waiver: None,
    }
}

/// A code whose check character is right: GB 32100 by the text of the standard, not by our code.
pub fn credit_code(n: u8) -> String {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let body = format!("91360702000000{n:03}");
    let weights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let values = body.chars().map(|c| ALPHABET.find(c).unwrap());
    let sum: usize = values.zip(weights).map(|(value, weight)| value * weight).sum();
    let check = (31 - sum % 31) % 31;
    format!("{body}{}", ALPHABET.chars().nth(check).unwrap())
}

pub fn waste_licence(n: u8) -> Licence {
    Licence {
        id: LicenceId::from_bytes([n; 16]),
        kind: LicenceKind::HazardousWaste,
        number: format!("HW{n}"),
        waste_codes: vec![WASTE.to_owned()],
        yearly_capacity: Grams::ZERO,
        validity: EVER,
    }
}

pub fn site_record(id: SiteId, of: PartyId, region: &str) -> Site {
    Site {
        id,
        party: of,
        name_zh: String::new(),
        name_en: String::new(),
        region_code: region.to_owned(),
        base: String::new(),
        processes: vec!["LEACH".to_owned(), "MELT".to_owned(), "REFINE".to_owned()],
        yearly_capacity: Grams::ZERO,
    }
}

pub fn tables() -> Tables {
    use PartyRole as R;
    let may = |roles: &[R]| -> Vec<Permission> {
        roles.iter().map(|&role| Permission { role, licence: None }).collect()
    };
    let holders = [
        R::Collector,
        R::Smelter,
        R::RareEarthRecoveryPlant,
        R::RareEarthSeparationPlant,
        R::Trader,
    ];
    let mut permissions = BTreeMap::new();
    let kinds = ["COLLECT_LOT", "ASSAY_LOT", "SPLIT_LOT", "MERGE_LOTS", "TRANSFORM_LOTS"];
    let campaign = ["OPEN_CAMPAIGN", "CHARGE_CAMPAIGN", "DRAW_CAMPAIGN", "CLOSE_CAMPAIGN"];
    let more = ["OFFER_TRANSFER", "ACCEPT_TRANSFER", "STOCKTAKE", "DISPOSE_RESIDUE", "EXIT_LOT"];
    for action in kinds.into_iter().chain(campaign).chain(more) {
        permissions.insert(action.to_owned(), may(&holders));
    }
    let licensed =
        |role| Permission { role, licence: Some(LicenceKind::RenewableResourceRecycling) };
    for action in ["COLLECT_LOT", "TRANSFORM_LOTS"] {
        permissions.entry(action.to_owned()).or_default().push(licensed(R::Dismantler));
    }
    permissions.entry("ASSAY_LOT".to_owned()).or_default().extend(may(&[R::Laboratory]));
    permissions.insert("COLLECT_ORE".to_owned(), may(&[R::RareEarthSeparationPlant]));
    permissions.insert("HOLD_LOT".to_owned(), may(&[R::Coordinator, R::Auditor]));
    for action in ["APPROVAL", "SUCCEED_PARTY", "VISIBILITY_GRANT", "WAIVER"] {
        permissions.insert(action.to_owned(), may(&[R::Coordinator]));
    }
    permissions.insert("ATTEST".to_owned(), may(&[R::Auditor, R::Regulator]));
    permissions.insert("CLAIM_CREDIT".to_owned(), may(&[R::Smelter, R::RareEarthRecoveryPlant]));

    let names = || (String::new(), String::new());
    let grade = ("ReMA".to_owned(), [("Birch".to_owned(), String::new())].into());
    Tables {
        parameters: [
            ("CLOCK_SKEW_MS", 300_000),
            ("PERIOD_VARIANCE_FLAG_E8", 2_000_000),
            ("STOCKTAKE_TOLERANCE_E8", 1_000_000),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
        regions: ["360702", "360722", "440103"]
            .map(|code| (code.to_owned(), vec![(EVER, String::new())]))
            .into(),
        materials: materials(),
        forms: [("BULK".to_owned(), names())].into(),
        processes: [
            process("LEACH", &[Substance::Nd], &[R::RareEarthRecoveryPlant]),
            process("MELT", &[], &[R::Smelter, R::Trader, R::Collector, R::RareEarthRecoveryPlant]),
            process("REFINE", &[Substance::Cu], &[R::Smelter, R::Trader, R::Dismantler]),
        ]
        .into(),
        wastes: [(WASTE.to_owned(), names())].into(),
        grades: [grade].into(),
        permissions,
        invoices: [
            ((InvoiceClass::VatSpecial, InvoiceClass::VatSpecial), true),
            ((InvoiceClass::VatSpecial, InvoiceClass::None), false),
        ]
        .into(),
        recycled: OriginKinds::of(OriginKind::PostConsumer)
            .union(OriginKinds::of(OriginKind::PreConsumer)),
        oxide_factors_e6: [(Substance::Nd, 1_166_377)].into(),
        ..Tables::default()
    }
}

fn process(code: &str, balances: &[Substance], roles: &[PartyRole]) -> (String, Process) {
    let row = Process {
        name_zh: String::new(),
        name_en: String::new(),
        family: "COPPER".to_owned(),
        balances: balances.to_vec(),
        roles: roles.to_vec(),
        usual_yield: (FractionE8::ZERO, FractionE8::WHOLE),
        validity: EVER,
    };
    (code.to_owned(), row)
}

fn materials() -> BTreeMap<String, Material> {
    let row = |family: &str, group: &str, waste: &str| Material {
        name_zh: String::new(),
        name_en: String::new(),
        family: family.to_owned(),
        merge_group: group.to_owned(),
        waste_code: waste.to_owned(),
        is_ore_product: false,
        is_productive_scrap: false,
        transfer_tolerance: FractionE8::new(1_000_000).unwrap(),
        validity: EVER,
    };
    let until = Validity { from: TimeMs::of(0), to: Some(TimeMs::of(OLD_UNTIL_MS)) };
    let ore = Material { is_ore_product: true, ..row("RARE_EARTH", "RE", "") };
    let ore_goods = Material { is_productive_scrap: true, ..ore.clone() };
    let cable = Material { is_productive_scrap: true, ..row("LEAD", "PB", WASTE) };
    [
        ("AL", row("ALUMINIUM", "AL", "")),
        ("CABLE", cable),
        ("CU", row("COPPER", "CU", "")),
        ("CU_FINE", row("COPPER", "CU", "")),
        ("OLD", Material { validity: until, ..row("COPPER", "CU", "") }),
        ("ORE", ore),
        ("ORE_GOODS", ore_goods),
        ("PB", row("LEAD", "PB", "")),
        ("PB_WASTE", row("LEAD", "PB", WASTE)),
        ("RE", row("RARE_EARTH", "RE", "")),
    ]
    .map(|(code, row)| (code.to_owned(), row))
    .into()
}

// --- bodies --------------------------------------------------------------------------------------

pub fn new_lot(id: LotId, material: &str, grams: u64) -> NewLot {
    NewLot {
        id,
        material: material.to_owned(),
        form: "BULK".to_owned(),
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

/// Values as received, without uncertainty; ascending by substance.
pub fn assay(values: &[(Substance, u32)]) -> Composition {
    let value = |&(substance, parts): &(Substance, u32)| AssayValue {
        substance,
        basis: AssayBasis::AsReceived,
        fraction: FractionE8::new(parts).unwrap(),
        uncertainty: FractionE8::ZERO,
    };
    Composition {
        values: values.iter().map(value).collect(),
        moisture: FractionE8::ZERO,
        total: FractionE8::ZERO,
        total_uncertainty: FractionE8::ZERO,
        method: "ICP-OES".to_owned(),
        laboratory: None,
        sample: String::new(),
    }
}

pub fn weighed(net: u64) -> Weighing {
    Weighing {
        gross: Grams::of(net + 5_000),
        tare: Grams::of(5_000),
        net: Grams::of(net),
        ticket: "1".to_owned(),
    }
}

pub fn collect(new: NewLot) -> Body {
    Body::CollectLot(Box::new(collecting(new)))
}

pub fn collecting(new: NewLot) -> CollectLot {
    CollectLot {
        weighing: weighed(new.net_mass.get()),
        lot: new,
        seller_kind: SellerKind::Enterprise,
        seller_commitment: Hash32([3; 32]),
        seller_certificate: String::new(),
        origin_region: "360702".to_owned(),
        invoice_class: InvoiceClass::VatSpecial,
        manifest: None,
    }
}

pub fn draw(from: LotId, grams: u64) -> LotDraw {
    LotDraw { lot: from, mass: Grams::of(grams) }
}

pub fn transforming(process: &str, inputs: &[LotDraw], outputs: &[NewLot]) -> TransformLots {
    TransformLots {
        process: process.to_owned(),
        inputs: inputs.to_vec(),
        additions: Vec::new(),
        outputs: outputs.to_vec(),
        residues: Vec::new(),
        losses: Vec::new(),
        uptakes: Vec::new(),
        energy_wh: 0,
    }
}

pub fn opening(of: CampaignId, process: &str, grams: u64) -> OpenCampaign {
    OpenCampaign {
        campaign: of,
        process: process.to_owned(),
        opening_stock: Grams::of(grams),
        opening_composition: None,
    }
}

pub fn open(of: CampaignId, process: &str) -> Body {
    Body::OpenCampaign(opening(of, process, 0))
}

pub fn charge(of: CampaignId, inputs: &[LotDraw]) -> Body {
    Body::ChargeCampaign(ChargeCampaign {
        campaign: of,
        inputs: inputs.to_vec(),
        additions: Vec::new(),
    })
}

pub fn tap(of: CampaignId, outputs: &[NewLot]) -> Body {
    Body::DrawCampaign(DrawCampaign {
        campaign: of,
        outputs: outputs.to_vec(),
        residues: Vec::new(),
    })
}

/// The end, with stock of which so many parts are copper, and a loss.
pub fn ending(of: CampaignId, stock: u64, copper: u32, loss: u64) -> CloseCampaign {
    let loss = (LossKind::Effluent, Grams::of(loss));
    CloseCampaign {
        campaign: of,
        closing_stock: Grams::of(stock),
        closing_composition: (stock > 0).then(|| assay(&[(Substance::Cu, copper)])),
        losses: [loss].into_iter().filter(|(_, mass)| !mass.is_zero()).collect(),
        uptakes: Vec::new(),
    }
}

pub fn offering(of: LotId, grams: u64, to: PartyId, scope: TransferScope) -> OfferTransfer {
    OfferTransfer {
        lot: of,
        mass: Grams::of(grams),
        consignee: to,
        consignee_site: scope.moves_custody().then_some(site(to)),
        scope,
        carrier: None,
        vehicle: String::new(),
        invoice_class: None,
        manifest: None,
    }
}

pub fn offer(of: LotId, grams: u64, to: PartyId) -> Body {
    Body::OfferTransfer(offering(of, grams, to, TransferScope::CustodyAndOwnership))
}

pub fn accept(offer: EventId, net: u64, received_lot: Option<LotId>) -> Body {
    Body::AcceptTransfer(AcceptTransfer { offer, received: Some(weighed(net)), received_lot })
}

pub fn partly(offer: EventId, net: u64, refused: u64, received_lot: LotId) -> Body {
    Body::PartlyAcceptTransfer(PartlyAcceptTransfer {
        offer,
        received: Some(weighed(net)),
        received_lot,
        refused: Grams::of(refused),
        reason: TransferReason::Quality,
    })
}

pub fn giving_back(offer: EventId, of: LotId, grams: u64) -> Body {
    let (mass, reason) = (Grams::of(grams), TransferReason::Quality);
    Body::ReturnTransfer(ReturnTransfer { offer, lot: of, mass, reason })
}

pub fn settling(offer: EventId, grams: u64) -> Body {
    let (agreed, cause) = (Grams::of(grams), TransferReason::Quantity);
    Body::SettleDiscrepancy(SettleDiscrepancy { offer, agreed, cause })
}

pub fn counting(of: LotId, grams: u64) -> Body {
    let (counted, reason) = (Grams::of(grams), "month's end".to_owned());
    Body::Stocktake(Stocktake { lot: of, counted, reason })
}

pub fn disposing(of: LotId, grams: u64, facility: PartyId) -> DisposeResidue {
    let route = "landfill".to_owned();
    DisposeResidue { residue: draw(of, grams), route, facility, manifest: None }
}

pub fn leaving(of: LotId, grams: u64) -> Body {
    Body::ExitLot(ExitLot {
        lot: draw(of, grams),
        buyer_kind: BuyerKind::Manufacturer,
        customs_number: String::new(),
        buyer_commitment: Hash32([4; 32]),
    })
}

/// An approval without end, whose number is its mass.
pub fn approving(of: LotId, from: PartyId, to: PartyId, grams: u64) -> Body {
    Body::Approval(Approval {
        lot: of,
        from,
        to,
        mass: Grams::of(grams),
        number: grams.to_string(),
        valid_to: None,
    })
}

pub fn succeeding(party: PartyId, successor: PartyId) -> Body {
    Body::SucceedParty(SucceedParty { party, successor })
}

/// A claim of copper at the first site of a party.
pub fn claiming(of: PartyId, grams: u64, from: Month, to: Month) -> Body {
    let (site, substance, mass) = (site(of), Substance::Cu, Grams::of(grams));
    Body::ClaimCredit(ClaimCredit { site, substance, mass, from, to })
}

pub fn error(target: EventId, correctives: &[&Event]) -> Body {
    let kind =
        if correctives.is_empty() { ErrorKind::DidNotOccur } else { ErrorKind::IncorrectData };
    let correctives = correctives.iter().map(|event| (event.id, payload_hash(event))).collect();
    Body::DeclareError(DeclareError { target, kind, note: String::new(), correctives })
}
