//! A failure as AIP-193 JSON, with the status of HTTP that says the same.

use std::time::Duration;

use axum::body::Body;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value as Json, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt as _};

use crate::api::errors::name_of;
use crate::wire::v1::Reason;

/// Before the name of a message in `@type`.
const TYPE_PREFIX: &str = "type.googleapis.com/google.rpc.";

/// The answer to a call that failed.
pub(super) fn response(status: &Status) -> Response<Body> {
    let mut response = Response::new(Body::from(text(status)));
    *response.status_mut() = status_of(status);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let details = status.get_error_details();
    if let Some(delay) = details.retry_info().and_then(|it| it.retry_delay) {
        // Whole seconds, and never earlier than the delay.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if status.code() == Code::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let allowed = details.error_info().and_then(|info| info.metadata.get("allowed"));
    if let Some(allowed) = allowed.and_then(|verbs| HeaderValue::from_str(verbs).ok()) {
        headers.insert(ALLOW, allowed);
    }
    response
}

/// `{"error": {"code", "message", "status", "details"}}`.
pub(super) fn text(status: &Status) -> String {
    let details = status.get_error_details_vec();
    let error = json!({
        "code": status_of(status).as_u16(),
        "message": status.message(),
        "status": code_name(status.code()),
        "details": details.iter().filter_map(detail).collect::<Vec<Json>>(),
    });
    json!({ "error": error }).to_string()
}

/// The code of HTTP, and where that is finer than the code of gRPC, by the reason.
fn status_of(status: &Status) -> StatusCode {
    let details = status.get_error_details();
    let reason = details.error_info().map_or("", |info| info.reason.as_str());
    let is = |known: Reason| reason == name_of(known);
    if is(Reason::HttpMethodNotAllowed) {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    if is(Reason::HttpContentType) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    if is(Reason::RequestTooLarge) {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    match status.code() {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// The name of a code as AIP-193 spells it.
const fn code_name(code: Code) -> &'static str {
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

/// A detail under its well-known type. Those that our errors do not have are left out.
fn detail(detail: &ErrorDetail) -> Option<Json> {
    let of_type = |name: &str, fields: Json| {
        let mut all = Map::new();
        all.insert("@type".to_owned(), format!("{TYPE_PREFIX}{name}").into());
        if let Json::Object(fields) = fields {
            all.extend(fields);
        }
        Some(Json::Object(all))
    };
    match detail {
        ErrorDetail::ErrorInfo(info) => {
            // A map of gRPC has no order; ours is that of the keys.
            let mut metadata: Vec<_> = info.metadata.iter().collect();
            metadata.sort();
            let metadata: Map<String, Json> = metadata
                .into_iter()
                .map(|(key, text)| (key.clone(), Json::from(text.as_str())))
                .collect();
            let (reason, domain) = (&info.reason, &info.domain);
            let fields = json!({ "reason": reason, "domain": domain, "metadata": metadata });
            of_type("ErrorInfo", fields)
        }
        ErrorDetail::BadRequest(bad) => {
            let each = bad.field_violations.iter();
            let each = each.map(|it| json!({ "field": it.field, "description": it.description }));
            of_type("BadRequest", json!({ "fieldViolations": each.collect::<Vec<Json>>() }))
        }
        ErrorDetail::RetryInfo(info) => {
            let delay = duration(info.retry_delay.unwrap_or_default());
            of_type("RetryInfo", json!({ "retryDelay": delay }))
        }
        ErrorDetail::RequestInfo(info) => {
            of_type("RequestInfo", json!({ "requestId": info.request_id }))
        }
        ErrorDetail::ResourceInfo(info) => {
            let (kind, name) = (&info.resource_type, &info.resource_name);
            of_type("ResourceInfo", json!({ "resourceType": kind, "resourceName": name }))
        }
        ErrorDetail::LocalizedMessage(text) => {
            let (locale, message) = (&text.locale, &text.message);
            of_type("LocalizedMessage", json!({ "locale": locale, "message": message }))
        }
        _ => None,
    }
}

/// A duration as proto3 JSON spells it: `0.200s`.
fn duration(delay: Duration) -> String {
    if delay.subsec_nanos() == 0 {
        return format!("{}s", delay.as_secs());
    }
    format!("{}.{:03}s", delay.as_secs(), delay.subsec_millis())
}
