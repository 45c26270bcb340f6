//! `urbanmine campaign`

use anyhow::Context as _;
use clap::Args;
use comfy_table::{Table, presets};
use serde_json::{Value as Json, json};

use super::client::{Client, Refused};
use super::lot::substance;
use super::names::{id_bytes, id_text};
use super::output::{grams, print_json, time};
use super::runtime;
use crate::domain::vocabulary::OriginKind;
use crate::limits::WHOLE_E8;
use crate::wire::v1;

/// Show a campaign and its balance.
#[derive(Debug, Args)]
pub struct CampaignArgs {
    /// The campaign: a UUID.
    campaign: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    server: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CampaignArgs) -> anyhow::Result<()> {
    let id = id_bytes(&args.campaign)?;
    runtime()?.block_on(async {
        let mut client = Client::connect(&args.server).await?;
        let campaign_id = bytes::Bytes::copy_from_slice(&id);
        let request = v1::GetCampaignRequest { campaign_id };
        let reply = client.lots.get_campaign(request).await.map_err(|it| Refused::of(&it))?;
        let campaign = reply.into_inner().campaign.context("the server sent no campaign")?;
        if args.json {
            return print_json(&campaign_json(&campaign));
        }
        print(&campaign);
        Ok(())
    })
}

fn status(campaign: &v1::Campaign) -> String {
    campaign.status().as_str_name().trim_start_matches("CAMPAIGN_STATUS_").to_owned()
}

fn origins(campaign: &v1::Campaign) -> Vec<String> {
    let name = |number: &i32| {
        OriginKind::from_number(*number).map_or_else(|| number.to_string(), |it| it.to_string())
    };
    campaign.origin_kinds.iter().map(name).collect()
}

fn campaign_json(campaign: &v1::Campaign) -> Json {
    let balance = |it: &v1::CampaignBalance| {
        json!({ "substance": substance(it.substance), "is_balanced": it.is_balanced,
                "opening_g": it.opening_g, "inputs_g": it.inputs_g,
                "additions_g": it.additions_g, "outputs_g": it.outputs_g,
                "residues_g": it.residues_g, "closing_g": it.closing_g,
                "uncertainty_g": it.uncertainty_g, "variance_e8": it.variance_e8,
                "is_flagged": it.is_flagged })
    };
    json!({
        "campaign_id": id_text(&campaign.campaign_id),
        "process": campaign.process,
        "status": status(campaign),
        "party_id": id_text(&campaign.party_id),
        "site_id": id_text(&campaign.site_id),
        "owner_party_id": id_text(&campaign.owner_party_id),
        "previous_campaign_id": id_text(&campaign.previous_campaign_id),
        "opening_waiver_event_id": id_text(&campaign.opening_waiver_event_id),
        "origin_kinds": origins(campaign),
        "open_event_id": id_text(&campaign.open_event_id),
        "opened_at_ms": campaign.opened_at_ms,
        "close_event_id": id_text(&campaign.close_event_id),
        "closed_at_ms": campaign.closed_at_ms,
        "event_count": campaign.event_count,
        "opening_stock_g": campaign.opening_stock_g,
        "inputs_g": campaign.inputs_g,
        "additions_g": campaign.additions_g,
        "uptake_g": campaign.uptake_g,
        "outputs_g": campaign.outputs_g,
        "residues_g": campaign.residues_g,
        "loss_g": campaign.loss_g,
        "closing_stock_g": campaign.closing_stock_g,
        "balances": campaign.balances.iter().map(balance).collect::<Vec<_>>(),
    })
}

fn print(campaign: &v1::Campaign) {
    println!("campaign   {}", id_text(&campaign.campaign_id));
    println!("process    {}", campaign.process);
    println!("status     {}", status(campaign));
    println!("party      {}", id_text(&campaign.party_id));
    println!("site       {}", id_text(&campaign.site_id));
    println!("owner      {}", id_text(&campaign.owner_party_id));
    println!("origin     {}", origins(campaign).join(", "));
    println!("opened     {}", time(campaign.opened_at_ms));
    if campaign.closed_at_ms > 0 {
        println!("closed     {}", time(campaign.closed_at_ms));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "of",
        "opening",
        "inputs",
        "additions",
        "outputs",
        "residues",
        "closing",
        "apart",
    ]);
    table.add_row([
        "mass".to_owned(),
        grams(campaign.opening_stock_g),
        grams(campaign.inputs_g),
        grams(campaign.additions_g),
        grams(campaign.outputs_g),
        grams(campaign.residues_g),
        grams(campaign.closing_stock_g),
        format!("{} lost, {} joined", grams(campaign.loss_g), grams(campaign.uptake_g)),
    ]);
    for it in &campaign.balances {
        let known = |mass: Option<u64>| mass.map_or_else(|| "?".to_owned(), grams);
        table.add_row([
            substance(it.substance),
            known(it.opening_g),
            known(it.inputs_g),
            known(it.additions_g),
            grams(it.outputs_g),
            grams(it.residues_g),
            if campaign.closed_at_ms > 0 { known(it.closing_g) } else { String::new() },
            apart(it),
        ]);
    }
    println!("{table}");
}

/// How far in and out are apart, in per cent with three decimals.
fn apart(balance: &v1::CampaignBalance) -> String {
    let flag = if balance.is_flagged { " (flagged)" } else { "" };
    let Some(variance) = balance.variance_e8 else { return String::new() };
    let thousandths = variance / u64::from(WHOLE_E8 / 100_000);
    format!("{}.{:03} %{flag}", thousandths / 1_000, thousandths % 1_000)
}
