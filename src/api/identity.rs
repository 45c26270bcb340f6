//! Who calls, as far as the transport can tell.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::policy::is_loopback;
use crate::domain::PartyId;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Calls that change nothing.
    Read,
    /// Sending events. Their signatures are judged all the same.
    Append,
    /// Calls that are the overseers' alone.
    Admin,
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u8);

/// How a caller proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Identity {
    /// It did not, and nobody asks on this machine: whoever sits here may do everything.
    LocalOperator,
    /// An operator, by a token.
    Operator {
        /// What the token is good for.
        scopes: Scopes,
    },
    /// A party, by a certificate, a token or both.
    Party {
        /// Which.
        party: PartyId,
        /// What the token is good for; a certificate is good for everything that its party may do.
        scopes: Scopes,
    },
    /// It did not.
    Unknown,
}

/// Who calls, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The other end of the connection; `None` when it is not an IP connection.
    pub peer: Option<SocketAddr>,
    /// Who it is.
    pub identity: Identity,
}

/// Whose calls count together, wherever callers are counted: watches, rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerKey {
    /// All that a party sends, over whatever connections and tokens.
    Party(PartyId),
    /// All that operators send.
    Operator,
    /// All that unknown callers send from one address (of IPv6: one network of 64 bits).
    Address(IpAddr),
    /// Unknown callers whose address is not known.
    Nowhere,
}

impl Scopes {
    /// Everything.
    pub const ALL: Self = Self::of(&[Scope::Read, Scope::Append, Scope::Admin]);

    /// A set of some.
    pub const fn of(scopes: &[Scope]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < scopes.len() {
            bits |= scopes[at].bit();
            at += 1;
        }
        Self(bits)
    }

    /// Whether one is among them.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

impl Scope {
    /// All, as they are listed.
    pub const EACH: [Self; 3] = [Self::Read, Self::Append, Self::Admin];

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Append => 2,
            Self::Admin => 4,
        }
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Append => "APPEND",
            Self::Admin => "ADMIN",
        }
    }
}

impl Identity {
    /// Whether calls of a kind are in what it was given.
    pub const fn has(&self, scope: Scope) -> bool {
        match self {
            Self::LocalOperator => true,
            Self::Operator { scopes } | Self::Party { scopes, .. } => scopes.has(scope),
            Self::Unknown => false,
        }
    }
}

impl Caller {
    /// A caller that proved nothing, on a node that asks for no identity: whoever sits at the
    /// machine is its operator, everybody else is unknown.
    pub fn unasked(peer: Option<SocketAddr>) -> Self {
        let is_here = peer.is_some_and(|peer| is_loopback(peer.ip()));
        let identity = if is_here { Identity::LocalOperator } else { Identity::Unknown };
        Self { peer, identity }
    }

    /// Whom its calls count for.
    pub fn key(&self) -> CallerKey {
        match self.identity {
            Identity::LocalOperator | Identity::Operator { .. } => CallerKey::Operator,
            Identity::Party { party, .. } => CallerKey::Party(party),
            Identity::Unknown => match self.peer {
                Some(peer) => CallerKey::Address(network(peer.ip())),
                None => CallerKey::Nowhere,
            },
        }
    }
}

/// Who has one address of an IPv6 network has 2^64 of them, so the network counts as one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Scope::EACH.into_iter().filter(|scope| self.has(*scope));
        f.write_str(&held.map(Scope::name).collect::<Vec<_>>().join(","))
    }
}
