//! `/openapi.json`: the calls as `OpenAPI` 3.1, from the protos and their comments.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::Body;
use axum::response::IntoResponse;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use prost_reflect::{
    EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, ServiceDescriptor,
};
use serde_json::{Map, Value as Json, json};

use super::POOL;
use super::routes::{Route, Table, table};
use super::scalar::is_id;

const VERSION: &str = "3.1.0";
const PACKAGE: &str = "urbanmine.v1";

const ABOUT: &str = "\
A ledger of recycled metal. Every call of the gRPC services, as JSON over HTTP; the same rules, \
limits and rights.

**JSON is never signed.** An event is built as protobuf, serialised once and signed; those very \
bytes travel here as base64 in `envelope`, and are stored as they are. What proves that they are \
recorded is `receipt`: keep it, and check it against the ledger's origin and key that you got by \
another way.

- Ids (`*_id`) are UUIDs; base64 of their 16 bytes is taken, too. Other bytes are base64.
- 64-bit numbers are strings of digits, so that no reader makes a fraction of them; bare digits \
are taken, too. No number has a point or an exponent.
- Masses are whole grams (`_g`), times milliseconds since 1970-01-01T00:00:00Z (`_ms`), parts 1e-8 \
(`_e8`).
- Fields are spelled as here; `lowerCamelCase` is taken, too. An unknown field or parameter is \
refused, and so is one that is given twice.
- Lists have pages: follow `next_page_token` until it is empty.
- Errors are `{\"error\": {..}}` (AIP-193). Branch on `reason` of the `ErrorInfo`; after \
`Retry-After` send the same bytes again, that never records twice.
- `x-server-timeout` (whole seconds) says how long you wait.";

/// Serves the page. It says what the protos say, and so the same to everybody.
pub(super) async fn answer() -> impl IntoResponse {
    static PAGE: LazyLock<String> = LazyLock::new(|| page(table()).to_string());
    let headers: [(HeaderName, &str); 2] =
        [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=3600")];
    (headers, Body::from(PAGE.as_str()))
}

/// The page.
pub(super) fn page(table: &Table) -> Json {
    let comments = Comments::read();
    let services: Vec<ServiceDescriptor> =
        POOL.services().filter(|service| service.parent_file().package_name() == PACKAGE).collect();
    let tags = services.iter().map(|service| {
        let about = comments.of(&service.parent_file(), service.path());
        json!({ "name": service.name(), "description": about })
    });
    let mut paths = Map::new();
    let mut uses = BTreeMap::new();
    for route in &table.routes {
        let operation = operation(route, table, &comments);
        let path = paths.entry(route.template.clone()).or_insert_with(|| json!({}));
        if let Json::Object(verbs) = path {
            verbs.insert(route.verb.as_str().to_ascii_lowercase(), operation);
        }
        reach(&route.method.input(), Use::Asked, &mut uses);
        reach(&route.method.output(), Use::Answered, &mut uses);
    }
    let mut schemas = Map::new();
    for (name, used) in &uses {
        let schema = match POOL.get_message_by_name(name) {
            Some(message) => message_schema(&message, used, &comments),
            None => match POOL.get_enum_by_name(name) {
                Some(words) => enum_schema(&words, &comments),
                None => continue,
            },
        };
        schemas.insert(short(name).to_owned(), schema);
    }
    schemas.insert("Error".to_owned(), error_schema());
    json!({
        "openapi": VERSION,
        "info": {
            "title": "urbanmine",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/" }],
        "tags": tags.collect::<Vec<Json>>(),
        "security": [{ "token": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": { "Refused": {
                "description": "Why not.",
                "content": { "application/json": { "schema": reference("Error") } },
            } },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route, table: &Table, comments: &Comments) -> Json {
    let method = &route.method;
    let about = comments.of(&method.parent_service().parent_file(), method.path());
    let summary = about.split_once(". ").map_or(about.as_str(), |(first, _)| first);
    let summary = summary.lines().next().unwrap_or_default().trim_end_matches('.');
    // A second path to a call is an operation of its own, and needs a name of its own.
    let earlier = table.routes.iter().take_while(|other| !std::ptr::eq(*other, route));
    let nth = earlier.filter(|other| other.method == *method).count();
    let name = match nth {
        0 => method.name().to_owned(),
        nth => format!("{}{}", method.name(), nth + 1),
    };
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), name.into());
    operation.insert("tags".to_owned(), json!([method.parent_service().name()]));
    operation.insert("summary".to_owned(), summary.into());
    operation.insert("description".to_owned(), about.clone().into());
    let parameters = parameters(route, comments);
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    if route.has_body {
        let schema = reference(method.input().name());
        let body = json!({
            "required": true,
            "content": { "application/json": { "schema": schema } },
        });
        operation.insert("requestBody".to_owned(), body);
    }
    let media =
        if method.is_server_streaming() { "application/x-ndjson" } else { "application/json" };
    let mut content = Map::new();
    content.insert(media.to_owned(), json!({ "schema": reference(method.output().name()) }));
    let answers = json!({
        "200": { "description": "The answer.", "content": content },
        "default": { "$ref": "#/components/responses/Refused" },
    });
    operation.insert("responses".to_owned(), answers);
    operation.into()
}

fn parameters(route: &Route, comments: &Comments) -> Vec<Json> {
    let in_path: BTreeSet<u32> = route.variables().map(FieldDescriptor::number).collect();
    let mut parameters = Vec::new();
    for field in route.variables() {
        parameters.push(parameter(field, "path", comments));
    }
    if !route.has_body {
        let fields = route.method.input().fields().collect::<Vec<_>>();
        let behind = fields.iter().filter(|field| !in_path.contains(&field.number()));
        parameters.extend(behind.map(|field| parameter(field, "query", comments)));
    }
    parameters
}

fn parameter(field: &FieldDescriptor, place: &str, comments: &Comments) -> Json {
    let mut parameter = json!({
        "name": field.name(),
        "in": place,
        "required": place == "path",
        "schema": field_schema(field),
    });
    let about = comments.of(&field.parent_message().parent_file(), field.path());
    if let (Json::Object(parameter), false) = (&mut parameter, about.is_empty()) {
        parameter.insert("description".to_owned(), about.into());
    }
    parameter
}

/// Whether a message is sent, comes back, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Asked,
    Answered,
}

/// Notes a message and all that hangs on it.
fn reach(message: &MessageDescriptor, how: Use, uses: &mut BTreeMap<String, BTreeSet<Use>>) {
    let mut left = vec![message.clone()];
    // A message is looked at once for each use.
    while let Some(message) = left.pop() {
        if !uses.entry(message.full_name().to_owned()).or_default().insert(how) {
            continue;
        }
        for field in message.fields() {
            match field.kind() {
                Kind::Message(inner) => left.push(inner),
                Kind::Enum(words) => {
                    uses.entry(words.full_name().to_owned()).or_default().insert(how);
                }
                _ => {}
            }
        }
    }
}

fn message_schema(message: &MessageDescriptor, used: &BTreeSet<Use>, comments: &Comments) -> Json {
    let file = message.parent_file();
    let mut properties = Map::new();
    for field in message.fields() {
        let mut schema = field_schema(&field);
        let about = comments.of(&file, field.path());
        if let (Json::Object(schema), false) = (&mut schema, about.is_empty()) {
            schema.insert("description".to_owned(), about.into());
        }
        properties.insert(field.name().to_owned(), schema);
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("description".to_owned(), comments.of(&file, message.path()).into());
    schema.insert("properties".to_owned(), properties.into());
    if used.contains(&Use::Asked) {
        schema.insert("additionalProperties".to_owned(), false.into());
    } else {
        // An answer has all of its fields, except those whose absence says something.
        let always = message.fields().filter(|field| !field.supports_presence());
        let always: Vec<String> = always.map(|field| field.name().to_owned()).collect();
        schema.insert("required".to_owned(), always.into());
    }
    schema.into()
}

fn field_schema(field: &FieldDescriptor) -> Json {
    let one = match field.kind() {
        Kind::Message(message) => reference(message.name()),
        Kind::Enum(words) => reference(words.name()),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::String => json!({ "type": "string" }),
        Kind::Bytes if is_id(field) => json!({ "type": "string", "format": "uuid" }),
        Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Kind::Uint32 | Kind::Fixed32 => {
            json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
        }
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })
        }
        Kind::Uint64 | Kind::Fixed64 => {
            json!({ "type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$" })
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$" })
        }
        Kind::Float | Kind::Double => json!(false),
    };
    if field.is_list() { json!({ "type": "array", "items": one }) } else { one }
}

fn enum_schema(words: &EnumDescriptor, comments: &Comments) -> Json {
    let file = words.parent_file();
    let names: Vec<String> = words.values().map(|word| word.name().to_owned()).collect();
    let mut about = comments.of(&file, words.path());
    for word in words.values() {
        let text = comments.of(&file, word.path());
        if !text.is_empty() {
            // Writing to a String does not fail.
            let _ = write!(about, "\n- `{}`: {}", word.name(), text.replace('\n', " "));
        }
    }
    json!({ "type": "string", "description": about, "enum": names })
}

/// AIP-193, with the parts that our errors have.
fn error_schema() -> Json {
    let text = json!({ "type": "string" });
    let violation = json!({
        "type": "object",
        "properties": { "field": text, "description": text },
    });
    let detail = json!({
        "type": "object",
        "description": "By `@type`: ErrorInfo (reason, domain, metadata), BadRequest \
                        (fieldViolations), RetryInfo (retryDelay), RequestInfo (requestId), \
                        ResourceInfo (resourceType, resourceName), LocalizedMessage (locale zh-CN \
                        and en, message). The reasons are those of `Reason` in errors.proto.",
        "required": ["@type"],
        "properties": {
            "@type": text,
            "reason": text,
            "domain": text,
            "metadata": { "type": "object", "additionalProperties": text },
            "fieldViolations": { "type": "array", "items": violation },
            "retryDelay": text,
            "requestId": text,
            "resourceType": text,
            "resourceName": text,
            "locale": text,
            "message": text,
        },
    });
    json!({
        "type": "object",
        "description": "Why a call failed.",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message", "status", "details"],
            "properties": {
                "code": { "type": "integer", "description": "The status of HTTP." },
                "message": text,
                "status": { "type": "string", "description": "The code of gRPC." },
                "details": { "type": "array", "items": detail },
            },
        } },
    })
}

fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The comments before each thing of the protos.
struct Comments(HashMap<(String, Vec<i32>), String>);

impl Comments {
    fn read() -> Self {
        let mut comments = HashMap::new();
        for file in POOL.files().filter(|file| file.package_name() == PACKAGE) {
            let info = file.file_descriptor_proto().source_code_info.as_ref();
            for place in info.map_or(&[][..], |info| &info.location) {
                let Some(text) = &place.leading_comments else { continue };
                let lines = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
                let text = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
                comments.insert((file.name().to_owned(), place.path.clone()), text);
            }
        }
        Self(comments)
    }

    fn of(&self, file: &FileDescriptor, path: &[i32]) -> String {
        self.0.get(&(file.name().to_owned(), path.to_vec())).cloned().unwrap_or_default()
    }
}
