//! Who calls, as far as the transport can tell: by a client certificate, a token, or both.
//!
//! It says nothing about who signed what: an event that anybody hands in is judged by its own
//! signatures.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header};
use x509_parser::extensions::GeneralName;

use super::policy::is_loopback;
use super::tokens::{TokenBook, party_of};
use crate::domain::{PartyId, TimeMs};

/// What the name of a party in a certificate begins with: a URI among the subject's alternative
/// names, before the party's id.
pub const PARTY_URN: &str = "urn:urbanmine:party:";

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

/// What the client certificate of a connection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// There is none.
    Absent,
    /// It is a party's.
    Party(PartyId),
    /// It names no party, or several. (Whoever issued it was trusted with client certificates.)
    Nameless,
}

/// Why a caller is not taken for who it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityFault {
    /// The client certificate names no party, and there is no token.
    CertificateNameless,
    /// Certificate and token are not the same party's.
    IdentitiesDiffer,
    /// The token's time is over.
    TokenExpired {
        /// Since when.
        expired_at: TimeMs,
    },
    /// The header holds no token of ours, or there are two of them.
    TokenMalformed,
    /// The token was taken back.
    TokenRevoked,
    /// Nobody was given this token.
    TokenUnknown,
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
    /// All that operators send, by tokens.
    Operator,
    /// All that is sent by whoever sits at the machine.
    Local,
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

    /// Reads the word for it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|scope| scope.name() == name)
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
            Identity::LocalOperator => CallerKey::Local,
            Identity::Operator { .. } => CallerKey::Operator,
            Identity::Party { party, .. } => CallerKey::Party(party),
            Identity::Unknown => match self.peer {
                Some(peer) => CallerKey::Address(network(peer.ip())),
                None => CallerKey::Nowhere,
            },
        }
    }
}

impl Certificate {
    /// What a certificate says, that was verified before. It may have other names besides; a party
    /// it names once.
    pub fn read(der: &[u8]) -> Self {
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(der) else {
            return Self::Nameless;
        };
        let Ok(Some(names)) = certificate.subject_alternative_name() else {
            return Self::Nameless;
        };
        let uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => uri.strip_prefix(PARTY_URN),
            _ => None,
        });
        let mut parties = uris.map(party_of);
        match (parties.next(), parties.next()) {
            (Some(Some(party)), None) => Self::Party(party),
            _ => Self::Nameless,
        }
    }
}

/// Who calls over a connection with this certificate and these headers. Without either it is
/// unknown. `tokens` is `None` where no tokens are given out.
pub fn identify(
    certificate: Certificate,
    headers: &HeaderMap,
    tokens: Option<&TokenBook>,
    now: TimeMs,
) -> Result<Identity, IdentityFault> {
    let shown = match bearer(headers)? {
        None => None,
        Some(text) => {
            let tokens = tokens.ok_or(IdentityFault::TokenUnknown)?;
            Some(tokens.identify(text, now)?)
        }
    };
    match (certificate, shown) {
        (Certificate::Absent, None) => Ok(Identity::Unknown),
        (Certificate::Nameless, None) => Err(IdentityFault::CertificateNameless),
        (Certificate::Party(party), None) => Ok(Identity::Party { party, scopes: Scopes::ALL }),
        (Certificate::Absent | Certificate::Nameless, Some(shown)) => Ok(shown),
        // The narrower of the two counts.
        (Certificate::Party(named), Some(Identity::Party { party, scopes })) if named == party => {
            Ok(Identity::Party { party, scopes })
        }
        (Certificate::Party(_), Some(_)) => Err(IdentityFault::IdentitiesDiffer),
    }
}

/// The token of a request, when there is one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, IdentityFault> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(IdentityFault::TokenMalformed);
    }
    let text = value.to_str().map_err(|_| IdentityFault::TokenMalformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(IdentityFault::TokenMalformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(IdentityFault::TokenMalformed);
    }
    Ok(Some(token))
}

/// Who has one address of an IPv6 network has 2^64 of them, so the network counts as one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

impl fmt::Display for IdentityFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificateNameless => {
                write!(f, "the client certificate names no party as {PARTY_URN}<id>, or several")
            }
            Self::IdentitiesDiffer => {
                f.write_str("the client certificate and the token are not the same party's")
            }
            Self::TokenExpired { expired_at } => {
                write!(f, "the token's time was over at {} ms", expired_at.get())
            }
            Self::TokenMalformed => f.write_str(
                "the authorization header is not `Bearer` and a token of this service, once",
            ),
            Self::TokenRevoked => f.write_str("the token was taken back"),
            Self::TokenUnknown => f.write_str("nobody was given this token here"),
        }
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
