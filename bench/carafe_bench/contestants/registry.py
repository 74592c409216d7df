"""All contestants by name: what each is, what it takes part in, and which package it needs.

A contestant's module is imported only in the contestant's own process.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path

from carafe_bench.contestant import Contestant, MissingError, Settings

TEXT = frozenset({"decode", "prefill", "aggregate", "width", "context"})
SHARING = frozenset({"second-turn", "shared-prompt", "mixed-chat"})
RESOURCES = frozenset({"start", "start-cold", "memory"})


@dataclass(frozen=True)
class Entry:
    """A contestant before it is made."""

    title: str
    place: str  # module and class
    scenarios: frozenset[str]
    peer: str = ""  # the lock of peers/ that it needs
    is_native_peer: bool = False  # an engine without a sandbox that Carafe is compared with
    measures_itself: bool = False  # runs `start` and `memory` with programs of its own; else the worker does, with another worker


ENTRIES = {
    "carafe": Entry(
        "Carafe, sandboxed, in process (`carafe bench`)",
        "carafe_process.Sandboxed",
        TEXT | RESOURCES | {"speculation", "sampling"},
        measures_itself=True,
    ),
    "carafe-native": Entry(
        "Carafe without the sandbox (`carafe bench --native`)", "carafe_process.Native", TEXT | RESOURCES, measures_itself=True
    ),
    "carafe-latency": Entry(
        "Carafe, sandboxed, in process, profile `latency`",
        "carafe_process.Latency",
        TEXT - {"width", "context"},
        measures_itself=True,
    ),
    "carafe-server": Entry(
        "Carafe, sandboxed, through its server",
        "carafe_server.CarafeServer",
        TEXT | RESOURCES | {"mixed", "long-texts", "fairness"} | SHARING,
        measures_itself=True,
    ),
    "carafe-server-no-prefix-cache": Entry(
        "Carafe, sandboxed, through its server, prefix cache off", "carafe_server.CarafeServerNoPrefixCache", SHARING
    ),
    "python-loop": Entry(
        "OpenVINO, a plain Python loop over the same graph", "python_loop.PythonLoop", TEXT | RESOURCES, is_native_peer=True
    ),
    "genai-sdpa": Entry(
        "openvino-genai LLMPipeline, SDPA", "genai.Sdpa", TEXT - {"aggregate", "width"} | RESOURCES, "openvino-genai", True
    ),
    "genai-pa": Entry(
        "openvino-genai LLMPipeline, paged attention",
        "genai.PagedAttention",
        TEXT - {"aggregate", "width", "context"} | RESOURCES,
        "openvino-genai",
        True,
    ),
    "genai-continuous": Entry(
        "openvino-genai ContinuousBatchingPipeline",
        "genai.Continuous",
        TEXT | RESOURCES | {"mixed"} | SHARING,
        "openvino-genai",
        True,
    ),
    "genai-prefix-cache": Entry(
        "openvino-genai ContinuousBatchingPipeline, prefix cache on",
        "genai.ContinuousPrefixCache",
        SHARING,
        "openvino-genai",
        True,
    ),
    "llama-cpp": Entry(
        "llama.cpp, in process, parallel batch",
        "llama.LlamaCpp",
        TEXT | RESOURCES | {"mixed", "mixed-chat", "second-turn"},
        "llama-cpp",
        True,
    ),
    "llama-cpp-server": Entry(
        "llama.cpp through llama-cpp-python's server",
        "llama_server.LlamaServer",
        frozenset({"decode", "prefill", "aggregate", "mixed", "start", "memory"}),
        "llama-cpp",
        True,
        True,
    ),
    "litert": Entry(
        "LiteRT on the source .tflite, [1,64] computed for every token",
        "litert.LiteRt",
        frozenset({"decode"}) | RESOURCES,
        is_native_peer=True,
    ),
    "carafe-image": Entry("Carafe, sandboxed, in process (`carafe bench`)", "carafe_process.Images", frozenset({"images"})),
    "carafe-image-server": Entry(
        "Carafe, sandboxed, through its server", "carafe_server.CarafeImageServer", frozenset({"images"})
    ),
    "openvino-pillow": Entry("OpenVINO in Python, Pillow", "python_images.Pillow", frozenset({"images"}), is_native_peer=True),
    "openvino-opencv": Entry("OpenVINO in Python, OpenCV", "opencv_images.OpenCv", frozenset({"images"}), "opencv", True),
}


def make(name: str, settings: Settings) -> Contestant:
    """Import and make a contestant; what cannot be imported is missing."""
    module, _, class_ = ENTRIES[name].place.partition(".")
    try:
        found = importlib.import_module(f"carafe_bench.contestants.{module}")
    except ImportError as error:
        raise MissingError(_reason(ENTRIES[name].peer, error)) from error
    return getattr(found, class_)(settings)


def _reason(peer: str, error: ImportError) -> str:
    """Say why a package is not there: what its installation said, if that failed."""
    failure = Path("target/bench/failed") / f"{peer}.txt"
    if peer and failure.exists():
        last = failure.read_text(encoding="utf-8").strip().splitlines()[-1]
        return f"`bench/peers/{peer}.txt` could not be installed: {last}"
    return f"{error}; `cargo xtask bench` installs it"
