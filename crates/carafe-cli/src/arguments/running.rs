//! Flags of every command that runs a model: where models are, and how they run.

use std::num::NonZeroU32;
use std::path::PathBuf;

use carafe_models::manifest::is_prefill_chunk;
use carafe_openvino::{Activations, KvCachePrecision, Profile};
use clap::{Args, ValueEnum};

use crate::bytes::Bytes;
use crate::environment;

/// Where models are.
#[derive(Clone, Debug, Args)]
pub(crate) struct ModelDirectories {
    /// Folder of model folders, or one model folder, to search first [then: CARAFE_MODELS, the
    /// user's data folder, the user's cache, the bundled models].
    #[arg(long = "models", value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
}

/// How a model is run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Running {
    #[command(flatten)]
    pub(crate) directories: ModelDirectories,
    /// Precision: `fast` (OpenVINO's own choice), `latency` (the same without 8-bit activations,
    /// faster for one text at a time), `exact` (32-bit floats throughout) or `auto` (`fast` on a
    /// processor with VNNI, else `latency`).
    #[arg(long, env = environment::PROFILE, default_value_t = Profile::Auto)]
    pub(crate) profile: Profile,
    /// Type of activations: `f32`, or `auto` (bf16 where the processor computes in it) [default:
    /// what the model asks for with the profile `auto`, else `auto`].
    #[arg(long, env = environment::ACTIVATIONS, value_name = "TYPE")]
    pub(crate) activations: Option<Activations>,
    /// Memory for a text model's KV cache, like `2GiB` [default: enough for 64 full contexts, but at
    /// most half of the memory that the process may still take].
    #[arg(long, env = environment::KV_CACHE, value_name = "SIZE")]
    pub(crate) kv_cache: Option<Bytes>,
    /// Type of the KV cache's elements: `f32`, `f16`, `bf16` (where the processor computes in it)
    /// or `u8` (results then depend on what else runs) [default: f32 in `exact`, else bf16 or f16].
    #[arg(long, env = environment::KV_CACHE_PRECISION, value_name = "TYPE")]
    pub(crate) kv_cache_precision: Option<KvCachePrecision>,
    /// Compute prompts in chunks that end at multiples of this, itself a multiple of 32. Larger
    /// chunks are faster, and running requests wait longer between tokens [default: the model's,
    /// twice that where the processor has AMX and activations are bf16, or VNNI in `fast`].
    #[arg(long, env = environment::PREFILL_CHUNK, value_name = "TOKENS", value_parser = parse_prefill_chunk)]
    pub(crate) prefill_chunk: Option<u32>,
    /// Most tokens of one request, prompt and output together. If the KV cache cannot hold them, the
    /// command fails [default: the model's context, or as much of it as the KV cache holds].
    #[arg(long, env = environment::CONTEXT_LENGTH, value_name = "TOKENS")]
    pub(crate) context_length: Option<NonZeroU32>,
    /// Threads of one computation, at most one for each processor [default: OpenVINO's choice].
    #[arg(long, env = environment::THREADS, value_name = "N")]
    pub(crate) threads: Option<NonZeroU32>,
    /// Pin each of OpenVINO's threads to a processor. That is a little faster where nothing else
    /// runs there, and far slower where something does. `auto` pins only to processors that the
    /// kernel isolates.
    #[arg(long, env = environment::CPU_PINNING, value_name = "WHEN", value_enum, default_value_t = CpuPinning::Auto)]
    pub(crate) cpu_pinning: CpuPinning,
    /// Most memory of each guest (sandbox), in MiB, below 4096.
    #[arg(long, env = environment::GUEST_MEMORY, value_name = "MIB", default_value_t = 256,
        value_parser = clap::value_parser!(u64).range(1..4096))]
    pub(crate) guest_memory: u64,
}

/// When OpenVINO's threads are pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CpuPinning {
    /// Where the kernel isolates the processors.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

fn parse_prefill_chunk(text: &str) -> Result<u32, String> {
    let chunk = text.parse().ok().filter(|chunk| is_prefill_chunk(*chunk));
    chunk.ok_or_else(|| "expected a multiple of 32".to_owned())
}
