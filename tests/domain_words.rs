//! Who acts for whom, who may see what, what is earned and claimed: to the gram and to the
//! millisecond, and over random histories held against a naive count.

#![allow(
    dead_code,
    clippy::missing_panics_doc,
    clippy::new_without_default,
    reason = "the kit serves several tests"
)]
#![allow(
    clippy::expect_used,
    clippy::large_enum_variant,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by failing, and need not be fast"
)]

#[path = "common/domain_kit.rs"]
mod kit;

use std::sync::Arc;

use kit::*;
use proptest::prelude::*;
use proptest::sample::Index;
use urbanmine::domain::credit::{Credit, Month};
use urbanmine::domain::event::{
    AcknowledgeAnomaly, CloseTransfer, HoldLot, Manifest, ReleaseLot, VisibilityGrant,
};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{
    CustodyModel, HoldReason, LicenceKind, OriginKind, Substance, TransferReason, TransferScope,
};
use urbanmine::domain::{Body, EventId, LotId, PartyId, Rejection, TimeMs};
use urbanmine::limits::{MAX_GRANTS, MAX_SUCCESSION_CHAIN, MAX_SUCCESSIONS};

fn refused(world: &World, attempt: &Attempt) -> &'static str {
    world.judge(attempt).map_or_else(|rejection| rejection.reason(), |_| "ACCEPTED")
}

fn at(mut attempt: Attempt, millis: u64) -> Attempt {
    attempt.event.occurred_at = TimeMs::of(millis);
    attempt
}

// --- succession ----------------------------------------------------------------------------------

#[test]
fn a_successor_acts_for_what_was_left() {
    let mut world = World::new();
    let left = world.copper(COLLECTOR, 1_000);
    let wrong = world.copper(COLLECTOR, 10);
    let wrong_by = world.lot_state(wrong).born_by;
    let promised = world.copper(COLLECTOR, 300);
    let sending = world.must(COLLECTOR, offer(promised, 300, SMELTER));
    let coming = world.copper(SMELTER, 200);
    let arriving = world.must(SMELTER, offer(coming, 200, COLLECTOR));
    let hold = HoldLot { lot: left, reason: HoldReason::Quality, authority: String::new() };
    let hold = world.must(COLLECTOR, Body::HoldLot(hold));
    world.must(COORD, succeeding(COLLECTOR, TRADER));
    assert_eq!(world.lot_state(left).owner, COLLECTOR, "a lot keeps its owner until it is used");

    // The predecessor acts no more, and nothing is sent to it.
    let again = world.attempt(COLLECTOR, collect(new_lot(lot(1), "CU", 10)));
    assert_eq!(refused(&world, &again), "PARTY_SUCCEEDED");
    let own = world.copper(SMELTER, 10);
    let to_it = world.attempt(SMELTER, offer(own, 10, COLLECTOR));
    assert_eq!(refused(&world, &to_it), "PARTY_SUCCEEDED");
    // A third party does not act for it.
    let stranger = world.attempt(SMELTER, Body::CancelTransfer(closing(sending)));
    assert_eq!(refused(&world, &stranger), "NOT_THE_SENDER");

    // The successor does: its lots, holds, transfers both ways, its site, its mistakes.
    let release = ReleaseLot { lot: left, hold, note: String::new() };
    world.must(TRADER, Body::ReleaseLot(release));
    assert_eq!(world.lot_state(left).owner, TRADER);
    let mut taken = world.attempt(TRADER, accept(arriving, 200, None));
    taken.event.site = Some(site(COLLECTOR));
    world.take(&taken).unwrap();
    assert_eq!(
        (world.lot_state(coming).owner, world.lot_state(coming).site),
        (TRADER, site(COLLECTOR))
    );
    let mut cancelled = world.attempt(TRADER, Body::CancelTransfer(closing(sending)));
    cancelled.event.site = Some(site(COLLECTOR));
    world.take(&cancelled).unwrap();
    let mut moved = world.attempt(TRADER, offer(left, 1_000, SMELTER));
    moved.event.site = Some(site(COLLECTOR));
    world.take(&moved).unwrap();
    world.must(SMELTER, accept(moved.event.id, 1_000, None));
    world.must(TRADER, error(wrong_by, &[]));
    assert!(world.lot_state(wrong).retracted_by.is_some());
}

fn closing(offer: EventId) -> CloseTransfer {
    CloseTransfer { offer, reason: TransferReason::Quality, note: String::new() }
}

#[test]
fn a_succession_holds_from_its_event_on_and_is_amended_by_another() {
    let mut world = World::new();
    let (begin, change, end) = (START_MS + 100_000, START_MS + 200_000, START_MS + 300_000);
    world.now = end + 100_000;
    let steps = [(begin, TRADER), (change, SMELTER), (end, COLLECTOR)];
    for (since, successor) in steps {
        let attempt = world.attempt(COORD, succeeding(COLLECTOR, successor));
        world.take(&at(attempt, since)).unwrap();
    }
    let rows = [
        (begin - 1, COLLECTOR),
        (begin, TRADER),
        (change - 1, TRADER),
        (change, SMELTER),
        (end - 1, SMELTER),
        (end, COLLECTOR),
    ];
    for (when, acting) in rows {
        for party in [COLLECTOR, TRADER, SMELTER] {
            let id = lot(world.fresh());
            let mut attempt = world.attempt(party, collect(new_lot(id, "CU", 10)));
            attempt.event.site = Some(site(COLLECTOR));
            let expected = match (party == acting, party == COLLECTOR) {
                (true, _) => "ACCEPTED",
                (false, true) => "PARTY_SUCCEEDED",
                (false, false) => "SITE_NOT_OF_PARTY",
            };
            assert_eq!(refused(&world, &at(attempt, when)), expected, "{party} at {when}");
        }
    }
    let again = world.attempt(COORD, succeeding(COLLECTOR, COLLECTOR));
    assert_eq!(refused(&world, &again), "SUCCESSION_NOT_POSSIBLE");
    let earlier = world.attempt(COORD, succeeding(COLLECTOR, TRADER));
    assert_eq!(refused(&world, &at(earlier, end - 1)), "SUCCESSION_NOT_POSSIBLE");
}

#[test]
fn successions_close_no_circle_and_no_chain_is_too_long() {
    let mut world = World::new();
    world.must(COORD, succeeding(COLLECTOR, TRADER));
    for (party, successor) in [(SMELTER, COLLECTOR), (TRADER, COLLECTOR)] {
        let attempt = world.attempt(COORD, succeeding(party, successor));
        assert_eq!(refused(&world, &attempt), "SUCCESSION_NOT_POSSIBLE");
    }
    // Taken back, it may go the other way; the old story stays as it was.
    world.must(COORD, succeeding(COLLECTOR, COLLECTOR));
    world.must(COORD, succeeding(TRADER, COLLECTOR));

    let mut world = World::new();
    let chain: Vec<PartyId> = (60..).map(party).take(MAX_SUCCESSION_CHAIN as usize + 2).collect();
    for id in &chain {
        world.add_party(*id, urbanmine::domain::vocabulary::PartyRole::Collector);
    }
    let kept = world.copper(chain[0], 100);
    let pairs: Vec<_> = chain.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let (last, rest) = pairs.split_last().unwrap();
    for (party, successor) in rest {
        world.must(COORD, succeeding(*party, *successor));
    }
    let attempt = world.attempt(COORD, succeeding(last.0, last.1));
    assert_eq!(refused(&world, &attempt), "SUCCESSION_NOT_POSSIBLE");
    // The whole chain is followed.
    let mut used = world.attempt(last.0, offer(kept, 100, SMELTER));
    used.event.site = Some(site(chain[0]));
    world.take(&used).unwrap();

    let mut world = World::new();
    for turn in 0..MAX_SUCCESSIONS {
        let successor = if turn % 2 == 0 { TRADER } else { COLLECTOR };
        world.must(COORD, succeeding(COLLECTOR, successor));
    }
    let attempt = world.attempt(COORD, succeeding(COLLECTOR, TRADER));
    assert_eq!(refused(&world, &attempt), "REGISTRY_FULL");
}

// --- grants --------------------------------------------------------------------------------------

fn granting(of: LotId, reader: PartyId, depth: u32, valid_to: Option<u64>) -> Body {
    let valid_to = valid_to.map(TimeMs::of);
    Body::VisibilityGrant(VisibilityGrant { lot: of, reader, depth, valid_to })
}

#[test]
fn a_grant_is_the_owners_or_a_coordinators_word_and_half_open() {
    let mut world = World::new();
    let id = world.copper(COLLECTOR, 100);
    let (begin, end) = (world.now + 5_000, world.now + 9_000);
    world.now = end;
    let stranger = world.attempt(TRADER, granting(id, LAB, 3, None));
    assert_eq!(refused(&world, &stranger), "ROLE_NOT_HELD");
    let owners = world.attempt(COLLECTOR, granting(id, SMELTER, 3, Some(end)));
    world.take(&at(owners, begin)).unwrap();
    world.must(COORD, granting(id, LAB, 9, None));
    let grant = |world: &World, reader, when| -> Option<u32> {
        world.lot_state(id).grant_to(reader, TimeMs::of(when)).map(|grant| grant.depth)
    };
    for (when, depth) in [(begin - 1, None), (begin, Some(3)), (end - 1, Some(3)), (end, None)] {
        assert_eq!(grant(&world, SMELTER, when), depth, "{when}");
    }
    // A later one for the same reader takes its place.
    world.must(COLLECTOR, granting(id, SMELTER, 5, None));
    let now = world.now;
    assert_eq!(grant(&world, SMELTER, now), Some(5));
    assert_eq!(world.lot_state(id).grants.len(), 2);
    // The owner's word ends with its property; the authority's does not.
    let sending = world.must(COLLECTOR, offer(id, 100, TRADER));
    world.must(TRADER, accept(sending, 100, None));
    let now = world.now;
    assert_eq!((grant(&world, SMELTER, now), grant(&world, LAB, now)), (None, Some(9)));
}

#[test]
fn grants_that_have_ended_make_room() {
    let mut world = World::new();
    let id = world.copper(COLLECTOR, 100);
    let end = world.now + 2_000;
    for n in 0..u8::try_from(MAX_GRANTS).unwrap() {
        let reader = party(30 + n);
        world.add_party(reader, urbanmine::domain::vocabulary::PartyRole::Trader);
        let valid_to = (n == 3).then_some(end + 60_000);
        world.must(COLLECTOR, granting(id, reader, 1, valid_to));
    }
    let full = world.attempt(COLLECTOR, granting(id, TRADER, 1, None));
    assert_eq!(refused(&world, &full), "LOT_RECORDS_FULL");
    world.now = end + 60_000;
    let later = world.attempt(COLLECTOR, granting(id, TRADER, 1, None));
    world.take(&later).unwrap();
    let readers: Vec<PartyId> =
        world.lot_state(id).grants.iter().map(|grant| grant.reader).collect();
    assert!(!readers.contains(&party(33)) && readers.contains(&TRADER));
}

// --- roles, licences, keys -----------------------------------------------------------------------

#[test]
fn roles_licences_and_keys_take_effect_exactly_at_their_bounds() {
    let (begin, end) = (START_MS + 50_000, START_MS + 60_000);
    let bounds = Validity { from: TimeMs::of(begin), to: Some(TimeMs::of(end)) };
    let mut world = World::new();
    world.now = end;
    let key = world.add_key(COLLECTOR, 77, bounds);
    let dismantler = Arc::make_mut(world.state.parties.get_mut(&DISMANTLER).unwrap());
    let mut licence = waste_licence(9);
    licence.kind = LicenceKind::RenewableResourceRecycling;
    licence.validity = bounds;
    dismantler.licences.push(licence);
    let trader = Arc::make_mut(world.state.parties.get_mut(&TRADER).unwrap());
    trader.party.roles[0].validity = bounds;
    let scrap = |world: &mut World, of| {
        let id = lot(world.fresh());
        world.attempt(of, collect(new_lot(id, "CU", 10)))
    };
    for (when, is_in) in [(begin - 1, false), (begin, true), (end - 1, true), (end, false)] {
        let reason = |refused| if is_in { "ACCEPTED" } else { refused };
        let role = scrap(&mut world, TRADER);
        assert_eq!(refused(&world, &at(role, when)), reason("ROLE_NOT_HELD"), "{when}");
        let licence = scrap(&mut world, DISMANTLER);
        assert_eq!(refused(&world, &at(licence, when)), reason("LICENCE_NOT_HELD"), "{when}");
        let signed = scrap(&mut world, COLLECTOR).signed_by(&[key]);
        assert_eq!(refused(&world, &at(signed, when)), reason("KEY_NOT_VALID"), "{when}");
    }
}

// --- acknowledgements ----------------------------------------------------------------------------

#[test]
fn everybody_acknowledges_for_itself_and_the_latest_word_stands() {
    let mut world = World::new();
    let saying = |text: &str| {
        let anomaly = "A2-7".to_owned();
        Body::AcknowledgeAnomaly(AcknowledgeAnomaly { anomaly, note: text.to_owned() })
    };
    world.must(COLLECTOR, saying("seen"));
    world.must(COORD, saying("asked"));
    world.must(COLLECTOR, saying("weighed again"));
    let told: Vec<(PartyId, &str)> =
        world.state.acknowledgements.values().map(|it| (it.by, it.note.as_str())).collect();
    assert_eq!(told, [(COORD, "asked"), (COLLECTOR, "weighed again")]);
}

// --- credits -------------------------------------------------------------------------------------

fn melt_of(world: &mut World, from: LotId, grams: u64) -> Body {
    let mut output = made(lot(world.fresh()), "CU_FINE", grams);
    output.composition = Some(assay(&[(Substance::Cu, 1)]));
    Body::TransformLots(Box::new(transforming("REFINE", &[draw(from, grams)], &[output])))
}

fn account(world: &World, month: Month) -> Credit {
    let key = (site(SMELTER), Substance::Cu, month);
    world.state.credits.get(&key).copied().unwrap_or(Credit::empty(key))
}

#[test]
fn only_recycled_lots_under_mass_balance_earn() {
    let mut world = World::new();
    let month = Month::of(TimeMs::of(world.now));
    let rows = [
        (OriginKind::PostConsumer, CustodyModel::MassBalance, 50),
        (OriginKind::PreConsumer, CustodyModel::MassBalance, 50),
        (OriginKind::Primary, CustodyModel::MassBalance, 0),
        (OriginKind::Unknown, CustodyModel::MassBalance, 0),
        (OriginKind::PostConsumer, CustodyModel::Segregated, 0),
        (OriginKind::PostConsumer, CustodyModel::IdentityPreserved, 0),
        (OriginKind::PostConsumer, CustodyModel::ControlledBlending, 0),
    ];
    let mut earned = 0;
    for (kind, model, grams) in rows {
        let id = lot(world.fresh());
        let mut new = new_lot(id, "CU", 100);
        (new.origin_kind, new.custody_model) = (Some(kind), model);
        new.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
        world.must(SMELTER, collect(new));
        let body = melt_of(&mut world, id, 100);
        world.must(SMELTER, body);
        earned += grams;
        assert_eq!(account(&world, month).earned.get(), earned, "{kind} {model}");
    }
    // Mixed with what is not recycled, nothing of it is purely so.
    let good = world.balanced(SMELTER, 100);
    let bad = lot(world.fresh());
    let mut new = new_lot(bad, "CU", 100);
    (new.origin_kind, new.custody_model) = (Some(OriginKind::Ore), CustodyModel::MassBalance);
    new.origin_kind = Some(OriginKind::Unknown);
    new.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    world.must(SMELTER, collect(new));
    let mut output = made(lot(world.fresh()), "CU", 200);
    output.custody_model = CustodyModel::MassBalance;
    let mixed = output.id;
    let parents = vec![draw(good, 100), draw(bad, 100)];
    let merge = urbanmine::domain::event::MergeLots { parents, output };
    world.must(SMELTER, Body::MergeLots(Box::new(merge)));
    let body = melt_of(&mut world, mixed, 200);
    world.must(SMELTER, body);
    assert_eq!(account(&world, month).earned.get(), earned);
}

#[test]
fn a_month_ends_at_midnight_in_beijing_and_claims_take_the_earliest_first() {
    let mut world = World::new();
    let first = world.balanced(SMELTER, 100);
    let second = world.balanced(SMELTER, 100);
    let month = Month::of(TimeMs::of(world.now));
    let border = month.next().begin().unwrap().get();
    world.now = border + 10_000;
    for (id, when) in [(first, border - 1), (second, border)] {
        let body = melt_of(&mut world, id, 100);
        let attempt = world.attempt(SMELTER, body);
        world.take(&at(attempt, when)).unwrap();
    }
    let both = |world: &World| (account(world, month), account(world, month.next()));
    assert_eq!(both(&world).0.earned.get(), 50);
    assert_eq!(both(&world).1.earned.get(), 50);
    let end = month.next().next();
    let claim = world.must(SMELTER, claiming(SMELTER, 70, month, end));
    assert_eq!((both(&world).0.claimed.get(), both(&world).1.claimed.get()), (50, 20));
    let more = world.attempt(SMELTER, claiming(SMELTER, 31, month, end));
    assert_eq!(refused(&world, &more), "CREDIT_INSUFFICIENT");
    let early = world.attempt(SMELTER, claiming(SMELTER, 1, month, month.next()));
    assert_eq!(refused(&world, &early), "CREDIT_INSUFFICIENT");
    world.must(SMELTER, error(claim, &[]));
    assert_eq!((both(&world).0.claimed.get(), both(&world).1.claimed.get()), (0, 0));
}

// --- random histories ----------------------------------------------------------------------------

#[derive(Debug, Clone)]
enum Step {
    Approve(u64, bool),
    Offer(u64),
    Reject(Index),
    Cancel(Index),
    Accept(Index),
    Melt(u64),
    Claim(u64),
    Undo(Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..200_u64, any::<bool>()).prop_map(|(grams, same)| Step::Approve(grams, same)),
        6 => (1..120_u64).prop_map(Step::Offer),
        2 => any::<Index>().prop_map(Step::Reject),
        2 => any::<Index>().prop_map(Step::Cancel),
        2 => any::<Index>().prop_map(Step::Accept),
        3 => (1..60_u64).prop_map(Step::Melt),
        3 => (1..40_u64).prop_map(Step::Claim),
        4 => any::<Index>().prop_map(Step::Undo),
    ]
}

/// What happened and stands, as a child would note it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Note {
    Offered(u64),
    Rejected(EventId),
    Cancelled(EventId),
    Accepted(EventId),
    Melted(u64),
    Claimed(u64),
}

struct History {
    world: World,
    waste: LotId,
    copper: LotId,
    month: Month,
    notes: Vec<(EventId, Note)>,
}

impl History {
    fn new() -> Self {
        let mut world = World::new();
        let waste = lot(world.fresh());
        let mut body = collecting(new_lot(waste, "PB_WASTE", 100_000));
        body.manifest = Some(manifest());
        world.must(COLLECTOR, Body::CollectLot(Box::new(body)));
        let copper = world.balanced(SMELTER, 100_000);
        let month = Month::of(TimeMs::of(world.now));
        Self { world, waste, copper, month, notes: Vec::new() }
    }

    /// How a transfer ended, by the notes alone.
    fn ended(&self, offer: EventId) -> Option<Note> {
        self.notes.iter().map(|(_, note)| *note).find(|note| match note {
            Note::Rejected(of) | Note::Cancelled(of) | Note::Accepted(of) => *of == offer,
            _ => false,
        })
    }

    /// Grams that offers carry or carried.
    fn carried(&self) -> u64 {
        let offers = self.notes.iter().filter_map(|(id, note)| match note {
            Note::Offered(grams) => Some((*id, *grams)),
            _ => None,
        });
        let carries =
            |offer| !matches!(self.ended(offer), Some(Note::Rejected(_) | Note::Cancelled(_)));
        offers.filter(|(offer, _)| carries(*offer)).map(|(_, grams)| grams).sum()
    }

    fn sum(&self, of: fn(&Note) -> Option<u64>) -> u64 {
        self.notes.iter().filter_map(|(_, note)| of(note)).sum()
    }

    fn open(&self, which: Index) -> Option<EventId> {
        let offers: Vec<EventId> = self
            .notes
            .iter()
            .filter(|(id, note)| matches!(note, Note::Offered(_)) && self.ended(*id).is_none())
            .map(|(id, _)| *id)
            .collect();
        (!offers.is_empty()).then(|| *which.get(&offers))
    }

    #[expect(clippy::needless_pass_by_value, reason = "a step is taken once")]
    fn run(&mut self, step: Step) {
        let world = &mut self.world;
        match step {
            Step::Approve(grams, is_same) => {
                let mut body = approving(self.waste, COLLECTOR, SMELTER, grams);
                let Body::Approval(approval) = &mut body else { unreachable!() };
                approval.number = if is_same { "1".to_owned() } else { "2".to_owned() };
                world.must(COORD, body);
            }
            Step::Offer(grams) => {
                let mut body =
                    offering(self.waste, grams, SMELTER, TransferScope::CustodyAndOwnership);
                body.manifest = Some(manifest());
                body.consignee_site = Some(far_site(SMELTER));
                let attempt = world.attempt(COLLECTOR, Body::OfferTransfer(body));
                let is_approved = world
                    .lot_state(self.waste)
                    .approvals
                    .iter()
                    .any(|held| held.mass.get().saturating_sub(held.used.get()) >= grams);
                let verdict = world.take(&attempt);
                assert_eq!(verdict.is_ok(), is_approved, "{verdict:?}");
                if is_approved {
                    self.notes.push((attempt.event.id, Note::Offered(grams)));
                }
            }
            Step::Reject(which) => {
                let Some(offer) = self.open(which) else { return };
                let id = self.world.must(SMELTER, Body::RejectTransfer(closing(offer)));
                self.notes.push((id, Note::Rejected(offer)));
            }
            Step::Cancel(which) => {
                let Some(offer) = self.open(which) else { return };
                let id = self.world.must(COLLECTOR, Body::CancelTransfer(closing(offer)));
                self.notes.push((id, Note::Cancelled(offer)));
            }
            Step::Accept(which) => self.accept(which),
            Step::Melt(pairs) => {
                let body = melt_of(&mut self.world, self.copper, 2 * pairs);
                let id = self.world.must(SMELTER, body);
                self.notes.push((id, Note::Melted(pairs)));
            }
            Step::Claim(grams) => {
                let body = claiming(SMELTER, grams, self.month, self.month.next());
                let attempt = self.world.attempt(SMELTER, body);
                let left = self.sum(melted) - self.sum(claimed);
                assert_eq!(self.world.take(&attempt).is_ok(), grams <= left, "{grams} of {left}");
                if grams <= left {
                    self.notes.push((attempt.event.id, Note::Claimed(grams)));
                }
            }
            Step::Undo(which) => self.undo(which),
        }
    }

    fn accept(&mut self, which: Index) {
        let Some(offer) = self.open(which) else { return };
        let mass = self.world.state.transfers[&offer].mass.get();
        let part = lot(self.world.fresh());
        let mut attempt = self.world.attempt(SMELTER, accept(offer, mass, Some(part)));
        attempt.event.site = Some(far_site(SMELTER));
        self.world.take(&attempt).unwrap();
        self.notes.push((attempt.event.id, Note::Accepted(offer)));
    }

    fn undo(&mut self, which: Index) {
        if self.notes.is_empty() {
            return;
        }
        let place = which.index(self.notes.len());
        let (target, note) = self.notes[place];
        let actor = match note {
            Note::Offered(_) | Note::Cancelled(_) => COLLECTOR,
            _ => SMELTER,
        };
        let attempt = self.world.attempt(actor, error(target, &[]));
        let verdict = self.world.take(&attempt).map(drop);
        match note {
            Note::Melted(pairs) => {
                let is_left = self.sum(melted) - pairs >= self.sum(claimed);
                let is_blocked = matches!(verdict, Err(Rejection::CreditClaimed { .. }));
                assert_eq!(is_blocked, !is_left, "{verdict:?}");
            }
            Note::Claimed(_) => assert_eq!(verdict, Ok(())),
            Note::Offered(_) => assert_eq!(verdict.is_ok(), self.ended(target).is_none()),
            _ => {}
        }
        if verdict.is_ok() {
            self.notes.remove(place);
        }
    }

    fn check(&self) {
        let approvals = &self.world.lot_state(self.waste).approvals;
        let used: u64 = approvals.iter().map(|held| held.used.get()).sum();
        assert_eq!(used, self.carried(), "{:?}", self.notes);
        let account = account(&self.world, self.month);
        assert_eq!(account.earned.get(), self.sum(melted));
        assert_eq!(account.claimed.get(), self.sum(claimed));
        assert!(account.claimed <= account.earned);
    }
}

fn melted(note: &Note) -> Option<u64> {
    match note {
        Note::Melted(grams) => Some(*grams),
        _ => None,
    }
}

fn claimed(note: &Note) -> Option<u64> {
    match note {
        Note::Claimed(grams) => Some(*grams),
        _ => None,
    }
}

fn manifest() -> Manifest {
    Manifest { number: "20163607000001".to_owned(), carrier: None, vehicle: String::new() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn approvals_and_credits_are_what_stands(steps in proptest::collection::vec(step(), 1..60)) {
        let mut history = History::new();
        for step in steps {
            history.run(step);
            history.check();
        }
    }
}
