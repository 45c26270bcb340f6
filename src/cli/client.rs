//! Calls to a server, as `demo`, `submit`, `lot`, `trace` and `verify --server` make them.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

use crate::limits::{MAX_APPEND_TRIES, MAX_REPLY_BYTES};
use crate::wire::v1::ledger_service_client::LedgerServiceClient;
use crate::wire::v1::lot_service_client::LotServiceClient;
use crate::wire::v1::registry_service_client::RegistryServiceClient;
use crate::wire::v1::{AppendedEvent, BatchAppendEventsRequest};

/// The three services of one server.
#[derive(Clone)]
pub struct Client {
    /// Entries, receipts, checkpoints.
    pub ledger: LedgerServiceClient<Channel>,
    /// Lots and traces.
    pub lots: LotServiceClient<Channel>,
    /// Parties and sites.
    pub registry: RegistryServiceClient<Channel>,
}

impl Client {
    /// Connects, e.g. to `http://127.0.0.1:7878`.
    pub async fn connect(server: &str) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(server.to_owned())
            .with_context(|| format!("{server} is not an address like http://127.0.0.1:7878"))?
            .connect_timeout(Duration::from_secs(5));
        let channel = endpoint.connect().await.with_context(|| {
            format!("cannot reach {server}; is `urbanmine serve` running there?")
        })?;
        Ok(Self {
            ledger: LedgerServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_REPLY_BYTES),
            lots: LotServiceClient::new(channel.clone()).max_decoding_message_size(MAX_REPLY_BYTES),
            registry: RegistryServiceClient::new(channel)
                .max_decoding_message_size(MAX_REPLY_BYTES),
        })
    }

    /// Appends, and tries again while the server is busy or the outcome is unclear: the same bytes
    /// again return the first receipt, so nothing is recorded twice.
    pub async fn append(&mut self, envelopes: Vec<Bytes>) -> Result<Vec<AppendedEvent>, Refused> {
        let mut pause = Duration::from_millis(100);
        let mut tries = 1;
        loop {
            let request =
                BatchAppendEventsRequest { envelopes: envelopes.clone(), validate_only: false };
            match self.ledger.batch_append_events(request).await {
                Ok(reply) => return Ok(reply.into_inner().appended),
                Err(status) if tries < MAX_APPEND_TRIES && may_retry(&status) => {
                    eprintln!("{}; trying again in {} ms", status.message(), pause.as_millis());
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    tries += 1;
                }
                Err(status) => return Err(Refused::of(&status)),
            }
        }
    }
}

impl Client {
    /// Asks whether events would be recorded.
    pub async fn validate(&mut self, envelopes: Vec<Bytes>) -> Result<(), Refused> {
        let request = BatchAppendEventsRequest { envelopes, validate_only: true };
        let reply = self.ledger.batch_append_events(request).await;
        reply.map(drop).map_err(|status| Refused::of(&status))
    }
}

/// Busy, unclear or away: worth another try. Everything else is an answer.
fn may_retry(status: &tonic::Status) -> bool {
    matches!(
        status.code(),
        tonic::Code::ResourceExhausted
            | tonic::Code::Unknown
            | tonic::Code::Unavailable
            | tonic::Code::DeadlineExceeded
    )
}

/// A refusal as a person reads it.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Its stable reason, when the server gave one.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// The sentence in Chinese, when the server gave one.
    pub message_zh: Option<String>,
    /// Field, rule and value, for events that are malformed.
    pub fields: Vec<(String, String)>,
}

impl Refused {
    /// Reads the rich error of a status.
    pub fn of(status: &tonic::Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map_or_else(String::new, |info| info.reason.clone());
        let fields = details.bad_request().map_or_else(Vec::new, |bad| {
            let violations = bad.field_violations.iter();
            violations.map(|it| (it.field.clone(), it.description.clone())).collect()
        });
        let message_zh = status.get_error_details_vec().iter().find_map(|detail| match detail {
            tonic_types::ErrorDetail::LocalizedMessage(text) if text.locale.starts_with("zh") => {
                Some(text.message.clone())
            }
            _ => None,
        });
        Self { reason, message: status.message().to_owned(), message_zh, fields }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.reason.is_empty() {
            f.write_str(&self.message)?;
        } else {
            write!(f, "{}: {}", self.reason, self.message)?;
        }
        if let Some(text) = &self.message_zh {
            write!(f, "\n  {text}")?;
        }
        for (field, rule) in &self.fields {
            write!(f, "\n  {field}: {rule}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}
