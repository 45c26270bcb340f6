//! Recalls: every lot that contains anything of a lot, with who has it now.

use super::campaigns::sees;
use super::convert::{raw, raw_or_none};
use super::errors::Failure;
use super::eyes::{Eyes, SeenLot};
use super::pages::{List, page_size};
use super::trace_pages::{self, Turn};
use super::traces;
use super::visibility::LotSight;
use crate::domain::campaign::Campaign;
use crate::domain::{CampaignId, LotId, PartyId};
use crate::limits::{MAX_PAGE_BYTES, MAX_RECALL_ROW_BYTES};
use crate::node::Direction;
use crate::wire::v1;

/// A page of the lots that a recall has to reach.
pub fn page(
    eyes: Eyes<'_>,
    seen: &SeenLot,
    request: &v1::ListRecallRequest,
) -> Result<v1::ListRecallResponse, Failure> {
    let list = List::new("ListRecall", &[&request.lot_id, &[u8::from(request.with_used_up)]]);
    let turn = Turn::of(list, &request.page_token, traces::size_for(eyes, seen))?;
    let trace = turn.read(eyes.reader.trace_at(seen.lot.id, Direction::Forward, turn.size))?;
    let found = traces::destinations(eyes, seen, &trace)?;
    let hash = trace_pages::hash(&found.lots, &[]);
    turn.check(hash)?;
    let size = page_size(request.page_size).min(MAX_PAGE_BYTES / MAX_RECALL_ROW_BYTES);
    let (mut rows, mut next) = (Vec::new(), String::new());
    for (position, lot) in found.lots.iter().enumerate().skip(turn.position()) {
        let (row, is_used_up) = row(eyes, lot)?;
        if is_used_up && !request.with_used_up {
            continue;
        }
        if rows.len() == size {
            next = turn.token(position, found.is_complete, hash);
            break;
        }
        rows.push(row);
    }
    Ok(v1::ListRecallResponse {
        rows,
        next_page_token: next,
        is_complete: found.is_complete,
        ledger_size: turn.size.0,
    })
}

/// A row, and whether nothing of it remains.
fn row(eyes: Eyes<'_>, of: &v1::TraceLot) -> Result<(v1::RecallRow, bool), Failure> {
    let told = v1::RecallRow {
        lot_id: of.lot_id.clone(),
        campaign_id: of.campaign_id.clone(),
        depth: of.depth,
        recalled_g: of.remaining_g,
        recalled_at_birth_g: of.mass_g,
        ..v1::RecallRow::default()
    };
    if let Some(id) = of.campaign_id[..].try_into().ok().map(CampaignId::from_bytes) {
        let campaign = eyes.reader.campaign(id)?.filter(|it| sees(eyes.viewer, it));
        return Ok(match campaign {
            Some(campaign) => of_campaign(told, &campaign),
            None => (told, false),
        });
    }
    let lot = of.lot_id[..].try_into().ok().map(LotId::from_bytes);
    let seen = lot.map(|lot| eyes.lot(lot)).transpose()?.flatten();
    match seen {
        Some(seen) => of_lot(eyes, told, &seen),
        None => Ok((told, false)),
    }
}

fn of_lot(
    eyes: Eyes<'_>,
    row: v1::RecallRow,
    seen: &SeenLot,
) -> Result<(v1::RecallRow, bool), Failure> {
    let lot = eyes.tell_lot(seen)?;
    let status = lot.status;
    let row = v1::RecallRow { material: lot.material, form: lot.form, ..row };
    Ok(match &seen.sight {
        LotSight::Whole { .. } | LotSight::Granted { .. } => {
            let row = v1::RecallRow {
                status,
                owner_party_id: lot.owner_party_id,
                possessor_party_id: lot.possessor_party_id,
                site_id: lot.site_id,
                remaining_mass_g: Some(lot.remaining_mass_g),
                ..row
            };
            let is_used_up = row.remaining_mass_g == Some(0);
            (row, is_used_up)
        }
        // Who has it now, and how much of it there is, is the next holder's business.
        LotSight::AsLeft { .. } | LotSight::Step(..) | LotSight::Hidden => {
            (v1::RecallRow { counterparty_party_id: lot.counterparty_party_id, ..row }, false)
        }
    })
}

/// What is in process, until the next campaign takes it over.
fn of_campaign(row: v1::RecallRow, campaign: &Campaign) -> (v1::RecallRow, bool) {
    // While it is open nobody knows what is lost in it.
    let in_process = campaign.closing.as_ref().map(|closing| closing.stock.of_mass.get());
    let closed_at = campaign.closing.as_ref().map(|closing| closing.event);
    let last = campaign.life.last().map(|(_, event)| *event);
    // Behind the close there is only the opening that took the stock over.
    let is_handed_on = closed_at.is_some() && last != closed_at;
    let remaining = if is_handed_on { Some(0) } else { in_process };
    let row = v1::RecallRow {
        owner_party_id: raw_or_none(campaign.owner.as_ref().map(PartyId::as_bytes)),
        possessor_party_id: raw(campaign.party.as_bytes()),
        site_id: raw(campaign.site.as_bytes()),
        remaining_mass_g: remaining,
        ..row
    };
    (row, remaining == Some(0))
}
