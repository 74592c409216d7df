//! The flags of `carafe`, with the help that they print.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use carafe_host::{Limits, is_prefill_chunk};
use carafe_openvino::{KvCachePrecision, Profile};
use carafe_server::{HostName, Origin};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::bytes::Bytes;
use crate::environment;

/// OpenVINO models from inside a WebAssembly sandbox.
#[derive(Parser)]
#[command(name = "carafe", version, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// Log what is loaded and how (to standard error); twice for every call.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  carafe serve
  carafe generate --prompt 'Once upon a time'
  echo 'The fox' | carafe generate --temperature 0 --max-tokens 20
  carafe classify picture.jpg --top 3
  carafe tokenize 'Hello, world'
  carafe models list
  carafe models pull gpt2
  carafe bench --concurrent 1,4,16 --explain

Environment:
  CARAFE_MODELS    folders of model folders, separated like PATH
  CARAFE_OPENVINO  OpenVINO's C library, or the folder of an installation
  Each flag of `serve` has a variable of its own; `carafe serve --help` shows them.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve models over HTTP, with OpenAI's API and a web page.
    Serve(Serve),
    /// Continue a text, streaming.
    Generate(Generate),
    /// Say what images show.
    Classify(Classify),
    /// Turn text into token ids, or token ids into text.
    Tokenize(Tokenize),
    /// List, show, fetch and verify models.
    Models(Models),
    /// Ask a running server whether it is ready; the exit code tells.
    Health(Health),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder.
    #[command(hide = true)]
    Manual {
        /// The folder, which must be there.
        folder: PathBuf,
    },
    /// Measure a model on this machine, in this process.
    #[command(after_help = BENCH_HELP)]
    Bench(Bench),
}

/// Where models are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Places {
    /// Folder of model folders, or a model folder, searched first [then: CARAFE_MODELS, the user's
    /// data folder, the bundled models].
    #[arg(long = "models", value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
}

/// How a model is run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Running {
    #[command(flatten)]
    pub(crate) places: Places,
    /// `fast` (the plugin's own choice of precision), `latency` (the same with no activation rounded to 8 bits: faster for one
    /// text at a time), `exact` (32-bit floats throughout) or `auto` (`fast` on a processor with VNNI, else `latency`).
    #[arg(long, env = environment::PROFILE, default_value_t = Profile::Auto)]
    pub(crate) profile: Profile,
    /// Memory of a text model's KV cache, like `2GiB` [default: what 64 full contexts need, but at most half of the memory that the
    /// process may still take].
    #[arg(long, env = environment::KV_CACHE, value_name = "SIZE")]
    pub(crate) kv_cache: Option<Bytes>,
    /// Elements of the KV cache: `f32`, `f16`, `bf16` (where the processor computes in it) or `u8` (results then depend on what else
    /// runs) [default: f32 in `exact`, else bf16 or f16].
    #[arg(long, env = environment::KV_CACHE_PRECISION, value_name = "TYPE")]
    pub(crate) kv_cache_precision: Option<KvCachePrecision>,
    /// Prompts are computed in chunks that end at multiples of this, itself a multiple of 32: larger ones are faster, and let running
    /// requests wait longer between tokens [default: the model's].
    #[arg(long, env = environment::PREFILL_CHUNK, value_name = "TOKENS", value_parser = parse_prefill_chunk)]
    pub(crate) prefill_chunk: Option<u32>,
    /// Threads of one compute, as many as there are processors at most [default: OpenVINO's choice].
    #[arg(long, env = environment::THREADS, value_name = "N")]
    pub(crate) threads: Option<NonZeroU32>,
    /// Whether OpenVINO's threads stay on processors of their own: a little faster where nothing
    /// else runs there, far slower where something does. `auto` pins them only to processors that
    /// the kernel isolates.
    #[arg(long, env = environment::CPU_PINNING, value_name = "WHEN", value_enum, default_value_t = CpuPinning::Auto)]
    pub(crate) cpu_pinning: CpuPinning,
    /// Most memory that the guest may have, in MiB; below 4096.
    #[arg(long, env = environment::GUEST_MEMORY, value_name = "MIB", default_value_t = 256,
        value_parser = clap::value_parser!(u64).range(1..4096))]
    pub(crate) guest_memory: u64,
}

/// When OpenVINO's threads are pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CpuPinning {
    /// Where the processors are this process's own.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

#[derive(Args)]
pub(crate) struct Serve {
    /// Address to listen on; `0.0.0.0` is every interface of this machine, which wants API keys and a proxy with TLS.
    #[arg(long, env = environment::HOST, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Port to listen on; 0 is any that is free.
    #[arg(long, env = environment::PORT, value_name = "N", default_value_t = 3000)]
    pub(crate) port: u16,
    /// Model to serve; may be given several times, and the first of a task is that task's default [default: every model found].
    #[arg(long, env = environment::MODEL, value_name = "NAME", value_delimiter = ',')]
    pub(crate) model: Vec<String>,
    /// Texts and images that each model works on or lets wait, 1 to 1024; more are refused with 429.
    #[arg(long, env = environment::QUEUE, value_name = "N", default_value = "64")]
    pub(crate) queue: NonZeroU32,
    /// Images that each model works on at once, 1 to 64, each in a guest of its own with its own `--guest-memory`
    /// [default: one for each processor, 8 at most].
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
    /// File with API keys, one a line; without it everybody may use the models.
    #[arg(long, env = environment::API_KEY_FILE, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Web page's origin that may use the API, as `https://example.org`; may be given several times.
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
    /// Draft tokens per step, 0 to 7 (prompt-lookup speculative decoding); accepted ones save steps.
    #[arg(long, env = environment::DRAFT_TOKENS, value_name = "N", default_value_t = Limits::default().draft_tokens,
        value_parser = clap::value_parser!(u32).range(0..=7))]
    pub(crate) draft_tokens: u32,
    /// Print the configuration as JSON, every option with what it has come to, and end.
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
    /// For people on a terminal, else JSON.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

#[derive(Args)]
pub(crate) struct Generate {
    /// Model to use; `carafe models list` shows what there is.
    #[arg(long, value_name = "NAME", default_value = "tales")]
    pub(crate) model: String,
    /// Text to continue [default: standard input, as it is].
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Most tokens to generate [default: 64, or what fits into the model's context].
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<u32>,
    #[command(flatten)]
    pub(crate) sampling: SamplingOptions,
    /// Text that ends the output; may be given up to 4 times.
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
    /// Go on past an EOS token.
    #[arg(long)]
    pub(crate) ignore_eos: bool,
    /// No EOS token before this many tokens.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) min_tokens: u32,
    /// With --json: the log-probability of each token and of so many alternatives, 0 to 20.
    #[arg(long, value_name = "N", requires = "json")]
    pub(crate) logprobs: Option<u32>,
    /// Print the prompt before its continuation; with --logprobs its tokens are scored, and
    /// --max-tokens 0 does only that.
    #[arg(long)]
    pub(crate) echo: bool,
    /// Print one JSON object at the end instead of text as it comes.
    #[arg(long)]
    pub(crate) json: bool,
    /// Run the same core without WebAssembly, to compare.
    #[arg(long)]
    pub(crate) native: bool,
    /// Draft tokens per step, 0 to 7 (prompt-lookup speculative decoding); accepted ones save steps.
    #[arg(long, env = environment::DRAFT_TOKENS, value_name = "N", default_value_t = Limits::default().draft_tokens,
        value_parser = clap::value_parser!(u32).range(0..=7))]
    pub(crate) draft_tokens: u32,
    #[command(flatten)]
    pub(crate) running: Running,
}

/// How tokens are chosen.
#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct SamplingOptions {
    /// 0 (always the most probable token) to 2.
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    pub(crate) temperature: f32,
    /// Choose among the K most probable tokens only.
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<u32>,
    /// Choose among the most probable tokens that together reach this probability; 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub(crate) top_p: f32,
    /// Choose among tokens at least this share as probable as the best; 0 to below 1.
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub(crate) min_p: f32,
    /// Above 1 makes tokens of prompt and output less likely, below 1 more.
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    pub(crate) repetition_penalty: f32,
    /// Subtracted from a token's logit for each time the output holds it; -2 to 2.
    #[arg(long, value_name = "F", default_value_t = 0.0)]
    pub(crate) frequency_penalty: f32,
    /// Subtracted from a token's logit once the output holds it; -2 to 2.
    #[arg(long, value_name = "F", default_value_t = 0.0)]
    pub(crate) presence_penalty: f32,
    /// Added to one token's logit, -100 to 100; may be given several times.
    #[arg(long, value_name = "ID=BIAS", value_parser = parse_bias)]
    pub(crate) logit_bias: Vec<(u32, f32)>,
    /// The same seed gives the same text [default: a new one, shown in the summary].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

fn parse_prefill_chunk(text: &str) -> Result<u32, String> {
    let chunk = text.parse().ok().filter(|chunk| is_prefill_chunk(*chunk));
    chunk.ok_or_else(|| "expected a multiple of 32".to_owned())
}

fn parse_bias(text: &str) -> Result<(u32, f32), String> {
    let parts = text.split_once('=').and_then(|(id, bias)| Some((id.trim().parse().ok()?, bias.trim().parse().ok()?)));
    parts.ok_or_else(|| "expected a token id and a number, like `42=-1.5`".to_owned())
}

#[derive(Args)]
pub(crate) struct Classify {
    /// JPEG, PNG or BMP files.
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Model to use.
    #[arg(long, value_name = "NAME", default_value = "mobilenet-v2")]
    pub(crate) model: String,
    /// Labels to print for each image.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) top: u32,
    /// Print a JSON array, one object for each image.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) running: Running,
}

#[derive(Args)]
pub(crate) struct Tokenize {
    /// The text, or with --decode the token ids [default: standard input, as it is].
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Model whose tokenizer to use.
    #[arg(long, value_name = "NAME", default_value = "tales", conflicts_with = "tokenizer")]
    pub(crate) model: String,
    /// A `tokenizer.json` to use instead of a model's.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Turn token ids (separated by spaces or commas) into text.
    #[arg(long)]
    pub(crate) decode: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) places: Places,
}

#[derive(Args)]
pub(crate) struct Models {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

#[derive(Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models that can be found.
    List {
        /// Print a JSON array.
        #[arg(long)]
        json: bool,
        /// Fail if one of them cannot be read; without this only if none can.
        #[arg(long)]
        strict: bool,
        #[command(flatten)]
        places: Places,
    },
    /// Show a model's manifest and certificate.
    Show {
        /// The model.
        name: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        places: Places,
    },
    /// Fetch a model from the Hugging Face hub, convert and certify it, and put it into the user's data folder.
    #[command(after_help = PULL_HELP)]
    Pull(Pull),
    /// Check a model's files, and with --run what it computes.
    Verify {
        /// The model, or the path of its folder, which has a `/`.
        name: String,
        /// Also open the model as the server does, run it in `exact` and compare with its
        /// certificate.
        #[arg(long)]
        run: bool,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        places: Places,
    },
}

const PULL_HELP: &str = "\
Environment:
  HF_ENDPOINT              another hub than https://huggingface.co
  HF_HOME                  where what was fetched is kept [default: ~/.cache/huggingface]
  HF_TOKEN                 for repositories that are not public; no other host sees it
  HF_HUB_DOWNLOAD_TIMEOUT  seconds that the hub may take to answer, or to send less than 1 KiB each [default: 30]
  CARAFE_PYTHON            a Python that has carafe_tools, for the conversion";

#[derive(Args)]
pub(crate) struct Pull {
    /// `gpt2` (OpenAI's, from its 8-bit .tflite), `distilgpt2`, or any repository with a GPT-2, as `owner/name`.
    pub(crate) model: String,
    /// Branch, tag or commit of the repository.
    #[arg(long, value_name = "REVISION", default_value = "main")]
    pub(crate) revision: String,
    /// Take this 8-bit .tflite of the repository instead of its safetensors.
    #[arg(long, value_name = "FILE")]
    pub(crate) tflite: Option<String>,
    /// What the model shall be called [default: as the repository].
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Convert again where the model is there already.
    #[arg(long)]
    pub(crate) again: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

const BENCH_HELP: &str = "\
A text model reads made-up prompts and goes on past any end of text; an image model wants --image.
Tokens a second count while all requests are generating. --explain tells where the time of a step goes.

Examples:
  carafe bench --prompt-tokens 32 --new-tokens 128
  carafe bench --concurrent 1,2,4,8,16 --temperature 0 --draft-tokens 0 --json
  carafe bench --temperature 0.8 --top-p 0.9 --explain
  carafe bench --model mobilenet-v2 --image images/parrot.jpg --concurrent 1,4";

#[derive(Args)]
pub(crate) struct Bench {
    /// Model to measure.
    #[arg(long, value_name = "NAME", default_value = "tales")]
    pub(crate) model: String,
    /// Text to continue instead of a made-up prompt; with several requests each continues it.
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_tokens")]
    pub(crate) prompt: Option<String>,
    /// Tokens of each made-up prompt.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) prompt_tokens: u32,
    /// Tokens that each request generates.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) new_tokens: u32,
    /// Requests, or images, at a time; several numbers are measured in turn.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1",
        value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) concurrent: Vec<u32>,
    /// How often everything is measured; the median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// An image to classify: JPEG, PNG or BMP.
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Option<PathBuf>,
    /// Images of a round.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) images: u32,
    #[command(flatten)]
    pub(crate) sampling: SamplingOptions,
    /// Draft tokens per step, 0 to 7 (prompt-lookup speculative decoding); accepted ones save steps.
    #[arg(long, env = environment::DRAFT_TOKENS, value_name = "N", default_value_t = Limits::default().draft_tokens,
        value_parser = clap::value_parser!(u32).range(0..=7))]
    pub(crate) draft_tokens: u32,
    /// Say where the time of a step goes: OpenVINO, the host, the guest.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print one JSON object with the time of every token.
    #[arg(long)]
    pub(crate) json: bool,
    /// Run the same core without WebAssembly, to compare.
    #[arg(long, conflicts_with_all = ["image", "explain"])]
    pub(crate) native: bool,
    #[command(flatten)]
    pub(crate) running: Running,
}

impl Arguments {
    /// Reads the command line, and the environment but for the variables of these names. Ends the
    /// program if they cannot be understood.
    pub(crate) fn read(passed_over: &[String]) -> Self {
        let command = without_variables(Self::command(), passed_over);
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.format(&mut Self::command()).exit())
    }
}

/// The command with no flag that stands for one of these variables.
fn without_variables(command: clap::Command, names: &[String]) -> clap::Command {
    let is_named =
        |arg: &clap::Arg| arg.get_env().is_some_and(|variable| names.iter().any(|name| variable == name.as_str()));
    let command = command.mut_args(|arg| if is_named(&arg) { arg.env(None::<&'static str>) } else { arg });
    command.mut_subcommands(|command| without_variables(command, names))
}
