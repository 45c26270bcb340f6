//! Flags of the anomaly rules, as the proto tells them.

use super::convert::{missing, optional, raw, raw_or_none};
use super::errors::Failure;
use super::pages::{List, cut, page_size};
use crate::domain::audit::Acknowledgement;
use crate::domain::{CampaignId, EntryCount, EntryIndex, LotId, PartyId, SiteId};
use crate::insight::{Anomaly, Book, Number, Rule, Severity, Unit};
use crate::limits::MAX_SHORT_TEXT_BYTES;
use crate::wire::v1;

/// One flag.
pub fn one(
    book: &Book,
    request: &v1::GetAnomalyRequest,
) -> Result<v1::GetAnomalyResponse, Failure> {
    let id = &request.anomaly_id;
    if id.is_empty() || id.len() > MAX_SHORT_TEXT_BYTES {
        return Err(Failure::field("anomaly_id", "as A5-120-0", id.len().to_string()));
    }
    let found = book.anomalies().iter().find(|anomaly| anomaly.id == *id);
    let anomaly = found.ok_or_else(|| missing("anomaly", id))?;
    Ok(v1::GetAnomalyResponse {
        anomaly: Some(told(anomaly, &book.acknowledgements(id, book.size()))),
    })
}

/// What a list lets pass.
struct Filter {
    rule: Option<Rule>,
    min_severity: Option<Severity>,
    party: Option<PartyId>,
    site: Option<SiteId>,
    lot: Option<LotId>,
    campaign: Option<CampaignId>,
    from: u64,
    /// As of so many entries.
    size: u64,
}

impl Filter {
    fn parse(request: &v1::ListAnomaliesRequest) -> Result<Self, Failure> {
        Ok(Self {
            rule: rule(request.rule)?,
            min_severity: severity(request.min_severity)?,
            party: optional("party_id", &request.party_id, PartyId::parse)?,
            site: optional("site_id", &request.site_id, SiteId::parse)?,
            lot: optional("lot_id", &request.lot_id, LotId::parse)?,
            campaign: optional("campaign_id", &request.campaign_id, CampaignId::parse)?,
            from: request.from_entry_index,
            size: request.as_of_entry_index.map_or(u64::MAX, |last| last.saturating_add(1)),
        })
    }

    fn lets(&self, it: &Anomaly) -> bool {
        self.rule.is_none_or(|rule| it.rule == rule)
            && self.min_severity.is_none_or(|least| it.severity >= least)
            && (self.party.is_none() || it.party == self.party)
            && (self.site.is_none() || it.site == self.site)
            && (self.lot.is_none() || it.lot == self.lot)
            && (self.campaign.is_none() || it.campaign == self.campaign)
            && (self.from..self.size).contains(&it.raised_at.0)
    }

    /// What was not known yet as of the asked entry is not told.
    fn as_then(&self, book: &Book, anomaly: &Anomaly) -> v1::Anomaly {
        let mut it = told(anomaly, &book.acknowledgements(&anomaly.id, EntryCount(self.size)));
        it.corrected_entry_index = it.corrected_entry_index.filter(|at| *at < self.size);
        it
    }
}

/// A page of flags, in the order in which they were raised.
pub fn page(
    book: &Book,
    request: &v1::ListAnomaliesRequest,
) -> Result<v1::ListAnomaliesResponse, Failure> {
    let filter = Filter::parse(request)?;
    let asked =
        v1::ListAnomaliesRequest { page_size: 0, page_token: String::new(), ..request.clone() };
    let list = List::new("ListAnomalies", &[&prost::Message::encode_to_vec(&asked)]);
    let begin = list.cursor::<8>(&request.page_token)?.map_or(0, u64::from_be_bytes);
    let begin = usize::try_from(begin).unwrap_or(usize::MAX);
    let size = page_size(request.page_size);
    let (mut found, mut places) = (Vec::new(), Vec::new());
    let all = book.anomalies().iter().enumerate().skip(begin);
    for (place, anomaly) in all.filter(|(_, anomaly)| filter.lets(anomaly)) {
        let told = filter.as_then(book, anomaly);
        if request.only_open && !told.acknowledgements.is_empty() {
            continue;
        }
        found.push(told);
        places.push(place);
        if found.len() > size {
            break;
        }
    }
    let next = cut(&mut found, size).and_then(|at| places.get(at)).map(|place| {
        let after = u64::try_from(place + 1).unwrap_or(u64::MAX);
        list.token(&after.to_be_bytes())
    });
    Ok(v1::ListAnomaliesResponse { anomalies: found, next_page_token: next.unwrap_or_default() })
}

fn rule(number: u32) -> Result<Option<Rule>, Failure> {
    if number == 0 {
        return Ok(None);
    }
    let known = u8::try_from(number).ok().and_then(Rule::from_number);
    known.map(Some).ok_or_else(|| Failure::field("rule", "1 to 17", number.to_string()))
}

/// A severity; none of 0.
pub fn severity(number: i32) -> Result<Option<Severity>, Failure> {
    match v1::Severity::try_from(number) {
        Ok(v1::Severity::Unspecified) => Ok(None),
        Ok(v1::Severity::Low) => Ok(Some(Severity::Low)),
        Ok(v1::Severity::Medium) => Ok(Some(Severity::Medium)),
        Ok(v1::Severity::High) => Ok(Some(Severity::High)),
        Ok(v1::Severity::Severe) => Ok(Some(Severity::Severe)),
        Err(_) => Err(Failure::field("min_severity", "a number of Severity", number.to_string())),
    }
}

impl From<Severity> for v1::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Low => Self::Low,
            Severity::Medium => Self::Medium,
            Severity::High => Self::High,
            Severity::Severe => Self::Severe,
        }
    }
}

impl From<Unit> for v1::NumberUnit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Count => Self::Count,
            Unit::Fen => Self::Fen,
            Unit::FractionE8 => Self::FractionE8,
            Unit::Grams => Self::Grams,
            Unit::Metres => Self::Metres,
            Unit::Ms => Self::Ms,
            Unit::TimeMs => Self::TimeMs,
        }
    }
}

fn told(anomaly: &Anomaly, seen: &[&Acknowledgement]) -> v1::Anomaly {
    let number = |it: &Number| v1::AnomalyNumber {
        name: it.name.to_owned(),
        value: it.value.to_string(),
        unit: v1::NumberUnit::from(it.unit).into(),
    };
    let acknowledged = |it: &&Acknowledgement| v1::AnomalyAcknowledgement {
        party_id: raw(it.by.as_bytes()),
        note: it.note.clone(),
        entry_index: it.index.0,
        occurred_at_ms: it.occurred_at.get(),
    };
    v1::Anomaly {
        anomaly_id: anomaly.id.clone(),
        rule: anomaly.rule.number().into(),
        variant: anomaly.variant.to_owned(),
        severity: v1::Severity::from(anomaly.severity).into(),
        raised_entry_index: anomaly.raised_at.0,
        occurred_at_ms: anomaly.occurred_at.get(),
        party_id: raw_or_none(anomaly.party.as_ref().map(PartyId::as_bytes)),
        site_id: raw_or_none(anomaly.site.as_ref().map(SiteId::as_bytes)),
        lot_id: raw_or_none(anomaly.lot.as_ref().map(LotId::as_bytes)),
        campaign_id: raw_or_none(anomaly.campaign.as_ref().map(CampaignId::as_bytes)),
        entry_indexes: anomaly.entries.iter().map(|index| index.0).collect(),
        numbers: anomaly.numbers.iter().map(number).collect(),
        tables_hash: raw(&anomaly.tables.0),
        corrected_entry_index: anomaly.corrected_at.map(|EntryIndex(index)| index),
        acknowledgements: seen.iter().map(acknowledged).collect(),
    }
}
