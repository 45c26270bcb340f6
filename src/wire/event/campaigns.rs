//! Events of campaigns.

use super::fields::Fields;
use super::lots::{Birth, composition, loss_lines, lot_draw, new_lot, uptake_lines};
use super::v1;
use crate::domain::CampaignId;
use crate::domain::event::{Body, ChargeCampaign, CloseCampaign, DrawCampaign, OpenCampaign};
use crate::limits::{MAX_ADDITIONS, MAX_INPUTS, MAX_OUTPUTS};

/// Reads a body of this family; `None` after a fault, and for bodies of other families.
pub(super) fn read(fields: &mut Fields, body: &v1::event::Body) -> Option<Body> {
    use v1::event::Body as B;
    match body {
        B::OpenCampaign(one) => {
            fields.message("open_campaign", Some(one), open).map(Body::OpenCampaign)
        }
        B::ChargeCampaign(one) => {
            fields.message("charge_campaign", Some(one), charge).map(Body::ChargeCampaign)
        }
        B::DrawCampaign(one) => {
            fields.message("draw_campaign", Some(one), draw).map(Body::DrawCampaign)
        }
        B::CloseCampaign(one) => {
            fields.message("close_campaign", Some(one), close).map(Body::CloseCampaign)
        }
        _ => None,
    }
}

fn open(fields: &mut Fields, open: &v1::OpenCampaign) -> Option<OpenCampaign> {
    let campaign = fields.id("campaign_id", &open.campaign_id, CampaignId::parse);
    let process = fields.code("process", &open.process);
    let opening_stock = fields.mass("opening_stock_g", open.opening_stock_g);
    let found = open.opening_composition.as_ref();
    let name = "opening_composition";
    let fits = stock_rule(fields, name, open.opening_stock_g, found.is_some());
    let opening_composition = fields.optional(name, found, composition);
    fits?;
    Some(OpenCampaign {
        campaign: campaign?,
        process: process?,
        opening_stock: opening_stock?,
        opening_composition: opening_composition?,
    })
}

fn charge(fields: &mut Fields, charge: &v1::ChargeCampaign) -> Option<ChargeCampaign> {
    let campaign = fields.id("campaign_id", &charge.campaign_id, CampaignId::parse);
    let inputs = fields.list("inputs", &charge.inputs, (0, MAX_INPUTS), lot_draw);
    let additions = fields.list("additions", &charge.additions, (0, MAX_ADDITIONS), lot_draw);
    let is_empty = charge.inputs.is_empty() && charge.additions.is_empty();
    let rule = "names a lot, or additions do";
    fields.require(!is_empty, "inputs", rule, "nothing")?;
    Some(ChargeCampaign { campaign: campaign?, inputs: inputs?, additions: additions? })
}

fn draw(fields: &mut Fields, draw: &v1::DrawCampaign) -> Option<DrawCampaign> {
    let campaign = fields.id("campaign_id", &draw.campaign_id, CampaignId::parse);
    let made = |f: &mut Fields, lot: &v1::NewLot| new_lot(f, lot, Birth::Made);
    let outputs = fields.list("outputs", &draw.outputs, (0, MAX_OUTPUTS), made);
    let residues = fields.list("residues", &draw.residues, (0, MAX_OUTPUTS), made);
    let is_empty = draw.outputs.is_empty() && draw.residues.is_empty();
    let rule = "names a lot, or residues do";
    fields.require(!is_empty, "outputs", rule, "nothing")?;
    Some(DrawCampaign { campaign: campaign?, outputs: outputs?, residues: residues? })
}

fn close(fields: &mut Fields, close: &v1::CloseCampaign) -> Option<CloseCampaign> {
    let campaign = fields.id("campaign_id", &close.campaign_id, CampaignId::parse);
    let closing_stock = fields.mass("closing_stock_g", close.closing_stock_g);
    let found = close.closing_composition.as_ref();
    let name = "closing_composition";
    let fits = stock_rule(fields, name, close.closing_stock_g, found.is_some());
    let closing_composition = fields.optional(name, found, composition);
    let losses = loss_lines(fields, &close.losses);
    let uptakes = uptake_lines(fields, &close.uptakes);
    fits?;
    Some(CloseCampaign {
        campaign: campaign?,
        closing_stock: closing_stock?,
        closing_composition: closing_composition?,
        losses: losses?,
        uptakes: uptakes?,
    })
}

/// Of no stock there is no analysis.
fn stock_rule(fields: &mut Fields, name: &str, stock_g: u64, is_analysed: bool) -> Option<()> {
    let rule = "is absent where nothing is in process";
    fields.require(stock_g > 0 || !is_analysed, name, rule, "a composition of 0 g")
}
