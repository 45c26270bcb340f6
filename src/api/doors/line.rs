//! One connection as the doors see it, and the crowd of all: who may stay.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::settings::Bounds;
use crate::api::identity::network;

/// A connection: its calls and replies.
#[derive(Debug)]
pub struct Line {
    peer: SocketAddr,
    opened_at: Instant,
    /// Rung when another connection takes its place.
    pub evicted: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Calls that have begun, ever.
    calls_begun: u64,
    calls_open: usize,
    /// Since when no call is open.
    quiet_since: Instant,
    /// Whether a caller over it was known.
    is_known: bool,
    /// Replies whose bytes are in memory.
    replies: BTreeMap<u64, Progress>,
    replies_begun: u64,
}

/// How a reply goes on.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// Since when its data, or the last data of a stream, are there.
    begun_at: Instant,
    /// Since when it is its caller's to take more; `None` while it is ours to have more.
    given_at: Option<Instant>,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Stay,
    /// It has had its time: it is asked to end, and its calls go on for a while.
    AskToEnd,
    /// Its caller takes nothing, or never said anything.
    Cut,
}

/// How much is lost with a connection, in the order of what goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    NeverCalled,
    StrangerQuiet,
    StrangerCalling,
    KnownQuiet,
}

impl Line {
    fn new(peer: SocketAddr, now: Instant) -> Self {
        let state = State {
            calls_begun: 0,
            calls_open: 0,
            quiet_since: now,
            is_known: false,
            replies: BTreeMap::new(),
            replies_begun: 0,
        };
        Self { peer, opened_at: now, evicted: Notify::new(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The other end.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Since when it is there.
    pub const fn opened_at(&self) -> Instant {
        self.opened_at
    }

    /// A call begins. It is open until what is returned is dropped.
    pub fn open(self: &Arc<Self>) -> OpenCall {
        let mut state = self.state();
        state.calls_begun += 1;
        state.calls_open += 1;
        OpenCall { line: Arc::clone(self) }
    }

    /// Somebody known calls over it.
    pub fn known(&self) {
        self.state().is_known = true;
    }

    /// A reply begins. It is in memory until what is returned is dropped.
    pub fn mark(self: &Arc<Self>) -> ReplyMark {
        let mut state = self.state();
        let number = state.replies_begun;
        state.replies_begun += 1;
        state.replies.insert(number, Progress { begun_at: Instant::now(), given_at: None });
        ReplyMark { line: Arc::clone(self), number }
    }

    /// What becomes of it. The doors ask every now and then.
    pub fn fate(&self, bounds: &Bounds, now: Instant) -> Fate {
        let state = self.state();
        let since = |then: Instant| now.saturating_duration_since(then);
        let is_stuck = |reply: &Progress| {
            let Some(given_at) = reply.given_at else { return false };
            since(given_at) > bounds.stall() || since(reply.begun_at) > bounds.reply()
        };
        if state.replies.values().any(is_stuck) {
            return Fate::Cut;
        }
        let is_quiet = state.calls_open == 0;
        if state.calls_begun == 0 && since(self.opened_at) > bounds.first_call() {
            return Fate::Cut;
        }
        let is_idle = is_quiet && since(state.quiet_since) > bounds.idle();
        if is_idle || since(self.opened_at) > bounds.age() {
            return Fate::AskToEnd;
        }
        Fate::Stay
    }

    /// What would be lost with it; `None` while a known caller waits for an answer.
    fn worth(&self) -> Option<(Worth, Instant)> {
        let state = self.state();
        let worth = match (state.calls_begun, state.is_known, state.calls_open) {
            (0, _, _) => Worth::NeverCalled,
            (_, false, 0) => Worth::StrangerQuiet,
            (_, false, _) => Worth::StrangerCalling,
            (_, true, 0) => Worth::KnownQuiet,
            (_, true, _) => return None,
        };
        Some((worth, state.quiet_since))
    }
}

/// A call that is open.
#[derive(Debug)]
pub struct OpenCall {
    line: Arc<Line>,
}

impl OpenCall {
    /// Its connection.
    pub const fn line(&self) -> &Arc<Line> {
        &self.line
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut state = self.line.state();
        state.calls_open = state.calls_open.saturating_sub(1);
        state.quiet_since = Instant::now();
    }
}

/// A reply that is in memory.
#[derive(Debug)]
pub struct ReplyMark {
    line: Arc<Line>,
    number: u64,
}

impl ReplyMark {
    fn note(&self, note: impl FnOnce(&mut Progress)) {
        if let Some(progress) = self.line.state().replies.get_mut(&self.number) {
            note(progress);
        }
    }

    /// Its data, or the next of a stream, are there.
    pub fn begun(&self) {
        self.note(|progress| progress.begun_at = Instant::now());
    }

    /// A piece was handed over: the ones before it are gone, or nearly.
    pub fn given(&self) {
        self.note(|progress| progress.given_at = Some(Instant::now()));
    }

    /// All there was is handed over, and the next is ours to find.
    pub fn ours(&self) {
        self.note(|progress| progress.given_at = None);
    }
}

impl Drop for ReplyMark {
    fn drop(&mut self) {
        self.line.state().replies.remove(&self.number);
    }
}

/// All connections.
#[derive(Debug)]
pub struct Crowd {
    max: usize,
    max_per_network: usize,
    lines: Mutex<HashMap<u64, Arc<Line>>>,
}

/// A place in the crowd; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    crowd: Arc<Crowd>,
    number: u64,
    line: Arc<Line>,
}

impl Crowd {
    /// A crowd of at most so many.
    pub fn new(bounds: &Bounds) -> Self {
        let (max, max_per_network) = (bounds.connections, bounds.connections_per_address);
        Self { max, max_per_network, lines: Mutex::default() }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<u64, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection in. When there is no room, in all or for its address, the one that is
    /// worth least has to go; when all are in use, the newcomer does.
    pub fn enter(self: &Arc<Self>, number: u64, peer: SocketAddr) -> Option<Seat> {
        let mut lines = self.lines();
        let home = network(peer.ip());
        let is_near = |line: &Line| network(line.peer.ip()) == home;
        let near = lines.values().filter(|line| is_near(line)).count();
        if near >= self.max_per_network {
            evict(&mut lines, is_near)?;
        } else if lines.len() >= self.max {
            evict(&mut lines, |_| true)?;
        }
        let line = Arc::new(Line::new(peer, Instant::now()));
        lines.insert(number, Arc::clone(&line));
        Some(Seat { crowd: Arc::clone(self), number, line })
    }
}

fn evict(lines: &mut HashMap<u64, Arc<Line>>, among: impl Fn(&Line) -> bool) -> Option<()> {
    let candidates = lines.iter().filter(|(_, line)| among(line));
    let ranked = candidates.filter_map(|(number, line)| Some((line.worth()?, *number)));
    let (_, number) = ranked.min()?;
    let line = lines.remove(&number)?;
    line.evicted.notify_one();
    Some(())
}

impl Seat {
    /// The connection that sits here.
    pub const fn line(&self) -> &Arc<Line> {
        &self.line
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.lines().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bounds() -> Bounds {
        Bounds {
            connections: 4,
            connections_per_address: 2,
            stall_ms: 1_000,
            reply_ms: 5_000,
            idle_ms: 10_000,
            first_call_ms: 3_000,
            age_ms: 100_000,
            ..Bounds::default()
        }
    }

    fn peer(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_newcomer_takes_the_place_of_whoever_is_worth_least() {
        let crowd = Arc::new(Crowd::new(&bounds()));
        let enter = |number, from: &str| crowd.enter(number, peer(from));
        let known = enter(1, "192.0.2.1:1").unwrap();
        known.line().known();
        let call = known.line().open();
        let silent = enter(2, "192.0.2.1:2").unwrap();
        // The address is full: its silent one goes, not the one of another address.
        let other = enter(3, "198.51.100.1:1").unwrap();
        let stranger = enter(4, "192.0.2.1:3").unwrap();
        drop(stranger.line().open());
        assert_eq!(crowd.lines().len(), 3);
        assert!(!crowd.lines().contains_key(&2));
        drop(silent);
        assert!(crowd.lines().contains_key(&3));
        // Now the quiet stranger goes, and never the known caller that waits for its answer.
        let next = enter(5, "192.0.2.1:4").unwrap();
        assert!(!crowd.lines().contains_key(&4));
        let held = next.line().open();
        next.line().known();
        assert!(enter(6, "192.0.2.1:5").is_none());
        drop(held);
        assert!(enter(7, "192.0.2.1:6").is_some(), "a known caller that is quiet makes room");
        drop((call, other, stranger));
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let crowd = Arc::new(Crowd::new(&bounds()));
        let seats: Vec<_> = (0..4_u64)
            .map(|n| crowd.enter(n, peer(&format!("[2001:db8::{n}]:1"))).unwrap())
            .collect();
        assert_eq!(crowd.lines().len(), 2);
        drop(seats);
        assert_eq!(crowd.lines().len(), 0);
    }

    #[test]
    fn a_connection_is_judged_by_what_moves() {
        let bounds = bounds();
        let line = Arc::new(Line::new(peer("192.0.2.1:1"), Instant::now()));
        let after = |millis| Instant::now() + Duration::from_millis(millis);
        assert_eq!(line.fate(&bounds, after(2_900)), Fate::Stay);
        assert_eq!(line.fate(&bounds, after(3_100)), Fate::Cut, "it never called");
        let call = line.open();
        assert_eq!(line.fate(&bounds, after(50_000)), Fate::Stay, "a call may be waited for");
        let reply = line.mark();
        assert_eq!(line.fate(&bounds, after(50_000)), Fate::Stay, "nothing was handed over");
        reply.begun();
        reply.given();
        assert_eq!(line.fate(&bounds, after(900)), Fate::Stay);
        assert_eq!(line.fate(&bounds, after(1_100)), Fate::Cut, "nothing is taken");
        reply.ours();
        assert_eq!(line.fate(&bounds, after(50_000)), Fate::Stay, "a stream has nothing to send");
        drop((reply, call));
        assert_eq!(line.fate(&bounds, after(9_000)), Fate::Stay);
        assert_eq!(line.fate(&bounds, after(10_100)), Fate::AskToEnd, "it is idle");
        let _call = line.open();
        assert_eq!(line.fate(&bounds, after(100_100)), Fate::AskToEnd, "it is old");
    }
}
