//! Where balances and flags come from: a server, or a ledger that is verified and folded here.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use clap::Args;

use super::client::{AccessArgs, Client, Refused};
use super::verify::{Judged, Ledgers, PinArgs, retell};
use crate::api::errors::Failure;
use crate::api::gate::RequestId;
use crate::domain::Tables;
use crate::insight::{Book, Seen};
use crate::verify::Verdict;

/// A server, or a ledger without one.
#[derive(Debug, Args)]
pub(super) struct FromArgs {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7878")]
    server: String,
    #[command(flatten)]
    access: AccessArgs,
    /// A data directory instead: verified, and computed anew from its entries. The exit code is
    /// that of verify.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// An export instead: verified, and computed anew from its entries.
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    export: Option<PathBuf>,
    #[command(flatten)]
    pins: PinArgs,
}

/// A book that was folded here, and what the judge says of its entries.
pub(super) struct Folded {
    /// The book, as far as the entries hold.
    pub(super) book: Book,
    /// The tables in force behind its last entry.
    pub(super) tables: Tables,
    judged: Judged,
}

/// The same words as a server would have for it.
pub(super) fn refused(failure: Failure) -> anyhow::Error {
    Refused::of(&failure.into_status(RequestId(0))).into()
}

impl FromArgs {
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        Client::connect_with(&self.server, &self.access).await
    }

    /// `None`: the server is to be asked.
    pub(super) fn fold(&self) -> anyhow::Result<Option<Folded>> {
        let from = match (&self.data, &self.export) {
            (Some(dir), _) => Ledgers::Data(dir.clone()),
            (None, Some(dir)) => Ledgers::Export(dir.clone()),
            (None, None) => return Ok(None),
        };
        let folded = Arc::new(Mutex::new((Book::default(), Tables::default(), None)));
        let (kept, none) = (Arc::clone(&folded), Tables::default());
        let judged = retell(&from, self.pins.parse()?, move |told| {
            let (tables, tables_hash) = (told.tables.unwrap_or(&none), told.tables_hash);
            let seen = Seen { event: told.event, fact: told.fact, tables, tables_hash };
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.0.absorb(&seen);
            if kept.2 != Some(tables_hash) && told.tables.is_some() {
                kept.1 = tables.clone();
                kept.2 = Some(tables_hash);
            }
        })?;
        let Some(folded) = Arc::into_inner(folded) else {
            bail!("the verification still holds its book"); // it was dropped with its verifier
        };
        let (mut book, tables, _) = folded.into_inner().unwrap_or_else(PoisonError::into_inner);
        book.reach(judged.report().entries);
        Ok(Some(Folded { book, tables, judged }))
    }
}

impl Folded {
    /// Says on stderr what the entries are worth; the answer is exactly as good.
    pub(super) fn tell(&self) -> ExitCode {
        let (verdict, report) = (self.judged.verdict(), self.judged.report());
        eprintln!("{} entries, {}", report.entries, verdict.name());
        for finding in &report.findings {
            eprintln!("  {finding}");
        }
        if verdict >= Verdict::Undetermined {
            eprintln!("what follows is computed from the entries before the first that is wrong");
        }
        ExitCode::from(verdict.exit_code())
    }
}
