//! `urbanmine cert dev`: certificates to try TLS with.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use super::names::id_bytes;
use crate::api::identity::PARTY_URN;
use crate::domain::PartyId;
use crate::node::{Clock as _, SystemClock};

/// Make certificates.
#[derive(Debug, Args)]
pub struct CertArgs {
    #[command(subcommand)]
    command: CertCommand,
}

#[derive(Debug, Subcommand)]
enum CertCommand {
    /// An authority, a server's and clients' certificates for development: never for a service that
    /// others rely on.
    Dev(DevArgs),
}

#[derive(Debug, Args)]
struct DevArgs {
    /// Directory for the files; those that are there are not written over.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Names and addresses by which clients reach the server.
    #[arg(long = "host", value_name = "NAME", required = true, num_args = 1..)]
    hosts: Vec<String>,
    /// Parties that get a client certificate: UUIDs, or `@name`s of the sample.
    #[arg(long = "party", value_name = "ID", num_args = 1..)]
    parties: Vec<String>,
    /// Days that they are good for, 1 to 90.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=90))]
    days: u32,
}

pub(super) fn run(args: &CertArgs) -> anyhow::Result<()> {
    let CertCommand::Dev(args) = &args.command;
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("cannot make {}", args.dir.display()))?;
    let authority = Authority::new(args.days)?;
    keep(&args.dir, "ca.pem", &authority.pem, Readers::Everybody)?;
    let server = CertificateParams::new(args.hosts.clone())?;
    authority.issue(&args.dir, "server", server, ExtendedKeyUsagePurpose::ServerAuth)?;
    for party in &args.parties {
        let party = PartyId::parse(&id_bytes(party)?)?;
        let mut client = CertificateParams::default();
        client.subject_alt_names = vec![SanType::URI(format!("{PARTY_URN}{party}").try_into()?)];
        let name = format!("client-{party}");
        authority.issue(&args.dir, &name, client, ExtendedKeyUsagePurpose::ClientAuth)?;
    }
    eprintln!(
        "FOR DEVELOPMENT ONLY. 仅供开发使用。 Good for {} days. Nobody kept the authority's key, so \
         it signs nothing more: for other certificates, make all of them anew.",
        args.days
    );
    println!("{}", args.dir.display());
    Ok(())
}

/// An authority that is forgotten when this command ends.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    days: u32,
}

impl Authority {
    fn new(days: u32) -> anyhow::Result<Self> {
        let mut params = named("urbanmine development authority, trust it nowhere else", days);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem, days })
    }

    fn issue(
        &self,
        dir: &Path,
        name: &str,
        names: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> anyhow::Result<()> {
        let mut params = named(&format!("urbanmine development {name}"), self.days);
        params.subject_alt_names = names.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        keep(dir, &format!("{name}.pem"), &certificate.pem(), Readers::Everybody)?;
        keep(dir, &format!("{name}-key.pem"), &key.serialize_pem(), Readers::Owner)
    }
}

/// What every certificate of ours has: its name, and a short life that began an hour ago, because
/// clocks differ.
fn named(name: &str, days: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = date_time_ymd(1970, 1, 1) + Duration::from_millis(SystemClock.now().get());
    params.not_before = now - Duration::from_secs(3_600);
    params.not_after = now + Duration::from_secs(u64::from(days) * 24 * 3_600);
    params
}

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Everybody,
    Owner,
}

fn keep(dir: &Path, name: &str, text: &str, readers: Readers) -> anyhow::Result<()> {
    let path = dir.join(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let mut file = options
        .open(&path)
        .with_context(|| format!("cannot make {} (it must not exist)", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
