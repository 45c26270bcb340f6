//! `urbanmine config`: what the settings are, and an example of them.

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::table::{ROWS, Secrecy};
use super::{Effective, Source};
use crate::cli::output::{print_json, table};
use crate::cli::serve::ServeArgs;

/// What a secret looks like.
const HIDDEN: &str = "(hidden)";

/// Show what `serve` would be told, or an example of a configuration file.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every setting with its value and where it came from; secrets are hidden.
    Show(ShowArgs),
    /// A configuration file with every setting, explained; nothing in it is set.
    Example,
}

/// Takes the same flags as serve.
#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    serve: Box<ServeArgs>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn run(args: &ConfigArgs) -> anyhow::Result<()> {
    match &args.what {
        What::Example => print!("{}", example()),
        What::Show(show) => {
            let effective = show.serve.effective()?;
            // What does not fit together is told here, before a service finds out.
            effective.settings()?;
            if show.json {
                return print_json(&shown_json(&effective));
            }
            print_table(&effective);
        }
    }
    Ok(())
}

fn shown(effective: &Effective, key: &str, secrecy: Secrecy) -> Option<(String, Source)> {
    let (value, from) = effective.values.get(key)?;
    let text = match (secrecy, value.as_str()) {
        (Secrecy::Secret { .. }, _) => HIDDEN.to_owned(),
        (Secrecy::Open, Some(text)) => text.to_owned(),
        (Secrecy::Open, None) => value.to_string(),
    };
    Some((text, from.clone()))
}

fn shown_json(effective: &Effective) -> Json {
    let rows = ROWS.iter().map(|row| {
        let found = shown(effective, row.key, row.secrecy);
        let (value, from) = found.unzip();
        let from = from.map(|from| from.to_string());
        (row.key.to_owned(), json!({ "value": value, "from": from, "variable": row.variable() }))
    });
    Json::Object(rows.collect())
}

fn print_table(effective: &Effective) {
    let mut lines = table(&["setting", "value", "from"]);
    for row in &ROWS {
        let (value, from) = match shown(effective, row.key, row.secrecy) {
            Some((value, from)) => (value, from.to_string()),
            None => (String::new(), "not set".to_owned()),
        };
        lines.add_row(vec![row.key.to_owned(), value, from]);
    }
    println!("{lines}");
}

/// The example file: every setting as a comment, so that it may stand as it is.
pub fn example() -> String {
    let mut text = String::from(
        "# Configuration of urbanmine serve. Every setting may also come from the environment\n\
         # (URBANMINE_<SECTION>_<NAME>) or a flag. Flags beat the environment, which beats this.\n\
         # urbanmine serve 的配置文件。环境变量优先于本文件，命令行参数优先于环境变量。\n",
    );
    let mut open = "";
    for row in &ROWS {
        let Some((section, name)) = row.key.split_once('.') else { continue };
        if section != open {
            text.push_str("\n[");
            text.push_str(section);
            text.push_str("]\n");
            open = section;
        }
        for line in [row.en, row.zh] {
            text.push_str("# ");
            text.push_str(line);
            text.push('\n');
        }
        if row.secrecy == Secrecy::Open {
            let value = row.default_value().unwrap_or_else(|| row.kind.example());
            text.extend(["# ", name, " = ", &value.to_string(), "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_configuration_with_and_without_its_comments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("urbanmine.toml");
        let set: String = example()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.split_once(" = ").is_some_and(|(name, _)| is_name(name)) => rest,
                _ => line,
            })
            .fold(String::new(), |text, line| text + line + "\n");
        assert!(set.contains("\ndata = \"...\"\n"), "{set}");
        for text in [example(), set] {
            std::fs::write(&path, text).unwrap();
            let effective = Effective::load(Some(&path), Vec::new(), Vec::new()).unwrap();
            effective.settings().unwrap();
        }
    }

    fn is_name(text: &str) -> bool {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    }
}
