//! `urbanmine watch`: JSON lines, on through a restart of the service, and an end on Ctrl-C.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod common {
    pub mod node_kit;
}

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use common::node_kit::{COLLECTOR, Kit, ledger_key, origin};
use serde_json::Value as Json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use urbanmine::api::{self, Listener};
use urbanmine::ledger::SignedCheckpoint;
use urbanmine::node::Node;

const PATIENCE: Duration = Duration::from_secs(40);

struct Service {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

async fn serve(node: &Node, address: SocketAddr) -> Service {
    let listener = Listener::bind(address).await.unwrap();
    let address = listener.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = node.clone();
    let serving = tokio::spawn(async move {
        let until = async {
            let _ = stopped.await;
        };
        api::serve(served, listener, until).await.unwrap();
    });
    Service { address, stop, serving }
}

impl Service {
    async fn stop(self) {
        let _ = self.stop.send(());
        self.serving.await.unwrap();
    }
}

struct Watcher {
    child: Child,
    lines: Receiver<String>,
}

impl Watcher {
    fn new(address: SocketAddr, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_urbanmine"))
            .args(["watch", "--server", &format!("http://{address}")])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(1_000);
        std::thread::spawn(move || {
            for line in output.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Indexes of the entries up to one.
    fn to(&self, last: u64) -> Vec<u64> {
        let mut indexes = Vec::new();
        while indexes.last() != Some(&last) {
            let line: Json = serde_json::from_str(&self.line()).unwrap();
            if line["type"] == "entry" {
                indexes.push(line["entry_index"].as_u64().unwrap());
            }
        }
        indexes
    }

    /// Ctrl-C, and the code that it ends with.
    fn interrupt(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_through_a_restart_and_ends_on_an_interrupt() {
    let (mut kit, node) = Kit::new().await;
    let service = serve(&node, "127.0.0.1:0".parse().unwrap()).await;
    let address = service.address;
    let watcher = Watcher::new(address, &["--json"]);
    let first: Json = serde_json::from_str(&watcher.line()).unwrap();
    assert_eq!(first["type"], "heartbeat");
    let checkpoint = first["checkpoint"].as_str().unwrap();
    let key = ledger_key().public_key();
    SignedCheckpoint::open(checkpoint.as_bytes(), &origin(), &key).unwrap();
    let mut last = node.reader().size().0 - 1;
    assert_eq!(watcher.to(last), (0..=last).collect::<Vec<_>>());

    let mut service = service;
    for _ in 0..2 {
        // The service goes away and comes back; meanwhile the ledger grows.
        service.stop().await;
        for event in kit.mixed(4) {
            kit.append(&node, &event).await;
        }
        service = serve(&node, address).await;
        let grown = node.reader().size().0 - 1;
        assert_eq!(watcher.to(grown), (last + 1..=grown).collect::<Vec<_>>());
        last = grown;
    }
    assert_eq!(watcher.interrupt(), Some(130));
    service.stop().await;
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_filters_and_says_what_is_wrong_with_a_filter() {
    let (mut kit, node) = Kit::new().await;
    let service = serve(&node, "127.0.0.1:0".parse().unwrap()).await;
    let mut expected = Vec::new();
    for event in kit.mixed(6) {
        let index = kit.append(&node, &event).await.index.0;
        if event.actor == COLLECTOR {
            expected.push(index);
        }
    }
    let party = COLLECTOR.to_string();
    let args = ["--json", "--kind", "collect-lot", "--party", &party, "--from", "1"];
    let watcher = Watcher::new(service.address, &args);
    assert_eq!(watcher.to(*expected.last().unwrap()), expected);
    assert_eq!(watcher.interrupt(), Some(130));
    let mut wrong = Watcher::new(service.address, &["--kind", "melting"]);
    assert_eq!(wrong.child.wait().unwrap().code(), Some(1));
    let beyond = Watcher::new(service.address, &["--from", "999"]);
    let mut child = beyond.child;
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let people = Watcher::new(service.address, &["--kind", "COLLECT_LOT"]);
    let line = people.line();
    assert!(line.contains("COLLECT_LOT") && line.contains(&expected[0].to_string()), "{line}");
    assert_eq!(people.interrupt(), Some(130));
    service.stop().await;
    node.shutdown().await;
}
