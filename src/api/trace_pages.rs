//! Pages of traces. A trace is computed anew for each page, over the entries that the first page
//! counted, and held against it: the token carries their number and a hash of lots and steps. Where
//! a later entry changed that history itself, the page is refused, so pages always fit together.

use super::errors::Failure;
use super::pages::List;
use crate::domain::EntryCount;
use crate::ledger::hash::RunningSha256;
use crate::limits::{DEFAULT_TRACE_PAGE_SIZE, MAX_TRACE_PAGE_SIZE};
use crate::node::ReadFault;
use crate::wire::v1;

const HASH_BYTES: usize = 8;
/// The first bytes of a SHA-256: enough to see that something changed, and no proof of anything.
type Hash = [u8; HASH_BYTES];
/// Entries 8, position 4, whether the trace is complete 1, hash.
const CURSOR_BYTES: usize = 8 + 4 + 1 + HASH_BYTES;
const CHANGED: &str = "the history was changed by a later entry: begin again without a token";

/// Where a page begins.
pub struct Turn {
    list: List,
    /// How many entries count.
    pub size: EntryCount,
    position: u32,
    /// What the first page found.
    before: Option<Found>,
}

/// What all pages have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Found {
    is_complete: bool,
    hash: Hash,
}

impl Turn {
    /// The page of a token; the first one is of the ledger as it is.
    pub fn of(list: List, token: &str, size_now: EntryCount) -> Result<Self, Failure> {
        let Some(cursor) = list.cursor::<CURSOR_BYTES>(token)? else {
            return Ok(Self { list, size: size_now, position: 0, before: None });
        };
        let (size, rest) = cursor.split_at(8);
        let (position, rest) = rest.split_at(4);
        let (is_complete, hash) = rest.split_at(1);
        // The cursor has these lengths.
        let size = u64::from_be_bytes(size.try_into().unwrap_or_default());
        let position = u32::from_be_bytes(position.try_into().unwrap_or_default());
        let hash = hash.try_into().unwrap_or_default();
        let before = Some(Found { is_complete: is_complete == [1], hash });
        Ok(Self { list, size: EntryCount(size), position, before })
    }

    /// Whether it is the first.
    pub fn is_first(&self) -> bool {
        self.before.is_none()
    }

    /// What the first page said of all of it.
    pub fn was_complete(&self) -> bool {
        self.before.is_some_and(|found| found.is_complete)
    }

    /// A trace that does not add up over the entries of the first page was changed since.
    pub fn read<T>(&self, answer: Result<T, ReadFault>) -> Result<T, Failure> {
        match answer {
            Err(ReadFault::Trace(_)) if !self.is_first() => {
                Err(Failure::PageToken { rule: CHANGED })
            }
            other => Ok(other?),
        }
    }

    /// Holds lots and steps against the first page.
    pub fn check(&self, told: Hash) -> Result<(), Failure> {
        match self.before {
            Some(found) if found.hash != told => Err(Failure::PageToken { rule: CHANGED }),
            _ => Ok(()),
        }
    }

    /// Where it begins.
    pub fn position(&self) -> usize {
        usize::try_from(self.position).unwrap_or(usize::MAX)
    }

    /// The token of the page that begins at a position.
    pub fn token(&self, position: usize, is_complete: bool, hash: Hash) -> String {
        let mut cursor = [0; CURSOR_BYTES];
        let (size, rest) = cursor.split_at_mut(8);
        let (place, rest) = rest.split_at_mut(4);
        let (flag, told) = rest.split_at_mut(1);
        size.copy_from_slice(&self.size.0.to_be_bytes());
        place.copy_from_slice(&u32::try_from(position).unwrap_or(u32::MAX).to_be_bytes());
        flag.copy_from_slice(&[u8::from(is_complete)]);
        told.copy_from_slice(&hash);
        self.list.token(&cursor)
    }

    /// Cuts lots, and then steps, to the page; gives the token of the next.
    pub fn cut(
        &self,
        asked: u32,
        is_complete: bool,
        lots: &mut Vec<v1::TraceLot>,
        steps: &mut Vec<v1::TraceStep>,
    ) -> Result<String, Failure> {
        let hash = hash(lots, steps);
        self.check(hash)?;
        let (begin, all) = (self.position(), lots.len().saturating_add(steps.len()));
        let end = begin.saturating_add(page_size(asked)).min(all);
        let of_lots = lots.len();
        cut_to(steps, begin.saturating_sub(of_lots), end.saturating_sub(of_lots));
        cut_to(lots, begin, end);
        Ok(if end < all { self.token(end, is_complete, hash) } else { String::new() })
    }
}

/// A hash of all that is told of lots and steps.
pub fn hash(lots: &[v1::TraceLot], steps: &[v1::TraceStep]) -> Hash {
    let mut running = RunningSha256::default();
    let mut bytes = Vec::new();
    for lot in lots {
        add(&mut running, &mut bytes, lot);
    }
    for step in steps {
        add(&mut running, &mut bytes, step);
    }
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(&running.finish().0[..HASH_BYTES]);
    hash
}

/// With its length, so that no two lists read the same.
fn add(running: &mut RunningSha256, bytes: &mut Vec<u8>, message: &impl prost::Message) {
    bytes.clear();
    // A Vec takes every message.
    let _ = message.encode_length_delimited(bytes);
    running.update(bytes);
}

fn page_size(asked: u32) -> usize {
    let size = if asked == 0 { DEFAULT_TRACE_PAGE_SIZE } else { asked.min(MAX_TRACE_PAGE_SIZE) };
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn cut_to<T>(items: &mut Vec<T>, begin: usize, end: usize) {
    items.truncate(end);
    items.drain(..begin.min(items.len()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lots(count: u32) -> Vec<v1::TraceLot> {
        (0..count).map(|depth| v1::TraceLot { depth, ..v1::TraceLot::default() }).collect()
    }

    fn steps(count: u64) -> Vec<v1::TraceStep> {
        (0..count).map(|mass_g| v1::TraceStep { mass_g, ..v1::TraceStep::default() }).collect()
    }

    fn list() -> List {
        List::new("TraceOrigins", &[b"lot"])
    }

    #[test]
    fn pages_together_are_all_of_it() {
        for (of_lots, of_steps, size) in [(0, 0, 2), (3, 4, 2), (4, 0, 4), (1, 6, 7), (5, 1, 1)] {
            let (mut told, mut token, mut pages) = ((Vec::new(), Vec::new()), String::new(), 0);
            loop {
                let turn = Turn::of(list(), &token, EntryCount(9)).unwrap();
                assert_eq!(turn.is_first(), pages == 0);
                let (mut its_lots, mut its_steps) = (lots(of_lots), steps(of_steps));
                token = turn.cut(size, true, &mut its_lots, &mut its_steps).unwrap();
                assert!(its_lots.len() + its_steps.len() <= size as usize);
                told.0.extend(its_lots);
                told.1.extend(its_steps);
                pages += 1;
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(told, (lots(of_lots), steps(of_steps)));
        }
    }

    #[test]
    fn a_page_of_another_history_is_refused() {
        let first = Turn::of(list(), "", EntryCount(9)).unwrap();
        let token = first.cut(1, false, &mut lots(3), &mut steps(1)).unwrap();
        // The ledger has grown; what counts is what counted.
        let next = Turn::of(list(), &token, EntryCount(12)).unwrap();
        assert_eq!((next.size, next.was_complete()), (EntryCount(9), false));
        let refused = next.cut(1, false, &mut lots(3), &mut steps(2)).unwrap_err();
        assert!(matches!(refused, Failure::PageToken { rule } if rule == CHANGED));
        let fault: Result<(), _> = Err(ReadFault::Trace("no longer".to_owned()));
        assert!(matches!(next.read(fault), Err(Failure::PageToken { .. })));
        assert!(next.cut(1, false, &mut lots(3), &mut steps(1)).is_ok());
    }
}
