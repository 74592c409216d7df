//! The precisions that a graph can run in, by name.
//!
//! Left alone, OpenVINO's CPU plugin picks bf16, 8-bit activations and an 8-bit KV cache on machines that have the
//! instructions, and says nothing. `fast` is that choice, named; `latency` keeps activations as they are, which is faster
//! for one sequence and slower for several; `exact` is f32 throughout. What the plugin resolved each to is read back after
//! compiling ([`Graph::properties`](crate::Graph::properties)), and a property that was set but did not stick is an error.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::error::Error;

/// A named precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// The plugin's defaults for this processor.
    #[default]
    Fast,
    /// The plugin's defaults, but without dynamic quantisation: activations are never rounded to 8 bits. A step of few rows is
    /// spared that work; one of many loses the 8-bit multiplication that it pays for.
    Latency,
    /// f32 activations and KV cache, no dynamic quantisation.
    Exact,
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
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
            Self::Fast => "fast",
            Self::Latency => "latency",
            Self::Exact => "exact",
        })
    }
}

/// How a graph is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// The precision.
    pub profile: Profile,
    /// Threads of one compute; the plugin's choice where absent.
    pub threads: Option<NonZeroU32>,
    /// Computes that run side by side, each on one thread of its own, whatever `threads` says; absent, computes take turns.
    pub side_by_side: Option<NonZeroU32>,
    /// Whether each thread stays on a processor of its own. The plugin does so by default; it gains
    /// a little where nothing else runs there, and costs up to half of the speed where something
    /// does, since the system may not move the threads out of its way.
    pub pins_threads: bool,
}

const FAST: &[(&str, &str)] = &[("PERFORMANCE_HINT", "LATENCY")];

const LATENCY: &[(&str, &str)] = &[("PERFORMANCE_HINT", "LATENCY"), ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "0")];

const EXACT: &[(&str, &str)] =
    &[("INFERENCE_PRECISION_HINT", "f32"), ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "0"), ("KV_CACHE_PRECISION", "f32")];

/// Kernels that the plugin keeps for shapes it has seen, under every profile. Each new B*S costs about a megabyte of host
/// memory, and whoever chooses the shapes is not trusted: with the plugin's own limit of 5000 they could claim gigabytes.
/// The plugin does not tell this property back.
pub(crate) const KEPT_KERNELS: (&str, &str) = ("CPU_RUNTIME_CACHE_CAPACITY", "512");

/// Threads of all computes together.
pub(crate) const NUM_THREADS: &str = "INFERENCE_NUM_THREADS";

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
    "KV_CACHE_PRECISION",
    "NUM_STREAMS",
    "PERFORMANCE_HINT",
    "SCHEDULING_CORE_TYPE",
];

impl Options {
    /// The plugin properties to set, in order.
    pub(crate) fn properties(&self) -> Vec<(&'static str, String)> {
        let named = match self.profile {
            Profile::Fast => FAST,
            Profile::Latency => LATENCY,
            Profile::Exact => EXACT,
        };
        // A stream runs one compute at a time, and the streams share the threads out evenly.
        let streams = ("NUM_STREAMS", self.side_by_side.map_or(1, NonZeroU32::get).to_string());
        let threads = self.side_by_side.or(self.threads);
        let threads = threads.map(|threads| (NUM_THREADS, threads.get().min(MAX_THREADS).to_string()));
        let pinning = ("ENABLE_CPU_PINNING", if self.pins_threads { "YES" } else { "NO" }.to_owned());
        named.iter().map(|&(key, value)| (key, value.to_owned())).chain([streams, pinning]).chain(threads).collect()
    }
}
