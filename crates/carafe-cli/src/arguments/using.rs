//! Flags of the commands that use a model: `generate`, `chat`, `classify`, `tokenize`.

use std::path::PathBuf;

use carafe_host::text::TextOptions;
use clap::Args;

use super::{Fetching, ModelDirectories, Running};
use crate::environment;

#[derive(Args)]
pub(crate) struct Generate {
    /// Model to use; `carafe models list` shows what there is [default: `tales`, or if that is not
    /// there, the first text model].
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
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
    /// With --json: the log-probability of each token and of this number of alternatives, 0 to 20.
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
    /// Draft tokens per step, 0 to 7 (prompt-lookup speculative decoding); accepted ones save
    /// steps.
    #[arg(long, env = environment::DRAFT_TOKENS, value_name = "N", default_value_t = TextOptions::default().draft_tokens,
        value_parser = clap::value_parser!(u32).range(0..=7))]
    pub(crate) draft_tokens: u32,
    #[command(flatten)]
    pub(crate) fetching: Fetching,
    #[command(flatten)]
    pub(crate) running: Running,
}

#[derive(Args)]
#[command(after_help = CHAT_HELP)]
pub(crate) struct Chat {
    /// Model to talk to; it must have a chat template [default: the first that has].
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// The system prompt: what the model reads before the conversation.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Most tokens of an answer [default: what fits into the model's context].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: Option<u32>,
    #[command(flatten)]
    pub(crate) sampling: SamplingOptions,
    /// Further variables of the chat template, like `{"enable_thinking": false}`.
    #[arg(long, value_name = "JSON")]
    pub(crate) template_arguments: Option<String>,
    /// Draft tokens per step, 0 to 7 (prompt-lookup speculative decoding); accepted ones save
    /// steps.
    #[arg(long, env = environment::DRAFT_TOKENS, value_name = "N", default_value_t = TextOptions::default().draft_tokens,
        value_parser = clap::value_parser!(u32).range(0..=7))]
    pub(crate) draft_tokens: u32,
    #[command(flatten)]
    pub(crate) fetching: Fetching,
    #[command(flatten)]
    pub(crate) running: Running,
}

const CHAT_HELP: &str = "\
Ctrl-C ends an answer, and twice at the prompt the program; Ctrl-D ends the program. Commands are lines that begin
with `/`; `/help` shows them. Without a terminal each line of standard input is a message or a command, answers go to standard
output, and what a model thinks before its answer goes to standard error.

Examples:
  carafe chat
  carafe chat --model smollm2-135m-instruct --system 'Answer in one sentence.' --temperature 0
  echo 'What is the capital of France?' | carafe chat";

/// How tokens are chosen.
#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct SamplingOptions {
    /// 0 (always the most probable token) to 2 [default: the model's, else 1].
    #[arg(long, value_name = "T")]
    pub(crate) temperature: Option<f32>,
    /// Choose among the K most probable tokens only [default: the model's, else all].
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<u32>,
    /// Choose among the most probable tokens that together reach this probability, 0 to 1 [default:
    /// the model's, else 1].
    #[arg(long, value_name = "P")]
    pub(crate) top_p: Option<f32>,
    /// Choose among tokens at least this share as probable as the best, 0 to below 1 [default: the
    /// model's, else 0].
    #[arg(long, value_name = "P")]
    pub(crate) min_p: Option<f32>,
    /// Above 1 makes tokens of prompt and output less likely, below 1 more [default: the model's,
    /// else 1].
    #[arg(long, value_name = "R")]
    pub(crate) repetition_penalty: Option<f32>,
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
    /// Read many texts from standard input, each a JSON string on a line of its own, and print an
    /// array of token ids for each.
    #[arg(long, conflicts_with_all = ["text", "decode", "json"])]
    pub(crate) lines: bool,
    /// Leave out what the tokenizer adds to a text, such as a BOS token.
    #[arg(long)]
    pub(crate) no_add_special_tokens: bool,
    /// Make special tokens of those that the text spells out, instead of ordinary text.
    #[arg(long)]
    pub(crate) parse_special: bool,
    /// Run without WebAssembly.
    #[arg(long)]
    pub(crate) native: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) directories: ModelDirectories,
}
