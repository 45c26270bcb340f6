//! `urbanmine recall`

use bytes::Bytes;
use clap::Args;
use serde_json::{Value as Json, json};

use super::client::{AccessArgs, Client, Refused};
use super::names::{id_bytes, id_text};
use super::output::{grams, print_json, table};
use super::runtime;
use crate::limits::MAX_PAGE_SIZE;
use crate::wire::v1;

/// List every lot that contains anything of a lot: who owns it, who has it, where, and how much.
#[derive(Debug, Args)]
pub struct RecallArgs {
    /// The lot that is recalled: a UUID, or `@name` of the sample.
    lot: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    server: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Lots of which nothing remains, too: used up, disposed of, or out of the ledger.
    #[arg(long)]
    used_up: bool,
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV.
    #[arg(long)]
    csv: bool,
}

/// The columns of CSV, which are the fields of JSON.
const COLUMNS: [&str; 13] = [
    "lot_id",
    "campaign_id",
    "depth",
    "material",
    "form",
    "status",
    "owner_party_id",
    "possessor_party_id",
    "site_id",
    "counterparty_party_id",
    "remaining_mass_g",
    "recalled_g",
    "recalled_at_birth_g",
];

pub(super) fn run(args: &RecallArgs) -> anyhow::Result<()> {
    let id = id_bytes(&args.lot)?;
    let request = v1::ListRecallRequest {
        lot_id: Bytes::copy_from_slice(&id),
        page_size: MAX_PAGE_SIZE,
        with_used_up: args.used_up,
        page_token: String::new(),
    };
    runtime()?.block_on(async {
        let mut client = Client::connect_with(&args.server, &args.access).await?;
        let (rows, is_complete) = all(&mut client, request).await?;
        if args.json {
            let rows: Vec<Json> = rows.iter().map(row_json).collect();
            let lot_id = id_text(&id);
            return print_json(
                &json!({ "lot_id": lot_id, "rows": rows, "is_complete": is_complete }),
            );
        }
        if args.csv {
            print_csv(&rows);
        } else {
            print(&rows);
        }
        if !is_complete {
            eprintln!("The trace was cut off: there are more.");
        }
        Ok(())
    })
}

/// Every page, and whether the trace behind them came to its end. A page may be empty although the
/// list goes on; the token changes with each.
async fn all(
    client: &mut Client,
    mut request: v1::ListRecallRequest,
) -> anyhow::Result<(Vec<v1::RecallRow>, bool)> {
    let mut rows = Vec::new();
    loop {
        let reply = client.lots.list_recall(request.clone()).await;
        let page = reply.map_err(|it| Refused::of(&it))?.into_inner();
        rows.extend(page.rows);
        if page.next_page_token.is_empty() || page.next_page_token == request.page_token {
            return Ok((rows, page.is_complete));
        }
        request.page_token = page.next_page_token;
    }
}

fn status(row: &v1::RecallRow) -> String {
    match row.status() {
        v1::LotStatus::Unspecified => String::new(),
        status => status.as_str_name().trim_start_matches("LOT_STATUS_").to_owned(),
    }
}

fn row_json(row: &v1::RecallRow) -> Json {
    json!({
        "lot_id": id_text(&row.lot_id), "campaign_id": id_text(&row.campaign_id),
        "depth": row.depth, "material": row.material, "form": row.form, "status": status(row),
        "owner_party_id": id_text(&row.owner_party_id),
        "possessor_party_id": id_text(&row.possessor_party_id),
        "site_id": id_text(&row.site_id),
        "counterparty_party_id": id_text(&row.counterparty_party_id),
        "remaining_mass_g": row.remaining_mass_g, "recalled_g": row.recalled_g,
        "recalled_at_birth_g": row.recalled_at_birth_g,
    })
}

/// Ids, words of tables and whole numbers: nothing in a field needs quotes.
fn print_csv(rows: &[v1::RecallRow]) {
    println!("{}", COLUMNS.join(","));
    for row in rows {
        let row = row_json(row);
        let field = |name: &&str| match &row[*name] {
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            number => number.to_string(),
        };
        println!("{}", COLUMNS.iter().map(field).collect::<Vec<_>>().join(","));
    }
}

fn print(rows: &[v1::RecallRow]) {
    let mut lines = table(&["lot", "material", "owner", "held by", "site", "there", "recalled"]);
    for row in rows {
        let id = if row.campaign_id.is_empty() { &row.lot_id } else { &row.campaign_id };
        let what = if row.campaign_id.is_empty() { row.material.as_str() } else { "campaign" };
        let owner = if row.owner_party_id.is_empty() {
            &row.counterparty_party_id
        } else {
            &row.owner_party_id
        };
        let mass = |mass: Option<u64>| mass.map_or_else(|| "?".to_owned(), grams);
        lines.add_row([
            id_text(id),
            what.to_owned(),
            id_text(owner),
            id_text(&row.possessor_party_id),
            id_text(&row.site_id),
            mass(row.remaining_mass_g),
            mass(row.recalled_g),
        ]);
    }
    println!("{lines}");
}
