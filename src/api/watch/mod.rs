//! Entries as they are recorded: a watch catches up from the indexes, then follows.
//!
//! A watch is a task that reads a few entries at a time, on a reading thread, and a short queue
//! from which its caller takes. It waits for the size under the last checkpoint to change, so it
//! sees a group when everybody else does and never asks in vain. Every watch ends, and says where
//! to go on: see [`WatchEnd`].
//!
//! *Owns:* what a watch is asked for and may see, how many there are, how long one lasts, what
//! waits for its reader, and when a reader is cut off.
//!
//! *Never:* holds anything while it waits but the index of the next entry: no lock, no cursor of
//! the database. Scans nothing: what matches is found by the node, in its indexes.
//!
//! *See:* `WatchEntries` in `ledger_service.proto`, which is the manual; `node::follow`.

mod places;
mod pump;
mod queue;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Request;

pub use places::{Place, Places};
pub use queue::Watching;

use super::convert::optional;
use super::desk::{Desk, id_of};
use super::doors::Connection;
use super::errors::{Failure, WatchEnd};
use super::gate::asked_timeout;
use super::identity::{Caller, CallerKey};
use super::viewer::{Viewer, viewer_of};
use crate::domain::vocabulary::EventKind;
use crate::domain::{EntryIndex, LotId, PartyId};
use crate::limits::{DEFAULT_HEARTBEAT_SECONDS, MAX_HEARTBEAT_SECONDS, MAX_WATCH_SECONDS};
use crate::node::EntryFilter;
use crate::wire::v1;
use pump::Pump;
use queue::Queue;

/// What watches of one service share.
#[derive(Debug, Clone)]
pub struct Watches {
    places: Places,
    stopping: watch::Receiver<bool>,
}

/// When a watch ends, and why then.
#[derive(Debug, Clone, Copy)]
struct Span {
    ends_at: Instant,
    why: WatchEnd,
}

/// Between the end of a connection's time and the end of its watches. Connections are looked at
/// every second, and go on for a while after they were asked to end.
const AFTER_CONNECTION: Duration = Duration::from_secs(2);

impl Watches {
    /// No watch yet. `stopping` becomes true when the service begins to stop.
    pub fn new(stopping: watch::Receiver<bool>) -> Self {
        Self { places: Places::new(), stopping }
    }

    /// Begins a watch.
    pub fn begin(
        &self,
        desk: &Desk,
        request: Request<v1::WatchEntriesRequest>,
    ) -> Result<Watching, Failure> {
        let (id, viewer, span) = (id_of(&request), viewer_of(&request), span(&request));
        let caller = request.extensions().get::<Caller>().map(Caller::key);
        let request = request.into_inner();
        let filter = filter(&request, viewer)?;
        let from = EntryIndex(request.from_entry_index);
        let place = self.places.take(caller.unwrap_or(CallerKey::Nowhere))?;
        let growth = desk.growth();
        let size = *growth.borrow();
        // It never told a place beyond its end: whoever asks for one followed another ledger, or
        // this one lost entries.
        if from.0 > size.0 {
            let rule = format!("at most the ledger's size, which is {size}");
            return Err(Failure::field("from_entry_index", rule, from.to_string()));
        }
        let (queue, watching) = Queue::new(id, place);
        let pump = Pump {
            desk: desk.clone(),
            filter,
            next: from,
            queue,
            growth,
            stopping: self.stopping.clone(),
            span,
            heartbeat: heartbeat(request.heartbeat_seconds),
        };
        tokio::spawn(pump.run());
        Ok(watching)
    }
}

/// A watch that its caller limits ends when the caller says; every other when it has had its time,
/// or soon after its connection was asked to end: by then its caller calls over another.
fn span(request: &Request<v1::WatchEntriesRequest>) -> Span {
    let now = Instant::now();
    let connection = request.extensions().get::<Connection>();
    let asked_to_end_at = connection.and_then(Connection::asked_to_end_at).map(Instant::from_std);
    let age = now + Duration::from_secs(MAX_WATCH_SECONDS);
    let ends_at = asked_to_end_at.map_or(age, |at| age.min(at + AFTER_CONNECTION));
    let longest = Span { ends_at, why: WatchEnd::Age };
    match asked_timeout(request.metadata().as_ref()) {
        Some(asked) if now + asked < longest.ends_at => {
            Span { ends_at: now + asked, why: WatchEnd::Deadline }
        }
        _ => longest,
    }
}

fn heartbeat(asked_seconds: u32) -> Duration {
    let seconds = match asked_seconds {
        0 => DEFAULT_HEARTBEAT_SECONDS,
        asked => asked.min(MAX_HEARTBEAT_SECONDS),
    };
    Duration::from_secs(seconds.into())
}

/// What is asked for, within what the viewer may see: a party sees the entries that concern it.
fn filter(request: &v1::WatchEntriesRequest, viewer: Viewer) -> Result<EntryFilter, Failure> {
    let lot = optional("lot_id", &request.lot_id, LotId::parse)?;
    let party = optional("party_id", &request.party_id, PartyId::parse)?;
    let kind =
        match request.kind {
            0 => None,
            number => Some(EventKind::from_number(number).ok_or_else(|| {
                Failure::field("kind", "a number of EventKind", number.to_string())
            })?),
        };
    let parties = match (viewer, party) {
        (Viewer::Overseer, party) => party.into_iter().collect(),
        (Viewer::Party(own), None) => vec![own],
        (Viewer::Party(own), Some(party)) if party == own => vec![own],
        // Whether that party is there, and what it shares with the caller, is not told.
        (Viewer::Party(_), Some(party)) => {
            return Err(Failure::field("party_id", "absent or your own", party.to_string()));
        }
        (Viewer::Stranger, _) => return Err(super::policy::Denied::IdentityMissing.into()),
    };
    Ok(EntryFilter { lot, parties, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: PartyId = PartyId::from_bytes([7; 16]);

    fn asked(party: &[u8]) -> v1::WatchEntriesRequest {
        let party_id = bytes::Bytes::copy_from_slice(party);
        v1::WatchEntriesRequest { party_id, ..v1::WatchEntriesRequest::default() }
    }

    fn uuid(n: u8) -> [u8; 16] {
        let mut raw = [n; 16];
        (raw[6], raw[8]) = (0x70, 0x80);
        raw
    }

    #[test]
    fn a_party_watches_what_concerns_it_and_nothing_else() {
        let all = filter(&asked(&[]), Viewer::Overseer).unwrap();
        assert!(all.parties.is_empty());
        let of_one = filter(&asked(&uuid(1)), Viewer::Overseer).unwrap();
        assert_eq!(of_one.parties, [PartyId::from_bytes(uuid(1))]);
        assert_eq!(filter(&asked(&[]), Viewer::Party(OWN)).unwrap().parties, [OWN]);
        let own = PartyId::from_bytes(uuid(2));
        assert_eq!(filter(&asked(&uuid(2)), Viewer::Party(own)).unwrap().parties, [own]);
        assert!(filter(&asked(&uuid(1)), Viewer::Party(own)).is_err());
        assert!(filter(&asked(&[]), Viewer::Stranger).is_err());
    }

    #[test]
    fn a_deadline_longer_than_that_of_other_calls_is_kept() {
        let mut request = Request::new(asked(&[]));
        assert_eq!(span(&request).why, WatchEnd::Age);
        request.metadata_mut().insert("grpc-timeout", "600S".parse().unwrap());
        let kept = span(&request);
        assert_eq!(kept.why, WatchEnd::Deadline);
        assert!(kept.ends_at > Instant::now() + Duration::from_secs(590));
        request.metadata_mut().insert("grpc-timeout", "9H".parse().unwrap());
        assert_eq!(span(&request).why, WatchEnd::Age);
    }
}
