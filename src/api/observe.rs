//! What is told of a call afterwards: one line in the log, and its numbers. Who called is told by
//! kind, never by name; what was said is not told at all.

use std::time::Instant;

use http::Response;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::gate::RequestId;
use super::identity::Identity;
use super::policy::Method;

/// Calls that began and have no answer yet.
pub const CALLS_IN_FLIGHT: &str = "urbanmine_calls_in_flight";
/// Calls that were answered, by method and code.
pub const CALLS_TOTAL: &str = "urbanmine_calls_total";
/// How long a call took until its answer began, in seconds.
pub const CALL_SECONDS: &str = "urbanmine_call_duration_seconds";
/// Calls that were refused, by reason.
pub const REFUSALS_TOTAL: &str = "urbanmine_refusals_total";
/// Appends by outcome: `RECORDED`, or the reason why not.
pub const APPENDS_TOTAL: &str = "urbanmine_appends_total";

/// Kind of caller before it is known.
const UNIDENTIFIED: &str = "unidentified";

/// A call under way. One that is dropped without an answer was given up by its caller.
pub struct Call {
    id: RequestId,
    method: &'static str,
    caller: &'static str,
    begun: Instant,
    is_told: bool,
}

impl Call {
    /// A call begins; a method that is not ours has no name.
    pub fn begin(id: RequestId, method: Option<Method>) -> Self {
        metrics::gauge!(CALLS_IN_FLIGHT).increment(1);
        let method = method.map_or("unknown", Method::name);
        Self { id, method, caller: UNIDENTIFIED, begun: Instant::now(), is_told: false }
    }

    /// It is known who calls.
    pub fn is_by(&mut self, identity: &Identity) {
        self.caller = match identity {
            Identity::LocalOperator => "local-operator",
            Identity::Operator { .. } => "operator",
            Identity::Party { .. } => "party",
            Identity::Unknown => UNIDENTIFIED,
        };
    }

    /// Its answer begins.
    pub fn answered(mut self, answer: &Response<Body>) {
        // A reply that is a stream of messages tells its code at its end; until then it is good.
        match Status::from_header_map(answer.headers()) {
            Some(status) if status.code() != Code::Ok => {
                let reason = status.get_details_error_info().map(|info| info.reason);
                self.tell(status.code(), &reason.unwrap_or_default());
            }
            _ => self.tell(Code::Ok, ""),
        }
    }

    fn tell(&mut self, code: Code, reason: &str) {
        self.is_told = true;
        let (method, caller, code) = (self.method, self.caller, name_of(code));
        let took = self.begun.elapsed();
        metrics::counter!(CALLS_TOTAL, "method" => method, "code" => code).increment(1);
        metrics::histogram!(CALL_SECONDS, "method" => method).record(took);
        if !reason.is_empty() {
            metrics::counter!(REFUSALS_TOTAL, "reason" => reason.to_owned()).increment(1);
        }
        if method.ends_with("AppendEvent") || method.ends_with("BatchAppendEvents") {
            let outcome = match (reason, code) {
                ("", "OK") => "RECORDED",
                ("", code) => code,
                (reason, _) => reason,
            };
            metrics::counter!(APPENDS_TOTAL, "outcome" => outcome.to_owned()).increment(1);
        }
        let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(
            request = %self.id, method, code, reason, duration_us, caller, "call"
        );
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(Code::Cancelled, "");
        }
        metrics::gauge!(CALLS_IN_FLIGHT).decrement(1);
    }
}

/// As gRPC spells it.
const fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
