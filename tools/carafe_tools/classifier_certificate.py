"""Makes the certificate of an image model: the proof that the saved graph computes what its source
does.

Goes in: a folder with the saved graph, the source .tflite and some pictures. Comes out: the
contents of `certificate.json`. The pictures, noise and blurred noise are scored by LiteRT with each
of its sets of kernels, by the saved graph in both profiles, and by OpenVINO's own reading of the
source before it was narrowed.

LiteRT's kernels do not agree among themselves: they round fixed-point products differently, and 50
layers amplify it. How far they lie apart is therefore the limit for the converted graph. Errors are
in steps of the score where the scores are u8.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from ai_edge_litert.interpreter import OpResolverType
from PIL import Image

from carafe_tools.certificate import IMAGE_TASK, RELOADS, REPEATS, describe, load_graph
from carafe_tools.classifier_pixels import read_input
from carafe_tools.comparison import Comparison, compare, reported
from carafe_tools.environment import compile_model, read_model, resolved_properties
from carafe_tools.litert import LiteRt
from carafe_tools.progress import Progress

TASK = IMAGE_TASK
STEPS = 4  # that `certify_image` tells of
SEED = 20250101
NOISE, BLURRED = 16, 12
COARSEST = 12  # blurred noise begins with at most as many pixels a side
SMALLEST_LIMIT = 1.0  # one step
KERNELS = {
    "default": OpResolverType.AUTO,
    "reference": OpResolverType.BUILTIN_REF,
    "undelegated": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}
PATTERN_FORMULA = "pixel i of the flattened input is (i * 37 + (i / 1000) * 11) % 256 with integer division"
PATTERN_TOP = 5

Scores = list[np.ndarray]  # a row [1, classes] for each input


@dataclass(frozen=True, eq=False)
class ImageEvidence:
    """What a certificate is made from."""

    folder: Path  # of the saved graph
    name: str
    source: Path
    rule: dict[str, Any]  # the manifest's `[image]`
    pictures: list[Path]


def certify_image(evidence: ImageEvidence, progress: Progress) -> dict[str, Any]:
    """Return the certificate of an image model."""
    graph = load_graph(evidence.folder)
    shape = tuple(graph.input(0).shape)
    pictures = [read_input(path, evidence.rule) for path in evidence.pictures]
    inputs = pictures + _random_inputs(shape)
    progress.step("certify: LiteRT with each of its sets of kernels")
    litert = {name: _litert_scores(evidence.source, kernels, inputs) for name, kernels in KERNELS.items()}
    progress.step("certify: profile `exact`")
    faithful = _scores(compile_model(read_model(evidence.source), "exact"), inputs)
    exact = _Profile(graph, evidence.folder, "exact", inputs)
    progress.step("certify: profile `fast`")
    fast = _Profile(graph, evidence.folder, "fast", inputs)
    progress.step("certify: memory")
    scores = _comparisons(exact.scores, fast.scores, faithful, litert, len(pictures))
    bit_identical = {"exact": exact.bit_identical, "fast": fast.bit_identical}
    return {
        **describe(evidence.folder, evidence.name, TASK, evidence.source.stat().st_size),
        "profiles": {"fast": fast.properties, "exact": exact.properties},
        "scores": scores,
        "pattern": {"formula": PATTERN_FORMULA, "profile": "exact", "top": _pattern_top(exact.compiled, shape)},
        "determinism": {"repeats": REPEATS, "reloads": RELOADS, "bit_identical": bit_identical},
        "passed": all(entry["passed"] is not False for entry in scores.values()) and all(bit_identical.values()),
    }


def best(row: np.ndarray, count: int) -> list[int]:
    """Return the indices of the largest values, ties going to the lower index."""
    return np.argsort(-row.astype(np.float64), kind="stable")[:count].tolist()


def _comparisons(exact: Scores, fast: Scores, faithful: Scores, litert: dict[str, Scores], pictures: int) -> dict[str, Any]:
    reference = litert["default"]
    kernels = {name: compare(scores, reference) for name, scores in litert.items() if name != "default"}
    limit = max(SMALLEST_LIMIT, *(comparison.max_error for comparison in kernels.values()))
    entries = {
        "exact_against_faithful": _equal(compare(exact, faithful)),
        "exact_against_litert": _within(compare(exact, reference), limit),
        "fast_against_litert": reported(compare(fast, reference)),
        "fast_against_exact": reported(compare(fast, exact)),
    }
    if pictures:
        entries["exact_against_litert_pictures"] = _within(compare(exact[:pictures], reference[:pictures]), limit)
        entries["fast_against_litert_pictures"] = reported(compare(fast[:pictures], reference[:pictures]))
    return entries | {f"litert_{name}_kernels_against_litert": reported(comparison) for name, comparison in kernels.items()}


def _equal(comparison: Comparison) -> dict[str, Any]:
    gate = "narrowed to 32 bits, saved and loaded, the graph gives the same bits"
    return {**reported(comparison), "gate": gate, "limit": 0.0, "passed": comparison.max_error == 0}


def _within(comparison: Comparison, limit: float) -> dict[str, Any]:
    agreement, decided = comparison.agreement(limit)
    gate = "error at most what LiteRT's own kernels differ by, argmax equal where the margin exceeds that"
    passed = comparison.max_error <= limit and agreement == 1.0
    return {**reported(comparison), "gate": gate, "limit": limit, "decided": decided, "passed": passed}


def _random_inputs(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return noise, and coarse noise blown up smoothly, which reaches layers that fine noise
    averages away.
    """
    generator = np.random.default_rng(SEED)
    noise = [generator.integers(0, 256, shape, np.uint8) for _ in range(NOISE)]
    coarse = [generator.integers(0, 256, (*generator.integers(2, COARSEST, 2), 3), np.uint8) for _ in range(BLURRED)]
    size = (shape[2], shape[1])
    return noise + [np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC))[None] for values in coarse]


def _litert_scores(path: Path, kernels: OpResolverType, inputs: list[np.ndarray]) -> Scores:
    litert = LiteRt(path, kernels)
    return [litert.run(values).astype(np.float32) for values in inputs]


def _scores(compiled: ov.CompiledModel, inputs: list[np.ndarray]) -> Scores:
    request = compiled.create_infer_request()
    return [request.infer([values])[0].astype(np.float32) for values in inputs]


class _Profile:
    """All that is computed with the saved graph in one profile."""

    def __init__(self, graph: ov.Model, folder: Path, profile: str, inputs: list[np.ndarray]) -> None:
        self.compiled = compile_model(graph, profile)
        self.properties = resolved_properties(self.compiled)
        self.scores = _scores(self.compiled, inputs)
        again = [_scores(self.compiled, inputs) for _ in range(REPEATS)]
        again += [_scores(compile_model(load_graph(folder), profile), inputs) for _ in range(RELOADS)]
        self.bit_identical = all(np.array_equal(scores, self.scores) for scores in again)


def _pattern_top(compiled: ov.CompiledModel, shape: tuple[int, ...]) -> list[list[Any]]:
    index = np.arange(np.prod(shape), dtype=np.int64)
    pixels = ((index * 37 + index // 1000 * 11) % 256).astype(np.uint8).reshape(shape)
    row = _scores(compiled, [pixels])[0][0]
    return [[index, float(row[index])] for index in best(row, PATTERN_TOP)]
