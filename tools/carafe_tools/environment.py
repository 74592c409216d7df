"""What a certificate must name: the OpenVINO version, the processor, and the profiles.

A profile is a set of CPU plugin properties. The plugin silently picks bf16, 8-bit activations and
an 8-bit KV cache where the processor has the instructions, so Carafe names its choice: `fast` takes
the plugin's activations, `latency` does without 8-bit ones, `exact` computes in f32 throughout. The
KV cache is f32 in `exact`, and else bf16 where the processor computes in it, or f16. `auto` is
`fast` where the processor has VNNI, else `latency`. `fast-f32` and `latency-f32` leave activations
in f32 where the processor computes in bf16. `read_model` and `compile_model` are the only
places of the tools that do so, and `resolved_properties` says what the plugin made of a profile.
"""

import resource
from pathlib import Path
from typing import Any

import openvino as ov

from carafe_tools.errors import ConversionError


def _cpuinfo() -> dict[str, str]:
    fields: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields


PROCESSOR_FLAGS = frozenset(_cpuinfo().get("flags", "").split())
HALF = "bf16" if "avx512_bf16" in PROCESSOR_FLAGS else "f16"
HAS_VNNI = bool(PROCESSOR_FLAGS & {"avx512_vnni", "avx_vnni"})
AUTO = "fast" if HAS_VNNI else "latency"
COMMON: dict[str, Any] = {"NUM_STREAMS": 1, "KV_CACHE_PRECISION": HALF}
# what a model's manifest can ask for, in every profile but `exact`, which has it
ACTIVATIONS: dict[str, dict[str, Any]] = {"f32": {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f16"}}
PROFILES: dict[str, dict[str, Any]] = {
    "fast": {**COMMON, "PERFORMANCE_HINT": "LATENCY"},
    "latency": {**COMMON, "PERFORMANCE_HINT": "LATENCY", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0},
    "exact": {
        **COMMON,
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        "KV_CACHE_PRECISION": "f32",
    },
}
PROFILES |= {
    f"{name}-{activations}": {**PROFILES[name], **properties}
    for name in ("fast", "latency")
    for activations, properties in ACTIVATIONS.items()
}
PROFILES["auto"] = PROFILES[AUTO]
RESOLVED = (
    "INFERENCE_PRECISION_HINT",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE",
    "KV_CACHE_PRECISION",
    "NUM_STREAMS",
    "INFERENCE_NUM_THREADS",
    "PERFORMANCE_HINT",
    "EXECUTION_MODE_HINT",
)
# the instructions that decide which kernels the plugin picks
FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16")


def with_activations(profile: str, activations: str | None) -> str:
    """Return the name of a profile with the activations that a model asks for."""
    return profile if activations is None or profile == "exact" else f"{profile}-{activations}"


def openvino_version() -> str:
    """Return the full version text of the OpenVINO in use."""
    return ov.get_version()


def compile_model(model: ov.Model, profile: str, threads: int | None = None) -> ov.CompiledModel:
    """Compile a graph for the CPU under a named profile."""
    properties = dict(PROFILES[profile])
    if threads is not None:
        properties["INFERENCE_NUM_THREADS"] = threads
    return ov.Core().compile_model(model, "CPU", properties)


def read_model(path: Path) -> ov.Model:
    """Return a graph, an IR or a .tflite, as OpenVINO reads it."""
    try:
        return ov.Core().read_model(path)
    except RuntimeError as error:
        raise ConversionError(f"OpenVINO cannot read `{path}`: {str(error).strip().splitlines()[-1]}") from error


def resolved_properties(compiled: ov.CompiledModel) -> dict[str, str]:
    """Return what the plugin resolved a profile to, as text."""
    return {name: _text(compiled.get_property(name)) for name in RESOLVED}


def processor() -> dict[str, Any]:
    """Return the processor's name and those of its flags that decide kernels."""
    fields = _cpuinfo()
    present = set(fields.get("flags", "").split())
    return {"name": fields.get("model name", "unknown"), "flags": [flag for flag in FLAGS if flag in present]}


def peak_memory_bytes() -> int:
    """Return the highest resident size that this process has had."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    high_water = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    # getrusage's figure is inherited from the parent process, so it is the second choice
    return int(high_water or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


def _text(value: Any) -> str:
    return value.to_string() if isinstance(value, ov.Type) else str(getattr(value, "name", value))
