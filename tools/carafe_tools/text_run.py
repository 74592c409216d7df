"""All that a certificate computes with a saved text graph in one profile, whatever its
architecture.

Goes in: a model folder, a profile, and the `Samples` to run. Comes out: a `Run`, the logits of each
sequence in one step, a token a step, and greedy continuations; and of the graph read anew a
`Reloaded`, whether these are the same bits, and how far other cuts, other sequences beside it and
rejected drafts are from them. The two may run in processes of their own, since a compiled graph
grows with each number of tokens that it computes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from carafe_tools.certificate import RELOADS, REPEATS, load_graph
from carafe_tools.comparison import Comparison, compare
from carafe_tools.environment import compile_model, resolved_properties
from carafe_tools.errors import require
from carafe_tools.text_context import (
    BLOCK_SIZE,
    compile_paged,
    greedy,
    logits_after_rejected_drafts,
    logits_beside_others,
    logits_in_steps,
    stateful_logits,
)
from carafe_tools.tokenizer import Tokenizer

TASK = "text-generation"
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
class Samples:
    """What graphs are compared on."""

    sequences: list[np.ndarray]  # of token ids, all as long
    prompts: list[list[int]]  # of `PROMPTS`, to continue
    stepwise: int  # how many sequences are computed a token a step, too
    single_steps: int | None = None  # how many of their last tokens; all but the first unless given
    # the positions whose logits are compared, all of them unless given
    wanted: np.ndarray | None = None
    repeats: int = REPEATS
    reloads: int = RELOADS

    @property
    def first_single(self) -> int:
        """The position from which on a sequence is computed a token a step."""
        length = len(self.sequences[0])
        return 1 if self.single_steps is None else max(1, length - self.single_steps)


@dataclass(frozen=True, eq=False)
class Run:
    """What is computed with the saved graph in one profile, compiled once."""

    properties: dict[str, str]
    whole: Logits  # in one step
    stepwise: Comparison  # a token a step, with those
    greedy: list[list[int]]  # the tokens that follow each prompt
    is_repeatable: bool  # computing again gives the same bits


@dataclass(frozen=True, eq=False)
class Reloaded:
    """What is computed of the first sequence and the first prompt when the graph is read and
    compiled anew.
    """

    whole: np.ndarray
    greedy: list[int]
    is_repeatable: bool
    largest_differences: dict[str, float]  # of the logits, by what is done to the sequence


@dataclass(frozen=True)
class Determinism:
    """Whether a profile gives the same bits again, and how far what is done to a sequence takes its
    logits.
    """

    bit_identical: bool
    largest_differences: dict[str, float]


def encode_prompts(tokenizer: Tokenizer, context_length: int) -> list[list[int]]:
    """Return the fixed prompts' tokens, refusing a model whose context they and their continuations
    would overrun.
    """
    prompts = [tokenizer.encode(prompt).ids for prompt in PROMPTS]
    needed = max(map(len, prompts)) + GREEDY_TOKENS
    require(
        needed <= context_length,
        f"the model's context of {context_length} tokens is too short to certify; {needed} are needed",
    )
    return prompts


def sample_sequences(tokenizer: Tokenizer, vocabulary_size: int, length: int, texts: int = len(TEXTS)) -> list[np.ndarray]:
    """Return sequences of some length: texts, repeated if short, and as many of random ids."""
    generator = np.random.default_rng(SEED)
    encoded = [np.resize(np.array(tokenizer.encode(text).ids, np.int32), length) for text in TEXTS[:texts]]
    return encoded + [generator.integers(0, vocabulary_size, length, np.int32) for _ in encoded]


def run_profile(folder: Path, profile: str, samples: Samples) -> Run:
    """Return what the paged graph computes of the samples in a profile."""
    compiled = compile_paged(load_graph(folder), profile)
    whole = [logits_in_steps(compiled, tokens, wanted=samples.wanted) for tokens in samples.sequences]
    stepwise = _stepwise(compiled, samples, whole)
    continuations = [greedy(compiled, prompt, GREEDY_TOKENS) for prompt in samples.prompts]
    repeats = [_is_same(compiled, samples, whole[0], continuations[0]) for _ in range(samples.repeats)]
    return Run(resolved_properties(compiled), whole, stepwise, continuations, all(repeats))


def run_reloaded(folder: Path, profile: str, samples: Samples) -> Reloaded:
    """Return what the paged graph, compiled anew, computes of the first sequence, and of it in
    other cuts.
    """
    compiled = compile_paged(load_graph(folder), profile)
    whole = logits_in_steps(compiled, samples.sequences[0], wanted=samples.wanted)
    continuation = greedy(compiled, samples.prompts[0], GREEDY_TOKENS)
    differences = _differences(compiled, samples, whole)
    del compiled  # two compiled models of full size at once would be the peak of memory
    others = range(samples.reloads - 1)
    repeats = [_is_same(compile_paged(load_graph(folder), profile), samples, whole, continuation) for _ in others]
    return Reloaded(whole, continuation, all(repeats), differences)


def _is_same(compiled: ov.CompiledModel, samples: Samples, whole: np.ndarray, continuation: list[int]) -> bool:
    """Say whether computing again gives the same bits and tokens; one sequence and one prompt stand
    for all.
    """
    again = greedy(compiled, samples.prompts[0], GREEDY_TOKENS)
    logits = logits_in_steps(compiled, samples.sequences[0], wanted=samples.wanted)
    return again == continuation and np.array_equal(logits, whole)


def run_stateful(folder: Path, samples: Samples) -> Logits:
    """Return what the graph computes in `exact` as its file has it."""
    compiled = compile_model(load_graph(folder), "exact")
    return [stateful_logits(compiled, tokens, samples.wanted) for tokens in samples.sequences]


def describe_greedy(run: Run, prompts: list[list[int]], profile: str, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return a certificate's entry of each continuation, which `carafe models verify --run`
    repeats.
    """
    return [
        {"prompt": text, "prompt_tokens": prompt, "profile": profile, "tokens": tokens, "text": tokenizer.decode(tokens)}
        for text, prompt, tokens in zip(PROMPTS, prompts, run.greedy, strict=True)
    ]


def compare_reloaded(run: Run, again: Reloaded) -> Determinism:
    """Compare what one profile's graph computes with what it does when it is read anew."""
    is_same = np.array_equal(run.whole[0], again.whole) and run.greedy[0] == again.greedy
    differences = again.largest_differences | {"token_by_token": run.stepwise.max_error}
    return Determinism(run.is_repeatable and again.is_repeatable and is_same, differences)


def describe_determinism(found: dict[str, Determinism], samples: Samples) -> dict[str, Any]:
    """Return a certificate's part about computing again, in other cuts, beside others and after
    rejected drafts.
    """
    return {
        "repeats": samples.repeats,
        "reloads": samples.reloads,
        "bit_identical": {profile: one.bit_identical for profile, one in found.items()},
        "largest_differences": {profile: one.largest_differences for profile, one in found.items()},
    }


def is_deterministic(determinism: dict[str, Any]) -> bool:
    """Say whether the same computation gives the same bits; how far other cuts and the like are off
    is only reported.
    """
    return all(determinism["bit_identical"].values())


def _stepwise(compiled: ov.CompiledModel, samples: Samples, whole: Logits) -> Comparison:
    sequences = samples.sequences[: samples.stepwise]
    rows = (logits_in_steps(compiled, tokens, range(samples.first_single, len(tokens)), samples.wanted) for tokens in sequences)
    return compare(rows, whole[: samples.stepwise])


def _differences(compiled: ov.CompiledModel, samples: Samples, whole: np.ndarray) -> dict[str, float]:
    """Return how far the first sequence's logits are from those of one step, by what is done to
    it.
    """
    tokens, wanted = samples.sequences[0], samples.wanted
    first = max(len(tokens) // 2, samples.first_single)

    def difference(logits: np.ndarray) -> float:
        return float(np.abs(logits - whole).max())

    cuts = [[int(share * len(tokens)) for share in shares] for shares in CUTS]
    return {
        "cuts": max(difference(logits_in_steps(compiled, tokens, positions, wanted)) for positions in cuts),
        "beside_others": difference(logits_beside_others(compiled, tokens, BLOCK_SIZE, wanted)),
        "rejected_drafts": difference(logits_after_rejected_drafts(compiled, tokens, first, wanted=wanted)),
    }
