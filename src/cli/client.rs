//! Calls to a server, as `demo`, `submit`, `lot`, `trace` and `verify --server` make them.

use std::time::Duration;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_types::StatusExt as _;

use crate::limits::{MAX_APPEND_TRIES, MAX_REPLY_BYTES};
use crate::wire::v1::disclosure_service_client::DisclosureServiceClient;
use crate::wire::v1::draft_service_client::DraftServiceClient;
use crate::wire::v1::ledger_service_client::LedgerServiceClient;
use crate::wire::v1::lot_service_client::LotServiceClient;
use crate::wire::v1::registry_service_client::RegistryServiceClient;
use crate::wire::v1::report_service_client::ReportServiceClient;
use crate::wire::v1::{AppendedEvent, BatchAppendEventsRequest};

/// The environment variable that holds a token.
pub const TOKEN_VARIABLE: &str = "URBANMINE_TOKEN";

/// How a server is known, and how it knows us. A token also comes from `URBANMINE_TOKEN`; never
/// from the command line, where everybody on the machine could read it.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AccessArgs {
    /// Authority that the server's certificate is from (PEM); for `https` addresses.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Client certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub client_cert: Option<PathBuf>,
    /// Key of the client certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// File whose first line is a token [default: the variable `URBANMINE_TOKEN`]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// What calls go out through.
pub type Line = InterceptedService<Channel, Bearer>;

/// Says who calls, when there is a token.
#[derive(Debug, Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// The services of one server.
#[derive(Clone)]
pub struct Client {
    /// Entries, receipts, checkpoints.
    pub ledger: LedgerServiceClient<Line>,
    /// Lots and traces.
    pub lots: LotServiceClient<Line>,
    /// Parties and sites.
    pub registry: RegistryServiceClient<Line>,
    /// Events that wait for more signatures.
    pub drafts: DraftServiceClient<Line>,
    /// Openings of private facts.
    pub disclosures: DisclosureServiceClient<Line>,
    /// Balances, reports, flags.
    pub reports: ReportServiceClient<Line>,
}

impl Client {
    /// Connects, e.g. to `http://127.0.0.1:7878`.
    pub async fn connect(server: &str) -> anyhow::Result<Self> {
        Self::connect_with(server, &AccessArgs::default()).await
    }

    /// Connects with certificates or a token.
    pub async fn connect_with(server: &str, access: &AccessArgs) -> anyhow::Result<Self> {
        let mut endpoint = Endpoint::from_shared(server.to_owned())
            .with_context(|| format!("{server} is not an address like http://127.0.0.1:7878"))?
            .connect_timeout(Duration::from_secs(5));
        let is_tls = endpoint.uri().scheme_str() == Some("https");
        if is_tls {
            endpoint = endpoint.tls_config(access.tls()?)?;
        }
        let bearer = access.bearer()?;
        if bearer.0.is_some() && !is_tls && !is_this_machine(endpoint.uri().host()) {
            bail!("a token goes out in https only, or to this machine; {server} is neither");
        }
        let channel = endpoint.connect().await.with_context(|| {
            format!("cannot reach {server}; is `urbanmine serve` running there?")
        })?;
        let line = InterceptedService::new(channel, bearer);
        Ok(Self {
            ledger: LedgerServiceClient::new(line.clone())
                .max_decoding_message_size(MAX_REPLY_BYTES),
            lots: LotServiceClient::new(line.clone()).max_decoding_message_size(MAX_REPLY_BYTES),
            registry: RegistryServiceClient::new(line.clone())
                .max_decoding_message_size(MAX_REPLY_BYTES),
            drafts: DraftServiceClient::new(line.clone())
                .max_decoding_message_size(MAX_REPLY_BYTES),
            disclosures: DisclosureServiceClient::new(line.clone()),
            reports: ReportServiceClient::new(line).max_decoding_message_size(MAX_REPLY_BYTES),
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

impl AccessArgs {
    fn tls(&self) -> anyhow::Result<ClientTlsConfig> {
        let path = self.tls_ca.as_deref().context(
            "say whose certificate the server has: --tls-ca FILE, the authority's certificate",
        )?;
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?));
        if let (Some(cert), Some(key)) = (&self.client_cert, &self.client_key) {
            tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        Ok(tls)
    }

    fn bearer(&self) -> anyhow::Result<Bearer> {
        let text = match &self.token_file {
            Some(path) => Some(read(path)?),
            None => std::env::var(TOKEN_VARIABLE).ok(),
        };
        let Some(text) = text else { return Ok(Bearer(None)) };
        let token = text.lines().next().unwrap_or_default().trim();
        // What is wrong with it is not told: it is a secret.
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| anyhow::anyhow!("the token has characters that no token has"))?;
        value.set_sensitive(true);
        Ok(Bearer(Some(value)))
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn is_this_machine(host: Option<&str>) -> bool {
    let host = host.unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(crate::api::policy::is_loopback)
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
