//! Texts to numbers and bytes: exact, or refused.

use jiff::fmt::temporal::Pieces;
use jiff::{Timestamp, civil::DateTime};
use uuid::Uuid;

/// What a moment should be.
pub(super) const MOMENT_RULE: &str =
    "is RFC 3339 with an offset, like 2026-03-01T08:00:00+08:00, to the millisecond at most";
const MASS_RULE: &str = "is a number of grams, or a text like \"12.5 t\", \"300 kg\", \"250 g\"";
const FRACTION_RULE: &str =
    "is a number of 1e-8 parts, or a text like \"99.95 %\" with at most 6 decimals";
/// Alphabet of standard base64.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Milliseconds since 1970 and the offset in minutes.
pub(super) fn moment(text: &str) -> Result<(u64, i32), String> {
    let fault = || MOMENT_RULE.to_owned();
    let pieces = Pieces::parse(text).map_err(|_| fault())?;
    let offset = pieces.to_numeric_offset().ok_or_else(fault)?;
    let time = pieces.time().ok_or_else(fault)?;
    if pieces.time_zone_annotation().is_some() {
        return Err(fault());
    }
    let civil = DateTime::from_parts(pieces.date(), time);
    let at: Timestamp = offset.to_timestamp(civil).map_err(|_| fault())?;
    let is_exact = at.subsec_nanosecond() % 1_000_000 == 0 && offset.seconds() % 60 == 0;
    if !is_exact {
        return Err(fault());
    }
    let millis = u64::try_from(at.as_millisecond()).map_err(|_| fault())?;
    Ok((millis, offset.seconds() / 60))
}

/// `12.5 t`, `300 kg`, `250 g`.
pub(super) fn grams(text: &str) -> Result<u64, String> {
    let units = [("kg", 3), ("g", 0), ("t", 6)];
    units
        .into_iter()
        .find_map(|(unit, decimals)| Some((text.strip_suffix(unit)?, decimals)))
        .and_then(|(number, decimals)| decimal(number.trim_end(), decimals))
        .ok_or_else(|| MASS_RULE.to_owned())
}

/// `99.95 %`: a percent is 1e6 parts of 1e-8.
pub(super) fn fraction_e8(text: &str) -> Result<u64, String> {
    text.strip_suffix('%')
        .and_then(|number| decimal(number.trim_end(), 6))
        .ok_or_else(|| FRACTION_RULE.to_owned())
}

/// A plain decimal number times 10^`decimals`, exactly; no sign, no exponent.
fn decimal(text: &str, decimals: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let has_part = text.contains('.');
    let is_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = !whole.is_empty() && is_digits(whole) && is_digits(part);
    if !is_plain || part.len() > decimals || (has_part && part.is_empty()) {
        return None;
    }
    format!("{whole}{part:0<decimals$}").parse().ok()
}

/// A UUID with hyphens.
pub(super) fn uuid(text: &str) -> Option<Vec<u8>> {
    if text.len() != 36 {
        return None;
    }
    Uuid::try_parse(text).ok().map(|uuid| uuid.as_bytes().to_vec())
}

/// 64 hex digits.
pub(super) fn hex32(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..32).map(|byte| u8::from_str_radix(text.get(2 * byte..2 * byte + 2)?, 16).ok()).collect()
}

/// Standard base64 with padding, one spelling per value.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut bit_count) = (0_u32, 0_u32);
    for letter in body.bytes() {
        let position = BASE64.iter().position(|known| *known == letter)?;
        bits = (bits << 6) | u32::try_from(position).ok()?;
        bit_count += 6;
        if bit_count >= 8 {
            bit_count -= 8;
            bytes.push(u8::try_from(bits >> bit_count).ok()?);
            bits &= (1 << bit_count) - 1;
        }
    }
    // Left-over bits are zero, or the same bytes would have other spellings.
    (bits == 0 && bit_count < 6).then_some(bytes)
}

/// Bytes as standard base64 with padding.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for position in 0..4 {
            let index = (bits >> (18 - 6 * position)) & 0x3f;
            let is_padding = position > chunk.len();
            let letter = if is_padding { b'=' } else { BASE64[index as usize] };
            text.push(char::from(letter));
        }
    }
    text
}
