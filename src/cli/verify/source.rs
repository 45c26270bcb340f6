//! Where entries come from: a journal on disk, or a server.

use std::path::Path;

use anyhow::{Context as _, Result};
use bytes::Bytes;

use super::super::client::{AccessArgs, Client, Refused};
use super::super::export_source::{Export, ExportFault};
use super::super::init::guard_of;
use super::super::runtime;
use super::crew::{Piece, Source};
use crate::domain::EntryIndex;
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::frame::Group;
use crate::ledger::receipt::Receipt;
use crate::ledger::{Entry, EntryKind, Envelope};
use crate::limits::MAX_GROUP_ENTRIES;
use crate::store::{Groups, JournalCause, read_guard, read_journal};
use crate::wire::statement::StatementBody;
use crate::wire::{decode_statement, v1};

/// The journal of a data directory, up to what the ledger has signed. Takes no lock.
pub(in crate::cli) struct Journal {
    groups: Groups,
    /// The signed head, as the guard has it.
    pub(in crate::cli) head: Option<Bytes>,
    /// Entries that are under a checkpoint.
    pub(in crate::cli) covered: u64,
    last: Option<Group>,
    is_done: bool,
    /// The journal itself is damaged: before which entry, and how.
    pub(in crate::cli) damage: Option<(EntryIndex, String)>,
    /// The medium does not give what follows, and how: that accuses nobody.
    pub(in crate::cli) unreadable: Option<String>,
    /// Entries after the last signed checkpoint.
    pub(in crate::cli) unsigned: u64,
}

impl Journal {
    /// Reads the guard first: what is appended meanwhile is newer than it, never older.
    pub(in crate::cli) fn open(data: &Path, guard: Option<&Path>) -> Result<Self> {
        let head = read_guard(&guard_of(data, guard)).context("the head guard cannot be read")?;
        let said = head.as_ref().map(|text| SignedCheckpoint::parse(text));
        let covered = said.and_then(Result::ok).map_or(0, |(head, _)| head.size.0);
        let groups = read_journal(data)
            .with_context(|| format!("{} holds no ledger that can be read", data.display()))?;
        let (last, damage, unreadable) = (None, None, None);
        let (is_done, unsigned) = (false, 0);
        Ok(Self { groups, head, covered, last, is_done, damage, unreadable, unsigned })
    }

    /// The next group that reads; what does not read ends the journal.
    fn read(&mut self) -> Option<Group> {
        match self.groups.next()? {
            Ok(group) => {
                // A frame repeats the checkpoint of the group before it, so that one is covered.
                self.covered = self.covered.max(group.first.0);
                Some(group)
            }
            // Half a frame at the very end: a write under way, or a crash. Nobody was told of it.
            Err(fault) if matches!(fault.cause, JournalCause::Torn(_)) => None,
            Err(fault) => {
                let place = format!("{}, byte {}", fault.segment, fault.offset);
                let detail = format!("{place}: {}", fault.cause);
                match fault.cause {
                    JournalCause::Io(_) => self.unreadable = Some(detail),
                    _ => self.damage = Some((fault.entry, detail)),
                }
                None
            }
        }
    }
}

impl Source for Journal {
    fn next(&mut self) -> Result<Option<Piece>> {
        if self.is_done {
            return Ok(None);
        }
        if self.last.is_none() {
            self.last = self.read();
        }
        let following = self.read();
        self.is_done = following.is_none();
        let group = std::mem::replace(&mut self.last, following);
        let Some(group) = group else { return Ok(None) };
        if self.is_done && group.end().0 > self.covered {
            self.unsigned = group.entries.len() as u64;
            return Ok(None);
        }
        let Group { first, previous_checkpoint, entries } = group;
        Ok(Some(Piece { first, entries, group: Some(previous_checkpoint), rotations: Vec::new() }))
    }
}

/// Every entry of a server, up to its last checkpoint.
pub(in crate::cli) struct Server {
    runtime: tokio::runtime::Runtime,
    client: Client,
    /// The signed head.
    pub(in crate::cli) head: String,
    /// Entries under it, as it says.
    pub(in crate::cli) size: u64,
    /// That it gave fewer, in words.
    pub(in crate::cli) is_short: Option<String>,
    next: u64,
}

impl Server {
    pub(in crate::cli) fn open(server: &str, access: &AccessArgs) -> Result<Self> {
        let runtime = runtime()?;
        let client = runtime.block_on(Client::connect_with(server, access))?;
        let (head, size, next, is_short) = (String::new(), 0, 0, None);
        let mut server = Self { runtime, client, head, size, is_short, next };
        server.refresh()?;
        Ok(server)
    }

    /// Asks for the latest checkpoint.
    pub(in crate::cli) fn refresh(&mut self) -> Result<()> {
        let request = v1::GetCheckpointRequest {};
        let reply = self.runtime.block_on(self.client.ledger.get_checkpoint(request));
        self.head = reply.map_err(|it| Refused::of(&it))?.into_inner().checkpoint;
        let said = SignedCheckpoint::parse(self.head.as_bytes());
        self.size = said.map_or(u64::MAX, |(it, _)| it.size.0);
        Ok(())
    }

    /// Another checkpoint of the ledger than the newest: entries are read up to that.
    pub(super) fn take_head(&mut self, text: &[u8]) {
        let said = SignedCheckpoint::parse(text).ok();
        if let Some((said, text)) = said.filter(|(said, _)| said.size.0 <= self.size) {
            self.size = said.size.0;
            text.text().clone_into(&mut self.head);
        }
    }

    /// The newest checkpoint that a quorum of witnesses cosigned; `None` when there is none.
    pub(super) fn cosigned(&mut self) -> Result<Option<Vec<u8>>> {
        let request = v1::GetCosignedCheckpointRequest {};
        match self.runtime.block_on(self.client.ledger.get_cosigned_checkpoint(request)) {
            Ok(reply) => Ok(Some(reply.into_inner().checkpoint.into_bytes())),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(Refused::of(&status).into()),
        }
    }

    /// The checkpoint in the receipt of an entry: where the entry names a next ledger key, the old
    /// key's last one.
    pub(in crate::cli) fn checkpoint_over(&mut self, index: EntryIndex) -> Result<Option<Vec<u8>>> {
        let subject = Some(v1::get_receipt_request::Subject::EntryIndex(index.0));
        let request = v1::GetReceiptRequest { subject };
        let reply = self.runtime.block_on(self.client.ledger.get_receipt(request));
        let text = reply.map_err(|it| Refused::of(&it))?.into_inner().receipt;
        let receipt = Receipt::parse(text.as_bytes()).ok();
        Ok(receipt.map(|receipt| receipt.checkpoint.as_bytes().to_vec()))
    }
}

impl Source for Server {
    fn next(&mut self) -> Result<Option<Piece>> {
        if self.next >= self.size {
            return Ok(None);
        }
        let request = v1::ListEntriesRequest {
            from_entry_index: self.next,
            page_size: crate::limits::MAX_PAGE_SIZE,
            page_token: String::new(),
        };
        let reply = self.runtime.block_on(self.client.ledger.list_entries(request));
        let page = reply.map_err(|it| Refused::of(&it))?.into_inner();
        let within = page.entries.into_iter().take_while(|it| it.entry_index < self.size);
        let entries: Vec<Bytes> = within.map(|it| it.entry).collect();
        if entries.is_empty() {
            // They may be there: that a server keeps them back changes none of them.
            let (came, size) = (self.next, self.size);
            self.is_short = Some(format!("the server gives {came} of {size} entries"));
            return Ok(None);
        }
        let first = EntryIndex(self.next);
        // Those beyond the head that was asked for come with the next one.
        self.next += entries.len() as u64;
        let mut rotations = Vec::new();
        for index in naming_keys(first, &entries) {
            rotations.extend(self.checkpoint_over(index)?.map(|text| (index, text)));
        }
        Ok(Some(Piece { first, entries, group: None, rotations }))
    }
}

/// The entries of an export, as many as its checkpoint says.
pub(in crate::cli) struct Exported<'a> {
    export: &'a Export,
    entries: Box<dyn Iterator<Item = Result<Bytes, ExportFault>> + Send + 'a>,
    next: u64,
    /// What ended it before its end.
    pub(in crate::cli) fault: Option<ExportFault>,
}

impl<'a> Exported<'a> {
    pub(in crate::cli) fn of(export: &'a Export) -> Self {
        Self { export, entries: Box::new(export.entries()), next: 0, fault: None }
    }
}

impl Source for Exported<'_> {
    fn next(&mut self) -> Result<Option<Piece>> {
        if self.fault.is_some() {
            return Ok(None);
        }
        let (first, mut entries) = (EntryIndex(self.next), Vec::new());
        for entry in self.entries.by_ref().take(MAX_GROUP_ENTRIES) {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(fault) => self.fault = Some(fault),
            }
        }
        if entries.is_empty() {
            return Ok(None);
        }
        self.next += entries.len() as u64;
        let mut rotations = Vec::new();
        for index in naming_keys(first, &entries) {
            match self.export.rotation(index) {
                Ok(text) => rotations.extend(text.map(|text| (index, text))),
                Err(fault) => self.fault = Some(fault),
            }
        }
        Ok(Some(Piece { first, entries, group: None, rotations }))
    }
}

/// The entries that name a next ledger key, as they say.
pub(in crate::cli) fn naming_keys(first: EntryIndex, entries: &[Bytes]) -> Vec<EntryIndex> {
    let names_key = |bytes: &Bytes| {
        let entry = Entry::parse(bytes).ok().filter(|it| it.kind == EntryKind::Statement)?;
        let envelope = Envelope::parse(&entry.envelope).ok()?;
        let statement = decode_statement(&envelope.payload).ok()?;
        matches!(statement.body, StatementBody::LedgerKeyRotation { .. }).then_some(())
    };
    let places = (first.0..).zip(entries).filter(|(_, bytes)| names_key(bytes).is_some());
    places.map(|(index, _)| EntryIndex(index)).collect()
}
