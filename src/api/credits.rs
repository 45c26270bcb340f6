//! Recycled content that sites earned and claimed.

use super::convert::{missing, needed};
use super::errors::Failure;
use super::viewer::Viewer;
use crate::domain::credit::{Credit, Month};
use crate::domain::vocabulary::Substance;
use crate::domain::{Grams, SiteId, TimeMs};
use crate::limits::MAX_CREDIT_MONTHS;
use crate::node::Reader;
use crate::wire::v1;

/// The accounts of a site, of every month of a period. They tell what a plant used up, so they are
/// its party's; for others the site is not there.
pub fn balance(
    reader: &Reader,
    viewer: Viewer,
    request: &v1::GetCreditBalanceRequest,
) -> Result<v1::GetCreditBalanceResponse, Failure> {
    let site = needed("site_id", &request.site_id, SiteId::parse)?;
    let number = request.substance;
    let substance = Substance::from_number(number)
        .ok_or_else(|| Failure::field("substance", "a number of Substance", number.to_string()))?;
    let from = month("period_from_ms", request.period_from_ms)?;
    let to = month("period_to_ms", request.period_to_ms)?;
    let count = to.number().saturating_sub(from.number());
    if !(1..=MAX_CREDIT_MONTHS).contains(&count) {
        let rule = format!("1 to {MAX_CREDIT_MONTHS} months after period_from_ms");
        return Err(Failure::field("period_to_ms", rule, format!("{count} months")));
    }
    let is_seen = reader.site(site)?.is_some_and(|it| match viewer {
        Viewer::Overseer => true,
        Viewer::Party(party) => it.party == party,
        Viewer::Stranger => false,
    });
    if !is_seen {
        return Err(missing("site", &site));
    }

    let mut accounts = Vec::new();
    for number in from.number()..to.number() {
        accounts.push(reader.credit((site, substance, Month::of_number(number)))?);
    }
    // Twelve accounts of 64 bits: more than 1.8e13 t would not fit.
    let available = Grams::sum(accounts.iter().map(Credit::available));
    Ok(v1::GetCreditBalanceResponse {
        months: accounts.iter().map(v1::CreditMonth::from).collect(),
        available_g: u64::try_from(available).unwrap_or(u64::MAX),
    })
}

fn month(field: &str, millis: u64) -> Result<Month, Failure> {
    let month = TimeMs::new(millis).ok().and_then(Month::beginning_at);
    let rule = "the first moment of a month in UTC+8";
    month.ok_or_else(|| Failure::field(field, rule, millis.to_string()))
}

impl From<&Credit> for v1::CreditMonth {
    fn from(credit: &Credit) -> Self {
        Self {
            month_from_ms: credit.month.begin().map_or(0, TimeMs::get),
            earned_g: credit.earned.get(),
            claimed_g: credit.claimed.get(),
        }
    }
}
