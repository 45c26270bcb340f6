//! Events as JSON that people write: sample files and `submit`.
//!
//! The JSON is proto3 JSON of `urbanmine.v1.Event` (`snake_case` or `camelCase` names) with
//! conveniences:
//!
//! | field | also accepts |
//! |---|---|
//! | bytes | a UUID, 64 hex digits, `@name` (looked up), standard base64; `content` only base64 |
//! | enums | the word without its enum's prefix (`SMELTER`, `PARTY_ROLE_SMELTER`), or its number |
//! | `*_ms` | RFC 3339 with an offset |
//! | `*_g` | `12.5 t`, `300 kg`, `250 g` |
//! | `*_e8` | `99.95 %` |
//! | `occurred_at` | RFC 3339 with an offset: sets `occurred_at_ms` and `occurred_at_offset_min` |
//!
//! No float is read on the way: numbers are exact or refused.

mod show;
mod strict;
mod symbols;
mod text;

use std::fmt;
use std::sync::OnceLock;

use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value,
};
use serde_json::Value as Json;

use crate::limits::{MAX_FOUND_BYTES, MAX_MESSAGE_DEPTH};
use crate::wire::canonical::{self, MessageName};
use crate::wire::{self, v1};

pub use show::event_to_json;
pub use symbols::{SampleIds, SymbolContext, sample_hash, sample_id};

/// Why JSON is not an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFault {
    /// Where, as in `collect_lot.lot.net_mass_g`; empty for the whole.
    pub path: String,
    /// What it should be.
    pub rule: String,
    /// What it is.
    pub found: String,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.path.is_empty() { "the event" } else { &self.path };
        write!(f, "{place}: {}, found {}", self.rule, self.found)
    }
}

impl std::error::Error for JsonFault {}

/// Looks up `@name`.
pub type Resolve<'r> = &'r mut dyn FnMut(&SymbolContext<'_>) -> Result<Vec<u8>, String>;

/// Writes the canonical bytes of an event that somebody wrote as JSON text.
pub fn event_from_json(text: &str, resolve: Resolve<'_>) -> Result<Vec<u8>, JsonFault> {
    let read = serde_json::from_str::<strict::StrictJson>(text);
    let strict::StrictJson(json) = read.map_err(|error| JsonFault {
        path: String::new(),
        rule: "is JSON without a key that stands twice".to_owned(),
        found: error.to_string(),
    })?;
    event_from_value(&json, resolve)
}

/// Writes the canonical bytes of an event that is JSON already.
pub fn event_from_value(json: &Json, resolve: Resolve<'_>) -> Result<Vec<u8>, JsonFault> {
    let mut walk = Walk { path: Vec::new(), resolve };
    let Json::Object(members) = json else {
        return Err(walk.fault("is an object", json));
    };
    let mut members = members.clone();
    split_occurred_at(&mut members, &walk)?;
    let message = walk.message(&event_descriptor(), &Json::Object(members))?;
    // Through the generated type, whose writer is the one that is held to the canonical rules.
    let event: v1::Event =
        message.transcode_to().map_err(|error| walk.fault_found("is an event", error))?;
    let bytes = event.encode_to_vec();
    canonical::check(MessageName::Event, &bytes).map_err(|fault| JsonFault {
        path: fault.path.clone(),
        rule: "has a canonical spelling".to_owned(),
        found: fault.rule.to_string(),
    })?;
    Ok(bytes)
}

/// The descriptor of an event.
#[expect(clippy::expect_used, reason = "the descriptors are a build constant; a test reads them")]
fn event_descriptor() -> MessageDescriptor {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        DescriptorPool::decode(wire::DESCRIPTORS).expect("the protos are a descriptor set")
    });
    pool.get_message_by_name("urbanmine.v1.Event").expect("the protos hold the event")
}

/// `occurred_at` becomes the two fields that are signed.
fn split_occurred_at(
    members: &mut serde_json::Map<String, Json>,
    walk: &Walk<'_, '_>,
) -> Result<(), JsonFault> {
    const SIGNED: [&str; 4] =
        ["occurred_at_ms", "occurredAtMs", "occurred_at_offset_min", "occurredAtOffsetMin"];
    let key = ["occurred_at", "occurredAt"].into_iter().find(|key| members.contains_key(*key));
    let Some(key) = key else { return Ok(()) };
    let Some(value) = members.shift_remove(key) else { return Ok(()) };
    let at_key =
        |rule: &str, found: &Json| JsonFault { path: key.to_owned(), ..walk.fault(rule, found) };
    if SIGNED.iter().any(|field| members.contains_key(*field)) {
        return Err(at_key("stands alone, without the fields that it sets", &value));
    }
    let moment = value.as_str().map(text::moment);
    match moment {
        Some(Ok((millis, offset))) => {
            members.insert("occurred_at_ms".to_owned(), millis.into());
            members.insert("occurred_at_offset_min".to_owned(), offset.into());
            Ok(())
        }
        Some(Err(rule)) => Err(at_key(&rule, &value)),
        None => Err(at_key(text::MOMENT_RULE, &value)),
    }
}

/// A walk over the JSON, guided by the descriptor.
struct Walk<'r, 'f> {
    path: Vec<String>,
    resolve: &'r mut (dyn FnMut(&SymbolContext<'_>) -> Result<Vec<u8>, String> + 'f),
}

impl Walk<'_, '_> {
    fn message(
        &mut self,
        descriptor: &MessageDescriptor,
        json: &Json,
    ) -> Result<DynamicMessage, JsonFault> {
        if self.path.len() > 2 * MAX_MESSAGE_DEPTH {
            return Err(self.fault("does not lie this deep", json));
        }
        let Json::Object(members) = json else {
            return Err(self.fault("is an object", json));
        };
        let mut message = DynamicMessage::new(descriptor.clone());
        for (key, value) in members {
            self.path.push(key.clone());
            let field = descriptor
                .get_field_by_name(key)
                .or_else(|| descriptor.get_field_by_json_name(key))
                .ok_or_else(|| {
                    self.fault(&format!("is a field of {}", descriptor.name()), value)
                })?;
            if !value.is_null() {
                self.refuse_second(&message, &field, value)?;
                let read = self.field(&field, value)?;
                message.set_field(&field, read);
            }
            self.path.pop();
        }
        Ok(message)
    }

    /// A field under both its names, or two bodies: the last would win, so neither does.
    fn refuse_second(
        &self,
        message: &DynamicMessage,
        field: &FieldDescriptor,
        value: &Json,
    ) -> Result<(), JsonFault> {
        if message.has_field(field) {
            return Err(self.fault("stands once, under one of its names", value));
        }
        let Some(oneof) = field.containing_oneof() else { return Ok(()) };
        if oneof.fields().any(|other| message.has_field(&other)) {
            return Err(self.fault(&format!("is the only {}", oneof.name()), value));
        }
        Ok(())
    }

    fn field(&mut self, field: &FieldDescriptor, json: &Json) -> Result<Value, JsonFault> {
        if !field.is_list() {
            return self.single(field, json);
        }
        let Json::Array(elements) = json else {
            return Err(self.fault("is an array", json));
        };
        let mut values = Vec::with_capacity(elements.len());
        for (position, element) in elements.iter().enumerate() {
            self.path.push(format!("[{position}]"));
            values.push(self.single(field, element)?);
            self.path.pop();
        }
        Ok(Value::List(values))
    }

    fn single(&mut self, field: &FieldDescriptor, json: &Json) -> Result<Value, JsonFault> {
        match field.kind() {
            Kind::Message(descriptor) => self.message(&descriptor, json).map(Value::Message),
            Kind::String => match json {
                Json::String(text) => Ok(Value::String(text.clone())),
                _ => Err(self.fault("is a text", json)),
            },
            Kind::Bytes => self.bytes(field, json),
            Kind::Enum(words) => self.word(&words, json),
            Kind::Uint64 => self.unsigned(field, json).map(Value::U64),
            Kind::Uint32 => {
                let number = self.unsigned(field, json)?;
                let rule = "is a whole number of at most 4294967295";
                u32::try_from(number).map(Value::U32).map_err(|_| self.fault(rule, json))
            }
            Kind::Sint32 => {
                let number = json.as_i64().or_else(|| json.as_str()?.parse().ok());
                let number = number.and_then(|number| i32::try_from(number).ok());
                number.map(Value::I32).ok_or_else(|| self.fault("is a whole number", json))
            }
            _ => Err(self.fault("is of a type that events do not use", json)),
        }
    }

    fn bytes(&mut self, field: &FieldDescriptor, json: &Json) -> Result<Value, JsonFault> {
        let rule = "is a UUID, 64 hex digits, @name or base64";
        let Json::String(text) = json else {
            return Err(self.fault(rule, json));
        };
        if let Some(name) = text.strip_prefix('@') {
            let context = SymbolContext { field: field.name(), name };
            let bytes = (self.resolve)(&context).map_err(|rule| self.fault(&rule, json))?;
            return Ok(Value::Bytes(bytes.into()));
        }
        // Free bytes have one spelling: 64 characters of base64 could be hex digits too.
        let is_free = field.name() == "content";
        let named = if is_free { None } else { text::uuid(text).or_else(|| text::hex32(text)) };
        let bytes = named.or_else(|| text::base64(text)).ok_or_else(|| self.fault(rule, json))?;
        Ok(Value::Bytes(bytes.into()))
    }

    fn word(&self, words: &prost_reflect::EnumDescriptor, json: &Json) -> Result<Value, JsonFault> {
        let number = match json {
            Json::String(text) => words
                .values()
                .find(|word| word.name() == text || short_word(words, word.name()) == text)
                .map(|word| word.number()),
            _ => json
                .as_i64()
                .and_then(|number| i32::try_from(number).ok())
                .filter(|number| words.get_value(*number).is_some()),
        };
        let number =
            number.ok_or_else(|| self.fault(&format!("is a word of {}", words.name()), json))?;
        Ok(Value::EnumNumber(number))
    }

    fn unsigned(&self, field: &FieldDescriptor, json: &Json) -> Result<u64, JsonFault> {
        let Json::String(text) = json else {
            return json.as_u64().ok_or_else(|| self.fault("is a whole number", json));
        };
        if let Ok(number) = text.parse() {
            return Ok(number);
        }
        let name = field.name();
        let read = if name.ends_with("_ms") {
            text::moment(text).map(|(millis, _)| millis)
        } else if name.ends_with("_g") {
            text::grams(text)
        } else if name.ends_with("_e8") {
            text::fraction_e8(text)
        } else {
            Err("is a whole number".to_owned())
        };
        read.map_err(|rule| self.fault(&rule, json))
    }

    fn fault(&self, rule: &str, found: &Json) -> JsonFault {
        let text = found.to_string();
        let shown: String = text.chars().take(MAX_FOUND_BYTES).collect();
        let dots = if shown.len() < text.len() { "…" } else { "" };
        self.fault_found(rule, format!("{shown}{dots}"))
    }

    fn fault_found(&self, rule: &str, found: impl fmt::Display) -> JsonFault {
        let path = self.path.join(".").replace(".[", "[");
        JsonFault { path, rule: rule.to_owned(), found: found.to_string() }
    }
}

/// A word without the prefix of its enum, as people say it.
fn short_word<'w>(words: &prost_reflect::EnumDescriptor, name: &'w str) -> &'w str {
    let prefix_length = words
        .get_value(0)
        .and_then(|zero| zero.name().strip_suffix("UNSPECIFIED").map(str::len))
        .unwrap_or(0);
    name.get(prefix_length..).unwrap_or(name)
}
