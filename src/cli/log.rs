//! Log lines: to stderr, as text or as JSON. What is in a line is decided where it is written; no
//! line holds a secret, a signed payload or a name.

use tracing_subscriber::EnvFilter;

use super::config::settings::{LogFormat, LogSettings};

/// Starts the log; `RUST_LOG` overrules the level. Only the first start counts.
pub(super) fn start(settings: &LogSettings) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(settings.level.name()));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // What goes wrong here is that somebody started it before.
    let _ = match settings.format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
}
