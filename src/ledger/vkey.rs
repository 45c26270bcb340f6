//! Verifier keys of C2SP signed-note: `<name>+<key id, hex>+<base64 of signature type and key>`.

use std::fmt;

use super::base64;
use super::checkpoint::{TYPE_ED25519, is_key_name, note_key_id};
use super::keys::{KeyFault, StrictKey};
use crate::domain::PublicKey;
use crate::limits::{MAX_KEY_NAME_BYTES, MAX_VKEY_BYTES};

/// What a key's signatures are: the signature types of C2SP signed-note that this house speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureType {
    /// `0x01`: ed25519 over the text of the note. A log signs so.
    Ed25519,
    /// `0x04`: a timestamped ed25519 cosignature (C2SP tlog-cosignature). A witness signs so.
    CosignatureV1,
}

impl SignatureType {
    /// The byte that stands for it.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => TYPE_ED25519,
            Self::CosignatureV1 => 0x04,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            TYPE_ED25519 => Some(Self::Ed25519),
            0x04 => Some(Self::CosignatureV1),
            _ => None,
        }
    }
}

/// Who signs notes: a name, a strictly parsed key, and what kind of signature it makes. Name and
/// key id together say which signature lines are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    signature_type: SignatureType,
    key: StrictKey,
    id: [u8; 4],
}

/// Why a text is not a verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VkeyFault {
    /// Longer than any.
    #[error("a verifier key has at most {MAX_VKEY_BYTES} bytes, not {0}")]
    TooLong(usize),
    /// Not three parts.
    #[error("a verifier key is `<name>+<8 hex digits>+<base64>`")]
    Parts,
    /// A name that no signature line can have.
    #[error(
        "a key's name has 1 to {MAX_KEY_NAME_BYTES} bytes, no space, plus or control character: \
         {0:?}"
    )]
    Name(String),
    /// The second part is not a key id.
    #[error("a key id is 8 lower-case hex digits, not {0:?}")]
    KeyId(String),
    /// The third part is not base64.
    #[error("the key is not in base64")]
    Base64,
    /// A signature type that this software does not check.
    #[error("signature type {0:#04x} is not one that is checked here (0x01, 0x04)")]
    Type(u8),
    /// Another signature type than is wanted in this place.
    #[error("signature type {found:#04x}, where {wanted:#04x} is wanted")]
    OtherType {
        /// What is wanted.
        wanted: u8,
        /// What it is.
        found: u8,
    },
    /// Not 32 bytes behind the signature type.
    #[error("an ed25519 key has 32 bytes, not {0}")]
    KeyLength(usize),
    /// The key is not sound.
    #[error("the key is not sound: {0}")]
    Key(#[source] KeyFault),
    /// The key id is not that of name, type and key: a typing error somewhere.
    #[error("the key id is {expected:08x} by name, type and key, not {found:08x}")]
    OtherKeyId {
        /// What it is by name, type and key.
        expected: u32,
        /// What was written.
        found: u32,
    },
}

impl VerifierKey {
    /// Of a name and a key.
    pub fn new(
        name: &str,
        signature_type: SignatureType,
        key: &PublicKey,
    ) -> Result<Self, VkeyFault> {
        let is_short = name.len() <= MAX_KEY_NAME_BYTES;
        if !is_short || !is_key_name(name) || name.chars().any(char::is_control) {
            return Err(VkeyFault::Name(name.chars().take(MAX_KEY_NAME_BYTES).collect()));
        }
        let id = note_key_id(name, signature_type.byte(), key);
        let key = StrictKey::parse(key).map_err(VkeyFault::Key)?;
        Ok(Self { name: name.to_owned(), signature_type, key, id })
    }

    /// Reads the text of one; its key id has to be that of name, type and key.
    pub fn parse(text: &str) -> Result<Self, VkeyFault> {
        if text.len() > MAX_VKEY_BYTES {
            return Err(VkeyFault::TooLong(text.len()));
        }
        // A name has no plus; base64 may.
        let (name, rest) = text.split_once('+').ok_or(VkeyFault::Parts)?;
        let (id, typed) = rest.split_once('+').ok_or(VkeyFault::Parts)?;
        let is_id = id.len() == 8 && id.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        let found = u32::from_str_radix(id, 16).ok().filter(|_| is_id);
        let found = found.ok_or_else(|| VkeyFault::KeyId(id.to_owned()))?;
        let typed = base64::decode(typed).map_err(|_| VkeyFault::Base64)?;
        let (byte, key) = typed.split_first().ok_or(VkeyFault::KeyLength(0))?;
        let signature_type = SignatureType::of(*byte).ok_or(VkeyFault::Type(*byte))?;
        let key: [u8; 32] = key.try_into().map_err(|_| VkeyFault::KeyLength(key.len()))?;
        let parsed = Self::new(name, signature_type, &PublicKey(key))?;
        let expected = u32::from_be_bytes(parsed.id);
        if expected != found {
            return Err(VkeyFault::OtherKeyId { expected, found });
        }
        Ok(parsed)
    }

    /// Reads the text of one that has to be of a type.
    pub fn parse_as(wanted: SignatureType, text: &str) -> Result<Self, VkeyFault> {
        let parsed = Self::parse(text)?;
        if parsed.signature_type == wanted {
            return Ok(parsed);
        }
        let found = parsed.signature_type.byte();
        Err(VkeyFault::OtherType { wanted: wanted.byte(), found })
    }

    /// Its name; a log's is its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its signatures are.
    pub fn signature_type(&self) -> SignatureType {
        self.signature_type
    }

    /// The key.
    pub fn key(&self) -> &StrictKey {
        &self.key
    }

    /// The bytes of the key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    pub(super) fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Whether a signature line with this name and key id is its own.
    pub(super) fn is_of(&self, name: &str, id: [u8; 4]) -> bool {
        self.name == name && self.id == id
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id);
        let typed = [&[self.signature_type.byte()], &self.public_key().as_bytes()[..]].concat();
        write!(f, "{}+{id:08x}+{}", self.name, base64::encode(&typed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of C2SP signed-note.
    const EXAMPLE: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    #[test]
    fn the_example_of_the_specification_is_read_and_printed() {
        let key = VerifierKey::parse(EXAMPLE).unwrap();
        assert_eq!((key.name(), key.signature_type()), ("example.com/foo", SignatureType::Ed25519));
        assert_eq!(key.to_string(), EXAMPLE);
    }

    #[test]
    fn the_same_key_has_another_id_as_a_witness() {
        let log = VerifierKey::parse(EXAMPLE).unwrap();
        let kind = SignatureType::CosignatureV1;
        let witness = VerifierKey::new(log.name(), kind, &log.public_key()).unwrap();
        assert_ne!(log.id(), witness.id());
        assert_eq!(VerifierKey::parse(&witness.to_string()).unwrap(), witness);
        let wanted = VkeyFault::OtherType { wanted: 0x01, found: 0x04 };
        let text = witness.to_string();
        assert_eq!(VerifierKey::parse_as(SignatureType::Ed25519, &text), Err(wanted));
    }

    #[test]
    fn each_rule_broken_once_is_told_as_such() {
        let rest = "530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        let weak = base64::encode(&[&[1_u8], &[0_u8; 32][..]].concat());
        let rows = [
            ("example.com/foo".to_owned(), VkeyFault::Parts),
            ("example.com/foo+530d903a".to_owned(), VkeyFault::Parts),
            (EXAMPLE.replace("530d903a", "530D903A"), VkeyFault::KeyId("530D903A".into())),
            (EXAMPLE.replace("530d903a", "+30d903a"), VkeyFault::KeyId(String::new())),
            (
                EXAMPLE.replace("530d903a", "530d903b"),
                VkeyFault::OtherKeyId { expected: 0x530d_903a, found: 0x530d_903b },
            ),
            (format!("+{rest}"), VkeyFault::Name(String::new())),
            (format!("a b+{rest}"), VkeyFault::Name("a b".into())),
            (format!("a\u{7}b+{rest}"), VkeyFault::Name("a\u{7}b".into())),
            ("a+00000000+A*".to_owned(), VkeyFault::Base64),
            ("a+00000000+".to_owned(), VkeyFault::KeyLength(0)),
            ("a+00000000+AQ==".to_owned(), VkeyFault::KeyLength(0)),
            ("a+00000000+BgA=".to_owned(), VkeyFault::Type(6)),
        ];
        for (text, fault) in rows {
            assert_eq!(VerifierKey::parse(&text), Err(fault), "{text}");
        }
        assert!(matches!(
            VerifierKey::parse(&format!("a+00000000+{weak}")),
            Err(VkeyFault::Key(KeyFault::SmallOrder(_)))
        ));
        let long = format!("{}+{rest}", "a".repeat(MAX_KEY_NAME_BYTES + 1));
        assert!(matches!(VerifierKey::parse(&long), Err(VkeyFault::TooLong(_))));
    }
}
