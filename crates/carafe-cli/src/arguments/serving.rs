//! Flags of `carafe serve` and `carafe health`.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use carafe_host::text::TextOptions;
use carafe_server::{HostName, Origin};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Running;
use crate::environment;

#[derive(Args)]
pub(crate) struct Serve {
    /// Address to listen on. `0.0.0.0` is every interface of this machine; use API keys and a proxy
    /// with TLS then.
    #[arg(long, env = environment::HOST, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Port to listen on. 0 takes any free port.
    #[arg(long, env = environment::PORT, value_name = "N", default_value_t = 3000)]
    pub(crate) port: u16,
    /// Model to serve. May be given several times; the first of each task is that task's default
    /// [default: every model found].
    #[arg(long, env = environment::MODEL, value_name = "NAME", value_delimiter = ',')]
    pub(crate) model: Vec<String>,
    /// Texts and images that each model runs or queues, 1 to 1024. More are refused with 429.
    #[arg(long, env = environment::QUEUE, value_name = "N", default_value = "64")]
    pub(crate) queue: NonZeroU32,
    /// Images that each model works on at once, 1 to 64. Each has a guest with its own
    /// `--guest-memory` [default: one for each processor, at most 8].
    #[arg(long, env = environment::IMAGE_WORKERS, value_name = "N")]
    pub(crate) image_workers: Option<NonZeroU32>,
    /// Most memory of all request bodies together, in MiB, 32 to 4096. A body without room is
    /// refused with 503.
    #[arg(long, env = environment::BODY_MEMORY, value_name = "MIB", default_value = "256",
        value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub(crate) body_memory: u32,
    /// Seconds after SIGTERM in which `/readyz` is 503 but requests are still taken, so that
    /// balancers turn to other servers.
    #[arg(long, env = environment::SHUTDOWN_DELAY, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) shutdown_delay: u32,
    /// Seconds that running requests may still take once the server takes no new ones.
    #[arg(long, env = environment::DRAIN, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) drain: u32,
    /// Seconds that one request may take.
    #[arg(long, env = environment::REQUEST_TIMEOUT, value_name = "SECONDS", default_value = "300")]
    pub(crate) request_timeout: NonZeroU32,
    /// Most tokens of a chat's answer where the request does not say it [default: what the context
    /// has room for].
    #[arg(long, env = environment::DEFAULT_MAX_TOKENS, value_name = "N")]
    pub(crate) default_max_tokens: Option<NonZeroU32>,
    /// File with one API key on each line, followed by its limits, like `KEY sequences=4
    /// tokens_per_minute=20000`. Without it everybody may use the models.
    #[arg(long, env = environment::API_KEY_FILE, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Origin of a web page that may use the API, like `https://example.org`. May be given several
    /// times.
    #[arg(long, env = environment::CORS_ORIGIN, value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) cors_origin: Vec<Origin>,
    /// Host name to answer to besides `localhost` and loopback addresses: the one that a proxy
    /// passes on. May be given several times [default: none on a loopback address without keys,
    /// else every name].
    #[arg(long, env = environment::ALLOWED_HOST, value_name = "NAME", value_delimiter = ',')]
    pub(crate) allowed_host: Vec<HostName>,
    /// Form of the log.
    #[arg(long, env = environment::LOG, value_name = "FORM", value_enum, default_value_t = LogForm::Auto)]
    pub(crate) log: LogForm,
    /// Log prompts, and error messages, which repeat what a client sent.
    #[arg(long, env = environment::LOG_PROMPTS)]
    pub(crate) log_prompts: bool,
    /// Draft tokens per step, 0 to 7 (prompt-lookup speculative decoding). Accepted ones save
    /// steps.
    #[arg(long, env = environment::DRAFT_TOKENS, value_name = "N", default_value_t = TextOptions::default().draft_tokens,
        value_parser = clap::value_parser!(u32).range(0..=7))]
    pub(crate) draft_tokens: u32,
    /// Let all keys share one prefix cache, instead of one for each key. First tokens come sooner
    /// where keys share long beginnings of prompts. But the time of a first token can then tell one
    /// key's user what another key's user has sent.
    #[arg(long, env = environment::SHARE_PREFIXES)]
    pub(crate) share_prefixes: bool,
    /// Compute every prompt from its beginning, without a prefix cache. First tokens come later
    /// where prompts begin alike. Excludes `--share-prefixes`.
    #[arg(long, env = environment::NO_PREFIX_CACHE)]
    pub(crate) no_prefix_cache: bool,
    /// Print the configuration as JSON, each option with its value, and exit.
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) running: Running,
}

#[derive(Args)]
pub(crate) struct Health {
    /// Address of the server.
    #[arg(long, env = environment::HOST, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Port of the server.
    #[arg(long, env = environment::PORT, value_name = "N", default_value_t = 3000)]
    pub(crate) port: u16,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogForm {
    /// `human` on a terminal, else `json`.
    Auto,
    /// For people.
    Human,
    /// One JSON object on each line.
    Json,
}
