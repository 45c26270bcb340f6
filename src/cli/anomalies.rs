//! `urbanmine anomalies`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value as Json, json};

use super::client::{Client, Refused};
use super::insight::{FromArgs, refused};
use super::names::{id_or_none, id_text};
use super::output::{hex, print_json, time};
use super::runtime;
use crate::api::anomalies::page;
use crate::insight::reports::{fraction_text, grams_text};
use crate::insight::{Book, Rule};
use crate::limits::{MAX_NAMES_ASKED, MAX_PAGE_SIZE};
use crate::wire::v1;

/// List what cannot be true, or is hard to believe: flags of the rules A1 to A17.
#[derive(Debug, Args)]
pub struct AnomaliesArgs {
    #[command(flatten)]
    from: FromArgs,
    /// Of this rule, e.g. A5.
    #[arg(long, value_parser = rule_of)]
    rule: Option<u32>,
    /// This severity and those above it: low, medium, high or severe.
    #[arg(long, value_parser = severity_of)]
    severity: Option<v1::Severity>,
    /// About this party: a UUID, or `@name` of the sample.
    #[arg(long)]
    party: Option<String>,
    /// At this site.
    #[arg(long)]
    site: Option<String>,
    /// About this lot.
    #[arg(long)]
    lot: Option<String>,
    /// About this campaign.
    #[arg(long)]
    campaign: Option<String>,
    /// As of this entry; what came later does not count.
    #[arg(long, value_name = "INDEX")]
    as_of_entry: Option<u64>,
    /// Only those that nobody has acknowledged.
    #[arg(long)]
    open: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &AnomaliesArgs) -> anyhow::Result<ExitCode> {
    let request = v1::ListAnomaliesRequest {
        page_size: MAX_PAGE_SIZE,
        rule: args.rule.unwrap_or_default(),
        min_severity: args.severity.unwrap_or_default().into(),
        party_id: id_or_none(args.party.as_deref())?,
        site_id: id_or_none(args.site.as_deref())?,
        lot_id: id_or_none(args.lot.as_deref())?,
        campaign_id: id_or_none(args.campaign.as_deref())?,
        as_of_entry_index: args.as_of_entry,
        only_open: args.open,
        ..v1::ListAnomaliesRequest::default()
    };
    let (found, names, code) = if let Some(folded) = args.from.fold()? {
        let code = folded.tell();
        (of_book(&folded.book, request)?, Names::of_book(&folded.book), code)
    } else {
        let (found, names) = asked(args, request)?;
        (found, names, ExitCode::SUCCESS)
    };
    if args.json {
        let all: Vec<Json> = found.iter().map(anomaly_json).collect();
        print_json(&json!({ "anomalies": all }))?;
    } else {
        print(&found, &names);
    }
    Ok(code)
}

/// Names of parties and sites, by their ids.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<Vec<u8>, String>);

impl Names {
    fn of_book(book: &Book) -> Self {
        let (registry, size) = (book.registry(), book.size());
        let mut names = Self::default();
        for state in registry.parties_as_of(size) {
            let party = &state.party;
            names.put(party.id.as_bytes(), &party.name_zh, &party.name_en);
        }
        for site in registry.sites_as_of(size) {
            names.put(site.id.as_bytes(), &site.name_zh, &site.name_en);
        }
        names
    }

    /// Of the parties and sites that flags are about. What the server does not tell has no name
    /// here; the flags are told all the same.
    pub(super) async fn of_server(client: &mut Client, found: &[v1::Anomaly]) -> Self {
        let mut names = Self::default();
        let parties: BTreeSet<_> = found.iter().map(|it| it.party_id.clone()).collect();
        for party_id in parties.into_iter().filter(|id| !id.is_empty()).take(MAX_NAMES_ASKED) {
            let request = v1::GetPartyRequest { party_id, ..v1::GetPartyRequest::default() };
            let Ok(reply) = client.registry.get_party(request).await else { continue };
            if let Some(party) = reply.into_inner().party.and_then(|it| it.party) {
                names.put(&party.party_id, &party.name_zh, &party.name_en);
            }
        }
        let sites: BTreeSet<_> = found.iter().map(|it| it.site_id.clone()).collect();
        for site_id in sites.into_iter().filter(|id| !id.is_empty()).take(MAX_NAMES_ASKED) {
            let request = v1::GetSiteRequest { site_id, ..v1::GetSiteRequest::default() };
            let Ok(reply) = client.registry.get_site(request).await else { continue };
            if let Some(site) = reply.into_inner().site {
                names.put(&site.site_id, &site.name_zh, &site.name_en);
            }
        }
        names
    }

    fn put(&mut self, id: &[u8], name_zh: &str, name_en: &str) {
        let name = if name_zh.is_empty() { name_en } else { name_zh };
        if !name.is_empty() {
            self.0.insert(id.to_vec(), name.to_owned());
        }
    }

    /// Whom and where a flag is about, as far as it is known.
    fn about(&self, it: &v1::Anomaly) -> String {
        let ids = [&it.party_id, &it.site_id];
        let names: Vec<&str> =
            ids.iter().filter_map(|id| self.0.get(&id[..])).map(String::as_str).collect();
        names.join(", ")
    }
}

fn asked(
    args: &AnomaliesArgs,
    request: v1::ListAnomaliesRequest,
) -> anyhow::Result<(Vec<v1::Anomaly>, Names)> {
    runtime()?.block_on(async {
        let mut client = args.from.client().await?;
        let found = of_server(&mut client, request).await?;
        // Programs take ids.
        let names =
            if args.json { Names::default() } else { Names::of_server(&mut client, &found).await };
        Ok((found, names))
    })
}

/// Every anomaly of a book, as a server would tell them.
fn of_book(book: &Book, mut request: v1::ListAnomaliesRequest) -> anyhow::Result<Vec<v1::Anomaly>> {
    let mut found = Vec::new();
    loop {
        let page = page(book, &request).map_err(refused)?;
        found.extend(page.anomalies);
        // Each page ends later in the list, which ends.
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        request.page_token = page.next_page_token;
    }
}

/// Every anomaly of a server that a request lets pass; the token changes with each page.
pub(super) async fn of_server(
    client: &mut Client,
    mut request: v1::ListAnomaliesRequest,
) -> anyhow::Result<Vec<v1::Anomaly>> {
    request.page_size = MAX_PAGE_SIZE;
    let mut found = Vec::new();
    loop {
        let reply = client.reports.list_anomalies(request.clone()).await;
        let page = reply.map_err(|it| Refused::of(&it))?.into_inner();
        found.extend(page.anomalies);
        // The same token again would never end.
        if page.next_page_token.is_empty() || page.next_page_token == request.page_token {
            return Ok(found);
        }
        request.page_token = page.next_page_token;
    }
}

fn rule_of(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix(['A', 'a']).and_then(|digits| digits.parse::<u8>().ok());
    let rule = number.and_then(Rule::from_number);
    rule.map(|rule| rule.number().into()).ok_or_else(|| format!("{text} is none of A1 to A17"))
}

fn severity_of(text: &str) -> Result<v1::Severity, String> {
    v1::Severity::from_str_name(&format!("SEVERITY_{}", text.to_ascii_uppercase()))
        .filter(|severity| *severity != v1::Severity::Unspecified)
        .ok_or_else(|| format!("{text} is none of low, medium, high, severe"))
}

/// The word for it.
pub(super) fn severity(anomaly: &v1::Anomaly) -> &'static str {
    anomaly.severity().as_str_name().trim_start_matches("SEVERITY_")
}

fn unit(number: &v1::AnomalyNumber) -> &'static str {
    number.unit().as_str_name().trim_start_matches("NUMBER_UNIT_")
}

fn anomaly_json(it: &v1::Anomaly) -> Json {
    let number =
        |it: &v1::AnomalyNumber| json!({ "name": it.name, "value": it.value, "unit": unit(it) });
    let seen = |it: &v1::AnomalyAcknowledgement| {
        json!({ "party_id": id_text(&it.party_id), "note": it.note,
                "entry_index": it.entry_index, "occurred_at_ms": it.occurred_at_ms })
    };
    json!({
        "anomaly_id": it.anomaly_id,
        "rule": format!("A{}", it.rule),
        "variant": it.variant,
        "severity": severity(it),
        "raised_entry_index": it.raised_entry_index,
        "occurred_at_ms": it.occurred_at_ms,
        "party_id": id_text(&it.party_id),
        "site_id": id_text(&it.site_id),
        "lot_id": id_text(&it.lot_id),
        "campaign_id": id_text(&it.campaign_id),
        "entry_indexes": it.entry_indexes,
        "numbers": it.numbers.iter().map(number).collect::<Vec<_>>(),
        "tables_sha256": hex(&it.tables_hash),
        "corrected_entry_index": it.corrected_entry_index,
        "acknowledgements": it.acknowledgements.iter().map(seen).collect::<Vec<_>>(),
    })
}

/// Entries that a line names.
const SHOWN_ENTRIES: usize = 8;

/// Two lines for each.
pub(super) fn print(found: &[v1::Anomaly], names: &Names) {
    for it in found {
        let about = [&it.lot_id, &it.campaign_id, &it.site_id, &it.party_id];
        let about = about.iter().find(|id| !id.is_empty()).map(|id| id_text(id));
        let seen = if it.acknowledgements.is_empty() { "" } else { "  (acknowledged)" };
        println!(
            "{:12} {:7} {:24} {}  {}  {}{seen}",
            it.anomaly_id,
            severity(it).to_ascii_lowercase(),
            it.variant,
            time(it.occurred_at_ms),
            about.unwrap_or_default(),
            names.about(it),
        );
        let numbers: Vec<String> = it.numbers.iter().map(number_text).collect();
        let entries: Vec<String> =
            it.entry_indexes.iter().take(SHOWN_ENTRIES).map(u64::to_string).collect();
        let more = match it.entry_indexes.len().saturating_sub(SHOWN_ENTRIES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        println!("             {}; entries {}{more}", numbers.join(", "), entries.join(" "));
    }
    eprintln!("{} anomalies", found.len());
}

/// A number with its unit, for people.
fn number_text(number: &v1::AnomalyNumber) -> String {
    let value = &number.value;
    let told = match (number.unit(), value.parse::<i128>()) {
        (v1::NumberUnit::Grams, Ok(grams)) => grams_text(grams),
        (v1::NumberUnit::FractionE8, Ok(fraction)) => fraction_text(fraction),
        (v1::NumberUnit::Fen, Ok(fen)) => format!("CNY {}.{:02}", fen / 100, fen % 100),
        (v1::NumberUnit::Metres, _) => format!("{value} m"),
        (v1::NumberUnit::Ms, Ok(span)) => span_text(span),
        (v1::NumberUnit::TimeMs, Ok(at)) => time(u64::try_from(at).unwrap_or_default()),
        _ => value.clone(),
    };
    format!("{} {told}", number.name)
}

/// Days above two of them, else hours and minutes.
fn span_text(ms: i128) -> String {
    const MINUTE: i128 = 60_000;
    let (hours, minutes) = (ms / (60 * MINUTE), ms / MINUTE % 60);
    if hours >= 48 { format!("{} d", hours / 24) } else { format!("{hours} h {minutes} min") }
}
