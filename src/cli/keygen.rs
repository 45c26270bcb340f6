//! `urbanmine keygen`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::keyfile::{self, PassphraseArgs};
use super::output::{hex, print_json};

/// Make a signing key in an encrypted key file.
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// Where the key file goes; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &KeygenArgs) -> anyhow::Result<()> {
    let passphrase = args.passphrase.read_new("Passphrase for the new key file: ")?;
    let key = keyfile::generate();
    keyfile::write(&args.out, &key, &passphrase)?;
    let public_key = hex(key.public_key().as_bytes());
    let key_id = key.key_id().to_string();
    if args.json {
        return print_json(&json!({ "public_key": public_key, "key_id": key_id }));
    }
    println!("public key  {public_key}");
    println!("key id      {key_id}");
    eprintln!(
        "The private key is in {}, encrypted. Whoever has both can sign.",
        args.out.display()
    );
    Ok(())
}
