//! `urbanmine lot`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use comfy_table::{Table, presets};
use serde_json::{Value as Json, json};

use super::client::{AccessArgs, Client, Refused};
use super::lot_proof;
use super::names::{id_bytes, id_text};
use super::output::{grams, print_json, time};
use super::runtime;
use crate::domain::vocabulary::{self, CustodyModel, EventKind, Substance};
use crate::wire::v1;

/// Show a lot and its life.
#[derive(Debug, Args)]
pub struct LotArgs {
    /// The lot: a UUID, or `@name` of the sample.
    lot: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    server: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Write a file that proves which entries the lot has, all of them, as the ledger stated it
    /// last; whoever has it and the ledger's key needs no server. `-` is standard output.
    #[arg(long, value_name = "FILE")]
    prove: Option<PathBuf>,
    /// With --prove: how far the lot's life got, without its entries. All that an absent lot has.
    #[arg(long, requires = "prove")]
    state_only: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &LotArgs) -> anyhow::Result<()> {
    let id = id_bytes(&args.lot)?;
    runtime()?.block_on(async {
        let mut client = Client::connect_with(&args.server, &args.access).await?;
        let lot_id = bytes::Bytes::copy_from_slice(&id);
        if let Some(file) = &args.prove {
            return lot_proof::write(&mut client, id, file, args.state_only, args.json).await;
        }
        let request = v1::GetLotRequest { lot_id: lot_id.clone() };
        let reply = client.lots.get_lot(request).await.map_err(|it| Refused::of(&it))?;
        let lot = reply.into_inner().lot.context("the server sent no lot")?;
        let events = events_of(&mut client, &lot_id).await?;
        if args.json {
            return print_json(&lot_json(&lot, &events));
        }
        print(&lot, &events);
        Ok(())
    })
}

pub(super) async fn events_of(
    client: &mut Client,
    lot_id: &bytes::Bytes,
) -> anyhow::Result<Vec<v1::LotEvent>> {
    let mut events = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListLotEventsRequest {
            lot_id: lot_id.clone(),
            page_token,
            ..v1::ListLotEventsRequest::default()
        };
        let reply = client.lots.list_lot_events(request).await.map_err(|it| Refused::of(&it))?;
        let page = reply.into_inner();
        let is_empty = page.events.is_empty();
        events.extend(page.events);
        page_token = page.next_page_token;
        // An empty page with a token would never end.
        if page_token.is_empty() || is_empty {
            return Ok(events);
        }
    }
}

/// The word of a number of the proto, or the number.
fn word(name: Option<&'static str>, number: i32) -> String {
    name.map_or_else(|| number.to_string(), str::to_owned)
}

pub(super) fn substance(number: i32) -> String {
    word(Substance::from_number(number).map(Substance::name), number)
}

pub(super) fn kind(number: i32) -> String {
    word(EventKind::from_number(number).map(EventKind::name), number)
}

fn status(lot: &v1::Lot) -> String {
    lot.status().as_str_name().trim_start_matches("LOT_STATUS_").to_owned()
}

fn origins(lot: &v1::Lot) -> Vec<String> {
    let name = |number: &i32| {
        let kind = vocabulary::OriginKind::from_number(*number);
        word(kind.map(vocabulary::OriginKind::name), *number)
    };
    lot.origin_kinds.iter().map(name).collect()
}

fn lot_json(lot: &v1::Lot, events: &[v1::LotEvent]) -> Json {
    let content = |it: &v1::LotContent| {
        json!({ "substance": substance(it.substance), "mass_g": it.mass_g,
                "uncertainty_g": it.uncertainty_g })
    };
    let hold = |it: &v1::LotHold| {
        json!({ "hold_event_id": id_text(&it.hold_event_id),
                "placed_by_party_id": id_text(&it.placed_by_party_id) })
    };
    let approval = |it: &v1::LotApproval| {
        json!({ "event_id": id_text(&it.event_id), "from_party_id": id_text(&it.from_party_id),
                "to_party_id": id_text(&it.to_party_id), "mass_g": it.mass_g, "used_g": it.used_g,
                "number": it.number, "valid_from_ms": it.valid_from_ms,
                "valid_to_ms": it.valid_to_ms })
    };
    let grant = |it: &v1::LotGrant| {
        json!({ "event_id": id_text(&it.event_id), "reader_party_id": id_text(&it.reader_party_id),
                "depth": it.depth, "owner_party_id": id_text(&it.owner_party_id),
                "valid_from_ms": it.valid_from_ms, "valid_to_ms": it.valid_to_ms })
    };
    let flag = |it: &v1::Flag| json!({ "rule": it.rule, "detail": it.detail });
    let event = |it: &v1::LotEvent| {
        json!({ "ordinal": it.ordinal, "entry_index": it.entry_index,
                "event_id": id_text(&it.event_id), "kind": kind(it.kind),
                "actor_party_id": id_text(&it.actor_party_id), "occurred_at_ms": it.occurred_at_ms,
                "corrected_by_event_id": id_text(&it.corrected_by_event_id),
                "flags": it.flags.iter().map(flag).collect::<Vec<_>>() })
    };
    json!({
        "lot_id": id_text(&lot.lot_id),
        "material": lot.material,
        "form": lot.form,
        "status": status(lot),
        "origin_kinds": origins(lot),
        "owner_party_id": id_text(&lot.owner_party_id),
        "possessor_party_id": id_text(&lot.possessor_party_id),
        "site_id": id_text(&lot.site_id),
        "initial_mass_g": lot.initial_mass_g,
        "remaining_mass_g": lot.remaining_mass_g,
        "reserved_mass_g": lot.reserved_mass_g,
        "contents_mass_g": lot.contents_mass_g,
        "contents": lot.contents.iter().map(content).collect::<Vec<_>>(),
        "holds": lot.holds.iter().map(hold).collect::<Vec<_>>(),
        "approvals": lot.approvals.iter().map(approval).collect::<Vec<_>>(),
        "grants": lot.grants.iter().map(grant).collect::<Vec<_>>(),
        "events": events.iter().map(event).collect::<Vec<_>>(),
    })
}

fn print(lot: &v1::Lot, events: &[v1::LotEvent]) {
    let model = CustodyModel::from_number(lot.custody_model).map(CustodyModel::name);
    println!("lot        {}", id_text(&lot.lot_id));
    println!("material   {} ({})", lot.material, lot.form);
    println!("status     {}", status(lot));
    println!("origin     {}", origins(lot).join(", "));
    println!("custody    {}", word(model, lot.custody_model));
    println!("owner      {}", id_text(&lot.owner_party_id));
    println!("possessor  {}", id_text(&lot.possessor_party_id));
    println!("site       {}", id_text(&lot.site_id));
    println!(
        "mass       {} of {} ({} reserved)",
        grams(lot.remaining_mass_g),
        grams(lot.initial_mass_g),
        grams(lot.reserved_mass_g)
    );
    for content in &lot.contents {
        let (mass, error) = (grams(content.mass_g), grams(content.uncertainty_g));
        let of = grams(lot.contents_mass_g);
        println!("  {:8} {mass} ± {error} in {of}", substance(content.substance));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["#", "entry", "occurred", "event", "by", "corrected by"]);
    for event in events {
        table.add_row([
            event.ordinal.to_string(),
            event.entry_index.to_string(),
            time(event.occurred_at_ms),
            kind(event.kind),
            id_text(&event.actor_party_id),
            id_text(&event.corrected_by_event_id),
        ]);
    }
    println!("{table}");
}
