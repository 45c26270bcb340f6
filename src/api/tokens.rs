//! Tokens: what a caller without a certificate shows, and the file that knows them.
//!
//! A token is a name and 256 random bits. The file holds the SHA-256 of the bits, so who reads the
//! file cannot call; a hash that is slow on purpose would protect guessable secrets, which these
//! are not.

use std::hint::black_box;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::identity::{Identity, IdentityFault, Scope, Scopes};
use crate::domain::{Hash32, PartyId, TimeMs};
use crate::ledger::hash::sha256;
use crate::limits::{MAX_SHORT_TEXT_BYTES, MAX_TOKEN_BYTES, MAX_TOKENS};

/// What every token begins with, so that a search for lost secrets finds it.
const PREFIX: &str = "umt1_";
/// What every file of tokens says it is.
const FORMAT: &str = "urbanmine-tokens-1";
/// The holder of an operator's token, as the file spells it.
const OPERATOR: &str = "operator";

/// The public name of a token: logs and lists show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId(pub [u8; 8]);

/// Who shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// An operator of the service, who oversees everything.
    Operator,
    /// A party.
    Party(PartyId),
}

/// A token as the file knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its name.
    pub id: TokenId,
    /// SHA-256 of its secret.
    pub secret_sha256: Hash32,
    /// Who shows it.
    pub holder: Holder,
    /// What it is good for.
    pub scopes: Scopes,
    /// Since when there is such a token.
    pub created_at: TimeMs,
    /// It is good until, and not at, this time.
    pub expires_at: TimeMs,
    /// Since when it is not good any more.
    pub revoked_at: Option<TimeMs>,
    /// For people: where it is used.
    pub note: String,
}

/// All tokens of a service, ascending by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenBook {
    tokens: Vec<Token>,
}

/// Why a file of tokens, or a change of one, is not sound.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileFault {
    /// Not the JSON that it should be.
    #[error("not a file of tokens")]
    Json(#[from] serde_json::Error),
    /// Another format, or a field that is not what it should be.
    #[error("token {id}: {rule}")]
    Field {
        /// The token.
        id: String,
        /// What it breaks.
        rule: &'static str,
    },
    /// A service remembers no more.
    #[error("a file has at most {MAX_TOKENS} tokens; expired ones go when it is written anew")]
    Full,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBook {
    format: String,
    tokens: Vec<WrittenToken>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenToken {
    id: String,
    secret_sha256: String,
    holder: String,
    scopes: Vec<String>,
    created_at_ms: u64,
    expires_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

impl TokenBook {
    /// Reads a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenFileFault> {
        let written: WrittenBook = serde_json::from_slice(bytes)?;
        if written.format != FORMAT {
            return Err(field("(the file)", "its format is not urbanmine-tokens-1"));
        }
        if written.tokens.len() > MAX_TOKENS {
            return Err(TokenFileFault::Full);
        }
        let tokens: Result<Vec<Token>, _> = written.tokens.iter().map(Token::read).collect();
        let mut tokens = tokens?;
        tokens.sort_by_key(|token| token.id);
        if let Some(pair) = tokens.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(field(&pair[0].id.to_string(), "stands in the file twice"));
        }
        Ok(Self { tokens })
    }

    /// What the file holds.
    pub fn to_text(&self) -> Result<String, TokenFileFault> {
        let tokens = self.tokens.iter().map(Token::written).collect();
        let written = WrittenBook { format: FORMAT.to_owned(), tokens };
        Ok(serde_json::to_string_pretty(&written)? + "\n")
    }

    /// All, ascending by name.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Takes a new token in. A full book first forgets those that expired.
    pub fn add(&mut self, token: Token, now: TimeMs) -> Result<(), TokenFileFault> {
        if self.tokens.len() >= MAX_TOKENS {
            self.tokens.retain(|known| now < known.expires_at);
        }
        if self.tokens.len() >= MAX_TOKENS {
            return Err(TokenFileFault::Full);
        }
        match self.tokens.binary_search_by_key(&token.id, |known| known.id) {
            Ok(_) => Err(field(&token.id.to_string(), "is taken")),
            Err(at) => {
                self.tokens.insert(at, token);
                Ok(())
            }
        }
    }

    /// Takes a token back; whether there is such a token. The first time stands.
    pub fn revoke(&mut self, id: TokenId, at: TimeMs) -> bool {
        let found = self.tokens.iter_mut().find(|token| token.id == id);
        found.map(|token| token.revoked_at.get_or_insert(at)).is_some()
    }

    /// Who shows a token, as it stands in a header.
    pub fn identify(&self, text: &str, now: TimeMs) -> Result<Identity, IdentityFault> {
        let (id, secret) = parts(text).ok_or(IdentityFault::TokenMalformed)?;
        let shown = sha256(&secret);
        let found = self.tokens.binary_search_by_key(&id, |token| token.id);
        let found = found.ok().and_then(|at| self.tokens.get(at));
        // A name that nobody has costs as much as one whose secret is another.
        let known = found.map_or(Hash32([0; 32]), |token| token.secret_sha256);
        let is_same = is_same(&shown, &known);
        let token = found.filter(|_| is_same).ok_or(IdentityFault::TokenUnknown)?;
        // What became of it is told to those who had it, and to nobody else.
        if token.revoked_at.is_some() {
            return Err(IdentityFault::TokenRevoked);
        }
        if now >= token.expires_at {
            return Err(IdentityFault::TokenExpired { expired_at: token.expires_at });
        }
        let scopes = token.scopes;
        Ok(match token.holder {
            Holder::Operator => Identity::Operator { scopes },
            Holder::Party(party) => Identity::Party { party, scopes },
        })
    }
}

impl Token {
    fn read(written: &WrittenToken) -> Result<Self, TokenFileFault> {
        let wrong = |rule| field(&written.id, rule);
        let id = TokenId::parse(&written.id).ok_or_else(|| wrong("its id is not 16 hex digits"))?;
        let hash = unhex::<32>(&written.secret_sha256);
        let hash = hash.ok_or_else(|| wrong("secret_sha256 is not 64 hex digits"))?;
        let holder = match written.holder.as_str() {
            OPERATOR => Holder::Operator,
            party => {
                Holder::Party(party_of(party).ok_or_else(|| wrong("its holder is no party's id"))?)
            }
        };
        let scopes: Option<Vec<Scope>> =
            written.scopes.iter().map(|name| Scope::parse(name)).collect();
        let scopes = scopes.ok_or_else(|| wrong("a scope is READ, APPEND or ADMIN"))?;
        if written.note.len() > MAX_SHORT_TEXT_BYTES {
            return Err(wrong("its note is too long"));
        }
        let time = |millis| TimeMs::new(millis).map_err(|_| wrong("a time is out of range"));
        Ok(Self {
            id,
            secret_sha256: Hash32(hash),
            holder,
            scopes: Scopes::of(&scopes),
            created_at: time(written.created_at_ms)?,
            expires_at: time(written.expires_at_ms)?,
            revoked_at: written.revoked_at_ms.map(time).transpose()?,
            note: written.note.clone(),
        })
    }

    fn written(&self) -> WrittenToken {
        let held = Scope::EACH.into_iter().filter(|scope| self.scopes.has(*scope));
        WrittenToken {
            id: self.id.to_string(),
            secret_sha256: self.secret_sha256.to_string(),
            holder: self.holder.to_string(),
            scopes: held.map(|scope| scope.name().to_owned()).collect(),
            created_at_ms: self.created_at.get(),
            expires_at_ms: self.expires_at.get(),
            revoked_at_ms: self.revoked_at.map(TimeMs::get),
            note: self.note.clone(),
        }
    }
}

impl TokenId {
    /// Reads 16 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        unhex::<8>(text).map(Self)
    }
}

/// A token as its holder keeps it. It is shown once and stands nowhere.
pub fn token_text(id: TokenId, secret: &[u8; 32]) -> String {
    format!("{PREFIX}{id}_{}", Hash32(*secret))
}

fn parts(text: &str) -> Option<(TokenId, [u8; 32])> {
    if text.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    Some((TokenId::parse(id)?, unhex(secret)?))
}

/// Compares in a time that does not depend on where two hashes differ.
fn is_same(one: &Hash32, other: &Hash32) -> bool {
    let pairs = one.0.iter().zip(other.0);
    black_box(pairs.fold(0_u8, |differing, (a, b)| black_box(differing | (a ^ b)))) == 0
}

/// A party's id in its one spelling: lower case, with hyphens.
pub fn party_of(text: &str) -> Option<PartyId> {
    let id = Uuid::try_parse(text).ok()?;
    let party = PartyId::parse(id.as_bytes()).ok()?;
    (party.to_string() == text).then_some(party)
}

/// Lower-case hexadecimal digits.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn field(id: &str, rule: &'static str) -> TokenFileFault {
    TokenFileFault::Field { id: id.to_owned(), rule }
}

impl std::fmt::Display for TokenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Operator => f.write_str(OPERATOR),
            Self::Party(party) => party.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn token(id: u8, holder: Holder) -> Token {
        Token {
            id: TokenId([id; 8]),
            secret_sha256: sha256(&SECRET),
            holder,
            scopes: Scopes::of(&[Scope::Read]),
            created_at: TimeMs::of(10),
            expires_at: TimeMs::of(1_000),
            revoked_at: None,
            note: "ERP 一号".to_owned(),
        }
    }

    fn party() -> PartyId {
        party_of("01980000-0000-7000-8000-000000000001").unwrap()
    }

    #[test]
    fn a_book_is_read_as_it_was_written() {
        let mut book = TokenBook::default();
        book.add(token(2, Holder::Party(party())), TimeMs::of(10)).unwrap();
        book.add(token(1, Holder::Operator), TimeMs::of(10)).unwrap();
        assert!(book.add(token(1, Holder::Operator), TimeMs::of(10)).is_err(), "an id is taken");
        assert!(book.revoke(TokenId([2; 8]), TimeMs::of(50)));
        assert!(book.revoke(TokenId([2; 8]), TimeMs::of(60)));
        assert!(!book.revoke(TokenId([9; 8]), TimeMs::of(50)));
        let text = book.to_text().unwrap();
        assert!(!text.contains(&Hash32(SECRET).to_string()), "the file has no secret");
        let again = TokenBook::parse(text.as_bytes()).unwrap();
        assert_eq!(again, book);
        assert_eq!(again.tokens()[1].revoked_at, Some(TimeMs::of(50)));
        for (from, to) in [
            ("urbanmine-tokens-1", "urbanmine-tokens-2"),
            ("\"READ\"", "\"WRITE\""),
            ("\"operator\"", "\"0198\""),
            ("\"created_at_ms\"", "\"created\""),
            ("0202020202020202", "0101010101010101"),
        ] {
            let broken = text.replacen(from, to, 1);
            assert_ne!(broken, text);
            assert!(TokenBook::parse(broken.as_bytes()).is_err(), "{from} became {to}");
        }
    }

    #[test]
    fn a_token_is_good_until_its_end_and_with_its_whole_secret() {
        let mut book = TokenBook::default();
        book.add(token(1, Holder::Party(party())), TimeMs::of(10)).unwrap();
        let text = token_text(TokenId([1; 8]), &SECRET);
        let holder = Identity::Party { party: party(), scopes: Scopes::of(&[Scope::Read]) };
        let expired = IdentityFault::TokenExpired { expired_at: TimeMs::of(1_000) };
        for (now, expected) in
            [(0, Ok(holder)), (999, Ok(holder)), (1_000, Err(expired)), (9_999, Err(expired))]
        {
            assert_eq!(book.identify(&text, TimeMs::of(now)), expected, "{now}");
        }
        let now = TimeMs::of(20);
        let mut other = SECRET;
        other[31] ^= 1;
        for text in [token_text(TokenId([1; 8]), &other), token_text(TokenId([2; 8]), &SECRET)] {
            assert_eq!(book.identify(&text, now), Err(IdentityFault::TokenUnknown));
        }
        for text in ["", "umt1_", "umt1_0101010101010101", &text[..text.len() - 1], "x", "umt2_"] {
            assert_eq!(book.identify(text, now), Err(IdentityFault::TokenMalformed), "{text}");
        }
        let upper = text.to_uppercase();
        assert_eq!(book.identify(&upper, now), Err(IdentityFault::TokenMalformed));
        book.revoke(TokenId([1; 8]), TimeMs::of(15));
        assert_eq!(book.identify(&text, now), Err(IdentityFault::TokenRevoked));
        // Who has the name and not the secret learns nothing of what became of it.
        let guessed = token_text(TokenId([1; 8]), &other);
        assert_eq!(book.identify(&guessed, now), Err(IdentityFault::TokenUnknown));
    }

    #[test]
    fn a_full_book_forgets_what_expired() {
        let mut book = TokenBook::default();
        for n in 0..u64::try_from(MAX_TOKENS).unwrap() {
            let id = TokenId(n.to_be_bytes());
            let expires_at = TimeMs::of(if n == 5 { 100 } else { 1_000 });
            book.add(Token { id, expires_at, ..token(0, Holder::Operator) }, TimeMs::of(10))
                .unwrap();
        }
        let more = Token { id: TokenId([9; 8]), ..token(0, Holder::Operator) };
        assert!(matches!(book.add(more.clone(), TimeMs::of(99)), Err(TokenFileFault::Full)));
        book.add(more, TimeMs::of(100)).unwrap();
        assert_eq!(book.tokens().len(), MAX_TOKENS);
        let text = book.to_text().unwrap();
        assert!(u64::try_from(text.len()).unwrap() < crate::limits::MAX_TOKEN_FILE_BYTES);
    }
}
