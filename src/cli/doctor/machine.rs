//! The machine: directories, space, limits, time to sync, clock, versions.

use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::{Check, State};
use crate::domain::TimeMs;
use crate::domain::apply::RULES_VERSION;
use crate::ledger::entry::FORMAT_VERSION;
use crate::limits::{
    MAX_CLOCK_STEP_BACK_MS, MIN_FREE_BYTES, MIN_OPEN_FILES, SLOW_SYNC_MS, SYNC_PROBES,
};
use crate::node::clock::{Clock as _, SystemClock};

/// No clock of a machine that runs this is earlier: 2026-01-01T00:00:00Z.
const EARLIEST_MS: u64 = 1_767_225_600_000;

pub(super) fn versions() -> Check {
    let version = env!("CARGO_PKG_VERSION");
    let en = format!("urbanmine {version}, record format {FORMAT_VERSION}, rules {RULES_VERSION}");
    let zh = format!("urbanmine {version}，记录格式 {FORMAT_VERSION}，规则版本 {RULES_VERSION}");
    Check::new("versions", State::Fine, en, zh)
}

pub(super) fn directories(data: &Path, guard: &Path) -> Vec<Check> {
    let mut checks = vec![directory("data-directory", data), directory("guard-directory", guard)];
    let device = |path: &Path| std::fs::metadata(path).ok().map(|it| it.dev());
    if device(data).is_some() && device(data) == device(guard) {
        checks.push(Check::new(
            "guard-disk",
            State::Advice,
            "the head guard is on the disk of the data: one lost disk, or one restored copy, takes \
             both. Put it on another one",
            "头部守卫与数据在同一磁盘：丢失该磁盘或恢复旧副本会同时影响两者。请放到另一块磁盘",
        ));
    }
    checks
}

fn directory(name: &'static str, path: &Path) -> Check {
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(fault) => {
            let en = format!("{shown} cannot be looked at: {fault}");
            return Check::new(name, State::Problem, en, format!("无法查看 {shown}：{fault}"));
        }
    };
    if !metadata.is_dir() {
        let en = format!("{shown} is no directory");
        return Check::new(name, State::Problem, en, format!("{shown} 不是目录"));
    }
    if let Err(fault) = std::fs::read_dir(path) {
        let en = format!("{shown} cannot be read: {fault}");
        return Check::new(name, State::Problem, en, format!("无法读取 {shown}：{fault}"));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o002 != 0 {
        let en = format!("{shown} has mode {mode:04o}: everybody may write there; make it 0700");
        let zh = format!("{shown} 权限为 {mode:04o}：任何人可写；请改为 0700");
        return Check::new(name, State::Problem, en, zh);
    }
    let en = format!("{shown}, mode {mode:04o}, owner {}", metadata.uid());
    let zh = format!("{shown}，权限 {mode:04o}，属主 {}", metadata.uid());
    Check::new(name, State::Fine, en, zh)
}

pub(super) fn free_space(data: &Path) -> Check {
    const NAME: &str = "free-space";
    let Ok(found) = rustix::fs::statvfs(data) else {
        let (en, zh) = ("the free space is not known", "无法得知剩余空间");
        return Check::new(NAME, State::Unknown, en, zh);
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let (free_mib, least_mib) = (free / 1_048_576, MIN_FREE_BYTES / 1_048_576);
    let en = format!("{free_mib} MiB free; a node wants at least {least_mib} MiB");
    let zh = format!("剩余 {free_mib} MiB；节点至少需要 {least_mib} MiB");
    let state = if free < MIN_FREE_BYTES { State::Problem } else { State::Fine };
    Check::new(NAME, state, en, zh)
}

/// The limit that this process has; a service manager may give the node another.
pub(super) fn open_files() -> Check {
    const NAME: &str = "open-files";
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    let Some(soft) = soft else {
        let (en, zh) = ("the limit of open files is not told here", "此系统不提供打开文件数上限");
        return Check::new(NAME, State::Skipped, en, zh);
    };
    let is_enough = soft.parse::<u64>().map_or(soft == "unlimited", |it| it >= MIN_OPEN_FILES);
    let en = format!("{soft} open files; {MIN_OPEN_FILES} are enough for all connections");
    let zh = format!("可打开文件数 {soft}；{MIN_OPEN_FILES} 足够全部连接使用");
    Check::new(NAME, if is_enough { State::Fine } else { State::Advice }, en, zh)
}

/// Writes into a file that has no name, so that nothing is ever seen in the directory.
pub(super) fn sync_time(data: &Path) -> Check {
    const NAME: &str = "sync-time";
    let Some(mut times) = probe_sync(data) else {
        let en = "a file without a name cannot be made here, so the time to sync is not measured";
        return Check::new(NAME, State::Skipped, en, "此处无法创建匿名文件，未测量同步耗时");
    };
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    let longest = times.last().copied().unwrap_or_default();
    let is_slow = middle > Duration::from_millis(SLOW_SYNC_MS);
    let (middle, longest) = (middle.as_micros(), longest.as_micros());
    let en = format!(
        "fdatasync of 4 KiB took {middle} us, at most {longest} us, {SYNC_PROBES} times: every \
         append waits for one"
    );
    let zh = format!(
        "4 KiB 数据 fdatasync 中位 {middle} 微秒，最长 {longest} 微秒，共 {SYNC_PROBES} 次：\
         每次写入都要等待一次"
    );
    Check::new(NAME, if is_slow { State::Advice } else { State::Fine }, en, zh)
}

fn probe_sync(data: &Path) -> Option<Vec<Duration>> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(data, flags, Mode::from_raw_mode(0o600)).ok()?;
    let file = std::fs::File::from(file);
    let page = [0x5a_u8; 4_096];
    let mut times = Vec::with_capacity(SYNC_PROBES);
    for number in 0..SYNC_PROBES {
        file.write_all_at(&page, number as u64 * 4_096).ok()?;
        let begun = Instant::now();
        file.sync_data().ok()?;
        times.push(begun.elapsed());
    }
    Some(times)
}

pub(super) fn clock(last_recorded_at: Option<TimeMs>) -> Check {
    const NAME: &str = "clock";
    let now = SystemClock.now().get();
    let shown = crate::cli::output::time(now);
    if now < EARLIEST_MS {
        let en = format!("the clock says {shown}, which is long ago; set it");
        return Check::new(NAME, State::Problem, en, format!("时钟为 {shown}，早已过去；请校准"));
    }
    let Some(last) = last_recorded_at.map(TimeMs::get) else {
        let en = format!("the clock says {shown}; there is no entry to hold it against");
        let zh = format!("时钟为 {shown}；没有可对照的记录");
        return Check::new(NAME, State::Skipped, en, zh);
    };
    let recorded = crate::cli::output::time(last);
    if now.saturating_add(MAX_CLOCK_STEP_BACK_MS) < last {
        let en = format!(
            "the clock says {shown}, and the last entry was recorded at {recorded}: the writer \
             will stop at its first event. Either this clock is behind, or it once leapt ahead"
        );
        let zh = format!(
            "时钟为 {shown}，而最后一条记录的时间为 {recorded}：写入器将拒绝工作。时钟落后，\
             或曾经超前"
        );
        return Check::new(NAME, State::Problem, en, zh);
    }
    let en = format!("the clock says {shown}, the last entry {recorded}");
    let zh = format!("时钟为 {shown}，最后一条记录 {recorded}");
    Check::new(NAME, State::Fine, en, zh)
}
