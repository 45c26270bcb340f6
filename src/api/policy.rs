//! Who may make which call: one table, one function, asked before every call.
//!
//! Transport identity (who calls) is not signing identity (who says so): nothing here looks at an
//! event.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// When a call is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// To everybody on the same machine.
    OpenOnLoopback,
}

/// Whether a call counts towards the calls in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It does.
    Counted,
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
    /// Whether it counts.
    pub load: Load,
}

const fn open(method: &'static str) -> Row {
    Row { method, rule: Rule::OpenOnLoopback, load: Load::Counted }
}

const fn free(method: &'static str) -> Row {
    Row { method, rule: Rule::OpenOnLoopback, load: Load::Free }
}

/// The table. A test walks the descriptors and fails if a call has no row, or a row no call.
pub const POLICY: &[Row] = &[
    free("grpc.health.v1.Health/Check"),
    free("grpc.health.v1.Health/Watch"),
    free("grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    free("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
    open("urbanmine.v1.LedgerService/AppendEvent"),
    open("urbanmine.v1.LedgerService/BatchAppendEvents"),
    open("urbanmine.v1.LedgerService/GetCheckpoint"),
    open("urbanmine.v1.LedgerService/GetConsistencyProof"),
    open("urbanmine.v1.LedgerService/GetEntry"),
    open("urbanmine.v1.LedgerService/GetInclusionProof"),
    open("urbanmine.v1.LedgerService/GetLedger"),
    open("urbanmine.v1.LedgerService/GetReceipt"),
    open("urbanmine.v1.LedgerService/ListEntries"),
    open("urbanmine.v1.LotService/GetLot"),
    open("urbanmine.v1.LotService/GetTransfer"),
    open("urbanmine.v1.LotService/ListLotEvents"),
    open("urbanmine.v1.LotService/ListLots"),
    open("urbanmine.v1.LotService/ListTransfers"),
    open("urbanmine.v1.LotService/TraceDestinations"),
    open("urbanmine.v1.LotService/TraceOrigins"),
    open("urbanmine.v1.RegistryService/GetParty"),
    open("urbanmine.v1.RegistryService/GetSite"),
    open("urbanmine.v1.RegistryService/GetTables"),
    open("urbanmine.v1.RegistryService/ListKeys"),
    open("urbanmine.v1.RegistryService/ListParties"),
    open("urbanmine.v1.RegistryService/ListSites"),
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

    /// Whether it counts towards the calls in flight.
    pub const fn load(self) -> Load {
        self.0.load
    }
}

/// Who calls, as far as the transport knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The other end of the connection; `None` when it is not an IP connection.
    pub peer: Option<SocketAddr>,
}

/// A caller was let through. Only [`authorise`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Authorised(());

/// A caller was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    /// The rule that was not met.
    pub rule: Rule,
}

/// Whether a caller may make a call.
pub fn authorise(caller: &Caller, method: Method) -> Result<Authorised, Denied> {
    let rule = method.0.rule;
    let is_allowed = match rule {
        Rule::OpenOnLoopback => caller.peer.is_some_and(|peer| is_loopback(peer.ip())),
    };
    if is_allowed { Ok(Authorised(())) } else { Err(Denied { rule }) }
}

/// Whether an address never leaves the machine. `::ffff:127.0.0.1` counts: a caller on an IPv4
/// loopback address looks like that to a socket that serves both families.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Rule::OpenOnLoopback => f.write_str("only callers on the same machine, for now"),
        }
    }
}
