//! Flags of `carafe bench`.

use std::path::PathBuf;

use carafe_host::text::TextOptions;
use clap::Args;

use super::{Running, SamplingOptions};
use crate::environment;

pub(super) const HELP: &str = "\
A text model gets made-up prompts and generates past any end of text. An image model needs --image.
Tokens a second count only while all requests are generating. --explain shows where the time of a step goes.

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
    /// Text to continue instead of a made-up prompt. Each of several requests continues it.
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_tokens")]
    pub(crate) prompt: Option<String>,
    /// Tokens of each made-up prompt.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) prompt_tokens: u32,
    /// Tokens that each request generates.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) new_tokens: u32,
    /// Requests or images at a time. Several numbers are measured one after the other.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1",
        value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) concurrent: Vec<u32>,
    /// How often to measure everything. The median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Picture to classify: JPEG, PNG or BMP.
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Option<PathBuf>,
    /// Pictures in each round.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) images: u32,
    #[command(flatten)]
    pub(crate) sampling: SamplingOptions,
    /// Draft tokens per step, 0 to 7 (prompt-lookup speculative decoding). Accepted ones save
    /// steps.
    #[arg(long, env = environment::DRAFT_TOKENS, value_name = "N", default_value_t = TextOptions::default().draft_tokens,
        value_parser = clap::value_parser!(u32).range(0..=7))]
    pub(crate) draft_tokens: u32,
    /// Show where the time of a step goes: OpenVINO, the host, the guest.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print one JSON object, with the time of every token.
    #[arg(long)]
    pub(crate) json: bool,
    /// Run the same core without WebAssembly, to compare.
    #[arg(long, conflicts_with_all = ["image", "explain"])]
    pub(crate) native: bool,
    #[command(flatten)]
    pub(crate) running: Running,
}
