//! How a log asks a witness. Blocking, with one time limit for everything: for threads of its own.

use std::time::Duration;

use crate::domain::EntryCount;
use crate::ledger::checkpoint::parse_decimal;
use crate::limits::{MAX_HEADER_BYTES, MAX_WITNESS_ANSWER_BYTES, WITNESS_ANSWER_SECONDS};

/// Of the answer that tells a size.
pub(super) const SIZE_TYPE: &str = "text/x.tlog.size";

/// One witness, at its submission prefix.
#[derive(Debug, Clone)]
pub struct WitnessClient {
    agent: ureq::Agent,
    add_checkpoint: String,
}

/// What a witness answered. Nothing of it is believed until it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200: signature lines.
    Cosigned(String),
    /// 409 with a size: the witness stands there.
    Stands(EntryCount),
    /// Anything else.
    Refused {
        /// The status.
        status: u16,
        /// The beginning of what it says.
        said: String,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// Not a place to ask.
    #[error("{0:?} is no submission prefix: http:// or https://, without query or fragment")]
    Url(String),
    /// Nobody there, too late, or not HTTP.
    #[error("{0}")]
    Http(#[from] ureq::Error),
    /// The lines of an answer are not text.
    #[error("the answer is not UTF-8")]
    NotText,
}

impl WitnessClient {
    /// At a submission prefix. Neither redirects nor proxies of the environment are followed: the
    /// policy says where a witness is.
    pub fn new(prefix: &str) -> Result<Self, ClientFault> {
        let parsed = prefix.parse::<http::Uri>().ok();
        let is_prefix = parsed.as_ref().is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.query().is_none()
        });
        if !is_prefix || prefix.contains('#') {
            return Err(ClientFault::Url(prefix.to_owned()));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(WITNESS_ANSWER_SECONDS)))
            .max_redirects(0)
            .proxy(None)
            .max_response_header_size(MAX_HEADER_BYTES)
            .user_agent(concat!("urbanmine/", env!("CARGO_PKG_VERSION")))
            .build();
        let add_checkpoint = format!("{}/add-checkpoint", prefix.trim_end_matches('/'));
        Ok(Self { agent: config.into(), add_checkpoint })
    }

    /// Hands a submission in and waits for the answer.
    pub fn add_checkpoint(&self, body: &str) -> Result<Answer, ClientFault> {
        let mut response = self.agent.post(&self.add_checkpoint).send(body)?;
        let status = response.status().as_u16();
        let tells_size =
            response.headers().get("content-type").is_some_and(|kind| kind == SIZE_TYPE);
        let limit = MAX_WITNESS_ANSWER_BYTES as u64;
        let text = response.body_mut().with_config().limit(limit).read_to_vec()?;
        let text = String::from_utf8(text);
        match status {
            200 => Ok(Answer::Cosigned(text.map_err(|_| ClientFault::NotText)?)),
            409 if tells_size => {
                let text = text.map_err(|_| ClientFault::NotText)?;
                let size = text.strip_suffix('\n').and_then(parse_decimal);
                Ok(size.map_or_else(
                    || refused(status, &text),
                    |size| Answer::Stands(EntryCount(size)),
                ))
            }
            _ => Ok(refused(status, &text.unwrap_or_default())),
        }
    }
}

/// What a stranger says is for a log line: short, and on one line.
fn refused(status: u16, text: &str) -> Answer {
    let said = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    Answer::Refused { status, said: said.take(200).collect::<String>().trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_http_with_a_host() {
        for good in ["http://127.0.0.1:7880", "https://witness.example/w1/"] {
            let client = WitnessClient::new(good).unwrap();
            let expected = format!("{}/add-checkpoint", good.trim_end_matches('/'));
            assert_eq!(client.add_checkpoint, expected);
        }
        for bad in ["", "witness.example", "ftp://w.example", "http://w/?a=1", "http://w/#a"] {
            assert!(matches!(WitnessClient::new(bad), Err(ClientFault::Url(_))), "{bad}");
        }
    }

    #[test]
    fn what_a_witness_says_is_cut_to_a_log_line() {
        let Answer::Refused { said, .. } = refused(500, &"a\nb\u{1b}[2J ".repeat(100)) else {
            panic!("not refused");
        };
        assert!(said.chars().count() <= 200 && !said.contains(['\n', '\u{1b}']));
    }
}
