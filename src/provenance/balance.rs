//! What every lot holds, of which origin, after each movement: the arithmetic of
//! `docs/PROVENANCE.md`.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::pools::{Inflow, Mixes};
use super::range::{Mix, merged_all};
use super::share::Vector;
use super::{Measure, TraceFault};
use crate::domain::lot::Contents;
use crate::domain::movement::{Birth, InProcess, Movement};
use crate::domain::vocabulary::EventKind;
use crate::domain::{CampaignId, EntryIndex, Grams, LotId};

/// What was fixed to be in a mass; what is in less of it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fixed {
    of_mass: Grams,
    contained: Grams,
}

impl Fixed {
    fn new(of_mass: u64, contained: u64) -> Self {
        Self { of_mass: Grams::of(of_mass), contained: Grams::of(contained) }
    }

    fn at(self, mass: u64) -> u64 {
        let contents = Contents { of_mass: self.of_mass, items: Vec::new() };
        contents.at_mass(self.contained, Grams::of(mass)).get()
    }

    /// What leaves when `before` grams become `after`.
    fn between(self, before: u64, after: u64) -> u64 {
        self.at(before).saturating_sub(self.at(after))
    }
}

/// What a lot holds.
#[derive(Debug, Clone)]
pub(super) struct Account<V> {
    mass: u64,
    /// `None`: nobody looked for the measure.
    fixed: Option<Fixed>,
    /// `None`: nobody knows of which origins. Without `fixed`, only the mix means something.
    shares: Option<V>,
    /// All of the lot is of this origin, whatever an analysis finds: itself, or the campaign that
    /// it was drawn from.
    origin: Option<LotId>,
}

impl<V: Mix> Account<V> {
    /// Contained grams, when they are known.
    pub(super) fn total(&self) -> Option<u64> {
        self.fixed.map(|fixed| fixed.at(self.mass))
    }

    /// Grams per origin, when they are known.
    pub(super) fn shares(&self) -> Option<&V> {
        self.fixed.and(self.shares.as_ref())
    }

    fn draw(&mut self, mass: u64) -> Option<Taken<V>> {
        let before = self.mass;
        self.mass = before.checked_sub(mass)?;
        let Some(fixed) = self.fixed else {
            return Some(Taken { grams: None, shares: None, source: None });
        };
        let grams = fixed.between(before, self.mass);
        let shares = match self.shares.as_mut() {
            Some(vector) => Some(vector.take(grams)),
            None if grams == 0 => Some(V::default()),
            None => None,
        };
        Some(Taken { grams: Some(grams), shares, source: Some(fixed) })
    }

    /// More mass was counted than was booked: it carries no traced metal, and for mass it is of no
    /// origin.
    fn gain(&mut self, measure: Measure, grams: u64) {
        let total = self.total();
        self.mass = self.mass.saturating_add(grams);
        match measure {
            Measure::Mass => {
                self.fixed = Some(Fixed::new(self.mass, self.mass));
                let found = V::of(LotId::UPTAKE, grams);
                self.shares = self.shares.take().map(|shares| shares.merged(&found));
            }
            Measure::Substance(_) => {
                self.fixed = total.map(|total| Fixed::new(self.mass, total));
            }
        }
    }

    /// An analysis replaces what was known; the mix stays.
    fn assay(&mut self, measured: Option<Fixed>) {
        self.fixed = measured;
        let Some(total) = self.total() else { return };
        let mix = self.shares.take().filter(|vector| vector.sum() > 0);
        self.shares = match (self.origin, mix) {
            (Some(origin), _) => Some(V::of(origin, total)),
            (None, Some(vector)) => Some(vector.rescaled(total)),
            (None, None) if total == 0 => Some(V::default()),
            (None, None) => None,
        };
    }
}

/// What one draw took.
struct Taken<V> {
    grams: Option<u64>,
    shares: Option<V>,
    /// What was fixed of the lot.
    source: Option<Fixed>,
}

/// Where a draw from a lot that is not followed goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stranger {
    /// It cannot be: every parent of a followed lot is followed.
    Fault,
    /// Into the rest, which is counted under [`LotId::UPTAKE`].
    Rest,
}

/// The accounts of the followed lots, carried forward in the order of the ledger.
pub(super) struct Balance<'a, V> {
    measure: Measure,
    followed: &'a HashSet<LotId>,
    stranger: Stranger,
    accounts: HashMap<LotId, Account<V>>,
    pools: BTreeMap<LotId, Inflow<V>>,
    /// Shares handled so far: the work done, and a bound of the memory in use.
    handled: usize,
}

impl<'a, V: Mix> Balance<'a, V> {
    pub(super) fn new(measure: Measure, followed: &'a HashSet<LotId>, stranger: Stranger) -> Self {
        Self {
            measure,
            followed,
            stranger,
            accounts: HashMap::with_capacity(followed.len()),
            pools: BTreeMap::new(),
            handled: 0,
        }
    }

    /// What a lot holds now; `None` before its birth.
    pub(super) fn account(&self, lot: LotId) -> Option<&Account<V>> {
        self.accounts.get(&lot)
    }

    /// How many shares were handled so far.
    pub(super) fn handled(&self) -> usize {
        self.handled
    }

    /// Closes the account of a lot that is not needed any more.
    pub(super) fn close(&mut self, lot: LotId) {
        self.accounts.remove(&lot);
    }

    /// Opens an account by hand: all of the lot counts as its own origin.
    pub(super) fn open_origin(&mut self, birth: &Birth) {
        let fixed = measured(self.measure, birth);
        let shares = fixed.map(|fixed| V::of(birth.lot, fixed.contained.get()));
        let account = Account { mass: birth.mass.get(), fixed, shares, origin: Some(birth.lot) };
        self.accounts.insert(birth.lot, account);
    }

    /// Carries one movement forward.
    pub(super) fn book<F>(&mut self, movement: &Movement) -> Result<(), TraceFault<F>> {
        if let Some(assay) = &movement.assay {
            self.book_assay(assay);
        }
        if let Some(gained) = &movement.gained
            && let Some(account) = self.accounts.get_mut(&gained.lot)
        {
            account.gain(self.measure, gained.mass.get());
        }
        if let Some(campaign) = movement.campaign {
            return self.book_campaign(LotId::pool(campaign), movement);
        }
        let has_followed = movement.births.iter().any(|birth| self.followed.contains(&birth.lot));
        if movement.draws.is_empty() {
            let births = movement.births.iter();
            for birth in births.filter(|birth| self.followed.contains(&birth.lot)) {
                self.open_origin(birth);
            }
            return Ok(());
        }
        let mut pool = Pool::new(self.measure, movement.uptake.get());
        let mut parts = Vec::with_capacity(movement.draws.len());
        for draw in &movement.draws {
            let taken = self.draw(draw.lot, draw.mass.get(), movement.index, has_followed)?;
            if let Some(taken) = taken.filter(|_| has_followed) {
                parts.push(pool.fill(taken, draw.mass.get()));
            }
        }
        if has_followed {
            pool.mix(parts);
            self.bear(movement, pool);
        }
        Ok(())
    }

    /// The pools as they are after the last movement.
    pub(super) fn mixes(&self) -> Mixes<V> {
        Mixes::resolve(&self.pools)
    }

    /// The same, of shares alone: which pools are one is a question of shares, so that an answer
    /// with ranges has the shares of one without.
    pub(super) fn share_mixes(&self) -> Mixes<Vector> {
        let pools = self.pools.iter().map(|(id, inflow)| (*id, inflow.of_shares())).collect();
        Mixes::resolve(&pools)
    }

    /// What is charged goes into the pool; what is drawn is of the pool.
    fn book_campaign<F>(&mut self, pool: LotId, movement: &Movement) -> Result<(), TraceFault<F>> {
        let is_followed = self.followed.contains(&pool);
        let mut feeds = Vec::new();
        for draw in &movement.draws {
            let taken = self.draw(draw.lot, draw.mass.get(), movement.index, is_followed)?;
            feeds.extend(taken.map(|taken| taken.shares));
        }
        // Oxygen and water are mass, but they carry none of the traced elements.
        if self.measure == Measure::Mass && !movement.uptake.is_zero() {
            feeds.push(Some(V::of(LotId::UPTAKE, movement.uptake.get())));
        }
        let stock = movement.stock.as_ref();
        if movement.kind == EventKind::OpenCampaign
            && let (Some(stock), Some(campaign)) = (stock, movement.campaign)
        {
            feeds.push(self.grams_in(stock).map(|grams| self.of_stock(stock, campaign, grams)));
        }
        if is_followed {
            let inflow = self.pools.entry(pool).or_insert_with(Inflow::new);
            for feed in &feeds {
                inflow.fill(feed.as_ref());
            }
            self.handled += inflow.len();
        }
        if movement.kind == EventKind::CloseCampaign {
            let left = stock.map_or(Some(0), |stock| self.grams_in(stock));
            if let Some(inflow) = self.pools.get_mut(&pool) {
                inflow.close(left);
            }
        }
        let origin = self.known_origin(pool);
        for birth in movement.births.iter().filter(|birth| self.followed.contains(&birth.lot)) {
            let fixed = measured(self.measure, birth);
            let grams = fixed.map_or(0, |fixed| fixed.contained.get());
            let shares = Some(V::of(origin, grams));
            let account = Account { mass: birth.mass.get(), fixed, shares, origin: Some(origin) };
            self.accounts.insert(birth.lot, account);
        }
        Ok(())
    }

    /// Opening stock, of which so many grams are of the measure: what the campaign before left, and
    /// what a waiver let in beyond it.
    fn of_stock(&self, stock: &InProcess, campaign: CampaignId, grams: u64) -> V {
        let substance = match self.measure {
            Measure::Mass => None,
            Measure::Substance(substance) => Some(substance),
        };
        let left = stock.left_of(substance, Grams::of(grams)).get();
        let waived = self.known_origin(LotId::waived_stock(campaign));
        let rest = V::of(waived, grams.saturating_sub(left));
        match stock.from {
            Some(before) => V::of(self.known_origin(LotId::pool(before)), left).merged(&rest),
            None => rest,
        }
    }

    /// An origin as it is counted: what is not followed is the rest, where there is one.
    fn known_origin(&self, origin: LotId) -> LotId {
        match self.stranger {
            Stranger::Rest if !self.followed.contains(&origin) => LotId::UPTAKE,
            _ => origin,
        }
    }

    /// What was fixed of the measure in stock; `None` when nobody looked for it.
    fn grams_in(&self, stock: &InProcess) -> Option<u64> {
        match self.measure {
            _ if stock.mass.is_zero() => Some(0),
            Measure::Mass => Some(stock.mass.get()),
            Measure::Substance(substance) => {
                stock.contents.of(substance).map(|found| found.contained.get())
            }
        }
    }

    /// An assay of mass says nothing new: mass is measured at birth.
    fn book_assay(&mut self, assay: &Birth) {
        if self.measure == Measure::Mass {
            return;
        }
        let measured = measured(self.measure, assay);
        if let Some(account) = self.accounts.get_mut(&assay.lot) {
            account.assay(measured);
        }
    }

    fn draw<F>(
        &mut self,
        lot: LotId,
        mass: u64,
        index: EntryIndex,
        is_needed: bool,
    ) -> Result<Option<Taken<V>>, TraceFault<F>> {
        if let Some(account) = self.accounts.get_mut(&lot) {
            self.handled += account.shares.as_ref().map_or(1, V::size);
            let taken = account.draw(mass).ok_or(TraceFault::Overdrawn { lot, index })?;
            return Ok(Some(taken));
        }
        match self.stranger {
            Stranger::Fault if is_needed => Err(TraceFault::NeverBorn(lot)),
            Stranger::Fault => Ok(None),
            Stranger::Rest => {
                let shares = Some(V::of(LotId::UPTAKE, mass));
                Ok(Some(Taken { grams: Some(mass), shares, source: None }))
            }
        }
    }

    fn bear(&mut self, movement: &Movement, mut pool: Pool<V>) {
        let portions = portions(self.measure, movement, &pool);
        let needed = portions.iter().filter_map(|portion| portion.takes).sum();
        pool.stretch(needed);
        for (birth, portion) in movement.births.iter().zip(portions) {
            let shares = pool.pour(portion.takes);
            self.handled += shares.as_ref().map_or(1, V::size);
            if self.followed.contains(&birth.lot) {
                let mass = birth.mass.get();
                let account = Account { mass, fixed: portion.fixed, shares, origin: None };
                self.accounts.insert(birth.lot, account);
            }
        }
    }
}

/// What the inputs of one event gave together.
struct Pool<V> {
    mass: u64,
    /// `None`: of some input nobody knows how much it gave.
    grams: Option<u64>,
    /// `None`: of some grams nobody knows the origins.
    shares: Option<V>,
    /// What was fixed of the last lot drawn from.
    source: Option<Fixed>,
}

impl<V: Mix> Pool<V> {
    fn new(measure: Measure, uptake: u64) -> Self {
        // Oxygen and water are mass, but they carry none of the traced elements.
        let grams = if measure == Measure::Mass { uptake } else { 0 };
        let shares = Some(V::of(LotId::UPTAKE, grams));
        Self { mass: uptake, grams: Some(grams), shares, source: None }
    }

    /// Counts what a draw took; its shares wait for those of all others.
    fn fill(&mut self, taken: Taken<V>, mass: u64) -> Option<V> {
        self.mass = self.mass.saturating_add(mass);
        self.grams = self.grams.zip(taken.grams).map(|(sum, grams)| sum.saturating_add(grams));
        self.source = taken.source;
        taken.shares
    }

    /// Adds the shares of all draws.
    fn mix(&mut self, parts: Vec<Option<V>>) {
        let parts: Option<Vec<V>> = parts.into_iter().collect();
        let both = self.shares.take().zip(parts.map(merged_all));
        self.shares = both.map(|(sum, shares)| sum.merged(&shares));
    }

    /// Rescales the mix when more comes out than was known to be in: measurements err both ways.
    fn stretch(&mut self, needed: u64) {
        let Some(shares) = self.shares.take() else { return };
        let sum = shares.sum();
        self.shares = match sum {
            _ if needed <= sum => Some(shares),
            0 => None,
            _ => Some(shares.rescaled(needed)),
        };
    }

    fn pour(&mut self, takes: Option<u64>) -> Option<V> {
        match (takes, self.shares.as_mut()) {
            (Some(0), _) => Some(V::default()),
            (Some(grams), Some(shares)) => Some(shares.take(grams)),
            _ => None,
        }
    }
}

/// What one birth gets.
struct Portion {
    fixed: Option<Fixed>,
    /// Grams out of the pool; `None` when nobody knows.
    takes: Option<u64>,
}

impl Portion {
    fn of(mass: u64, grams: Option<u64>) -> Self {
        Self { fixed: grams.map(|grams| Fixed::new(mass, grams)), takes: grams }
    }
}

/// What was fixed of a measure in a birth or assay.
fn measured(measure: Measure, birth: &Birth) -> Option<Fixed> {
    match measure {
        Measure::Mass => Some(Fixed { of_mass: birth.mass, contained: birth.mass }),
        Measure::Substance(substance) => {
            let contents = birth.contents.as_ref()?;
            let contained = contents.of(substance)?.contained;
            Some(Fixed { of_mass: contents.of_mass, contained })
        }
    }
}

/// What each birth gets, in order.
fn portions<V>(measure: Measure, movement: &Movement, pool: &Pool<V>) -> Vec<Portion> {
    let declared = movement.births.iter().filter_map(|birth| measured(measure, birth));
    let declared_grams: u64 = declared.map(|fixed| fixed.contained.get()).sum();
    let rest_grams = pool.grams.map(|grams| grams.saturating_sub(declared_grams));
    let mut undeclared = Undeclared::new(movement, pool, rest_grams);
    let portion = |birth: &Birth| match measured(measure, birth) {
        Some(fixed) => Portion { fixed: Some(fixed), takes: Some(fixed.contained.get()) },
        None => undeclared.portion(birth),
    };
    movement.births.iter().map(portion).collect()
}

/// The rules for births of which nothing was fixed.
struct Undeclared<'a, V> {
    kind: EventKind,
    pool: &'a Pool<V>,
    /// What the pool has left after the declared ones: grams in a mass.
    rest: Option<Fixed>,
    /// Mass of the rest that is not given out yet.
    left: u64,
}

impl<'a, V> Undeclared<'a, V> {
    fn new(movement: &Movement, pool: &'a Pool<V>, rest_grams: Option<u64>) -> Self {
        let composed = movement.births.iter().filter(|birth| birth.contents.is_some());
        let composed_mass: u64 = composed.map(|birth| birth.mass.get()).sum();
        let rest_mass = pool.mass.saturating_sub(composed_mass);
        let rest = rest_grams.map(|grams| Fixed::new(rest_mass, grams));
        Self { kind: movement.kind, pool, rest, left: rest_mass }
    }

    fn portion(&mut self, birth: &Birth) -> Portion {
        let mass = birth.mass.get();
        let is_composed = birth.contents.is_some();
        match self.kind {
            // All that remains is divided, and the parent's own contents say what is in each part
            // of it.
            EventKind::SplitLot => Portion::of(mass, self.next(mass, self.pool.source)),
            // What arrives is as rich as what was sent; what was lost on the way was no richer.
            EventKind::AcceptTransfer | EventKind::PartlyAcceptTransfer => {
                let fixed = self.pool.grams.map(|grams| Fixed::new(self.pool.mass, grams));
                Portion { fixed, takes: fixed.map(|fixed| fixed.at(mass)) }
            }
            // An analysis that did not look for it leaves the mix, but no grams.
            EventKind::MergeLots if is_composed => Portion { fixed: None, takes: self.pool.grams },
            EventKind::MergeLots => Portion::of(mass, self.pool.grams),
            // What a process puts where nobody looked is unknown: the pool gives nothing to it.
            _ if is_composed => Portion { fixed: None, takes: Some(0) },
            _ => Portion::of(mass, self.next(mass, self.rest)),
        }
    }

    fn next(&mut self, mass: u64, source: Option<Fixed>) -> Option<u64> {
        let before = self.left;
        self.left = before.saturating_sub(mass);
        source.map(|fixed| fixed.between(before, self.left))
    }
}
