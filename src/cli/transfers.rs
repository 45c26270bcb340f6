//! `urbanmine transfers`

use clap::Args;
use comfy_table::{Table, presets};
use serde_json::{Value as Json, json};

use super::client::{AccessArgs, Client, Refused};
use super::names::{id_or_none, id_text};
use super::output::{grams, print_json, time};
use super::runtime;
use crate::wire::v1;

/// List transfers: of a party or a lot, and how they stand.
#[derive(Debug, Args)]
pub struct TransfersArgs {
    /// Offered by this party: a UUID, or `@name` of the sample.
    #[arg(long)]
    sender: Option<String>,
    /// Offered to this party.
    #[arg(long)]
    consignee: Option<String>,
    /// Of this lot, as it was offered or as it arrived.
    #[arg(long)]
    lot: Option<String>,
    /// How they stand: open, accepted, discrepant, rejected, cancelled, retracted, settled or
    /// partly-accepted.
    #[arg(long, value_parser = status_of)]
    status: Option<v1::TransferStatus>,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    server: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TransfersArgs) -> anyhow::Result<()> {
    let request = v1::ListTransfersRequest {
        sender_party_id: id_or_none(args.sender.as_deref())?,
        consignee_party_id: id_or_none(args.consignee.as_deref())?,
        lot_id: id_or_none(args.lot.as_deref())?,
        status: args.status.unwrap_or_default().into(),
        ..v1::ListTransfersRequest::default()
    };
    runtime()?.block_on(async {
        let mut client = Client::connect_with(&args.server, &args.access).await?;
        let transfers = all(&mut client, request).await?;
        if args.json {
            let all: Vec<Json> = transfers.iter().map(transfer_json).collect();
            return print_json(&json!({ "transfers": all }));
        }
        print(&transfers);
        Ok(())
    })
}

/// A status as people type it.
fn status_of(text: &str) -> Result<v1::TransferStatus, String> {
    let word = text.to_ascii_uppercase().replace('-', "_");
    v1::TransferStatus::from_str_name(&format!("TRANSFER_STATUS_{word}"))
        .filter(|status| *status != v1::TransferStatus::Unspecified)
        .ok_or_else(|| format!("{text} is not how a transfer stands"))
}

/// Every page. One may be empty although the list goes on; the token changes with each.
async fn all(
    client: &mut Client,
    mut request: v1::ListTransfersRequest,
) -> anyhow::Result<Vec<v1::Transfer>> {
    let mut transfers = Vec::new();
    loop {
        let reply = client.lots.list_transfers(request.clone()).await;
        let page = reply.map_err(|it| Refused::of(&it))?.into_inner();
        transfers.extend(page.transfers);
        // The same token again would never end.
        if page.next_page_token.is_empty() || page.next_page_token == request.page_token {
            return Ok(transfers);
        }
        request.page_token = page.next_page_token;
    }
}

fn status(transfer: &v1::Transfer) -> String {
    transfer.status().as_str_name().trim_start_matches("TRANSFER_STATUS_").to_owned()
}

fn scope(transfer: &v1::Transfer) -> String {
    transfer.scope().as_str_name().trim_start_matches("TRANSFER_SCOPE_").to_owned()
}

fn transfer_json(transfer: &v1::Transfer) -> Json {
    json!({
        "offer_event_id": id_text(&transfer.offer_event_id),
        "status": status(transfer),
        "lot_id": id_text(&transfer.lot_id),
        "mass_g": transfer.mass_g,
        "is_whole_lot": transfer.is_whole_lot,
        "sender_party_id": id_text(&transfer.sender_party_id),
        "consignee_party_id": id_text(&transfer.consignee_party_id),
        "consignee_site_id": id_text(&transfer.consignee_site_id),
        "scope": scope(transfer),
        "occurred_at_ms": transfer.occurred_at_ms,
        "refused_g": transfer.refused_g,
        "received_lot_id": id_text(&transfer.received_lot_id),
        "received_g": transfer.received_g,
        "answer_event_id": id_text(&transfer.answer_event_id),
        "returns_offer_event_id": id_text(&transfer.returns_offer_event_id),
    })
}

fn print(transfers: &[v1::Transfer]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["offer", "occurred", "status", "lot", "offered", "received", "from", "to"]);
    for transfer in transfers {
        let has_arrived = !transfer.received_lot_id.is_empty();
        table.add_row([
            id_text(&transfer.offer_event_id),
            time(transfer.occurred_at_ms),
            status(transfer),
            id_text(&transfer.lot_id),
            grams(transfer.mass_g),
            if has_arrived { grams(transfer.received_g) } else { String::new() },
            id_text(&transfer.sender_party_id),
            id_text(&transfer.consignee_party_id),
        ]);
    }
    println!("{table}");
}
