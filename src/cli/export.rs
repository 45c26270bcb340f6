//! `urbanmine export`: the ledger as a directory of files that verify without the service.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::json;

use super::export_target::{CHECKPOINT_NAME, Target, rotation_name};
use super::init::guard_of;
use super::output::{bar, print_json, thousands};
use crate::domain::{EntryCount, EntryIndex, Hash32, Origin, PublicKey};
use crate::ledger::Frontier;
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::ledger::frame::Group;
use crate::ledger::hash::leaf_hash;
use crate::ledger::tiles::{TILE_WIDTH, Tile, TileBuilder, TileKind, encode_hashes, push_entry};
use crate::limits::{MAX_ENTRY_BUNDLE_BYTES, MAX_LEDGER_KEYS};
use crate::node::statement::named_key;
use crate::store::{JournalCause, ReadOnly, Store, StoreConfig, read_guard};

/// Write the ledger as a C2SP tlog-tiles directory: checkpoint, hash tiles, entry bundles, and the
/// checkpoints at which its key changed. It verifies without the service. Called again with the
/// same directory it adds what is new; what is there is never written over.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Data directory of the ledger; nothing in it is touched, and its node may run.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Directory to write to: new, empty, or an earlier export of this ledger.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Directory of the head guard, which holds the last checkpoint [default: <data>.guard]
    #[arg(long, value_name = "DIR")]
    guard: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let source = Source::open(&args.data, args.guard.as_deref())?;
    // Held until everything is written: two exports at once would not see each other's files.
    let mut target = Target::open(&args.to)?;
    let before = target.checkpoint()?;
    let survey = source.survey(before.as_ref())?;
    check_follows(before.as_ref(), &survey, &args.to)?;
    source.write(&survey, &mut target)?;
    let size = survey.checkpoint.size;
    let (written, kept) = (target.written(), target.kept());
    if args.json {
        let rotations: Vec<u64> = survey.rotations.iter().map(|(at, _)| at.0).collect();
        let (origin, root) = (survey.checkpoint.origin.as_str(), survey.checkpoint.root);
        return print_json(&json!({
            "checkpoint": { "origin": origin, "size": size.0, "root": root.to_string() },
            "entries": size.0,
            "entries_before": before.map_or(0, |before| before.size.0),
            "unsigned_entries": survey.unsigned,
            "rotations": rotations,
            "files_written": written,
            "files_kept": kept,
        }));
    }
    println!("entries  {}", thousands(size.0));
    println!("root     {}", survey.checkpoint.root);
    println!("files    {} written, {} kept", thousands(written), thousands(kept));
    if survey.unsigned > 0 {
        eprintln!("{} entries at the end are not signed yet and are left out", survey.unsigned);
    }
    eprintln!(
        "Entry bundles (tile/entries) tell what is in the ledger: give them to whom may know."
    );
    Ok(())
}

/// An earlier export goes on as this one, or nothing is touched.
fn check_follows(before: Option<&Checkpoint>, survey: &Survey, to: &Path) -> anyhow::Result<()> {
    let Some(before) = before else { return Ok(()) };
    let (to, now) = (to.display(), &survey.checkpoint);
    if before.origin != now.origin {
        bail!("{to} holds an export of {}, not of {}", before.origin, now.origin);
    }
    if before.size > now.size {
        bail!(
            "{to} holds {} entries, and the ledger has signed for {}: it is an older copy, or \
             another ledger of the same name",
            before.size,
            now.size
        );
    }
    match survey.root_before {
        Some(root) if root == before.root => Ok(()),
        root => bail!(
            "{to} holds another ledger of the same name: its root over {} entries is {}, and this \
             one's is {}",
            before.size,
            before.root,
            root.map_or("not known".to_owned(), |root| root.to_string())
        ),
    }
}

/// The ledger that is exported.
struct Source {
    journal: ReadOnly,
    /// The head guard's checkpoint, read before the journal: what is appended meanwhile is newer
    /// than it, never older.
    head: Option<Bytes>,
}

/// What will be written, known before the first file is.
struct Survey {
    /// What the last signed checkpoint says.
    checkpoint: Checkpoint,
    /// It, verbatim.
    text: Bytes,
    /// Entries that name a next ledger key, each with the checkpoint that ends with it, verbatim.
    rotations: Vec<(EntryIndex, Bytes)>,
    /// Entries after that checkpoint.
    unsigned: u64,
    /// Root over as many entries as an earlier export has.
    root_before: Option<Hash32>,
}

impl Source {
    fn open(data: &Path, guard: Option<&Path>) -> anyhow::Result<Self> {
        let head = read_guard(&guard_of(data, guard)).context("the head guard cannot be read")?;
        let journal = Store::open_read_only(&StoreConfig::new(data, data))
            .with_context(|| format!("{} holds no ledger that can be read", data.display()))?;
        Ok(Self { journal, head })
    }

    /// Groups to the end of the files. Half a frame at the very end is a write under way, or a
    /// crash: nobody was told of it.
    fn groups(&self) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Group>>> {
        let groups = self.journal.journal_read(EntryIndex(0)).context("the journal")?;
        Ok(groups.filter_map(|group| match group {
            Err(fault) if matches!(fault.cause, JournalCause::Torn(_)) => None,
            group => Some(group.context("the journal is damaged; see `urbanmine verify --data`")),
        }))
    }

    /// Reads everything once, so that nothing is written of a ledger whose entries do not give the
    /// root that it signed.
    fn survey(&self, before: Option<&Checkpoint>) -> anyhow::Result<Survey> {
        let mut reading = Reading {
            key: *self.journal.ledger_key(),
            frontier: Frontier::default(),
            rotations: Vec::new(),
            last: None,
            before: before.map(|before| before.size),
            root_before: None,
        };
        let progress = bar(self.head_size().map_or(0, |size| size.0), "reading");
        let mut last: Option<Group> = None;
        for group in self.groups()? {
            let group = group?;
            let ending = group.previous_checkpoint.clone();
            if let Some(ended) = last.replace(group) {
                reading.take(&ended, &ending, self.journal.origin())?;
                progress.set_position(ended.end().0);
            }
        }
        progress.finish_and_clear();
        let last = last.context("the ledger has no entries")?;
        let journaled = last.end();
        let mut unsigned = 0;
        match (&self.head, self.head_size()) {
            (_, Some(size)) if size.0 > journaled.0 => bail!(
                "the head guard speaks of {size} entries, and the journal has {journaled}: it is \
                 an older copy"
            ),
            (Some(text), Some(size)) if size.0 == journaled.0 => {
                reading.take(&last, text, self.journal.origin())?;
            }
            _ => unsigned = u64::try_from(last.entries.len()).unwrap_or(u64::MAX),
        }
        reading.end(unsigned, self.journal.origin())
    }

    /// Entries under the head guard's checkpoint, as it says.
    fn head_size(&self) -> Option<EntryCount> {
        let (said, _) = SignedCheckpoint::parse(self.head.as_ref()?).ok()?;
        Some(said.size)
    }

    /// Writes what was surveyed, the checkpoint last.
    fn write(&self, survey: &Survey, target: &mut Target) -> anyhow::Result<()> {
        let size = survey.checkpoint.size;
        let progress = bar(size.0, "writing");
        let mut tiles = Tiles::default();
        for group in self.groups()? {
            let group = group?;
            if group.first.0 >= size.0 {
                break;
            }
            for entry in &group.entries {
                tiles.push(entry, target)?;
            }
            progress.set_position(group.end().0);
        }
        // The journal only grows, so this is a journal that changed under our eyes.
        if tiles.builder_size != size.0 {
            bail!("the journal had {size} entries, and now has {}", tiles.builder_size);
        }
        tiles.end(target)?;
        for (at, text) in &survey.rotations {
            target.put(&rotation_name(*at), text)?;
        }
        progress.finish_and_clear();
        // A crash before this line leaves the export as it was, with files that nobody asks for.
        target.finish(CHECKPOINT_NAME, &survey.text, &survey.checkpoint)
    }
}

/// What was read so far.
struct Reading {
    /// The ledger key in force.
    key: PublicKey,
    frontier: Frontier,
    rotations: Vec<(EntryIndex, Bytes)>,
    /// The last checkpoint: the key that has to have signed it, and its text.
    last: Option<(PublicKey, Bytes)>,
    before: Option<EntryCount>,
    root_before: Option<Hash32>,
}

impl Reading {
    /// A group, with the checkpoint that ends it.
    fn take(&mut self, group: &Group, ending: &Bytes, origin: &Origin) -> anyhow::Result<()> {
        let mut rotated = None;
        for (index, entry) in (group.first.0..).zip(&group.entries) {
            self.frontier.push(leaf_hash(entry));
            if Some(self.frontier.size()) == self.before {
                self.root_before = Some(self.frontier.root());
            }
            rotated = named_key(entry).map(|key| (EntryIndex(index), key)).or(rotated);
        }
        self.last = Some((self.key, ending.clone()));
        let Some((index, key)) = rotated else { return Ok(()) };
        // The old key's word on all that was before: without it whoever holds the next key could
        // tell another history of it.
        self.check(&self.key, ending, origin)
            .with_context(|| format!("entry {index} names the next ledger key"))?;
        if self.rotations.len() + 1 >= MAX_LEDGER_KEYS {
            bail!("entry {index}: the ledger has had more than {MAX_LEDGER_KEYS} keys");
        }
        self.rotations.push((index, ending.clone()));
        self.key = key;
        Ok(())
    }

    /// Whether a checkpoint is signed by a key over exactly what was read.
    fn check(&self, key: &PublicKey, text: &Bytes, origin: &Origin) -> anyhow::Result<Checkpoint> {
        let (checkpoint, _) = SignedCheckpoint::open(text, origin, key)?;
        let (size, root) = (self.frontier.size(), self.frontier.root());
        if checkpoint.size != size || checkpoint.root != root {
            bail!(
                "the checkpoint is of {} entries with root {}, and the journal gives {} entries \
                 with root {root}; see `urbanmine verify --data`",
                checkpoint.size,
                checkpoint.root,
                size
            );
        }
        Ok(checkpoint)
    }

    fn end(self, unsigned: u64, origin: &Origin) -> anyhow::Result<Survey> {
        let Some((key, text)) = self.last.clone() else {
            bail!("nothing is signed yet: there is no checkpoint over the first entries");
        };
        let checkpoint = self.check(&key, &text, origin).context("the last checkpoint")?;
        let Self { rotations, root_before, .. } = self;
        Ok(Survey { checkpoint, text, rotations, unsigned, root_before })
    }
}

/// Entries into files: holds one bundle, and the right edge of the tree.
#[derive(Default)]
pub(super) struct Tiles {
    builder: TileBuilder,
    builder_size: u64,
    bundle: Vec<u8>,
}

impl Tiles {
    pub(super) fn push(&mut self, entry: &Bytes, target: &mut Target) -> anyhow::Result<()> {
        push_entry(&mut self.bundle, entry)?;
        debug_assert!(self.bundle.len() <= MAX_ENTRY_BUNDLE_BYTES, "256 entries at most");
        self.builder_size += 1;
        let full = self.builder.push(leaf_hash(entry));
        if self.builder_size.is_multiple_of(u64::from(TILE_WIDTH)) {
            self.end_bundle(target)?;
        }
        for (tile, hashes) in full {
            target.put(&tile.path(), &encode_hashes(&hashes))?;
        }
        Ok(())
    }

    fn end_bundle(&mut self, target: &mut Target) -> anyhow::Result<()> {
        let width = u64::from(TILE_WIDTH);
        let Some(last) = self.builder_size.checked_sub(1) else { return Ok(()) };
        let wide = u16::try_from(last % width + 1).unwrap_or(TILE_WIDTH);
        let tile = Tile::new(TileKind::Entries, last / width, wide)?;
        if !self.bundle.is_empty() {
            target.put(&tile.path(), &self.bundle)?;
            self.bundle.clear();
        }
        Ok(())
    }

    pub(super) fn end(mut self, target: &mut Target) -> anyhow::Result<()> {
        self.end_bundle(target)?;
        for (tile, hashes) in self.builder.partial() {
            target.put(&tile.path(), &encode_hashes(hashes))?;
        }
        Ok(())
    }
}
