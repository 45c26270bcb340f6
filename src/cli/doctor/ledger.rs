//! The ledger: lock, journal, guard, database, key.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::{Check, State};
use crate::cli::config::settings::KeySettings;
use crate::cli::keyfile::{self, PassphraseSource};
use crate::domain::effects::{FormerLedgerKey, LedgerState};
use crate::domain::{EntryIndex, Hash32, PublicKey, TimeMs};
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::entry::Entry;
use crate::ledger::hash::leaf_hash;
use crate::ledger::tree::Frontier;
use crate::limits::MAX_DOCTOR_COPY_BYTES;
use crate::node::error::chain_of;
use crate::node::statement::named_key;
use crate::store::{JournalCause, Store, StoreConfig, read_guard};

/// What the journal says of the ledger.
pub(super) struct Found {
    entries: u64,
    origin: crate::domain::Origin,
    /// The keys, as the journal names them.
    keys: Vec<FormerLedgerKey>,
    in_force: PublicKey,
    pub(super) last_recorded_at: Option<TimeMs>,
    /// Root at the guard's size, when the journal is that long.
    root_at_guard: Option<Hash32>,
}

/// Whether a node runs here; the lock is only tried.
pub(super) fn lock(data: &Path) -> (bool, Check) {
    const NAME: &str = "lock";
    let Ok(file) = File::open(data.join("LOCK")) else {
        let (en, zh) = ("no node ever ran here", "此处从未运行过节点");
        return (false, Check::new(NAME, State::Skipped, en, zh));
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let (en, zh) = ("a node runs on this directory", "有节点正在使用该目录");
            (true, Check::new(NAME, State::Fine, en, zh))
        }
        Err(TryLockError::Error(fault)) => {
            let en = format!("the lock cannot be tried: {fault}");
            (true, Check::new(NAME, State::Unknown, en, format!("无法测试锁：{fault}")))
        }
        Ok(()) => {
            let (en, zh) = ("free: no node runs here", "空闲：没有节点在运行");
            (false, Check::new(NAME, State::Fine, en, zh))
        }
    }
}

/// Reads every frame, as far as the journal goes.
pub(super) fn journal(data: &Path, guard: &Path) -> (Option<Found>, Check) {
    const NAME: &str = "journal";
    let unread = |en: String, zh: String| (None, Check::new(NAME, State::Problem, en, zh));
    let config = StoreConfig::new(data, guard);
    let opened = Store::open_read_only(&config)
        .and_then(|store| Ok((store.journal_read(EntryIndex(0))?, store)));
    let (groups, store) = match opened {
        Ok(opened) => opened,
        Err(fault) => {
            let told = chain_of(&fault);
            return unread(format!("no ledger here: {told}"), format!("此处没有账本：{told}"));
        }
    };
    let guard_size = read_guard(guard)
        .ok()
        .flatten()
        .and_then(|text| SignedCheckpoint::parse(&text).ok())
        .map(|(said, _)| said.size);
    let mut found = Found {
        entries: 0,
        origin: store.origin().clone(),
        keys: Vec::new(),
        in_force: *store.ledger_key(),
        last_recorded_at: None,
        root_at_guard: None,
    };
    let mut frontier = Frontier::default();
    let mut is_torn = false;
    for group in groups {
        let group = match group {
            Ok(group) => group,
            Err(fault) if matches!(fault.cause, JournalCause::Torn(_)) => {
                is_torn = true;
                break;
            }
            Err(fault) => {
                let (segment, offset) = (&fault.segment, fault.offset);
                let told = chain_of(&fault);
                return unread(
                    format!("damaged in {segment} at byte {offset}: {told}; restore a copy"),
                    format!("{segment} 第 {offset} 字节处损坏：{told}；请恢复副本"),
                );
            }
        };
        for entry in &group.entries {
            found.take(entry);
            frontier.push(leaf_hash(entry));
        }
        if guard_size == Some(frontier.size()) {
            found.root_at_guard = Some(frontier.root());
        }
    }
    let count = found.entries;
    if count == 0 {
        return unread("it holds no entry".to_owned(), "其中没有任何记录".to_owned());
    }
    let (tail_en, tail_zh) = if is_torn {
        ("; an unfinished write at its end, of which nobody was told", "；末尾有一次未完成的写入")
    } else {
        ("", "")
    };
    let en = format!("whole: {count} entries of {}{tail_en}", found.origin);
    let zh = format!("完整：{} 共 {count} 条记录{tail_zh}", found.origin);
    (Some(found), Check::new(NAME, State::Fine, en, zh))
}

impl Found {
    fn take(&mut self, entry: &bytes::Bytes) {
        if let Some(next) = named_key(entry) {
            let rotated_at = EntryIndex(self.entries);
            self.keys.push(FormerLedgerKey { key: self.in_force, rotated_at });
            self.in_force = next;
        }
        if let Ok(entry) = Entry::parse(entry) {
            self.last_recorded_at = Some(entry.recorded_at);
        }
        self.entries = self.entries.saturating_add(1);
    }

    /// The key whose checkpoint of a size counts.
    fn signer_of(&self, size: crate::domain::EntryCount) -> PublicKey {
        let ledger = LedgerState {
            origin: self.origin.clone(),
            ledger_key: self.in_force,
            former_ledger_keys: self.keys.clone(),
            rules_version: 0,
            tables_hash: Hash32([0; 32]),
            are_tables_published: false,
            publishing: None,
            expected_correctives: Vec::new(),
            corrected_occurred_at: TimeMs::default(),
        };
        ledger.signer_of(size)
    }
}

pub(super) fn guard(guard: &Path, found: &Found) -> Check {
    const NAME: &str = "guard";
    let problem = |en: String, zh: String| Check::new(NAME, State::Problem, en, zh);
    let text = match read_guard(guard) {
        Ok(Some(text)) => text,
        Ok(None) => {
            return problem(
                "the head guard is gone: without it an old copy cannot be told from the newest"
                    .to_owned(),
                "头部守卫不存在：无法区分旧副本与最新数据".to_owned(),
            );
        }
        Err(fault) => {
            let told = chain_of(&fault);
            return problem(format!("cannot be read: {told}"), format!("无法读取：{told}"));
        }
    };
    let parsed = SignedCheckpoint::parse(&text).map(|(said, _)| said);
    let Ok(said) = parsed else {
        return problem("it holds no checkpoint".to_owned(), "其中不是检查点".to_owned());
    };
    let (size, entries) = (said.size, found.entries);
    if size.0 > entries {
        return problem(
            format!("it has seen {size} entries, the journal holds {entries}: an old copy"),
            format!("守卫见过 {size} 条记录，日志只有 {entries} 条：这是旧副本"),
        );
    }
    let signer = found.signer_of(size);
    if SignedCheckpoint::open(&text, &found.origin, &signer).is_err() {
        return problem(
            "its checkpoint is not signed by this ledger".to_owned(),
            "其检查点不是本账本签署".to_owned(),
        );
    }
    if found.root_at_guard != Some(said.root) {
        return problem(
            format!("the journal has another root at {size} entries: a second history"),
            format!("日志在 {size} 条记录处的根不同：存在第二份历史"),
        );
    }
    let en = format!("agrees with the journal at {size} entries");
    Check::new(NAME, State::Fine, en, format!("与日志在 {size} 条记录处一致"))
}

/// sled writes when it opens: so a copy is opened, of a database that nobody uses.
pub(super) fn database(data: &Path, guard: &Path, is_running: bool, is_deep: bool) -> Check {
    const NAME: &str = "database";
    if is_running {
        let (en, zh) = ("in use by a node, so not looked at", "节点正在使用，未检查");
        return Check::new(NAME, State::Skipped, en, zh);
    }
    let size = size_of(data).saturating_add(size_of(guard));
    if size > MAX_DOCTOR_COPY_BYTES && !is_deep {
        let en = format!("{size} bytes to copy for looking at it; --deep does so");
        return Check::new(NAME, State::Skipped, en, format!("需复制 {size} 字节；使用 --deep"));
    }
    match compare_copy(data, guard) {
        Ok((applied, journaled, _)) if applied < journaled => {
            let en = format!(
                "{applied} of {journaled} entries: the next start makes the rest from the journal"
            );
            let zh = format!("{journaled} 条中的 {applied} 条：下次启动时由日志补全");
            Check::new(NAME, State::Advice, en, zh)
        }
        Ok((applied, journaled, compared)) => {
            let en = format!("{applied} of {journaled} entries, {compared} as in the journal");
            let zh = format!("{journaled} 条中的 {applied} 条，{compared} 条与日志相同");
            Check::new(NAME, State::Fine, en, zh)
        }
        Err(fault) => {
            let en = format!("{fault:#}; the journal is the ledger: run rebuild");
            let zh = format!("{fault:#}；日志才是账本：请运行 rebuild");
            Check::new(NAME, State::Problem, en, zh)
        }
    }
}

fn compare_copy(data: &Path, guard: &Path) -> anyhow::Result<(u64, u64, u64)> {
    let copy = Copy::of(data, guard)?;
    let config = StoreConfig::new(copy.0.join("data"), copy.0.join("guard"));
    let opened = Store::open(&config)?;
    let compared = opened.store.compare_with_journal(EntryIndex(0))?;
    Ok((opened.tail.applied.0, opened.tail.journaled.0, compared.0))
}

/// A copy of a ledger, gone when it is dropped.
struct Copy(std::path::PathBuf);

impl Copy {
    fn of(data: &Path, guard: &Path) -> anyhow::Result<Self> {
        let name = format!("urbanmine-doctor-{}", std::process::id());
        let copy = Self(std::env::temp_dir().join(name));
        // Nobody else may look into it, or have put it there.
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&copy.0)?;
        copy_directory(data, &copy.0.join("data"))?;
        copy_directory(guard, &copy.0.join("guard"))?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Files and directories, three deep as a ledger is; nothing else.
fn copy_directory(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for item in std::fs::read_dir(from)? {
        let (path, kind) = (item.as_ref().map(std::fs::DirEntry::path), item.as_ref());
        let (Ok(path), Ok(kind)) = (path, kind.map(std::fs::DirEntry::file_type)) else {
            continue;
        };
        let target = to.join(path.file_name().unwrap_or_default());
        match kind? {
            kind if kind.is_dir() => copy_directory(&path, &target)?,
            kind if kind.is_file() => drop(std::fs::copy(&path, &target)?),
            _ => {}
        }
    }
    Ok(())
}

fn size_of(directory: &Path) -> u64 {
    let Ok(items) = std::fs::read_dir(directory) else { return 0 };
    let sizes = items.flatten().map(|item| match item.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&item.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.fold(0, u64::saturating_add)
}

/// Whether the key can be read, and is the one in force. Nobody is asked for a passphrase.
pub(super) fn key(settings: &KeySettings, found: Option<&Found>) -> Check {
    const NAME: &str = "ledger-key";
    let skipped = |en: &str, zh: &str| Check::new(NAME, State::Skipped, en, zh);
    let Ok(source) = settings.source() else {
        return skipped("no key was named, so none was looked at", "未指定密钥，未检查");
    };
    let Ok(passphrase) = settings.passphrase() else {
        return skipped("the passphrase is named twice", "口令来源重复");
    };
    if matches!(passphrase, PassphraseSource::Terminal) {
        return skipped(
            "give its passphrase by file, credential or environment to have it looked at",
            "请通过文件、凭据或环境变量提供口令以便检查",
        );
    }
    let problem = |en: String, zh: String| Check::new(NAME, State::Problem, en, zh);
    match (keyfile::read_ledger(&source, &passphrase), found) {
        (Err(fault), _) => problem(format!("{fault:#}"), format!("无法读取密钥：{fault:#}")),
        (Ok(_), None) => Check::new(
            NAME,
            State::Unknown,
            "it opens; there is no ledger to hold it against",
            "可以打开；没有可对照的账本",
        ),
        (Ok(key), Some(found)) if key.public_key() == found.in_force => {
            let en = format!("it opens, and is the key in force: {}", found.in_force);
            let zh = format!("可以打开，且为现行密钥：{}", found.in_force);
            Check::new(NAME, State::Fine, en, zh)
        }
        (Ok(key), Some(found)) => {
            let (given, asked) = (key.public_key(), found.in_force);
            problem(
                format!("it is key {given}, and the ledger is signed by {asked}"),
                format!("给出的是 {given}，而账本由 {asked} 签署"),
            )
        }
    }
}
