//! Key files: PKCS#8, encrypted with a passphrase (PBES2, scrypt, AES-256), in PEM, as OpenSSL and
//! every ERP's crypto library reads them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ed25519_dalek::pkcs8::KeypairBytes;
use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use zeroize::Zeroizing;

use crate::ledger::keys::SigningKey;
use crate::limits::MAX_KEY_FILE_BYTES;

/// Where a passphrase comes from; without any of them it is asked for at the terminal.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PassphraseArgs {
    /// File whose first line is the passphrase of the key file.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Credential of the service manager whose first line is the passphrase.
    #[arg(long, value_name = "NAME", conflicts_with = "passphrase_file")]
    pub passphrase_credential: Option<String>,
}

/// The environment variable that holds a passphrase.
pub const PASSPHRASE_VARIABLE: &str = "URBANMINE_PASSPHRASE";
/// Where a service manager puts credentials (systemd's `LoadCredential=`).
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// Where a passphrase is. Never on the command line: everybody on the machine reads that.
#[derive(Clone)]
pub enum PassphraseSource {
    /// First line of a file.
    File(PathBuf),
    /// First line of a credential.
    Credential(String),
    /// Somebody gave it to us in the environment.
    Given(Zeroizing<String>),
    /// Somebody types it.
    Terminal,
}

/// Where a ledger's key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A key file. Unencrypted only where nobody else may read it.
    File(PathBuf),
    /// A credential, which the service manager keeps from others and may have decrypted.
    Credential(String),
    /// An open file that our parent left us.
    Descriptor(u32),
}

impl std::fmt::Debug for PassphraseSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Credential(name) => f.debug_tuple("Credential").field(name).finish(),
            Self::Given(_) => f.write_str("Given(hidden)"),
            Self::Terminal => f.write_str("Terminal"),
        }
    }
}

impl PassphraseSource {
    /// The passphrase.
    pub fn read(&self, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
        match self {
            Self::File(path) => first_line(path),
            Self::Credential(name) => first_line(&credential(name)?),
            Self::Given(text) => not_empty(text.clone()),
            Self::Terminal => ask(prompt),
        }
    }
}

impl PassphraseArgs {
    /// A passphrase for a new key file: as [`Self::read`], but typed twice at the terminal, because
    /// a slip would lock the key away.
    pub fn read_new(&self, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
        let source = self.source();
        if !matches!(source, PassphraseSource::Terminal) {
            return source.read(prompt);
        }
        let typed = ask(prompt)?;
        let again = ask("The same again: ")?;
        if *typed != *again {
            bail!("the two passphrases differ; nothing was written");
        }
        Ok(typed)
    }

    /// The passphrase: from the file or credential, else from the environment, else from the
    /// terminal.
    pub fn read(&self, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
        self.source().read(prompt)
    }

    /// Where it is.
    pub fn source(&self) -> PassphraseSource {
        if let Some(path) = &self.passphrase_file {
            return PassphraseSource::File(path.clone());
        }
        if let Some(name) = &self.passphrase_credential {
            return PassphraseSource::Credential(name.clone());
        }
        match std::env::var(PASSPHRASE_VARIABLE) {
            Ok(text) => PassphraseSource::Given(Zeroizing::new(text)),
            Err(_) => PassphraseSource::Terminal,
        }
    }
}

fn first_line(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = Zeroizing::new(
        std::fs::read_to_string(path)
            .with_context(|| format!("cannot read passphrase file {}", path.display()))?,
    );
    not_empty(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// The file of a credential. A name with a path in it would lead elsewhere.
fn credential(name: &str) -> anyhow::Result<PathBuf> {
    let is_name = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    if !is_name {
        bail!("{name:?} is no name of a credential");
    }
    let Some(directory) = std::env::var_os(CREDENTIALS_VARIABLE) else {
        bail!("credential {name}: {CREDENTIALS_VARIABLE} is not set; the service manager sets it");
    };
    Ok(Path::new(&directory).join(name))
}

fn ask(prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    let typed = rpassword::prompt_password(prompt).with_context(|| {
        format!("no passphrase: give --passphrase-file or {PASSPHRASE_VARIABLE}")
    })?;
    not_empty(Zeroizing::new(typed))
}

fn not_empty(passphrase: Zeroizing<String>) -> anyhow::Result<Zeroizing<String>> {
    if passphrase.is_empty() {
        bail!("the passphrase is empty");
    }
    Ok(passphrase)
}

/// A new key from the machine's randomness.
pub fn generate() -> SigningKey {
    let mut seed = Zeroizing::new([0_u8; 32]);
    rand::fill(&mut seed[..]);
    SigningKey::from_seed(*seed)
}

/// Writes a key file that only its owner may read; never over one that exists.
pub fn write(path: &Path, key: &SigningKey, passphrase: &str) -> anyhow::Result<()> {
    // Without the public key: with it, it is PKCS#8 version 2, which OpenSSL 3.0 and Python do not
    // read.
    let secret = KeypairBytes { secret_key: *key.seed(), public_key: None };
    let pem = secret
        .to_pkcs8_encrypted_pem(passphrase, LineEnding::LF)
        .context("the key cannot be encrypted")?;
    super::output::write_private(path, pem.as_bytes())
}

/// Reads an encrypted key file.
pub fn read(path: &Path, passphrase: &PassphraseArgs) -> anyhow::Result<SigningKey> {
    let pem = Zeroizing::new(
        std::fs::read_to_string(path)
            .with_context(|| format!("cannot read key file {}", path.display()))?,
    );
    let place = format!("key file {}", path.display());
    decrypt(&pem, &place, &passphrase.source())
}

/// Reads a ledger's key from wherever it is. Unencrypted it is taken only from where nobody else
/// can have read it.
pub fn read_ledger(
    source: &KeySource,
    passphrase: &PassphraseSource,
) -> anyhow::Result<SigningKey> {
    let (path, place) = match source {
        KeySource::File(path) => (path.clone(), format!("key file {}", path.display())),
        KeySource::Credential(name) => (credential(name)?, format!("credential {name}")),
        KeySource::Descriptor(number) => {
            (PathBuf::from(format!("/dev/fd/{number}")), format!("file descriptor {number}"))
        }
    };
    let pem = read_bounded(&path).with_context(|| format!("cannot read {place}"))?;
    if !pem.contains(PLAIN_PEM) {
        return decrypt(&pem, &place, passphrase);
    }
    if matches!(source, KeySource::File(_)) {
        check_private(&path)?;
    }
    let secret = ed25519_dalek::SigningKey::from_pkcs8_pem(&pem)
        .map_err(|_| anyhow::anyhow!("{place} holds no PKCS#8 ed25519 key"))?;
    Ok(SigningKey::from_seed(secret.to_bytes()))
}

/// How an unencrypted key begins.
const PLAIN_PEM: &str = "-----BEGIN PRIVATE KEY-----";

fn read_bounded(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE_BYTES));
    let file = std::fs::File::open(path)?;
    file.take(MAX_KEY_FILE_BYTES as u64).read_to_string(&mut text)?;
    Ok(text)
}

fn decrypt(pem: &str, place: &str, passphrase: &PassphraseSource) -> anyhow::Result<SigningKey> {
    let passphrase = passphrase.read(&format!("Passphrase of {place}: "))?;
    let secret = ed25519_dalek::SigningKey::from_pkcs8_encrypted_pem(pem, passphrase.as_bytes())
        .map_err(|_| {
            anyhow::anyhow!(
                "{place} does not open: it is not an encrypted PKCS#8 ed25519 key, or the \
                 passphrase is another"
            )
        })?;
    Ok(SigningKey::from_seed(secret.to_bytes()))
}

/// An unencrypted key that others may read is no secret any more.
#[cfg(unix)]
fn check_private(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!(
            "key file {} is not encrypted and has mode {mode:04o}: others may have read it. \
             Encrypt it, or make it 0400 if you are sure that nobody did",
            path.display()
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(path: &Path) -> anyhow::Result<()> {
    bail!("key file {} is not encrypted; who may read it is not known here", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_holds_the_seed_only_as_every_library_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("party.pem");
        let key = SigningKey::from_seed([7; 32]);
        write(&path, &key, "correct horse").unwrap();
        let pem = std::fs::read_to_string(&path).unwrap();
        let secret = KeypairBytes::from_pkcs8_encrypted_pem(&pem, "correct horse").unwrap();
        assert_eq!((secret.secret_key, secret.public_key), ([7; 32], None));
    }

    #[test]
    fn a_key_file_opens_with_its_passphrase_only_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("party.pem");
        let key = generate();
        write(&path, &key, "correct horse").unwrap();
        let note = folder.path().join("passphrase");
        std::fs::write(&note, "correct horse\nsecond line\n").unwrap();
        let right =
            PassphraseArgs { passphrase_file: Some(note.clone()), ..PassphraseArgs::default() };
        assert_eq!(read(&path, &right).unwrap().public_key(), key.public_key());

        std::fs::write(&note, "wrong\n").unwrap();
        assert!(read(&path, &right).unwrap_err().to_string().contains("does not open"));
        assert!(write(&path, &key, "again").unwrap_err().to_string().contains("must not exist"));
        assert!(std::fs::read_to_string(&path).unwrap().contains("ENCRYPTED PRIVATE KEY"));
    }
    #[test]
    fn an_unencrypted_key_is_taken_only_where_nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.pem");
        let key = SigningKey::from_seed([7; 32]);
        let secret = KeypairBytes { secret_key: *key.seed(), public_key: None };
        std::fs::write(&path, secret.to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap();
        let read = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read_ledger(&KeySource::File(path.clone()), &PassphraseSource::Terminal)
        };
        for mode in [0o400, 0o600] {
            assert_eq!(read(mode).unwrap().public_key(), key.public_key());
        }
        for mode in [0o440, 0o604, 0o644] {
            let told = read(mode).unwrap_err().to_string();
            assert!(told.contains(&format!("{mode:04o}")), "{told}");
        }
        for name in ["", "..", "a/b"] {
            assert!(credential(name).unwrap_err().to_string().contains("no name"), "{name}");
        }
    }
}
