//! Standard base64 with padding (RFC 4648, section 4), strictly: one text for each byte string.
//!
//! The engine refuses missing padding and unused bits that are not zero; the tests hold it to that,
//! because the notes of the record rest on it.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

/// Why a text is not canonical base64.
pub type Base64Fault = ::base64::DecodeError;

/// Spells bytes.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Spells bytes behind a text.
pub fn encode_onto(text: &mut String, bytes: &[u8]) {
    STANDARD.encode_string(bytes, text);
}

/// Reads a text; refuses missing padding, whitespace and unused bits.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Fault> {
    STANDARD.decode(text)
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
        let character = |offset, found| Err(Base64Fault::InvalidByte(offset, found));
        assert!(decode("Zg=").is_err());
        assert_eq!(decode("Zg"), Err(Base64Fault::InvalidPadding));
        assert!(matches!(decode("Zh=="), Err(Base64Fault::InvalidLastSymbol(..))));
        assert!(matches!(decode("Zm9="), Err(Base64Fault::InvalidLastSymbol(..))));
        assert!(decode("Zg==Zg==").is_err());
        assert!(decode("Z===").is_err());
        assert!(decode("====").is_err());
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
