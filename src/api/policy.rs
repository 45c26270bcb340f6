//! Who may make which call: one table, one function, asked before every call.
//!
//! Transport identity (who calls) is not signing identity (who says so): nothing here looks at an
//! event. Any member may hand in an event of another party, as ERPs and service firms do; the
//! event's own signatures are what it is judged by.

use std::fmt;
use std::net::IpAddr;

use super::identity::{Caller, Scope};
use super::viewer::Viewer;
use crate::limits::{BUNDLE_REPLY_BYTES, MAX_REPLY_BYTES, PAGE_REPLY_BYTES, SMALL_REPLY_BYTES};

/// When a call is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// To anybody, identified or not.
    Public,
    /// To a party that is identified, and to overseers.
    Member,
    /// To a coordinator, auditor or regulator, and to an operator.
    Overseer,
}

/// Whether a call counts towards the calls in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It does.
    Counted,
    /// It does until its answer begins, which then goes on: bounded by limits of its own, and by
    /// the deadline that its caller asked for, however long.
    Streaming,
    /// It answers also when nothing else does.
    Free,
}

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Full name: package, service, `/`, call.
    pub method: &'static str,
    /// When it is allowed.
    pub rule: Rule,
    /// What a token needs to be good for.
    pub scope: Scope,
    /// Whether it counts.
    pub load: Load,
    /// Bytes that its reply may have: so many are set aside before its handler begins.
    pub reply_bytes: usize,
}

impl Row {
    /// A row with the most careful guess at its reply.
    const fn of(method: &'static str, rule: Rule, scope: Scope) -> Self {
        Self { method, rule, scope, load: Load::Counted, reply_bytes: MAX_REPLY_BYTES }
    }

    /// The call answers one record, one proof or one receipt.
    const fn small(self) -> Self {
        Self { reply_bytes: SMALL_REPLY_BYTES, ..self }
    }

    /// The call answers one entry bundle.
    const fn bundle(self) -> Self {
        Self { reply_bytes: BUNDLE_REPLY_BYTES, ..self }
    }

    /// The call answers one page.
    const fn page(self) -> Self {
        Self { reply_bytes: PAGE_REPLY_BYTES, ..self }
    }
}

/// Anybody may call: what is public, checkpoints and hashes.
const fn public(method: &'static str) -> Row {
    Row::of(method, Rule::Public, Scope::Read)
}

/// An identified party may call, and is answered what it may see.
const fn member(method: &'static str) -> Row {
    Row::of(method, Rule::Member, Scope::Read)
}

/// An identified party may send events.
const fn append(method: &'static str) -> Row {
    Row::of(method, Rule::Member, Scope::Append)
}

/// Overseers only.
const fn overseer(method: &'static str) -> Row {
    Row::of(method, Rule::Overseer, Scope::Admin)
}

/// Overseers only, and what they read is the record itself: a token that reads will do.
const fn audit(method: &'static str) -> Row {
    Row::of(method, Rule::Overseer, Scope::Read)
}

/// An identified party may call, and is answered as long as it listens.
const fn watch(method: &'static str) -> Row {
    Row { load: Load::Streaming, ..member(method).small() }
}

const fn free(method: &'static str) -> Row {
    Row { load: Load::Free, ..public(method).small() }
}

/// The table. A test walks the descriptors and fails if a call has no row, or a row no call.
pub const POLICY: &[Row] = &[
    free("grpc.health.v1.Health/Check"),
    free("grpc.health.v1.Health/Watch"),
    free("grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    free("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
    append("urbanmine.v1.DisclosureService/DepositOpening").small(),
    append("urbanmine.v1.DisclosureService/EraseOpening").small(),
    member("urbanmine.v1.DisclosureService/GetOpening").small(),
    member("urbanmine.v1.DisclosureService/ListOpenings").small(),
    append("urbanmine.v1.DisclosureService/UpdateOpeningReaders").small(),
    append("urbanmine.v1.DraftService/CreateDraft").small(),
    append("urbanmine.v1.DraftService/DeleteDraft").small(),
    member("urbanmine.v1.DraftService/GetDraft").small(),
    member("urbanmine.v1.DraftService/ListDrafts").page(),
    append("urbanmine.v1.DraftService/SignDraft").small(),
    append("urbanmine.v1.LedgerService/AppendEvent").small(),
    append("urbanmine.v1.LedgerService/BatchAppendEvents"),
    public("urbanmine.v1.LedgerService/GetCheckpoint").small(),
    public("urbanmine.v1.LedgerService/GetConsistencyProof").small(),
    public("urbanmine.v1.LedgerService/GetCosignedCheckpoint").small(),
    member("urbanmine.v1.LedgerService/GetCosignedReceipt").small(),
    member("urbanmine.v1.LedgerService/GetEntry").small(),
    audit("urbanmine.v1.LedgerService/GetEntryBundle").bundle(),
    public("urbanmine.v1.LedgerService/GetInclusionProof").small(),
    public("urbanmine.v1.LedgerService/GetLedger").small(),
    member("urbanmine.v1.LedgerService/GetReceipt").small(),
    public("urbanmine.v1.LedgerService/GetTile").small(),
    member("urbanmine.v1.LedgerService/ListEntries").page(),
    watch("urbanmine.v1.LedgerService/WatchEntries"),
    member("urbanmine.v1.LotService/GetCampaign").small(),
    member("urbanmine.v1.LotService/GetCreditBalance").small(),
    member("urbanmine.v1.LotService/GetLot").small(),
    member("urbanmine.v1.LotService/GetLotStateProof").small(),
    member("urbanmine.v1.LotService/GetTransfer").small(),
    member("urbanmine.v1.LotService/ListCampaigns").page(),
    member("urbanmine.v1.LotService/ListLotEvents").page(),
    member("urbanmine.v1.LotService/ListLots").page(),
    member("urbanmine.v1.LotService/ListRecall").page(),
    member("urbanmine.v1.LotService/ListTransfers").page(),
    member("urbanmine.v1.LotService/TraceDestinations").page(),
    member("urbanmine.v1.LotService/TraceOrigins").page(),
    member("urbanmine.v1.RegistryService/GetParty").small(),
    member("urbanmine.v1.RegistryService/GetSite").small(),
    public("urbanmine.v1.RegistryService/GetTables").page(),
    overseer("urbanmine.v1.RegistryService/ListAcknowledgements").page(),
    member("urbanmine.v1.RegistryService/ListAttestations").page(),
    member("urbanmine.v1.RegistryService/ListKeys").page(),
    member("urbanmine.v1.RegistryService/ListParties").page(),
    member("urbanmine.v1.RegistryService/ListSites").page(),
    overseer("urbanmine.v1.RegistryService/ListWaivers").page(),
    audit("urbanmine.v1.ReportService/GetAnomaly").small(),
    member("urbanmine.v1.ReportService/GetReport"),
    audit("urbanmine.v1.ReportService/ListAnomalies").page(),
    audit("urbanmine.v1.ReportService/ListFigureEntries").page(),
];

/// A call that has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method(&'static Row);

impl Method {
    /// The call of a request's path.
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.strip_prefix('/')?;
        POLICY.iter().find(|row| row.method == name).map(Self)
    }

    /// A call of a row of its own.
    #[cfg(test)]
    pub const fn of_row(row: &'static Row) -> Self {
        Self(row)
    }

    /// Service and call, as in a request's path.
    pub const fn name(self) -> &'static str {
        self.0.method
    }

    /// Whether it counts towards the calls in flight.
    pub const fn load(self) -> Load {
        self.0.load
    }

    /// Bytes that its reply may have.
    pub const fn reply_bytes(self) -> usize {
        self.0.reply_bytes
    }

    /// Who may make it.
    pub const fn rule(self) -> Rule {
        self.0.rule
    }
}

/// A caller was let through. Only [`authorise`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Authorised(());

/// A caller was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It has to say who it is.
    IdentityMissing,
    /// It is known, and the call is others'.
    NotAllowed {
        /// The rule that was not met.
        rule: Rule,
    },
    /// Its token was not given for such calls.
    ScopeMissing {
        /// What the token would have to be good for.
        needed: Scope,
    },
}

/// Whether a caller, who is looked at as a viewer, may make a call.
pub fn authorise(caller: &Caller, viewer: Viewer, method: Method) -> Result<Authorised, Denied> {
    let (rule, needed) = (method.0.rule, method.0.scope);
    let is_met = match rule {
        Rule::Public => return Ok(Authorised(())),
        Rule::Member => viewer != Viewer::Stranger,
        Rule::Overseer => viewer == Viewer::Overseer,
    };
    match is_met {
        false if viewer == Viewer::Stranger => Err(Denied::IdentityMissing),
        false => Err(Denied::NotAllowed { rule }),
        true if !caller.identity.has(needed) => Err(Denied::ScopeMissing { needed }),
        true => Ok(Authorised(())),
    }
}

/// Whether an address never leaves the machine. `::ffff:127.0.0.1` counts: a caller on an IPv4
/// loopback address looks like that to a socket that serves both families.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a host is an address, or `localhost`: no name that a stranger can own.
pub fn is_local_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let is_address = address.parse::<std::net::IpAddr>().is_ok();
    let name = name.to_ascii_lowercase();
    is_address || name == "localhost" || name.ends_with(".localhost")
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "anybody",
            Self::Member => "identified parties",
            Self::Overseer => "coordinators, auditors, regulators and operators",
        })
    }
}
