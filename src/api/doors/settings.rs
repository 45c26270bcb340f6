//! What an operator decides about the doors; in a configuration file, the table `doors`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{
    CALLS_PER_SECOND, CONNECTION_GRACE_SECONDS, KEYS_POLL_SECONDS, MAX_CONNECTION_AGE_SECONDS,
    MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, MAX_FIRST_CALL_SECONDS, MAX_HANDSHAKE_SECONDS,
    MAX_IDLE_SECONDS, MAX_REPLY_SECONDS, MAX_STALL_SECONDS, STRANGER_CALLS_PER_SECOND,
};

/// Which doors there are, and who is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DoorSettings {
    /// Certificates of the server, PEM, its own first. With it TLS is spoken and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the first certificate, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Certificates of the authorities whose client certificates identify parties, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// File of tokens (see `urbanmine token`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<PathBuf>,
    /// Whether callers who do not say who they are get nothing but health and reflection: not even
    /// what is public, and not on this machine either.
    pub require_identity: bool,
    /// Whether to serve without TLS where other machines reach it. Whoever is on the way can then
    /// read everything, take tokens and change answers: only behind something that encrypts.
    pub plaintext_beyond_loopback: bool,
    /// How much of everything.
    pub bounds: Bounds,
}

/// How much of everything. The defaults are the maxima of `limits.rs`; numbers of connections
/// cannot be larger, because the arithmetic of memory ends there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Connections in all, 1 to 512.
    pub connections: usize,
    /// Connections from one address, 1 to 512. Callers behind one proxy share an address.
    pub connections_per_address: usize,
    /// Milliseconds until TLS has to be agreed on.
    pub handshake_ms: u64,
    /// Milliseconds until a connection's first call.
    pub first_call_ms: u64,
    /// Milliseconds without a call until a connection is asked to end.
    pub idle_ms: u64,
    /// Milliseconds until any connection is asked to end.
    pub age_ms: u64,
    /// Milliseconds that its calls then have left.
    pub grace_ms: u64,
    /// Milliseconds in which a caller has to take some of a reply.
    pub stall_ms: u64,
    /// Milliseconds in which a caller has to take all of a reply.
    pub reply_ms: u64,
    /// Milliseconds between two looks at the files of certificates and tokens.
    pub keys_poll_ms: u64,
    /// Cells in a second of a known caller; a record costs 1, a page 4, a trace or batch 10.
    pub calls_per_second: NonZeroU32,
    /// Cells in a second of an unknown address.
    pub stranger_calls_per_second: NonZeroU32,
}

impl Default for Bounds {
    fn default() -> Self {
        let rate = |per_second| NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        Self {
            connections: MAX_CONNECTIONS,
            connections_per_address: MAX_CONNECTIONS_PER_ADDRESS,
            handshake_ms: MAX_HANDSHAKE_SECONDS * 1_000,
            first_call_ms: MAX_FIRST_CALL_SECONDS * 1_000,
            idle_ms: MAX_IDLE_SECONDS * 1_000,
            age_ms: MAX_CONNECTION_AGE_SECONDS * 1_000,
            grace_ms: CONNECTION_GRACE_SECONDS * 1_000,
            stall_ms: MAX_STALL_SECONDS * 1_000,
            reply_ms: MAX_REPLY_SECONDS * 1_000,
            keys_poll_ms: KEYS_POLL_SECONDS * 1_000,
            calls_per_second: rate(CALLS_PER_SECOND),
            stranger_calls_per_second: rate(STRANGER_CALLS_PER_SECOND),
        }
    }
}

/// Why settings make no doors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsFault {
    /// Half of a pair.
    #[error("a certificate and its key come together: one of tls_cert and tls_key is missing")]
    HalfOfAPair,
    /// Client certificates without TLS.
    #[error("client certificates come with TLS: client_ca needs tls_cert and tls_key")]
    ClientsWithoutTls,
    /// Nobody could be let in.
    #[error("nobody could say who it is: require_identity needs client_ca or tokens")]
    NoIdentity,
    /// More, or less, than there can be.
    #[error("{name} is 1 to {MAX_CONNECTIONS}, not {found}")]
    Connections {
        /// Which number.
        name: &'static str,
        /// What was asked for.
        found: usize,
    },
}

impl DoorSettings {
    /// Whether the settings go together.
    pub fn check(&self) -> Result<(), SettingsFault> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err(SettingsFault::HalfOfAPair);
        }
        if self.client_ca.is_some() && self.tls_cert.is_none() {
            return Err(SettingsFault::ClientsWithoutTls);
        }
        if self.require_identity && self.client_ca.is_none() && self.tokens.is_none() {
            return Err(SettingsFault::NoIdentity);
        }
        let counts = [
            ("connections", self.bounds.connections),
            ("connections_per_address", self.bounds.connections_per_address),
        ];
        let wrong = counts.into_iter().find(|(_, it)| !(1..=MAX_CONNECTIONS).contains(it));
        wrong.map_or(Ok(()), |(name, found)| Err(SettingsFault::Connections { name, found }))
    }

    /// Whether an address may be listened on.
    pub fn may_listen(&self, address: SocketAddr) -> bool {
        let is_here = crate::api::policy::is_loopback(address.ip());
        is_here || self.tls_cert.is_some() || self.plaintext_beyond_loopback
    }

    /// Whether there is a way to say who one is.
    pub const fn asks_who(&self) -> bool {
        self.client_ca.is_some() || self.tokens.is_some()
    }
}

macro_rules! durations {
    ($($name:ident = $field:ident: $doc:literal;)+) => {
        impl Bounds {
            $(#[doc = $doc]
            pub const fn $name(&self) -> Duration {
                Duration::from_millis(self.$field)
            })+
        }
    };
}

durations! {
    handshake = handshake_ms: "See the field.";
    first_call = first_call_ms: "See the field.";
    idle = idle_ms: "See the field.";
    age = age_ms: "See the field.";
    grace = grace_ms: "See the field.";
    stall = stall_ms: "See the field.";
    reply = reply_ms: "See the field.";
    keys_poll = keys_poll_ms: "See the field.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        let some = Some(PathBuf::from("x"));
        let whole = DoorSettings {
            tls_cert: some.clone(),
            tls_key: some.clone(),
            client_ca: some,
            require_identity: true,
            ..DoorSettings::default()
        };
        assert_eq!(whole.check(), Ok(()));
        assert_eq!(DoorSettings::default().check(), Ok(()));
        let half = DoorSettings { tls_key: None, ..whole.clone() };
        assert_eq!(half.check(), Err(SettingsFault::HalfOfAPair));
        let bare = DoorSettings { tls_key: None, tls_cert: None, ..whole.clone() };
        assert_eq!(bare.check(), Err(SettingsFault::ClientsWithoutTls));
        let closed = DoorSettings { client_ca: None, ..whole.clone() };
        assert_eq!(closed.check(), Err(SettingsFault::NoIdentity));
        for found in [0, MAX_CONNECTIONS + 1] {
            let bounds = Bounds { connections: found, ..Bounds::default() };
            let settings = DoorSettings { bounds, ..whole.clone() };
            let name = "connections";
            assert_eq!(settings.check(), Err(SettingsFault::Connections { name, found }));
        }
    }

    #[test]
    fn plain_text_leaves_the_machine_only_when_told_so_by_name() {
        let (here, there) = ("127.0.0.1:1".parse().unwrap(), "192.0.2.1:1".parse().unwrap());
        let plain = DoorSettings::default();
        assert!(plain.may_listen(here) && !plain.may_listen(there));
        assert!(!plain.may_listen("[::]:1".parse().unwrap()));
        let told = DoorSettings { plaintext_beyond_loopback: true, ..DoorSettings::default() };
        assert!(told.may_listen(there));
        let tls = DoorSettings { tls_cert: Some("x".into()), ..DoorSettings::default() };
        assert!(tls.may_listen(there));
    }

    #[test]
    fn unknown_settings_are_refused() {
        let settings: DoorSettings =
            serde_json::from_str(r#"{"tokens": "t.json", "bounds": {"idle_ms": 5}}"#).unwrap();
        assert_eq!((settings.bounds.idle_ms, settings.tokens), (5, Some("t.json".into())));
        let wrong = [
            r#"{"token": "t.json"}"#,
            r#"{"bounds": {"idle": 5}}"#,
            r#"{"bounds": {"calls_per_second": 0}}"#,
        ];
        for text in wrong {
            assert!(serde_json::from_str::<DoorSettings>(text).is_err(), "{text}");
        }
    }
}
