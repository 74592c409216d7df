//! The precisions that a graph can run in, by name.
//!
//! Left alone, OpenVINO's CPU plugin picks bf16, 8-bit activations and an 8-bit KV cache on
//! machines that have the instructions, and says nothing. `fast` is its choice of activations,
//! named; `latency` does not round them to 8 bits, which is faster for one sequence and slower for
//! several; `exact` is f32 throughout; `auto` is one of these, decided by what the processor has,
//! never by a timing. [`Activations`] leave them in f32 where the plugin would take bf16. What the
//! plugin resolved each to is read back after compiling
//! ([`Graph::properties`](crate::Graph::properties)), and a property that was set but did not stick
//! is an error.
//!
//! A KV cache of 8 bits quantises keys by block, so that results depend on how a block was filled.
//! So no profile has one; it is had by [`Options::kv_cache_precision`] alone. Without it the cache
//! is f32 in `exact`, and else as wide as the activations, or half of that: bf16 where these are,
//! f16 where they are f32.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::error::Error;

/// A named precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `fast` on a processor with 8-bit dot products (VNNI), else `latency`: without VNNI both are
    /// equally fast, and the latter is the more precise.
    #[default]
    Auto,
    /// The plugin's activations for this processor.
    Fast,
    /// The plugin's defaults, but without dynamic quantisation: activations are never rounded to 8
    /// bits. A step of few rows is spared that work; one of many loses the 8-bit multiplication
    /// that it pays for.
    Latency,
    /// f32 activations and KV cache, no dynamic quantisation.
    Exact,
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "auto" => Ok(Self::Auto),
            "fast" => Ok(Self::Fast),
            "latency" => Ok(Self::Latency),
            "exact" => Ok(Self::Exact),
            _ => Err(Error::UnknownProfile { name: name.to_owned() }),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::Fast => "fast",
            Self::Latency => "latency",
            Self::Exact => "exact",
        })
    }
}

/// Whether the processor multiplies 8-bit integers four at a time.
#[cfg(target_arch = "x86_64")]
fn has_vnni() -> bool {
    std::is_x86_feature_detected!("avx512vnni") || std::is_x86_feature_detected!("avxvnni")
}

/// Whether the processor computes in bf16, so that the plugin's activations are of that type.
#[cfg(target_arch = "x86_64")]
fn has_bf16() -> bool {
    std::is_x86_feature_detected!("avx512bf16")
}

/// Whether the processor multiplies tiles of bf16, which `cpuid` says in bit 22 of EDX of leaf 7.
#[cfg(target_arch = "x86_64")]
fn has_amx() -> bool {
    has_bf16() && std::arch::x86_64::__cpuid_count(7, 0).edx >> 22 & 1 == 1
}

/// The type of the elements of a KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvCachePrecision {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// The upper half of 32-bit floats; the processor must compute in it.
    Bf16,
    /// 8-bit integers, with a scale for each token's values and each block's keys.
    U8,
}

impl KvCachePrecision {
    /// The type in OpenVINO's words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::U8 => "u8",
        }
    }
}

impl FromStr for KvCachePrecision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Self::F32, Self::F16, Self::Bf16, Self::U8];
        let found = all.into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| Error::UnknownPrecision { name: name.to_owned() })
    }
}

impl fmt::Display for KvCachePrecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The type of activations, wherever they are not rounded to 8 bits for one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activations {
    /// The plugin's choice: bf16 where the processor computes in it, else f32.
    Auto,
    /// f32.
    F32,
}

impl FromStr for Activations {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            _ => Err(Error::UnknownActivations { name: name.to_owned() }),
        }
    }
}

impl fmt::Display for Activations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
        })
    }
}

/// How a graph is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// The precision.
    pub profile: Profile,
    /// The type of activations; what the model asks for where absent and the profile is `auto`,
    /// else the profile's.
    pub activations: Option<Activations>,
    /// Elements of a decoder's KV cache; the profile's choice where absent.
    pub kv_cache_precision: Option<KvCachePrecision>,
    /// Threads of one compute; the plugin's choice where absent.
    pub threads: Option<NonZeroU32>,
    /// Computes that run side by side, each on one thread of its own, whatever `threads` says;
    /// absent, computes take turns.
    pub side_by_side: Option<NonZeroU32>,
    /// Whether each thread stays on a processor of its own. The plugin does so by default; it gains
    /// a little where nothing else runs there, and costs up to half of the speed where something
    /// does, since the system may not move the threads out of its way.
    pub pins_threads: bool,
}

const FAST: &[(&str, &str)] = &[("PERFORMANCE_HINT", "LATENCY")];

const LATENCY: &[(&str, &str)] = &[("PERFORMANCE_HINT", "LATENCY"), ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "0")];

const F32_ACTIVATIONS: (&str, &str) = ("INFERENCE_PRECISION_HINT", "f32");

const EXACT: &[(&str, &str)] = &[F32_ACTIVATIONS, ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "0")];

/// Kernels that the plugin keeps for shapes it has seen, under every profile. Each new B*S costs
/// about a megabyte of host memory, and those who choose the shapes are not trusted: with the
/// plugin's own limit of 5000 they could claim gigabytes. The plugin does not tell this property
/// back.
pub(crate) const KEPT_KERNELS: (&str, &str) = ("CPU_RUNTIME_CACHE_CAPACITY", "512");

/// Threads of all computes together.
pub(crate) const NUM_THREADS: &str = "INFERENCE_NUM_THREADS";

/// The elements of a KV cache.
pub(crate) const KV_CACHE_PRECISION: &str = "KV_CACHE_PRECISION";

/// The largest number that the plugin can read.
const MAX_THREADS: u32 = i32::MAX.unsigned_abs();

/// What is read back and reported after compiling.
pub(crate) const REPORTED: &[&str] = &[
    "DYNAMIC_QUANTIZATION_GROUP_SIZE",
    "ENABLE_CPU_PINNING",
    "ENABLE_HYPER_THREADING",
    "EXECUTION_DEVICES",
    "EXECUTION_MODE_HINT",
    NUM_THREADS,
    "INFERENCE_PRECISION_HINT",
    KV_CACHE_PRECISION,
    "NUM_STREAMS",
    "PERFORMANCE_HINT",
    "SCHEDULING_CORE_TYPE",
];

impl Options {
    /// The profile that is meant on this processor.
    #[must_use]
    pub fn resolved_profile(&self) -> Profile {
        match self.profile {
            Profile::Auto if has_vnni() => Profile::Fast,
            Profile::Auto => Profile::Latency,
            named => named,
        }
    }

    /// The same options with the activations that a model asks for, where nobody chose any.
    #[must_use]
    pub fn for_model(&self, asks_for: Option<Activations>) -> Self {
        let is_free = self.profile == Profile::Auto && self.activations.is_none();
        Self { activations: if is_free { asks_for } else { self.activations }, ..*self }
    }

    /// Whether activations are in f32 where the profile alone would not say so.
    #[must_use]
    pub fn keeps_f32(&self) -> bool {
        self.activations == Some(Activations::F32) && self.resolved_profile() != Profile::Exact
    }

    fn computes_in_bf16(&self) -> bool {
        has_bf16() && !self.keeps_f32() && self.resolved_profile() != Profile::Exact
    }

    /// Whether many rows of a product cost little more than few here, so that a long chunk of a
    /// prompt takes little more time than a short one: where they are multiplied in 8 bits (VNNI)
    /// or as whole tiles of bf16 (AMX).
    #[must_use]
    pub fn favours_long_chunks(&self) -> bool {
        (has_vnni() && self.resolved_profile() == Profile::Fast) || (has_amx() && self.computes_in_bf16())
    }

    /// Why `auto` stands for that profile here; nothing for the others.
    #[must_use]
    pub fn profile_reason(&self) -> Option<&'static str> {
        let reason = if has_vnni() { "this processor has VNNI" } else { "this processor has no VNNI" };
        (self.profile == Profile::Auto).then_some(reason)
    }

    /// The plugin properties to set, in order.
    pub(crate) fn properties(&self) -> Vec<(&'static str, String)> {
        let named = match self.resolved_profile() {
            Profile::Auto | Profile::Fast => FAST,
            Profile::Latency => LATENCY,
            Profile::Exact => EXACT,
        };
        let cache = (KV_CACHE_PRECISION, self.cache_precision().name().to_owned());
        // A stream runs one compute at a time, and the streams share the threads out evenly.
        let streams = ("NUM_STREAMS", self.side_by_side.map_or(1, NonZeroU32::get).to_string());
        let threads = self.side_by_side.or(self.threads);
        let threads = threads.map(|threads| (NUM_THREADS, threads.get().min(MAX_THREADS).to_string()));
        let activations = self.keeps_f32().then(|| (F32_ACTIVATIONS.0, F32_ACTIVATIONS.1.to_owned()));
        let pinning = ("ENABLE_CPU_PINNING", if self.pins_threads { "YES" } else { "NO" }.to_owned());
        named
            .iter()
            .map(|&(key, value)| (key, value.to_owned()))
            .chain([streams, pinning, cache])
            .chain(activations)
            .chain(threads)
            .collect()
    }

    /// Refuses what the plugin cannot compile, before it says so in its own words.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (cache, profile, is_bf16) = (self.cache_precision(), self.resolved_profile(), self.computes_in_bf16());
        let (activations, possible) =
            if is_bf16 { ("bf16", "`bf16` or `u8`") } else { ("f32", "`f32`, `f16` or `u8`") };
        if cache == KvCachePrecision::U8 || is_bf16 == (cache == KvCachePrecision::Bf16) {
            return Ok(());
        }
        Err(Error::CacheMismatch { cache: cache.name(), activations, possible, profile: profile.to_string() })
    }

    fn cache_precision(&self) -> KvCachePrecision {
        let by_profile = match self.resolved_profile() {
            Profile::Exact => KvCachePrecision::F32,
            _ if self.computes_in_bf16() => KvCachePrecision::Bf16,
            _ => KvCachePrecision::F16,
        };
        self.kv_cache_precision.unwrap_or(by_profile)
    }
}
