//! Who has our checkpoints cosigned: a thread that follows the ledger, and one for each witness.
//!
//! Beside the write path: it reads what is committed and holds nothing that the writer waits for.
//! All that it keeps is work that can be done again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::handle::Node;
use super::measures::WITNESS_ANSWERS_TOTAL;
use super::reader::{ReadFault, Reader};
use super::witnessing::{Outcome, Target, Trouble, Worker};
use crate::domain::EntryCount;
use crate::ledger::cosignature::{Held, with_cosignatures};
use crate::ledger::policy::Policy;
use crate::ledger::tree::verify_consistency;
use crate::ledger::{Checkpoint, SignedCheckpoint};
use crate::limits::{
    COLLECT_PAUSE_MS, COLLECT_RENEW_SECONDS, COLLECT_TICK_MS, MAX_WITNESS_RETRY_MS,
    WITNESS_RETRY_MS,
};
use crate::store::{Shelf, StoreFault};
use crate::witness::ClientFault;

/// Its file on the shelf.
const FILE: &str = crate::store::COSIGNED_FILE;

/// A checkpoint with cosignatures that meet the policy's quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// How many entries it covers.
    pub size: EntryCount,
    /// Its text, with the lines of ledger and witnesses.
    pub checkpoint: SignedCheckpoint,
}

/// The collecting threads; they stop when this is dropped.
#[derive(Debug)]
pub struct Collector {
    stop: Arc<AtomicBool>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        // A request under way ends by its own time limit, and its answer is dropped.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Why nothing is collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectFault {
    /// The policy is about other logs.
    #[error(
        "the policy names logs, and this ledger under its key is none of them; its line is \
         `log {vkey}`"
    )]
    OtherLog {
        /// What would have to be among them.
        vkey: String,
    },
    /// No quorum can come together.
    #[error(
        "only {asked} of the policy's witnesses have a URL to be asked at, and they are no quorum"
    )]
    NoQuorum {
        /// How many have one.
        asked: usize,
    },
    /// A URL that is none.
    #[error("witness {witness}: {fault}")]
    Url {
        /// Whose.
        witness: String,
        /// What is wrong with it.
        #[source]
        fault: ClientFault,
    },
    /// What was kept cannot be read.
    #[error("what was cosigned before cannot be read")]
    Store(#[from] StoreFault),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read")]
    Read(#[from] ReadFault),
    /// The system gives no thread.
    #[error("no thread for collecting")]
    Thread(#[source] std::io::Error),
}

impl Node {
    /// Has every newest checkpoint cosigned by the witnesses of a policy, until the answer is
    /// dropped.
    pub fn collect(&self, policy: Policy) -> Result<Collector, CollectFault> {
        let reader = self.reader();
        let ledger = reader.ledger()?;
        if !policy.is_for(&ledger.origin, &ledger.ledger_key) {
            let vkey = crate::ledger::checkpoint::vkey(&ledger.origin, &ledger.ledger_key);
            return Err(CollectFault::OtherLog { vkey });
        }
        let can_answer: Vec<bool> = policy.witnesses().iter().map(|it| it.url.is_some()).collect();
        if !policy.is_quorum(&can_answer) {
            let asked = can_answer.iter().filter(|can| **can).count();
            return Err(CollectFault::NoQuorum { asked });
        }
        let kept = self.cosigned_shelf()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (answers, answered) = sync_channel(policy.witnesses().len().max(1));
        let mut witnesses = Vec::new();
        for (place, witness) in policy.witnesses().iter().enumerate() {
            let Some(url) = &witness.url else { continue };
            let name = witness.name.to_string();
            let worker = Worker::new(witness, url, reader.clone())
                .map_err(|fault| CollectFault::Url { witness: name.clone(), fault })?;
            witnesses.push(Asked::start(name, place, worker, answers.clone())?);
        }
        let desk = Desk { reader, policy, kept, witnesses, round: None, last: None };
        desk.take_up()?;
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("collector".to_owned());
        let run = move || desk.run(&answered, &stopped);
        thread.spawn(run).map_err(CollectFault::Thread)?;
        Ok(Collector { stop })
    }
}

/// What a worker sends back.
pub(super) struct Answered {
    place: usize,
    target: Arc<Target>,
    outcome: Outcome,
}

/// A witness, as the collector sees it.
struct Asked {
    name: String,
    /// In the policy.
    place: usize,
    jobs: SyncSender<Arc<Target>>,
    is_busy: bool,
    failures: u32,
    not_before: Instant,
    /// What went wrong last, so that it is told once.
    trouble: Option<&'static str>,
}

impl Asked {
    fn start(
        name: String,
        place: usize,
        mut worker: Worker,
        answers: SyncSender<Answered>,
    ) -> Result<Self, CollectFault> {
        let (jobs, waiting) = sync_channel::<Arc<Target>>(1);
        let thread = std::thread::Builder::new().name(format!("witness-{place}"));
        // Ends when the collector lets go of its jobs, or of its answers.
        let run = move || {
            while let Ok(target) = waiting.recv() {
                let outcome = worker.ask(&target);
                if answers.send(Answered { place, target, outcome }).is_err() {
                    return;
                }
            }
        };
        thread.spawn(run).map_err(CollectFault::Thread)?;
        let (is_busy, not_before) = (false, Instant::now());
        Ok(Self { name, place, jobs, is_busy, failures: 0, not_before, trouble: None })
    }

    fn pause_after_failure(&mut self, shortest_ms: u64) {
        let doubled = WITNESS_RETRY_MS.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let pause_ms = doubled.clamp(shortest_ms, MAX_WITNESS_RETRY_MS);
        let pause_ms = rand::random_range(pause_ms * 3 / 4..=pause_ms * 5 / 4);
        self.not_before = Instant::now() + Duration::from_millis(pause_ms);
    }
}

/// One checkpoint on its way through the witnesses.
struct Round {
    target: Arc<Target>,
    begun: Instant,
    held: Vec<Held>,
    /// Places in the policy that were asked.
    asked: Vec<usize>,
    is_met: bool,
}

/// What was published last, to add what comes late.
struct Last {
    target: Arc<Target>,
    held: Vec<Held>,
}

struct Desk {
    reader: Reader,
    policy: Policy,
    kept: Shelf,
    witnesses: Vec<Asked>,
    round: Option<Round>,
    last: Option<Last>,
}

impl Desk {
    /// Publishes what an earlier run kept, if it still meets the policy and is of this history.
    fn take_up(&self) -> Result<(), CollectFault> {
        let Some(text) = self.kept.read(FILE)? else { return Ok(()) };
        let is_met = self.policy.judge(&text).is_ok_and(|report| report.is_quorum_met);
        let Ok((said, checkpoint)) = SignedCheckpoint::parse(&text) else {
            warn!("the cosigned checkpoint that was kept does not parse; it is collected again");
            return Ok(());
        };
        if !self.is_of_this_history(&said)? {
            // The operator put an old copy, or another one, in place of what witnesses have seen.
            let (size, ours) = (said.size.0, self.reader.size().0);
            error!(size, ours, "witnesses cosigned another history of this ledger than is here");
            return Ok(());
        }
        if is_met {
            self.reader.publish_cosigned(Cosigned { size: said.size, checkpoint });
        }
        Ok(())
    }

    fn is_of_this_history(&self, said: &Checkpoint) -> Result<bool, ReadFault> {
        let (ours, _) = SignedCheckpoint::parse(self.reader.checkpoint()?.as_bytes())?;
        let proof = self.reader.consistency_proof(said.size, ours.size)?;
        Ok(proof.is_some_and(|proof| {
            verify_consistency(said.size, &said.root, ours.size, &ours.root, &proof).is_ok()
        }))
    }

    fn run(mut self, answered: &Receiver<Answered>, stopped: &AtomicBool) {
        while !stopped.load(Ordering::Relaxed) {
            match answered.recv_timeout(Duration::from_millis(COLLECT_TICK_MS)) {
                Ok(answer) => self.take(answer),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if let Err(fault) = self.step() {
                warn!(%fault, "the newest checkpoint cannot be read for the witnesses");
            }
        }
    }

    /// Begins a round when there is reason to, and asks whoever can be asked.
    fn step(&mut self) -> Result<(), ReadFault> {
        if self.is_time_for_a_round() && self.reader.size() > EntryCount(0) {
            let checkpoint = self.reader.checkpoint()?;
            let (said, checkpoint) = SignedCheckpoint::parse(checkpoint.as_bytes())?;
            let target = Arc::new(Target { size: said.size, checkpoint });
            let (held, asked) = (Vec::new(), Vec::new());
            let is_met = false;
            self.round = Some(Round { target, begun: Instant::now(), held, asked, is_met });
        }
        let Some(round) = &mut self.round else { return Ok(()) };
        for witness in &mut self.witnesses {
            let has_cosigned = |held: &Held| {
                self.policy.witnesses().get(witness.place).is_some_and(|it| it.key == *held.vkey())
            };
            let can = !witness.is_busy && witness.not_before <= Instant::now();
            if !can || round.held.iter().any(has_cosigned) {
                continue;
            }
            match witness.jobs.try_send(Arc::clone(&round.target)) {
                Ok(()) => {
                    witness.is_busy = true;
                    round.asked.push(witness.place);
                }
                Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Disconnected(_)) => witness.pause_after_failure(0),
            }
        }
        Ok(())
    }

    /// A round ends when its quorum is met and a pause is over, or when nobody is left who could
    /// still answer: else a busy ledger would change the checkpoint under slow witnesses for ever,
    /// and none would ever have enough of them.
    fn is_time_for_a_round(&self) -> bool {
        let Some(round) = &self.round else { return true };
        let has_grown = self.reader.size() > round.target.size;
        let age = round.begun.elapsed();
        let is_awaited = self
            .witnesses
            .iter()
            .any(|witness| witness.is_busy && round.asked.contains(&witness.place));
        let is_over = round.is_met || !is_awaited;
        let is_stale = age >= Duration::from_secs(COLLECT_RENEW_SECONDS);
        is_over && (is_stale || has_grown && age >= Duration::from_millis(COLLECT_PAUSE_MS))
    }

    fn take(&mut self, answer: Answered) {
        let Answered { place, target, outcome } = answer;
        metrics::counter!(WITNESS_ANSWERS_TOTAL, "outcome" => outcome.name()).increment(1);
        let Some(witness) = self.witnesses.iter_mut().find(|it| it.place == place) else { return };
        witness.is_busy = false;
        match outcome {
            Outcome::Cosigned(held) => {
                if witness.trouble.take().is_some() {
                    info!(witness = witness.name, "the witness cosigns again");
                }
                witness.failures = 0;
                self.cosigned(&target, *held);
            }
            // It has a newer one of ours: the next round brings it.
            Outcome::Ahead => witness.pause_after_failure(0),
            Outcome::Trouble(trouble) => tell(witness, &trouble),
        }
    }

    fn cosigned(&mut self, target: &Arc<Target>, held: Held) {
        if let Some(round) = self.round.as_mut().filter(|it| Arc::ptr_eq(&it.target, target)) {
            round.held.push(held);
            if self.policy.is_quorum(&places(&self.policy, &round.held)) {
                round.is_met = true;
                let (target, held) = (Arc::clone(&round.target), round.held.clone());
                self.publish(Last { target, held });
            }
            return;
        }
        // Too late for its round, but not for what was published of it.
        if let Some(mut last) = self.last.take() {
            let is_its = Arc::ptr_eq(&last.target, target);
            if is_its {
                last.held.push(held);
                self.publish(last);
            } else {
                self.last = Some(last);
            }
        }
    }

    fn publish(&mut self, last: Last) {
        let target = &last.target;
        match with_cosignatures(&target.checkpoint, &last.held) {
            Ok(checkpoint) => {
                // A crash before: what was kept before is there, or nothing; it is collected again.
                if let Err(fault) = self.kept.replace(FILE, checkpoint.as_bytes()) {
                    warn!(%fault, "a cosigned checkpoint is not kept; a restart collects it again");
                }
                let (size, lines) = (target.size, last.held.len());
                debug!(size = size.0, lines, "a checkpoint has its quorum");
                self.reader.publish_cosigned(Cosigned { size, checkpoint });
            }
            Err(fault) => warn!(%fault, "the cosignatures do not fit a checkpoint"),
        }
        self.last = Some(last);
    }
}

/// Which of the policy's witnesses these are.
fn places(policy: &Policy, held: &[Held]) -> Vec<bool> {
    let is_held = |key| held.iter().any(|it| it.vkey() == key);
    policy.witnesses().iter().map(|witness| is_held(&witness.key)).collect()
}

/// Told once, when it begins; an alarm each time.
fn tell(witness: &mut Asked, trouble: &Trouble) {
    let (name, kind) = (&witness.name, trouble.name());
    if trouble.is_alarm() {
        error!(witness = name, alarm = kind, "{trouble}");
        witness.pause_after_failure(MAX_WITNESS_RETRY_MS);
    } else {
        if witness.trouble != Some(kind) {
            warn!(witness = name, trouble = kind, "{trouble}");
        }
        witness.pause_after_failure(0);
    }
    witness.trouble = Some(kind);
}

impl Reader {
    /// The newest checkpoint that a quorum of witnesses cosigned; `None` until there is one.
    pub fn cosigned(&self) -> Option<Cosigned> {
        self.shared.cosigned.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Never goes back.
    pub(super) fn publish_cosigned(&self, cosigned: Cosigned) {
        let mut known = self.shared.cosigned.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.size <= cosigned.size) {
            *known = Some(cosigned);
        }
    }
}
