//! `urbanmine report`

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::client::Refused;
use super::insight::{FromArgs, refused};
use super::names::id_or_none;
use super::output::{print_json, table};
use super::{report_render, runtime};
use crate::api::report_requests::{Asking, Made, as_of};
use crate::api::report_tables::read;
use crate::api::viewer::Viewer;
use crate::domain::vocabulary::Substance;
use crate::insight::reports::{Figure, Language, csv, entries_behind};
use crate::limits::MAX_PAGE_SIZE;
use crate::node::{Clock as _, SystemClock};
use crate::wire::v1;

/// Reports of the coordinator and of a party's own books: as a table, JSON or CSV.
///
/// Every number can be asked for the entries behind it: --json shows its figure, which is what to
/// give to --entries.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct ReportArgs {
    /// Which report, e.g. coverage, monthly-flow, balance, label-statement; or nothing, with
    /// --entries.
    #[arg(value_enum, required_unless_present = "entries")]
    kind: Option<Kind>,
    #[command(flatten)]
    from: FromArgs,
    /// As of this entry; what came later does not count.
    #[arg(long, value_name = "INDEX")]
    as_of_entry: Option<u64>,
    /// As of this moment: `2026-10-01T00:00:00+08:00`, or a day, which ends in Beijing [default:
    /// now].
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// In whose books: a UUID, or `@name` of the sample.
    #[arg(long)]
    party: Option<String>,
    /// At which site.
    #[arg(long)]
    site: Option<String>,
    /// Of which lot (label-statement, lot-passport, anomalies).
    #[arg(long)]
    lot: Option<String>,
    /// Of which campaign (balance).
    #[arg(long)]
    campaign: Option<String>,
    /// In which process (balance).
    #[arg(long, value_name = "CODE")]
    process: Option<String>,
    /// Of this element instead of mass, e.g. `Cu` or `Nd`.
    #[arg(long, value_name = "SYMBOL", value_parser = substance_of)]
    substance: Option<Substance>,
    /// This month in Beijing, or the first of several: `2026-09` [default: the month before].
    #[arg(long, value_name = "MONTH")]
    month: Option<String>,
    /// The last month.
    #[arg(long, value_name = "MONTH", requires = "month")]
    to: Option<String>,
    /// Regions that begin with these digits; `36` is Jiangxi (coverage).
    #[arg(long, value_name = "DIGITS")]
    region: Option<String>,
    /// Silent for so many days (coverage), or about to expire in so many (licences) [default: 90].
    #[arg(long)]
    days: Option<u32>,
    /// Between what (flow-matrix).
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// Property instead of stock (flow-matrix).
    #[arg(long)]
    ownership: bool,
    /// A row for what: site, process or campaign (balance), material or measure (monthly-flow).
    #[arg(long, value_enum)]
    by: Option<By>,
    /// The entries behind a figure, instead of a report.
    #[arg(long, value_name = "FIGURE", conflicts_with = "kind")]
    entries: Option<String>,
    /// Titles in Chinese.
    #[arg(long)]
    zh: bool,
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV (UTF-8 with a byte order mark, so that spreadsheets read it).
    #[arg(long)]
    csv: bool,
}

/// Which report.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Anomalies,
    Balance,
    Corrections,
    Coverage,
    CoverageCounts,
    FlowMatrix,
    Inventory,
    LabelStatement,
    Licences,
    LotPassport,
    MonthlyFlow,
    OpenCampaigns,
    OpenTransfers,
    Output,
}

/// Between what flows are told.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Party,
    Base,
    Province,
    Prefecture,
    County,
}

/// What a row is of.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Site,
    Process,
    Campaign,
    Material,
    Measure,
}

pub(super) fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    if let Some(figure) = &args.entries {
        return entries(args, figure);
    }
    let request = args.request()?;
    let (table, code) = if let Some(folded) = args.from.fold()? {
        let code = folded.tell();
        let (book, tables) = (&folded.book, &folded.tables);
        let desk = Asking { book, tables, now: SystemClock.now(), viewer: Viewer::Overseer };
        match desk.make(&request).map_err(refused)? {
            Made::Table(table) => (*table, code),
            Made::Label(_) | Made::Passport(_) => {
                bail!("a report of one lot walks its origins: ask a server, or make a bundle")
            }
        }
    } else {
        let runtime = runtime()?;
        let mut client = runtime.block_on(args.from.client())?;
        let reply = runtime.block_on(client.reports.get_report(request));
        let reply = reply.map_err(|it| Refused::of(&it))?.into_inner();
        let table = reply.table.and_then(|table| read(&table));
        (table.context("the server sent no report that is understood")?, ExitCode::SUCCESS)
    };
    let language = if args.zh { Language::Zh } else { Language::En };
    if args.json {
        print_json(&report_render::json(&table))?;
    } else if args.csv {
        std::io::stdout().write_all(&csv(&table, language))?;
    } else {
        println!("{}", report_render::human(&table, language));
    }
    Ok(code)
}

impl ReportArgs {
    fn request(&self) -> anyhow::Result<v1::GetReportRequest> {
        let level = |level: Level| match level {
            Level::Party => v1::FlowLevel::Party,
            Level::Base => v1::FlowLevel::Base,
            Level::Province => v1::FlowLevel::Province,
            Level::Prefecture => v1::FlowLevel::Prefecture,
            Level::County => v1::FlowLevel::County,
        };
        let by = |by: By| match by {
            By::Site => v1::ReportBreakdown::Site,
            By::Process => v1::ReportBreakdown::Process,
            By::Campaign => v1::ReportBreakdown::Campaign,
            By::Material => v1::ReportBreakdown::Material,
            By::Measure => v1::ReportBreakdown::Measure,
        };
        let moves =
            if self.ownership { v1::FlowMoves::Ownership } else { v1::FlowMoves::default() };
        Ok(v1::GetReportRequest {
            kind: self.kind.map(kind).unwrap_or_default().into(),
            as_of_entry_index: self.as_of_entry,
            as_of_ms: self.as_of_ms()?,
            party_id: id_or_none(self.party.as_deref())?,
            site_id: id_or_none(self.site.as_deref())?,
            process: self.process.clone().unwrap_or_default(),
            campaign_id: id_or_none(self.campaign.as_deref())?,
            lot_id: id_or_none(self.lot.as_deref())?,
            substance: self.substance.map_or(0, |it| i32::from(it.number())),
            from_month: self.month.clone().unwrap_or_default(),
            to_month: self.to.clone().unwrap_or_default(),
            region_prefix: self.region.clone().unwrap_or_default(),
            flow_level: self.level.map(level).unwrap_or_default().into(),
            flow_moves: moves.into(),
            days: self.days.unwrap_or_default(),
            breakdown: self.by.map(by).unwrap_or_default().into(),
            rule: 0,
            min_severity: 0,
        })
    }

    fn as_of_ms(&self) -> anyhow::Result<u64> {
        let Some(text) = &self.as_of else { return Ok(0) };
        let at = if let Ok(at) = text.parse::<jiff::Timestamp>() {
            at
        } else {
            let day: jiff::civil::Date = text.parse().with_context(|| {
                format!("{text} is neither a time with its offset nor a day as 2026-09-30")
            })?;
            let beijing = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
            beijing.to_timestamp(day.tomorrow()?.at(0, 0, 0, 0))?
        };
        u64::try_from(at.as_millisecond()).with_context(|| format!("{text} is before 1970"))
    }
}

fn kind(kind: Kind) -> v1::ReportKind {
    match kind {
        Kind::Anomalies => v1::ReportKind::Anomalies,
        Kind::Balance => v1::ReportKind::Balance,
        Kind::Corrections => v1::ReportKind::Corrections,
        Kind::Coverage => v1::ReportKind::Coverage,
        Kind::CoverageCounts => v1::ReportKind::CoverageCounts,
        Kind::FlowMatrix => v1::ReportKind::FlowMatrix,
        Kind::Inventory => v1::ReportKind::Inventory,
        Kind::LabelStatement => v1::ReportKind::LabelStatement,
        Kind::Licences => v1::ReportKind::Licences,
        Kind::LotPassport => v1::ReportKind::LotPassport,
        Kind::MonthlyFlow => v1::ReportKind::MonthlyFlow,
        Kind::OpenCampaigns => v1::ReportKind::OpenCampaigns,
        Kind::OpenTransfers => v1::ReportKind::OpenTransfers,
        Kind::Output => v1::ReportKind::Output,
    }
}

fn substance_of(symbol: &str) -> Result<Substance, String> {
    Substance::from_name(&symbol.to_ascii_uppercase())
        .ok_or_else(|| format!("{symbol} is not a traced element, such as Cu, Al, Pb, Nd or Dy"))
}

// --- the entries behind a figure -----------------------------------------------------------------

fn entries(args: &ReportArgs, figure: &str) -> anyhow::Result<ExitCode> {
    let (found, code) = match args.from.fold()? {
        Some(folded) => {
            let code = folded.tell();
            let now = SystemClock.now();
            let as_of = as_of(args.as_of_entry, args.as_of_ms()?, &folded.book, now);
            let found = entries_behind(&folded.book, as_of, &Figure::parse(figure)?);
            (found.into_iter().map(|(index, grams)| (index.0, grams)).collect(), code)
        }
        None => (asked_entries(args, figure)?, ExitCode::SUCCESS),
    };
    if args.json {
        let mut entries = Vec::with_capacity(found.len());
        for (index, amount) in &found {
            entries.push(json!({ "entry_index": index, "amount": amount.to_string() }));
        }
        print_json(&json!({ "entries": entries }))?;
        return Ok(code);
    }
    let mut rows = table(&["entry", "amount"]);
    for (index, amount) in &found {
        rows.add_row([index.to_string(), amount.to_string()]);
    }
    println!("{rows}");
    let total: i128 = found.iter().map(|(_, amount)| amount).sum();
    eprintln!("{} entries, {total} together", found.len());
    Ok(code)
}

fn asked_entries(args: &ReportArgs, figure: &str) -> anyhow::Result<Vec<(u64, i128)>> {
    let runtime = runtime()?;
    let mut client = runtime.block_on(args.from.client())?;
    let mut request = v1::ListFigureEntriesRequest {
        figure: figure.to_owned(),
        as_of_entry_index: args.as_of_entry,
        as_of_ms: args.as_of_ms()?,
        page_size: MAX_PAGE_SIZE,
        page_token: String::new(),
    };
    let mut found = Vec::new();
    loop {
        let reply = runtime.block_on(client.reports.list_figure_entries(request.clone()));
        let page = reply.map_err(|it| Refused::of(&it))?.into_inner();
        found.extend(page.entries.iter().map(|it| (it.entry_index, i128::from(it.amount))));
        // The same token again would never end.
        if page.next_page_token.is_empty() || page.next_page_token == request.page_token {
            return Ok(found);
        }
        request.page_token = page.next_page_token;
    }
}
