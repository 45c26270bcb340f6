//! An authority, and certificates from it: sound ones, and ones that are not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use tempfile::TempDir;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use urbanmine::domain::PartyId;
use urbanmine::node::{Clock as _, SystemClock};

/// An authority with its files.
pub struct Pki {
    issuer: Issuer<'static, KeyPair>,
    pub ca_pem: String,
    folder: TempDir,
}

/// A certificate and its key, PEM.
pub struct Pair {
    pub cert: String,
    pub key: String,
}

/// When a certificate holds.
#[derive(Clone, Copy)]
pub enum Life {
    Now,
    Over,
    NotYet,
}

impl Pki {
    pub fn new() -> Self {
        let mut params = params(Life::Now);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca_pem = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &ca_pem).unwrap();
        Self { issuer: Issuer::new(params, key), ca_pem, folder }
    }

    /// A server's certificate, for this machine.
    pub fn server(&self) -> Pair {
        let names = [
            SanType::DnsName("localhost".try_into().unwrap()),
            SanType::IpAddress("127.0.0.1".parse().unwrap()),
        ];
        self.issue(names.to_vec(), ExtendedKeyUsagePurpose::ServerAuth, Life::Now)
    }

    /// A client's certificate with URIs.
    pub fn client(&self, uris: &[String], life: Life) -> Pair {
        let names = uris.iter().map(|it| SanType::URI(it.as_str().try_into().unwrap()));
        self.issue(names.collect(), ExtendedKeyUsagePurpose::ClientAuth, life)
    }

    /// A party's certificate.
    pub fn party(&self, party: PartyId) -> Pair {
        self.client(&[urn(party)], Life::Now)
    }

    fn issue(&self, names: Vec<SanType>, usage: ExtendedKeyUsagePurpose, life: Life) -> Pair {
        let mut params = params(life);
        params.subject_alt_names = names;
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { cert, key: key.serialize_pem() }
    }

    /// A file of the authority's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Keeps a pair as `server.pem` and `server-key.pem`.
    pub fn keep_server(&self, pair: &Pair) {
        put(&self.path("server.pem"), &pair.cert);
        put(&self.path("server-key.pem"), &pair.key);
    }

    /// How a client trusts this authority, and with which certificate it comes.
    pub fn tls(&self, client: Option<&Pair>) -> ClientTlsConfig {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca_pem));
        match client {
            Some(pair) => tls.identity(Identity::from_pem(&pair.cert, &pair.key)),
            None => tls,
        }
    }
}

/// How a certificate names a party.
pub fn urn(party: PartyId) -> String {
    format!("urn:urbanmine:party:{party}")
}

/// Replaces a file as a whole.
pub fn put(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

fn params(life: Life) -> CertificateParams {
    let now = date_time_ymd(1970, 1, 1) + Duration::from_millis(SystemClock.now().get());
    let hour = Duration::from_secs(3_600);
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = match life {
        Life::Now => (now - hour, now + hour),
        Life::Over => (now - hour * 2, now - hour),
        Life::NotYet => (now + hour, now + hour * 2),
    };
    params
}
