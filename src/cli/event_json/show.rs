//! The way back: signed bytes as JSON for people.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{event_descriptor, short_word, text};
use crate::domain::Hash32;
use crate::wire::canonical::{self, MessageName, NonCanonical};

/// Largest whole number that every JSON reader keeps exactly (2^53).
const MAX_EXACT_NUMBER: u64 = 1 << 53;

/// Shows an event's bytes: ids as UUIDs, hashes as hex, words without their prefix, fields in the
/// order of their numbers. `event_from_value` gives the same bytes back.
pub fn event_to_json(bytes: &[u8]) -> Result<Json, NonCanonical> {
    canonical::check(MessageName::Event, bytes)?;
    let message = DynamicMessage::decode(event_descriptor(), bytes).map_err(|_| {
        let rule = canonical::CanonicalRule::Undecodable;
        NonCanonical { path: String::new(), offset: 0, rule }
    })?;
    Ok(show_message(&message))
}

/// Depth is that of the schema, which is bounded.
fn show_message(message: &DynamicMessage) -> Json {
    let members: Map<String, Json> = message
        .fields()
        .map(|(field, value)| (field.name().to_owned(), show(&field, value)))
        .collect();
    Json::Object(members)
}

fn show(field: &FieldDescriptor, value: &Value) -> Json {
    match value {
        Value::List(elements) => {
            Json::Array(elements.iter().map(|element| show(field, element)).collect())
        }
        Value::Message(message) => show_message(message),
        Value::Bytes(bytes) => show_bytes(field, bytes).into(),
        Value::String(text) => text.clone().into(),
        Value::EnumNumber(number) => show_word(field, *number),
        Value::U64(number) if *number > MAX_EXACT_NUMBER => number.to_string().into(),
        Value::U64(number) => (*number).into(),
        Value::U32(number) => (*number).into(),
        Value::I32(number) => (*number).into(),
        Value::I64(number) => (*number).into(),
        Value::Bool(is_set) => (*is_set).into(),
        // The schema has neither floats nor maps.
        Value::F32(_) | Value::F64(_) | Value::Map(_) => Json::Null,
    }
}

fn show_bytes(field: &FieldDescriptor, bytes: &[u8]) -> String {
    let is_free = field.name() == "content";
    if let (Ok(raw), false) = (<[u8; 16]>::try_from(bytes), is_free) {
        return Uuid::from_bytes(raw).hyphenated().to_string();
    }
    if let (Ok(raw), false) = (<[u8; 32]>::try_from(bytes), is_free) {
        return Hash32(raw).to_string();
    }
    text::to_base64(bytes)
}

fn show_word(field: &FieldDescriptor, number: i32) -> Json {
    let Kind::Enum(words) = field.kind() else { return number.into() };
    match words.get_value(number) {
        Some(word) => short_word(&words, word.name()).into(),
        None => number.into(),
    }
}
