//! Pages of lists (AIP-158): how many items, and where the next page begins.
//!
//! A token is hex of: version 1, fingerprint of the list and its filter 8, cursor (as long as the
//! list says), check 4. It is opaque to callers, and checked: one of another list, filter or
//! version, or one that was changed, is refused. It is no secret and gives no right: whoever may
//! read a list may read every page of it.

use super::convert::hex;
use super::errors::Failure;
use crate::ledger::hash::sha256;
use crate::limits::{DEFAULT_PAGE_SIZE, MAX_PAGE_BYTES, MAX_PAGE_SIZE};

const VERSION: u8 = 1;
const FINGERPRINT_BYTES: usize = 8;
const CHECK_BYTES: usize = 4;
const HEAD_BYTES: usize = 1 + FINGERPRINT_BYTES;

/// How many items a page has: 0 means the default, more than the maximum means the maximum.
pub fn page_size(asked: u32) -> usize {
    let size = if asked == 0 { DEFAULT_PAGE_SIZE } else { asked.min(MAX_PAGE_SIZE) };
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Cuts messages, of which one more than the page was asked for, to the page's size and to what a
/// reply holds. Answers where the last one stood when the list goes on after it.
pub fn cut<M: prost::Message>(messages: &mut Vec<M>, size: usize) -> Option<usize> {
    let read = messages.len();
    messages.truncate(size);
    let mut bytes = 0;
    let fitting = messages.iter().take_while(|message| {
        bytes += message.encoded_len();
        bytes <= MAX_PAGE_BYTES
    });
    let kept = fitting.count().max(1);
    messages.truncate(kept);
    if messages.len() < read { messages.len().checked_sub(1) } else { None }
}

/// A list with its filter: what a token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    fingerprint: [u8; FINGERPRINT_BYTES],
}

impl List {
    /// The list of a call, with the fields of the request that select from it, in a fixed order.
    pub fn new(call: &str, filter: &[&[u8]]) -> Self {
        let mut text = Vec::new();
        for part in std::iter::once(&call.as_bytes()).chain(filter) {
            // A length before each part, so that no two filters read the same. A part is shorter
            // than a request, so its length fits.
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part);
        }
        Self { fingerprint: first(&sha256(&text).0) }
    }

    /// The token of a page that begins after this cursor.
    pub fn token(&self, cursor: &[u8]) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.fingerprint);
        bytes.extend_from_slice(cursor);
        let check: [u8; CHECK_BYTES] = first(&sha256(&bytes).0);
        bytes.extend_from_slice(&check);
        hex(&bytes)
    }

    /// The cursor in a token; `None` for the empty token of a first page.
    pub fn cursor<const N: usize>(&self, token: &str) -> Result<Option<[u8; N]>, Failure> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = from_hex(token, HEAD_BYTES + N + CHECK_BYTES);
        let bytes = bytes.ok_or_else(|| refused("it was not made by this service"))?;
        let (body, check) = bytes.split_at(HEAD_BYTES + N);
        let expected: [u8; CHECK_BYTES] = first(&sha256(body).0);
        if check != expected || body.first() != Some(&VERSION) {
            return Err(refused("it was not made by this service"));
        }
        let (head, cursor) = body.split_at(HEAD_BYTES);
        if head.get(1..) != Some(self.fingerprint.as_slice()) {
            return Err(refused("it was made for another list or filter"));
        }
        Ok(cursor.try_into().ok())
    }
}

/// The first bytes of a hash.
fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32, "a part of a hash is not longer than the hash") };
    let mut part = [0; N];
    part.copy_from_slice(&hash[..N]);
    part
}

fn from_hex(text: &str, length: usize) -> Option<Vec<u8>> {
    let is_hex = text.len() == 2 * length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex {
        return None;
    }
    (0..length).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}

fn refused(rule: &'static str) -> Failure {
    Failure::PageToken { rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_cursor() {
        let list = List::new("ListLots", &[b"owner", b""]);
        assert_eq!(list.cursor::<16>("").unwrap(), None);
        let token = list.token(&[7; 16]);
        assert_eq!(list.cursor::<16>(&token).unwrap(), Some([7; 16]));
    }

    #[test]
    fn a_token_of_another_list_or_filter_is_refused() {
        let token = List::new("ListLots", &[b"a", b""]).token(&[7; 16]);
        let others = [
            List::new("ListSites", &[b"a", b""]),
            List::new("ListLots", &[b"", b"a"]),
            List::new("ListLots", &[b"a"]),
        ];
        for other in others {
            let refusal = other.cursor::<16>(&token).unwrap_err();
            assert!(matches!(refusal, Failure::PageToken { rule } if rule.contains("another")));
        }
    }

    #[test]
    fn a_token_that_was_changed_is_refused_wherever_it_was_changed() {
        let list = List::new("ListLots", &[]);
        let token = list.token(&[7; 16]);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(list.cursor::<16>(&changed).is_err(), "{at}");
        }
        for wrong in ["0", "zz", &token[2..], "秒", &list.token(&[7; 8]), &"0".repeat(10_000)] {
            assert!(list.cursor::<16>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_is_cut_by_count_and_by_bytes_and_is_never_empty() {
        let item = |bytes: usize| crate::wire::v1::Entry {
            entry_index: 1,
            entry: bytes::Bytes::from(vec![0; bytes]),
        };
        let rows: [(&[usize], usize, usize, Option<usize>); 6] = [
            (&[], 2, 0, None),
            (&[1, 1], 2, 2, None),
            (&[1, 1, 1], 2, 2, Some(1)),
            (&[MAX_PAGE_BYTES, 1], 2, 1, Some(0)),
            (&[1, MAX_PAGE_BYTES, 1], 2, 1, Some(0)),
            (&[1, 1, MAX_PAGE_BYTES], 2, 2, Some(1)),
        ];
        for (sizes, size, kept, last) in rows {
            let mut items: Vec<_> = sizes.iter().copied().map(item).collect();
            assert_eq!(cut(&mut items, size), last, "{sizes:?}");
            assert_eq!(items.len(), kept, "{sizes:?}");
        }
    }

    #[test]
    fn page_sizes_stay_in_their_limits() {
        let rows = [(0, DEFAULT_PAGE_SIZE), (1, 1), (999, 999), (u32::MAX, MAX_PAGE_SIZE)];
        for (asked, size) in rows {
            assert_eq!(page_size(asked), usize::try_from(size).unwrap());
        }
    }
}
