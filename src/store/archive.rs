//! The container of a backup: a plain tar of regular files, and a manifest as its last member.
//!
//! ```text
//! FORMAT   checkpoint   journal/<20 digits>.umj ...   drafts/<event> ...
//! openings/<event>/<commitment> ...   MANIFEST
//! ```
//!
//! Any `tar` shows it, and `sha256sum --check MANIFEST` checks what it unpacked. The manifest is
//! written last, so a container without one was cut short. There is one manifest for given members,
//! to the byte: whoever reads the members can write it, and compares.
//!
//! Headers are those of ustar and nothing else: no member is described by another, so what a header
//! says is all there is to know about it.

use std::fmt;

use super::cabinet::Drawer;
use super::segment;
use crate::domain::{EntryIndex, Hash32};
use crate::limits::{MAX_CABINET_FILE_BYTES, MAX_CHECKPOINT_TEXT_BYTES, MAX_FORMAT_FILE_BYTES};

/// Bytes of a header, and what the content of a member is filled up to.
pub(super) const BLOCK_BYTES: u64 = 512;
/// Zeros behind the last member.
pub(super) const END_BYTES: u64 = 2 * BLOCK_BYTES;

const FORMAT: &str = "FORMAT";
const CHECKPOINT: &str = "checkpoint";
const JOURNAL: &str = "journal/";
const MANIFEST: &str = "MANIFEST";

/// What a member is. Members come in this order; those of one kind are in any, except segments,
/// which ascend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Member {
    /// The store's file `FORMAT`.
    Format,
    /// The signed checkpoint that the journal ends with.
    Checkpoint,
    /// A segment of the journal, up to its last frame.
    Segment(EntryIndex),
    /// A small file beside the ledger, by its name in the drawer.
    Beside(Drawer, String),
    /// What all others are.
    Manifest,
}

impl Member {
    /// The member of a name; `None` for a name that no member has. A name never becomes a path.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some(file) = name.strip_prefix(JOURNAL) {
            return segment::parse_name(file).map(Self::Segment);
        }
        if let Some((drawer, file)) = name.split_once('/') {
            let drawer = Drawer::ALL.into_iter().find(|it| it.name() == drawer)?;
            let file = match drawer {
                Drawer::Drafts => file.to_owned(),
                Drawer::Openings => {
                    let (event, commitment) = file.split_once('/')?;
                    format!("{event}-{commitment}")
                }
            };
            // Also a name that would be spelled another way is none.
            return Self::beside(drawer, &file).filter(|it| it.to_string() == name);
        }
        match name {
            FORMAT => Some(Self::Format),
            CHECKPOINT => Some(Self::Checkpoint),
            MANIFEST => Some(Self::Manifest),
            _ => None,
        }
    }

    /// A file of a drawer; `None` for one that the node did not put there.
    pub(super) fn beside(drawer: Drawer, file: &str) -> Option<Self> {
        let has_parts = match drawer {
            Drawer::Drafts => true,
            // The name of a header holds 100 bytes; the commitment alone fits.
            Drawer::Openings => file
                .rsplit_once('-')
                .is_some_and(|(event, it)| !event.is_empty() && !it.is_empty() && it.len() <= 100),
        };
        let is_name = super::cabinet::is_name(file) && has_parts;
        is_name.then(|| Self::Beside(drawer, file.to_owned()))
    }

    /// Bytes that it has at most; of the others the length of the container is the limit.
    pub(super) const fn max_bytes(&self) -> Option<u64> {
        match self {
            Self::Format => Some(MAX_FORMAT_FILE_BYTES),
            Self::Checkpoint => Some(MAX_CHECKPOINT_TEXT_BYTES as u64),
            Self::Beside(..) => Some(MAX_CABINET_FILE_BYTES),
            Self::Segment(_) | Self::Manifest => None,
        }
    }

    /// Whether it may come right after another; nothing before the first.
    pub(super) fn follows(&self, before: Option<&Self>) -> bool {
        match (before, self) {
            (None, Self::Format)
            | (Some(Self::Format), Self::Checkpoint)
            | (Some(Self::Segment(_) | Self::Beside(..)), Self::Beside(..) | Self::Manifest) => {
                before.is_none_or(|before| before.section() <= self.section())
            }
            (Some(Self::Checkpoint), Self::Segment(first)) => first.0 == 0,
            (Some(Self::Segment(before)), Self::Segment(first)) => before < first,
            _ => false,
        }
    }

    const fn section(&self) -> u8 {
        match self {
            Self::Format => 0,
            Self::Checkpoint => 1,
            Self::Segment(_) => 2,
            Self::Beside(Drawer::Drafts, _) => 3,
            Self::Beside(Drawer::Openings, _) => 4,
            Self::Manifest => 5,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str(FORMAT),
            Self::Checkpoint => f.write_str(CHECKPOINT),
            Self::Segment(first) => write!(f, "{JOURNAL}{}", segment::name(*first)),
            Self::Beside(drawer @ Drawer::Drafts, file) => write!(f, "{}/{file}", drawer.name()),
            Self::Beside(drawer @ Drawer::Openings, file) => {
                let (event, commitment) = file.rsplit_once('-').unwrap_or((file, ""));
                write!(f, "{}/{event}/{commitment}", drawer.name())
            }
            Self::Manifest => f.write_str(MANIFEST),
        }
    }
}

/// First line of a manifest.
pub(super) const MANIFEST_HEAD: &str = "# urbanmine backup 1\n";

/// The two lines of a member: `sha256sum --check` reads the second.
pub(super) fn manifest_lines(member: &Member, bytes: u64, hash: &Hash32) -> String {
    format!("# {bytes} bytes\n{hash}  {member}\n")
}

/// Last line of a manifest.
pub(super) fn manifest_end(members: u64, bytes: u64) -> String {
    format!("# {members} members, {bytes} bytes\n")
}

/// A header of ustar, all of it; its size is filled in when it is known. Only the owner reads what
/// is unpacked, and nothing tells when or by whom it was made.
pub(super) fn header() -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_back_from_their_names() {
        let opening = format!("0197-aa-{}", "b".repeat(64));
        for member in [
            Member::Format,
            Member::Checkpoint,
            Member::Segment(EntryIndex(0)),
            Member::Segment(EntryIndex(u64::MAX)),
            Member::beside(Drawer::Drafts, "0197-aa").unwrap(),
            Member::beside(Drawer::Openings, &opening).unwrap(),
            Member::Manifest,
        ] {
            assert_eq!(Member::parse(&member.to_string()), Some(member));
        }
    }

    #[test]
    fn a_name_never_leads_out() {
        for name in [
            "",
            ".",
            "..",
            "/",
            "../FORMAT",
            "/FORMAT",
            "./FORMAT",
            "FORMAT/",
            "journal",
            "journal/",
            "journal/..",
            "journal/../FORMAT",
            "journal/0.umj",
            "journal/00000000000000000000.umj/x",
            "journal/00000000000000000000.torn-1",
            "journal/99999999999999999999.umj",
            "drafts",
            "drafts/",
            "drafts/..",
            "drafts/a/b",
            "drafts/A",
            "drafts/01.next",
            "openings/01",
            "openings/01/",
            "openings//02",
            "openings/../02",
            "openings/01/02/03",
            "openings/01/02-03",
            "sled/db",
            "LOCK",
            "openings/01/../../../x",
            "FORMAT\0",
            "drafts/01\n",
        ] {
            assert_eq!(Member::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn members_have_an_order() {
        let draft = || Member::beside(Drawer::Drafts, "01").unwrap();
        let opening = || Member::beside(Drawer::Openings, "01-02").unwrap();
        let segment = |first| Member::Segment(EntryIndex(first));
        let lawful = [
            Member::Format,
            Member::Checkpoint,
            segment(0),
            segment(9),
            draft(),
            draft(),
            opening(),
            opening(),
            Member::Manifest,
        ];
        let mut before = None;
        for member in &lawful {
            assert!(member.follows(before), "{member} after {before:?}");
            before = Some(member);
        }
        for (before, member) in [
            (None, Member::Checkpoint),
            (Some(Member::Format), segment(0)),
            (Some(Member::Checkpoint), segment(1)),
            (Some(Member::Checkpoint), Member::Manifest),
            (Some(segment(9)), segment(9)),
            (Some(segment(9)), segment(0)),
            (Some(segment(9)), Member::Format),
            (Some(opening()), draft()),
            (Some(draft()), segment(10)),
            (Some(Member::Manifest), Member::Manifest),
            (Some(Member::Manifest), draft()),
        ] {
            assert!(!member.follows(before.as_ref()), "{member} after {before:?}");
        }
    }
}
