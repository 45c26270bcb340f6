//! An export, read as a stranger reads it: nothing in it is believed, every fault has its place.
//!
//! What a checkpoint, an entry or a receipt is worth is the judge's to say (`verify`). Here stands
//! what is said beside it: that the files are those of the layout, that the tiles of hashes are
//! what the entries give, and that a receipt and the export tell of one ledger.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;

use super::export_target::{CHECKPOINT_NAME, ROTATION_FOLDER, read_at_most, rotation_name};
use crate::domain::{EntryCount, EntryIndex, Hash32, PublicKey};
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::ledger::hash::leaf_hash;
use crate::ledger::receipt::Receipt;
use crate::ledger::tiles::{
    BundleFault, HashesFault, TILE_HEIGHT, TILE_WIDTH, Tile, TileBuilder, TileKind, bundle_entries,
    node_in, parse_hashes, tiles_of_kind,
};
use crate::ledger::tree::{
    NodeSource, ProofFault, consistency_proof, inclusion_proof, verify_consistency,
};
use crate::limits::{
    MAX_CHECKPOINT_BYTES, MAX_ENTRY_BYTES, MAX_FINDINGS, MAX_LEDGER_KEYS, ROW_HASHES,
};
use crate::node::statement::named_key;
use crate::verify::{Pins, ReceiptReport, Verdict, verify_receipt_after};

/// Tiles that are kept while proofs are built: two proofs touch at most 8 each.
const KEPT_TILES: usize = 64;

/// A directory that should be an export.
#[derive(Debug)]
pub(super) struct Export {
    dir: PathBuf,
    text: Vec<u8>,
    /// What its checkpoint says; `None` when it is not one, and then no entry is known of.
    said: Option<(Checkpoint, SignedCheckpoint)>,
}

/// Something in an export that is not as it should be, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}")]
pub(super) struct ExportFault {
    /// The file, from the export's directory on.
    path: String,
    cause: ExportCause,
}

#[derive(Debug, thiserror::Error)]
enum ExportCause {
    #[error("{0}")]
    Bundle(BundleFault),
    #[error("{0}")]
    Hashes(HashesFault),
    /// The tile says something else than the entries.
    #[error("hash {place} is {found}, and the entries give {expected}")]
    Differs { place: usize, expected: Hash32, found: Hash32 },
    #[error("it is not there")]
    Missing,
    /// There are partial ones only.
    #[error("it is not there in full: the widest that is there has {found} of {TILE_WIDTH}")]
    Narrower { found: u16 },
    /// Larger than any file of its kind.
    #[error("it has more than {limit} bytes, the most that such a file can have")]
    TooLong { limit: usize },
    #[error("{0:#}")]
    Unreadable(anyhow::Error),
}

/// What the tiles of hashes of an export are worth.
#[derive(Debug, Default)]
pub(super) struct TileReport {
    /// Tiles that were held against the entries.
    pub(super) checked: u64,
    /// What was found, at most [`MAX_FINDINGS`].
    pub(super) faults: Vec<ExportFault>,
    /// What was found beyond that.
    pub(super) left_out: u64,
    /// Why the entries end before the checkpoint does: tiles beyond were not checked.
    pub(super) stopped: Option<ExportFault>,
}

/// What a receipt and an export say of each other.
#[derive(Debug)]
pub(super) struct AgainstExport {
    /// What the judge says of the receipt, by the pinned key and the export's rotations.
    pub(super) receipt: ReceiptReport,
    /// Whether the export tells of the same ledger.
    pub(super) agreement: Agreement,
}

/// Whether an export and a receipt tell of one ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Agreement {
    /// They contradict each other, in words and numbers.
    Contradicts(String),
    /// The entry is in the export, under a checkpoint of the pinned ledger whose tree begins with
    /// the receipt's.
    Holds {
        /// Entries in the export's tree.
        size: EntryCount,
    },
    /// It cannot be said.
    Unknown(String),
}

/// Opens an export. An error says that there is none, or that it cannot be read; whatever is wrong
/// in it is found when it is looked at.
pub(super) fn open_export(dir: &Path) -> anyhow::Result<Export> {
    let path = dir.join(CHECKPOINT_NAME);
    let text = read_at_most(&path, MAX_CHECKPOINT_BYTES)?;
    let text =
        text.with_context(|| format!("{} is no export: it has no checkpoint", dir.display()))?;
    let said = SignedCheckpoint::parse(&text).ok();
    Ok(Export { dir: dir.to_owned(), text, said })
}

impl Export {
    /// The checkpoint's text, verbatim, whatever it is: the judge says what it is worth.
    pub(super) fn checkpoint_text(&self) -> &[u8] {
        &self.text
    }

    /// Entries, as the checkpoint says; 0 when it is none.
    pub(super) fn size(&self) -> EntryCount {
        self.said.as_ref().map_or(EntryCount(0), |(said, _)| said.size)
    }

    /// The entries from 0 on, in order, as many as the checkpoint says. The first fault is the last
    /// item: behind it nothing is known.
    pub(super) fn entries(&self) -> impl Iterator<Item = Result<Bytes, ExportFault>> + '_ {
        let bundles = tiles_of_kind(TileKind::Entries, self.size());
        let entries = bundles.flat_map(move |tile| self.bundle(tile));
        let mut is_done = false;
        entries.take_while(move |entry| {
            let goes_on = !is_done;
            is_done |= entry.is_err();
            goes_on
        })
    }

    /// The old key's checkpoint that ends with a rotation; `None` when the export has none.
    pub(super) fn rotation(&self, at: EntryIndex) -> Result<Option<Vec<u8>>, ExportFault> {
        let name = rotation_name(at);
        let read = read_at_most(&self.dir.join(&name), MAX_CHECKPOINT_BYTES);
        read.map_err(|fault| ExportFault { path: name, cause: ExportCause::Unreadable(fault) })
    }

    /// Entries for which the export has such a checkpoint, ascending. Other names in the folder are
    /// not of the layout, and not read.
    pub(super) fn rotations(&self) -> Result<Vec<EntryIndex>, ExportFault> {
        let unreadable = |fault: std::io::Error| ExportFault {
            path: ROTATION_FOLDER.to_owned(),
            cause: ExportCause::Unreadable(fault.into()),
        };
        let names = match fs::read_dir(self.dir.join(ROTATION_FOLDER)) {
            Ok(names) => names,
            Err(absent) if absent.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(fault) => return Err(unreadable(fault)),
        };
        let mut found = Vec::new();
        for name in names {
            let name = name.map_err(unreadable)?.file_name();
            let index = name.to_str().and_then(|name| name.parse::<u64>().ok());
            let is_ours = |index: &u64| name == *index.to_string() && *index < self.size().0;
            if let Some(index) = index.filter(is_ours)
                && found.len() < MAX_LEDGER_KEYS
            {
                found.push(EntryIndex(index));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Holds every tile of hashes against the entries, which are read again. To be called when the
    /// judge has said that the entries are those under the checkpoint.
    pub(super) fn check_tiles(&self, mut seen: impl FnMut(u64)) -> TileReport {
        let mut report = TileReport::default();
        let mut builder = TileBuilder::default();
        for (index, entry) in (1..).zip(self.entries()) {
            match entry {
                Ok(entry) => {
                    for (tile, hashes) in builder.push(leaf_hash(&entry)) {
                        report.take(self.check_tile(&tile, &hashes));
                    }
                }
                Err(fault) => {
                    report.stopped = Some(fault);
                    return report;
                }
            }
            seen(index);
        }
        for (tile, hashes) in builder.partial() {
            report.take(self.check_tile(&tile, hashes));
        }
        report
    }

    fn check_tile(&self, tile: &Tile, expected: &[Hash32]) -> Result<(), ExportFault> {
        let (path, found) = self.hashes(tile)?;
        for (place, (expected, found)) in expected.iter().zip(&found).enumerate() {
            if expected != found {
                let (expected, found) = (*expected, *found);
                let cause = ExportCause::Differs { place, expected, found };
                return Err(ExportFault { path, cause });
            }
        }
        Ok(())
    }

    /// One entry.
    fn entry(&self, index: EntryIndex) -> Result<Bytes, ExportFault> {
        let width = u64::from(TILE_WIDTH);
        let missing = || ExportFault {
            path: format!("tile/entries, entry {index}"),
            cause: ExportCause::Missing,
        };
        let tile = Tile::of_tree(TileKind::Entries, index.0 / width, self.size());
        let within = usize::try_from(index.0 % width).map_err(|_| missing())?;
        let mut entries = self.bundle(tile.ok_or_else(missing)?);
        // A fault before it is its fault: where it begins is not known then.
        let mut before = entries.by_ref().take(within);
        before.find_map(Result::err).map_or(Ok(()), Err)?;
        entries.next().ok_or_else(missing)?
    }

    /// The entries of a bundle, and the first fault.
    fn bundle(&self, tile: Tile) -> impl Iterator<Item = Result<Bytes, ExportFault>> + use<> {
        let (entries, fault) = match self.file(&tile) {
            Ok((found, bytes)) => {
                let path = found.path();
                let entries = bundle_entries(&bytes, found.width());
                let entries = entries.map(move |entry| {
                    let cause = entry.map_err(ExportCause::Bundle);
                    cause.map_err(|cause| ExportFault { path: path.clone(), cause })
                });
                // Of a full bundle that stands for a partial one, its beginning. Of any other one
                // item more than it holds: the fault of what follows it.
                let held = usize::from(tile.width());
                let count = if found == tile { held + 1 } else { held };
                (Some(entries.take(count)), None)
            }
            Err(fault) => (None, Some(Err(fault))),
        };
        entries.into_iter().flatten().chain(fault)
    }

    /// The hashes of a tile, and the path they were read from.
    fn hashes(&self, tile: &Tile) -> Result<(String, Vec<Hash32>), ExportFault> {
        let (found, bytes) = self.file(tile)?;
        let path = found.path();
        match parse_hashes(&bytes, found.width()) {
            Ok(mut hashes) => {
                hashes.truncate(usize::from(tile.width()));
                Ok((path, hashes))
            }
            Err(fault) => Err(ExportFault { path, cause: ExportCause::Hashes(fault) }),
        }
    }

    /// The file of a tile; where a partial one is not there, the full one in its place.
    fn file(&self, tile: &Tile) -> Result<(Tile, Bytes), ExportFault> {
        if let Some(bytes) = self.bytes(tile)? {
            return Ok((*tile, bytes));
        }
        if !tile.is_full()
            && let Some(bytes) = self.bytes(&tile.full())?
        {
            return Ok((tile.full(), bytes));
        }
        let widest = if tile.is_full() { self.widest(tile) } else { None };
        let cause = widest.map_or(ExportCause::Missing, |found| ExportCause::Narrower { found });
        Err(ExportFault { path: tile.path(), cause })
    }

    fn bytes(&self, tile: &Tile) -> Result<Option<Bytes>, ExportFault> {
        let each = match tile.kind() {
            TileKind::Entries => 2 + MAX_ENTRY_BYTES,
            TileKind::Hashes { .. } => 32,
        };
        let (path, limit) = (tile.path(), usize::from(tile.width()) * each);
        let fault = |cause| ExportFault { path: path.clone(), cause };
        let read = read_at_most(&self.dir.join(&path), limit);
        match read.map_err(|it| fault(ExportCause::Unreadable(it)))? {
            Some(bytes) if bytes.len() > limit => Err(fault(ExportCause::TooLong { limit })),
            bytes => Ok(bytes.map(Bytes::from)),
        }
    }

    /// The widest partial tile at the place of a full one.
    fn widest(&self, tile: &Tile) -> Option<u16> {
        let names = fs::read_dir(self.dir.join(format!("{}.p", tile.path()))).ok()?;
        let names =
            names.take(2 * ROW_HASHES).filter_map(|name| name.ok()?.file_name().into_string().ok());
        names.filter_map(|name| name.parse().ok()).filter(|width| *width < TILE_WIDTH).max()
    }

    /// Receipts of the rotations, as the export proves them: their entries under the old key's
    /// checkpoint. With each the key that it names.
    fn rotation_receipts(
        &self,
        tree: &ExportTree<'_>,
    ) -> Result<Vec<RotationReceipt>, ExportFault> {
        let mut receipts = Vec::new();
        for index in self.rotations()? {
            let Some(text) = self.rotation(index)? else { continue };
            // One that is no checkpoint leads nowhere, and the judge misses it.
            let Ok((_, checkpoint)) = SignedCheckpoint::parse(&text) else { continue };
            let (entry, size) = (self.entry(index)?, EntryCount(index.next().0));
            let Some(next_key) = named_key(&entry) else { continue };
            let proof = inclusion_proof(index, size, tree).map_err(of_proof)?;
            let receipt = Receipt { entry, index, proof, checkpoint };
            receipts.push(RotationReceipt { next_key, text: receipt.encode().into_bytes() });
        }
        Ok(receipts)
    }
}

struct RotationReceipt {
    next_key: PublicKey,
    text: Vec<u8>,
}

impl ExportFault {
    /// Whether somebody changed the file; else it is not there, or cannot be read.
    pub(super) const fn is_damage(&self) -> bool {
        match self.cause {
            ExportCause::Bundle(_)
            | ExportCause::Differs { .. }
            | ExportCause::Hashes(_)
            | ExportCause::TooLong { .. } => true,
            ExportCause::Missing | ExportCause::Narrower { .. } | ExportCause::Unreadable(_) => {
                false
            }
        }
    }
}

impl TileReport {
    fn take(&mut self, checked: Result<(), ExportFault>) {
        self.checked += 1;
        let Err(fault) = checked else { return };
        if self.faults.len() < MAX_FINDINGS {
            self.faults.push(fault);
        } else {
            self.left_out += 1;
        }
    }

    /// Whether every tile is what the entries give.
    pub(super) fn is_clean(&self) -> bool {
        self.faults.is_empty() && self.stopped.is_none()
    }
}

/// Holds an old receipt against an export: see `docs/FORMAT.md`, section 17. The pinned key may be
/// any of the ledger's up to the one in force for the receipt.
pub(super) fn check_receipt_against(export: &Export, receipt: &[u8], pins: &Pins) -> AgainstExport {
    let tree = ExportTree { export, kept: RefCell::default() };
    let rotations = match export.rotation_receipts(&tree) {
        Ok(rotations) => rotations,
        Err(fault) => {
            let receipt = verify_receipt_after(receipt, &[], pins);
            return AgainstExport { receipt, agreement: Agreement::of_fault(&fault) };
        }
    };
    // Those that follow the pinned key.
    let mut rotations: Vec<RotationReceipt> = rotations;
    if let Some(at) = rotations.iter().position(|it| Some(it.next_key) == pins.ledger_key) {
        rotations.drain(..=at);
    }
    let rotations: Vec<Vec<u8>> = rotations.into_iter().map(|it| it.text).collect();
    let judged = verify_receipt_after(receipt, &rotations, pins);
    let agreement = match Receipt::parse(receipt) {
        Ok(receipt) => agreement(&tree, &receipt, &rotations, pins),
        Err(fault) => Err(Agreement::Unknown(format!("the receipt is none: {fault}"))),
    };
    let agreement = agreement.map_or_else(|it| it, |size| Agreement::Holds { size });
    AgainstExport { receipt: judged, agreement }
}

/// The size of the export's tree, when the two agree; else why not.
fn agreement(
    tree: &ExportTree<'_>,
    receipt: &Receipt,
    rotations: &[Vec<u8>],
    pins: &Pins,
) -> Result<EntryCount, Agreement> {
    let export = tree.export;
    let Some((head, head_text)) = &export.said else {
        return Err(Agreement::Contradicts("the export's checkpoint is none".to_owned()));
    };
    let (old, _) = SignedCheckpoint::parse(receipt.checkpoint.as_bytes()).map_err(|fault| {
        Agreement::Unknown(format!("the receipt's checkpoint is none: {fault}"))
    })?;
    if old.origin != head.origin {
        let detail = format!("the export is of {}, the receipt of {}", head.origin, old.origin);
        return Err(Agreement::Unknown(detail));
    }
    let index = receipt.index;
    if old.size > head.size || index.0 >= old.size.0 {
        return Err(Agreement::Unknown(format!(
            "the receipt is for entry {index} in a tree of {} entries, the export ends at {}",
            old.size, head.size
        )));
    }
    let is_by = |key| SignedCheckpoint::open(head_text.as_bytes(), &head.origin, key).is_ok();
    if !followed(rotations, pins).iter().any(is_by) {
        // Whatever else it holds: what the ledger did not sign contradicts nothing.
        let detail = "the export's checkpoint is by no key of the ledger that is known here";
        return Err(Agreement::Unknown(detail.to_owned()));
    }
    let told = |fault: ExportFault| Agreement::of_fault(&fault);
    let entry = export.entry(index).map_err(told)?;
    if entry != receipt.entry {
        return Err(Agreement::Contradicts(format!(
            "entry {index} is another one in the export: its leaf hash is {} there, and {} in the \
             receipt",
            leaf_hash(&entry),
            leaf_hash(&receipt.entry)
        )));
    }
    let proof = inclusion_proof(index, head.size, tree).map_err(|it| told(of_proof(it)))?;
    let now = Receipt { entry, index, proof, checkpoint: head_text.clone() };
    let now = verify_receipt_after(now.encode().as_bytes(), rotations, pins);
    if !matches!(now.verdict, Verdict::Verified | Verdict::Warnings) {
        let details: Vec<String> = now.findings.iter().map(ToString::to_string).collect();
        let detail = format!("entry {index} under the export's checkpoint: {}", details.join("; "));
        return Err(match now.verdict {
            Verdict::Tampered => Agreement::Contradicts(detail),
            Verdict::Undetermined | Verdict::Verified | Verdict::Warnings => {
                Agreement::Unknown(detail)
            }
        });
    }
    let proof = consistency_proof(old.size, head.size, tree).map_err(|it| told(of_proof(it)))?;
    verify_consistency(old.size, &old.root, head.size, &head.root, &proof).map_err(|refused| {
        Agreement::Contradicts(format!(
            "the receipt's tree of {} entries is not the beginning of the export's tree of {}: \
             {refused}",
            old.size, head.size
        ))
    })?;
    Ok(head.size)
}

/// The pinned key, and those that the receipts of rotations lead to.
fn followed(rotations: &[Vec<u8>], pins: &Pins) -> Vec<PublicKey> {
    let mut keys: Vec<PublicKey> = pins.ledger_key.into_iter().collect();
    for (place, text) in rotations.iter().enumerate() {
        let before = rotations.get(..place).unwrap_or_default();
        let report = verify_receipt_after(text, before, pins);
        let is_good = matches!(report.verdict, Verdict::Verified | Verdict::Warnings);
        let Some(receipt) = Receipt::parse(text).ok().filter(|_| is_good) else { break };
        keys.extend(named_key(&receipt.entry));
    }
    keys
}

impl Agreement {
    fn of_fault(fault: &ExportFault) -> Self {
        if fault.is_damage() {
            Self::Contradicts(fault.to_string())
        } else {
            Self::Unknown(fault.to_string())
        }
    }
}

/// The tiles of an export as hashes of a tree. Believed for nothing: what is built from them is
/// proven against signed roots.
struct ExportTree<'a> {
    export: &'a Export,
    kept: RefCell<BTreeMap<Tile, Vec<Hash32>>>,
}

impl NodeSource for ExportTree<'_> {
    type Fault = ExportFault;

    fn node(&self, level: u8, index: u64) -> Result<Hash32, ExportFault> {
        let (kind, height) = (TileKind::Hashes { level: level / TILE_HEIGHT }, level % TILE_HEIGHT);
        let in_tile = u64::from(TILE_WIDTH) >> height;
        let missing = || ExportFault {
            path: format!("tile/{}, node {index} of level {level}", level / TILE_HEIGHT),
            cause: ExportCause::Missing,
        };
        let within = usize::try_from(index % in_tile).map_err(|_| missing())?;
        let tile = Tile::of_tree(kind, index / in_tile, self.export.size()).ok_or_else(missing)?;
        let mut kept = self.kept.borrow_mut();
        if !kept.contains_key(&tile) {
            let (_, hashes) = self.export.hashes(&tile)?;
            if kept.len() >= KEPT_TILES {
                kept.clear();
            }
            kept.insert(tile, hashes);
        }
        kept.get(&tile).and_then(|hashes| node_in(hashes, height, within)).ok_or_else(missing)
    }
}

fn of_proof(fault: ProofFault<ExportFault>) -> ExportFault {
    match fault {
        ProofFault::Node(fault) => fault,
        other => ExportFault {
            path: "tile".to_owned(),
            cause: ExportCause::Unreadable(anyhow::anyhow!(other.to_string())),
        },
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::cli::export::Tiles;
    use crate::cli::export_target::Target;
    use crate::domain::{Origin, PublicKey, TimeMs};
    use crate::ledger::entry::{Draft, EntryKind, Position};
    use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope};
    use crate::ledger::hash::ChainValue;
    use crate::ledger::keys::SigningKey;
    use crate::ledger::tree::Frontier;
    use crate::node::statement;

    const ORIGIN: &str = "ledger.example/export";
    /// Entry in which the rotated ledger names its next key.
    const ROTATED: u64 = 400;

    /// A ledger whose entries say nothing: what they say is the judge's business.
    struct Ledger {
        origin: Origin,
        keys: Vec<SigningKey>,
        entries: Vec<Bytes>,
    }

    impl Ledger {
        /// So many entries, which from `fork` on are others; with a rotation when there are two
        /// keys.
        fn told(count: u64, fork: u64, seeds: &[u8]) -> Self {
            let origin = Origin::parse(ORIGIN).unwrap();
            let keys: Vec<_> = seeds.iter().map(|it| SigningKey::from_seed([*it; 32])).collect();
            let mut ledger = Self { origin, keys, entries: Vec::new() };
            let mut previous = ChainValue::START;
            for index in 0..count {
                let is_rotation = ledger.keys.len() == 2 && index == ROTATED;
                let (kind, envelope) = if is_rotation {
                    let (old, next) = (&ledger.keys[0], &ledger.keys[1]);
                    (EntryKind::Statement, statement::rotation(&ledger.origin, old, next))
                } else {
                    let text = if index < fork { "story" } else { "another story" };
                    let payload = Bytes::from(format!("{text} {index}"));
                    let signer = SigningKey::from_seed([99; 32]);
                    let envelope = Envelope::sign(EVENT_PAYLOAD_TYPE, payload, &[&signer]);
                    (EntryKind::Event, envelope.encode())
                };
                let draft = Draft {
                    kind,
                    recorded_at: TimeMs::of(1_767_225_600_000),
                    rules_version: 1,
                    tables_hash: Hash32([5; 32]),
                    links: Vec::new(),
                    envelope,
                };
                let index = EntryIndex(index);
                let place = Position { index, previous, batch_first: index, batch_len: 1 };
                let sealed = draft.seal(place).unwrap();
                previous = sealed.chain();
                ledger.entries.push(sealed.bytes().clone());
            }
            ledger
        }

        fn frontier(&self, size: u64) -> Frontier {
            let mut frontier = Frontier::default();
            let count = usize::try_from(size).unwrap();
            self.entries[..count].iter().for_each(|entry| frontier.push(leaf_hash(entry)));
            frontier
        }

        /// Signed by the key whose turn it is.
        fn checkpoint(&self, size: u64) -> (Checkpoint, SignedCheckpoint) {
            let frontier = self.frontier(size);
            let (origin, root) = (self.origin.clone(), frontier.root());
            let said = Checkpoint { origin, size: EntryCount(size), root };
            let turn = usize::from(self.keys.len() == 2 && size > ROTATED + 1);
            let signed = said.sign(&self.keys[turn]);
            (said, signed)
        }

        fn export(&self) -> (TempDir, Export) {
            let folder = tempfile::tempdir().unwrap();
            let mut target = Target::open(folder.path()).unwrap();
            let mut tiles = Tiles::default();
            self.entries.iter().for_each(|entry| tiles.push(entry, &mut target).unwrap());
            tiles.end(&mut target).unwrap();
            if self.keys.len() == 2 {
                let (_, text) = self.checkpoint(ROTATED + 1);
                target.put(&rotation_name(EntryIndex(ROTATED)), text.as_bytes()).unwrap();
            }
            let (said, text) = self.checkpoint(self.entries.len() as u64);
            target.finish(CHECKPOINT_NAME, text.as_bytes(), &said).unwrap();
            let export = open_export(folder.path()).unwrap();
            (folder, export)
        }

        fn receipt(&self, index: u64, size: u64) -> Vec<u8> {
            let nodes = Nodes(self.entries.iter().map(|entry| leaf_hash(entry)).collect());
            let (index, size) = (EntryIndex(index), EntryCount(size));
            let proof = inclusion_proof(index, size, &nodes).unwrap();
            let entry = self.entries[usize::try_from(index.0).unwrap()].clone();
            let (_, checkpoint) = self.checkpoint(size.0);
            Receipt { entry, index, proof, checkpoint }.encode().into_bytes()
        }

        fn pins(&self, key: usize) -> Pins {
            let ledger_key: PublicKey = self.keys[key].public_key();
            Pins { origin: Some(self.origin.clone()), ledger_key: Some(ledger_key) }
        }
    }

    /// Leaves; every node from them, without tiles.
    struct Nodes(Vec<Hash32>);

    impl NodeSource for Nodes {
        type Fault = std::convert::Infallible;

        fn node(&self, level: u8, index: u64) -> Result<Hash32, Self::Fault> {
            if level == 0 {
                return Ok(self.0[usize::try_from(index).unwrap()]);
            }
            let left = self.node(level - 1, 2 * index)?;
            let right = self.node(level - 1, 2 * index + 1)?;
            Ok(crate::ledger::hash::node_hash(&left, &right))
        }
    }

    fn alter(folder: &TempDir, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = folder.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn what_was_written_is_read() {
        for count in [1, 255, 256, 257, 600] {
            let ledger = Ledger::told(count, u64::MAX, &[1]);
            let (_folder, export) = ledger.export();
            assert_eq!(export.size(), EntryCount(count));
            let read: Result<Vec<Bytes>, _> = export.entries().collect();
            assert_eq!(read.unwrap(), ledger.entries);
            let report = export.check_tiles(|_| {});
            assert!(report.is_clean(), "{report:?}");
            // At level 0 one for each bundle; one at level 1 from 256 entries on.
            let tiles = count.div_ceil(256) + u64::from(count >= 256);
            assert_eq!((report.checked, report.left_out), (tiles, 0));
        }
    }

    #[test]
    fn a_bundle_with_a_fault_is_named_and_the_entries_before_it_are_read() {
        type Change = fn(&TempDir);
        let partial: Change = |folder| {
            let path = folder.path().join("tile/entries/001");
            fs::create_dir_all(folder.path().join("tile/entries/001.p")).unwrap();
            fs::rename(path, folder.path().join("tile/entries/001.p/70")).unwrap();
        };
        let rows: [(Change, usize, bool, &str); 7] = [
            (
                |folder| fs::remove_file(folder.path().join("tile/entries/001")).unwrap(),
                256,
                false,
                "tile/entries/001: it is not there",
            ),
            (
                partial,
                256,
                false,
                "tile/entries/001: it is not there in full: the widest that is there has 70 of 256",
            ),
            (
                |folder| alter(folder, "tile/entries/001", |bytes| bytes.push(0)),
                512,
                true,
                "1 bytes follow the last of 256 entries",
            ),
            (
                |folder| {
                    alter(folder, "tile/entries/000", |bytes| {
                        bytes.pop();
                    });
                },
                255,
                true,
                "reaches beyond the file",
            ),
            (
                |folder| alter(folder, "tile/entries/002.p/88", |bytes| bytes.truncate(1)),
                512,
                true,
                "tile/entries/002.p/88: offset 0: the file ends inside a length",
            ),
            (
                |folder| alter(folder, "tile/entries/002.p/88", Vec::clear),
                512,
                true,
                "tile/entries/002.p/88: offset 0: the file ends after 0 entries, and holds 88",
            ),
            (
                |folder| {
                    let most = 88 * (2 + MAX_ENTRY_BYTES);
                    alter(folder, "tile/entries/002.p/88", |bytes| bytes.resize(most + 1, 0));
                },
                512,
                true,
                "tile/entries/002.p/88: it has more than 5767256 bytes",
            ),
        ];
        for (change, good, is_damage, said) in rows {
            let (folder, export) = Ledger::told(600, u64::MAX, &[1]).export();
            change(&folder);
            let mut read: Vec<Result<Bytes, ExportFault>> = export.entries().collect();
            let fault = read.pop().unwrap().unwrap_err();
            assert!(fault.to_string().contains(said), "{fault}");
            assert_eq!((read.len(), fault.is_damage()), (good, is_damage), "{fault}");
            assert!(read.iter().all(Result::is_ok));
            assert!(export.check_tiles(|_| {}).stopped.is_some());
        }
    }

    #[test]
    fn a_full_bundle_stands_for_a_partial_one_that_is_gone() {
        let long = Ledger::told(600, u64::MAX, &[1]);
        let (folder, _) = long.export();
        let (_, text) = long.checkpoint(300);
        fs::write(folder.path().join(CHECKPOINT_NAME), text.as_bytes()).unwrap();
        let export = open_export(folder.path()).unwrap();
        let read: Result<Vec<Bytes>, _> = export.entries().collect();
        assert_eq!(read.unwrap(), long.entries[..300]);
        // Its one partial tile at level 1 is not in the larger tree.
        let report = export.check_tiles(|_| {});
        assert_eq!(report.faults.len(), 1, "{report:?}");
        assert_eq!(report.faults[0].to_string(), "tile/1/000.p/1: it is not there");
    }

    #[test]
    fn a_tile_that_differs_is_told_with_the_hash() {
        let (folder, export) = Ledger::told(600, u64::MAX, &[1]).export();
        alter(&folder, "tile/0/001", |bytes| bytes[3 * 32] ^= 1);
        alter(&folder, "tile/1/000.p/2", |bytes| bytes[63] ^= 1);
        alter(&folder, "tile/0/002.p/88", |bytes| bytes.truncate(87 * 32));
        let report = export.check_tiles(|_| {});
        let said: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        assert_eq!((said.len(), report.checked), (3, 4), "{said:?}");
        assert!(said[0].starts_with("tile/0/001: hash 3 is "), "{said:?}");
        assert!(said[1].starts_with("tile/0/002.p/88: a tile of 88 hashes has 2816"), "{said:?}");
        assert!(said[2].starts_with("tile/1/000.p/2: hash 1 is "), "{said:?}");
        assert!(report.faults.iter().all(ExportFault::is_damage));
    }

    #[test]
    fn a_checkpoint_that_promises_the_world_ends_at_the_first_missing_file() {
        let ledger = Ledger::told(300, u64::MAX, &[1]);
        let (folder, _) = ledger.export();
        let said = Checkpoint { size: EntryCount(u64::MAX), ..ledger.checkpoint(300).0 };
        let text = said.sign(&ledger.keys[0]);
        fs::write(folder.path().join(CHECKPOINT_NAME), text.as_bytes()).unwrap();
        let export = open_export(folder.path()).unwrap();
        assert_eq!(export.entries().flatten().count(), 256);
        assert!(!export.check_tiles(|_| {}).is_clean());
        let told = check_receipt_against(&export, &ledger.receipt(7, 300), &ledger.pins(0));
        assert!(matches!(told.agreement, Agreement::Unknown(_)), "{told:?}");
    }

    #[test]
    fn an_old_receipt_holds_against_a_later_export_of_its_ledger_alone() {
        let ledger = Ledger::told(600, u64::MAX, &[1]);
        let receipt = ledger.receipt(17, 300);
        let holds = Agreement::Holds { size: EntryCount(600) };
        let (folder, export) = ledger.export();
        let told = check_receipt_against(&export, &receipt, &ledger.pins(0));
        assert_eq!((told.receipt.verdict, told.agreement), (Verdict::Verified, holds));

        // Another story behind the receipt's entry, inside its tree, signed by the same key.
        for (fork, said) in [(17, "entry 17 is another one"), (100, "not the beginning")] {
            let (_folder, other) = Ledger::told(600, fork, &[1]).export();
            let told = check_receipt_against(&other, &receipt, &ledger.pins(0));
            assert_eq!(told.receipt.verdict, Verdict::Verified);
            let Agreement::Contradicts(detail) = &told.agreement else { panic!("{told:?}") };
            assert!(detail.contains(said), "{detail}");
        }
        // Behind the receipt's tree the story may be any.
        let (_other_folder, other) = Ledger::told(600, 300, &[1]).export();
        let told = check_receipt_against(&other, &receipt, &ledger.pins(0));
        assert_eq!(told.agreement, Agreement::Holds { size: EntryCount(600) });

        // Too short, nobody pinned, signed by somebody else.
        let (_short_folder, short) = Ledger::told(299, u64::MAX, &[1]).export();
        let told = check_receipt_against(&short, &receipt, &ledger.pins(0));
        assert!(matches!(told.agreement, Agreement::Unknown(_)), "{told:?}");
        let told = check_receipt_against(&export, &receipt, &Pins::default());
        assert!(matches!(told.agreement, Agreement::Unknown(_)), "{told:?}");
        let (_foreign_folder, foreign) = Ledger::told(600, u64::MAX, &[2]).export();
        let told = check_receipt_against(&foreign, &receipt, &ledger.pins(0));
        assert!(matches!(told.agreement, Agreement::Unknown(_)), "{told:?}");

        // Tiles that lie do not make it right, nor an entry that was changed.
        alter(&folder, "tile/0/000", |bytes| bytes[16 * 32] ^= 1);
        let told = check_receipt_against(&export, &receipt, &ledger.pins(0));
        assert!(matches!(told.agreement, Agreement::Contradicts(_)), "{told:?}");
        alter(&folder, "tile/0/000", |bytes| bytes[16 * 32] ^= 1);
        let at = ledger.entries[..17].iter().map(|entry| 2 + entry.len()).sum::<usize>();
        alter(&folder, "tile/entries/000", |bytes| bytes[at + 60] ^= 1);
        let told = check_receipt_against(&export, &receipt, &ledger.pins(0));
        assert!(matches!(told.agreement, Agreement::Contradicts(_)), "{told:?}");
    }

    #[test]
    fn receipts_of_every_key_hold_where_the_rotation_is_at_hand() {
        let ledger = Ledger::told(600, u64::MAX, &[1, 2]);
        let (folder, export) = ledger.export();
        assert_eq!(export.rotations().unwrap(), [EntryIndex(ROTATED)]);
        let holds = Agreement::Holds { size: EntryCount(600) };
        // By the first key before and after the rotation; by the next one after it.
        for (key, index, size) in [(0, 7, 300), (0, ROTATED, ROTATED + 1), (0, 7, 500), (1, 7, 500)]
        {
            let receipt = ledger.receipt(index, size);
            let told = check_receipt_against(&export, &receipt, &ledger.pins(key));
            assert_eq!((told.receipt.verdict, &told.agreement), (Verdict::Verified, &holds));
        }
        fs::remove_file(folder.path().join("rotation/400")).unwrap();
        let told = check_receipt_against(&export, &ledger.receipt(7, 300), &ledger.pins(0));
        assert_eq!(told.receipt.verdict, Verdict::Verified);
        assert_ne!(told.agreement, holds, "nobody whom the reader pinned signs for the export");
        // Who pinned the next key needs no rotation.
        let told = check_receipt_against(&export, &ledger.receipt(7, 500), &ledger.pins(1));
        assert_eq!((told.receipt.verdict, told.agreement), (Verdict::Verified, holds));
    }
}
