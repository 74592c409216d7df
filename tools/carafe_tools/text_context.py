"""Runs a text graph for one sequence, as Carafe's host does: with its KV cache in blocks, and as its file has it, stateful.

Goes in: a compiled graph and token ids, cut as the caller likes. Comes out: the logits of every position, or a greedy
continuation. The paged graph's inputs are those of OpenVINO's PagedAttention (Kwon et al., "Efficient Memory Management for
Large Language Model Serving with PagedAttention", 2023): all sequences one after the other, each with the blocks that hold
its keys and values.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import openvino as ov
from openvino._offline_transformations import paged_attention_transformation

from carafe_tools.environment import compile_model

BLOCK_SIZE = 32
CACHES = ("key_cache.", "value_cache.")


def compile_paged(graph: ov.Model, profile: str) -> ov.CompiledModel:
    """Turn the KV cache of a stateful graph into pages and compile it under a profile."""
    paged_attention_transformation(graph)
    return compile_model(graph, profile)


@dataclass
class Sequence:
    """A sequence of a paged context: how many of its tokens the cache holds, and its blocks."""

    blocks: list[int]
    past: int = field(default=0)


class PagedContext:
    """A KV cache of a compiled paged graph, and steps on it."""

    def __init__(self, compiled: ov.CompiledModel, sequences: int, tokens: int) -> None:
        """Make a zeroed cache for so many sequences of so many tokens each."""
        self._request = compiled.create_infer_request()
        blocks = -(-tokens // BLOCK_SIZE)
        self.sequences = [Sequence(list(range(first, first + blocks))) for first in range(0, sequences * blocks, blocks)]
        for port in compiled.inputs:
            name = port.get_any_name()
            if name.startswith(CACHES):
                shape = [sequences * blocks, *(size.get_length() for size in list(port.get_partial_shape())[1:])]
                cache = ov.Tensor(port.get_element_type(), ov.Shape(shape))
                cache.data[...] = 0
                self._request.set_tensor(name, cache)

    def step(self, parts: list[tuple[Sequence, np.ndarray]]) -> list[np.ndarray]:
        """Add tokens to sequences and return their logits, (len(tokens), V) for each."""
        counts = [len(tokens) for _, tokens in parts]
        ends = [sequence.past + count for (sequence, _), count in zip(parts, counts, strict=True)]
        used = [sequence.blocks[: -(-end // BLOCK_SIZE)] for (sequence, _), end in zip(parts, ends, strict=True)]
        inputs = {
            "input_ids": np.concatenate([tokens for _, tokens in parts]),
            "position_ids": np.concatenate([np.arange(s.past, end) for (s, _), end in zip(parts, ends, strict=True)]),
            "past_lens": np.array([sequence.past for sequence, _ in parts]),
            "subsequence_begins": np.cumsum([0, *counts]),
            "block_indices": np.concatenate(used),
            "block_indices_begins": np.cumsum([0, *(len(blocks) for blocks in used)]),
            "max_context_len": np.array(max(ends)),
            "logit_idx": np.arange(sum(counts)),
        }
        for name, values in inputs.items():
            self._request.set_tensor(name, ov.Tensor(np.array(values, np.int32)))
        self._request.infer()
        for (sequence, _), end in zip(parts, ends, strict=True):
            sequence.past = end
        return np.split(self._request.get_tensor("logits").data.copy(), np.cumsum(counts)[:-1])


def logits_in_steps(compiled: ov.CompiledModel, tokens: np.ndarray, cuts: Iterable[int] = ()) -> np.ndarray:
    """Return the logits (T, V) of a sequence by the paged graph, cut into steps before the given positions."""
    context = PagedContext(compiled, 1, len(tokens))
    parts = [part for part in np.split(tokens, sorted(set(cuts))) if len(part)]
    return np.concatenate([context.step([(context.sequences[0], part)])[0] for part in parts])


def logits_beside_others(compiled: ov.CompiledModel, tokens: np.ndarray, chunk: int) -> np.ndarray:
    """Return the same, in chunks, each in one step with a token of two other sequences."""
    context = PagedContext(compiled, 3, len(tokens))
    sequence, *others = context.sequences
    rows = []
    for index, part in enumerate(np.split(tokens, range(chunk, len(tokens), chunk))):
        beside = [(other, tokens[index : index + 1]) for other in others]
        rows.append(context.step([(sequence, part), *beside])[0])
    return np.concatenate(rows)


def logits_after_rejected_drafts(compiled: ov.CompiledModel, tokens: np.ndarray, drafts: int = 3) -> np.ndarray:
    """Return the same, a token a step after the first half, each time with draft tokens that are undone by a smaller past."""
    half = len(tokens) // 2
    context = PagedContext(compiled, 1, len(tokens) + drafts)
    sequence = context.sequences[0]
    rows = list(context.step([(sequence, tokens[:half])])[0])
    for place in range(half, len(tokens)):
        wrong = np.roll(tokens, 7)[:drafts]
        rows.append(context.step([(sequence, np.concatenate([tokens[place : place + 1], wrong]))])[0][0])
        sequence.past -= drafts
    return np.stack(rows)


def stateful_logits(compiled: ov.CompiledModel, tokens: np.ndarray) -> np.ndarray:
    """Return the logits (T, V) of a sequence by the stateful graph, in one step of a fresh state."""
    places = np.arange(len(tokens), dtype=np.int32)
    inputs = {
        "input_ids": np.asarray(tokens, np.int32)[None],
        "position_ids": places[None],
        "attention_mask": np.ones((1, len(tokens)), np.int32),
        "beam_idx": np.zeros(1, np.int32),
        "logit_idx": places,
    }
    return compiled.create_infer_request().infer(inputs)["logits"].copy()


def greedy(compiled: ov.CompiledModel, prompt: list[int], count: int) -> list[int]:
    """Return the tokens that follow a prompt by the paged graph, each the most probable, the lowest id of equals, EOS too."""
    context = PagedContext(compiled, 1, len(prompt) + count)
    sequence, pending, tokens = context.sequences[0], list(prompt), []
    while len(tokens) < count:
        logits = context.step([(sequence, np.array(pending))])[0][-1]
        pending = [int(logits.argmax())]
        tokens += pending
    return tokens
