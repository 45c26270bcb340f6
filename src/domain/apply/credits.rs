//! Recycled content: earned where recycled metal is used up, claimed for products.

use std::collections::BTreeMap;

use super::super::credit::{Credit, CreditKey, Month};
use super::super::effects::View;
use super::super::event::ClaimCredit;
use super::super::ids::LotId;
use super::super::lot::{Contents, Delta, EventRecord, Lot};
use super::super::rejection::Rejection;
use super::super::units::Grams;
use super::super::vocabulary::{CustodyModel, Substance};
use super::Verdict;
use super::lots::event_site;
use super::work::Work;

/// Takes from the earliest month first. Corrections may have brought months back, so it is each
/// month that is never overdrawn, not only their sum.
pub(super) fn claim<V: View>(work: &mut Work<'_, V>, claim: ClaimCredit) -> Verdict<(), V> {
    let ClaimCredit { site, substance, mass: asked, .. } = claim;
    let mut accounts = Vec::new();
    for number in claim.from.number()..claim.to.number() {
        accounts.push(work.account((site, substance, Month::of_number(number)))?);
    }
    let available = Grams::sum(accounts.iter().map(Credit::available));
    if u128::from(asked.get()) > available {
        return Err(Rejection::CreditInsufficient { site, substance, asked, available }.into());
    }
    let mut rest = asked;
    for mut account in accounts {
        let part = rest.min(account.available());
        if part.is_zero() {
            continue;
        }
        rest = rest.checked_sub(part).unwrap_or_default();
        account.claimed = account.claimed.checked_add(part).unwrap_or(account.claimed);
        work.delta(Delta::Claimed(account.key(), part));
        work.put_account(account);
    }
    Ok(())
}

/// What an event earned goes away, if nobody has claimed it.
pub(super) fn undo_earned<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    key: CreditKey,
    mass: Grams,
) -> Verdict<(), V> {
    let mut account = work.account(key)?;
    account.earned = account.earned.checked_sub(mass).unwrap_or_default();
    if account.claimed > account.earned {
        let Credit { site, substance, month, earned: left, claimed } = account;
        let target = record.id;
        return Err(
            Rejection::CreditClaimed { target, site, substance, month, left, claimed }.into()
        );
    }
    work.put_account(account);
    Ok(())
}

/// What an event claimed may be claimed again.
pub(super) fn undo_claimed<V: View>(
    work: &mut Work<'_, V>,
    key: CreditKey,
    mass: Grams,
) -> Verdict<(), V> {
    let mut account = work.account(key)?;
    account.claimed = account.claimed.checked_sub(mass).unwrap_or_default();
    work.put_account(account);
    Ok(())
}

impl<V: View> Work<'_, V> {
    /// An account as this event has left it so far.
    fn account(&self, key: CreditKey) -> Verdict<Credit, V> {
        if let Some(account) = self.credits.get(&key) {
            return Ok(*account);
        }
        Ok(self.read(|view| view.credit(key))?.unwrap_or(Credit::empty(key)))
    }

    fn put_account(&mut self, account: Credit) {
        self.credits.insert(account.key(), account);
    }

    /// The site of the event earns what is contained in recycled lots that are used up there. Only
    /// lots under mass balance: in the other models of ISO 22095 the metal carries its claim
    /// itself, and would be counted twice. Whether what is made of these lots earns no more: what
    /// was made of metal that earned is the same metal.
    pub(super) fn earn(&mut self, lots: &[Lot], taken: &[(LotId, Contents)]) -> Verdict<bool, V> {
        let mut earned: BTreeMap<Substance, Grams> = BTreeMap::new();
        for (lot, (_, contents)) in lots.iter().zip(taken) {
            if !self.earns(lot, contents)? {
                continue;
            }
            for item in contents.items.iter().filter(|item| !item.contained.is_zero()) {
                let sum = earned.entry(item.substance).or_default();
                *sum = sum.checked_add(item.contained).unwrap_or(*sum);
            }
        }
        let has_earned = !earned.is_empty() || lots.iter().any(|lot| lot.has_earned);
        let (site, month) = (event_site(self)?, Month::of(self.at()));
        for (substance, mass) in earned {
            let mut account = self.account((site, substance, month))?;
            // An account that is full to 64 bits (1.8e13 t) takes nothing more, and tells nothing.
            let Some(sum) = account.earned.checked_add(mass) else { continue };
            account.earned = sum;
            self.delta(Delta::Earned(account.key(), mass));
            self.put_account(account);
        }
        Ok(has_earned)
    }

    /// Whether grams of a lot earn when they are used up.
    pub(super) fn earns(&self, lot: &Lot, contents: &Contents) -> Result<bool, Rejection> {
        let recycled = self.tables()?.recycled;
        let has_content = contents.items.iter().any(|item| !item.contained.is_zero());
        Ok(!lot.has_earned
            && has_content
            && lot.custody_model == CustodyModel::MassBalance
            && lot.origin_kinds.are_all_of(recycled))
    }
}
