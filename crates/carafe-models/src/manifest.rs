//! `model.toml`, format 1: the types that it is read into and the rules they obey.
//!
//! A manifest is the whole of what Carafe knows about a model: no model's name, size or preprocessing stands in code. Reading is
//! strict: an unknown key, a missing key and a value that contradicts another one are errors. [`Manifest::parse`] is the only way in,
//! so a `Manifest` in hand has been checked.

use serde::Deserialize;

mod rules;

/// The manifest format that this version reads.
pub const FORMAT: i64 = 1;

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
    /// The graph's inputs.
    pub inputs: Vec<Tensor>,
    /// The graph's outputs.
    pub outputs: Vec<Tensor>,
    /// What one compute may ask for; text models only.
    pub bounds: Option<Bounds>,
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
    /// One label a line; image models only.
    pub labels: Option<File>,
    /// What the conversion proved.
    pub certificate: File,
}

impl Files {
    /// All files that the manifest names, in the order of the format's description.
    pub fn all(&self) -> impl Iterator<Item = &File> {
        [Some(&self.graph), Some(&self.weights), self.tokenizer.as_ref(), self.labels.as_ref(), Some(&self.certificate)]
            .into_iter()
            .flatten()
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
    pub role: Role,
    /// Type of its elements.
    #[serde(rename = "type")]
    pub element: Element,
    /// Its dimensions.
    pub shape: Vec<Dimension>,
}

/// What an input or output means; the host's checks of values follow from it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Token ids.
    InputIds,
    /// Position of each token in its own sequence.
    PositionIds,
    /// 1 where a position of the cache is seen, 0 where it is not.
    AttentionMask,
    /// Row of the step before that each row continues.
    BeamIdx,
    /// Positions of the flattened step whose logits are wanted.
    LogitIdx,
    /// An image.
    Pixels,
    /// One score a token.
    Logits,
    /// One score a label.
    Scores,
}

/// Type of a tensor's elements; none is wider than 32 bits.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 32 bits.
    I32,
    /// Floating point, 32 bits.
    F32,
}

/// One dimension of a tensor.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Dimension {
    /// Always the same.
    Fixed(u32),
    /// Follows the step.
    Symbol(Symbol),
}

/// A dimension that changes from step to step.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Symbol {
    /// Rows of the batch.
    #[serde(rename = "B")]
    Batch,
    /// Positions of a row in this step.
    #[serde(rename = "S")]
    Step,
    /// Positions of a row, this step included.
    #[serde(rename = "P+S")]
    Total,
    /// Positions whose logits are wanted.
    #[serde(rename = "N")]
    Logits,
}

/// What one compute may ask for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Largest B.
    pub batch: u32,
    /// Largest S.
    pub step: u32,
    /// Largest N.
    pub logits: u32,
    /// Largest B * (P + S).
    pub positions: u32,
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
    pub end_of_text: Vec<u32>,
    /// Bits of one weight.
    pub weight_bits: u32,
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
            Some(FORMAT) => {}
            _ => return Err(ParseError::Invalid(format!("`format` must be {FORMAT}"))),
        }
        let manifest: Self = toml::from_str(text).map_err(|error| ParseError::Invalid(error.to_string()))?;
        rules::check(&manifest).map_err(ParseError::Invalid)?;
        Ok(manifest)
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
    /// Anything else, in words.
    Invalid(String),
}
