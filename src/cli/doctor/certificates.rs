//! The certificates and keys of the doors.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use x509_parser::pem::Pem;

use super::{Check, State};
use crate::api::DoorSettings;
use crate::cli::output::time;
use crate::limits::{CERTIFICATE_ADVICE_DAYS, CERTIFICATE_PROBLEM_DAYS};
use crate::node::clock::{Clock as _, SystemClock};

const DAY_MS: u64 = 86_400_000;

pub(super) fn all(doors: &DoorSettings) -> Vec<Check> {
    let certificates = [
        ("tls-certificate", doors.tls_cert.as_deref()),
        ("client-authority", doors.client_ca.as_deref()),
    ];
    let secrets = [("tls-key", doors.tls_key.as_deref()), ("tokens", doors.tokens.as_deref())];
    let certificates = certificates.into_iter().map(|(name, path)| match path {
        Some(path) => certificate(name, path),
        None => not_named(name),
    });
    let secrets = secrets.into_iter().map(|(name, path)| match path {
        Some(path) => secret(name, path),
        None => not_named(name),
    });
    certificates.chain(secrets).collect()
}

fn not_named(name: &'static str) -> Check {
    Check::new(name, State::Skipped, "none is named", "未指定")
}

/// The first of a file's certificates that ends decides.
fn certificate(name: &'static str, path: &Path) -> Check {
    let shown = path.display();
    let problem = |en: String, zh: String| Check::new(name, State::Problem, en, zh);
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(fault) => {
            let zh = format!("无法读取 {shown}：{fault}");
            return problem(format!("{shown} cannot be read: {fault}"), zh);
        }
    };
    let ends = Pem::iter_from_buffer(&bytes)
        .map(|pem| {
            let end = pem.ok()?.parse_x509().ok()?.validity().not_after.timestamp();
            u64::try_from(end).ok()?.checked_mul(1_000)
        })
        .collect::<Option<Vec<u64>>>();
    let Some(first) = ends.and_then(|ends| ends.into_iter().min()) else {
        let zh = format!("{shown} 中没有可读取的证书");
        return problem(format!("{shown} holds no certificate that can be read"), zh);
    };
    let left_days = first.saturating_sub(SystemClock.now().get()) / DAY_MS;
    let state = match left_days {
        days if days < CERTIFICATE_PROBLEM_DAYS => State::Problem,
        days if days < CERTIFICATE_ADVICE_DAYS => State::Advice,
        _ => State::Fine,
    };
    let end = time(first);
    let en = format!("{shown} ends at {end}, in {left_days} days");
    Check::new(name, state, en, format!("{shown} 于 {end} 到期，剩余 {left_days} 天"))
}

/// Others on this machine do not read it.
fn secret(name: &'static str, path: &Path) -> Check {
    let shown = path.display();
    let metadata = std::fs::File::open(path).and_then(|file| file.metadata());
    match metadata {
        Err(fault) => {
            let en = format!("{shown} cannot be read: {fault}");
            Check::new(name, State::Problem, en, format!("无法读取 {shown}：{fault}"))
        }
        Ok(metadata) => {
            // The last octal digit is what everybody may do.
            let mode = metadata.mode() & 0o777;
            let state = if mode.is_multiple_of(0o10) { State::Fine } else { State::Problem };
            let en = format!("{shown}, mode {mode:04o}; everybody may read what ends in 4 to 7");
            let zh = format!("{shown}，权限 {mode:04o}；末位为 4 至 7 时任何人可读");
            Check::new(name, state, en, zh)
        }
    }
}
