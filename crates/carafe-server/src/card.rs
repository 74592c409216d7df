//! What there is to say of a model: what it is, how it runs, and what its certificate proves.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use carafe_host::LoadedGraph;
use carafe_models::Certificate;
use carafe_models::certificate::Comparison;
use carafe_models::folder::MANIFEST;
use carafe_models::manifest::GenerationDefaults;
use serde::Serialize;
use utoipa::ToSchema;

/// One model: OpenAI's fields, then Carafe's.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ModelCard {
    /// The model's name.
    pub(crate) id: String,
    /// Always `model`.
    object: &'static str,
    /// When the model's manifest was written, in seconds since 1970.
    created: u64,
    /// Always `carafe`.
    owned_by: &'static str,
    /// `text-generation` or `image-classification`.
    task: &'static str,
    description: String,
    /// `fast`, `latency` or `exact`: how the model runs.
    pub(crate) profile: String,
    /// Why the profile `auto` became that one on this processor; null where another was asked for.
    profile_reason: Option<&'static str>,
    /// Whether activations are in f32, whatever the profile alone would have.
    #[serde(skip)]
    keeps_f32: bool,
    /// What OpenVINO resolved the profile to on this processor.
    properties: BTreeMap<String, String>,
    /// The OpenVINO that runs the model.
    openvino: String,
    /// Tokens that a request may have, prompt and output together, as served here; text models
    /// only.
    pub(crate) context_length: Option<u32>,
    /// The same number under vLLM's name, which its clients look for.
    max_model_len: Option<u32>,
    /// Whether the model answers conversations; text models only.
    pub(crate) chat_template: Option<bool>,
    /// How tokens are chosen where a request does not say it; text models only.
    generation: Option<GenerationCard>,
    /// Number of token ids; text models only.
    vocabulary_size: Option<u32>,
    /// Memory of the KV cache in bytes; text models only.
    kv_cache_bytes: Option<u64>,
    /// Tokens that the KV cache holds, of all running requests together; text models only.
    kv_cache_tokens: Option<u64>,
    /// Width of what the model sees; image models only.
    width: Option<u32>,
    /// Height of what the model sees; image models only.
    height: Option<u32>,
    /// Number of labels; image models only.
    labels: Option<usize>,
    /// SPDX expression.
    licence: String,
    certificate: CertificateCard,
}

/// The model's own defaults; what is absent changes nothing unless a request says so.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct GenerationCard {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    min_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    repetition_penalty: Option<f32>,
}

/// What the conversion of a model proved; a report, not a signature.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct CertificateCard {
    /// Digest of the certificate's file.
    sha256: String,
    /// Whether every gate was passed.
    passed: bool,
    /// The OpenVINO that its figures were taken with.
    openvino: String,
    comparisons: Vec<ComparisonCard>,
}

/// How far a model's results are from a reference's.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ComparisonCard {
    /// Profile and reference.
    name: String,
    /// Largest error found.
    max_error: f64,
    /// Largest error allowed; null where the comparison is only reported.
    limit: Option<f64>,
    /// Share of positions with the same most probable token or label.
    argmax_agreement: Option<f64>,
}

impl ModelCard {
    /// Describes a loaded model; `openvino` is the version that runs it.
    pub(crate) fn of(graph: &LoadedGraph, openvino: &str) -> Result<Self, carafe_host::Error> {
        let folder = graph.folder();
        let manifest = folder.manifest();
        let (text, image) = (manifest.text.as_ref(), manifest.image.as_ref());
        let labels = image.map(|_| graph.labels()).transpose()?;
        let options = graph.graph().options();
        let cache = graph.graph().cache();
        let num_blocks = graph.graph().num_blocks();
        Ok(Self {
            id: manifest.name.clone(),
            object: "model",
            created: written(&folder.path().join(MANIFEST)),
            owned_by: "carafe",
            task: manifest.task.name(),
            description: manifest.description.clone(),
            profile: options.resolved_profile().to_string(),
            profile_reason: options.profile_reason(),
            keeps_f32: options.keeps_f32(),
            properties: graph.graph().properties().clone(),
            openvino: openvino.to_owned(),
            context_length: text.map(|_| graph.context_length()),
            max_model_len: text.map(|_| graph.context_length()),
            chat_template: text.map(|_| manifest.files.chat_template.is_some()),
            generation: text.map(|text| GenerationCard::of(&text.generation)),
            vocabulary_size: text.map(|text| text.vocabulary_size),
            kv_cache_bytes: cache.map(|layout| layout.block_bytes * u64::from(num_blocks)),
            kv_cache_tokens: cache.map(|layout| u64::from(layout.block_size) * u64::from(num_blocks)),
            width: image.map(|image| image.width),
            height: image.map(|image| image.height),
            labels: labels.map(|labels| String::from_utf8_lossy(&labels).lines().count()),
            licence: manifest.licence.spdx.clone(),
            certificate: CertificateCard::of(folder.certificate()?, &manifest.files.certificate.sha256),
        })
    }
}

impl ModelCard {
    /// Names this model as it runs here: its conversion (by its certificate), its profile and
    /// activations, and its OpenVINO.
    pub(crate) fn fingerprint(&self) -> String {
        let conversion: String = self.certificate.sha256.chars().take(12).collect();
        let version = self.openvino.split('-').next().unwrap_or_default();
        let activations = if self.keeps_f32 { "-f32" } else { "" };
        format!("fp_{conversion}_{}{activations}_{version}", self.profile)
    }
}

impl GenerationCard {
    fn of(defaults: &GenerationDefaults) -> Self {
        let GenerationDefaults { temperature, top_k, top_p, min_p, repetition_penalty } = *defaults;
        Self { temperature, top_k, top_p, min_p, repetition_penalty }
    }
}

impl CertificateCard {
    fn of(certificate: Certificate, sha256: &str) -> Self {
        let comparisons = certificate.logits.iter().chain(&certificate.scores);
        Self {
            sha256: sha256.to_owned(),
            passed: certificate.passed,
            openvino: certificate.openvino.clone(),
            comparisons: comparisons.map(|(name, comparison)| ComparisonCard::of(name, comparison)).collect(),
        }
    }
}

impl ComparisonCard {
    fn of(name: &str, comparison: &Comparison) -> Self {
        Self {
            name: name.to_owned(),
            max_error: comparison.max_error,
            limit: comparison.limit,
            argmax_agreement: comparison.argmax_agreement,
        }
    }
}

/// When a file was written; 0 where the system does not tell.
fn written(path: &std::path::Path) -> u64 {
    let time = std::fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(UNIX_EPOCH);
    seconds(time)
}

/// Seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
