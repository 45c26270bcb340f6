//! A ledger in a directory, the real binary that serves it, and its events, made as they are
//! needed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{EncodePrivateKey as _, KeypairBytes};
use urbanmine::domain::event::Document;
use urbanmine::domain::vocabulary::DocumentKind;
use urbanmine::domain::{Event, EventId, Hash32};
use urbanmine::ledger::receipt::Receipt;
use urbanmine::limits::MAX_DOCUMENTS;
use urbanmine::node::Node;

use crate::node_kit::{Kit, ledger_key, origin, signed};

/// How long a start may take before it counts as one that hangs.
const START_SECONDS: u64 = 60;

/// The binary under test, the ledger that every trial begins with, and its next events.
pub struct World {
    pub binary: PathBuf,
    /// Where trials have their directories.
    pub scratch: PathBuf,
    /// A ledger with its registry; `data` and `guard` lie in it.
    founded: PathBuf,
    kit: Mutex<Kit>,
    founding_count: u64,
}

/// The directories of one ledger.
#[derive(Debug, Clone)]
pub struct Place {
    pub root: PathBuf,
}

/// A node that is killed when its trial ends.
pub struct Server {
    child: Child,
    talk: Option<JoinHandle<String>>,
    pub address: SocketAddr,
}

/// A start that was refused, with what it said.
#[derive(Debug)]
pub struct Refused(pub String);

/// What a trial sends: the id, and the bytes that its sender signed.
#[derive(Debug, Clone)]
pub struct Sent {
    pub id: EventId,
    pub envelope: Bytes,
}

impl World {
    /// Founds the ledger that trials copy.
    pub async fn found(binary: PathBuf, scratch: &Path) -> Result<Self> {
        let (kit, node) = Kit::new().await;
        let founding_count = node.reader().size().0;
        node.shutdown().await;
        drop(node);
        let founded = scratch.join("founded");
        // What another run left has this run's ids in it.
        for old in ["founded", "filled"] {
            let _ = fs::remove_dir_all(scratch.join(old));
        }
        fs::create_dir_all(&founded)?;
        copy_tree(&kit.data(), &founded.join("data"))?;
        copy_tree(&kit.guard(), &founded.join("guard"))?;
        let secret = KeypairBytes { secret_key: *ledger_key().seed(), public_key: None };
        let pem = secret.to_pkcs8_pem(LineEnding::LF).context("the key as PEM")?;
        let key = founded.join("ledger.pem");
        fs::write(&key, pem)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        let scratch = scratch.to_owned();
        Ok(Self { binary, scratch, founded, kit: Mutex::new(kit), founding_count })
    }

    /// Entries of the ledger that every trial begins with.
    pub fn founding_count(&self) -> u64 {
        self.founding_count
    }

    /// A fresh copy of it.
    pub fn place(&self, name: &str) -> Result<Place> {
        let root = self.scratch.join(name);
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        copy_tree(&self.founded, &root)?;
        reserved(Place { root })
    }

    /// The same, in a directory that is there.
    pub fn place_in(&self, root: &Path) -> Result<Place> {
        for name in ["data", "guard", "ledger.pem"] {
            copy_tree(&self.founded.join(name), &root.join(name))?;
        }
        reserved(Place { root: root.to_owned() })
    }

    /// The next event.
    pub fn event(&self) -> Sent {
        let mut kit = self.kit.lock().unwrap();
        let event = kit.copper();
        drop(kit);
        sent(&event)
    }

    /// The next event, of about 2,400 bytes.
    pub fn long_event(&self) -> Sent {
        let mut kit = self.kit.lock().unwrap();
        let mut event = kit.copper();
        drop(kit);
        event.documents = (0..MAX_DOCUMENTS).map(document).collect();
        sent(&event)
    }

    /// A command of the binary, without anything of the machine's own settings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        own_settings(&mut command);
        command.args(args);
        command
    }

    /// How a place is served. It states no lots of its own accord, so that entries can be counted.
    pub fn serving(&self, place: &Place) -> Command {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.arg("--data").arg(place.data());
        command.arg("--guard").arg(place.guard());
        command.arg("--ledger-key").arg(place.root.join("ledger.pem"));
        command
    }

    /// Serves it; the start has to succeed.
    pub fn start(&self, place: &Place) -> Result<Server> {
        match self.try_start(place)? {
            Ok(server) => Ok(server),
            Err(Refused(said)) => bail!("the node does not start: {said}"),
        }
    }

    /// Serves it, or says why not.
    pub fn try_start(&self, place: &Place) -> Result<Result<Server, Refused>> {
        Server::start(self.serving(place))
    }

    /// Has the judge read what lies there: how many entries, all of them good.
    pub fn verify(&self, place: &Place) -> Result<u64> {
        let key = hex(ledger_key().public_key().as_bytes());
        let mut command = self.command(&["verify", "--json", "--origin", origin().as_str()]);
        command.args(["--ledger-key", &key]);
        command.arg("--data").arg(place.data()).arg("--guard").arg(place.guard());
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let report: serde_json::Value = serde_json::from_str(&said)
            .with_context(|| format!("verify said {}", text_of(&output)))?;
        ensure!(report["verdict"] == "verified", "the judge says {report}");
        report["entries"].as_u64().context("no number of entries")
    }

    /// Makes the database anew; what it said.
    pub fn rebuild(&self, place: &Place) -> Result<Output> {
        let mut command = self.command(&["rebuild"]);
        command.arg("--data").arg(place.data()).arg("--guard").arg(place.guard());
        command.arg("--ledger-key").arg(place.root.join("ledger.pem"));
        Ok(command.output()?)
    }

    /// A copy of a ledger whose first segment of the journal is almost full: the next megabyte
    /// begins another one.
    pub async fn filled_place(&self, name: &str) -> Result<Place> {
        let filled = Place { root: self.scratch.join("filled") };
        if !filled.root.exists() {
            let begun = self.place("filling")?;
            self.fill_segment(&begun).await?;
            fs::rename(&begun.root, &filled.root)?;
        }
        filled.copy_to(&self.scratch.join(name))
    }

    async fn fill_segment(&self, place: &Place) -> Result<()> {
        const ROOM_BYTES: u64 = 1 << 20;
        const EVENTS: usize = 200;
        let (config, segment) = (self.config_of(place), place.segment(0));
        let node = Node::open(&config, ledger_key())?;
        let len = fs::metadata(&segment)?.len();
        // Each batch writes half a megabyte of the 64 that there are.
        loop {
            let free = len - used_bytes(&segment)?;
            if free < ROOM_BYTES {
                break;
            }
            let batches = if free > 8 * ROOM_BYTES { 8 } else { 1 };
            let mut calls = Vec::new();
            for _ in 0..batches {
                let batch = (0..EVENTS).map(|_| self.long_event().envelope).collect();
                let node = node.clone();
                calls.push(tokio::spawn(async move { node.append_batch(batch).await }));
            }
            for call in calls {
                call.await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
            }
        }
        node.shutdown().await;
        ensure!(place.segments()?.len() == 1, "the segment was filled too far");
        Ok(())
    }

    fn config_of(&self, place: &Place) -> urbanmine::node::NodeConfig {
        urbanmine::node::NodeConfig { data: place.data(), guard: place.guard(), ..self.config() }
    }

    fn config(&self) -> urbanmine::node::NodeConfig {
        self.kit.lock().unwrap().config()
    }
}

impl Place {
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub fn guard(&self) -> PathBuf {
        self.root.join("guard")
    }

    /// The directory of the journal's segments.
    pub fn journal(&self) -> PathBuf {
        self.data().join("journal")
    }

    /// The database's directory.
    pub fn database(&self) -> PathBuf {
        self.data().join("sled")
    }

    /// The segment that begins with an entry.
    pub fn segment(&self, first: u64) -> PathBuf {
        self.journal().join(format!("{first:020}.umj"))
    }

    /// All segments, ascending.
    pub fn segments(&self) -> Result<Vec<PathBuf>> {
        let mut found = BTreeSet::new();
        for item in fs::read_dir(self.journal())? {
            let path = item?.path();
            if path.extension().is_some_and(|it| it == "umj") {
                found.insert(path);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Copies it.
    pub fn copy_to(&self, root: &Path) -> Result<Self> {
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        copy_tree(&self.root, root)?;
        reserved(Self { root: root.to_owned() })
    }

    /// Throws it away.
    pub fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(self.root)?)
    }
}

impl Server {
    /// Starts a service and waits for its address.
    pub fn start(mut command: Command) -> Result<Result<Self, Refused>> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stderr = child.stderr.take().context("no stderr")?;
        let talk = std::thread::spawn(move || {
            let mut talk = Vec::new();
            let _ = stderr.read_to_end(&mut talk);
            String::from_utf8_lossy(&talk).into_owned()
        });
        let mut stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        let (tell, told) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = tell.send(line);
        });
        let line = told.recv_timeout(Duration::from_secs(START_SECONDS)).unwrap_or_default();
        let Some(address) = line.trim().strip_prefix("http://") else {
            // Either it is gone, or it hangs.
            let _ = child.kill();
            let status = child.wait()?;
            let said = talk.join().unwrap_or_default();
            return Ok(Err(Refused(format!("{status}: {}", said.trim()))));
        };
        let address = address.parse().with_context(|| format!("address {address}"))?;
        Ok(Ok(Self { child, talk: Some(talk), address }))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it at once.
    pub fn kill(mut self) -> Result<()> {
        for inner in self.children() {
            let _ = Command::new("kill").args(["-KILL", &inner]).status();
        }
        let _ = self.child.kill();
        self.child.wait()?;
        Ok(())
    }

    /// Stops every thread of it where it stands.
    pub fn stop_all(&self) -> Result<()> {
        for inner in self.children() {
            let _ = Command::new("kill").args(["-STOP", &inner]).status();
        }
        self.signal("-STOP")
    }

    /// Processes that it started: the node, where what was started is strace.
    fn children(&self) -> Vec<String> {
        let pid = self.pid();
        let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        listed.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    /// Sends it a signal, such as `-STOP`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill").args([name, &self.pid().to_string()]).status()?;
        ensure!(status.success(), "kill {name} failed");
        Ok(())
    }

    /// Asks it to end; what it said on stderr.
    pub fn stop(mut self) -> Result<String> {
        self.signal("-TERM")?;
        let status = self.child.wait()?;
        let talk = self.talk.take().and_then(|talk| talk.join().ok()).unwrap_or_default();
        ensure!(status.success(), "{status}: {talk}");
        Ok(talk)
    }

    /// Resident bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes.context("no VmRSS")?.trim().parse()?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Leaves out what the machine would say for the program under test.
pub fn own_settings(command: &mut Command) {
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("URBANMINE")) {
        command.env_remove(name);
    }
    command.env("URBANMINE_LEDGER_LOT_STATE_EVERY_ENTRIES", "0");
}

fn sent(event: &Event) -> Sent {
    Sent { id: event.id, envelope: signed(event) }
}

fn document(number: usize) -> Document {
    let sha256 = u8::try_from(number).ok().map(|byte| Hash32([byte; 32]));
    Document { kind: DocumentKind::ALL[0], number: format!("{number:064}"), sha256 }
}

/// The receipt proves itself, and is of this event; the index of its entry.
pub fn check_receipt(sent: &EventId, text: &str) -> Result<u64> {
    let receipt = Receipt::parse(text.as_bytes())?;
    let proven = receipt.verify(&origin(), &ledger_key().public_key())?;
    let envelope = urbanmine::ledger::Envelope::parse(&proven.entry().envelope)?;
    let event = urbanmine::wire::decode_event(&envelope.payload)?;
    ensure!(event.id == *sent, "the receipt of {sent} is of {}", event.id);
    Ok(receipt.index.0)
}

/// Bytes of a segment up to its last one that is not zero.
pub fn used_bytes(segment: &Path) -> Result<u64> {
    let content = fs::read(segment)?;
    let last = content.iter().rposition(|byte| *byte != 0);
    Ok(last.map_or(0, |last| last as u64 + 1))
}

/// Copies a file or directory; holes and reserved space stay holes.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").args(["-a", "--sparse=always"]).arg(from).arg(to).status()?;
    ensure!(status.success(), "cp {} {} failed", from.display(), to.display());
    Ok(())
}

/// Segments have their space reserved, as the writer leaves them; a copy has holes.
fn reserved(place: Place) -> Result<Place> {
    for path in place.segments()? {
        let file = fs::OpenOptions::new().write(true).open(path)?;
        let len = file.metadata()?.len();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, len)?;
        file.sync_all()?;
    }
    Ok(place)
}

/// What a command said on both streams.
pub fn text_of(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    format!("{}: {}", output.status, String::from_utf8_lossy(&both).trim())
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A world that many tasks share.
pub type Shared = Arc<World>;
