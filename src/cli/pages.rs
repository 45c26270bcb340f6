//! `urbanmine completions` and `urbanmine man`: from the same description as the command line.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;

/// Write the completions of a shell to standard output.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell.
    shell: Shell,
}

/// Write the manual page to standard output, or a page for each command into a directory.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Directory for the pages; it is made where it is missing.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn completions(args: &CompletionsArgs) {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print!("{}", String::from_utf8_lossy(&script));
}

pub(super) fn man(args: &ManArgs) -> anyhow::Result<()> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = &args.dir else {
        print!("{}", String::from_utf8_lossy(&page(&command, command.get_name())?));
        return Ok(());
    };
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make directory {}", dir.display()))?;
    // Commands, and the commands of commands: two deep.
    let mut left = vec![(command.get_name().to_owned(), command)];
    while let Some((name, command)) = left.pop() {
        write_page(dir, &name, &command)?;
        let inner = command.get_subcommands().filter(|it| it.get_name() != "help");
        left.extend(inner.map(|it| (format!("{name}-{}", it.get_name()), it.clone())));
    }
    Ok(())
}

fn write_page(dir: &Path, name: &str, command: &Command) -> anyhow::Result<()> {
    let path = dir.join(format!("{name}.1"));
    let page = page(command, name)?;
    let mut file =
        std::fs::File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(&page)?;
    Ok(())
}

fn page(command: &Command, name: &str) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).title(name).render(&mut page)?;
    Ok(page)
}
