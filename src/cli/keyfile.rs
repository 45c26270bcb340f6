//! Key files: PKCS#8, encrypted with a passphrase (PBES2, scrypt, AES-256), in PEM, as OpenSSL and
//! every ERP's crypto library reads them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ed25519_dalek::pkcs8::KeypairBytes;
use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use zeroize::Zeroizing;

use crate::ledger::keys::SigningKey;

/// Where a passphrase comes from; without any of them it is asked for at the terminal.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PassphraseArgs {
    /// File whose first line is the passphrase of the key file.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// The environment variable that holds a passphrase.
pub const PASSPHRASE_VARIABLE: &str = "URBANMINE_PASSPHRASE";

impl PassphraseArgs {
    /// A passphrase for a new key file: as [`Self::read`], but typed twice at the terminal, because
    /// a slip would lock the key away.
    pub fn read_new(&self, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
        if let Some(given) = self.given()? {
            return Ok(given);
        }
        let typed = ask(prompt)?;
        let again = ask("The same again: ")?;
        if *typed != *again {
            bail!("the two passphrases differ; nothing was written");
        }
        Ok(typed)
    }

    /// The passphrase: from the file, else from the environment, else from the terminal.
    pub fn read(&self, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
        match self.given()? {
            Some(given) => Ok(given),
            None => ask(prompt),
        }
    }

    fn given(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        if let Some(path) = &self.passphrase_file {
            let text = Zeroizing::new(
                std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read passphrase file {}", path.display()))?,
            );
            let line = text.lines().next().unwrap_or_default();
            return not_empty(Zeroizing::new(line.to_owned())).map(Some);
        }
        match std::env::var(PASSPHRASE_VARIABLE) {
            Ok(text) => not_empty(Zeroizing::new(text)).map(Some),
            Err(_) => Ok(None),
        }
    }
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
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(path)
        .with_context(|| format!("cannot make key file {} (it must not exist)", path.display()))?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

/// Reads a key file.
pub fn read(path: &Path, passphrase: &PassphraseArgs) -> anyhow::Result<SigningKey> {
    let pem = Zeroizing::new(
        std::fs::read_to_string(path)
            .with_context(|| format!("cannot read key file {}", path.display()))?,
    );
    let prompt = format!("Passphrase of {}: ", path.display());
    let passphrase = passphrase.read(&prompt)?;
    let secret = ed25519_dalek::SigningKey::from_pkcs8_encrypted_pem(&pem, passphrase.as_bytes())
        .map_err(|_| {
        anyhow::anyhow!(
            "key file {} does not open: it is not an encrypted PKCS#8 ed25519 key, \
                 or the passphrase is another",
            path.display()
        )
    })?;
    Ok(SigningKey::from_seed(secret.to_bytes()))
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
        let right = PassphraseArgs { passphrase_file: Some(note.clone()) };
        assert_eq!(read(&path, &right).unwrap().public_key(), key.public_key());

        std::fs::write(&note, "wrong\n").unwrap();
        assert!(read(&path, &right).unwrap_err().to_string().contains("does not open"));
        assert!(write(&path, &key, "again").unwrap_err().to_string().contains("must not exist"));
        assert!(std::fs::read_to_string(&path).unwrap().contains("ENCRYPTED PRIVATE KEY"));
    }
}
