//! `urbanmine token`: the file of tokens that a service goes by.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::names::id_bytes;
use super::output::{print_json, table, time};
use crate::api::identity::{Scope, Scopes};
use crate::api::tokens::{Holder, Token, TokenBook, TokenId, token_text};
use crate::domain::{PartyId, TimeMs};
use crate::ledger::hash::sha256;
use crate::limits::MAX_TOKEN_DAYS;
use crate::node::{Clock as _, SystemClock};

/// Give out tokens, list them, take them back. A service that runs takes the change up by itself.
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and show it, this once.
    New(NewArgs),
    /// List the tokens, without their secrets: those stand nowhere.
    List(ListArgs),
    /// Take a token back.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("holder").required(true))]
struct NewArgs {
    /// File of tokens; made when it is not there.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The party that shows it: a UUID, or `@name` of the sample.
    #[arg(long, value_name = "ID", group = "holder")]
    party: Option<String>,
    /// An operator shows it, who oversees everything.
    #[arg(long, group = "holder")]
    operator: bool,
    /// What it is good for: READ, APPEND, ADMIN.
    #[arg(long, value_delimiter = ',', default_value = "READ,APPEND", value_parser = scope)]
    scopes: Vec<Scope>,
    /// Days that it is good for, 1 to 366.
    #[arg(
        long,
        default_value_t = 90,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_TOKEN_DAYS)),
    )]
    days: u32,
    /// Where it is used, for whoever lists the tokens.
    #[arg(long, default_value = "")]
    note: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// File of tokens.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// File of tokens.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The token's name: the 16 digits behind `umt1_`.
    id: String,
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(&text.to_uppercase()).ok_or_else(|| "READ, APPEND or ADMIN".to_owned())
}

pub(super) fn run(args: &TokenArgs) -> anyhow::Result<()> {
    match &args.command {
        TokenCommand::New(args) => new(args),
        TokenCommand::List(args) => list(args),
        TokenCommand::Revoke(args) => revoke(args),
    }
}

fn new(args: &NewArgs) -> anyhow::Result<()> {
    const DAY_MS: u64 = 24 * 3_600 * 1_000;
    let holder = match &args.party {
        Some(party) => Holder::Party(PartyId::parse(&id_bytes(party)?)?),
        None => Holder::Operator,
    };
    let (mut id, mut secret) = (TokenId([0; 8]), [0_u8; 32]);
    rand::fill(&mut id.0[..]);
    rand::fill(&mut secret[..]);
    let created_at = SystemClock.now();
    let token = Token {
        id,
        secret_sha256: sha256(&secret),
        holder,
        scopes: Scopes::of(&args.scopes),
        created_at,
        expires_at: TimeMs::new(created_at.get() + u64::from(args.days) * DAY_MS)?,
        revoked_at: None,
        note: args.note.clone(),
    };
    let _lock = lock(&args.file)?;
    let is_there = std::fs::exists(&args.file)?;
    let mut book = if is_there { read(&args.file)? } else { TokenBook::default() };
    book.add(token.clone(), created_at)?;
    write(&args.file, &book)?;
    let text = token_text(id, &secret);
    if args.json {
        let mut shown = shown(&token);
        shown["token"] = Json::String(text);
        return print_json(&shown);
    }
    println!("{text}");
    eprintln!(
        "This is the only time that it is shown. It is {holder}'s, good for {} until {}.",
        token.scopes,
        time(token.expires_at.get())
    );
    Ok(())
}

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let book = read(&args.file)?;
    if args.json {
        return print_json(&Json::Array(book.tokens().iter().map(shown).collect()));
    }
    let now = SystemClock.now();
    let mut rows = table(&["token", "holder", "scopes", "until", "", "note"]);
    for token in book.tokens() {
        rows.add_row([
            token.id.to_string(),
            token.holder.to_string(),
            token.scopes.to_string(),
            time(token.expires_at.get()),
            standing(token, now).to_owned(),
            token.note.clone(),
        ]);
    }
    println!("{rows}");
    Ok(())
}

fn revoke(args: &RevokeArgs) -> anyhow::Result<()> {
    let id = TokenId::parse(&args.id)
        .with_context(|| format!("{} is no token's name: 16 hexadecimal digits", args.id))?;
    let _lock = lock(&args.file)?;
    let mut book = read(&args.file)?;
    if !book.revoke(id, SystemClock.now()) {
        bail!("there is no token {id} in {}", args.file.display());
    }
    write(&args.file, &book)?;
    eprintln!("token {id} is taken back; a service that runs knows within seconds");
    Ok(())
}

fn standing(token: &Token, now: TimeMs) -> &'static str {
    match (token.revoked_at, now < token.expires_at) {
        (Some(_), _) => "revoked",
        (None, false) => "expired",
        (None, true) => "good",
    }
}

fn shown(token: &Token) -> Json {
    json!({
        "id": token.id.to_string(),
        "holder": token.holder.to_string(),
        "scopes": token.scopes.to_string().split(',').collect::<Vec<_>>(),
        "created_at_ms": token.created_at.get(),
        "expires_at_ms": token.expires_at.get(),
        "revoked_at_ms": token.revoked_at.map(TimeMs::get),
        "note": token.note,
    })
}

fn read(path: &Path) -> anyhow::Result<TokenBook> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    TokenBook::parse(&bytes).with_context(|| format!("{} is no file of tokens", path.display()))
}

/// Two who write at a time would lose one's token.
fn lock(path: &Path) -> anyhow::Result<File> {
    let beside = beside(path, "lock");
    let file = options_of_ours()
        .create(true)
        .truncate(false)
        .open(&beside)
        .with_context(|| format!("cannot make {}", beside.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", beside.display()))?;
    Ok(file)
}

/// Replaces the file as a whole: whoever reads it sees the old one or the new one. A crash leaves
/// the old one, and a file beside it that the next change writes over.
fn write(path: &Path, book: &TokenBook) -> anyhow::Result<()> {
    let beside = beside(path, "new");
    let failed = || format!("cannot write {}", beside.display());
    let mut file =
        options_of_ours().create(true).truncate(true).open(&beside).with_context(failed)?;
    file.write_all(book.to_text()?.as_bytes()).with_context(failed)?;
    file.sync_all().with_context(failed)?;
    std::fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))?;
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

/// For files that nobody else reads.
fn options_of_ours() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::identity::{Identity, IdentityFault};

    #[test]
    fn tokens_are_given_out_and_taken_back_and_only_their_hashes_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.json");
        let args = |party: Option<&str>| NewArgs {
            file: file.clone(),
            party: party.map(str::to_owned),
            operator: party.is_none(),
            scopes: vec![Scope::Read],
            days: 1,
            note: String::new(),
            json: true,
        };
        new(&args(None)).unwrap();
        new(&args(Some("01980000-0000-7000-8000-000000000001"))).unwrap();
        assert!(new(&args(Some("01980000-0000-4000-8000-000000000001"))).is_err());
        let book = read(&file).unwrap();
        assert_eq!(book.tokens().len(), 2);
        let id = book.tokens()[0].id;
        revoke(&RevokeArgs { file: file.clone(), id: id.to_string() }).unwrap();
        let book = read(&file).unwrap();
        assert!(book.tokens()[0].revoked_at.is_some() && book.tokens()[1].revoked_at.is_none());
        assert!(revoke(&RevokeArgs { file: file.clone(), id: "00".repeat(8) }).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_token_that_was_made_is_the_one_that_is_known() {
        let (id, secret) = (TokenId([3; 8]), [9; 32]);
        let mut book = TokenBook::default();
        let scopes = Scopes::of(&[Scope::Append]);
        let token = Token {
            id,
            secret_sha256: sha256(&secret),
            holder: Holder::Operator,
            scopes,
            created_at: TimeMs::of(1),
            expires_at: TimeMs::of(9),
            revoked_at: None,
            note: String::new(),
        };
        book.add(token, TimeMs::of(1)).unwrap();
        let text = token_text(id, &secret);
        assert_eq!(book.identify(&text, TimeMs::of(8)), Ok(Identity::Operator { scopes }));
        let fault = IdentityFault::TokenExpired { expired_at: TimeMs::of(9) };
        assert_eq!(book.identify(&text, TimeMs::of(9)), Err(fault));
    }
}
