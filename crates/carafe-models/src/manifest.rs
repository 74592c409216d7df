//! `model.toml`, format 2: the types that it is read into and the rules they obey.
//!
//! A manifest is the whole of what Carafe knows about a model: no model's name, size or
//! preprocessing stands in code. Reading is strict: an unknown key, a missing key and a value that
//! contradicts another one are errors. [`Manifest::parse`] is the only way in, so a `Manifest` in
//! hand has been checked.

use std::collections::BTreeMap;

use carafe_tensor::{Dim, ElementType, Role};
use serde::{Deserialize, Deserializer};

mod rules;

/// The manifest format that this version reads.
pub const FORMAT: i64 = 2;

/// Tokens of a block of the KV cache, by which prompts are cut.
pub const BLOCK_SIZE: u32 = 32;

/// Whether chunks of a prompt can end at multiples of this.
#[must_use]
pub fn is_prefill_chunk(chunk: u32) -> bool {
    chunk >= BLOCK_SIZE && chunk.is_multiple_of(BLOCK_SIZE)
}

/// Longest name of a model.
pub const MAX_NAME: usize = 64;

/// Whether a model can have this name: one that means nothing to a file system or a shell.
#[must_use]
pub fn is_model_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|byte| plain(byte) || byte == b'-' || byte == b'.')
}

/// Everything in `model.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the manifest's format, [`FORMAT`].
    pub format: i64,
    /// The model's name, equal to its folder's.
    pub name: String,
    /// What the model does.
    pub task: Task,
    /// One line for people.
    pub description: String,
    /// The files of the folder.
    pub files: Files,
    /// The graph's inputs; image models only, since those of text models follow from the format.
    #[serde(default)]
    pub inputs: Vec<Tensor>,
    /// The graph's outputs; image models only.
    #[serde(default)]
    pub outputs: Vec<Tensor>,
    /// What a text model is.
    pub text: Option<Text>,
    /// What an image model expects and answers.
    pub image: Option<Image>,
    /// Under which licence the model is given.
    pub licence: Licence,
    /// Where the model comes from.
    pub provenance: Provenance,
    /// Reserved for a user's own guest component, and refused for now.
    guest: Option<toml::Value>,
}

/// What a model does.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Continues a text.
    TextGeneration,
    /// Names what an image shows.
    ImageClassification,
}

impl Task {
    /// The task as the manifest spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TextGeneration => "text-generation",
            Self::ImageClassification => "image-classification",
        }
    }
}

/// The files of a model folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// The graph: OpenVINO IR, XML.
    pub graph: File,
    /// The graph's weights.
    pub weights: File,
    /// Hugging Face `tokenizer.json`; text models only.
    pub tokenizer: Option<File>,
    /// Jinja2 template that makes the prompt of a conversation; text models only.
    pub chat_template: Option<File>,
    /// One label a line; image models only.
    pub labels: Option<File>,
    /// What the conversion proved.
    pub certificate: File,
}

impl Files {
    /// All files that the manifest names, in the order of the format's description.
    pub fn all(&self) -> impl Iterator<Item = &File> {
        let optional = [&self.tokenizer, &self.chat_template, &self.labels];
        let optional = optional.into_iter().filter_map(Option::as_ref);
        [&self.graph, &self.weights].into_iter().chain(optional).chain([&self.certificate])
    }
}

/// One file: its name inside the folder, size and content.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// A plain file name.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the content, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// One input or output of the graph.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tensor {
    /// Its name in the graph.
    pub name: String,
    /// What it means.
    #[serde(deserialize_with = "role")]
    pub role: Role,
    /// Type of its elements.
    #[serde(rename = "type", deserialize_with = "element")]
    pub element: ElementType,
    /// Its dimensions, all of them fixed.
    #[serde(deserialize_with = "shape")]
    pub shape: Vec<Dim>,
}

fn role<'de, D: Deserializer<'de>>(reader: D) -> Result<Role, D::Error> {
    named(reader, &[Role::Pixels, Role::Scores], Role::name)
}

fn element<'de, D: Deserializer<'de>>(reader: D) -> Result<ElementType, D::Error> {
    named(reader, &[ElementType::U8, ElementType::I32, ElementType::F32], ElementType::name)
}

fn shape<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<Dim>, D::Error> {
    Ok(Vec::<u32>::deserialize(reader)?.into_iter().map(Dim::Fixed).collect())
}

/// The one of `values` that is written by its name.
fn named<'de, D: Deserializer<'de>, T: Copy>(
    reader: D,
    values: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, D::Error> {
    let word = String::deserialize(reader)?;
    values.iter().copied().find(|value| name(*value) == word).ok_or_else(|| {
        let known: Vec<String> = values.iter().map(|value| format!("`{}`", name(*value))).collect();
        serde::de::Error::custom(format!("unknown word `{}`, expected {}", word.escape_debug(), known.join(" or ")))
    })
}

/// What a text model is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Largest number of tokens of one request, prompt and output together.
    pub context_length: u32,
    /// Number of token ids.
    pub vocabulary_size: u32,
    /// Ids that end a text.
    pub eos_token_ids: Vec<u32>,
    /// Prompts are computed in chunks that end at multiples of this, a multiple of [`BLOCK_SIZE`].
    pub prefill_chunk: u32,
    /// Bits of one weight, of most where they differ.
    pub weight_bits: u32,
    /// Texts of the special tokens that a chat template may name, by the names that transformers
    /// gives them ([`SPECIAL_TOKENS`]).
    #[serde(default)]
    pub special_tokens: BTreeMap<String, String>,
    /// What holds where a request says nothing.
    #[serde(default)]
    pub generation: GenerationDefaults,
    /// What the default profile leaves activations in, since the model answers worse otherwise:
    /// without it they are bf16 where the processor computes in it.
    pub activations: Option<Activations>,
}

/// A precision of activations that a model can ask for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Activations {
    /// 32-bit floats.
    F32,
}

/// Names of special tokens in chat templates, as transformers has them.
pub const SPECIAL_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// How the model's makers want its tokens to be chosen, from `generation_config.json`; a request
/// that gives a value of its own has its way.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct GenerationDefaults {
    /// 0 (always the most probable token) to 2.
    pub temperature: Option<f32>,
    /// Only this many of the most probable tokens, at least 1.
    pub top_k: Option<u32>,
    /// Only the most probable tokens that together reach this probability, 0 to 1.
    pub top_p: Option<f32>,
    /// Only tokens at least this share as probable as the best, 0 to below 1.
    pub min_p: Option<f32>,
    /// Above 1 makes tokens of prompt and output less likely; above 0.
    pub repetition_penalty: Option<f32>,
}

/// What an image model expects and answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Order of the axes.
    pub layout: Layout,
    /// Order of the colours.
    pub channels: Channels,
    /// How an image becomes `width` x `height`.
    pub resize: Resize,
    /// With [`Resize::Crop`]: the shorter side before the centre is cut out.
    pub resize_side: Option<u32>,
    /// Convolution used for scaling.
    pub filter: Filter,
    /// What the graph is given for each colour value.
    pub pixels: Pixels,
    /// With [`Pixels::Normalised`]: taken off, for red, green and blue.
    pub mean: Option<[f32; 3]>,
    /// With [`Pixels::Normalised`]: divided by, for red, green and blue.
    pub scale: Option<[f32; 3]>,
    /// What the scores are.
    pub scores: Scores,
    /// With quantised scores: the value of one step.
    pub score_scale: Option<f32>,
    /// With quantised scores: the step that means 0.
    pub score_zero_point: Option<i32>,
    /// Line of `labels.txt`, counted from 0, that belongs to the first score.
    pub label_offset: u32,
}

/// Order of the axes of an image tensor.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, height, width, colour.
    Nhwc,
    /// Batch, colour, height, width.
    Nchw,
}

/// Order of the colours of a pixel.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// How an image of any shape becomes the model's.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Both sides are scaled on their own.
    Stretch,
    /// The shorter side is scaled to `resize_side`, then the centre is cut out.
    Crop,
}

/// Convolution used for scaling.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Triangle.
    Bilinear,
    /// Catmull-Rom like, a = -0.5.
    Bicubic,
}

/// What the graph is given for each colour value.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Pixels {
    /// The value itself, u8.
    Raw,
    /// `(value - mean) / scale`, f32.
    Normalised,
}

/// What an image model's scores are.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Scores {
    /// f32, to be put through softmax.
    Logits,
    /// f32 in 0 to 1.
    Probabilities,
    /// u8 steps of a logit.
    QuantisedLogits,
    /// u8 steps of a probability.
    QuantisedProbabilities,
}

impl Scores {
    /// Whether the scores are u8 steps that `score_scale` and `score_zero_point` explain.
    #[must_use]
    pub fn is_quantised(self) -> bool {
        matches!(self, Self::QuantisedLogits | Self::QuantisedProbabilities)
    }
}

/// Under which licence a model is given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// SPDX expression.
    pub spdx: String,
    /// Who made the model and from what.
    pub notice: String,
}

/// Where a model comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Name of the file that was converted.
    pub source: String,
    /// SHA-256 of that file.
    pub source_sha256: String,
    /// The converter and its version.
    pub tool: String,
    /// The OpenVINO that wrote the graph.
    pub openvino: String,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| ParseError::Invalid(error.to_string()))?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(got) if got > FORMAT => return Err(ParseError::NewerFormat(got)),
            Some(got @ 1..FORMAT) => return Err(ParseError::OlderFormat(got)),
            Some(FORMAT) => {}
            _ => return Err(ParseError::Invalid(format!("`format` must be {FORMAT}"))),
        }
        let manifest: Self = toml::from_str(text).map_err(|error| ParseError::Invalid(error.to_string()))?;
        rules::check(&manifest).map_err(ParseError::Invalid)?;
        Ok(manifest)
    }

    /// Whether the model holds conversations: it has the template that makes prompts of them.
    #[must_use]
    pub fn can_chat(&self) -> bool {
        self.files.chat_template.is_some()
    }

    /// The graph's input of this role.
    #[must_use]
    pub fn input(&self, role: Role) -> Option<&Tensor> {
        self.inputs.iter().find(|tensor| tensor.role == role)
    }

    /// The graph's output of this role.
    #[must_use]
    pub fn output(&self, role: Role) -> Option<&Tensor> {
        self.outputs.iter().find(|tensor| tensor.role == role)
    }
}

/// Why a text is no manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Its format version is later than [`FORMAT`].
    NewerFormat(i64),
    /// Its format version is an earlier one.
    OlderFormat(i64),
    /// Anything else, in words.
    Invalid(String),
}
