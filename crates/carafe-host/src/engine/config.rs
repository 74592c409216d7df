//! The one configuration of wasmtime, shared by the build script that precompiles the guests and
//! the host that runs them.
//!
//! It names the target and a processor baseline: without them Cranelift would compile for the build
//! machine's own features, and another machine would refuse the result.

use wasmtime::{Config, Result, WasmBacktraceDetails};

/// Instructions of x86-64-v3 that Cranelift knows.
const X86_64_V3: [&str; 10] = [
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_avx",
    "has_avx2",
    "has_fma",
    "has_bmi1",
    "has_bmi2",
];

/// The engine's configuration for a target triple.
///
/// # Errors
/// If wasmtime does not know the target.
pub(crate) fn engine_config(target: &str) -> Result<Config> {
    let mut config = common_config();
    config.target(target)?;
    if target.starts_with("x86_64") {
        enable_baseline(&mut config);
    }
    Ok(config)
}

/// What does not depend on the processor: epochs bound the guests' time, and no relaxed SIMD, so
/// that the same guest gives the same bits everywhere.
pub(crate) fn common_config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true).wasm_relaxed_simd(false).wasm_component_model(true);
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

#[expect(unsafe_code, reason = "wasmtime marks processor flags unsafe")]
fn enable_baseline(config: &mut Config) {
    for flag in X86_64_V3 {
        // SAFETY: a flag makes Cranelift emit instructions that a processor may lack; wasmtime
        // checks every enabled flag against the processor when it makes an engine and when it loads
        // an artifact, and refuses if one is missing.
        unsafe { config.cranelift_flag_enable(flag) };
    }
}
