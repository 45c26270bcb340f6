//! Tables against tables: reasons, sentences, policy and protos have to say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http::{Request, Response};
use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use super::doors::Connection;
use super::errors::{
    DOMAIN, Effect, Failure, Retry, Verdict, Violation, WatchEnd, WatchLimit, code_of, name_of,
    verdict,
};
use super::gate::{GateLayer, RequestId};
use super::identity::{Caller, Identity, IdentityFault, Scope, Scopes};
use super::json::HttpFault;
use super::messages_zh::SENTENCES;
use super::numbers::FIELDS;
use super::policy::{Denied, Load, Method, POLICY, Row, Rule, authorise};
use super::viewer::Viewer;
use super::{DoorFault, Listener};
use crate::domain::vocabulary::EventKind;
use crate::domain::{EntryIndex, EventId, Grams, LotId, PartyId, Rejection, TimeMs};
use crate::limits::{MAX_CALLS_IN_FLIGHT, MAX_VIOLATIONS_LISTED};
use crate::node::{AppendError, BatchError};
use crate::wire::v1::{self, Reason};
use crate::wire::{DESCRIPTORS, DecodeFault, FieldFault};

const ERRORS_PROTO: &str = include_str!("../../proto/urbanmine/v1/errors.proto");

/// A reason as errors.proto writes it down.
struct Written {
    reason: Reason,
    meaning: String,
    example: String,
    /// The keys in the example, without the ones that every error has.
    keys: BTreeSet<String>,
    section: String,
}

/// Reads the enum of errors.proto with its comments.
fn written() -> Vec<Written> {
    let (_, body) = ERRORS_PROTO.split_once("enum Reason {").unwrap();
    let mut comment: Vec<&str> = Vec::new();
    let (mut section, mut all) = (String::new(), Vec::new());
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("// ") {
            comment.push(text);
        } else if let Some((name, _)) = line.split_once(" = ") {
            let text = std::mem::take(&mut comment).join(" ");
            let Some(reason) = Reason::from_str_name(name) else { panic!("{name}") };
            if reason == Reason::Unspecified {
                continue;
            }
            let parts = text.split_once(" Example: ");
            let (meaning, example) = parts.unwrap_or_else(|| panic!("{name} has no example"));
            let keys = example.split('`').skip(1).step_by(2).map(str::to_owned);
            all.push(Written {
                reason,
                meaning: meaning.to_owned(),
                example: example.to_owned(),
                keys: keys.filter(|key| key != "retry").collect(),
                section: section.clone(),
            });
        } else if line.is_empty() && !comment.is_empty() {
            section = std::mem::take(&mut comment).join(" ").replace("--- ", "");
        }
    }
    all
}

fn party(last: u8) -> PartyId {
    PartyId::from_bytes([last; 16])
}

fn lot(last: u8) -> LotId {
    LotId::from_bytes([last; 16])
}

fn event(last: u8) -> EventId {
    EventId::from_bytes([last; 16])
}

fn keys_of(variant: &str) -> BTreeSet<String> {
    let (_, fields) = FIELDS.iter().find(|(name, _)| *name == variant).unwrap();
    fields.iter().map(|field| (*field).to_owned()).collect()
}

fn files(set: &[u8]) -> Vec<FileDescriptorProto> {
    FileDescriptorSet::decode(set).unwrap().file
}

#[test]
fn every_rejection_is_a_reason_of_the_same_name_and_number() {
    assert_eq!(FIELDS.len(), Rejection::ALL.len());
    for ((number, name), (variant, _)) in Rejection::ALL.iter().zip(FIELDS) {
        let reason = Reason::try_from(i32::from(*number)).unwrap();
        assert_eq!(name_of(reason), *name);
        assert_eq!(format!("{reason:?}"), *variant);
    }
    let rules = written().iter().filter(|it| (100..900).contains(&i32::from(it.reason))).count();
    assert_eq!(rules, Rejection::ALL.len(), "a reason of the proto is no rejection");
}

#[test]
fn every_reason_has_a_meaning_an_example_and_a_row() {
    for it in written() {
        assert!(it.meaning.len() > 20, "{:?}", it.reason);
        let row = verdict(it.reason);
        assert_eq!(row.reason, it.reason);
        assert_ne!(row.code, Code::Ok);
        assert_eq!(row.retry_after.is_some(), row.retry == Retry::SameAgain && can_wait(&row));
    }
}

/// Waiting has a known length only where nothing but load or a restart is in the way.
fn can_wait(row: &Verdict) -> bool {
    matches!(
        row.reason,
        Reason::Busy
            | Reason::ShuttingDown
            | Reason::Indeterminate
            | Reason::RateLimited
            | Reason::WatchLimit
    )
}

#[test]
fn codes_follow_the_hundreds() {
    for it in written() {
        let row = verdict(it.reason);
        let name = name_of(it.reason);
        let expected: &[Code] = match i32::from(it.reason) {
            1..=99 => &[Code::InvalidArgument],
            100..=899 if name.ends_with("_EXISTS") || name.ends_with("_TAKEN") => {
                &[Code::AlreadyExists]
            }
            104 | 105 => &[Code::AlreadyExists],
            100..=899 => &[Code::FailedPrecondition],
            _ => continue,
        };
        assert!(expected.contains(&row.code), "{name} is {:?}", row.code);
        assert_eq!(row.effect, Effect::None, "{name}");
    }
}

#[test]
fn examples_show_exactly_the_fields_of_their_rejection() {
    for it in written().iter().filter(|it| (100..900).contains(&i32::from(it.reason))) {
        assert_eq!(it.keys, keys_of(&format!("{:?}", it.reason)), "{:?}", it.reason);
    }
}

#[test]
fn no_field_takes_a_key_that_every_error_has() {
    let taken = ["number", "had_no_effect", "retry", "position"];
    for (variant, fields) in FIELDS {
        assert!(!fields.iter().any(|field| taken.contains(field)), "{variant}");
    }
}

#[test]
fn every_reason_has_one_chinese_sentence_that_fills_from_its_own_numbers() {
    let written = written();
    let listed: Vec<Reason> = SENTENCES.iter().map(|(reason, _)| *reason).collect();
    let expected: Vec<Reason> = written.iter().map(|it| it.reason).collect();
    assert_eq!(listed, expected, "one sentence per reason, ascending");
    for (it, (_, sentence)) in written.iter().zip(SENTENCES) {
        assert!(sentence.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{sentence}");
        let asked = sentence.split('{').skip(1).map(|part| part.split_once('}').unwrap().0);
        for key in asked {
            let is_known = it.keys.contains(key) || key == "count";
            assert!(is_known, "{:?} has no {key}", it.reason);
        }
    }
}

#[test]
fn a_number_that_looks_like_a_key_is_not_filled_again() {
    let numbers = [("code", "{scheme}".to_owned()), ("scheme", "ReMA".to_owned())];
    let sentence = super::messages_zh::sentence(Reason::GradeUnknown, &numbers);
    assert_eq!(sentence, "标准 ReMA 的等级 {scheme} 不在代码表中");
}

fn append_errors() -> Vec<AppendError> {
    let fault = FieldFault {
        field: "collect_lot.lot.net_mass_g".to_owned(),
        rule: "1 to 1000000000000".to_owned(),
        found: "0".to_owned(),
    };
    vec![
        AppendError::Decode(DecodeFault::Field(vec![fault; 20])),
        AppendError::Rejected(Rejection::LotUnknown { lot: lot(1) }),
        AppendError::Rejected(Rejection::EventIdConflict {
            event: event(1),
            recorded_at: EntryIndex(4),
        }),
        AppendError::Busy,
        AppendError::Poisoned,
        AppendError::Indeterminate,
        AppendError::ShuttingDown,
        AppendError::BatchEmpty,
        AppendError::BatchRepeats,
        AppendError::BatchTooLarge { events: 300, bytes: 1 },
        AppendError::Unreadable,
    ]
}

#[test]
fn the_table_agrees_with_the_node_about_effects() {
    for error in append_errors() {
        let row = code_of(&error);
        assert_eq!(row.effect == Effect::None, error.had_no_effect(), "{error}");
    }
    assert_eq!(code_of(&AppendError::Indeterminate).code, Code::Unknown);
    assert_eq!(code_of(&AppendError::Busy).code, Code::ResourceExhausted);
    assert_eq!(code_of(&AppendError::Poisoned).code, Code::Unavailable);
}

#[test]
fn a_refusal_carries_reason_numbers_and_both_languages() {
    let rejection = Rejection::InsufficientMass {
        lot: lot(1),
        asked: Grams::of(1_000),
        available: Grams::of(400),
        remaining: Grams::of(900),
    };
    let english = rejection.to_string();
    let failure = Failure::Append(AppendError::Rejected(rejection));
    let status = failure.into_status(RequestId(18));
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), english);
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INSUFFICIENT_MASS", DOMAIN));
    let expected = [
        ("lot", lot(1).to_string()),
        ("asked", "1000".to_owned()),
        ("available", "400".to_owned()),
        ("remaining", "900".to_owned()),
        ("number", "187".to_owned()),
        ("had_no_effect", "true".to_owned()),
        ("retry", "CHANGE_FIRST".to_owned()),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(key, text)| (key.to_owned(), text)).into();
    assert_eq!(BTreeMap::from_iter(info.metadata.clone()), expected);
    assert_eq!(details.request_info().unwrap().request_id, "0000000000000012");
    let (chinese, english_too) = locales(&status);
    assert_eq!(english_too, english);
    assert!(chinese.contains("需用 1000 克") && chinese.contains("400 克"), "{chinese}");
}

fn locales(status: &Status) -> (String, String) {
    let text = |locale: &str| {
        let details = status.get_error_details_vec();
        let found = details.into_iter().find_map(|detail| match detail {
            tonic_types::ErrorDetail::LocalizedMessage(it) if it.locale == locale => {
                Some(it.message)
            }
            _ => None,
        });
        found.unwrap()
    };
    (text("zh-CN"), text("en"))
}

#[test]
fn times_and_lists_are_bare_numbers() {
    let numbers = super::numbers::metadata(&Rejection::KeyRevoked {
        key: crate::domain::KeyId([1; 32]),
        revoked_at: TimeMs::of(5),
        by: EntryIndex(8),
    });
    assert_eq!(numbers[1..], [("revoked_at", "5".to_owned()), ("by", "8".to_owned())]);
    let blocked = Rejection::CorrectionBlocked {
        target: event(1),
        lot: lot(2),
        blocking: vec![event(3), event(4)],
        more: 7,
    };
    let numbers = super::numbers::metadata(&blocked);
    assert_eq!(numbers[2], ("blocking", format!("{}, {}", event(3), event(4))));
    assert_eq!(numbers[3], ("more", "7".to_owned()));
}

#[test]
fn every_failure_has_both_languages_and_fits_a_trailer() {
    let violation =
        Violation { field: "f".repeat(5_000), rule: "秒".repeat(5_000), found: "x".repeat(5_000) };
    let mut failures = vec![
        Failure::Busy,
        Failure::DeadlineExceeded,
        Failure::Denied(Denied::IdentityMissing),
        Failure::Denied(Denied::NotAllowed { rule: Rule::Overseer }),
        Failure::Denied(Denied::ScopeMissing { needed: Scope::Admin }),
        Failure::Identity(IdentityFault::CertificateNameless),
        Failure::Identity(IdentityFault::IdentitiesDiffer),
        Failure::Identity(IdentityFault::TokenExpired { expired_at: TimeMs::of(5) }),
        Failure::Identity(IdentityFault::TokenMalformed),
        Failure::Identity(IdentityFault::TokenRevoked),
        Failure::Identity(IdentityFault::TokenUnknown),
        Failure::MethodUnknown { path: "/x".to_owned() },
        Failure::RateLimited { wait: Duration::from_millis(999) },
        Failure::NotFound { kind: "lot", name: lot(1).to_string() },
        Failure::PageToken { rule: "r" },
        Failure::Request(vec![violation; 50]),
        Failure::RequestMalformed { detail: "d".repeat(50_000) },
        Failure::RequestTooLarge { detail: "d".to_owned() },
        Failure::WatchLimit(WatchLimit::Caller),
        Failure::WatchLimit(WatchLimit::All),
        Failure::WorkerLost,
        Failure::Http(HttpFault::ContentType { found: "d".repeat(50_000) }),
        Failure::Http(HttpFault::HostNotLocal { host: "d".repeat(50_000) }),
        Failure::Http(HttpFault::JsonMalformed { detail: "d".repeat(50_000) }),
        Failure::Http(HttpFault::MethodNotAllowed {
            verb: "d".repeat(50_000),
            allowed: "GET".to_owned(),
        }),
        Failure::Http(HttpFault::PathUnknown { path: "d".repeat(50_000) }),
    ];
    failures.extend(append_errors().into_iter().map(Failure::Append));
    let ends = [WatchEnd::Age, WatchEnd::Shutdown, WatchEnd::Deadline, WatchEnd::TooSlow];
    let resume_from = EntryIndex(u64::MAX);
    failures.extend(ends.map(|why| Failure::Watch { why, resume_from }));
    for failure in failures {
        let shown = format!("{failure:.60?}");
        let reason = failure.verdict().reason;
        let status = failure.into_status(RequestId(1));
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, name_of(reason), "{shown}");
        let violations = details.bad_request().map_or(0, |it| it.field_violations.len());
        assert!(violations <= MAX_VIOLATIONS_LISTED);
        let (chinese, english) = locales(&status);
        assert!(!chinese.contains(['{', '}']) && !english.is_empty(), "{chinese}");
        let header = status.details().len().div_ceil(3) * 4 + status.message().len();
        assert!(header < 7 * 1024, "{shown}: {header}");
        let delay = details.retry_info().and_then(|it| it.retry_delay);
        assert_eq!(delay, verdict(reason).retry_after);
    }
}

#[test]
fn a_batch_says_which_member_and_where_in_it() {
    let fault = FieldFault {
        field: "collect_lot.lot.lot_id".to_owned(),
        rule: "16 bytes".to_owned(),
        found: "nothing".to_owned(),
    };
    let error = AppendError::Decode(DecodeFault::Field(vec![fault]));
    let failure = Failure::Batch(BatchError { position: Some(3), error });
    let details = failure.into_status(RequestId(1)).get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["position"], "3");
    let violation = &details.bad_request().unwrap().field_violations[0];
    assert_eq!(violation.field, "events[3].collect_lot.lot.lot_id");
    assert_eq!(violation.description, "16 bytes; found nothing");
}

/// `Service/Call` of every call in a descriptor set.
fn calls(set: &[u8]) -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for file in files(set) {
        for service in &file.service {
            for method in &service.method {
                calls.insert(format!("{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    calls
}

#[test]
fn every_call_has_one_policy_row_and_every_row_a_call() {
    let mut served = calls(DESCRIPTORS);
    served.extend(calls(tonic_health::pb::FILE_DESCRIPTOR_SET));
    served.extend(calls(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET));
    served.extend(calls(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET));
    let rows: BTreeSet<String> = POLICY.iter().map(|row| row.method.to_owned()).collect();
    assert_eq!(rows, served);
    assert_eq!(rows.len(), POLICY.len(), "a call has two rows");
}

#[test]
fn whoever_sits_at_the_machine_is_its_operator_when_nobody_asks() {
    let rows = [
        ("127.0.0.1:5", true),
        ("127.8.0.1:5", true),
        ("[::1]:5", true),
        ("[::ffff:127.0.0.1]:5", true),
        ("10.0.0.1:5", false),
        ("0.0.0.0:5", false),
        ("[::]:5", false),
        ("[::ffff:10.0.0.1]:5", false),
    ];
    for (peer, is_here) in rows {
        let caller = Caller::unasked(Some(peer.parse().unwrap()));
        assert_eq!(caller.identity == Identity::LocalOperator, is_here, "{peer}");
    }
    assert_eq!(Caller::unasked(None).identity, Identity::Unknown);
    for path in ["", "/", "urbanmine.v1.LotService/GetLot", "/urbanmine.v1.LotService/getLot"] {
        assert_eq!(Method::of_path(path), None);
    }
}

#[test]
fn every_rule_meets_every_viewer() {
    let viewers = [Viewer::Overseer, Viewer::Party(party(1)), Viewer::Stranger];
    let not_allowed = |rule| Err(Denied::NotAllowed { rule });
    let missing = Err(Denied::IdentityMissing);
    let rows = [
        (Rule::Public, [Ok(()), Ok(()), Ok(())]),
        (Rule::Member, [Ok(()), Ok(()), missing]),
        (Rule::Overseer, [Ok(()), not_allowed(Rule::Overseer), missing]),
    ];
    let whole = Caller { peer: None, identity: Identity::Operator { scopes: Scopes::ALL } };
    let none = Identity::Party { party: party(1), scopes: Scopes::default() };
    let none = Caller { peer: None, identity: none };
    for (rule, expected) in rows {
        let row =
            Row { method: "x/Y", rule, scope: Scope::Append, load: Load::Counted, reply_bytes: 1 };
        let method = Method::of_row(Box::leak(Box::new(row)));
        for (viewer, expected) in viewers.into_iter().zip(expected) {
            assert_eq!(authorise(&whole, viewer, method).map(|_| ()), expected, "{rule:?}");
            // Without a scope only what is public is left; who may not call at all is told that.
            let needed = Scope::Append;
            let lacking = match rule {
                Rule::Public => Ok(()),
                _ => expected.and(Err(Denied::ScopeMissing { needed })),
            };
            assert_eq!(authorise(&none, viewer, method).map(|_| ()), lacking, "{rule:?}");
        }
    }
}

#[test]
fn scopes_hold_what_they_were_given() {
    let some = Scopes::of(&[Scope::Read, Scope::Admin]);
    assert_eq!(some.to_string(), "READ,ADMIN");
    assert!(some.has(Scope::Read) && some.has(Scope::Admin) && !some.has(Scope::Append));
    assert_eq!(Scopes::ALL.to_string(), "READ,APPEND,ADMIN");
    assert_eq!(Scopes::default().to_string(), "");
}

#[tokio::test]
async fn an_address_that_others_reach_is_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.7:0"] {
        let refusal = Listener::bind(address.parse().unwrap()).await.unwrap_err();
        assert!(matches!(refusal, DoorFault::PlainTextBeyondLoopback { .. }), "{refusal}");
        assert!(refusal.to_string().contains("loopback"));
    }
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    assert_ne!(listener.address().port(), 0);
}

/// A request as the transport hands it over.
fn request(path: &str, peer: &str) -> Request<Body> {
    let peer: SocketAddr = peer.parse().unwrap();
    let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
    request.extensions_mut().insert(Connection::from_within(peer));
    request
}

fn reason(answer: &Response<Body>) -> Option<String> {
    let status = Status::from_header_map(answer.headers())?;
    Some(status.get_error_details().error_info()?.reason.clone())
}

const GET_LOT: &str = "/urbanmine.v1.LotService/GetLot";

#[tokio::test]
async fn the_gate_refuses_before_a_handler_is_reached() {
    let reached = service_fn(async |_: Request<Body>| -> Result<Response<Body>, Infallible> {
        panic!("the handler was reached")
    });
    let rows = [
        (GET_LOT, "10.0.0.1:1", "IDENTITY_MISSING"),
        ("/urbanmine.v1.LotService/Melt", "127.0.0.1:1", "METHOD_UNKNOWN"),
    ];
    for (path, peer, expected) in rows {
        let gate = GateLayer::new().layer(reached);
        let answer = gate.oneshot(request(path, peer)).await.unwrap();
        assert_eq!(reason(&answer).as_deref(), Some(expected), "{path}");
    }
}

#[tokio::test]
async fn the_gate_counts_calls_and_leaves_health_alone() {
    let never = service_fn(async |request: Request<Body>| {
        if request.uri().path() == GET_LOT {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let mut gate = GateLayer::new().layer(never);
    let mut calls = Vec::new();
    for _ in 0..MAX_CALLS_IN_FLIGHT {
        calls.push(gate.call(request(GET_LOT, "127.0.0.1:1")));
    }
    let answer = gate.call(request(GET_LOT, "127.0.0.1:1")).await.unwrap();
    assert_eq!(reason(&answer).as_deref(), Some("BUSY"));
    let health = gate.call(request("/grpc.health.v1.Health/Check", "127.0.0.1:1"));
    assert_eq!(reason(&health.await.unwrap()), None);
    // A caller that hangs up gives its place back.
    calls.pop();
    let next = gate.call(request(GET_LOT, "127.0.0.1:1"));
    assert!(tokio::time::timeout(Duration::from_millis(20), next).await.is_err());
}

#[tokio::test]
async fn the_gate_keeps_the_callers_deadline() {
    let never = service_fn(async |_: Request<Body>| {
        std::future::pending::<()>().await;
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let mut gate = GateLayer::new().layer(never);
    let mut request = request(GET_LOT, "127.0.0.1:1");
    request.headers_mut().insert("grpc-timeout", "30m".parse().unwrap());
    let answer = gate.call(request).await.unwrap();
    assert_eq!(reason(&answer).as_deref(), Some("DEADLINE_EXCEEDED"));
}

/// The gate's own limit is for the beginning of an answer; a watch goes on, and its place among the
/// calls in flight is free again.
#[tokio::test]
async fn the_gate_lets_an_answer_that_began_go_on() {
    let streaming = service_fn(async |_: Request<Body>| {
        let parts = tokio_stream::StreamExt::then(tokio_stream::once(()), async |()| {
            tokio::time::sleep(Duration::from_millis(250)).await;
            Ok::<_, Infallible>(bytes::Bytes::from_static(b"late"))
        });
        let body = axum::body::Body::from_stream(parts);
        Ok::<_, Infallible>(Response::new(Body::new(body)))
    });
    let mut gate = GateLayer::new().layer(streaming);
    let mut request = request("/urbanmine.v1.LedgerService/WatchEntries", "127.0.0.1:1");
    request.headers_mut().insert("grpc-timeout", "50m".parse().unwrap());
    let answer = gate.call(request).await.unwrap();
    assert_eq!(reason(&answer), None);
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
    assert_eq!(body.to_bytes(), "late");
}

#[tokio::test]
async fn what_the_framework_refuses_gets_a_reason() {
    let rows = [
        (Status::out_of_range("found 5 bytes"), Some("REQUEST_TOO_LARGE")),
        (Status::internal("invalid wire type"), Some("REQUEST_MALFORMED")),
        (Status::unimplemented("compression"), None),
    ];
    for (status, expected) in rows {
        let bare = service_fn(move |_: Request<Body>| {
            let answer = status.clone().into_http::<Body>();
            async move { Ok::<_, Infallible>(answer) }
        });
        let gate = GateLayer::new().layer(bare);
        let answer = gate.oneshot(request(GET_LOT, "127.0.0.1:1")).await.unwrap();
        assert_eq!(reason(&answer).as_deref(), expected);
    }
}

#[test]
fn kinds_and_statuses_of_the_proto_are_those_of_the_domain() {
    let kinds: Vec<(i32, String)> = EventKind::ALL
        .iter()
        .map(|kind| (kind.number().into(), format!("EVENT_KIND_{}", kind.name())))
        .collect();
    let files = files(DESCRIPTORS);
    let mut enums = files.iter().flat_map(|file| &file.enum_type);
    let spelled = enums.find(|it| it.name() == "EventKind").unwrap();
    let spelled: Vec<(i32, String)> =
        spelled.value.iter().skip(1).map(|it| (it.number(), it.name().to_owned())).collect();
    assert_eq!(spelled, kinds);
    let status = v1::LotStatus::from(crate::domain::lot::LotStatus::OnHold);
    assert_eq!(status.as_str_name(), "LOT_STATUS_ON_HOLD");
    assert_eq!(party(1).as_bytes().len(), 16);
}

/// The rules of buf's STANDARD category that names can break, and ours: no client or bidirectional
/// stream, no map, no float.
#[test]
fn the_protos_are_named_as_buf_expects() {
    let mut used = BTreeSet::new();
    for file in files(DESCRIPTORS).iter().filter(|file| file.package() == DOMAIN) {
        for service in &file.service {
            assert!(service.name().ends_with("Service"));
            for method in &service.method {
                let name = method.name();
                let input = format!(".{DOMAIN}.{name}Request");
                let output = format!(".{DOMAIN}.{name}Response");
                assert_eq!((method.input_type(), method.output_type()), (&*input, &*output));
                assert!(used.insert(input) && used.insert(output), "{name}");
                assert!(!method.client_streaming(), "{name}");
            }
        }
        file.enum_type.iter().for_each(check_enum);
        file.message_type.iter().for_each(check_message);
    }
}

fn check_enum(it: &EnumDescriptorProto) {
    let words = it.name().chars().flat_map(|c| {
        let gap = c.is_ascii_uppercase().then_some('_');
        gap.into_iter().chain([c.to_ascii_uppercase()])
    });
    let prefix = format!("{}_", words.skip(1).collect::<String>());
    let first = &it.value[0];
    assert_eq!((first.name(), first.number()), (&*format!("{prefix}UNSPECIFIED"), 0));
    assert!(it.value.iter().all(|value| value.name().starts_with(&prefix)), "{}", it.name());
}

fn check_message(it: &DescriptorProto) {
    use prost_types::field_descriptor_proto::Type;
    assert!(it.nested_type.is_empty(), "{} has a nested type or a map", it.name());
    for field in &it.field {
        let name = field.name();
        let is_snake =
            name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_');
        assert!(is_snake, "{}.{name}", it.name());
        assert!(!matches!(field.r#type(), Type::Float | Type::Double), "{}.{name}", it.name());
    }
}

/// `docs/REASONS.md`, from the tables.
fn reasons_document() -> String {
    let mut text = "# Reasons\n\n\
        Why a call failed. `errors.proto` says how an error is built; this page is made from it \
        and from the tables in `src/api`,\nand a test holds it \
        (`URBANMINE_WRITE_DOCS=1 cargo test --lib api::` writes it anew). Numbers are never \
        reused.\n\n\
        *Nothing recorded* — yes: the ledger holds nothing of the request. no: an append may have \
        been recorded; send the same bytes again to learn.\n\
        *Then* — FIX_REQUEST: these bytes are never accepted. CHANGE_FIRST: the event, or the \
        state of the ledger, has to be another one first.\n\
        SAME_AGAIN: send the same bytes again, later. \
        AFTER_OPERATOR: an operator has to act first.\n"
        .to_owned();
    let mut section = String::new();
    for it in written() {
        if it.section != section {
            section.clone_from(&it.section);
            write!(
                text,
                "\n## {section}\n\n| Number | Reason | gRPC code | Nothing recorded | Then \
                 | Meaning | Example | 中文 |\n|---|---|---|---|---|---|---|---|\n"
            )
            .unwrap();
        }
        let row = verdict(it.reason);
        let (_, chinese) = SENTENCES.iter().find(|(reason, _)| *reason == it.reason).unwrap();
        writeln!(
            text,
            "| {} | `{}` | {} | {} | {} | {} | {} | {} |",
            i32::from(it.reason),
            name_of(it.reason),
            code_name(row.code),
            if row.effect == Effect::None { "yes" } else { "no" },
            row.retry.name(),
            it.meaning.replace('|', "\\|"),
            it.example.replace('|', "\\|"),
            chinese,
        )
        .unwrap();
    }
    text
}

fn code_name(code: Code) -> String {
    let mut name = String::new();
    for (at, letter) in format!("{code:?}").chars().enumerate() {
        if at > 0 && letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[test]
fn the_document_of_reasons_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/REASONS.md");
    let expected = reasons_document();
    if std::env::var_os("URBANMINE_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/REASONS.md is not what the tables say");
}
