//! For whom an answer is made: all that a handler knows about its caller.
//!
//! The gate finds out who calls, and puts a [`Viewer`] beside the request. A request without one
//! was not looked at by the gate: its viewer is a stranger.

use tonic::Request;

use crate::domain::PartyId;
use crate::domain::sight::Onlooker;

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// A coordinator, auditor or regulator, or whoever sits at the machine of a node that asks for
    /// no identity: sees everything.
    Overseer,
    /// A party: its own lots, one step up and down, and what it was granted.
    Party(PartyId),
    /// Anybody: what is public.
    Stranger,
}

impl From<Viewer> for Onlooker {
    fn from(viewer: Viewer) -> Self {
        match viewer {
            Viewer::Overseer => Self::Everything,
            Viewer::Party(party) => Self::Party(party),
            Viewer::Stranger => Self::Nothing,
        }
    }
}

/// Who looks, as the gate found out.
pub fn viewer_of<T>(request: &Request<T>) -> Viewer {
    request.extensions().get().copied().unwrap_or(Viewer::Stranger)
}
