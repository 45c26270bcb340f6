//! Which report a request asks for, and whether its caller may have it.
//!
//! A field that a kind does not take is refused: a filter that is passed over would look as if it
//! had been followed.

use super::convert::{missing, needed, optional};
use super::errors::Failure;
use super::policy::{Denied, Rule};
use super::viewer::Viewer;
use crate::domain::credit::Month;
use crate::domain::vocabulary::{PartyRole, Substance};
use crate::domain::{CampaignId, EntryCount, LotId, PartyId, SiteId, Tables, TimeMs};
use crate::insight::reports::{
    self, AnomalyQuery, AsOf, BalanceBy, BalanceQuery, Codes, CorrectionsQuery, CoverageQuery,
    FlowBy, FlowQuery, Level, LicenceQuery, MatrixQuery, Moves, OutputQuery, StockQuery, Table,
};
use crate::insight::{Book, Rule as AnomalyRule};
use crate::limits::{MAX_CODE_BYTES, MAX_REPORT_DAYS};
use crate::provenance::Measure;
use crate::wire::v1;
use crate::wire::v1::ReportKind as Kind;

/// Days of a report that does not say.
const USUAL_DAYS: u32 = 90;

/// What a report is made from.
pub struct Asking<'a> {
    /// The book.
    pub book: &'a Book,
    /// The tables in force as of the report.
    pub tables: &'a Tables,
    /// Now, for a report that does not say as of when.
    pub now: TimeMs,
    /// Who asks.
    pub viewer: Viewer,
}

/// What a lot's report is about: for those two kinds, which need more than the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfLot {
    /// Which lot.
    pub lot: LotId,
    /// Of what, for the label statement.
    pub measure: Measure,
    /// As of when.
    pub as_of: AsOf,
}

/// A report, or the lot that it has to be made of.
pub enum Made {
    /// The report.
    Table(Box<Table>),
    /// A label statement of a lot.
    Label(OfLot),
    /// The passport of a lot.
    Passport(OfLot),
}

impl Asking<'_> {
    /// Makes a report.
    pub fn make(&self, request: &v1::GetReportRequest) -> Result<Made, Failure> {
        let kind = kind(request)?;
        check_fields(kind, request)?;
        let party = self.party(kind, request)?;
        let as_of = self.as_of(request);
        let asked = Asked { request, as_of, party };
        let (book, tables) = (self.book, self.tables);
        let table = match kind {
            Kind::Unspecified => return Err(Failure::field("kind", "which report", "none")),
            Kind::Coverage => reports::coverage(book, as_of, &asked.coverage()?),
            Kind::CoverageCounts => reports::coverage_counts(book, as_of, &asked.coverage()?),
            Kind::MonthlyFlow => reports::monthly_flow(book, as_of, &asked.flow()?),
            Kind::Balance => reports::balance(book, as_of, &asked.balance()?, tables),
            Kind::FlowMatrix => reports::flow_matrix(book, as_of, &asked.matrix()?, tables),
            Kind::Output => {
                let (from, to) = asked.months()?;
                reports::output(book, as_of, &OutputQuery { from, to, party }, tables)
            }
            Kind::Inventory => reports::inventory(book, as_of, &asked.stock()?),
            Kind::OpenTransfers => reports::open_transfers(book, as_of, &asked.stock()?),
            Kind::OpenCampaigns => reports::open_campaigns(book, as_of, &asked.stock()?),
            Kind::Licences => {
                let within_days = asked.days()?;
                reports::licences(book, as_of, &LicenceQuery { within_days, party })
            }
            Kind::Corrections => {
                let (from, to) = asked.period()?;
                reports::corrections(book, as_of, &CorrectionsQuery { from, to, party })
            }
            Kind::Anomalies => reports::anomalies(book, as_of, &asked.anomalies()?),
            Kind::LabelStatement => return Ok(Made::Label(asked.of_lot()?)),
            Kind::LotPassport => return Ok(Made::Passport(asked.of_lot()?)),
        };
        Ok(Made::Table(Box::new(table)))
    }

    /// As of when a request asks.
    pub fn as_of(&self, request: &v1::GetReportRequest) -> AsOf {
        as_of(request.as_of_entry_index, request.as_of_ms, self.book, self.now)
    }

    /// In whose books. A party has reports of its own books alone.
    fn party(
        &self,
        kind: Kind,
        request: &v1::GetReportRequest,
    ) -> Result<Option<PartyId>, Failure> {
        let asked = optional("party_id", &request.party_id, PartyId::parse)?;
        let denied = Failure::Denied(Denied::NotAllowed { rule: Rule::Overseer });
        match self.viewer {
            Viewer::Overseer => Ok(asked),
            Viewer::Party(own) if is_of_own_books(kind) => match asked {
                Some(other) if other != own => Err(denied),
                _ => Ok(Some(own)),
            },
            Viewer::Party(_) | Viewer::Stranger => Err(denied),
        }
    }
}

/// As of an entry and a time.
pub fn as_of(entry: Option<u64>, at_ms: u64, book: &Book, now: TimeMs) -> AsOf {
    let size = entry.map_or(book.size().0, |last| last.saturating_add(1).min(book.size().0));
    let time = TimeMs::new(at_ms).ok().filter(|_| at_ms > 0);
    AsOf { size: EntryCount(size), time: time.unwrap_or(now) }
}

const fn is_of_own_books(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Balance
            | Kind::Inventory
            | Kind::Licences
            | Kind::MonthlyFlow
            | Kind::OpenCampaigns
            | Kind::OpenTransfers
    )
}

fn kind(request: &v1::GetReportRequest) -> Result<Kind, Failure> {
    Kind::try_from(request.kind)
        .map_err(|_| Failure::field("kind", "a number of ReportKind", request.kind.to_string()))
}

/// Which fields a kind takes, beside `kind` and the as-of ones.
const fn takes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Unspecified => &[],
        Kind::Coverage | Kind::CoverageCounts => &["region_prefix", "days"],
        Kind::MonthlyFlow => &["party_id", "site_id", "from_month", "to_month", "breakdown"],
        Kind::Balance => &[
            "party_id",
            "site_id",
            "process",
            "campaign_id",
            "substance",
            "from_month",
            "to_month",
            "breakdown",
        ],
        Kind::FlowMatrix => {
            &["party_id", "substance", "from_month", "to_month", "flow_level", "flow_moves"]
        }
        Kind::Output | Kind::Corrections => &["party_id", "from_month", "to_month"],
        Kind::Inventory | Kind::OpenTransfers | Kind::OpenCampaigns => &["party_id", "site_id"],
        Kind::Licences => &["party_id", "days"],
        Kind::LabelStatement => &["lot_id", "substance"],
        Kind::LotPassport => &["lot_id"],
        Kind::Anomalies => {
            &["party_id", "lot_id", "from_month", "to_month", "rule", "min_severity"]
        }
    }
}

fn check_fields(kind: Kind, request: &v1::GetReportRequest) -> Result<(), Failure> {
    let given = [
        ("party_id", !request.party_id.is_empty()),
        ("site_id", !request.site_id.is_empty()),
        ("process", !request.process.is_empty()),
        ("campaign_id", !request.campaign_id.is_empty()),
        ("lot_id", !request.lot_id.is_empty()),
        ("substance", request.substance != 0),
        ("from_month", !request.from_month.is_empty()),
        ("to_month", !request.to_month.is_empty()),
        ("region_prefix", !request.region_prefix.is_empty()),
        ("flow_level", request.flow_level != 0),
        ("flow_moves", request.flow_moves != 0),
        ("days", request.days != 0),
        ("breakdown", request.breakdown != 0),
        ("rule", request.rule != 0),
        ("min_severity", request.min_severity != 0),
    ];
    let stray = given.iter().find(|(name, is_given)| *is_given && !takes(kind).contains(name));
    stray.map_or(Ok(()), |(name, _)| {
        let takes = takes(kind).join(", ");
        let rule = format!("absent: a report of this kind takes {takes}");
        Err(Failure::field(name, rule, "given"))
    })
}

/// A request, with what was made of it so far.
struct Asked<'a> {
    request: &'a v1::GetReportRequest,
    as_of: AsOf,
    party: Option<PartyId>,
}

impl Asked<'_> {
    fn site(&self) -> Result<Option<SiteId>, Failure> {
        optional("site_id", &self.request.site_id, SiteId::parse)
    }

    fn stock(&self) -> Result<StockQuery, Failure> {
        Ok(StockQuery { party: self.party, site: self.site()? })
    }

    fn days(&self) -> Result<u32, Failure> {
        match self.request.days {
            0 => Ok(USUAL_DAYS),
            days if days <= MAX_REPORT_DAYS => Ok(days),
            days => {
                let rule = format!("at most {MAX_REPORT_DAYS}");
                Err(Failure::field("days", rule, days.to_string()))
            }
        }
    }

    fn coverage(&self) -> Result<CoverageQuery, Failure> {
        let prefix = &self.request.region_prefix;
        if prefix.len() > 6 || !prefix.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Failure::field("region_prefix", "up to six digits", prefix.clone()));
        }
        Ok(CoverageQuery {
            role: PartyRole::RareEarthRecoveryPlant,
            region_prefix: prefix.clone(),
            active_days: self.days()?,
        })
    }

    fn flow(&self) -> Result<FlowQuery, Failure> {
        let (from, to) = self.months()?;
        if from.next() != to {
            let found = self.request.to_month.clone();
            return Err(Failure::field("to_month", "the same month as from_month", found));
        }
        let by = match self.request.breakdown() {
            v1::ReportBreakdown::Unspecified | v1::ReportBreakdown::Measure => FlowBy::Measure,
            v1::ReportBreakdown::Material => FlowBy::Material,
            other => return Err(no_breakdown(other, "MATERIAL or MEASURE")),
        };
        Ok(FlowQuery { month: from, party: self.party, site: self.site()?, by })
    }

    fn balance(&self) -> Result<BalanceQuery, Failure> {
        let (from, to) = self.months()?;
        let by = match self.request.breakdown() {
            v1::ReportBreakdown::Unspecified | v1::ReportBreakdown::Site => BalanceBy::Site,
            v1::ReportBreakdown::Process => BalanceBy::Process,
            v1::ReportBreakdown::Campaign => BalanceBy::Campaign,
            other => return Err(no_breakdown(other, "SITE, PROCESS or CAMPAIGN")),
        };
        let process = &self.request.process;
        if process.len() > MAX_CODE_BYTES {
            return Err(Failure::field("process", "a code", process.len().to_string()));
        }
        Ok(BalanceQuery {
            from,
            to,
            party: self.party,
            site: self.site()?,
            process: (!process.is_empty()).then(|| process.clone()),
            campaign: optional("campaign_id", &self.request.campaign_id, CampaignId::parse)?,
            measure: self.substance()?.map(Measure::Substance),
            by,
        })
    }

    fn matrix(&self) -> Result<MatrixQuery, Failure> {
        let (from, to) = self.months()?;
        let level = match self.request.flow_level() {
            v1::FlowLevel::Unspecified | v1::FlowLevel::Party => Level::Party,
            v1::FlowLevel::Base => Level::Base,
            v1::FlowLevel::Province => Level::Province,
            v1::FlowLevel::Prefecture => Level::Prefecture,
            v1::FlowLevel::County => Level::County,
        };
        let moves = match self.request.flow_moves() {
            v1::FlowMoves::Unspecified | v1::FlowMoves::Custody => Moves::Custody,
            v1::FlowMoves::Ownership => Moves::Ownership,
        };
        let (codes, party) = (Codes::AsRecorded, self.party);
        let measure = self.substance()?.map_or(Measure::Mass, Measure::Substance);
        Ok(MatrixQuery { from, to, measure, level, moves, codes, party })
    }

    fn anomalies(&self) -> Result<AnomalyQuery, Failure> {
        let rule = self.request.rule;
        let rules = match (rule, u8::try_from(rule).ok().and_then(AnomalyRule::from_number)) {
            (0, _) => Vec::new(),
            (_, Some(rule)) => vec![rule],
            (_, None) => return Err(Failure::field("rule", "1 to 17", rule.to_string())),
        };
        let has_period = !self.request.from_month.is_empty() || !self.request.to_month.is_empty();
        let period = if has_period { Some(self.period()?) } else { None };
        Ok(AnomalyQuery {
            rules,
            at_least: super::anomalies::severity(self.request.min_severity)?,
            party: self.party,
            lot: optional("lot_id", &self.request.lot_id, LotId::parse)?,
            from: period.map(|(from, _)| from),
            to: period.map(|(_, to)| to),
        })
    }

    fn of_lot(&self) -> Result<OfLot, Failure> {
        let lot = needed("lot_id", &self.request.lot_id, LotId::parse)?;
        let measure = self.substance()?.map_or(Measure::Mass, Measure::Substance);
        Ok(OfLot { lot, measure, as_of: self.as_of })
    }

    fn substance(&self) -> Result<Option<Substance>, Failure> {
        match self.request.substance {
            0 => Ok(None),
            number => Substance::from_number(number).map(Some).ok_or_else(|| {
                Failure::field("substance", "a number of Substance", number.to_string())
            }),
        }
    }

    /// The first month inside, and the first that is not: of what is asked for, or the month
    /// before the one of the as-of time.
    fn months(&self) -> Result<(Month, Month), Failure> {
        let (from, to) = (&self.request.from_month, &self.request.to_month);
        if from.is_empty() && to.is_empty() {
            let now = Month::of(self.as_of.moment());
            let before = Month::of_number(now.number().saturating_sub(1));
            return Ok((before, now));
        }
        let first = month("from_month", from)?;
        let last = if to.is_empty() { first } else { month("to_month", to)? };
        if last < first {
            return Err(Failure::field("to_month", "not before from_month", to.clone()));
        }
        Ok((first, last.next()))
    }

    fn period(&self) -> Result<(TimeMs, TimeMs), Failure> {
        let (from, to) = self.months()?;
        Ok((from.begin().unwrap_or_default(), to.begin().unwrap_or(self.as_of.time)))
    }
}

fn no_breakdown(found: v1::ReportBreakdown, rule: &str) -> Failure {
    Failure::field("breakdown", rule, found.as_str_name())
}

/// `YYYY-MM`.
fn month(field: &'static str, text: &str) -> Result<Month, Failure> {
    let parse = || {
        let (year, month) = text.split_once('-')?;
        let digits = |part: &str, len: usize| {
            let is_number = part.len() == len && part.bytes().all(|it| it.is_ascii_digit());
            is_number.then(|| part.parse::<u32>().ok()).flatten()
        };
        let (year, month) = (digits(year, 4)?, digits(month, 2)?);
        let is_there = (1_970..=9_998).contains(&year) && (1..=12).contains(&month);
        is_there.then(|| Month::of_number((year - 1_970) * 12 + (month - 1)))
    };
    parse().ok_or_else(|| Failure::field(field, "a month as 2026-09", text))
}

/// A lot that nobody knows.
pub fn no_lot(lot: LotId) -> Failure {
    missing("lot", &lot)
}
