//! Flags of `carafe serve`, and of `carafe health` and `carafe doctor`, which look after it.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use carafe_host::text::TextOptions;
use carafe_server::{HostName, Origin};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Fetching, Running};
use crate::environment;

#[derive(Args)]
pub(crate) struct Serve {
    /// Address to listen on; `0.0.0.0` is every interface of this machine, which wants API keys and
    /// a proxy with TLS.
    #[arg(long, env = environment::HOST, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Port to listen on; 0 is any that is free.
    #[arg(long, env = environment::PORT, value_name = "N", default_value_t = 3000)]
    pub(crate) port: u16,
    /// Model to serve; may be given several times, and the first of a task is that task's default
    /// [default: every model found].
    #[arg(long, env = environment::MODEL, value_name = "NAME", value_delimiter = ',')]
    pub(crate) model: Vec<String>,
    /// Texts and images that each model works on or lets wait, 1 to 1024; more are refused with
    /// 429.
    #[arg(long, env = environment::QUEUE, value_name = "N", default_value = "64")]
    pub(crate) queue: NonZeroU32,
    /// Images that each model works on at once, 1 to 64, each in a guest of its own with its own
    /// `--guest-memory` [default: one for each processor, 8 at most].
    #[arg(long, env = environment::IMAGE_WORKERS, value_name = "N")]
    pub(crate) image_workers: Option<NonZeroU32>,
    /// Most memory that the bodies of requests may take together, in MiB, 32 to 4096; what finds no
    /// room is refused with 503.
    #[arg(long, env = environment::BODY_MEMORY, value_name = "MIB", default_value = "256",
        value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub(crate) body_memory: u32,
    /// After SIGTERM, how many seconds `/readyz` is 503 while requests are still taken, so that
    /// balancers turn to other servers.
    #[arg(long, env = environment::SHUTDOWN_DELAY, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) shutdown_delay: u32,
    /// Once the server takes nothing new, how many seconds running requests may still take.
    #[arg(long, env = environment::DRAIN, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) drain: u32,
    /// How many seconds one request may take.
    #[arg(long, env = environment::REQUEST_TIMEOUT, value_name = "SECONDS", default_value = "300")]
    pub(crate) request_timeout: NonZeroU32,
    /// Most tokens of an answer in a chat whose request does not say how many [default: what the
    /// context has room for].
    #[arg(long, env = environment::DEFAULT_MAX_TOKENS, value_name = "N")]
    pub(crate) default_max_tokens: Option<NonZeroU32>,
    /// File with API keys, one a line, each with its limits behind it, like `KEY sequences=4
    /// tokens_per_minute=20000`; without it everybody may use the models.
    #[arg(long, env = environment::API_KEY_FILE, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Web page's origin that may use the API, as `https://example.org`; may be given several
    /// times.
    #[arg(long, env = environment::CORS_ORIGIN, value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) cors_origin: Vec<Origin>,
    /// Name of a host that the server answers to besides `localhost` and loopback addresses, as a
    /// proxy passes it on; may be given several times [default: on a loopback address and without
    /// keys none, else every name].
    #[arg(long, env = environment::ALLOWED_HOST, value_name = "NAME", value_delimiter = ',')]
    pub(crate) allowed_host: Vec<HostName>,
    /// Form of the log.
    #[arg(long, env = environment::LOG, value_name = "FORM", value_enum, default_value_t = LogForm::Auto)]
    pub(crate) log: LogForm,
    /// Write prompts to the log, and the messages of errors, which repeat what a client sent.
    #[arg(long, env = environment::LOG_PROMPTS)]
    pub(crate) log_prompts: bool,
    /// Draft tokens per step, 0 to 7 (prompt-lookup speculative decoding); accepted ones save
    /// steps.
    #[arg(long, env = environment::DRAFT_TOKENS, value_name = "N", default_value_t = TextOptions::default().draft_tokens,
        value_parser = clap::value_parser!(u32).range(0..=7))]
    pub(crate) draft_tokens: u32,
    /// Let requests of one key use what was computed of the beginnings of another key's prompts
    /// (their common prefixes), as those of the same key do. First tokens come sooner where keys
    /// share long beginnings; but the time of a first token can then tell one key's user what
    /// another key's has sent.
    #[arg(long, env = environment::SHARE_PREFIXES)]
    pub(crate) share_prefixes: bool,
    /// Compute every prompt from its beginning: no request uses what was computed of another's.
    /// First tokens come later where prompts begin alike. It excludes `--share-prefixes`.
    #[arg(long, env = environment::NO_PREFIX_CACHE)]
    pub(crate) no_prefix_cache: bool,
    /// Print the configuration as JSON, every option with what it has come to, and end.
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) fetching: Fetching,
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

pub(super) const DOCTOR_HELP: &str = "\
With the flags and variables of `carafe serve` it says what that would find. The exit code is 1 if something is wrong
that stops it from serving, else 0.";

#[derive(Args)]
pub(crate) struct Doctor {
    /// Address that the server would listen on.
    #[arg(long, env = environment::HOST, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Port that the server would listen on.
    #[arg(long, env = environment::PORT, value_name = "N", default_value_t = 3000)]
    pub(crate) port: u16,
    /// Model that the server would serve; may be given several times [default: every model found].
    #[arg(long, env = environment::MODEL, value_name = "NAME", value_delimiter = ',')]
    pub(crate) model: Vec<String>,
    /// Look only whether the files of models are there and as long as they must be, and leave their
    /// hashes out.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) running: Running,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogForm {
    /// For people on a terminal, else JSON.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}
