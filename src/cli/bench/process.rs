//! What the machine says of another process and of a directory. Linux tells; elsewhere these
//! figures are not measured.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::limits::{BENCH_SETTLE_SECONDS, IDLE_SYNC_MS};

/// Milliseconds of a tick of `/proc`: a hundred a second in the interface, whatever the kernel does
/// inside.
const TICK_MS: u64 = 10;
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(20);

/// The most memory that a process has had so far, in bytes.
pub(super) fn peak_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// The time that a process has spent on all processors, to the tick of 10 ms.
pub(super) fn processor_ms(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may hold anything, in parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) * TICK_MS)
}

/// Processor time of a node and of ourselves, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    pub(super) node: Option<u64>,
    pub(super) client: Option<u64>,
}

impl Spent {
    /// All that was spent so far.
    pub(super) fn so_far(node: Option<u32>) -> Self {
        Self { node: node.and_then(processor_ms), client: processor_ms(std::process::id()) }
    }

    /// What was spent since then.
    pub(super) fn since(self, node: Option<u32>) -> Self {
        let (before, now) = (self, Self::so_far(node));
        let between = |before: Option<u64>, now: Option<u64>| now?.checked_sub(before?);
        Self { node: between(before.node, now.node), client: between(before.client, now.client) }
    }
}

/// Waits until a node has done what it put off: it syncs its database when nobody asks for
/// anything, and folds what came. That time is not the yardstick's.
pub(super) fn settle(process: Option<u32>) {
    let until = Instant::now() + Duration::from_secs(BENCH_SETTLE_SECONDS);
    std::thread::sleep(Duration::from_millis(IDLE_SYNC_MS + 100));
    let mut before = process.and_then(processor_ms);
    while before.is_some() && Instant::now() < until {
        std::thread::sleep(LOOK * 5);
        let now = process.and_then(processor_ms);
        if now <= before.map(|it| it + TICK_MS) {
            return;
        }
        before = now;
    }
}

/// Waits for a child; answers with the most memory that it was seen to have.
pub(super) fn peak_until_end(child: &mut std::process::Child) -> std::io::Result<Option<u64>> {
    let mut peak = None;
    // Ends with the child.
    while child.try_wait()?.is_none() {
        peak = peak_bytes(child.id()).max(peak);
        std::thread::sleep(LOOK);
    }
    Ok(peak)
}

/// Whether a directory lies on no disk at all.
#[cfg(target_os = "linux")]
pub(super) fn is_in_memory(folder: &Path) -> bool {
    /// `TMPFS_MAGIC` of `linux/magic.h`.
    const TMPFS: u64 = 0x0102_1994;
    rustix::fs::statfs(folder).is_ok_and(|it| u64::try_from(it.f_type).ok() == Some(TMPFS))
}

/// Elsewhere nobody tells.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_in_memory(_: &Path) -> bool {
    false
}

/// What a directory takes on its disk.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Disk {
    /// Blocks of all files.
    pub(super) bytes: u64,
    /// Of these, set aside at the end of the journal and not written yet.
    pub(super) set_aside: u64,
}

impl Disk {
    /// Looks at a data directory.
    pub(super) fn of(data: &Path) -> std::io::Result<Self> {
        let (mut disk, mut folders) = (Self::default(), vec![data.to_path_buf()]);
        let mut newest = None;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let (path, about) = entry.and_then(|it| Ok((it.path(), it.metadata()?)))?;
                if about.is_dir() {
                    folders.push(path);
                    continue;
                }
                disk.bytes += allocated(&about);
                if path.parent().is_some_and(|it| it.ends_with("journal")) {
                    newest = newest.max(Some(path));
                }
            }
        }
        if let Some(segment) = newest {
            disk.set_aside = zeros_at_end(&segment)?;
        }
        Ok(disk)
    }
}

#[cfg(unix)]
fn allocated(about: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(about) * 512
}

#[cfg(not(unix))]
fn allocated(about: &std::fs::Metadata) -> u64 {
    about.len()
}

/// Segments are set aside whole, so what is zero to the end is not written.
fn zeros_at_end(segment: &Path) -> std::io::Result<u64> {
    let bytes = std::fs::read(segment)?;
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    Ok((bytes.len() - written) as u64)
}
