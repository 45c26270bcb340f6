//! `urbanmine trace`

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::{Value as Json, json};

use super::client::{AccessArgs, Client, Refused};
use super::lot::kind;
use super::names::{id_bytes, id_text};
use super::output::{grams, per_cent, print_json};
use super::runtime;
use crate::domain::LotId;
use crate::domain::vocabulary::{OriginKind, Substance};
use crate::limits::{MAX_TRACE_PAGE_SIZE, MAX_TREE_LINES};
use crate::wire::v1;

/// Show where a lot's metal came from, or where it went, in grams.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The lot: a UUID, or `@name` of the sample.
    lot: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    server: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Follow the lot forward, to where it went.
    #[arg(long)]
    forward: bool,
    /// Grams of this element instead of grams of material, e.g. `Cu` or `Nd`.
    #[arg(long, value_name = "SYMBOL", conflicts_with = "forward")]
    substance: Option<String>,
    /// Also how much of each origin could be in it at least and at most, if nothing was mixed.
    /// Told to overseers.
    #[arg(long, conflicts_with = "forward")]
    range: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TraceArgs) -> anyhow::Result<()> {
    let id = id_bytes(&args.lot)?;
    let substance = args.substance.as_deref().map(parse_substance).transpose()?;
    runtime()?.block_on(async {
        let mut client = Client::connect_with(&args.server, &args.access).await?;
        if args.forward {
            let trace = destinations(&mut client, id).await?;
            if args.json {
                return print_json(&destinations_json(id, &trace));
            }
            return print_destinations(&mut client, id, &trace).await;
        }
        let request = v1::TraceOriginsRequest { with_range: args.range, ..request(id, substance) };
        let trace = origins_in(&mut client, request).await?;
        if args.json {
            return print_json(&origins_json(id, substance, &trace));
        }
        print_origins(&mut client, id, substance, &trace).await
    })
}

fn parse_substance(symbol: &str) -> anyhow::Result<Substance> {
    match Substance::from_name(&symbol.to_ascii_uppercase()) {
        Some(substance) => Ok(substance),
        None => bail!("{symbol} is not a traced element, such as Cu, Al, Pb, Nd or Dy"),
    }
}

/// Asks where a lot came from.
pub(super) async fn origins(
    client: &mut Client,
    lot: [u8; 16],
    substance: Option<Substance>,
) -> anyhow::Result<v1::TraceOriginsResponse> {
    origins_in(client, request(lot, substance)).await
}

fn request(lot: [u8; 16], substance: Option<Substance>) -> v1::TraceOriginsRequest {
    v1::TraceOriginsRequest {
        lot_id: Bytes::copy_from_slice(&lot),
        substance: substance.map_or(0, |it| i32::from(it.number())),
        page_size: MAX_TRACE_PAGE_SIZE,
        ..v1::TraceOriginsRequest::default()
    }
}

/// Every page of it. Pages are of one history, and there are no more than lots and steps.
async fn origins_in(
    client: &mut Client,
    mut request: v1::TraceOriginsRequest,
) -> anyhow::Result<v1::TraceOriginsResponse> {
    let mut all: Option<v1::TraceOriginsResponse> = None;
    loop {
        let reply = client.lots.trace_origins(request.clone()).await;
        let page = reply.map_err(|it| Refused::of(&it))?.into_inner();
        let token = page.next_page_token.clone();
        let is_empty = page.lots.is_empty() && page.steps.is_empty();
        match &mut all {
            None => all = Some(page),
            Some(all) => {
                all.lots.extend(page.lots);
                all.steps.extend(page.steps);
            }
        }
        if token.is_empty() || is_empty {
            return all.context("the server sent no page");
        }
        request.page_token = token;
    }
}

async fn destinations(
    client: &mut Client,
    lot: [u8; 16],
) -> anyhow::Result<v1::TraceDestinationsResponse> {
    let mut request = v1::TraceDestinationsRequest {
        lot_id: Bytes::copy_from_slice(&lot),
        page_size: MAX_TRACE_PAGE_SIZE,
        page_token: String::new(),
    };
    let mut all: Option<v1::TraceDestinationsResponse> = None;
    loop {
        let reply = client.lots.trace_destinations(request.clone()).await;
        let page = reply.map_err(|it| Refused::of(&it))?.into_inner();
        let token = page.next_page_token.clone();
        let is_empty = page.lots.is_empty() && page.steps.is_empty();
        match &mut all {
            None => all = Some(page),
            Some(all) => {
                all.lots.extend(page.lots);
                all.steps.extend(page.steps);
            }
        }
        if token.is_empty() || is_empty {
            return all.context("the server sent no page");
        }
        request.page_token = token;
    }
}

/// What a lot is, for a line of a tree.
pub(super) async fn describe(client: &mut Client, lot_id: &Bytes) -> anyhow::Result<String> {
    if lot_id.as_ref() == LotId::UPTAKE.as_bytes() {
        return Ok("taken up in a process (oxygen, water, reagents)".to_owned());
    }
    let request = v1::GetLotRequest { lot_id: lot_id.clone() };
    let reply = client.lots.get_lot(request).await.map_err(|it| Refused::of(&it))?;
    let lot = reply.into_inner().lot.context("the server sent no lot")?;
    let region = if lot.origin_region.is_empty() {
        String::new()
    } else {
        format!(", from region {}", lot.origin_region)
    };
    Ok(format!("{}{region}", lot.material))
}

fn step_json(step: &v1::TraceStep) -> Json {
    json!({ "entry_index": step.entry_index, "event_id": id_text(&step.event_id),
            "kind": kind(step.kind), "from_lot_id": id_text(&step.from_lot_id),
            "from_campaign_id": id_text(&step.from_campaign_id),
            "to_lot_id": id_text(&step.to_lot_id),
            "to_campaign_id": id_text(&step.to_campaign_id), "mass_g": step.mass_g })
}

fn node_json(lot: &v1::TraceLot) -> Json {
    json!({ "lot_id": id_text(&lot.lot_id), "campaign_id": id_text(&lot.campaign_id),
            "depth": lot.depth, "mass_g": lot.mass_g, "remaining_g": lot.remaining_g })
}

fn holding_json(holding: Option<&v1::OriginHolding>) -> Json {
    let share = |it: &v1::OriginShare| {
        let share = json!({ "lot_id": id_text(&it.lot_id),
                            "campaign_id": id_text(&it.campaign_id), "mass_g": it.mass_g });
        with_range(share, it.least_g, it.most_g)
    };
    let class = |it: &v1::ClassShare| {
        json!({ "origin_kind": origin_kind(it.origin_kind), "material": it.material,
                "mass_g": it.mass_g })
    };
    holding.map_or(Json::Null, |it| {
        json!({ "total_g": it.total_g, "is_attributed": it.is_attributed,
                "shares": it.shares.iter().map(share).collect::<Vec<_>>(),
                "classes": it.classes.iter().map(class).collect::<Vec<_>>(),
                "pending": it.pending.iter().map(pending_json).collect::<Vec<_>>(),
                "categories": it.categories.as_ref().map(categories_json) })
    })
}

fn pending_json(share: &v1::PendingShare) -> Json {
    let told = json!({ "campaign_id": id_text(&share.campaign_id), "mass_g": share.mass_g });
    with_range(told, share.least_g, share.most_g)
}

/// The range where it was asked for.
fn with_range(mut share: Json, least_g: Option<u64>, most_g: Option<u64>) -> Json {
    if let (Some(least_g), Some(most_g)) = (least_g, most_g) {
        share["least_g"] = json!(least_g);
        share["most_g"] = json!(most_g);
    }
    share
}

fn categories_json(sums: &v1::CategoryShares) -> Json {
    let kind = |it: &v1::KindShare| {
        json!({ "origin_kind": origin_kind(it.origin_kind), "mass_g": it.mass_g,
                "is_recycled": it.is_recycled })
    };
    json!({ "kinds": sums.kinds.iter().map(kind).collect::<Vec<_>>(),
            "recycled_g": sums.recycled_g, "imported_g": sums.imported_g,
            "primary_g": sums.primary_g, "unknown_g": sums.unknown_g,
            "uptake_g": sums.uptake_g, "pending_g": sums.pending_g,
            "recycled_content_g": sums.recycled_content_g })
}

/// The kind as the proto spells it, without the prefix; empty for more than one.
fn origin_kind(number: i32) -> &'static str {
    OriginKind::from_number(number).map_or("", OriginKind::name)
}

fn ids_json(ids: &[Bytes]) -> Vec<String> {
    ids.iter().map(|id| id_text(id)).collect()
}

/// The whole answer as data.
pub(super) fn origins_json(
    lot: [u8; 16],
    substance: Option<Substance>,
    trace: &v1::TraceOriginsResponse,
) -> Json {
    json!({
        "lot_id": id_text(&lot),
        "substance": substance.map(Substance::name),
        "now": holding_json(trace.now.as_ref()),
        "at_birth": holding_json(trace.at_birth.as_ref()),
        "lineage_lot_ids": ids_json(&trace.lineage_lot_ids),
        "steps": trace.steps.iter().map(step_json).collect::<Vec<_>>(),
        "lots": trace.lots.iter().map(node_json).collect::<Vec<_>>(),
        "is_complete": trace.is_complete,
        "is_final": trace.is_final,
        "pending_campaign_ids": ids_json(&trace.pending_campaign_ids),
    })
}

fn destinations_json(lot: [u8; 16], trace: &v1::TraceDestinationsResponse) -> Json {
    json!({
        "lot_id": id_text(&lot),
        "steps": trace.steps.iter().map(step_json).collect::<Vec<_>>(),
        "lots": trace.lots.iter().map(node_json).collect::<Vec<_>>(),
        "lost_g": trace.lost_g,
        "is_complete": trace.is_complete,
        "is_final": trace.is_final,
        "pending_campaign_ids": ids_json(&trace.pending_campaign_ids),
    })
}

/// Tells where a lot came from: the tree of steps, then the origins with their shares.
pub(super) async fn print_origins(
    client: &mut Client,
    lot: [u8; 16],
    substance: Option<Substance>,
    trace: &v1::TraceOriginsResponse,
) -> anyhow::Result<()> {
    let mut tree = Tree::new(client, &trace.lots);
    for step in &trace.steps {
        tree.add(Place::to(step), Place::from(step), step);
    }
    tree.print(&Bytes::copy_from_slice(&lot)).await?;
    warn_if_cut(trace.is_complete, trace.lot_cap, trace.step_cap);
    tell_pending(&trace.pending_campaign_ids);
    print_shares(client, substance, trace, &id_text).await
}

/// The origins with their shares.
pub(super) async fn print_shares(
    client: &mut Client,
    substance: Option<Substance>,
    trace: &v1::TraceOriginsResponse,
    name_of: &dyn Fn(&[u8]) -> String,
) -> anyhow::Result<()> {
    let what = substance.map_or("material", Substance::name);
    let now = trace.now.as_ref().filter(|it| it.total_g != Some(0));
    let (holding, when) = match (now, trace.at_birth.as_ref()) {
        (Some(now), _) => (now, "now"),
        (None, Some(birth)) => (birth, "when it came to be"),
        (None, None) => return Ok(()),
    };
    let Some(total_g) = holding.total_g else {
        println!("How much {what} is in it is not known: it was never analysed.");
        return Ok(());
    };
    println!("{} of {what} in it {when}, of these:", grams(total_g));
    if !holding.is_attributed {
        println!("  (origins not known: something it was made from was never analysed)");
    }
    // The main ones first; lots of the same share in the order of their ids.
    let mut shares: Vec<&v1::OriginShare> = holding.shares.iter().collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.mass_g));
    for share in shares {
        let (mass, part) = (grams(share.mass_g), per_cent(share.mass_g, total_g));
        let place = Place::of(&share.lot_id, &share.campaign_id);
        let text = place.describe(client).await?;
        let range = range_text(share);
        println!("  {mass:>18}  {part:>9}  {}  {text}{range}", name_of(&place.id));
    }
    for class in &holding.classes {
        let (mass, part) = (grams(class.mass_g), per_cent(class.mass_g, total_g));
        let kind = match origin_kind(class.origin_kind) {
            "" => "of more than one kind",
            kind => kind,
        };
        println!("  {mass:>18}  {part:>9}  {}  {kind}", class.material);
    }
    for share in &holding.pending {
        let (mass, part) = (grams(share.mass_g), per_cent(share.mass_g, total_g));
        let id = name_of(&share.campaign_id);
        println!("  {mass:>18}  {part:>9}  {id}  not known before this campaign is closed");
    }
    if let Some(sums) = &holding.categories {
        print_categories(sums, total_g);
    }
    Ok(())
}

/// What could be in it of an origin if nothing was mixed, where that was asked for.
fn range_text(share: &v1::OriginShare) -> String {
    match (share.least_g, share.most_g) {
        (Some(least), Some(most)) => {
            format!("  (unmixed {} to {})", grams(least), grams(most))
        }
        _ => String::new(),
    }
}

/// By category; what there is nothing of is left out.
fn print_categories(sums: &v1::CategoryShares, total_g: u64) {
    let rows = [
        ("recycled", sums.recycled_g),
        ("imported", sums.imported_g),
        ("primary", sums.primary_g),
        ("unknown", sums.unknown_g),
        ("taken up", sums.uptake_g),
        ("pending", sums.pending_g),
    ];
    println!("By category:");
    for (name, mass_g) in rows.into_iter().filter(|(_, mass_g)| *mass_g > 0) {
        println!("  {:>18}  {:>9}  {name}", grams(mass_g), per_cent(mass_g, total_g));
    }
}

async fn print_destinations(
    client: &mut Client,
    lot: [u8; 16],
    trace: &v1::TraceDestinationsResponse,
) -> anyhow::Result<()> {
    let mut tree = Tree::new(client, &trace.lots);
    for step in &trace.steps {
        tree.add(Place::from(step), Place::to(step), step);
    }
    tree.print(&Bytes::copy_from_slice(&lot)).await?;
    if let Some(lost_g) = trace.lost_g.filter(|lost| *lost > 0) {
        println!(
            "{} of it are in no lot any more: lost, disposed of, or out of the ledger",
            grams(lost_g)
        );
    }
    warn_if_cut(trace.is_complete, trace.lot_cap, trace.step_cap);
    tell_pending(&trace.pending_campaign_ids);
    Ok(())
}

fn warn_if_cut(is_complete: bool, lot_cap: u32, step_cap: u32) {
    if !is_complete {
        eprintln!("The trace was cut off at {lot_cap} lots or {step_cap} steps: there is more.");
    }
}

fn tell_pending(campaigns: &[Bytes]) {
    for campaign in campaigns {
        eprintln!("Campaign {} is not closed: more origins may join.", id_text(campaign));
    }
}

/// A lot of a trace, or a campaign.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    is_campaign: bool,
    id: Bytes,
}

impl Place {
    fn of(lot_id: &Bytes, campaign_id: &Bytes) -> Self {
        let is_campaign = !campaign_id.is_empty();
        Self { is_campaign, id: if is_campaign { campaign_id.clone() } else { lot_id.clone() } }
    }

    fn from(step: &v1::TraceStep) -> Self {
        Self::of(&step.from_lot_id, &step.from_campaign_id)
    }

    fn to(step: &v1::TraceStep) -> Self {
        Self::of(&step.to_lot_id, &step.to_campaign_id)
    }

    async fn describe(&self, client: &mut Client) -> anyhow::Result<String> {
        if self.is_campaign { Ok("campaign".to_owned()) } else { describe(client, &self.id).await }
    }
}

/// A tree of lots for the eye. A lot that is reached twice is shown once with its branches.
struct Tree<'a> {
    client: &'a mut Client,
    branches: BTreeMap<Place, Vec<(Place, u64, String)>>,
    nodes: BTreeMap<Place, v1::TraceLot>,
}

impl<'a> Tree<'a> {
    fn new(client: &'a mut Client, lots: &[v1::TraceLot]) -> Self {
        let place = |lot: &v1::TraceLot| Place::of(&lot.lot_id, &lot.campaign_id);
        let nodes = lots.iter().map(|lot| (place(lot), lot.clone())).collect();
        Self { client, branches: BTreeMap::new(), nodes }
    }

    fn add(&mut self, at: Place, to: Place, step: &v1::TraceStep) {
        // Stock that a waiver let in comes from the campaign itself: no branch.
        if at != to {
            let branch = (to, step.mass_g, kind(step.kind));
            self.branches.entry(at).or_default().push(branch);
        }
    }

    /// Depth first, with a stack of our own: a chain may be thousands of lots long.
    async fn print(&mut self, root: &Bytes) -> anyhow::Result<()> {
        let root = Place { is_campaign: false, id: root.clone() };
        let mut stack = vec![(root, 0_usize, None::<(u64, String)>)];
        let mut seen = BTreeSet::new();
        let mut lines = 0_usize;
        while let Some((lot, depth, edge)) = stack.pop() {
            lines += 1;
            if lines > MAX_TREE_LINES {
                println!("… (more than {MAX_TREE_LINES} lines; --json has all of them)");
                break;
            }
            let text = lot.describe(self.client).await?;
            let indent = "  ".repeat(depth.min(32));
            let by = edge.map_or_else(String::new, |(mass, kind)| {
                format!("{} by {}: ", grams(mass), kind.to_lowercase())
            });
            let is_again = !seen.insert(lot.clone());
            let node = self.nodes.get(&lot);
            let part = match node.and_then(|node| node.mass_g) {
                Some(mass) if depth > 0 && !is_again => {
                    format!("  [{} of the asked lot]", grams(mass))
                }
                _ => String::new(),
            };
            let rest = match node.and_then(|node| node.remaining_g) {
                Some(left) if left > 0 && !is_again => format!("  [{} still here]", grams(left)),
                _ => String::new(),
            };
            let again = if is_again { "  (see above)" } else { "" };
            println!("{indent}{by}{}  {text}{part}{rest}{again}", id_text(&lot.id));
            if is_again {
                continue;
            }
            for (to, mass, kind) in self.branches.get(&lot).into_iter().flatten().rev() {
                stack.push((to.clone(), depth + 1, Some((*mass, kind.clone()))));
            }
        }
        Ok(())
    }
}
