//! Chance against a model: appends, batches, repeats, conflicts, refusals, lost replies, crashes,
//! restarts and rebuilds in any order, held against a list in memory. No event twice, no gap, no
//! acknowledged event missing, no receipt changed, and the judge agrees.
//!
//! A failure prints its seed. `URBANMINE_MODEL_SEED=<seed> cargo test --test node_model` plays the
//! same operations again; `URBANMINE_MODEL_STEPS` and `URBANMINE_MODEL_ROUNDS` make it longer. What
//! concurrent calls do to each other is the machine's, not the seed's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod common {
    pub mod node_kit;
}
#[path = "faults/dice.rs"]
mod dice;

use std::collections::BTreeMap;
use std::time::Duration;

use common::node_kit::{Kit, signed};
use dice::Dice;
use urbanmine::domain::{Body, EntryIndex, Event, EventId, Rejection};
use urbanmine::node::{AppendError, Appended, Clock as _, Node};
use urbanmine::store::faults::FaultPoint;

/// Rounds of a usual test run: as many seeds, one of them new each time.
const ROUNDS: u64 = 3;
/// Operations of a round.
const STEPS: u64 = 120;
/// Events of one batch at most.
const MAX_BATCH: u64 = 6;
/// Calls at one time at most.
const MAX_AT_ONCE: u64 = 12;

/// What the model knows of an event that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// Acknowledged with this receipt, which stands for ever.
    Acknowledged(String),
    /// The reply was lost, or told as unclear: there or not.
    Unclear,
    /// Refused: not there.
    Absent,
}

/// The ledger as it should be.
struct Model {
    /// Entries before the first event of the model.
    base: u64,
    events: BTreeMap<EventId, (Event, Fate)>,
}

struct Play {
    dice: Dice,
    kit: Kit,
    node: Option<Node>,
    model: Model,
    counts: BTreeMap<&'static str, u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chance_finds_no_difference_to_the_model() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let steps = number("URBANMINE_MODEL_STEPS").unwrap_or(STEPS);
    let replayed = number("URBANMINE_MODEL_SEED");
    let rounds = number("URBANMINE_MODEL_ROUNDS").unwrap_or(ROUNDS);
    let rounds = if replayed.is_some() { 1 } else { rounds };
    for round in 0..rounds {
        // The first seeds are always the same, the last is new.
        let new = if round + 1 == rounds { rand::random() } else { round };
        let seed = replayed.unwrap_or(new);
        println!("URBANMINE_MODEL_SEED={seed} URBANMINE_MODEL_STEPS={steps}");
        let counts = play(seed, steps).await;
        println!("{counts:?}");
    }
}

async fn play(seed: u64, steps: u64) -> BTreeMap<&'static str, u64> {
    let (kit, node) = Kit::new().await;
    let model = Model { base: node.reader().size().0, events: BTreeMap::new() };
    let (dice, counts) = (Dice::new(seed), BTreeMap::new());
    let mut play = Play { dice, kit, node: Some(node), model, counts };
    for _ in 0..steps {
        play.step().await;
    }
    play.restart().await;
    play.check();
    let node = play.node.take().unwrap();
    let database = node.reader().size().0;
    node.shutdown().await;
    assert_eq!(play.kit.verify(), database);
    play.counts
}

impl Play {
    async fn step(&mut self) {
        let name = match self.dice.below(100) {
            0..20 => self.append_one().await,
            20..35 => self.append_batch().await,
            35..50 => self.append_at_once().await,
            50..60 => self.repeat().await,
            60..65 => self.conflict().await,
            65..72 => self.refused_batch().await,
            72..76 => self.judge_only().await,
            76..86 => self.lose_replies().await,
            86..94 => self.crash().await,
            94..99 => {
                self.restart().await;
                self.check();
                "restart"
            }
            _ => self.rebuild().await,
        };
        *self.counts.entry(name).or_default() += 1;
        let now = self.kit.clock.now().get() + self.dice.below(2_000);
        self.kit.clock.set(now);
    }

    async fn append_one(&mut self) -> &'static str {
        let event = self.fresh();
        self.send_and_expect(vec![event]).await;
        "append"
    }

    async fn append_batch(&mut self) -> &'static str {
        let count = 1 + self.dice.below(MAX_BATCH);
        let mut events: Vec<Event> = (0..count).map(|_| self.fresh()).collect();
        // Members that were sent before are taken as what they are.
        if let Some(known) = self.known() {
            events.push(known);
        }
        self.send_and_expect(events).await;
        "batch"
    }

    async fn append_at_once(&mut self) -> &'static str {
        let count = 2 + self.dice.below(MAX_AT_ONCE);
        let mut events: Vec<Event> = (0..count).map(|_| self.fresh()).collect();
        // The same event twice at one time: one entry, one receipt.
        let twin = events[0].clone();
        events.push(twin);
        let calls: Vec<_> = events
            .iter()
            .map(|event| {
                let (node, envelope) = (self.node().clone(), signed(event));
                tokio::spawn(async move { node.append(envelope).await })
            })
            .collect();
        let mut answers = Vec::new();
        for (event, call) in events.into_iter().zip(calls) {
            answers.push((event, call.await.unwrap().unwrap()));
        }
        // Of twins either may come first.
        answers.sort_by_key(|(_, appended)| appended.was_recorded_before);
        for (event, appended) in &answers {
            self.acknowledge(event, appended);
        }
        "at once"
    }

    async fn repeat(&mut self) -> &'static str {
        if let Some(event) = self.known() {
            self.send_and_expect(vec![event]).await;
        }
        "repeat"
    }

    /// The id of an acknowledged event with other bytes.
    async fn conflict(&mut self) -> &'static str {
        let Some((mut event, Fate::Acknowledged(_))) = self.pick() else { return "no conflict" };
        event.external_ref = format!("other-{}", self.dice.next());
        let refused = self.node().append(signed(&event)).await.unwrap_err();
        assert!(refused.had_no_effect(), "{refused:?}");
        assert!(
            matches!(refused, AppendError::Rejected(Rejection::EventIdConflict { .. })),
            "{refused:?}"
        );
        "conflict"
    }

    /// One of a batch breaks a rule: nothing of it is recorded.
    async fn refused_batch(&mut self) -> &'static str {
        let mut events = vec![self.fresh(), self.kit.copper(), self.kit.copper()];
        let Body::CollectLot(taken) = events[1].body.clone() else { unreachable!() };
        events[2].body = Body::CollectLot(taken);
        let batch = events.iter().map(signed).collect();
        let refused = self.node().append_batch(batch).await.unwrap_err();
        assert_eq!(refused.position, Some(2));
        assert!(matches!(refused.error, AppendError::Rejected(_)), "{refused:?}");
        for event in events.into_iter().take(2) {
            self.model.events.insert(event.id, (event, Fate::Absent));
        }
        "refused batch"
    }

    async fn judge_only(&mut self) -> &'static str {
        let event = self.fresh();
        self.node().validate(vec![signed(&event)]).await.unwrap();
        self.model.events.insert(event.id, (event, Fate::Absent));
        "judged only"
    }

    /// Callers hang up at some moment.
    async fn lose_replies(&mut self) -> &'static str {
        for _ in 0..=self.dice.below(4) {
            let event = self.fresh();
            let node = self.node().clone();
            let wait = Duration::from_micros(self.dice.below(3_000));
            let call = tokio::time::timeout(wait, node.append(signed(&event))).await;
            match call {
                Ok(appended) => self.acknowledge(&event, &appended.unwrap()),
                Err(_) => drop(self.model.events.insert(event.id, (event, Fate::Unclear))),
            }
        }
        "lost replies"
    }

    /// A write fails somewhere in the middle, and the node starts again.
    async fn crash(&mut self) -> &'static str {
        let point = FaultPoint::STEPS[self.dice.place(FaultPoint::STEPS.len())];
        let count = 1 + self.dice.below(MAX_BATCH);
        let events: Vec<Event> = (0..count).map(|_| self.fresh()).collect();
        self.kit.plan.arm(point);
        let answer = self.node().append_batch(events.iter().map(signed).collect()).await;
        match answer {
            Ok(appended) => {
                for (event, appended) in events.iter().zip(&appended) {
                    self.acknowledge(event, appended);
                }
            }
            Err(refused) => {
                // The group of a caller that hung up may have met the fault before this one.
                let fate = match refused.error {
                    AppendError::Indeterminate => Fate::Unclear,
                    AppendError::Poisoned => Fate::Absent,
                    other => panic!("{point:?}: {other:?}"),
                };
                for event in events {
                    self.model.events.insert(event.id, (event, fate.clone()));
                }
            }
        }
        if self.dice.below(2) == 0 {
            // Half of the nodes are let go as they are; the others try to stop in order.
            self.node().shutdown().await;
        }
        self.kit.plan.disarm();
        self.node = None;
        self.node = Some(self.kit.open());
        self.check();
        "crash"
    }

    async fn restart(&mut self) {
        self.node().shutdown().await;
        self.node = None;
        self.node = Some(self.kit.open());
    }

    async fn rebuild(&mut self) -> &'static str {
        self.node().shutdown().await;
        let size = self.node.take().unwrap().reader().size();
        assert_eq!(self.kit.rebuild().unwrap(), size);
        self.node = Some(self.kit.open());
        self.check();
        "rebuild"
    }

    // --- the model -------------------------------------------------------------------------------

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    fn fresh(&mut self) -> Event {
        if self.dice.below(2) == 0 { self.kit.copper() } else { self.kit.site() }
    }

    /// Any event that was sent before.
    fn pick(&mut self) -> Option<(Event, Fate)> {
        if self.model.events.is_empty() {
            return None;
        }
        let at = self.dice.place(self.model.events.len());
        self.model.events.values().nth(at).cloned()
    }

    fn known(&mut self) -> Option<Event> {
        self.pick().map(|(event, _)| event)
    }

    /// Sends events that no rule is against; they are recorded now, as those that were before.
    async fn send_and_expect(&mut self, events: Vec<Event>) {
        let batch = events.iter().map(signed).collect();
        let appended = self.node().append_batch(batch).await.unwrap();
        for (event, appended) in events.iter().zip(&appended) {
            self.acknowledge(event, appended);
        }
    }

    fn acknowledge(&mut self, event: &Event, appended: &Appended) {
        self.kit.keep(event, appended);
        let receipt = appended.receipt.encode();
        let before = self.model.events.get(&event.id).map(|(_, fate)| fate.clone());
        match before {
            Some(Fate::Acknowledged(kept)) => {
                assert_eq!(kept, receipt, "the receipt of {} changed", event.id);
                assert!(appended.was_recorded_before, "{} is recorded twice", event.id);
            }
            Some(Fate::Absent) => assert!(!appended.was_recorded_before, "{} was there", event.id),
            Some(Fate::Unclear) | None => {}
        }
        self.model.events.insert(event.id, (event.clone(), Fate::Acknowledged(receipt)));
    }

    /// The ledger is the model: every entry is one of its events, once, and none is missing.
    fn check(&self) {
        let (reader, model) = (self.node().reader(), &self.model);
        let mut there = BTreeMap::new();
        for index in model.base..reader.size().0 {
            let event = reader.event_at(EntryIndex(index)).unwrap().unwrap();
            let (sent, fate) = &model.events[&event.id];
            assert_eq!(*sent, event, "entry {index} has other words than were sent");
            assert_ne!(*fate, Fate::Absent, "entry {index} was refused");
            assert_eq!(there.insert(event.id, index), None, "{} stands there twice", event.id);
        }
        for (id, (_, fate)) in &model.events {
            if let Fate::Acknowledged(_) = fate {
                assert!(there.contains_key(id), "the acknowledged event {id} is missing");
            }
        }
        self.kit.check_acknowledged(self.node());
        self.kit.verify_all(self.node());
    }
}
