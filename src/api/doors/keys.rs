//! Files that may change while the service runs: certificates, keys, authorities, tokens.
//!
//! What is read stays in use until something sound takes its place: a bad file, or half of a new
//! pair, keeps the old one and is told in the log. Open connections go on with what they began
//! with; their age is bounded.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::server::{
    NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier,
};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use super::settings::DoorSettings;
use crate::api::tokens::{TokenBook, TokenFileFault};
use crate::limits::{MAX_PEM_FILE_BYTES, MAX_TOKEN_FILE_BYTES};

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is longer than any of its kind.
    #[error("{path} has more than {max} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        max: u64,
    },
    /// It is not PEM, or has nothing of what is looked for.
    #[error("{path} holds no {what} in PEM")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is looked for.
        what: &'static str,
        /// Why not.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key are no pair, or of a kind that is not spoken.
    #[error("the server's certificate and key are of no use")]
    Pair(#[source] rustls::Error),
    /// A certificate is no authority's.
    #[error("{path} holds a certificate that is of no use as an authority")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// No authority is left.
    #[error("{path} makes no verifier of client certificates")]
    Verifier {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: VerifierBuilderError,
    },
    /// A file of tokens that is not sound.
    #[error("{path} is no file of tokens")]
    Tokens {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: TokenFileFault,
    },
}

/// What files hold, and what they are looked at for.
pub struct Kept<T> {
    files: Vec<PathBuf>,
    load: Box<dyn Fn() -> Result<T, KeyFault> + Send + Sync>,
    current: ArcSwap<T>,
    seen: Mutex<Vec<Look>>,
}

/// How a file looked: when it was written, and its length. `None` when it was not there.
type Look = Option<(SystemTime, u64)>;

impl<T> Kept<T> {
    /// Reads files for the first time; here, what is not sound is the operator's to hear.
    fn open(
        files: Vec<PathBuf>,
        load: impl Fn() -> Result<T, KeyFault> + Send + Sync + 'static,
    ) -> Result<Self, KeyFault> {
        // Looked at before it is read: what is written in between is read again.
        let seen = Mutex::new(looks(&files));
        let current = ArcSwap::from_pointee(load()?);
        Ok(Self { files, load: Box::new(load), current, seen })
    }

    /// What holds now.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Reads the files again, if they look different, or in any case.
    pub fn refresh(&self, anyway: bool) {
        let now = looks(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now && !anyway {
            return;
        }
        *seen = now;
        drop(seen);
        let files = self.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
        let files = files.join(", ");
        match (self.load)() {
            Ok(loaded) => {
                self.current.store(Arc::new(loaded));
                tracing::info!(files, "read anew; new connections and calls go by it");
            }
            Err(fault) => {
                let fault: &dyn std::error::Error = &fault;
                tracing::error!(files, fault, "not sound; what was read before stays in use");
            }
        }
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("files", &self.files).finish_non_exhaustive()
    }
}

fn looks(files: &[PathBuf]) -> Vec<Look> {
    let look = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    files.iter().map(look).collect()
}

/// The tokens of the settings, when there are any.
pub fn tokens(settings: &DoorSettings) -> Result<Option<Kept<TokenBook>>, KeyFault> {
    let Some(path) = settings.tokens.clone() else { return Ok(None) };
    let load = {
        let path = path.clone();
        move || {
            let bytes = read(&path, MAX_TOKEN_FILE_BYTES)?;
            TokenBook::parse(&bytes)
                .map_err(|source| KeyFault::Tokens { path: path.clone(), source })
        }
    };
    Kept::open(vec![path], load).map(Some)
}

/// TLS as the settings want it, when they do.
pub fn tls(settings: &DoorSettings) -> Result<Option<Kept<ServerConfig>>, KeyFault> {
    let (Some(cert), Some(key)) = (settings.tls_cert.clone(), settings.tls_key.clone()) else {
        return Ok(None);
    };
    let mut files = vec![cert.clone(), key.clone()];
    files.extend(settings.client_ca.clone());
    let client_ca = settings.client_ca.clone();
    // Where there is no other way to say who one is, a handshake without a certificate is in vain.
    let needs_client = settings.require_identity && settings.tokens.is_none();
    let load = move || server_config(&cert, &key, client_ca.as_deref(), needs_client);
    Kept::open(files, load).map(Some)
}

fn server_config(
    cert: &Path,
    key: &Path,
    client_ca: Option<&Path>,
    needs_client: bool,
) -> Result<ServerConfig, KeyFault> {
    let chain = certificates(cert)?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key, MAX_PEM_FILE_BYTES)?)
        .map_err(|source| KeyFault::Pem { path: key.to_owned(), what: "private key", source })?;
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(KeyFault::Pair)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = if needs_client { verifier } else { verifier.allow_unauthenticated() };
            let verifier = verifier
                .build()
                .map_err(|source| KeyFault::Verifier { path: path.to_owned(), source })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, secret).map_err(KeyFault::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A session that is taken up again would bring back a certificate that is not looked at again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, KeyFault> {
    let bytes = read(path, MAX_PEM_FILE_BYTES)?;
    let wrong = |source| KeyFault::Pem { path: path.to_owned(), what: "certificate", source };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(wrong)?;
    if chain.is_empty() { Err(wrong(pem::Error::NoItemsFound)) } else { Ok(chain) }
}

fn authorities(path: &Path) -> Result<RootCertStore, KeyFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| KeyFault::Authority { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

fn read(path: &Path, max: u64) -> Result<Vec<u8>, KeyFault> {
    let failed = |source| KeyFault::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if length > max { Err(KeyFault::TooLarge { path: path.to_owned(), max }) } else { Ok(bytes) }
}
