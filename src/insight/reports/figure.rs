//! Figures: what a number of a report is the sum of, as a value that can travel.

use std::fmt::{self, Write as _};

use super::day::month_from_text;
use super::table::{AsOf, measure_name};
use crate::domain::credit::Month;
use crate::domain::vocabulary::Substance;
use crate::domain::{CampaignId, EntryCount, EntryIndex, PartyId, SiteId, TimeMs};
use crate::insight::{Account, Book, Column};
use crate::limits::{MAX_FIGURE_BYTES, MAX_FIGURE_ENTRIES, MAX_FIGURE_LIST};
use crate::provenance::Measure;

/// What a number is the sum of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure {
    /// Postings to the accounts that a filter takes.
    Accounts(Box<Filter>),
    /// What a party did from one moment to before another: each entry counts one.
    Acts {
        /// Who.
        party: PartyId,
        /// First moment inside.
        from: TimeMs,
        /// First moment outside.
        to: TimeMs,
    },
    /// Entries one by one, each with what it counts (at most 64 bits), ascending.
    Entries(Vec<(EntryIndex, i128)>),
}

/// Which accounts count, and how. What is not stated is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Which columns, and with which sign.
    pub columns: Signs,
    /// Of what; their grams are added up.
    pub measures: Vec<Measure>,
    /// First month inside.
    pub from: Option<Month>,
    /// First month outside.
    pub to: Option<Month>,
    /// In whose books.
    pub party: Option<PartyId>,
    /// At which site.
    pub site: Option<SiteId>,
    /// Codes of the material table; none: any. The empty code is what is in process.
    pub materials: Vec<String>,
    /// Code of the process table; empty: outside of any.
    pub process: Option<String>,
    /// In which campaign.
    pub campaign: Option<CampaignId>,
    /// From or to whom.
    pub other: Option<PartyId>,
    /// Where the site was by then.
    pub place: Option<Place>,
    /// Where the other side was by then.
    pub other_place: Option<Place>,
}

/// Where a site is, as its record said when the entry was recorded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In an urban-mine base; empty: in none.
    Base(String),
    /// In a region: beginnings of its codes, ascending.
    Region(Vec<String>),
}

/// Columns of a balance, each counting one, less one, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    plus: u32,
    minus: u32,
}

/// Why a text is no figure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FigureFault {
    /// Too long.
    #[error("a figure has at most {MAX_FIGURE_BYTES} bytes, not {0}")]
    Length(usize),
    /// A part that is not understood.
    #[error("{0:?} is no part of a figure")]
    Part(String),
    /// It says something, but is not written as this house writes it.
    #[error("a figure has one spelling, and this is not it")]
    Spelling,
    /// A part that has to be there.
    #[error("a figure needs its {0}")]
    Missing(&'static str),
}

/// The entries behind a figure, each with what it counts, in ledger order.
pub fn entries_behind(book: &Book, as_of: AsOf, figure: &Figure) -> Vec<(EntryIndex, i128)> {
    match figure {
        Figure::Accounts(filter) => behind_accounts(book, as_of, filter),
        Figure::Acts { party, from, to } => {
            let until = as_of.time.min(*to);
            let acts = book.diary().acts(*party, as_of.size, until);
            acts.filter(|(_, at)| at >= from).map(|(index, _)| (index, 1)).collect()
        }
        Figure::Entries(entries) => {
            entries.iter().filter(|(index, _)| index.0 < as_of.size.0).copied().collect()
        }
    }
}

fn behind_accounts(book: &Book, as_of: AsOf, filter: &Filter) -> Vec<(EntryIndex, i128)> {
    let mut entries: Vec<(EntryIndex, i128)> = Vec::new();
    let weigh = |account: &Account| filter.weigh(account);
    book.each_weighed(as_of.size, Some(as_of.time), weigh, |index, account, grams| {
        if !filter.is_there(book, index, account) {
            return;
        }
        match entries.last_mut() {
            Some((last, sum)) if *last == index => *sum += grams,
            _ => entries.push((index, grams)),
        }
    });
    entries
}

/// The region and base of a site, as its record said when an entry was recorded; what takes an
/// earlier entry back stands where that one stood.
pub(super) fn place_of(book: &Book, index: EntryIndex, site: SiteId) -> Option<(&str, &str)> {
    let declared = book.diary().declared_by(index).and_then(|it| it.target);
    let told = declared.unwrap_or(index);
    let site = book.registry().site_as_of(site, EntryCount(told.0.saturating_add(1)))?;
    Some((&site.region_code, &site.base))
}

impl Figure {
    /// Entries that count one each; `None` of more than a figure may list.
    pub fn counting(entries: impl IntoIterator<Item = EntryIndex>) -> Option<Self> {
        Self::adding(entries.into_iter().map(|index| (index, 1)))
    }

    /// Entries with what each counts; `None` of more than a figure may list.
    pub fn adding(entries: impl IntoIterator<Item = (EntryIndex, i128)>) -> Option<Self> {
        let mut entries: Vec<_> = entries.into_iter().take(MAX_FIGURE_ENTRIES + 1).collect();
        entries.sort_unstable();
        let is_short = entries.len() <= MAX_FIGURE_ENTRIES;
        let fits = |(_, counts): &(EntryIndex, i128)| i64::try_from(*counts).is_ok();
        (is_short && entries.iter().all(fits)).then_some(Self::Entries(entries))
    }

    /// The one spelling of it.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// Takes the text that [`Self::to_text`] writes, and no other spelling of it.
    pub fn parse(text: &str) -> Result<Self, FigureFault> {
        if text.len() > MAX_FIGURE_BYTES {
            return Err(FigureFault::Length(text.len()));
        }
        let (kind, rest) = text.split_once(';').unwrap_or((text, ""));
        let figure = match kind {
            "accounts" => Self::Accounts(Box::new(parse_filter(rest)?)),
            "acts" => parse_acts(rest)?,
            "entries" => parse_entries(rest)?,
            stranger => return Err(FigureFault::Part(stranger.to_owned())),
        };
        if figure.to_text() == text { Ok(figure) } else { Err(FigureFault::Spelling) }
    }
}

impl From<Filter> for Figure {
    fn from(filter: Filter) -> Self {
        Self::Accounts(Box::new(filter))
    }
}

impl Filter {
    /// Columns of a measure, wherever.
    pub fn new(columns: Signs, measure: Measure) -> Self {
        Self {
            columns,
            measures: vec![measure],
            from: None,
            to: None,
            party: None,
            site: None,
            materials: Vec::new(),
            process: None,
            campaign: None,
            other: None,
            place: None,
            other_place: None,
        }
    }

    /// The same from a month on, and before another.
    #[must_use]
    pub fn in_months(mut self, from: Option<Month>, to: Option<Month>) -> Self {
        (self.from, self.to) = (from, to);
        self
    }

    /// The same with other columns.
    #[must_use]
    pub fn with(&self, columns: Signs) -> Self {
        Self { columns, ..self.clone() }
    }

    /// What a gram in an account counts, wherever its site was.
    pub fn weigh(&self, account: &Account) -> i8 {
        let is_of = self.measures.contains(&account.measure)
            && self.from.is_none_or(|from| account.month >= from)
            && self.to.is_none_or(|to| account.month < to)
            && self.party.is_none_or(|party| account.party == party)
            && self.site.is_none_or(|site| account.site == site)
            && (self.materials.is_empty()
                || self.materials.iter().any(|code| **code == *account.material))
            && self.process.as_ref().is_none_or(|code| **code == *account.process)
            && self.campaign.is_none_or(|campaign| account.campaign == Some(campaign))
            && self.other.is_none_or(|other| account.other.is_some_and(|(it, _)| it == other));
        if is_of { self.columns.of(account.column) } else { 0 }
    }

    fn is_there(&self, book: &Book, index: EntryIndex, account: &Account) -> bool {
        let is_at = |place: &Place, site: SiteId| {
            place_of(book, index, site).is_some_and(|(region, base)| match place {
                Place::Base(wanted) => wanted == base,
                Place::Region(codes) => codes.iter().any(|code| region.starts_with(code.as_str())),
            })
        };
        let other = account.other.map(|(_, site)| site);
        self.place.as_ref().is_none_or(|place| is_at(place, account.site))
            && self.other_place.as_ref().is_none_or(|it| other.is_some_and(|site| is_at(it, site)))
    }
}

impl Signs {
    /// Nothing.
    pub const NONE: Self = Self { plus: 0, minus: 0 };
    /// Grams in lots.
    pub const LOTS: Self = Self::weighing(1, 0);
    /// Grams in process.
    pub const PROCESS: Self = Self::weighing(0, 1);
    /// Grams in both.
    pub const STOCK: Self = Self::weighing(1, 1);

    const NAMED: [(&'static str, Self); 3] =
        [("LOTS", Self::LOTS), ("PROCESS", Self::PROCESS), ("STOCK", Self::STOCK)];

    const fn weighing(lots: i8, process: i8) -> Self {
        let mut signs = Self::NONE;
        let mut place = 0;
        while place < Column::ALL.len() {
            let column = Column::ALL[place];
            let weight = column.in_lots() * lots + column.in_process() * process;
            if weight != 0 {
                signs = signs.and(column, weight);
            }
            place += 1;
        }
        signs
    }

    const fn and(self, column: Column, sign: i8) -> Self {
        let bit = 1_u32 << (column as u32);
        if sign < 0 {
            Self { plus: self.plus, minus: self.minus | bit }
        } else {
            Self { plus: self.plus | bit, minus: self.minus }
        }
    }

    /// These, and columns that count one.
    #[must_use]
    pub fn plus(self, columns: &[Column]) -> Self {
        columns.iter().fold(self, |signs, column| signs.and(*column, 1))
    }

    /// These, and columns that count less one.
    #[must_use]
    pub fn minus(self, columns: &[Column]) -> Self {
        columns.iter().fold(self, |signs, column| signs.and(*column, -1))
    }

    /// What a gram in a column counts.
    pub const fn of(self, column: Column) -> i8 {
        let bit = 1_u32 << (column as u32);
        match (self.plus & bit != 0, self.minus & bit != 0) {
            (true, false) => 1,
            (false, true) => -1,
            _ => 0,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some((_, signs)) = Self::NAMED.iter().find(|(name, _)| *name == text) {
            return Some(*signs);
        }
        text.split(',').try_fold(Self::NONE, |signs, word| {
            let (name, sign) = word.strip_prefix('-').map_or((word, 1), |name| (name, -1));
            let column = Column::ALL.iter().find(|column| column.name() == name)?;
            Some(signs.and(*column, sign))
        })
    }
}

impl fmt::Display for Signs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = Self::NAMED.iter().find(|(_, signs)| signs == self) {
            return f.write_str(name);
        }
        let mut comma = "";
        for column in Column::ALL {
            match self.of(*column) {
                0 => continue,
                sign => write!(f, "{comma}{}{}", if sign < 0 { "-" } else { "" }, column.name())?,
            }
            comma = ",";
        }
        Ok(())
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accounts(filter) => filter.fmt(f),
            Self::Acts { party, from, to } => {
                write!(f, "acts;party={party};from={};to={}", from.get(), to.get())
            }
            Self::Entries(entries) => {
                f.write_str("entries;")?;
                for (place, (index, counts)) in entries.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    write!(f, "{comma}{index}")?;
                    if *counts != 1 {
                        write!(f, ":{counts}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measures: Vec<&str> = self.measures.iter().map(|it| measure_name(*it)).collect();
        write!(f, "accounts;columns={};measures={}", self.columns, measures.join(","))?;
        if self.from.is_some() || self.to.is_some() {
            let text = |month: Option<Month>| month.map(|it| it.to_string()).unwrap_or_default();
            write!(f, ";months={}..{}", text(self.from), text(self.to))?;
        }
        let mut part = |name: &str, value: Option<String>| match value {
            Some(value) => write!(f, ";{name}={value}"),
            None => Ok(()),
        };
        part("party", self.party.map(|id| id.to_string()))?;
        part("site", self.site.map(|id| id.to_string()))?;
        part("materials", (!self.materials.is_empty()).then(|| escaped_list(&self.materials)))?;
        part("process", self.process.as_ref().map(|code| escaped(code)))?;
        part("campaign", self.campaign.map(|id| id.to_string()))?;
        part("other", self.other.map(|id| id.to_string()))?;
        part("place", self.place.as_ref().map(ToString::to_string))?;
        part("other_place", self.other_place.as_ref().map(ToString::to_string))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(base) => write!(f, "base:{}", escaped(base)),
            Self::Region(codes) => write!(f, "region:{}", escaped_list(codes)),
        }
    }
}

fn parse_filter(text: &str) -> Result<Filter, FigureFault> {
    let mut filter = Filter::new(Signs::NONE, Measure::Mass);
    filter.measures.clear();
    for part in text.split(';') {
        let fault = || FigureFault::Part(part.to_owned());
        let (name, value) = part.split_once('=').ok_or_else(fault)?;
        take_part(&mut filter, name, value).ok_or_else(fault)?;
    }
    match (filter.columns == Signs::NONE, filter.measures.is_empty()) {
        (true, _) => Err(FigureFault::Missing("columns")),
        (_, true) => Err(FigureFault::Missing("measures")),
        (false, false) => Ok(filter),
    }
}

/// A part said twice has another spelling than the filter that comes of it.
fn take_part(filter: &mut Filter, name: &str, value: &str) -> Option<()> {
    match name {
        "columns" => filter.columns = Signs::parse(value)?,
        "measures" => {
            filter.measures = list(value, measure)?;
        }
        "months" => {
            let (from, to) = value.split_once("..")?;
            let month = |text: &str| match text {
                "" => Some(None),
                text => month_from_text(text).map(Some),
            };
            (filter.from, filter.to) = (month(from)?, month(to)?);
        }
        "party" => filter.party = Some(PartyId::from_text(value).ok()?),
        "site" => filter.site = Some(SiteId::from_text(value).ok()?),
        "materials" => filter.materials = list(value, plain)?,
        "process" => filter.process = Some(plain(value)?),
        "campaign" => filter.campaign = Some(CampaignId::from_text(value).ok()?),
        "other" => filter.other = Some(PartyId::from_text(value).ok()?),
        "place" => filter.place = Some(place(value)?),
        "other_place" => filter.other_place = Some(place(value)?),
        _ => return None,
    }
    Some(())
}

/// A list of what has commas between; none that is longer than a figure may have.
fn list<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let is_short = text.split(',').count() <= MAX_FIGURE_LIST;
    is_short.then(|| text.split(',').map(one).collect())?
}

fn measure(name: &str) -> Option<Measure> {
    match name {
        "MASS" => Some(Measure::Mass),
        name => Substance::from_name(name).map(Measure::Substance),
    }
}

fn place(text: &str) -> Option<Place> {
    let (kind, value) = text.split_once(':')?;
    match kind {
        "base" => Some(Place::Base(plain(value)?)),
        "region" => Some(Place::Region(list(value, plain)?)),
        _ => None,
    }
}

fn parse_acts(text: &str) -> Result<Figure, FigureFault> {
    let fault = || FigureFault::Part(text.to_owned());
    let mut stated = text.split(';');
    let mut part = |name: &str| stated.next()?.strip_prefix(name)?.strip_prefix('=');
    let party = part("party").and_then(|text| PartyId::from_text(text).ok()).ok_or_else(fault)?;
    let time = |text: Option<&str>| TimeMs::new(text?.parse().ok()?).ok();
    let from = time(part("from")).ok_or_else(fault)?;
    let to = time(part("to")).ok_or_else(fault)?;
    Ok(Figure::Acts { party, from, to })
}

fn parse_entries(text: &str) -> Result<Figure, FigureFault> {
    let mut entries = Vec::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let fault = || FigureFault::Part(part.to_owned());
        let (index, counts) = part.split_once(':').unwrap_or((part, "1"));
        let index = EntryIndex(index.parse().map_err(|_| fault())?);
        let counts: i64 = counts.parse().map_err(|_| fault())?;
        entries.push((index, counts.into()));
    }
    if entries.len() > MAX_FIGURE_ENTRIES || !entries.is_sorted() {
        return Err(FigureFault::Spelling);
    }
    Ok(Figure::Entries(entries))
}

/// Everything but letters, digits and `._-` as `%` and two digits.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // a String takes every write
        }
    }
    out
}

fn escaped_list(texts: &[String]) -> String {
    texts.iter().map(|text| escaped(text)).collect::<Vec<_>>().join(",")
}

/// What was escaped; `None` where a `%` has no two digits, or for bytes that are no text.
fn plain(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(last: u8) -> [u8; 16] {
        [1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, last]
    }

    #[test]
    fn a_figure_travels_and_has_one_spelling() {
        let full = Filter {
            columns: Signs::NONE.plus(&[Column::Produced]).minus(&[Column::Used, Column::Added]),
            measures: vec![Measure::Substance(Substance::Pr), Measure::Substance(Substance::Nd)],
            from: Some(Month::of_number(560)),
            to: None,
            party: Some(PartyId::from_bytes(id(1))),
            site: Some(SiteId::from_bytes(id(2))),
            materials: vec!["RE_OXIDE_PR".to_owned(), String::new()],
            process: Some(String::new()),
            campaign: Some(CampaignId::from_bytes(id(3))),
            other: Some(PartyId::from_bytes(id(4))),
            place: Some(Place::Base("珠三角 base;1=2".to_owned())),
            other_place: Some(Place::Region(vec!["360704".to_owned(), "360721".to_owned()])),
        };
        let figures = [
            Figure::from(Filter::new(Signs::STOCK, Measure::Mass)),
            Figure::from(Filter::new(Signs::LOTS, Measure::Mass).in_months(None, full.from)),
            full.into(),
            Figure::Entries(Vec::new()),
            Figure::Entries(vec![(EntryIndex(1), 1), (EntryIndex(7), -30), (EntryIndex(8), 0)]),
            Figure::Acts {
                party: PartyId::from_bytes(id(5)),
                from: TimeMs::of(0),
                to: TimeMs::of(9),
            },
        ];
        for figure in figures {
            let text = figure.to_text();
            assert_eq!(Figure::parse(&text), Ok(figure), "{text}");
            assert!(text.is_ascii(), "{text}");
            // Every cut and every doubled part is refused, or is another figure.
            for end in 0..text.len() {
                if let Ok(other) = Figure::parse(&text[..end]) {
                    assert_eq!(other.to_text(), text[..end]);
                }
            }
        }
    }

    #[test]
    fn what_is_no_figure_is_refused() {
        let strangers = [
            "",
            "accounts",
            "accounts;",
            "accounts;columns=STOCK",
            "accounts;measures=CU",
            "accounts;measures=CU;columns=STOCK",
            "accounts;columns=STOCK;measures=CU;columns=STOCK",
            "accounts;columns=STOCK;measures=CU;party=x",
            "accounts;columns=USED,PRODUCED;measures=CU;months=2016-9..",
            "accounts;columns=USED,COLLECTED;measures=CU",
            "accounts;columns=STOCK;measures=CU;process=%4",
            "accounts;columns=STOCK;measures=CU;process=%41",
            "acts;party=",
            "entries;2,1",
            "entries;1:1",
            "entries;01",
            "entries;+1",
            "entries;1,",
            "entries;1:9223372036854775808",
            "other;1",
        ];
        for stranger in strangers {
            assert!(Figure::parse(stranger).is_err(), "{stranger}");
        }
        assert!(Figure::parse(&"x".repeat(MAX_FIGURE_BYTES + 1)).is_err());
        let long = "CU,".repeat(MAX_FIGURE_LIST) + "CU";
        assert!(Figure::parse(&format!("accounts;columns=STOCK;measures={long}")).is_err());
        let many = (0..=MAX_FIGURE_ENTRIES).map(|index| EntryIndex(index as u64));
        assert_eq!(Figure::counting(many), None);
        assert_eq!(Figure::adding([(EntryIndex(1), i128::MAX)]), None);
    }
}
