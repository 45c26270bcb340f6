//! Standard base64 with padding (RFC 4648, section 4), strictly: one text for each byte string.
//!
//! Of our own because the notes of the record need a decoder that refuses every second spelling.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Why a text is not canonical base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Base64Fault {
    /// Not whole groups of four characters.
    #[error("base64 comes in groups of 4 characters, not {0} characters")]
    Length(usize),
    /// A character outside the alphabet, or padding that is not at the end.
    #[error("base64 offset {offset}: byte {found:#04x} has no meaning here")]
    Character {
        /// Where.
        offset: usize,
        /// Which.
        found: u8,
    },
    /// Bits after the last byte that are not zero.
    #[error("base64: the unused bits of the last group are not zero")]
    TrailingBits,
}

/// Spells bytes.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0_u8; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(group);
        for place in 0..4_usize {
            let sextet = (bits >> (18 - 6 * place)) & 0x3f;
            let is_padding = place > chunk.len();
            out.push(if is_padding { '=' } else { char::from(ALPHABET[sextet as usize]) });
        }
    }
    out
}

/// Reads a text; refuses missing padding, whitespace and unused bits.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Fault> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return Err(Base64Fault::Length(text.len()));
    }
    let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let digits = &text[..text.len() - padding];
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for (group, chunk) in digits.chunks(4).enumerate() {
        let mut bits = 0_u32;
        for (place, &found) in chunk.iter().enumerate() {
            let offset = group * 4 + place;
            let sextet = sextet_of(found).ok_or(Base64Fault::Character { offset, found })?;
            bits |= u32::from(sextet) << (18 - 6 * place);
        }
        // 4 digits carry 3 bytes, 3 carry 2, 2 carry 1.
        let [_, bytes @ ..] = bits.to_be_bytes();
        let (carried, unused) = bytes.split_at(chunk.len() - 1);
        if unused.iter().any(|byte| *byte != 0) {
            return Err(Base64Fault::TrailingBits);
        }
        out.extend_from_slice(carried);
    }
    Ok(out)
}

fn sextet_of(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Base64Fault, decode, encode};
    use proptest::prelude::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        let rows = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, spelled) in rows {
            assert_eq!(encode(plain.as_bytes()), spelled);
            assert_eq!(decode(spelled), Ok(plain.as_bytes().to_vec()));
        }
    }

    #[test]
    fn second_spellings_are_refused() {
        let character = |offset, found| Err(Base64Fault::Character { offset, found });
        assert_eq!(decode("Zg="), Err(Base64Fault::Length(3)));
        assert_eq!(decode("Zg"), Err(Base64Fault::Length(2)));
        assert_eq!(decode("Zh=="), Err(Base64Fault::TrailingBits));
        assert_eq!(decode("Zm9="), Err(Base64Fault::TrailingBits));
        assert_eq!(decode("Zg==Zg=="), character(2, b'='));
        assert_eq!(decode("Z==="), character(1, b'='));
        assert_eq!(decode("===="), character(0, b'='));
        assert_eq!(decode("Zm9\n"), character(3, b'\n'));
        assert_eq!(decode("Zm-v"), character(2, b'-'));
    }

    proptest! {
        #[test]
        fn what_is_decoded_is_spelled_the_same(text in "[A-Za-z0-9+/=]{0,24}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }

        #[test]
        fn what_is_spelled_is_decoded(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }
    }
}
