//! Events that make lots, measure them and turn them into others.

use super::fields::Fields;
use super::v1;
use crate::domain::event::{
    AssayLot, AssayValue, Body, CollectLot, Composition, GradeRef, LotDraw, Manifest, MergeLots,
    NewLot, OpeningInventory, SplitLot, TransformLots, Weighing,
};
use crate::domain::vocabulary::{
    AssayBasis, CustodyModel, InvoiceClass, LossKind, OriginKind, SellerKind, Substance, UptakeKind,
};
use crate::domain::{Grams, Hash32, LotId, PartyId};
use crate::limits::{
    MANIFEST_DIGITS, MAX_ADDITIONS, MAX_ASSAY_VALUES, MAX_CODE_BYTES, MAX_GRADES, MAX_INPUTS,
    MAX_MASS_LINES, MAX_OUTPUTS, MAX_SHORT_TEXT_BYTES, MAX_SPLIT_CHILDREN, MAX_VEHICLE_BYTES,
};

/// Reads a body of this family; `None` after a fault, and for bodies of other families.
pub(super) fn read(fields: &mut Fields, body: &v1::event::Body) -> Option<Body> {
    use v1::event::Body as B;
    match body {
        B::OpeningInventory(one) => fields
            .message("opening_inventory", Some(one), opening_inventory)
            .map(Body::OpeningInventory),
        B::CollectLot(one) => fields
            .message("collect_lot", Some(one), collect_lot)
            .map(|collect| Body::CollectLot(Box::new(collect))),
        B::AssayLot(one) => fields.message("assay_lot", Some(one), assay_lot).map(Body::AssayLot),
        B::SplitLot(one) => fields.message("split_lot", Some(one), split_lot).map(Body::SplitLot),
        B::MergeLots(one) => fields
            .message("merge_lots", Some(one), merge_lots)
            .map(|merge| Body::MergeLots(Box::new(merge))),
        B::TransformLots(one) => fields
            .message("transform_lots", Some(one), transform_lots)
            .map(|transform| Body::TransformLots(Box::new(transform))),
        _ => None,
    }
}

/// Whether a lot enters the ledger here or is made from others.
#[derive(Clone, Copy)]
pub(super) enum Birth {
    Enters,
    Made,
}

fn opening_inventory(
    fields: &mut Fields,
    opening: &v1::OpeningInventory,
) -> Option<OpeningInventory> {
    let party = fields.id("party_id", &opening.party_id, PartyId::parse);
    let lots = fields
        .list("lots", &opening.lots, (1, MAX_OUTPUTS), |f, lot| new_lot(f, lot, Birth::Enters));
    Some(OpeningInventory { party: party?, lots: lots? })
}

fn collect_lot(fields: &mut Fields, collect: &v1::CollectLot) -> Option<CollectLot> {
    let lot = fields.message("lot", collect.lot.as_ref(), |f, lot| new_lot(f, lot, Birth::Enters));
    let seller_kind = fields.word("seller_kind", collect.seller_kind, SellerKind::from_number);
    let commitment = fields.bytes32("seller_commitment", &collect.seller_commitment);
    let certificate =
        fields.text("seller_certificate", &collect.seller_certificate, (0, MAX_SHORT_TEXT_BYTES));
    let weighing = fields.message("weighing", collect.weighing.as_ref(), weighing);
    let origin_region = fields.digits("origin_region", &collect.origin_region, 6);
    let invoice_class =
        fields.word("invoice_class", collect.invoice_class, InvoiceClass::from_number);
    let manifest = fields.optional("manifest", collect.manifest.as_ref(), manifest);
    Some(CollectLot {
        lot: lot?,
        seller_kind: seller_kind?,
        seller_commitment: Hash32(commitment?),
        seller_certificate: certificate?,
        weighing: weighing?,
        origin_region: origin_region?,
        invoice_class: invoice_class?,
        manifest: manifest?,
    })
}

pub(super) fn new_lot(fields: &mut Fields, lot: &v1::NewLot, birth: Birth) -> Option<NewLot> {
    let id = fields.id("lot_id", &lot.lot_id, LotId::parse);
    let material = fields.code("material", &lot.material);
    let form = fields.code("form", &lot.form);
    let origin_kind = match birth {
        Birth::Enters => {
            fields.word("origin_kind", lot.origin_kind, OriginKind::from_number).map(Some)
        }
        Birth::Made => {
            let rule = "is absent for a lot made from others: the ledger derives it";
            fields
                .require(lot.origin_kind == 0, "origin_kind", rule, lot.origin_kind)
                .map(|()| None)
        }
    };
    let net_mass = fields.positive_mass("net_mass_g", lot.net_mass_g);
    let custody_model = fields.word("custody_model", lot.custody_model, CustodyModel::from_number);
    let grades = fields.list("grades", &lot.grades, (0, MAX_GRADES), grade);
    let composition = fields.optional("composition", lot.composition.as_ref(), composition);
    Some(NewLot {
        id: id?,
        material: material?,
        form: form?,
        origin_kind: origin_kind?,
        net_mass: net_mass?,
        custody_model: custody_model?,
        grades: grades?,
        composition: composition?,
    })
}

fn grade(fields: &mut Fields, grade: &v1::GradeRef) -> Option<GradeRef> {
    let scheme = fields.text("scheme", &grade.scheme, (1, MAX_CODE_BYTES));
    let code = fields.text("code", &grade.code, (1, MAX_CODE_BYTES));
    Some(GradeRef { scheme: scheme?, code: code? })
}

/// What is in a lot; see `AssayBasis` in the proto for which value needs the total.
pub(super) fn composition(
    fields: &mut Fields,
    composition: &v1::Composition,
) -> Option<Composition> {
    let values = fields.list("values", &composition.values, (1, MAX_ASSAY_VALUES), assay_value);
    let numbers: Vec<i32> = composition.values.iter().map(|value| value.substance).collect();
    let ascending = fields.ascending("values", &numbers);
    let moisture = fields.fraction("moisture_e8", composition.moisture_e8);
    let total = fields.fraction("total_e8", composition.total_e8);
    let total_uncertainty =
        fields.fraction("total_uncertainty_e8", composition.total_uncertainty_e8);
    let total_rule = total_rule(fields, composition);
    let method = fields.text("method", &composition.method, (0, MAX_SHORT_TEXT_BYTES));
    let laboratory =
        fields.optional_id("laboratory_party_id", &composition.laboratory_party_id, PartyId::parse);
    let sample = fields.text("sample", &composition.sample, (0, MAX_SHORT_TEXT_BYTES));
    ascending.and(total_rule)?;
    Some(Composition {
        values: values?,
        moisture: moisture?,
        total: total?,
        total_uncertainty: total_uncertainty?,
        method: method?,
        laboratory: laboratory?,
        sample: sample?,
    })
}

fn assay_value(fields: &mut Fields, value: &v1::AssayValue) -> Option<AssayValue> {
    let substance = fields.word("substance", value.substance, Substance::from_number);
    let basis = fields.word("basis", value.basis, AssayBasis::from_number);
    let fraction = fields.fraction("fraction_e8", value.fraction_e8);
    let uncertainty = fields.fraction("uncertainty_e8", value.uncertainty_e8);
    let of_total = matches!(basis, Some(AssayBasis::ReoOfTreo | AssayBasis::Metal));
    let is_suited = !of_total || substance.is_none_or(Substance::is_rare_earth);
    let rule = "of total rare earths is for rare earths only";
    let basis_rule = fields.require(is_suited, "basis", rule, value.substance);
    basis_rule?;
    Some(AssayValue {
        substance: substance?,
        basis: basis?,
        fraction: fraction?,
        uncertainty: uncertainty?,
    })
}

/// One total is of oxide or of metal, and is there exactly when a value is a fraction of it.
fn total_rule(fields: &mut Fields, composition: &v1::Composition) -> Option<()> {
    let has = |basis: AssayBasis| {
        composition.values.iter().any(|value| value.basis == i32::from(basis.number()))
    };
    let (of_oxide, of_metal) = (has(AssayBasis::ReoOfTreo), has(AssayBasis::Metal));
    let rule = "does not mix values of total oxide and of total metal: there is one total";
    let unmixed = fields.require(!(of_oxide && of_metal), "values", rule, "both");
    let needs_total = of_oxide || of_metal;
    let total = composition.total_e8;
    let rule = "is present exactly when a value is a fraction of total rare earths";
    let matching = fields.require(needs_total == (total > 0), "total_e8", rule, total);
    let uncertainty = composition.total_uncertainty_e8;
    let rule = "is absent without total_e8";
    let spread =
        fields.require(total > 0 || uncertainty == 0, "total_uncertainty_e8", rule, uncertainty);
    unmixed.and(matching).and(spread)
}

/// One pass over a weighbridge; the arithmetic is the domain's to judge.
pub(super) fn weighing(fields: &mut Fields, weighing: &v1::Weighing) -> Option<Weighing> {
    let gross = fields.mass("gross_g", weighing.gross_g);
    let tare = fields.mass("tare_g", weighing.tare_g);
    let net = fields.mass("net_g", weighing.net_g);
    let ticket = fields.text("ticket", &weighing.ticket, (1, MAX_SHORT_TEXT_BYTES));
    Some(Weighing { gross: gross?, tare: tare?, net: net?, ticket: ticket? })
}

/// A hazardous-waste manifest.
pub(super) fn manifest(fields: &mut Fields, manifest: &v1::Manifest) -> Option<Manifest> {
    let number = fields.digits("number", &manifest.number, MANIFEST_DIGITS);
    let carrier =
        fields.optional_id("carrier_party_id", &manifest.carrier_party_id, PartyId::parse);
    let vehicle = fields.text("vehicle", &manifest.vehicle, (0, MAX_VEHICLE_BYTES));
    Some(Manifest { number: number?, carrier: carrier?, vehicle: vehicle? })
}

fn assay_lot(fields: &mut Fields, assay: &v1::AssayLot) -> Option<AssayLot> {
    let lot = fields.id("lot_id", &assay.lot_id, LotId::parse);
    let composition = fields.message("composition", assay.composition.as_ref(), composition);
    Some(AssayLot { lot: lot?, composition: composition? })
}

fn split_lot(fields: &mut Fields, split: &v1::SplitLot) -> Option<SplitLot> {
    let parent = fields.id("parent_lot_id", &split.parent_lot_id, LotId::parse);
    let children = fields.list("children", &split.children, (1, MAX_SPLIT_CHILDREN), |f, child| {
        draw(f, &child.lot_id, child.mass_g)
    });
    let handling_loss = fields.mass("handling_loss_g", split.handling_loss_g);
    Some(SplitLot { parent: parent?, children: children?, handling_loss: handling_loss? })
}

fn merge_lots(fields: &mut Fields, merge: &v1::MergeLots) -> Option<MergeLots> {
    let parents = fields.list("parents", &merge.parents, (2, MAX_INPUTS), lot_draw);
    let output =
        fields.message("output", merge.output.as_ref(), |f, lot| new_lot(f, lot, Birth::Made));
    Some(MergeLots { parents: parents?, output: output? })
}

fn transform_lots(fields: &mut Fields, transform: &v1::TransformLots) -> Option<TransformLots> {
    let process = fields.code("process", &transform.process);
    let rule = "is absent: what belongs to a campaign is charged to it and drawn from it";
    let campaign = fields.absent_bytes("campaign_id", &transform.campaign_id, rule);
    let inputs = fields.list("inputs", &transform.inputs, (1, MAX_INPUTS), lot_draw);
    let additions = fields.list("additions", &transform.additions, (0, MAX_ADDITIONS), lot_draw);
    let outputs = fields.list("outputs", &transform.outputs, (1, MAX_OUTPUTS), |f, lot| {
        new_lot(f, lot, Birth::Made)
    });
    let residues = fields.list("residues", &transform.residues, (0, MAX_OUTPUTS), |f, lot| {
        new_lot(f, lot, Birth::Made)
    });
    let losses = loss_lines(fields, &transform.losses);
    let uptakes = uptake_lines(fields, &transform.uptakes);
    campaign?;
    Some(TransformLots {
        process: process?,
        inputs: inputs?,
        additions: additions?,
        outputs: outputs?,
        residues: residues?,
        losses: losses?,
        uptakes: uptakes?,
        energy_wh: transform.energy_wh,
    })
}

/// What is gone: kinds ascending, each once.
pub(super) fn loss_lines(
    fields: &mut Fields,
    lines: &[v1::LossLine],
) -> Option<Vec<(LossKind, Grams)>> {
    let losses = fields.list("losses", lines, (0, MAX_MASS_LINES), |f, line| {
        mass_line(f, line.kind, LossKind::from_number, line.mass_g)
    });
    let kinds: Vec<i32> = lines.iter().map(|line| line.kind).collect();
    fields.ascending("losses", &kinds)?;
    losses
}

/// What joined: kinds ascending, each once.
pub(super) fn uptake_lines(
    fields: &mut Fields,
    lines: &[v1::UptakeLine],
) -> Option<Vec<(UptakeKind, Grams)>> {
    let uptakes = fields.list("uptakes", lines, (0, MAX_MASS_LINES), |f, line| {
        mass_line(f, line.kind, UptakeKind::from_number, line.mass_g)
    });
    let kinds: Vec<i32> = lines.iter().map(|line| line.kind).collect();
    fields.ascending("uptakes", &kinds)?;
    uptakes
}

fn mass_line<K>(
    fields: &mut Fields,
    kind: i32,
    from_number: fn(i32) -> Option<K>,
    mass_g: u64,
) -> Option<(K, Grams)> {
    let kind = fields.word("kind", kind, from_number);
    let mass = fields.positive_mass("mass_g", mass_g);
    Some((kind?, mass?))
}

pub(super) fn lot_draw(fields: &mut Fields, taken: &v1::LotDraw) -> Option<LotDraw> {
    draw(fields, &taken.lot_id, taken.mass_g)
}

fn draw(fields: &mut Fields, lot_id: &[u8], mass_g: u64) -> Option<LotDraw> {
    let lot = fields.id("lot_id", lot_id, LotId::parse);
    let mass = fields.positive_mass("mass_g", mass_g);
    Some(LotDraw { lot: lot?, mass: mass? })
}
