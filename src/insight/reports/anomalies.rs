//! The queue of anomalies as a table.

use super::figure::Figure;
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, Value};
use super::words::{CAMPAIGN, LOT, OCCURRED_AT, PARTY, SITE};
use crate::domain::{LotId, PartyId, TimeMs};
use crate::insight::{Anomaly, Book, Number, Rule, Severity, Unit};

/// Which anomalies. What is not stated is any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnomalyQuery {
    /// Of these rules; none: of all.
    pub rules: Vec<Rule>,
    /// At least so severe.
    pub at_least: Option<Severity>,
    /// About whom.
    pub party: Option<PartyId>,
    /// About which lot.
    pub lot: Option<LotId>,
    /// Of what happened at this moment or later.
    pub from: Option<TimeMs>,
    /// Of what happened before this moment.
    pub to: Option<TimeMs>,
}

/// Anomalies in the order in which they could be told, with who has acknowledged them.
pub fn anomalies(book: &Book, as_of: AsOf, query: &AnomalyQuery) -> Table {
    let columns = vec![
        ColumnHead::new("anomaly", "异常编号", "anomaly", ColumnUnit::Code),
        ColumnHead::new("rule", "规则", "rule", ColumnUnit::Code),
        ColumnHead::new("variant", "情形", "variant", ColumnUnit::Code),
        ColumnHead::new("severity", "严重程度", "severity", ColumnUnit::Code),
        ColumnHead::new("raised_at", "触发条目", "raised at entry", ColumnUnit::Entry),
        OCCURRED_AT,
        PARTY,
        SITE,
        LOT,
        CAMPAIGN,
        ColumnHead::new("entries", "依据条目数", "entries it rests on", ColumnUnit::Count),
        ColumnHead::new("numbers", "数值", "numbers", ColumnUnit::Text),
        ColumnHead::new("tables", "规则表", "tables", ColumnUnit::Text),
        ColumnHead::new("corrected_at", "更正条目", "corrected at entry", ColumnUnit::Entry),
        ColumnHead::new("acknowledged_by", "已知悉", "acknowledged by", ColumnUnit::Parties),
    ];
    let mut table = Table::new(ReportKind::Anomalies, as_of, columns);
    let is_wanted = |it: &&Anomaly| query.takes(it) && is_told(it, as_of);
    for anomaly in book.anomalies().iter().filter(is_wanted) {
        let words = book.acknowledgements(&anomaly.id, as_of.size).into_iter();
        let words = words.filter(|word| word.occurred_at < as_of.time);
        table.push(row(as_of, anomaly, words.map(|word| word.by).collect()));
    }
    table.named(book.registry())
}

fn is_told(anomaly: &Anomaly, as_of: AsOf) -> bool {
    anomaly.raised_at.0 < as_of.size.0 && anomaly.occurred_at < as_of.time
}

impl AnomalyQuery {
    fn takes(&self, anomaly: &Anomaly) -> bool {
        (self.rules.is_empty() || self.rules.contains(&anomaly.rule))
            && self.at_least.is_none_or(|least| anomaly.severity >= least)
            && self.party.is_none_or(|party| anomaly.party == Some(party))
            && self.lot.is_none_or(|lot| anomaly.lot == Some(lot))
            && self.from.is_none_or(|from| anomaly.occurred_at >= from)
            && self.to.is_none_or(|to| anomaly.occurred_at < to)
    }
}

fn row(as_of: AsOf, anomaly: &Anomaly, acknowledged_by: Vec<PartyId>) -> Vec<Cell> {
    let corrected = anomaly.corrected_at.filter(|by| by.0 < as_of.size.0);
    let numbers: Vec<String> = anomaly.numbers.iter().map(number).collect();
    let entries = anomaly.entries.len();
    let figure = Figure::counting(anomaly.entries.iter().copied());
    let acknowledged = (!acknowledged_by.is_empty()).then_some(Value::Parties(acknowledged_by));
    vec![
        Cell::code(&anomaly.id),
        Cell::code(anomaly.rule),
        Cell::code(anomaly.variant),
        Cell::code(anomaly.severity.name()),
        Value::Entry(anomaly.raised_at).into(),
        Value::Time(anomaly.occurred_at).into(),
        Cell::maybe(anomaly.party.map(Value::Party)),
        Cell::maybe(anomaly.site.map(Value::Site)),
        Cell::maybe(anomaly.lot.map(Value::Lot)),
        Cell::maybe(anomaly.campaign.map(Value::Campaign)),
        Cell { figure, ..Value::count(entries).into() },
        Cell::text(&numbers.join("; ")),
        Cell::text(&anomaly.tables.to_string()),
        Cell::maybe(corrected.map(Value::Entry)),
        Cell::maybe(acknowledged),
    ]
}

/// `recovery=98600000 e8`.
fn number(number: &Number) -> String {
    let unit = match number.unit {
        Unit::Count => "",
        Unit::Fen => " fen",
        Unit::FractionE8 => " e8",
        Unit::Grams => " g",
        Unit::Metres => " m",
        Unit::Ms | Unit::TimeMs => " ms",
    };
    format!("{}={}{unit}", number.name, number.value)
}
