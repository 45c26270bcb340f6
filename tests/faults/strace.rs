//! strace: attached to a node, and its log read back as calls in their order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// How long attaching may take.
const ATTACH: Duration = Duration::from_secs(20);

/// How long detaching may take.
const LET_GO: Duration = Duration::from_secs(5);

/// A call as the kernel saw it. It began when its line was written, and ended when the line with
/// its result was: what ended before another began was done by then.
#[derive(Debug, Clone)]
pub struct Call {
    pub thread: u32,
    pub name: String,
    /// As written, without the parentheses.
    pub args: String,
    /// `None` when it did not return.
    pub result: Option<i64>,
    /// Line of the log.
    pub began: usize,
    /// Line of the log; the same as `began` when nothing came between.
    pub ended: Option<usize>,
}

/// strace at work.
pub struct Tracer {
    child: Child,
    log: PathBuf,
    is_attached: bool,
}

/// Whether there is a strace that may look at what we start.
pub fn is_there() -> bool {
    let quiet = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
    };
    quiet(Command::new("strace").args(["-e", "trace=none", "true"]))
}

impl Tracer {
    /// Attaches to every thread of a process.
    pub fn attach(pid: u32, log: &Path, options: &[String]) -> Result<Self> {
        let _ = fs::remove_file(log);
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &pid.to_string(), "-o"]).arg(log).args(options);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut tracer = Self { child, log: log.to_owned(), is_attached: true };
        let begun = Instant::now();
        while !is_traced(pid)? {
            ensure!(tracer.child.try_wait()?.is_none(), "strace ended while it attached");
            ensure!(begun.elapsed() < ATTACH, "strace does not attach");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(tracer)
    }

    /// Whether the log has a line with this in it.
    pub fn has_seen(&self, text: &str) -> bool {
        fs::read_to_string(&self.log).is_ok_and(|log| log.contains(text))
    }

    /// On the signal it detaches from every thread and writes what it has; killed, it would leave
    /// what it traces stopped. Where that is gone it is, too.
    fn let_go(&mut self) {
        if !self.is_attached {
            return;
        }
        self.is_attached = false;
        let mut kill = Command::new("kill");
        kill.args(["-INT", &self.child.id().to_string()]).stderr(Stdio::null());
        let _ = kill.status();
        let begun = Instant::now();
        while begun.elapsed() < LET_GO {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // Of a process that was killed it waits now and then for a thread that never comes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Lets go; what was seen.
    pub fn detach(mut self) -> Result<Vec<Call>> {
        self.let_go();
        calls(&fs::read_to_string(&self.log)?)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn is_traced(pid: u32) -> Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while we look.
        let Ok(status) = fs::read_to_string(thread?.path().join("status")) else { continue };
        if status.lines().any(|line| line == "TracerPid:\t0") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The calls of a log (`-f -o`), in the order in which they began.
pub fn calls(log: &str) -> Result<Vec<Call>> {
    let mut found: Vec<Call> = Vec::new();
    let mut open = BTreeMap::<u32, usize>::new();
    for (at, line) in log.lines().enumerate() {
        let Some((thread, rest)) = line.trim_start().split_once(' ') else { continue };
        let Ok(thread) = thread.parse::<u32>() else { bail!("line {}: no thread", at + 1) };
        let rest = rest.trim_start();
        // Signals and ends of threads are no calls.
        if rest.starts_with("---") || rest.starts_with("+++") {
            continue;
        }
        if let Some(rest) = rest.strip_prefix("<... ") {
            let (_, rest) = rest.split_once(" resumed>").context("a resumed call")?;
            // What was open when we attached has no beginning.
            let Some(place) = open.remove(&thread) else { continue };
            let call = &mut found[place];
            let (more, result) = split_result(rest);
            call.args.push_str(more);
            (call.result, call.ended) = (result, Some(at));
            continue;
        }
        let Some((name, rest)) = rest.split_once('(') else { continue };
        let (name, began) = (name.to_owned(), at);
        if let Some(args) = rest.strip_suffix("<unfinished ...>") {
            open.insert(thread, found.len());
            let args = args.trim_end().to_owned();
            found.push(Call { thread, name, args, result: None, began, ended: None });
            continue;
        }
        let (args, result) = split_result(rest);
        let (args, ended) = (args.to_owned(), Some(at));
        found.push(Call { thread, name, args, result, began, ended });
    }
    Ok(found)
}

/// Arguments and result of the end of a call.
fn split_result(rest: &str) -> (&str, Option<i64>) {
    let Some((args, result)) = rest.rsplit_once(" = ") else { return (rest, None) };
    let args = args.trim_end();
    let args = args.strip_suffix(')').unwrap_or(args);
    let number = result.split(|it: char| it != '-' && !it.is_ascii_digit()).next();
    (args, number.and_then(|number| number.parse().ok()))
}

impl Call {
    /// Whether it succeeded.
    pub fn is_done(&self) -> bool {
        self.result.is_some_and(|result| result >= 0)
    }

    /// The file of its first argument, a descriptor (`-y`, `-xx`).
    pub fn file(&self) -> Option<String> {
        let (_, rest) = self.args.split_once('<')?;
        let (path, _) = rest.split_once('>')?;
        (!path.starts_with("TCP")).then(|| text(&unquoted(path)))
    }

    /// The connection of its first argument (`-yy`): ours and theirs.
    pub fn connection(&self) -> Option<&str> {
        let (first, _) = self.args.split_once(',')?;
        let (_, rest) = first.split_once("<TCP:[")?;
        rest.strip_suffix("]>")
    }

    /// Its strings, in order.
    pub fn strings(&self) -> Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        let mut rest = self.args.as_str();
        while let Some((_, after)) = rest.split_once('"') {
            // In hexadecimal there are no quotes within quotes.
            let (inside, after) = after.split_once('"').context("a string ends")?;
            ensure!(!after.starts_with("..."), "strace cut a string of {}", self.name);
            found.push(unquoted(inside));
            rest = after;
        }
        Ok(found)
    }

    /// The bytes that it wrote.
    pub fn written(&self) -> Result<Vec<u8>> {
        let mut bytes = self.strings()?.concat();
        let count = self.result.unwrap_or_default().max(0);
        bytes.truncate(usize::try_from(count)?);
        Ok(bytes)
    }
}

/// What `-xx` spells as `\x61`.
fn unquoted(hex: &str) -> Vec<u8> {
    let parts = hex.split("\\x").skip(1);
    parts.filter_map(|pair| u8::from_str_radix(pair.get(..2)?, 16).ok()).collect()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
