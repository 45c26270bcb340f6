//! From every way to fail to what the caller reads: one table, no `_` arm.
//!
//! Inner words stay inside: a caller sees the rejection and its numbers; paths and IO errors go to
//! the log, under the request's id.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{
    BadRequest, ErrorDetail, ErrorInfo, FieldViolation, LocalizedMessage, RequestInfo,
    ResourceInfo, RetryInfo, StatusExt as _,
};

use super::beside::BesideFault;
use super::gate::RequestId;
use super::hush::Hushed;
use super::identity::IdentityFault;
use super::json::HttpFault;
use super::messages_zh;
use super::numbers::{Number, metadata};
use super::policy::Denied;
use crate::domain::{EntryIndex, Rejection};
use crate::limits::{
    MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_ERROR_TEXT_BYTES, MAX_REQUEST_BYTES,
    MAX_VIOLATION_TEXT_BYTES, MAX_VIOLATIONS_LISTED, MAX_WATCHES, MAX_WATCHES_PER_CALLER,
};
use crate::node::{AppendError, BatchError, ReadFault};
use crate::wire::v1::Reason;
use crate::wire::{DecodeFault, FieldFault};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "urbanmine.v1";

/// Why a call fails.
#[derive(Debug)]
pub enum Failure {
    /// One event was not appended.
    Append(AppendError),
    /// A batch was not appended.
    Batch(BatchError),
    /// Too many calls are in flight.
    Busy,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// The caller may not make this call.
    Denied(Denied),
    /// A draft or an opening that is not kept.
    Beside(BesideFault),
    /// The caller is not taken for who it says it is.
    Identity(IdentityFault),
    /// A request of plain HTTP that becomes no call.
    Http(HttpFault),
    /// An event was not appended, for a reason of which the caller may not know everything.
    Hushed {
        /// Which event of the batch.
        position: Option<usize>,
        /// Why, and what of it is not told.
        hushed: Box<Hushed>,
    },
    /// No such call.
    MethodUnknown {
        /// The path of the request.
        path: String,
    },
    /// A read found nothing.
    NotFound {
        /// What kind of thing.
        kind: &'static str,
        /// Its name as asked for.
        name: String,
    },
    /// A page token that is not ours, or of another list.
    PageToken {
        /// What it breaks.
        rule: &'static str,
    },
    /// The caller calls too often.
    RateLimited {
        /// How long it should wait.
        wait: Duration,
    },
    /// The store could not be read.
    Read(ReadFault),
    /// Fields of the request that are not sound.
    Request(Vec<Violation>),
    /// The request is not the message that the call takes.
    RequestMalformed {
        /// What is wrong.
        detail: String,
    },
    /// The request has more bytes than it may have.
    RequestTooLarge {
        /// How many.
        detail: String,
    },
    /// A watch came to its end.
    Watch {
        /// Why.
        why: WatchEnd,
        /// The first entry that was not sent.
        resume_from: EntryIndex,
    },
    /// Too many watches are open.
    WatchLimit(WatchLimit),
    /// A thread of ours ended before its answer.
    WorkerLost,
}

/// Why a watch ends. None goes on for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEnd {
    /// It has had its time, or its connection has.
    Age,
    /// The service stops.
    Shutdown,
    /// Its caller's deadline passed.
    Deadline,
    /// Its reader takes nothing.
    TooSlow,
}

/// Which bound of watches is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchLimit {
    /// Of one caller.
    Caller,
    /// Of all.
    All,
}

/// A field that is not sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its path.
    pub field: String,
    /// What it should be.
    pub rule: String,
    /// What it is.
    pub found: String,
}

/// What the ledger now holds of a failed append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing of it.
    None,
    /// All of it or nothing; the same bytes sent again will tell.
    Unknown,
}

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Correct the bytes.
    FixRequest,
    /// Change the event, or wait for another state of the ledger.
    ChangeFirst,
    /// Send the same bytes again.
    SameAgain,
    /// Call the operator.
    AfterOperator,
}

/// A row of the table: what a reason means to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The reason.
    pub reason: Reason,
    /// The code of gRPC.
    pub code: Code,
    /// What the ledger now holds.
    pub effect: Effect,
    /// What the caller does next.
    pub retry: Retry,
    /// After how long, when waiting helps.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// One wrong field of a request.
    pub fn field(field: &str, rule: impl Into<String>, found: impl Into<String>) -> Self {
        let (field, rule, found) = (field.to_owned(), rule.into(), found.into());
        Self::Request(vec![Violation { field, rule, found }])
    }

    /// The row of the table.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Append(error) | Self::Batch(BatchError { error, .. }) => code_of(error),
            Self::Busy => verdict(Reason::Busy),
            Self::Hushed { hushed, .. } => verdict(reason_of_rejection(&hushed.rejection)),
            Self::DeadlineExceeded => verdict(Reason::DeadlineExceeded),
            Self::Denied(Denied::IdentityMissing) => verdict(Reason::IdentityMissing),
            Self::Denied(Denied::NotAllowed { .. }) => verdict(Reason::PermissionDenied),
            Self::Denied(Denied::ScopeMissing { .. }) => verdict(Reason::ScopeMissing),
            Self::Beside(fault) => verdict(fault.reason()),
            Self::Identity(fault) => verdict(reason_of_identity(*fault)),
            Self::Http(fault) => verdict(fault.reason()),
            Self::MethodUnknown { .. } => verdict(Reason::MethodUnknown),
            Self::NotFound { .. } => verdict(Reason::NotFound),
            Self::PageToken { .. } => verdict(Reason::PageTokenInvalid),
            Self::RateLimited { wait } => Verdict {
                // In whole milliseconds, and never none: waiting shorter would be in vain.
                retry_after: Some(Duration::from_millis(wait_ms(*wait))),
                ..verdict(Reason::RateLimited)
            },
            Self::Read(_) => verdict(Reason::StateUnreadable),
            Self::Request(_) => verdict(Reason::RequestInvalid),
            Self::RequestMalformed { .. } => verdict(Reason::RequestMalformed),
            Self::RequestTooLarge { .. } => verdict(Reason::RequestTooLarge),
            Self::Watch { why, .. } => verdict(why.reason()),
            Self::WatchLimit(_) => verdict(Reason::WatchLimit),
            Self::WorkerLost => verdict(Reason::Internal),
        }
    }

    /// What goes over the wire.
    pub fn into_status(self, request: RequestId) -> Status {
        let verdict = self.verdict();
        self.log(request, verdict);
        let mut numbers = self.numbers(request);
        for (_, text) in &mut numbers {
            clip(text, MAX_ERROR_TEXT_BYTES);
        }
        let mut english = self.english();
        clip(&mut english, MAX_ERROR_TEXT_BYTES);
        let mut chinese = self.chinese(verdict.reason, &numbers);
        clip(&mut chinese, MAX_ERROR_TEXT_BYTES);

        let mut details: Vec<ErrorDetail> = vec![
            self.info(verdict, numbers).into(),
            LocalizedMessage::new("zh-CN", chinese).into(),
            LocalizedMessage::new("en", english.clone()).into(),
            RequestInfo::new(request.to_string(), "").into(),
        ];
        let violations = self.violations();
        if !violations.is_empty() {
            details.push(bad_request(&violations).into());
        }
        if let Some(delay) = verdict.retry_after {
            details.push(RetryInfo::new(Some(delay)).into());
        }
        if let Self::NotFound { kind, name } = &self {
            let kind = format!("{DOMAIN}/{kind}");
            details.push(ResourceInfo::new(kind, name.as_str(), "", "").into());
        }
        Status::with_error_details_vec(verdict.code, english, details)
    }

    /// Faults of ours are logged, here and once; what is wrong with a request is its caller's to
    /// log.
    fn log(&self, request: RequestId, verdict: Verdict) {
        let reason = name_of(verdict.reason);
        match self {
            Self::Read(fault) => {
                let fault: &dyn std::error::Error = fault;
                tracing::error!(%request, reason, fault, "a read failed");
            }
            Self::WorkerLost => {
                tracing::error!(%request, reason, "a worker ended before its answer");
            }
            Self::Append(_)
            | Self::Batch(_)
            | Self::Busy
            | Self::DeadlineExceeded
            | Self::Denied(_)
            | Self::Hushed { .. }
            | Self::Beside(_)
            | Self::Identity(_)
            | Self::Http(_)
            | Self::MethodUnknown { .. }
            | Self::NotFound { .. }
            | Self::PageToken { .. }
            | Self::RateLimited { .. }
            | Self::Request(_)
            | Self::RequestMalformed { .. }
            | Self::RequestTooLarge { .. }
            | Self::Watch { .. }
            | Self::WatchLimit(_) => tracing::debug!(%request, reason, "refused"),
        }
    }

    fn info(&self, verdict: Verdict, numbers: Vec<Number>) -> ErrorInfo {
        let mut all: HashMap<String, String> =
            numbers.into_iter().map(|(key, text)| (key.to_owned(), text)).collect();
        all.insert("number".to_owned(), i32::from(verdict.reason).to_string());
        all.insert("had_no_effect".to_owned(), (verdict.effect == Effect::None).to_string());
        all.insert("retry".to_owned(), verdict.retry.name().to_owned());
        if let Some(position) = self.position() {
            all.insert("position".to_owned(), position.to_string());
        }
        ErrorInfo::new(name_of(verdict.reason), DOMAIN, all)
    }

    fn position(&self) -> Option<usize> {
        match self {
            Self::Batch(BatchError { position, .. }) | Self::Hushed { position, .. } => *position,
            _ => None,
        }
    }

    fn numbers(&self, request: RequestId) -> Vec<Number> {
        match self {
            Self::Append(error) | Self::Batch(BatchError { error, .. }) => {
                numbers_of(error, request)
            }
            Self::Busy | Self::DeadlineExceeded | Self::Denied(Denied::IdentityMissing) => {
                Vec::new()
            }
            Self::Denied(Denied::NotAllowed { rule }) => vec![("rule", rule.to_string())],
            Self::Denied(Denied::ScopeMissing { needed }) => vec![("scope", needed.to_string())],
            Self::Beside(fault) => fault.numbers(),
            Self::Identity(IdentityFault::TokenExpired { expired_at }) => {
                vec![("expired_at", expired_at.get().to_string())]
            }
            Self::Identity(_) => Vec::new(),
            Self::RateLimited { wait } => vec![("wait_ms", wait_ms(*wait).to_string())],
            Self::Http(fault) => fault.numbers(),
            Self::Hushed { hushed, .. } => hushed.numbers(),
            Self::MethodUnknown { path } => vec![("method", path.clone())],
            Self::NotFound { kind, name } => {
                vec![("kind", (*kind).to_owned()), ("name", name.clone())]
            }
            Self::PageToken { rule } => vec![("rule", (*rule).to_owned())],
            Self::Request(violations) => first_of(violations),
            Self::RequestMalformed { detail } => vec![("detail", detail.clone())],
            Self::RequestTooLarge { detail } => {
                vec![("detail", detail.clone()), ("max_bytes", MAX_REQUEST_BYTES.to_string())]
            }
            Self::Watch { why, resume_from } => why.numbers(*resume_from),
            Self::WatchLimit(of) => {
                let (of, limit) = of.told();
                vec![("of", of.to_owned()), ("limit", limit.to_string())]
            }
            Self::Read(_) | Self::WorkerLost => vec![("request", request.to_string())],
        }
    }

    /// Wrong fields, of the request or of the event in it.
    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Request(violations) => violations.clone(),
            Self::Append(AppendError::Decode(DecodeFault::Field(faults))) => violations_of(faults),
            Self::Batch(BatchError {
                position,
                error: AppendError::Decode(DecodeFault::Field(faults)),
            }) => {
                let mut violations = violations_of(faults);
                for violation in &mut violations {
                    if let Some(position) = position {
                        violation.field = format!("events[{position}].{}", violation.field);
                    }
                }
                violations
            }
            _ => Vec::new(),
        }
    }

    fn english(&self) -> String {
        match self {
            Self::Append(error) | Self::Batch(BatchError { position: None, error }) => {
                english_of(error)
            }
            Self::Batch(BatchError { position: Some(position), error }) => {
                format!("envelope {position}: {}", english_of(error))
            }
            Self::Busy => "too many calls are in flight; nothing was recorded".to_owned(),
            Self::DeadlineExceeded => {
                "the deadline passed; an append may go on, send the same bytes again to learn"
                    .to_owned()
            }
            Self::Denied(Denied::IdentityMissing) => {
                "this call is for identified parties: send a client certificate, or a token as \
                 `authorization: Bearer`"
                    .to_owned()
            }
            Self::Denied(Denied::NotAllowed { rule }) => format!("this call is for {rule}"),
            Self::Denied(Denied::ScopeMissing { needed }) => {
                format!("the token was not given for such calls: it lacks {needed}")
            }
            Self::Beside(fault) => fault.to_string(),
            Self::Identity(fault) => fault.to_string(),
            Self::Http(fault) => fault.english(),
            Self::Hushed { position: None, hushed } => hushed.english(),
            Self::Hushed { position: Some(position), hushed } => {
                format!("envelope {position}: {}", hushed.english())
            }
            Self::MethodUnknown { path } => format!("there is no call {path}"),
            Self::NotFound { kind, name } => format!("no {kind} {name} is recorded"),
            Self::PageToken { rule } => format!("the page token is not valid: {rule}"),
            Self::RateLimited { wait } => {
                format!("too many calls of one caller; the next in {} ms", wait_ms(*wait))
            }
            Self::Read(_) => "the service could not read its own store".to_owned(),
            Self::Request(violations) => sentence_of(violations),
            Self::RequestMalformed { detail } => {
                format!("the request is not the message that this call takes: {detail}")
            }
            Self::RequestTooLarge { detail } => {
                format!("a request has at most {MAX_REQUEST_BYTES} bytes: {detail}")
            }
            Self::Watch { why, resume_from } => {
                format!("the watch ended, {}: go on with entry {resume_from}", why.told())
            }
            Self::WatchLimit(of) => {
                let (of, limit) = of.told();
                format!("{limit} watches are open already ({of})")
            }
            Self::WorkerLost => "a fault of the service".to_owned(),
        }
    }

    fn chinese(&self, reason: Reason, numbers: &[Number]) -> String {
        let sentence = match self {
            Self::Hushed { hushed, .. } => hushed.chinese(),
            _ => messages_zh::sentence(reason, numbers),
        };
        match self.position() {
            Some(position) => format!("信封 {position}：{sentence}"),
            None => sentence,
        }
    }
}

/// The code, reason, effect and advice of a failed append.
pub fn code_of(error: &AppendError) -> Verdict {
    verdict(reason_of(error))
}

fn reason_of_identity(fault: IdentityFault) -> Reason {
    match fault {
        IdentityFault::CertificateNameless => Reason::CertificateNameless,
        IdentityFault::IdentitiesDiffer => Reason::IdentitiesDiffer,
        IdentityFault::TokenExpired { .. } => Reason::TokenExpired,
        IdentityFault::TokenMalformed => Reason::TokenMalformed,
        IdentityFault::TokenRevoked => Reason::TokenRevoked,
        IdentityFault::TokenUnknown => Reason::TokenUnknown,
    }
}

fn wait_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

fn reason_of(error: &AppendError) -> Reason {
    match error {
        AppendError::Decode(DecodeFault::TooLarge { .. }) => Reason::EventTooLarge,
        AppendError::Decode(DecodeFault::NonCanonical { .. }) => Reason::NonCanonicalEvent,
        AppendError::Decode(DecodeFault::Field(_)) => Reason::FieldInvalid,
        AppendError::Envelope(_) => Reason::EnvelopeMalformed,
        AppendError::Signature { .. } => Reason::SignatureInvalid,
        AppendError::KeyWeak { .. } => Reason::KeyWeak,
        AppendError::Rejected(rejection) => reason_of_rejection(rejection),
        AppendError::Busy => Reason::Busy,
        AppendError::Poisoned => Reason::Poisoned,
        AppendError::Indeterminate => Reason::Indeterminate,
        AppendError::ShuttingDown => Reason::ShuttingDown,
        AppendError::BatchEmpty => Reason::BatchEmpty,
        AppendError::BatchRepeats => Reason::BatchRepeats,
        AppendError::BatchTooLarge { .. } => Reason::BatchTooLarge,
        AppendError::Unreadable => Reason::StateUnreadable,
    }
}

/// A test holds that every number of a rejection is a reason of the same name.
fn reason_of_rejection(rejection: &Rejection) -> Reason {
    Reason::try_from(i32::from(rejection.number())).unwrap_or(Reason::Unspecified)
}

/// The table.
#[rustfmt::skip]
pub fn verdict(reason: Reason) -> Verdict {
    use Reason as R;
    use Retry::{AfterOperator, ChangeFirst, FixRequest, SameAgain};
    let row = |code, effect, retry, millis: Option<u64>| {
        Verdict { reason, code, effect, retry, retry_after: millis.map(Duration::from_millis) }
    };
    let no = Effect::None;
    match reason {
        R::EventTooLarge | R::NonCanonicalEvent | R::FieldInvalid | R::EnvelopeMalformed
        | R::SignatureInvalid | R::KeyWeak | R::BatchTooLarge | R::BatchEmpty | R::BatchRepeats
        | R::RequestInvalid | R::PageTokenInvalid | R::RequestTooLarge | R::RequestMalformed
        | R::HttpContentType | R::HttpJsonMalformed | R::DraftNotNeeded | R::OpeningMismatch
            => row(Code::InvalidArgument, no, FixRequest, None),

        R::EventIdConflict | R::EventAlreadyRecorded | R::PartyExists | R::CreditCodeTaken
        | R::SiteExists | R::LicenceExists | R::AffiliationExists | R::KeyExists | R::LotExists
        | R::DraftConflict | R::CampaignExists
            => row(Code::AlreadyExists, no, ChangeFirst, None),

        R::OriginMismatch | R::GenesisMisplaced | R::GenesisMalformed
        | R::CorrectiveExpected | R::CorrectivesIncomplete | R::CorrectiveNested
        | R::TablesNotPublished | R::ActorUnknown | R::KeyUnknown
        | R::SignerUnexpected | R::SignerMissing
        | R::KeyNotValid | R::KeyRevoked | R::OccurredInFuture | R::RoleNotHeld
        | R::LicenceNotHeld | R::SiteUnknown | R::SiteNotOfParty | R::PartySucceeded
        | R::EventBeforeTarget | R::PartyUnknown | R::CreditCodeInvalid | R::RegionUnknown
        | R::LicenceUnknown | R::WasteCodeUnknown | R::AffiliationUnknown | R::KeyAlreadyRevoked
        | R::RegistryFull | R::TableChunkUnexpected | R::TablesInvalid | R::WaiverNotPossible
        | R::ValidityEmpty | R::SuccessionNotPossible | R::CheckpointInvalid
        | R::MaterialUnknown | R::FormUnknown | R::GradeUnknown | R::ProcessUnknown
        | R::ProcessNotAtSite | R::LotRepeated | R::TransferUnknown | R::TransferClosed
        | R::NotTheConsignee | R::NotTheSender | R::TransferToSelf | R::ReceivedLotMismatch
        | R::LotUnknown | R::LotRetracted | R::LotNotHeld | R::LotNotOwned | R::LotElsewhere
        | R::LotOnHold | R::EventBeforeLot | R::HoldUnknown | R::HoldNotYours
        | R::HoldIsDiscrepancy | R::TooManyHolds
        | R::OreForbidden | R::SellerCertificateMissing | R::ManifestMissing | R::PermitMissing
        | R::ApprovalMissing | R::MergeOwnersDiffer | R::MergeClassesDiffer
        | R::InsufficientMass | R::WeighingMismatch | R::MassNotConserved
        | R::CompositionInconsistent | R::AssayMissing | R::ElementGained
        | R::CampaignUnknown | R::CampaignTakesNoMore | R::CampaignElsewhere | R::CampaignRunning
        | R::OpeningStockMismatch | R::CampaignNotAnalysed | R::EventBeforeCampaign
        | R::TransferStateMismatch | R::TransferMassExceeded | R::StocktakeBeyondTolerance
        | R::HazardousExit | R::InvoiceClassMismatch
        | R::TargetUnknown | R::TargetNotYours | R::TargetNotCorrectable | R::TargetCorrected
        | R::CorrectionBlocked | R::LotRecordsFull | R::CreditInsufficient | R::CreditClaimed
            => row(Code::FailedPrecondition, no, ChangeFirst, None),

        R::Busy => row(Code::ResourceExhausted, no, SameAgain, Some(200)),
        R::Poisoned => row(Code::Unavailable, no, AfterOperator, None),
        // A restart comes first, so the wait is long.
        R::Indeterminate => row(Code::Unknown, Effect::Unknown, SameAgain, Some(5_000)),
        R::ShuttingDown => row(Code::Unavailable, no, SameAgain, Some(2_000)),
        R::NotFound => row(Code::NotFound, no, ChangeFirst, None),
        R::DeadlineExceeded => row(Code::DeadlineExceeded, Effect::Unknown, SameAgain, None),
        R::Internal | R::Unspecified => row(Code::Internal, Effect::Unknown, SameAgain, None),
        R::StateUnreadable => row(Code::Internal, no, AfterOperator, None),
        R::PermissionDenied | R::ScopeMissing | R::HttpHostNotLocal
            => row(Code::PermissionDenied, no, FixRequest, None),
        R::IdentityMissing | R::TokenMalformed | R::TokenUnknown | R::TokenExpired
        | R::TokenRevoked | R::IdentitiesDiffer | R::CertificateNameless
            => row(Code::Unauthenticated, no, FixRequest, None),
        R::RateLimited | R::WatchLimit
            => row(Code::ResourceExhausted, no, SameAgain, Some(1_000)),
        R::WatchTooSlow => row(Code::Aborted, no, ChangeFirst, None),
        R::WatchEnded => row(Code::Unavailable, no, ChangeFirst, None),
        R::DraftsFull => row(Code::ResourceExhausted, no, ChangeFirst, None),
        R::MethodUnknown | R::HttpMethodNotAllowed
            => row(Code::Unimplemented, no, FixRequest, None),
        R::HttpPathUnknown => row(Code::NotFound, no, FixRequest, None),
    }
}

/// The reason as a caller reads it: the proto's word without the prefix of its enum.
pub fn name_of(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("REASON_").unwrap_or(name)
}

impl WatchEnd {
    const fn reason(self) -> Reason {
        match self {
            Self::Age | Self::Shutdown => Reason::WatchEnded,
            Self::Deadline => Reason::DeadlineExceeded,
            Self::TooSlow => Reason::WatchTooSlow,
        }
    }

    const fn told(self) -> &'static str {
        match self {
            Self::Age => "it has had its time",
            Self::Shutdown => "the service stops",
            Self::Deadline => "its deadline passed",
            Self::TooSlow => "its reader took nothing for too long",
        }
    }

    fn numbers(self, resume_from: EntryIndex) -> Vec<Number> {
        let from = ("resume_from", resume_from.to_string());
        match self {
            Self::Age => vec![("why", "age".to_owned()), from],
            Self::Shutdown => vec![("why", "shutdown".to_owned()), from],
            Self::Deadline | Self::TooSlow => vec![from],
        }
    }
}

impl WatchLimit {
    const fn told(self) -> (&'static str, usize) {
        match self {
            Self::Caller => ("caller", MAX_WATCHES_PER_CALLER),
            Self::All => ("all", MAX_WATCHES),
        }
    }
}

impl Retry {
    /// The word in the metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FixRequest => "FIX_REQUEST",
            Self::ChangeFirst => "CHANGE_FIRST",
            Self::SameAgain => "SAME_AGAIN",
            Self::AfterOperator => "AFTER_OPERATOR",
        }
    }
}

fn numbers_of(error: &AppendError, request: RequestId) -> Vec<Number> {
    match error {
        AppendError::Decode(DecodeFault::Field(faults)) => first_of(&violations_of(faults)),
        AppendError::Decode(fault) => vec![("detail", fault.to_string())],
        AppendError::Envelope(fault) => vec![("detail", fault.to_string())],
        AppendError::KeyWeak { .. } => vec![("detail", error.to_string())],
        AppendError::Signature { key } => vec![("key", key.to_string())],
        AppendError::Rejected(rejection) => metadata(rejection),
        AppendError::BatchTooLarge { events, bytes } => vec![
            ("events", events.to_string()),
            ("bytes", bytes.to_string()),
            ("max_events", MAX_BATCH_EVENTS.to_string()),
            ("max_bytes", MAX_BATCH_BYTES.to_string()),
        ],
        AppendError::Unreadable => vec![("request", request.to_string())],
        AppendError::Busy
        | AppendError::Poisoned
        | AppendError::Indeterminate
        | AppendError::ShuttingDown
        | AppendError::BatchEmpty
        | AppendError::BatchRepeats => Vec::new(),
    }
}

fn english_of(error: &AppendError) -> String {
    match error {
        AppendError::Decode(DecodeFault::Field(faults)) => sentence_of(&violations_of(faults)),
        other => other.to_string(),
    }
}

fn violations_of(faults: &[FieldFault]) -> Vec<Violation> {
    let each = faults.iter().map(|fault| Violation {
        field: fault.field.clone(),
        rule: fault.rule.clone(),
        found: fault.found.clone(),
    });
    each.collect()
}

fn first_of(violations: &[Violation]) -> Vec<Number> {
    let Some(first) = violations.first() else { return Vec::new() };
    vec![
        ("field", short(&first.field)),
        ("rule", short(&first.rule)),
        ("found", short(&first.found)),
        ("count", violations.len().to_string()),
    ]
}

fn sentence_of(violations: &[Violation]) -> String {
    let Some(first) = violations.first() else { return "a field is not sound".to_owned() };
    let (field, rule, found) = (short(&first.field), short(&first.rule), short(&first.found));
    let mut text = format!("{field}: {rule}; found {found}");
    if violations.len() > 1 {
        // Writing to a String does not fail.
        let _ = write!(text, " (and {} more)", violations.len() - 1);
    }
    text
}

fn bad_request(violations: &[Violation]) -> BadRequest {
    let listed = violations.iter().take(MAX_VIOLATIONS_LISTED).map(|violation| {
        let description = format!("{}; found {}", short(&violation.rule), short(&violation.found));
        FieldViolation::new(short(&violation.field), description)
    });
    BadRequest::new(listed.collect::<Vec<_>>())
}

fn short(text: &str) -> String {
    let mut text = text.to_owned();
    clip(&mut text, MAX_VIOLATION_TEXT_BYTES);
    text
}

/// Cuts a text to at most so many bytes, at a character's boundary.
fn clip(text: &mut String, max_bytes: usize) {
    if text.len() > max_bytes {
        // Room for the mark. A character has at most 4 bytes, so this ends after as many rounds.
        let mut end = max_bytes.saturating_sub('…'.len_utf8());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        Self::Append(error)
    }
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        Self::Batch(error)
    }
}

impl From<ReadFault> for Failure {
    fn from(fault: ReadFault) -> Self {
        Self::Read(fault)
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}
