//! A body of JSON into a request message, strictly and without a tree of JSON in between.
//!
//! The text is read along the descriptor: what the message does not have is refused where it
//! stands, so nothing lies deeper than messages do, and a count bounds how many values there are.
//! So what is held is bounded by the text and that count.

use std::fmt;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::fault::HttpFault;
use super::query::{known, refuse_rival};
use super::scalar::{from_number, from_string, rule_of};
use crate::api::errors::{Failure, Violation};
use crate::limits::{MAX_FOUND_BYTES, MAX_JSON_VALUES};

/// Reads the one object that a body is.
pub(super) fn message(
    descriptor: &MessageDescriptor,
    text: &[u8],
) -> Result<DynamicMessage, Failure> {
    let mut reading = Reading { path: String::new(), values_left: MAX_JSON_VALUES, fault: None };
    let mut json = serde_json::Deserializer::from_slice(text);
    let whole = Whole { descriptor, reading: &mut reading };
    let read = whole.deserialize(&mut json).and_then(|message| json.end().map(|()| message));
    match (read, reading.fault) {
        (_, Some(violation)) => Err(Failure::Request(vec![violation])),
        (Ok(message), None) => Ok(message),
        (Err(error), None) => {
            Err(Failure::Http(HttpFault::JsonMalformed { detail: error.to_string() }))
        }
    }
}

/// Where the reading is, and what stopped it.
struct Reading {
    path: String,
    values_left: usize,
    /// What is wrong in our words; the error that travels through serde is only a stop.
    fault: Option<Violation>,
}

impl Reading {
    fn refuse<E: Error>(&mut self, rule: &str, found: &str) -> E {
        let mut end = found.len().min(MAX_FOUND_BYTES);
        // A character has at most 4 bytes, so this ends after as many rounds.
        while !found.is_char_boundary(end) {
            end -= 1;
        }
        let mark = if end < found.len() { "…" } else { "" };
        self.fault = Some(Violation {
            field: if self.path.is_empty() { "body".to_owned() } else { self.path.clone() },
            rule: rule.to_owned(),
            found: format!("{}{mark}", &found[..end]),
        });
        E::custom("refused")
    }

    fn count<E: Error>(&mut self) -> Result<(), E> {
        match self.values_left.checked_sub(1) {
            Some(left) => {
                self.values_left = left;
                Ok(())
            }
            None => Err(self.refuse(&format!("at most {MAX_JSON_VALUES} values"), "more")),
        }
    }

    /// Reads what lies below a step of the path.
    fn below<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(step);
        let value = read(self);
        self.path.truncate(length);
        value
    }

    fn members<'de, A: MapAccess<'de>>(
        &mut self,
        descriptor: &MessageDescriptor,
        mut object: A,
    ) -> Result<DynamicMessage, A::Error> {
        let mut message = DynamicMessage::new(descriptor.clone());
        let mut seen = Vec::new();
        // Ends with the text; every field comes once.
        while let Some(key) = object.next_key::<String>()? {
            let step = if self.path.is_empty() { key.clone() } else { format!(".{key}") };
            self.below(&step, |reading| {
                let field = descriptor
                    .get_field_by_name(&key)
                    .or_else(|| descriptor.get_field_by_json_name(&key));
                let Some(field) = field else {
                    return Err(reading.refuse(&known(descriptor), "an unknown field"));
                };
                if seen.contains(&field.number()) {
                    return Err(reading.refuse("given once", "the same field again"));
                }
                seen.push(field.number());
                let value =
                    object.next_value_seed(One { field: &field, reading, is_item: false })?;
                let Some(value) = value else { return Ok(()) };
                refuse_rival(&message, &field)
                    .map_err(|rule| reading.refuse(&rule, "more than one of them"))?;
                message.set_field(&field, value);
                Ok(())
            })?;
        }
        Ok(message)
    }
}

/// The message that a body is.
struct Whole<'r> {
    descriptor: &'r MessageDescriptor,
    reading: &'r mut Reading,
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = DynamicMessage;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = DynamicMessage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object, {}", self.descriptor.name())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        self.reading.members(self.descriptor, object)
    }
}

/// The value of a field, or one item of a list. `null` is a field that is not there.
struct One<'r> {
    field: &'r FieldDescriptor,
    reading: &'r mut Reading,
    is_item: bool,
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Option<Value>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        self.reading.count()?;
        json.deserialize_any(self)
    }
}

impl One<'_> {
    fn is_list(&self) -> bool {
        self.field.is_list() && !self.is_item
    }

    fn rule(&self) -> String {
        if self.is_list() { "an array".to_owned() } else { rule_of(self.field) }
    }

    fn wrong<E: Error>(self, found: &str) -> E {
        let rule = self.rule();
        self.reading.refuse(&rule, found)
    }

    fn told<E: Error>(
        self,
        read: impl FnOnce(&FieldDescriptor) -> Result<Value, String>,
        found: &str,
    ) -> Result<Option<Value>, E> {
        if self.is_list() {
            return Err(self.wrong(found));
        }
        let value = read(self.field);
        value.map(Some).map_err(|rule| self.reading.refuse(&rule, found))
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        if self.is_item { Err(self.wrong("null")) } else { Ok(None) }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        let read = |field: &FieldDescriptor| match field.kind() {
            Kind::Bool => Ok(Value::Bool(value)),
            _ => Err(rule_of(field)),
        };
        self.told(read, if value { "true" } else { "false" })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        self.told(|field| from_number(field, number.into()), &number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.told(|field| from_number(field, number.into()), &number.to_string())
    }

    /// The parser takes numbers with a point or an exponent, and those of more than 64 bits, for
    /// fractions. None is read.
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        let found = "a number with a point or an exponent, or of more than 64 bits";
        self.told(|field| Err(rule_of(field)), found)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let read = |field: &FieldDescriptor| match field.kind() {
            Kind::Bool => Err(rule_of(field)),
            _ => from_string(field, text),
        };
        self.told(read, text)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        match self.field.kind() {
            Kind::Message(descriptor) if !self.is_list() => {
                self.reading.members(&descriptor, object).map(|it| Some(Value::Message(it)))
            }
            _ => Err(self.wrong("an object")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        if !self.is_list() {
            return Err(self.wrong("an array"));
        }
        let mut items = Vec::new();
        // Each round counts a value, and there are at most so many.
        loop {
            let (field, step) = (self.field, format!("[{}]", items.len()));
            let item = self.reading.below(&step, |reading| {
                array.next_element_seed(One { field, reading, is_item: true })
            })?;
            match item {
                Some(Some(value)) => items.push(value),
                Some(None) => {}
                None => return Ok(Some(Value::List(items))),
            }
        }
    }
}
