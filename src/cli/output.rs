//! What people and scripts see: data on stdout, talk on stderr, bars when somebody looks.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar on stderr when that is a terminal; silent else.
pub fn bar(length: u64, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    let template = "{msg:20} {bar:32} {pos}/{len}  {per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

/// Writes a file that only its owner may read, durably; never over one that exists.
pub fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(path)
        .with_context(|| format!("cannot make {} (it must not exist)", path.display()))?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(())
}

/// Puts a file in place of another, durably and whole: whoever reads it meanwhile gets the old one
/// or the new one. *A crash leaves the old one, and perhaps the unnamed new one beside it.*
pub fn replace_file(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let mut unnamed = path.as_os_str().to_owned();
    unnamed.push(".next");
    let mut file = std::fs::File::create(&unnamed)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&unnamed, path)?;
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

/// A table with its head, without lines around it.
pub fn table(head: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(head.to_vec());
    table
}

/// Prints one JSON value as data.
pub fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    let text =
        serde_json::to_string_pretty(value).context("the answer cannot be written as JSON")?;
    println!("{text}");
    Ok(())
}

/// Grams for people: thousands apart, with tonnes where that is easier to read. Exact, no floats.
pub fn grams(mass_g: u64) -> String {
    format!("{} g", thousands(mass_g))
}

/// A number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole` in per cent with two decimals, half to even; `-` of nothing.
pub fn per_cent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let basis_points =
        crate::domain::composition::div_half_even(u128::from(part) * 10_000, whole.into());
    format!("{}.{:02} %", basis_points / 100, basis_points % 100)
}

/// A time for people: UTC, to the second.
pub fn time(at_ms: u64) -> String {
    let millis = i64::try_from(at_ms).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => format!("{at_ms} ms"),
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes every write
        text
    })
}

/// Bytes of a hexadecimal text of exactly 64 digits.
pub fn unhex32(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (position, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * position..2 * position + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(grams(12_500_000), "12,500,000 g");
        assert_eq!(per_cent(1, 3), "33.33 %");
        assert_eq!(per_cent(1, 0), "-");
        assert_eq!(time(1_767_225_600_000), "2026-01-01 00:00:00Z");
        assert_eq!(unhex32(&"0f".repeat(32)), Some([15; 32]));
        assert_eq!(unhex32("xyz"), None);
        assert_eq!(unhex32(&"é".repeat(32)), None);
    }
}
