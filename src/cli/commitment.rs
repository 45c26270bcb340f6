//! `urbanmine commitment`

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::client::{AccessArgs, Client, Refused};
use super::names::{id_bytes, id_text};
use super::output::{hex, print_json};
use super::runtime;
use crate::domain::Hash32;
use crate::limits::{MAX_FACT_BYTES, SALT_BYTES};
use crate::node::vault::commitment_of;
use crate::wire::v1;

/// Commit to a private fact, and show it to whom you choose.
///
/// A commitment is SHA-256 over 32 random bytes and the fact. The event carries the commitment;
/// salt and fact stay with you, in an opening file.
#[derive(Debug, Args)]
pub struct CommitmentArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draw a salt, and write the opening file; prints the commitment.
    Make {
        /// File with the fact; `-` reads standard input. (A fact in the arguments would be seen by
        /// everybody on the machine.)
        fact: PathBuf,
        /// Opening file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Whether an opening file opens a commitment; offline.
    Check {
        /// Opening file.
        opening: PathBuf,
        /// The commitment, 64 hex digits.
        commitment: String,
    },
    /// Deposit an opening with the service, for chosen readers.
    Deposit {
        /// Opening file.
        opening: PathBuf,
        #[command(flatten)]
        subject: Subject,
        /// A party that may read it; again for each.
        #[arg(long = "reader", value_name = "PARTY")]
        readers: Vec<String>,
    },
    /// Read the openings of an event that are for you.
    Read {
        #[command(flatten)]
        subject: Subject,
    },
    /// Say anew who may read an opening.
    Share {
        #[command(flatten)]
        subject: Subject,
        /// The commitment, 64 hex digits.
        commitment: String,
        /// A party that may read it; again for each; none leaves it to yourself.
        #[arg(long = "reader", value_name = "PARTY")]
        readers: Vec<String>,
    },
    /// Erase an opening from the service. Every proof stays.
    Erase {
        #[command(flatten)]
        subject: Subject,
        /// The commitment, 64 hex digits.
        commitment: String,
    },
}

/// Which event, where.
#[derive(Debug, Args)]
struct Subject {
    /// The event.
    #[arg(long, value_name = "EVENT")]
    event: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    server: String,
    #[command(flatten)]
    access: AccessArgs,
}

pub(super) fn run(args: &CommitmentArgs) -> anyhow::Result<()> {
    match &args.command {
        Command::Make { fact, out } => make(fact, out),
        Command::Check { opening, commitment } => check(opening, commitment),
        Command::Deposit { opening, subject, readers } => {
            let (salt, fact) = read_opening(opening)?;
            let request = v1::DepositOpeningRequest {
                event_id: id(&subject.event)?,
                salt: Bytes::copy_from_slice(&salt),
                fact: fact.into(),
                reader_party_ids: ids(readers)?,
            };
            runtime()?.block_on(async {
                let mut client = Client::connect_with(&subject.server, &subject.access).await?;
                let reply = client.disclosures.deposit_opening(request).await;
                let kept = reply.map_err(|it| Refused::of(&it))?.into_inner().commitment_sha256;
                println!("{}", hex(&kept));
                Ok(())
            })
        }
        Command::Read { subject } => read(subject),
        Command::Share { subject, commitment, readers } => {
            let request = v1::UpdateOpeningReadersRequest {
                event_id: id(&subject.event)?,
                commitment_sha256: raw_hash(commitment)?,
                reader_party_ids: ids(readers)?,
            };
            runtime()?.block_on(async {
                let mut client = Client::connect_with(&subject.server, &subject.access).await?;
                let reply = client.disclosures.update_opening_readers(request).await;
                reply.map_err(|it| Refused::of(&it))?;
                eprintln!("{} may read it now, and you", readers.len());
                Ok(())
            })
        }
        Command::Erase { subject, commitment } => {
            let request = v1::EraseOpeningRequest {
                event_id: id(&subject.event)?,
                commitment_sha256: raw_hash(commitment)?,
            };
            runtime()?.block_on(async {
                let mut client = Client::connect_with(&subject.server, &subject.access).await?;
                let reply = client.disclosures.erase_opening(request).await;
                reply.map_err(|it| Refused::of(&it))?;
                eprintln!("erased; receipts and proofs are as they were");
                Ok(())
            })
        }
    }
}

fn make(fact: &Path, out: &Path) -> anyhow::Result<()> {
    let fact = if fact == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes)?;
        bytes
    } else {
        std::fs::read(fact).with_context(|| format!("cannot read {}", fact.display()))?
    };
    ensure!(
        (1..=MAX_FACT_BYTES).contains(&fact.len()),
        "a fact has 1 to {MAX_FACT_BYTES} bytes, not {}",
        fact.len()
    );
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt[..]);
    let commitment = commitment_of(&salt, &fact);
    let opening = json!({ "salt": hex(&salt), "fact": hex(&fact) });
    super::output::write_private(out, format!("{opening}\n").as_bytes())?;
    println!("{commitment}");
    Ok(())
}

fn check(opening: &Path, commitment: &str) -> anyhow::Result<()> {
    let (salt, fact) = read_opening(opening)?;
    let (found, expected) = (commitment_of(&salt, &fact), hash(commitment)?);
    ensure!(found == expected, "it opens {found}, not {expected}");
    println!("it opens {expected}");
    Ok(())
}

fn read(subject: &Subject) -> anyhow::Result<()> {
    let request = v1::ListOpeningsRequest { event_id: id(&subject.event)? };
    let openings = runtime()?.block_on(async {
        let mut client = Client::connect_with(&subject.server, &subject.access).await?;
        let reply = client.disclosures.list_openings(request).await;
        anyhow::Ok(reply.map_err(|it| Refused::of(&it))?.into_inner().openings)
    })?;
    let shown = openings.iter().map(|opening| {
        // The service is not trusted with it: what does not open the commitment is no opening.
        let salt = <[u8; SALT_BYTES]>::try_from(&opening.salt[..]);
        let found = salt.map(|salt| commitment_of(&salt, &opening.fact));
        let is_sound = found.is_ok_and(|it| it.as_bytes()[..] == opening.commitment_sha256);
        ensure!(is_sound, "the server sent an opening that does not open its commitment");
        Ok(json!({
            "commitment_sha256": hex(&opening.commitment_sha256),
            "salt": hex(&opening.salt),
            "fact": hex(&opening.fact),
            "fact_text": String::from_utf8(opening.fact.to_vec()).ok(),
            "deposited_by_party_id": id_text(&opening.deposited_by_party_id),
            "reader_party_ids":
                opening.reader_party_ids.iter().map(|id| id_text(id)).collect::<Vec<_>>(),
        }))
    });
    print_json(&Json::Array(shown.collect::<anyhow::Result<_>>()?))
}

fn read_opening(path: &Path) -> anyhow::Result<([u8; SALT_BYTES], Vec<u8>)> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let json: Json =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    let part = |name: &str| {
        let found = json.get(name).and_then(Json::as_str).and_then(from_hex);
        found.with_context(|| format!("{} has no {name} in hexadecimal", path.display()))
    };
    let salt = part("salt")?;
    let length = salt.len();
    let Ok(salt) = <[u8; SALT_BYTES]>::try_from(salt) else {
        bail!("the salt has {SALT_BYTES} bytes, not {length}");
    };
    Ok((salt, part("fact")?))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn hash(text: &str) -> anyhow::Result<Hash32> {
    let bytes = from_hex(text).and_then(|bytes| bytes.try_into().ok());
    bytes.map(Hash32).with_context(|| format!("{text} is not 64 hex digits"))
}

fn raw_hash(text: &str) -> anyhow::Result<Bytes> {
    Ok(Bytes::copy_from_slice(hash(text)?.as_bytes()))
}

fn id(text: &str) -> anyhow::Result<Bytes> {
    Ok(Bytes::copy_from_slice(&id_bytes(text)?))
}

fn ids(texts: &[String]) -> anyhow::Result<Vec<Bytes>> {
    texts.iter().map(|text| id(text)).collect()
}
