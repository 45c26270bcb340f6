//! Campaigns as the proto tells them: the balance of mass and of each element.

use super::convert::{missing, needed, optional, raw, raw_or_none};
use super::errors::Failure;
use super::eyes::Eyes;
use super::pages::{List, cut, page_size};
use super::viewer::Viewer;
use crate::domain::campaign::{Amount, Campaign, CampaignStatus, Closing};
use crate::domain::composition::div_half_even;
use crate::domain::flag::Flag;
use crate::domain::lot::Contents;
use crate::domain::vocabulary::{OriginKind, Substance};
use crate::domain::{CampaignId, EventId, Grams, PartyId, SiteId};
use crate::limits::{MAX_CAMPAIGN_SCANS, WHOLE_E8};
use crate::node::{CampaignFilter, Reader};
use crate::wire::v1;

/// One campaign.
pub fn one(
    eyes: Eyes<'_>,
    request: &v1::GetCampaignRequest,
) -> Result<v1::GetCampaignResponse, Failure> {
    let id = needed("campaign_id", &request.campaign_id, CampaignId::parse)?;
    let found = eyes.reader.campaign(id)?.filter(|campaign| sees(eyes.viewer, campaign));
    let campaign = found.ok_or_else(|| missing("campaign", &id))?;
    Ok(v1::GetCampaignResponse { campaign: Some(told(eyes.reader, &campaign)?) })
}

/// Whose a campaign is to read: of who runs it, of whose property is in it, of overseers.
pub fn sees(viewer: Viewer, campaign: &Campaign) -> bool {
    match viewer {
        Viewer::Overseer => true,
        Viewer::Party(party) => campaign.party == party || campaign.owner == Some(party),
        Viewer::Stranger => false,
    }
}

/// A page of campaigns. One that is not the viewer's is passed over as if it were not there: a
/// token names only what was told, so the list is looked through until the page is full.
pub fn page(
    eyes: Eyes<'_>,
    request: &v1::ListCampaignsRequest,
) -> Result<v1::ListCampaignsResponse, Failure> {
    let filter = CampaignFilter {
        party: optional("party_id", &request.party_id, PartyId::parse)?,
        site: optional("site_id", &request.site_id, SiteId::parse)?,
        status: status(request.status)?,
        of_party: match eyes.viewer {
            Viewer::Overseer => None,
            Viewer::Party(party) => Some(party),
            Viewer::Stranger => return Ok(v1::ListCampaignsResponse::default()),
        },
    };
    let parts: [&[u8]; 3] = [&request.party_id, &request.site_id, &request.status.to_be_bytes()];
    let list = List::new("ListCampaigns", &parts);
    let mut after = list.cursor(&request.page_token)?.map(CampaignId::from_bytes);
    let size = page_size(request.page_size);
    let mut found: Vec<Campaign> = Vec::new();
    for _ in 0..MAX_CAMPAIGN_SCANS {
        let left = size.saturating_add(1).saturating_sub(found.len());
        let scan = eyes.reader.campaigns(after, left, &filter)?;
        found.extend(scan.campaigns);
        after = scan.stopped_at;
        if after.is_none() || found.len() > size {
            break;
        }
    }
    let mut campaigns = Vec::with_capacity(found.len());
    for campaign in &found {
        campaigns.push(told(eyes.reader, campaign)?);
    }
    let kept = cut(&mut campaigns, size).and_then(|at| found.get(at)).map(|it| it.id);
    let next = kept.map(|id| list.token(id.as_bytes()));
    Ok(v1::ListCampaignsResponse { campaigns, next_page_token: next.unwrap_or_default() })
}

fn status(number: i32) -> Result<Option<CampaignStatus>, Failure> {
    match v1::CampaignStatus::try_from(number) {
        Ok(v1::CampaignStatus::Unspecified) => Ok(None),
        Ok(v1::CampaignStatus::Open) => Ok(Some(CampaignStatus::Open)),
        Ok(v1::CampaignStatus::Closed) => Ok(Some(CampaignStatus::Closed)),
        Ok(v1::CampaignStatus::Retracted) => Ok(Some(CampaignStatus::Retracted)),
        Err(_) => Err(Failure::field("status", "a number of CampaignStatus", number.to_string())),
    }
}

impl From<CampaignStatus> for v1::CampaignStatus {
    fn from(status: CampaignStatus) -> Self {
        match status {
            CampaignStatus::Open => Self::Open,
            CampaignStatus::Closed => Self::Closed,
            CampaignStatus::Retracted => Self::Retracted,
        }
    }
}

/// A campaign with what the rules remarked at its close.
fn told(reader: &Reader, campaign: &Campaign) -> Result<v1::Campaign, Failure> {
    let flags = match &campaign.closing {
        None => Vec::new(),
        Some(closing) => {
            let record = reader.event(closing.event)?;
            record.ok_or_else(|| missing("event", &closing.event))?.flags
        }
    };
    Ok(message(campaign, &flags))
}

fn message(campaign: &Campaign, flags: &[Flag]) -> v1::Campaign {
    let closing = campaign.closing.as_ref();
    let grams = |of: fn(&Closing) -> Grams| closing.map_or(0, |closing| of(closing).get());
    let waiver = campaign.opening.waived_by;
    let kinds = campaign.origin_kinds();
    let balances = analysed(campaign).into_iter().map(|it| balance(campaign, flags, it));
    v1::Campaign {
        campaign_id: raw(campaign.id.as_bytes()),
        process: campaign.process.clone(),
        party_id: raw(campaign.party.as_bytes()),
        site_id: raw(campaign.site.as_bytes()),
        owner_party_id: raw_or_none(campaign.owner.as_ref().map(PartyId::as_bytes)),
        status: v1::CampaignStatus::from(campaign.status()).into(),
        previous_campaign_id: raw_or_none(campaign.before.as_ref().map(CampaignId::as_bytes)),
        opening_waiver_event_id: raw_or_none(waiver.as_ref().map(EventId::as_bytes)),
        origin_kinds: kinds.iter().map(OriginKind::number).map(i32::from).collect(),
        open_event_id: raw(campaign.opened_by.as_bytes()),
        open_entry_index: campaign.opened_at.0,
        opened_at_ms: campaign.opened_occurred_at.get(),
        close_event_id: raw_or_none(closing.map(|closing| closing.event.as_bytes())),
        closed_at_ms: closing.map_or(0, |closing| closing.occurred_at.get()),
        last_occurred_at_ms: campaign.last_occurred_at.get(),
        event_count: u32::try_from(campaign.life.len()).unwrap_or(u32::MAX),
        opening_stock_g: campaign.opening.stock.of_mass.get(),
        inputs_g: campaign.inputs.mass.get(),
        additions_g: campaign.additions.mass.get(),
        uptake_g: grams(|closing| closing.uptake),
        outputs_g: campaign.outputs.mass.get(),
        residues_g: campaign.residues.mass.get(),
        loss_g: grams(|closing| closing.loss),
        closing_stock_g: grams(|closing| closing.stock.of_mass),
        balances: balances.collect(),
    }
}

/// Every element that is balanced, or that was looked for in anything.
fn analysed(campaign: &Campaign) -> Vec<Substance> {
    let stocks = [Some(&campaign.opening.stock), campaign.closing.as_ref().map(|it| &it.stock)];
    let tallies = [&campaign.inputs, &campaign.additions, &campaign.outputs, &campaign.residues];
    let is_analysed = |substance: &Substance| {
        let in_stock = |stock: &&Contents| stock.of(*substance).is_some();
        campaign.balances.contains(substance)
            || stocks.iter().flatten().any(in_stock)
            || tallies.iter().any(|it| it.items.iter().any(|item| item.substance == *substance))
    };
    Substance::ALL.iter().copied().filter(is_analysed).collect()
}

fn balance(campaign: &Campaign, flags: &[Flag], substance: Substance) -> v1::CampaignBalance {
    let opening = Amount::in_contents(&campaign.opening.stock, substance);
    let (inputs, additions) =
        (campaign.inputs.known(substance), campaign.additions.known(substance));
    let (outputs, residues) = (campaign.outputs.said(substance), campaign.residues.said(substance));
    let closing = campaign.closing.as_ref();
    let closing = closing.and_then(|it| Amount::in_contents(&it.stock, substance));
    let all = [opening, inputs, additions, Some(outputs), Some(residues), closing];
    let uncertainty = all.iter().flatten().map(|amount| amount.uncertainty).sum();
    let out = closing.map(|stays| campaign.came_out(substance).plus(stays).grams);
    let variance = campaign.went_in(substance).zip(out).filter(|(into, _)| into.grams > 0);
    let variance = variance.map(|(into, out)| {
        whole(div_half_even(into.grams.abs_diff(out) * u128::from(WHOLE_E8), into.grams))
    });
    let is_its = |flag: &Flag| match flag {
        Flag::PeriodVariance(variance) => variance.substance == substance,
        Flag::InvoiceClassUnmatched(..) => false,
    };
    let grams = |amount: Option<Amount>| amount.map(|amount| whole(amount.grams));
    v1::CampaignBalance {
        substance: substance.number().into(),
        is_balanced: campaign.balances.contains(&substance),
        opening_g: grams(opening),
        inputs_g: grams(inputs),
        additions_g: grams(additions),
        outputs_g: whole(outputs.grams),
        residues_g: whole(residues.grams),
        closing_g: grams(closing),
        uncertainty_g: whole(uncertainty),
        variance_e8: variance,
        is_flagged: flags.iter().any(is_its),
    }
}

fn whole(grams: u128) -> u64 {
    u64::try_from(grams).unwrap_or(u64::MAX)
}
