//! The one port: TLS or plain text, HTTP/2 or HTTP/1.1, and how long who may stay.
//!
//! *Owns:* the listening socket, certificates, authorities and tokens and their reading anew; the
//! connections: how many, for how long, how slow; the pieces that replies leave in.
//!
//! *Never:* knows a call, judges who may make one (`gate.rs` does), or holds more for a caller than
//! `limits.rs` adds up.
//!
//! *See:* `docs/DOORS.md`, `docs/adr/0011-who-calls.md`.

mod connection;
mod keys;
mod line;
mod patient;
mod replies;
mod settings;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::rustls::ServerConfig;

pub use connection::Connection;
use keys::Kept;
pub use keys::KeyFault;
use line::Crowd;
pub use settings::{Bounds, DoorSettings, SettingsFault};

use super::policy::is_loopback;
use super::shares::Shares;
use super::tokens::TokenBook;
use crate::limits::MAX_DRAIN_SECONDS;

/// Why there are no doors.
#[derive(Debug, thiserror::Error)]
pub enum DoorFault {
    /// The settings contradict each other.
    #[error("the settings do not go together")]
    Settings(#[from] SettingsFault),
    /// A file is of no use.
    #[error("a certificate, key or file of tokens is of no use")]
    Keys(#[from] KeyFault),
    /// Others could reach it, and read along.
    #[error(
        "{address} can be reached from other machines: give a certificate and its key, or listen \
         on a loopback address such as 127.0.0.1 or [::1]"
    )]
    PlainTextBeyondLoopback {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The doors, before anybody comes.
#[derive(Debug)]
pub struct Doors {
    settings: DoorSettings,
    keys: Keys,
    again: Arc<Notify>,
}

/// What may be read anew.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    tls: Option<Arc<Kept<ServerConfig>>>,
    tokens: Option<Arc<Kept<TokenBook>>>,
}

/// Has the files of the doors read anew, whether or not they look different.
#[derive(Debug, Clone)]
pub struct ReadAnew(Arc<Notify>);

/// A socket that listens. Only [`Doors::listen`] makes one.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    doors: Doors,
}

impl Doors {
    /// Reads certificates and tokens.
    pub fn open(settings: DoorSettings) -> Result<Self, DoorFault> {
        settings.check()?;
        let keys = Keys {
            tls: keys::tls(&settings)?.map(Arc::new),
            tokens: keys::tokens(&settings)?.map(Arc::new),
        };
        Ok(Self { settings, keys, again: Arc::default() })
    }

    /// Listens. Plain text is for loopback addresses, unless the settings say otherwise by name.
    /// Port 0 takes a free one.
    pub async fn listen(self, address: SocketAddr) -> Result<Listener, DoorFault> {
        if !self.settings.may_listen(address) {
            return Err(DoorFault::PlainTextBeyondLoopback { address });
        }
        let failed = |source| DoorFault::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Listener { socket, address, doors: self })
    }

    /// A handle that has the files read anew.
    pub fn read_anew(&self) -> ReadAnew {
        ReadAnew(Arc::clone(&self.again))
    }
}

impl ReadAnew {
    /// Soon.
    pub fn now(&self) {
        self.0.notify_one();
    }
}

impl Keys {
    /// The tokens that are good now; `None` where none are given out.
    pub fn tokens(&self) -> Option<Arc<TokenBook>> {
        self.tokens.as_ref().map(|tokens| tokens.current())
    }

    fn refresh(&self, anyway: bool) {
        if let Some(tls) = &self.tls {
            tls.refresh(anyway);
        }
        if let Some(tokens) = &self.tokens {
            tokens.refresh(anyway);
        }
    }
}

impl Listener {
    /// Listens in plain text on a loopback address, with nobody asked who they are.
    pub async fn bind(address: SocketAddr) -> Result<Self, DoorFault> {
        Doors::open(DoorSettings::default())?.listen(address).await
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https` or `http`.
    pub const fn scheme(&self) -> &'static str {
        if self.doors.keys.tls.is_some() { "https" } else { "http" }
    }

    /// What the doors were made from.
    pub const fn settings(&self) -> &DoorSettings {
        &self.doors.settings
    }

    /// A handle that has the files read anew.
    pub fn read_anew(&self) -> ReadAnew {
        self.doors.read_anew()
    }

    /// What may be read anew.
    pub fn keys(&self) -> Keys {
        self.doors.keys.clone()
    }

    /// Whether whoever calls without saying who it is sits at the machine: nobody is asked, and
    /// only this machine reaches the address.
    pub fn trusts_this_machine(&self) -> bool {
        !self.doors.settings.asks_who() && is_loopback(self.address.ip())
    }

    /// Lets callers in until `stopping` says true, then lets calls end. What comes in goes to
    /// `app`.
    pub async fn welcome(
        self,
        app: axum::Router,
        shares: Shares,
        mut stopping: watch::Receiver<bool>,
    ) {
        let trusts_this_machine = self.trusts_this_machine();
        let Self { socket, doors, .. } = self;
        let house = Arc::new(connection::House {
            app,
            shares,
            bounds: doors.settings.bounds.clone(),
            tls: doors.keys.tls.clone(),
            trusts_this_machine,
            stopping: stopping.clone(),
        });
        let crowd = Arc::new(Crowd::new(&house.bounds));
        let poll = house.bounds.keys_poll();
        let reading = tokio::spawn(keep_reading(doors.keys, doors.again, poll));
        let mut connections = JoinSet::new();
        let mut number: u64 = 0;
        loop {
            tokio::select! {
                () = stopped(&mut stopping) => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        number += 1;
                        if let Some(seat) = crowd.enter(number, peer) {
                            let house = Arc::clone(&house);
                            connections.spawn(connection::serve(house, stream, seat));
                        }
                    }
                    Err(fault) => {
                        // Out of file handles, mostly: those who are here go on.
                        tracing::warn!(%fault, "a connection could not be taken");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        drop(socket);
        reading.abort();
        let ended = async { while connections.join_next().await.is_some() {} };
        let drain = Duration::from_secs(MAX_DRAIN_SECONDS);
        if tokio::time::timeout(drain, ended).await.is_err() {
            tracing::warn!(MAX_DRAIN_SECONDS, "calls were still open when the service stopped");
        }
    }
}

/// Resolves when the service stops.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Whose sender is gone has stopped, too.
    let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
}

/// Looks at the files every now and then, and at once when told to.
async fn keep_reading(keys: Keys, again: Arc<Notify>, poll: Duration) {
    let poll = poll.max(Duration::from_millis(10));
    loop {
        let anyway = tokio::time::timeout(poll, again.notified()).await.is_ok();
        let keys = keys.clone();
        // Files may be slow; the doors are not.
        let _ = tokio::task::spawn_blocking(move || keys.refresh(anyway)).await;
    }
}
