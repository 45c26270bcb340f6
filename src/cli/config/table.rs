//! Every setting: a row each. The example file, the environment and the errors come from here.

use std::net::SocketAddr;

use toml::Value;

/// What a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text that is not empty: a path or a name.
    Text,
    /// An IP address with a port.
    Address,
    /// A whole number from one to another.
    Number(i64, i64),
    /// Yes or no.
    Switch,
    /// One of some words.
    Word(&'static [&'static str]),
    /// Several texts; commas between them in the environment.
    Texts,
}

/// Whether a value may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Anybody may.
    Open,
    /// It is never printed, and never read from a file that everybody reads.
    Secret {
        /// Where it may stand.
        instead: &'static str,
    },
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Section and name.
    pub key: &'static str,
    /// What it has to be.
    pub kind: Kind,
    /// As TOML; none where nothing is done until somebody says so.
    pub default: Option<&'static str>,
    /// Whether it may be seen.
    pub secrecy: Secrecy,
    /// What it does.
    pub en: &'static str,
    /// The same.
    pub zh: &'static str,
}

const fn row(
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    en: &'static str,
    zh: &'static str,
) -> Row {
    Row { key, kind, default, secrecy: Secrecy::Open, en, zh }
}

const LEVELS: Kind = Kind::Word(&["error", "warn", "info", "debug", "trace"]);

/// Every setting, by section.
pub const ROWS: [Row; 34] = [
    row("ledger.data", Kind::Text, None, "Data directory of the ledger.", "账本数据目录。"),
    row(
        "ledger.guard",
        Kind::Text,
        None,
        "Directory of the head guard, best on another disk. Without it: <data>.guard.",
        "头部守卫目录，最好在另一块磁盘上。不设时为 <data>.guard。",
    ),
    row(
        "ledger.lot_state_every_entries",
        Kind::Number(0, 1_000_000),
        Some("1024"),
        "After how many entries the ledger states a root of its lots, by which all entries of a \
         lot are proven to be all; 0 is never. 1024 costs a busy ledger below 0.1 %.",
        "每多少条记录由账本声明一次批次根，可据此证明某批次的记录齐全；0 为从不。默认 1024 的开销低于 0.1%。",
    ),
    row(
        "ledger.lot_state_wait_ms",
        Kind::Number(1, 86_400_000),
        Some("60000"),
        "Milliseconds that fewer entries wait for it: how old such a proof may be on a quiet day.",
        "记录较少时最多等待的毫秒数，即平静时段此类证明的最大滞后。",
    ),
    row(
        "key.file",
        Kind::Text,
        None,
        "Key file of the ledger: PKCS#8 in PEM, encrypted; else only with mode 0400 or 0600.",
        "账本密钥文件：PEM 格式 PKCS#8，加密；未加密时权限必须为 0400 或 0600。",
    ),
    row(
        "key.credential",
        Kind::Text,
        None,
        "Name of a credential of the service manager that holds the key (systemd LoadCredential).",
        "服务管理器凭据的名称，其中存放密钥（systemd LoadCredential）。",
    ),
    row(
        "key.fd",
        Kind::Number(0, 1_023),
        None,
        "Open file descriptor from which the key is read.",
        "从该已打开的文件描述符读取密钥。",
    ),
    row(
        "key.passphrase_file",
        Kind::Text,
        None,
        "File whose first line is the passphrase of the key.",
        "其第一行为密钥口令的文件。",
    ),
    row(
        "key.passphrase_credential",
        Kind::Text,
        None,
        "Name of a credential whose first line is the passphrase of the key.",
        "其第一行为密钥口令的凭据名称。",
    ),
    Row {
        key: "key.passphrase",
        kind: Kind::Text,
        default: None,
        secrecy: Secrecy::Secret {
            instead: "URBANMINE_PASSPHRASE, key.passphrase_file or key.passphrase_credential",
        },
        en: "The passphrase itself: from the environment only, as URBANMINE_PASSPHRASE.",
        zh: "口令本身：只能来自环境变量 URBANMINE_PASSPHRASE。",
    },
    row(
        "listen.address",
        Kind::Address,
        Some("'127.0.0.1:7878'"),
        "Address and port of the service.",
        "服务监听的地址与端口。",
    ),
    row(
        "doors.tls_cert",
        Kind::Text,
        None,
        "The server's certificate and those between it and its authority, PEM. With it: TLS only.",
        "服务器证书及中间证书，PEM 格式。设置后只提供 TLS。",
    ),
    row("doors.tls_key", Kind::Text, None, "The certificate's key, PEM.", "证书私钥，PEM 格式。"),
    row(
        "doors.client_ca",
        Kind::Text,
        None,
        "Authorities whose client certificates identify parties, PEM.",
        "客户端证书的签发机构，PEM 格式；其证书用于识别主体。",
    ),
    row(
        "doors.tokens",
        Kind::Text,
        None,
        "File of tokens (urbanmine token).",
        "令牌文件（urbanmine token）。",
    ),
    row(
        "doors.require_identity",
        Kind::Switch,
        Some("false"),
        "Whether those who do not say who they are get health only: not even what is public.",
        "未表明身份者是否只能查询健康状态，连公开内容也不提供。",
    ),
    row(
        "doors.plaintext_beyond_loopback",
        Kind::Switch,
        Some("false"),
        "DANGER: serve without TLS where other machines reach it. Only behind what encrypts.",
        "危险：在其他机器可达的地址上不用 TLS。仅限前面另有加密时使用。",
    ),
    row(
        "bounds.connections",
        Kind::Number(1, 512),
        Some("512"),
        "Connections in all.",
        "连接总数上限。",
    ),
    row(
        "bounds.connections_per_address",
        Kind::Number(1, 512),
        Some("128"),
        "Connections of one address. Callers behind one proxy share an address.",
        "单一地址的连接上限。同一代理之后的调用方共用一个地址。",
    ),
    row(
        "bounds.handshake_ms",
        Kind::Number(1, 86_400_000),
        Some("10000"),
        "Milliseconds until TLS has to be agreed on.",
        "TLS 握手须在此毫秒数内完成。",
    ),
    row(
        "bounds.first_call_ms",
        Kind::Number(1, 86_400_000),
        Some("20000"),
        "Milliseconds until a connection's first call.",
        "连接须在此毫秒数内发出首个调用。",
    ),
    row(
        "bounds.idle_ms",
        Kind::Number(1, 86_400_000),
        Some("300000"),
        "Milliseconds without a call until a connection is asked to end.",
        "连接空闲超过此毫秒数即请求结束。",
    ),
    row(
        "bounds.age_ms",
        Kind::Number(1, 86_400_000),
        Some("1800000"),
        "Milliseconds until any connection is asked to end.",
        "连接存续超过此毫秒数即请求结束。",
    ),
    row(
        "bounds.grace_ms",
        Kind::Number(1, 86_400_000),
        Some("75000"),
        "Milliseconds that its calls then have left.",
        "此后其调用尚有的毫秒数。",
    ),
    row(
        "bounds.stall_ms",
        Kind::Number(1, 86_400_000),
        Some("20000"),
        "Milliseconds in which a caller has to take some of a reply.",
        "调用方须在此毫秒数内接收应答的一部分。",
    ),
    row(
        "bounds.reply_ms",
        Kind::Number(1, 86_400_000),
        Some("120000"),
        "Milliseconds in which a caller has to take all of a reply.",
        "调用方须在此毫秒数内接收完整应答。",
    ),
    row(
        "bounds.keys_poll_ms",
        Kind::Number(1, 86_400_000),
        Some("5000"),
        "Milliseconds between two looks at the files of certificates and tokens.",
        "两次检查证书与令牌文件之间的毫秒数。",
    ),
    row(
        "bounds.calls_per_second",
        Kind::Number(1, 1_000_000),
        Some("1000"),
        "Cells in a second of a known caller: a record costs 1, a page 4, a trace or batch 10.",
        "已知调用方每秒配额：记录 1、分页 4、追溯或批次 10。",
    ),
    row(
        "bounds.stranger_calls_per_second",
        Kind::Number(1, 1_000_000),
        Some("50"),
        "Cells in a second of an unknown address.",
        "未知地址每秒配额。",
    ),
    row(
        "witnesses.policy",
        Kind::Text,
        None,
        "Policy file (C2SP tlog-policy) whose witnesses cosign every newest checkpoint.",
        "见证策略文件（C2SP tlog-policy）；其中的见证人对每个最新检查点联署。",
    ),
    row(
        "metrics.address",
        Kind::Address,
        None,
        "Address and port of the metrics; without it there are none.",
        "指标监听的地址与端口；不设则不提供。",
    ),
    row(
        "metrics.beyond_loopback",
        Kind::Switch,
        Some("false"),
        "Whether the metrics may be read from other machines. They are plain text, and ask nobody.",
        "指标是否可由其他机器读取。指标为明文，且不验证身份。",
    ),
    row(
        "log.format",
        Kind::Word(&["text", "json"]),
        Some("'text'"),
        "How log lines look on standard error.",
        "标准错误输出上日志行的格式。",
    ),
    row(
        "log.level",
        LEVELS,
        Some("'warn'"),
        "From which level on lines are written; info has one line per call. RUST_LOG overrules it.",
        "日志级别；info 为每次调用一行。RUST_LOG 优先。",
    ),
];

/// The row of a key.
pub fn row_of(key: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.key == key)
}

impl Row {
    /// Its environment variable: the key in capitals, the dot as an underscore.
    pub fn variable(&self) -> String {
        match self.key {
            "key.passphrase" => crate::cli::keyfile::PASSPHRASE_VARIABLE.to_owned(),
            key => format!("URBANMINE_{}", key.replace('.', "_").to_uppercase()),
        }
    }

    /// The value when nobody says anything.
    pub fn default_value(&self) -> Option<Value> {
        let text = self.default?;
        match self.kind {
            Kind::Number(..) | Kind::Switch | Kind::Texts => self.kind.from_text(text).ok(),
            Kind::Text | Kind::Address | Kind::Word(_) => {
                Some(Value::String(text.trim_matches('\'').to_owned()))
            }
        }
    }
}

impl Kind {
    /// The value that an environment variable spells.
    pub fn from_text(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Number(..) => {
                text.parse().map(Value::Integer).map_err(|_| "not a whole number".to_owned())
            }
            Self::Switch => match text {
                "true" | "1" => Ok(Value::Boolean(true)),
                "false" | "0" => Ok(Value::Boolean(false)),
                _ => Err("neither true nor false".to_owned()),
            },
            Self::Texts => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
            }
            Self::Text | Self::Address | Self::Word(_) => Ok(Value::String(text.to_owned())),
        }
    }

    /// Whether a value is one; says what it is instead.
    pub fn check(self, value: &Value) -> Result<(), String> {
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let good = match self {
            Self::Text => is_text(value),
            Self::Address => value.as_str().is_some_and(|it| it.parse::<SocketAddr>().is_ok()),
            Self::Number(least, most) => {
                value.as_integer().is_some_and(|it| (least..=most).contains(&it))
            }
            Self::Switch => value.is_bool(),
            Self::Word(words) => value.as_str().is_some_and(|it| words.contains(&it)),
            Self::Texts => value.as_array().is_some_and(|all| all.iter().all(is_text)),
        };
        if good { Ok(()) } else { Err(self.told()) }
    }

    fn told(self) -> String {
        match self {
            Self::Text => "not a text, or empty".to_owned(),
            Self::Address => "not an address with a port, such as 127.0.0.1:7878".to_owned(),
            Self::Number(least, most) => format!("not a whole number from {least} to {most}"),
            Self::Switch => "neither true nor false".to_owned(),
            Self::Word(words) => format!("not one of {}", words.join(", ")),
            Self::Texts => "not a list of texts".to_owned(),
        }
    }

    /// A value of this kind, for the example file.
    pub fn example(self) -> Value {
        match self {
            Self::Text => Value::String("...".to_owned()),
            Self::Address => Value::String("127.0.0.1:9878".to_owned()),
            Self::Number(least, _) => Value::Integer(least),
            Self::Switch => Value::Boolean(false),
            Self::Word(words) => Value::String(words.first().copied().unwrap_or("").to_owned()),
            Self::Texts => Value::Array(vec![Value::String("...".to_owned())]),
        }
    }
}
