//! A published year through the books: China's recycled rare-earth oxide of 2023 and 2024 as Argus
//! tells it (`tests/vectors/recycled_reo_argus.csv`, the article is named in each row), fed in lots
//! of a hundred tonnes that were analysed on an oxide basis, through campaigns, and merged again.
//! How much of `PrNd` is Pr is not published: a quarter of the oxide is assumed.

#![allow(
    dead_code,
    clippy::missing_panics_doc,
    clippy::new_without_default,
    reason = "the kit serves several tests"
)]
#![allow(
    clippy::assigning_clones,
    clippy::expect_used,
    clippy::large_enum_variant,
    clippy::panic,
    clippy::similar_names,
    clippy::unwrap_used,
    reason = "a test says what is wrong by failing, and need not be fast"
)]

#[path = "common/domain_kit.rs"]
mod kit;
#[path = "common/vectors.rs"]
mod vectors;

use std::collections::BTreeMap;
use std::convert::Infallible;

use kit::*;
use urbanmine::domain::event::{AssayValue, Composition, MergeLots};
use urbanmine::domain::units::FractionE8;
use urbanmine::domain::vocabulary::{AssayBasis, OriginKind, OriginKinds, Substance};
use urbanmine::domain::{Body, CampaignId, Grams, LotId, tables};
use urbanmine::provenance::{Measure, Origins, TraceLimits, categories, origins};
use vectors::Movements;

const PUBLISHED: &str = include_str!("vectors/recycled_reo_argus.csv");
const TONNE: u64 = 1_000_000;
const LOT_T: u64 = 100;
/// Where the oxides of the table begin, and what they are of.
const ELEMENTS: [Substance; 6] =
    [Substance::Pr, Substance::Nd, Substance::Gd, Substance::Tb, Substance::Dy, Substance::Ho];

/// A row: tonnes of oxide.
struct Year {
    number: u64,
    total_t: u64,
    prnd_t: u64,
    /// Of every element.
    fractions: BTreeMap<Substance, u32>,
}

fn published() -> Vec<Year> {
    PUBLISHED.lines().skip(1).map(year).collect()
}

fn year(row: &str) -> Year {
    let fields: Vec<&str> = row.split(',').collect();
    let numbers: Vec<u64> = fields[..8].iter().map(|it| it.parse().unwrap()).collect();
    let [year, total_t, prnd_t, listed @ .., rest_t] = &numbers[..] else { panic!("{row}") };
    assert!(fields[8].starts_with("https://www.argusmedia.com/"), "the source is named");
    assert_eq!(prnd_t + listed.iter().sum::<u64>() + rest_t, *total_t);
    // In parts of 1e-8 of all oxide, rounded down, as a laboratory would report it.
    let part = |tonnes: u64| u32::try_from(tonnes * 100_000_000 / total_t).unwrap();
    let praseodymium = part(*prnd_t) / 4;
    let parts = [praseodymium, part(*prnd_t) - praseodymium];
    let parts = parts.into_iter().chain(listed.iter().map(|tonnes| part(*tonnes)));
    let fractions = ELEMENTS.into_iter().zip(parts).collect();
    Year { number: *year, total_t: *total_t, prnd_t: *prnd_t, fractions }
}

impl Year {
    fn composition(&self) -> Composition {
        let value = |(substance, parts): (&Substance, &u32)| AssayValue {
            substance: *substance,
            basis: AssayBasis::ReoOfTreo,
            fraction: FractionE8::new(*parts).unwrap(),
            uncertainty: FractionE8::ZERO,
        };
        Composition {
            values: self.fractions.iter().map(value).collect(),
            total: FractionE8::WHOLE,
            ..assay(&[(Substance::Nd, 1)])
        }
    }

    /// Masses of the lots: of a hundred tonnes, and the rest.
    fn lots(&self) -> Vec<u64> {
        let whole = usize::try_from(self.total_t / LOT_T).unwrap();
        let mut masses = vec![LOT_T * TONNE; whole];
        masses.extend(Some(self.total_t % LOT_T * TONNE).filter(|rest| *rest > 0));
        masses
    }

    /// Grams of an element in the year, by arithmetic of our own: oxide over factor, half to even,
    /// lot by lot.
    fn fed(&self, element: Substance, factors: &BTreeMap<Substance, u32>) -> u64 {
        let of_lot = |mass: u64| {
            let above = u128::from(mass) * u128::from(self.fractions[&element]) * 1_000_000;
            let below = 100_000_000 * u128::from(factors[&element]);
            let (floor, twice) = (above / below, above % below * 2);
            floor + u128::from(twice > below || (twice == below && floor % 2 == 1))
        };
        u64::try_from(self.lots().into_iter().map(of_lot).sum::<u128>()).unwrap()
    }
}

/// A world with the factors of the built-in tables, and a process that balances all six elements.
fn world() -> World {
    let mut world = World::new();
    let tables = world.tables.as_mut().unwrap();
    tables.oxide_factors_e6 = tables::Tables::parse(tables::builtin()).unwrap().oxide_factors_e6;
    let mut elements = ELEMENTS.to_vec();
    elements.sort_unstable();
    tables.processes.get_mut("LEACH").unwrap().balances = elements;
    world
}

fn oxide(world: &mut World, of: &Year, mass: u64) -> urbanmine::domain::event::NewLot {
    let mut new = new_lot(lot(world.fresh()), "RE", mass);
    new.composition = Some(of.composition());
    new
}

/// A year through a campaign: as many lots in as out, all merged at the end.
fn process(world: &mut World, year: &Year) -> (CampaignId, LotId) {
    let mut charged = Vec::new();
    for mass in year.lots() {
        let new = oxide(world, year, mass);
        charged.push(draw(new.id, mass));
        world.must(RECOVERY, collect(new));
    }
    let id = campaign(world.fresh());
    world.must(RECOVERY, open(id, "LEACH"));
    for charges in charged.chunks(300) {
        world.must(RECOVERY, charge(id, charges));
    }
    let mut drawn = Vec::new();
    for masses in year.lots().chunks(64) {
        let mut outputs = Vec::new();
        for mass in masses {
            let mut new = oxide(world, year, *mass);
            new.origin_kind = None;
            drawn.push((new.id, *mass));
            outputs.push(new);
        }
        world.must(RECOVERY, tap(id, &outputs));
    }
    world.must(RECOVERY, Body::CloseCampaign(ending(id, 0, 0, 0)));
    while drawn.len() > 1 {
        drawn = drawn.chunks(256).map(|some| merge(world, some)).collect();
    }
    (id, drawn[0].0)
}

fn merge(world: &mut World, some: &[(LotId, u64)]) -> (LotId, u64) {
    if let [only] = some {
        return *only;
    }
    let mass = some.iter().map(|(_, mass)| mass).sum();
    let parents = some.iter().map(|(lot, mass)| draw(*lot, *mass)).collect();
    let output = made(lot(world.fresh()), "RE", mass);
    let id = output.id;
    world.must(RECOVERY, Body::MergeLots(Box::new(MergeLots { parents, output })));
    (id, mass)
}

fn of(world: &World, lot: LotId, measure: Measure) -> Origins {
    origins(&Movements(&world.state), lot, measure, TraceLimits::default()).unwrap()
}

#[test]
fn every_element_comes_out_to_the_gram_as_it_was_fed() {
    let mut world = world();
    let factors = world.tables.as_ref().unwrap().oxide_factors_e6.clone();
    let years = published();
    assert_eq!(years.iter().map(|it| it.number).collect::<Vec<_>>(), [2_023, 2_024]);
    for year in &years {
        let (_, all) = process(&mut world, year);
        let mut oxides: BTreeMap<Substance, u128> = BTreeMap::new();
        for element in ELEMENTS {
            let found = of(&world, all, Measure::Substance(element));
            let fed = year.fed(element, &factors);
            assert!(found.is_complete && found.is_attributed);
            assert_eq!(found.total, Some(Grams::of(fed)), "{element} of {}", year.number);
            let shares: u64 = found.shares.iter().map(|(_, grams)| grams.get()).sum();
            assert_eq!(shares, fed, "{element} of {}", year.number);
            assert_eq!(found.lineage.len(), year.lots().len());
            oxides.insert(element, u128::from(fed) * u128::from(factors[&element]) / 1_000_000);
            all_is_recycled(&found);
        }
        // As published: tonnes of PrNd oxide, and their share of all oxide in parts per 10,000.
        let prnd = oxides[&Substance::Pr] + oxides[&Substance::Nd];
        let tonnes = (prnd + 500_000) / 1_000_000;
        assert_eq!(tonnes, u128::from(year.prnd_t), "{}", year.number);
        let mass = of(&world, all, Measure::Mass).total.unwrap();
        assert_eq!(mass.get(), year.total_t * TONNE);
        let share = |above: u128, below: u128| (above * 10_000 + below / 2) / below;
        let expected = share(year.prnd_t.into(), year.total_t.into());
        assert_eq!(share(prnd, mass.get().into()), expected, "{}", year.number);
    }
}

fn all_is_recycled(found: &Origins) {
    let recycled = OriginKinds::of(OriginKind::PostConsumer);
    let kind = |_| Ok::<_, Infallible>(Some(OriginKind::PostConsumer));
    let sums = categories(&found.now(), recycled, kind).unwrap().unwrap();
    assert_eq!(Some(sums.recycled), found.total);
    assert_eq!(Some(sums.recycled_content), found.total);
}
