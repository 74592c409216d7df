//! Flags of the commands that use a model: `generate`, `chat`, `classify`, `tokenize`.

use std::path::PathBuf;

use carafe_host::text::TextOptions;
use clap::Args;

use super::{ModelDirectories, Running};
use crate::environment;

#[derive(Args)]
pub(crate) struct Generate {
    /// Model to use; `carafe models list` shows them.
    #[arg(long, value_name = "NAME", default_value = "tales")]
    pub(crate) model: String,
    /// Text to continue [default: standard input, unchanged].
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Most tokens to generate [default: 64, or what fits into the context].
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<u32>,
    #[command(flatten)]
    pub(crate) sampling: SamplingOptions,
    /// Text that ends the output. May be given up to 4 times.
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
    /// Continue past an EOS token.
    #[arg(long)]
    pub(crate) ignore_eos: bool,
    /// No EOS token before this many tokens.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) min_tokens: u32,
    /// With --json: add the log-probability of each token, and of this many alternatives, 0 to 20.
    #[arg(long, value_name = "N", requires = "json")]
    pub(crate) logprobs: Option<u32>,
    /// Print the prompt before its continuation. With --logprobs, score the prompt's tokens as well;
    /// with --max-tokens 0, do only that.
    #[arg(long)]
    pub(crate) echo: bool,
    /// Print one JSON object at the end instead of streaming text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Run the same core without WebAssembly, to compare.
    #[arg(long)]
    pub(crate) native: bool,
    /// Draft tokens per step, 0 to 7 (prompt-lookup speculative decoding). Accepted ones save
    /// steps.
    #[arg(long, env = environment::DRAFT_TOKENS, value_name = "N", default_value_t = TextOptions::default().draft_tokens,
        value_parser = clap::value_parser!(u32).range(0..=7))]
    pub(crate) draft_tokens: u32,
    #[command(flatten)]
    pub(crate) running: Running,
}

#[derive(Args)]
#[command(after_help = CHAT_HELP)]
pub(crate) struct Chat {
    /// Model to talk to, one with a chat template [default: the first that has one].
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// System prompt: what the model reads before the conversation.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Most tokens of an answer [default: what fits into the context].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: Option<u32>,
    #[command(flatten)]
    pub(crate) sampling: SamplingOptions,
    /// Further variables for the chat template, like `{"enable_thinking": false}`.
    #[arg(long, value_name = "JSON")]
    pub(crate) template_arguments: Option<String>,
    /// Draft tokens per step, 0 to 7 (prompt-lookup speculative decoding). Accepted ones save
    /// steps.
    #[arg(long, env = environment::DRAFT_TOKENS, value_name = "N", default_value_t = TextOptions::default().draft_tokens,
        value_parser = clap::value_parser!(u32).range(0..=7))]
    pub(crate) draft_tokens: u32,
    #[command(flatten)]
    pub(crate) running: Running,
}

const CHAT_HELP: &str = "\
Ctrl-C ends an answer. At the prompt, Ctrl-D ends the program, and so does Ctrl-C twice. Lines that begin with `/` are
commands; `/help` shows them. Without a terminal each line of standard input is a message or a command. Answers go to
standard output, and what a model thinks before its answer goes to standard error.

Examples:
  carafe chat
  carafe chat --model smollm2-135m-instruct --system 'Answer in one sentence.' --temperature 0
  echo 'What is the capital of France?' | carafe chat";

/// How tokens are chosen.
#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct SamplingOptions {
    /// Temperature, 0 (always the most probable token) to 2 [default: the model's, else 1].
    #[arg(long, value_name = "T")]
    pub(crate) temperature: Option<f32>,
    /// Choose only among the K most probable tokens [default: the model's, else all].
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<u32>,
    /// Choose only among the most probable tokens that together reach this probability, 0 to 1
    /// [default: the model's, else 1].
    #[arg(long, value_name = "P")]
    pub(crate) top_p: Option<f32>,
    /// Choose only among tokens whose probability is at least this share of the best one's, 0 to
    /// below 1 [default: the model's, else 0].
    #[arg(long, value_name = "P")]
    pub(crate) min_p: Option<f32>,
    /// Above 1, tokens of the prompt and output become less likely; below 1, more likely [default:
    /// the model's, else 1].
    #[arg(long, value_name = "R")]
    pub(crate) repetition_penalty: Option<f32>,
    /// Subtract this from a token's logit for each time it is in the output, -2 to 2.
    #[arg(long, value_name = "F", default_value_t = 0.0)]
    pub(crate) frequency_penalty: f32,
    /// Subtract this from a token's logit if it is in the output, -2 to 2.
    #[arg(long, value_name = "F", default_value_t = 0.0)]
    pub(crate) presence_penalty: f32,
    /// Add this to one token's logit, -100 to 100. May be given several times.
    #[arg(long, value_name = "ID=BIAS", value_parser = parse_bias)]
    pub(crate) logit_bias: Vec<(u32, f32)>,
    /// Seed of the random choices: the same seed gives the same text [default: a new one, shown in
    /// the summary].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

fn parse_bias(text: &str) -> Result<(u32, f32), String> {
    let parts = text.split_once('=').and_then(|(id, bias)| Some((id.trim().parse().ok()?, bias.trim().parse().ok()?)));
    parts.ok_or_else(|| "expected a token id and a number, like `42=-1.5`".to_owned())
}

#[derive(Args)]
pub(crate) struct Classify {
    /// Pictures: JPEG, PNG or BMP files.
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Model to use.
    #[arg(long, value_name = "NAME", default_value = "mobilenet-v2")]
    pub(crate) model: String,
    /// Labels to print for each picture.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) top: u32,
    /// Print a JSON array, one object for each picture.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) running: Running,
}

#[derive(Args)]
pub(crate) struct Tokenize {
    /// The text, or with --decode the token ids [default: standard input, unchanged].
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Use the tokenizer of this model.
    #[arg(long, value_name = "NAME", default_value = "tales", conflicts_with = "tokenizer")]
    pub(crate) model: String,
    /// Use this `tokenizer.json` instead of a model's.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Turn token ids, separated by spaces or commas, into text.
    #[arg(long)]
    pub(crate) decode: bool,
    /// Read many texts from standard input, one JSON string on each line, and print an array of
    /// token ids for each.
    #[arg(long, conflicts_with_all = ["text", "decode", "json"])]
    pub(crate) lines: bool,
    /// Leave out the tokens that the tokenizer adds to a text, such as a BOS token.
    #[arg(long)]
    pub(crate) no_add_special_tokens: bool,
    /// Turn special tokens that the text spells out into tokens, instead of ordinary text.
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
