//! What plain HTTP can get wrong that gRPC cannot.

use crate::api::numbers::Number;
use crate::wire::v1::Reason;

/// A request that does not become a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpFault {
    /// The body is of another type, or compressed, or of another character set.
    ContentType {
        /// What came.
        found: String,
    },
    /// A browser on this machine was led here under a name that somebody else owns.
    HostNotLocal {
        /// The name.
        host: String,
    },
    /// The body is no JSON.
    JsonMalformed {
        /// What is wrong, and where.
        detail: String,
    },
    /// The path is known, and not with this verb.
    MethodNotAllowed {
        /// The verb.
        verb: String,
        /// Those that it has.
        allowed: String,
    },
    /// Nothing is at this path.
    PathUnknown {
        /// The path.
        path: String,
    },
}

impl HttpFault {
    /// Its stable reason.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::ContentType { .. } => Reason::HttpContentType,
            Self::HostNotLocal { .. } => Reason::HttpHostNotLocal,
            Self::JsonMalformed { .. } => Reason::HttpJsonMalformed,
            Self::MethodNotAllowed { .. } => Reason::HttpMethodNotAllowed,
            Self::PathUnknown { .. } => Reason::HttpPathUnknown,
        }
    }

    /// The numbers and names that explain it.
    pub fn numbers(&self) -> Vec<Number> {
        match self {
            Self::ContentType { found } => vec![("found", found.clone())],
            Self::HostNotLocal { host } => vec![("host", host.clone())],
            Self::JsonMalformed { detail } => vec![("detail", detail.clone())],
            Self::MethodNotAllowed { verb, allowed } => {
                vec![("verb", verb.clone()), ("allowed", allowed.clone())]
            }
            Self::PathUnknown { path } => vec![("path", path.clone())],
        }
    }

    /// In a sentence.
    pub fn english(&self) -> String {
        match self {
            Self::ContentType { found } => {
                format!("a body is `content-type: application/json`, UTF-8, uncompressed; {found}")
            }
            Self::HostNotLocal { host } => format!(
                "on this machine the service is called by its address, or as localhost, and not \
                 as {host}"
            ),
            Self::JsonMalformed { detail } => format!("the body is not JSON: {detail}"),
            Self::MethodNotAllowed { verb, allowed } => {
                format!("this path does not take {verb}, but {allowed}")
            }
            Self::PathUnknown { path } => {
                format!("nothing is at {path}; /openapi.json lists all paths")
            }
        }
    }
}
