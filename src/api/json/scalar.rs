//! One value as text: what is admitted, and how it is written.
//!
//! | field | written | read |
//! |---|---|---|
//! | `*_id` of 16 bytes | a UUID, lower case | a UUID, or base64 |
//! | hashes, keys and their ids | base64, standard, padded | 64 hex digits, or base64 |
//! | other bytes | base64, standard, padded | base64, standard or URL-safe, padded or not |
//! | 64-bit numbers | a string of digits | digits, as a string or bare |
//! | 32-bit numbers | digits, bare | digits, bare or as a string |
//! | enums | the name | the name, or the number bare |
//!
//! No number has a point or an exponent: what is counted here is whole.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use bytes::Bytes;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, Value};
use uuid::Uuid;

/// Bytes of an id.
const ID_BYTES: usize = 16;
/// Letters of a UUID with its hyphens.
const UUID_LETTERS: usize = 36;
/// Digits of a hash, as errors and the command line write one.
const HASH_DIGITS: usize = 64;

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const READ_STANDARD: GeneralPurpose = GeneralPurpose::new(&STANDARD, ANY_PADDING);
const READ_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, ANY_PADDING);

/// Whether a field is an id of ours: bytes by type, `*_id` by name. Ids of keys are hashes.
pub(super) fn is_id(field: &FieldDescriptor) -> bool {
    let name = field.name();
    let is_named_so = name.ends_with("_id") || name.ends_with("_ids");
    let is_of_key = name.ends_with("key_id") || name.ends_with("key_ids");
    field.kind() == Kind::Bytes && is_named_so && !is_of_key
}

/// Whether a field is a hash or a key, by name. Their 32 bytes are never 64 letters of base64, so
/// hex is told apart.
fn is_hash(field: &FieldDescriptor) -> bool {
    const NAMES: [&str; 4] = ["sha256", "key_id", "public_key", "root"];
    field.kind() == Kind::Bytes && NAMES.iter().any(|name| field.name().ends_with(name))
}

/// Reads a value from the path or the query. An error is the rule that the text breaks.
pub(super) fn from_text(field: &FieldDescriptor, text: &str) -> Result<Value, String> {
    match field.kind() {
        Kind::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("true or false".to_owned()),
        },
        Kind::Enum(words) => match text.parse::<i64>() {
            Ok(number) if is_digits(text) => word_of_number(&words, number),
            _ => word(&words, text),
        },
        _ => from_string(field, text),
    }
}

/// Reads a value from a JSON string.
pub(super) fn from_string(field: &FieldDescriptor, text: &str) -> Result<Value, String> {
    match field.kind() {
        Kind::String => Ok(Value::String(text.to_owned())),
        Kind::Bytes => bytes(field, text).map(Value::Bytes),
        Kind::Enum(words) => word(&words, text),
        kind => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let number = if is_digits(digits) { text.parse::<i128>().ok() } else { None };
            number.and_then(|number| whole(&kind, number)).ok_or_else(|| rule_of(field))
        }
    }
}

/// Reads a value from a JSON number without point and exponent.
pub(super) fn from_number(field: &FieldDescriptor, number: i128) -> Result<Value, String> {
    match field.kind() {
        Kind::Enum(words) => word_of_number(&words, i64::try_from(number).unwrap_or(i64::MAX)),
        kind => whole(&kind, number).ok_or_else(|| rule_of(field)),
    }
}

/// What a field takes, in words.
pub(super) fn rule_of(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Bool => "true or false".to_owned(),
        Kind::Bytes if is_id(field) => "a UUID, or base64 of its 16 bytes".to_owned(),
        Kind::Bytes if is_hash(field) => "64 hex digits, or base64 of 32 bytes".to_owned(),
        Kind::Bytes => "base64".to_owned(),
        Kind::Enum(words) => format!("a name of {}", words.name()),
        Kind::Message(descriptor) => format!("an object, {}", descriptor.name()),
        Kind::String => "a string".to_owned(),
        Kind::Uint64 | Kind::Fixed64 => format!("a whole number of 0 to {}", u64::MAX),
        Kind::Uint32 | Kind::Fixed32 => format!("a whole number of 0 to {}", u32::MAX),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            format!("a whole number of {} to {}", i64::MIN, i64::MAX)
        }
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            format!("a whole number of {} to {}", i32::MIN, i32::MAX)
        }
        Kind::Float | Kind::Double => "nothing: there are no fractions here".to_owned(),
    }
}

/// Writes bytes: an id as a UUID, all others as base64.
pub(super) fn bytes_text(field: &FieldDescriptor, bytes: &[u8]) -> String {
    let id = <[u8; ID_BYTES]>::try_from(bytes).ok().filter(|_| is_id(field));
    match id {
        Some(id) => Uuid::from_bytes(id).hyphenated().to_string(),
        None => general_purpose::STANDARD.encode(bytes),
    }
}

fn bytes(field: &FieldDescriptor, text: &str) -> Result<Bytes, String> {
    if is_id(field) && text.len() == UUID_LETTERS {
        // No base64 of 16 bytes is this long.
        let id = Uuid::try_parse(text).map_err(|_| rule_of(field))?;
        return Ok(Bytes::copy_from_slice(id.as_bytes()));
    }
    if is_hash(field) && text.len() == HASH_DIGITS {
        let digits = text.as_bytes().chunks(2).map(|pair| {
            let is_hex = pair.iter().all(u8::is_ascii_hexdigit);
            let pair = std::str::from_utf8(pair).ok().filter(|_| is_hex)?;
            u8::from_str_radix(pair, 16).ok()
        });
        return digits.collect::<Option<Bytes>>().ok_or_else(|| rule_of(field));
    }
    let is_url_safe = text.contains(['-', '_']);
    let engine = if is_url_safe { READ_URL_SAFE } else { READ_STANDARD };
    engine.decode(text).map(Bytes::from).map_err(|_| rule_of(field))
}

fn word(words: &EnumDescriptor, text: &str) -> Result<Value, String> {
    let found = words.get_value_by_name(text);
    let found = found.map(|word| Value::EnumNumber(word.number()));
    found.ok_or_else(|| format!("a name of {}", words.name()))
}

fn word_of_number(words: &EnumDescriptor, number: i64) -> Result<Value, String> {
    let known = i32::try_from(number).ok().filter(|number| words.get_value(*number).is_some());
    known.map(Value::EnumNumber).ok_or_else(|| format!("a name of {}", words.name()))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn whole(kind: &Kind, number: i128) -> Option<Value> {
    match kind {
        Kind::Uint64 | Kind::Fixed64 => number.try_into().ok().map(Value::U64),
        Kind::Uint32 | Kind::Fixed32 => number.try_into().ok().map(Value::U32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => number.try_into().ok().map(Value::I64),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => number.try_into().ok().map(Value::I32),
        _ => None,
    }
}
