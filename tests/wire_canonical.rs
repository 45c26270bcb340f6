//! One row per rule of the canonical spelling: hand-made bytes, the rule they break and where.

#![allow(clippy::expect_used, reason = "a test may stop")]

use urbanmine::wire::canonical::{self, CanonicalRule as Rule, MessageName, NonCanonical};
use urbanmine::wire::{self, DecodeFault};

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const DELIMITED: u8 = 2;

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("seven bits"));
    bytes
}

fn tag(number: u32, wire_type: u8) -> Vec<u8> {
    varint(u64::from(number) << 3 | u64::from(wire_type))
}

fn number(field: u32, value: u64) -> Vec<u8> {
    [tag(field, VARINT), varint(value)].concat()
}

fn delimited(field: u32, content: &[u8]) -> Vec<u8> {
    [tag(field, DELIMITED), varint(content.len() as u64), content.to_vec()].concat()
}

/// A split: the smallest body that has a list, a mass and an id.
fn split(children: &[Vec<u8>], tail: &[u8]) -> Vec<u8> {
    let mut body = delimited(1, &[7; 16]);
    for child in children {
        body.extend(delimited(2, child));
    }
    body.extend(tail);
    delimited(42, &body)
}

fn child(mass: &[u8]) -> Vec<u8> {
    [delimited(1, &[9; 16]), mass.to_vec()].concat()
}

/// An event of some head fields and a body.
fn event(head: &[u8], body: &[u8]) -> Vec<u8> {
    [head, body].concat()
}

fn refused(bytes: &[u8]) -> NonCanonical {
    canonical::check(MessageName::Event, bytes).expect_err("these bytes break a rule")
}

#[track_caller]
fn assert_refused(bytes: &[u8], rule: Rule, path: &str) {
    let fault = refused(bytes);
    assert_eq!((fault.rule, fault.path.as_str()), (rule, path), "{fault}");
    assert!(matches!(wire::decode_event(bytes), Err(DecodeFault::NonCanonical(_))));
}

#[test]
fn a_plain_event_is_admitted() {
    let body = split(&[child(&number(2, 5)), child(&number(2, 6))], &number(3, 1));
    let bytes = event(&number(5, 1), &body);
    assert_eq!(canonical::check(MessageName::Event, &bytes), Ok(()));
}

#[test]
fn truncated() {
    assert_refused(&[0x80], Rule::Truncated, "");
    assert_refused(&[0x28, 0xff], Rule::Truncated, "occurred_at_ms");
    assert_refused(&tag(5, VARINT), Rule::Truncated, "occurred_at_ms");
}

#[test]
fn varint_too_long() {
    let eleven = [vec![0xff; 10], vec![1]].concat();
    assert_refused(&[tag(5, VARINT), eleven].concat(), Rule::VarintTooLong, "occurred_at_ms");
    let over_64_bits = [vec![0xff; 9], vec![2]].concat();
    let bytes = [tag(5, VARINT), over_64_bits].concat();
    assert_refused(&bytes, Rule::VarintTooLong, "occurred_at_ms");
}

#[test]
fn varint_not_minimal() {
    // In a tag, a value, a length.
    assert_refused(&[0xa8, 0x00, 0x01], Rule::VarintNotMinimal, "");
    assert_refused(&[0x28, 0x81, 0x00], Rule::VarintNotMinimal, "occurred_at_ms");
    assert_refused(&[0x12, 0x81, 0x00, b'a'], Rule::VarintNotMinimal, "origin");
}

#[test]
fn field_number() {
    assert_refused(&[0x00, 0x01], Rule::FieldNumber, "");
    assert_refused(&[varint(1 << 32), vec![1]].concat(), Rule::FieldNumber, "");
}

#[test]
fn group() {
    for wire_type in [3, 4, 6, 7] {
        assert_refused(&tag(5, wire_type), Rule::Group, "#5");
    }
}

#[test]
fn unknown_field() {
    assert_refused(&number(11, 1), Rule::UnknownField, "#11");
    let body = split(&[], &number(9, 1));
    assert_refused(&body, Rule::UnknownField, "split_lot.#9");
}

#[test]
fn wire_type() {
    let fixed = [tag(5, FIXED64), vec![1; 8]].concat();
    assert_refused(&fixed, Rule::WireType, "occurred_at_ms");
    assert_refused(&number(2, 1), Rule::WireType, "origin");
    let body = split(&[child(&delimited(2, &[1]))], &[]);
    assert_refused(&body, Rule::WireType, "split_lot.children[0].mass_g");
}

#[test]
fn order() {
    let head = [number(5, 1), delimited(2, b"a")].concat();
    assert_refused(&head, Rule::Order, "origin");
    let late_child = delimited(2, &child(&number(2, 5)));
    let body = split(&[], &[number(3, 1), late_child].concat());
    assert_refused(&body, Rule::Order, "split_lot.children[0]");
    // A list in two pieces is the same fault.
    let pieces = [delimited(7, &[]), delimited(8, &[]), delimited(7, &[])].concat();
    assert_eq!(refused(&pieces).rule, Rule::Order);
}

#[test]
fn repeated() {
    let head = [number(5, 1), number(5, 2)].concat();
    assert_refused(&head, Rule::Repeated, "occurred_at_ms");
    let body = [split(&[], &[]), split(&[], &[])].concat();
    assert_refused(&body, Rule::Repeated, "split_lot");
}

#[test]
fn oneof_twice() {
    let body = [split(&[], &[]), delimited(43, &[])].concat();
    assert_refused(&body, Rule::OneofTwice, "merge_lots");
}

#[test]
fn oneof_missing() {
    assert_refused(&number(5, 1), Rule::OneofMissing, "body");
    assert_refused(&[], Rule::OneofMissing, "body");
    let statement = canonical::check(MessageName::Statement, &delimited(1, b"a"));
    assert_eq!(statement.map_err(|fault| fault.rule), Err(Rule::OneofMissing));
}

#[test]
fn default() {
    assert_refused(&number(5, 0), Rule::Default, "occurred_at_ms");
    assert_refused(&delimited(1, &[]), Rule::Default, "event_id");
    assert_refused(&delimited(2, &[]), Rule::Default, "origin");
    assert_refused(&number(6, 0), Rule::Default, "occurred_at_offset_min");
    let unspecified = delimited(7, &number(1, 0));
    assert_refused(&unspecified, Rule::Default, "documents[0].kind");
    // Elements of lists and messages have presence: an empty one says something.
    let site = delimited(1, &delimited(7, &[]));
    let body = delimited(23, &site);
    assert_eq!(canonical::check(MessageName::Event, &body), Ok(()));
}

#[test]
fn range() {
    // A 32-bit number of 33 bits, a zigzag of 33 bits, an enum beyond 31 bits.
    let chunk = delimited(31, &number(2, 1 << 32));
    assert_refused(&chunk, Rule::Range, "publish_tables.chunk_index");
    assert_refused(&number(6, 1 << 32), Rule::Range, "occurred_at_offset_min");
    let kind = delimited(7, &number(1, 1 << 31));
    assert_refused(&kind, Rule::Range, "documents[0].kind");
}

#[test]
fn unknown_enum_value() {
    let kind = [delimited(7, &number(1, 1)), delimited(7, &number(1, 99))].concat();
    assert_refused(&kind, Rule::UnknownEnumValue, "documents[1].kind");
    let negative = delimited(7, &number(1, u64::MAX));
    assert_refused(&negative, Rule::UnknownEnumValue, "documents[0].kind");
}

#[test]
fn utf8() {
    assert_refused(&delimited(2, &[0xff]), Rule::Utf8, "origin");
    // Overlong, surrogate: both are refused by the standard decoder.
    assert_refused(&delimited(2, &[0xc0, 0x80]), Rule::Utf8, "origin");
    assert_refused(&delimited(2, &[0xed, 0xa0, 0x80]), Rule::Utf8, "origin");
}

#[test]
fn length() {
    assert_refused(&[0x12, 0x05, b'a'], Rule::Length, "origin");
    // A child that reaches beyond its split, though not beyond the event.
    let child = [tag(2, DELIMITED), varint(3), vec![1]].concat();
    let bytes = [delimited(42, &child), vec![0; 8]].concat();
    assert_refused(&bytes, Rule::Length, "split_lot.children[0]");
    let huge = [tag(2, DELIMITED), varint(u64::MAX)].concat();
    assert_refused(&huge, Rule::Length, "origin");
}

#[test]
fn nothing_stands_after_the_end() {
    let body = split(&[], &[]);
    let fault = refused(&[body.clone(), vec![0]].concat());
    assert_eq!((fault.rule, fault.offset), (Rule::FieldNumber, body.len()));
}

#[test]
fn offsets_point_at_the_item() {
    let head = number(5, 1);
    let body = split(&[child(&number(2, 0))], &[]);
    let fault = refused(&event(&head, &body));
    assert_eq!(fault.offset, head.len() + body.len() - 1);
    assert_eq!(
        fault.to_string(),
        "not canonical at byte 44, field split_lot.children[0].mass_g: a field without presence is \
         absent when it holds its default"
    );
}

#[test]
fn too_large() {
    let limit = urbanmine::limits::MAX_PAYLOAD_BYTES;
    let fault = wire::decode_event(&vec![0; limit + 1]);
    assert_eq!(fault, Err(DecodeFault::TooLarge { found: limit + 1, max: limit }));
}
