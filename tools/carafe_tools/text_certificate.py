"""Makes the certificate of a text model: the proof that the saved graph computes what its source
does.

Goes in: a folder with the saved graph, and the source that it was made from. Comes out: the
contents of `certificate.json`. The logits of a few sequences, real text and random ids, are
computed by numpy in float64 and by the saved graph in every profile, its KV cache in pages as
Carafe runs it: in one step and in several, beside other sequences, and after rejected drafts. In
`exact` the graph is also run as its file has it, stateful. Of a .tflite the logits are also
computed by LiteRT and by OpenVINO's own reading of it; of a Hugging Face folder with the weights
before they were rounded to 8 bits. Then all are compared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carafe_tools import text_run
from carafe_tools.certificate import describe
from carafe_tools.comparison import compare, gated, gated_agreement, reported
from carafe_tools.environment import compile_model
from carafe_tools.faithful import faithful_logits, read_faithful
from carafe_tools.huggingface import HuggingFaceFolder, is_huggingface, source_bytes
from carafe_tools.progress import Progress
from carafe_tools.published import check_published
from carafe_tools.reference import reference_logits
from carafe_tools.text_run import Determinism, Logits, Run, Samples
from carafe_tools.text_source import TextSource
from carafe_tools.weights import as_stored

STEPS = 7  # that `certify_text` tells of


@dataclass(frozen=True, eq=False)
class TextEvidence:
    """What a certificate is made from."""

    folder: Path  # of the saved graph
    name: str
    source: TextSource
    random_weights: bool  # then agreement with LiteRT says nothing and is only reported


def certify_text(evidence: TextEvidence, progress: Progress) -> dict[str, Any]:
    """Return the certificate of a text model.

    The order keeps memory small: besides a compiled model there are logits of at most two
    computations.
    """
    source, samples = evidence.source, _samples(evidence.source)
    sequences = samples.sequences
    progress.step("certify: profile `exact`")
    exact, determinism = _profile(evidence, "exact", samples)
    progress.step("certify: float64 reference")
    expected = [reference_logits(source.model, tokens) for tokens in sequences]
    logits = {"exact_against_float64": gated(compare(exact.whole, expected)), "exact_step_by_step": gated(exact.stepwise)}
    progress.step("certify: the stateful graph of the file")
    logits["exact_against_stateful"] = gated(compare(exact.whole, text_run.run_stateful(evidence.folder, samples)))
    progress.step("certify: the source as others compute it")
    references = _against_references(evidence, sequences, exact.whole, expected)
    exact.whole.clear()
    properties, found = {"exact": exact.properties}, {"exact": determinism}
    for profile in ("fast", "latency"):
        progress.step(f"certify: profile `{profile}`")
        run, found[profile] = _profile(evidence, profile, samples)
        logits[f"{profile}_against_float64"] = reported(compare(run.whole, expected))
        properties[profile] = run.properties
        run.whole.clear()
    logits |= references
    progress.step("certify: published outputs, where there are any, and memory")
    published = check_published(evidence.folder, source)
    described = text_run.describe_determinism(found, samples)
    passed = all(entry["passed"] is not False for entry in (*logits.values(), published or {"passed": None}))
    return {
        **describe(evidence.folder, evidence.name, text_run.TASK, source_bytes(source.path)),
        "profiles": properties,
        "logits": logits,
        **({} if published is None else {"published": published}),
        "greedy": text_run.describe_greedy(exact, samples.prompts, "exact", source.tokenizer),
        "determinism": described,
        "passed": passed and text_run.is_deterministic(described),
    }


def _profile(evidence: TextEvidence, profile: str, samples: Samples) -> tuple[Run, Determinism]:
    run = text_run.run_profile(evidence.folder, profile, samples)
    return run, text_run.compare_reloaded(run, text_run.run_reloaded(evidence.folder, profile, samples))


def _against_references(evidence: TextEvidence, sequences: list[np.ndarray], exact: Logits, expected: Logits) -> dict[str, Any]:
    """Return the comparisons with those who compute the source without this package's reading of
    it, or without rounding.
    """
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


def _samples(source: TextSource) -> Samples:
    size = source.model.dimensions
    sequences = text_run.sample_sequences(source.tokenizer, size.vocabulary, source.sequence)
    return Samples(sequences, text_run.encode_prompts(source.tokenizer, size.positions), stepwise=len(sequences))


def _litert_logits(path: Path, sequences: list[np.ndarray]) -> Logits:
    from carafe_tools.litert import LiteRt

    litert = LiteRt(path)
    return [litert.logits(tokens) for tokens in sequences]


def _faithful_logits(path: Path, sequences: list[np.ndarray]) -> Logits:
    compiled = compile_model(read_faithful(path), "exact")
    return [faithful_logits(compiled, tokens) for tokens in sequences]
