//! Path variables and query parameters into a request message.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor};

use super::scalar::from_text;
use crate::api::errors::Violation;

/// Builds a request from what stands in the path and behind the question mark. Every parameter is
/// a field of the request, once (a list as often as it has items), and not one of the path.
pub(super) fn message(
    descriptor: &MessageDescriptor,
    bindings: &[(FieldDescriptor, String)],
    query: &str,
) -> Result<DynamicMessage, Violation> {
    let mut message = DynamicMessage::new(descriptor.clone());
    let mut seen = BTreeSet::new();
    for (field, text) in bindings {
        set(&mut message, &mut seen, field, text)?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, text) = pair.split_once('=').unwrap_or((pair, ""));
        let readable = |text: &str| {
            let found = || violation(key, "percent-encoded UTF-8", text);
            decoded(text, true).ok_or_else(found)
        };
        let (key, text) = (readable(key)?, readable(text)?);
        let field = descriptor
            .get_field_by_name(&key)
            .or_else(|| descriptor.get_field_by_json_name(&key))
            .filter(|field| field.kind().as_message().is_none())
            .ok_or_else(|| violation(&key, &known(descriptor), "an unknown parameter"))?;
        set(&mut message, &mut seen, &field, &text)?;
    }
    Ok(message)
}

fn set(
    message: &mut DynamicMessage,
    seen: &mut BTreeSet<u32>,
    field: &FieldDescriptor,
    text: &str,
) -> Result<(), Violation> {
    let value = from_text(field, text);
    let value = value.map_err(|rule| violation(field.name(), &rule, text))?;
    if field.is_list() {
        if let Some(items) = message.get_field_mut(field).as_list_mut() {
            items.push(value);
        }
        return Ok(());
    }
    if !seen.insert(field.number()) {
        return Err(violation(field.name(), "given once, in the path or in the query", text));
    }
    refuse_rival(message, field)
        .map_err(|rule| violation(field.name(), &rule, "more than one of them"))?;
    message.set_field(field, value);
    Ok(())
}

/// Of the fields of a oneof one is set: the last would win, so neither does.
pub(super) fn refuse_rival(
    message: &DynamicMessage,
    field: &FieldDescriptor,
) -> Result<(), String> {
    let Some(oneof) = field.containing_oneof() else { return Ok(()) };
    if oneof.fields().any(|other| message.has_field(&other)) {
        let names: Vec<String> = oneof.fields().map(|field| field.name().to_owned()).collect();
        return Err(format!("only one of {}", names.join(", ")));
    }
    Ok(())
}

/// The fields of a message, for somebody who misspelled one.
pub(super) fn known(descriptor: &MessageDescriptor) -> String {
    let names: Vec<String> = descriptor.fields().map(|field| field.name().to_owned()).collect();
    match names.as_slice() {
        [] => "nothing: this call takes no fields".to_owned(),
        names => format!("one of {}", names.join(", ")),
    }
}

fn violation(field: &str, rule: &str, found: &str) -> Violation {
    Violation { field: field.to_owned(), rule: rule.to_owned(), found: found.to_owned() }
}

/// Takes percent-encoding off a text; in a query `+` is a space, as forms write it. `None` for an
/// encoding that is cut short or is no UTF-8.
pub(super) fn decoded(text: &str, is_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    // Each round takes at least one byte off `rest`.
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'%' => {
                let (digits, behind) = behind.split_at_checked(2)?;
                let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
                let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = behind;
            }
            b'+' if is_query => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok()
}
