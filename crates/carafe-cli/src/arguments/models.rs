//! Flags of `carafe models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Places;

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
    /// Fetch a model from the Hugging Face hub, convert and certify it, and put it into the user's
    /// data folder.
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
    /// `gpt2` (OpenAI's, from its 8-bit .tflite), `distilgpt2`, or any repository with a GPT-2, as
    /// `owner/name`.
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
