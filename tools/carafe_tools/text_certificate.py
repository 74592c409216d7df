"""Makes the certificate of a text model: the proof that the saved graph computes what its source does.

Goes in: a folder with the saved graph, and the source that it was made from. Comes out: the contents of `certificate.json`.
The logits of a few sequences, real text and random ids, are computed by numpy in float64 and by the saved graph in every
profile, its KV cache in pages as Carafe runs it: in one step and in several, beside other sequences, and after rejected
drafts. In `exact` the graph is also run as its file has it, stateful. Of a .tflite the logits are also computed by LiteRT and
by OpenVINO's own reading of it; of a Hugging Face folder with the weights before they were rounded to 8 bits. Then all are
compared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from tokenizers import Tokenizer

from carafe_tools.certificate import RELOADS, REPEATS, describe, load_graph
from carafe_tools.comparison import Comparison, compare, gated, gated_agreement, reported
from carafe_tools.environment import compile_model, resolved_properties
from carafe_tools.errors import require
from carafe_tools.faithful import faithful_logits, read_faithful
from carafe_tools.huggingface import HuggingFaceFolder, is_huggingface
from carafe_tools.litert import LiteRt
from carafe_tools.progress import Progress
from carafe_tools.published import check_published
from carafe_tools.reference import reference_logits
from carafe_tools.text_context import (
    BLOCK_SIZE,
    compile_paged,
    greedy,
    logits_after_rejected_drafts,
    logits_beside_others,
    logits_in_steps,
    stateful_logits,
)
from carafe_tools.text_source import TextSource
from carafe_tools.weights import as_stored

TASK = "text-generation"
STEPS = 7  # that `certify_text` tells of
GREEDY_TOKENS = 32
SEED = 20250101
PROMPTS = ("Once upon a time", "The old man looked at the sea and said", "There was a king who had")
TEXTS = (
    "Once upon a time there was a miller who lived with his daughter beside a river. Every morning she carried the bread to the "
    "village, and every evening she came home with a story. One day she met an old woman on the bridge, who asked her for a loaf "
    'and said, "Nobody who gives away a loaf on this bridge has ever been hungry again."',
    "The ship had been at sea for eleven days when the wind fell. The captain walked up and down the deck, looked at the "
    "sky, and said nothing. Below, the men were playing cards; the cook, who had seen such weather before, went to count "
    "the barrels of water. "
    "It was the year 1852, and there were forty-three of them.",
)

CUTS = ((0.04,), (0.5,), (0.97,), (0.1, 0.13, 0.33))  # of a sequence, as shares of its length

Logits = list[np.ndarray]  # (T, V) for each sequence


@dataclass(frozen=True, eq=False)
class TextEvidence:
    """What a certificate is made from."""

    folder: Path  # of the saved graph
    name: str
    source: TextSource
    random_weights: bool  # then agreement with LiteRT says nothing and is only reported


@dataclass(frozen=True, eq=False)
class _Run:
    """All that is computed with the saved graph in one profile."""

    properties: dict[str, str]
    whole: Logits  # in one step
    stepwise: Comparison  # a token a step, with those
    largest_differences: dict[str, float]  # of one sequence, by what is done to it
    greedy: list[dict[str, Any]]
    bit_identical: bool


def certify_text(evidence: TextEvidence, progress: Progress) -> dict[str, Any]:
    """Return the certificate of a text model.

    The order keeps memory small: besides a compiled model there are logits of at most two computations.
    """
    check_context(evidence)
    source = evidence.source
    sequences = evaluation_sequences(source)
    progress.step("certify: profile `exact`")
    exact = _run(evidence, "exact", sequences)
    progress.step("certify: float64 reference")
    expected = [reference_logits(source.model, tokens) for tokens in sequences]
    logits = {"exact_against_float64": gated(compare(exact.whole, expected)), "exact_step_by_step": gated(exact.stepwise)}
    progress.step("certify: the stateful graph of the file")
    logits["exact_against_stateful"] = gated(compare(exact.whole, _stateful_logits(evidence.folder, sequences)))
    progress.step("certify: the source as others compute it")
    witnesses = _against_witnesses(evidence, sequences, exact.whole, expected)
    exact.whole.clear()
    runs = {"exact": exact}
    for profile in ("fast", "latency"):
        progress.step(f"certify: profile `{profile}`")
        runs[profile] = _run(evidence, profile, sequences)
        logits[f"{profile}_against_float64"] = reported(compare(runs[profile].whole, expected))
        runs[profile].whole.clear()
    logits |= witnesses
    progress.step("certify: published outputs, where there are any, and memory")
    published = check_published(evidence.folder, source)
    determinism = _determinism(runs)
    passed = all(entry["passed"] is not False for entry in (*logits.values(), published or {"passed": None}))
    return {
        **describe(evidence.folder, evidence.name, TASK, source.path),
        "profiles": {profile: run.properties for profile, run in runs.items()},
        "logits": logits,
        **({} if published is None else {"published": published}),
        "greedy": exact.greedy,
        "determinism": determinism,
        "passed": passed and is_deterministic(determinism),
    }


def _against_witnesses(evidence: TextEvidence, sequences: list[np.ndarray], exact: Logits, expected: Logits) -> dict[str, Any]:
    """Return the comparisons with those who compute the source without this package's reading of it, or without rounding."""
    path = evidence.source.path
    if is_huggingface(path):
        original = as_stored(HuggingFaceFolder(path))
        unrounded = [reference_logits(original, tokens) for tokens in sequences]
        return {"exact_against_unrounded": reported(compare(exact, unrounded))}
    litert = _litert_logits(path, sequences)
    litert_gate: Callable = reported if evidence.random_weights else gated_agreement
    return {
        "exact_against_faithful": gated(compare(exact, _faithful_logits(path, sequences))),
        "exact_against_litert": litert_gate(compare(exact, litert)),
        "litert_against_float64": reported(compare(litert, expected)),
    }


def check_context(evidence: TextEvidence) -> None:
    """Refuse a model whose context a fixed prompt and its continuation would overrun."""
    longest = max(len(evidence.source.tokenizer.encode(prompt).ids) for prompt in PROMPTS)
    needed, context = longest + GREEDY_TOKENS, evidence.source.model.dimensions.positions
    require(needed <= context, f"the model's context of {context} tokens is too short to certify; {needed} are needed")


def evaluation_sequences(source: TextSource) -> list[np.ndarray]:
    """Return the sequences of T tokens to compare logits on: the texts, repeated if short, and as many of random ids."""
    generator = np.random.default_rng(SEED)
    vocabulary = source.model.dimensions.vocabulary
    texts = [np.resize(np.array(source.tokenizer.encode(text).ids, np.int32), source.sequence) for text in TEXTS]
    return texts + [generator.integers(0, vocabulary, source.sequence, np.int32) for _ in TEXTS]


def _determinism(runs: dict[str, _Run]) -> dict[str, Any]:
    return {
        "repeats": REPEATS,
        "reloads": RELOADS,
        "bit_identical": {profile: run.bit_identical for profile, run in runs.items()},
        "largest_differences": {profile: run.largest_differences for profile, run in runs.items()},
    }


def is_deterministic(determinism: dict[str, Any]) -> bool:
    """Say whether the same computation gives the same bits; how far other cuts, company and drafts are off is only reported."""
    return all(determinism["bit_identical"].values())


def _stateful_logits(folder: Path, sequences: list[np.ndarray]) -> Logits:
    compiled = compile_model(load_graph(folder), "exact")
    return [stateful_logits(compiled, tokens) for tokens in sequences]


def _litert_logits(path: Path, sequences: list[np.ndarray]) -> Logits:
    litert = LiteRt(path)
    return [litert.logits(tokens) for tokens in sequences]


def _faithful_logits(path: Path, sequences: list[np.ndarray]) -> Logits:
    compiled = compile_model(read_faithful(path), "exact")
    return [faithful_logits(compiled, tokens) for tokens in sequences]


def _run(evidence: TextEvidence, profile: str, sequences: list[np.ndarray]) -> _Run:
    compiled = compile_paged(load_graph(evidence.folder), profile)
    whole = [logits_in_steps(compiled, tokens) for tokens in sequences]
    stepwise = compare((logits_in_steps(compiled, tokens, range(1, len(tokens))) for tokens in sequences), whole)
    continuations = [_continue(compiled, prompt, profile, evidence.source.tokenizer) for prompt in PROMPTS]
    differences = _differences(compiled, sequences[0], whole[0]) | {"token_by_token": stepwise.max_error}
    properties = resolved_properties(compiled)

    def same(model: ov.CompiledModel) -> bool:
        """Say whether computing again gives the same bits and tokens; one sequence and one prompt stand for all."""
        again = _continue(model, PROMPTS[0], profile, evidence.source.tokenizer)
        return again == continuations[0] and np.array_equal(logits_in_steps(model, sequences[0]), whole[0])

    bit_identical = all(same(compiled) for _ in range(REPEATS))
    del compiled  # two compiled models of full size at once would be the peak of memory
    reloads = [same(compile_paged(load_graph(evidence.folder), profile)) for _ in range(RELOADS)]
    return _Run(properties, whole, stepwise, differences, continuations, bit_identical and all(reloads))


def _differences(compiled: ov.CompiledModel, tokens: np.ndarray, whole: np.ndarray) -> dict[str, float]:
    """Return how far one sequence's logits are from those of one step, by what is done to it."""

    def difference(logits: np.ndarray) -> float:
        return float(np.abs(logits - whole).max())

    cuts = [logits_in_steps(compiled, tokens, [int(place * len(tokens)) for place in places]) for places in CUTS]
    return {
        "cuts": max(map(difference, cuts)),
        "beside_others": difference(logits_beside_others(compiled, tokens, BLOCK_SIZE)),
        "rejected_drafts": difference(logits_after_rejected_drafts(compiled, tokens)),
    }


def _continue(compiled: ov.CompiledModel, prompt: str, profile: str, tokenizer: Tokenizer) -> dict[str, Any]:
    prompt_tokens = tokenizer.encode(prompt).ids
    tokens = greedy(compiled, prompt_tokens, GREEDY_TOKENS)
    return {
        "prompt": prompt,
        "prompt_tokens": prompt_tokens,
        "profile": profile,
        "tokens": tokens,
        "text": tokenizer.decode(tokens),
    }
