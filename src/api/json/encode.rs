//! A reply as JSON, from its bytes and its descriptor, piece by piece.
//!
//! The bytes are not turned into a tree of messages first: a trace of 100,000 steps would be a
//! hundred megabytes of it. They are walked once, and a piece is written when the client has taken
//! the one before. Fields stand in the order of the proto, under the proto's names, also when they
//! hold their default; so the same reply is the same text.

use std::ops::Range;

use bytes::Bytes;
use prost::encoding::{WireType, decode_key, decode_varint};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::scalar::bytes_text;
use crate::limits::{JSON_PIECE_BYTES, MAX_MESSAGE_DEPTH};

/// Bytes that are no message of their descriptor. Our own services do not send any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reply is not the message that this call answers with")]
pub struct Malformed;

/// What stands in a message under a number.
#[derive(Debug, Clone)]
enum Found {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// Where the bytes lie.
    Block(Range<usize>),
}

/// What stands in a message, ascending by number, in order within it.
type Contents = Vec<(u32, Found)>;

/// The text of one reply, in pieces of about [`JSON_PIECE_BYTES`].
#[derive(Debug)]
pub(super) struct Pieces {
    bytes: Bytes,
    fields: Vec<FieldDescriptor>,
    contents: Contents,
    /// The next field, and the next item when it is a list.
    at: Place,
    /// Whether no field was written yet: then no comma stands before the next.
    is_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Field(usize),
    Item(usize, usize),
    Ended,
}

impl Pieces {
    /// Begins.
    pub(super) fn new(descriptor: &MessageDescriptor, bytes: Bytes) -> Result<Self, Malformed> {
        let contents = contents_of(&bytes)?;
        let fields = descriptor.fields().collect();
        Ok(Self { bytes, fields, contents, at: Place::Field(0), is_first: true })
    }

    /// Whether all of it was written.
    pub(super) fn has_ended(&self) -> bool {
        self.at == Place::Ended
    }

    fn step(&mut self, out: &mut String) -> Result<(), Malformed> {
        let (at, item) = match self.at {
            Place::Field(at) => (at, None),
            Place::Item(at, item) => (at, Some(item)),
            Place::Ended => return Ok(()),
        };
        let Some(field) = self.fields.get(at) else {
            out.push('}');
            self.at = Place::Ended;
            return Ok(());
        };
        let found = occurrences(&self.contents, field.number());
        let is_listed_apart = field.is_list() && !is_packable(&field.kind());
        if !is_listed_apart {
            let before = out.len();
            write_field(out, self.is_first, field, found, &self.bytes, 1)?;
            self.is_first &= out.len() == before;
            self.at = Place::Field(at + 1);
            return Ok(());
        }
        let item = if let Some(item) = item {
            item
        } else {
            write_name(out, self.is_first, field);
            out.push('[');
            self.is_first = false;
            0
        };
        let Some((_, value)) = found.get(item) else {
            out.push(']');
            self.at = Place::Field(at + 1);
            return Ok(());
        };
        if item > 0 {
            out.push(',');
        }
        write_value(out, field, value, &self.bytes, 1)?;
        self.at = Place::Item(at, item + 1);
        Ok(())
    }
}

impl Iterator for Pieces {
    type Item = Result<Bytes, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended() {
            return None;
        }
        let mut out = String::new();
        if self.at == Place::Field(0) {
            out.push('{');
        }
        // Each round takes a field or an item, of which there are as many as the reply has.
        while out.len() < JSON_PIECE_BYTES && !self.has_ended() {
            if let Err(fault) = self.step(&mut out) {
                self.at = Place::Ended;
                return Some(Err(fault));
            }
        }
        Some(Ok(out.into()))
    }
}

/// A whole message as text.
pub(super) fn text(descriptor: &MessageDescriptor, bytes: &[u8]) -> Result<String, Malformed> {
    let mut out = String::new();
    write_message(&mut out, descriptor, bytes, 1)?;
    Ok(out)
}

fn write_message(
    out: &mut String,
    descriptor: &MessageDescriptor,
    bytes: &[u8],
    depth: usize,
) -> Result<(), Malformed> {
    if depth > MAX_MESSAGE_DEPTH {
        return Err(Malformed);
    }
    let contents = contents_of(bytes)?;
    out.push('{');
    let mut is_first = true;
    for field in descriptor.fields() {
        let before = out.len();
        let found = occurrences(&contents, field.number());
        write_field(out, is_first, &field, found, bytes, depth)?;
        is_first &= out.len() == before;
    }
    out.push('}');
    Ok(())
}

fn write_field(
    out: &mut String,
    is_first: bool,
    field: &FieldDescriptor,
    found: &[(u32, Found)],
    bytes: &[u8],
    depth: usize,
) -> Result<(), Malformed> {
    if field.is_list() {
        write_name(out, is_first, field);
        out.push('[');
        write_items(out, field, found, bytes, depth)?;
        out.push(']');
        return Ok(());
    }
    match found.last() {
        Some((_, value)) => {
            write_name(out, is_first, field);
            write_value(out, field, value, bytes, depth)
        }
        None if field.supports_presence() => Ok(()),
        None => {
            write_name(out, is_first, field);
            let nothing = match field.kind() {
                Kind::String | Kind::Bytes => Found::Block(0..0),
                _ => Found::Varint(0),
            };
            write_value(out, field, &nothing, bytes, depth)
        }
    }
}

fn write_items(
    out: &mut String,
    field: &FieldDescriptor,
    found: &[(u32, Found)],
    bytes: &[u8],
    depth: usize,
) -> Result<(), Malformed> {
    let mut is_first = true;
    let mut comma = |out: &mut String| {
        if !is_first {
            out.push(',');
        }
        is_first = false;
    };
    for (_, value) in found {
        let packed = match value {
            Found::Block(range) if is_packable(&field.kind()) => bytes.get(range.clone()),
            _ => None,
        };
        let Some(mut packed) = packed else {
            comma(out);
            write_value(out, field, value, bytes, depth)?;
            continue;
        };
        // Each round takes at least one byte.
        while !packed.is_empty() {
            let number = decode_varint(&mut packed).map_err(|_| Malformed)?;
            comma(out);
            write_value(out, field, &Found::Varint(number), bytes, depth)?;
        }
    }
    Ok(())
}

fn write_name(out: &mut String, is_first: bool, field: &FieldDescriptor) {
    if !is_first {
        out.push(',');
    }
    out.push('"');
    out.push_str(field.name());
    out.push_str("\":");
}

fn write_value(
    out: &mut String,
    field: &FieldDescriptor,
    value: &Found,
    bytes: &[u8],
    depth: usize,
) -> Result<(), Malformed> {
    match (field.kind(), value) {
        (Kind::Message(descriptor), Found::Block(range)) => {
            let bytes = bytes.get(range.clone()).ok_or(Malformed)?;
            write_message(out, &descriptor, bytes, depth + 1)
        }
        (Kind::String, Found::Block(range)) => {
            let bytes = bytes.get(range.clone()).ok_or(Malformed)?;
            write_string(out, std::str::from_utf8(bytes).map_err(|_| Malformed)?)
        }
        (Kind::Bytes, Found::Block(range)) => {
            let bytes = bytes.get(range.clone()).ok_or(Malformed)?;
            // Neither alphabet has a letter that JSON escapes.
            push(out, format_args!("\"{}\"", bytes_text(field, bytes)));
            Ok(())
        }
        (Kind::Enum(words), Found::Varint(number)) => {
            // An enum travels as 64 bits of a 32-bit number.
            let number = low_half(*number).cast_signed();
            match words.get_value(number) {
                Some(word) => push(out, format_args!("\"{}\"", word.name())),
                None => push(out, format_args!("{number}")),
            }
            Ok(())
        }
        (kind, Found::Varint(number)) => write_varint(out, &kind, *number),
        (Kind::Fixed64, Found::Fixed64(number)) => {
            push(out, format_args!("\"{number}\""));
            Ok(())
        }
        (Kind::Fixed32, Found::Fixed32(number)) => {
            push(out, format_args!("{number}"));
            Ok(())
        }
        _ => Err(Malformed),
    }
}

/// 64 bits go as text: half of the JSON readers of the world make a fraction of a bare number.
fn write_varint(out: &mut String, kind: &Kind, number: u64) -> Result<(), Malformed> {
    match kind {
        Kind::Bool => push(out, format_args!("{}", number != 0)),
        Kind::Uint64 | Kind::Fixed64 => push(out, format_args!("\"{number}\"")),
        Kind::Int64 => push(out, format_args!("\"{}\"", number.cast_signed())),
        Kind::Sint64 => {
            let value = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
            push(out, format_args!("\"{value}\""));
        }
        Kind::Uint32 | Kind::Fixed32 => push(out, format_args!("{}", low_half(number))),
        Kind::Int32 => push(out, format_args!("{}", low_half(number).cast_signed())),
        Kind::Sint32 => {
            let number = low_half(number);
            let value = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
            push(out, format_args!("{value}"));
        }
        _ => return Err(Malformed),
    }
    Ok(())
}

fn write_string(out: &mut String, text: &str) -> Result<(), Malformed> {
    out.push_str(&serde_json::to_string(text).map_err(|_| Malformed)?);
    Ok(())
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    use std::fmt::Write as _;
    // Writing to a String does not fail.
    let _ = out.write_fmt(text);
}

/// The lower 32 bits.
fn low_half(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn is_packable(kind: &Kind) -> bool {
    !matches!(kind, Kind::Message(_) | Kind::String | Kind::Bytes)
}

fn occurrences(contents: &Contents, number: u32) -> &[(u32, Found)] {
    let begin = contents.partition_point(|(other, _)| *other < number);
    let end = contents.partition_point(|(other, _)| *other <= number);
    contents.get(begin..end).unwrap_or_default()
}

fn contents_of(bytes: &[u8]) -> Result<Contents, Malformed> {
    let mut contents = Contents::new();
    let mut rest = bytes;
    // Each round takes at least one byte.
    while !rest.is_empty() {
        let (number, wire_type) = decode_key(&mut rest).map_err(|_| Malformed)?;
        let found = match wire_type {
            WireType::Varint => Found::Varint(decode_varint(&mut rest).map_err(|_| Malformed)?),
            WireType::SixtyFourBit => {
                let (fixed, behind) = rest.split_first_chunk().ok_or(Malformed)?;
                rest = behind;
                Found::Fixed64(u64::from_le_bytes(*fixed))
            }
            WireType::ThirtyTwoBit => {
                let (fixed, behind) = rest.split_first_chunk().ok_or(Malformed)?;
                rest = behind;
                Found::Fixed32(u32::from_le_bytes(*fixed))
            }
            WireType::LengthDelimited => {
                let length = decode_varint(&mut rest).map_err(|_| Malformed)?;
                let length = usize::try_from(length).map_err(|_| Malformed)?;
                let begin = bytes.len() - rest.len();
                rest = rest.get(length..).ok_or(Malformed)?;
                Found::Block(begin..begin + length)
            }
            WireType::StartGroup | WireType::EndGroup => return Err(Malformed),
        };
        contents.push((number, found));
    }
    // Stable: items of a list keep their order.
    contents.sort_by_key(|(number, _)| *number);
    Ok(contents)
}
