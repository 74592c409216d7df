"""Runs a text graph for one sequence, as Carafe's host does: with its KV cache in blocks, and as
its file has it, stateful.

Goes in: a compiled graph and token ids, cut as the caller likes. Comes out: the logits of every
position, or a greedy continuation. The paged graph's inputs are those of OpenVINO's PagedAttention
(Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention",
2023): all sequences one after the other, each with the blocks that hold its keys and values.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import openvino as ov
from openvino._offline_transformations import paged_attention_transformation

from carafe_tools.environment import compile_model
from carafe_tools.errors import ConversionError, require

BLOCK_SIZE = 32
CACHES = ("key_cache.", "value_cache.")
# what a step on a paged graph sets, besides the caches
STEP_INPUTS = frozenset(
    {
        "input_ids",
        "position_ids",
        "past_lens",
        "subsequence_begins",
        "block_indices",
        "block_indices_begins",
        "max_context_len",
        "logit_idx",
    }
)


def compile_paged(graph: ov.Model, profile: str) -> ov.CompiledModel:
    """Turn the KV cache of a stateful graph into pages and compile it under a profile."""
    paged_attention_transformation(graph)
    return compile_model(graph, profile)


def check_paged(graph: ov.Model, where: str) -> None:
    """Refuse a stateful graph that cannot be served in pages, by the name of the state or the input
    that is in the way.
    """
    states = [state.get_info().variable_id for state in graph.get_variables()]
    require(len(states) > 0, f"{where} keeps no state; a decoder with its KV cache inside it was expected")
    try:
        paged_attention_transformation(graph)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        named = ", ".join(f"`{state}`" for state in states[:4])
        raise ConversionError(f"OpenVINO cannot put the states of {where} ({named}, …) into pages: {reason}") from error
    for name in [port.get_any_name() for port in graph.inputs]:
        require(
            name in STEP_INPUTS or name.startswith(CACHES),
            f"{where}, its KV cache in pages, wants the input `{name}`, which Carafe does not know how to set; "
            "hybrid and recurrent models are not served",
        )
    kept = [node.get_attributes()["variable_id"] for node in graph.get_ops() if node.get_type_name() == "ReadValue"]
    require(
        not kept,
        f"{where} keeps the state `{(kept or [''])[0]}`, which is no KV cache that can be put into pages; "
        "hybrid and recurrent models are not served",
    )


@dataclass
class Sequence:
    """A sequence of a paged context: how many of its tokens the cache holds, and its blocks."""

    blocks: list[int]
    past: int = field(default=0)


class PagedContext:
    """A KV cache of a compiled paged graph, and steps on it."""

    def __init__(self, compiled: ov.CompiledModel, sequences: int, tokens: int) -> None:
        """Make a zeroed cache for some sequences of some tokens each."""
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

    def step(self, parts: list[tuple[Sequence, np.ndarray]], wanted: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """Add tokens to sequences and return their logits, (len(tokens), V) for each, or of each
        the rows that are wanted.
        """
        counts = [len(tokens) for _, tokens in parts]
        rows = [np.arange(count) for count in counts] if wanted is None else wanted
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
            "logit_idx": np.concatenate([first + part for first, part in zip(np.cumsum([0, *counts]), rows, strict=False)]),
        }
        for name, values in inputs.items():
            self._request.set_tensor(name, ov.Tensor(np.array(values, np.int32)))
        self._request.infer()
        for (sequence, _), end in zip(parts, ends, strict=True):
            sequence.past = end
        return np.split(self._request.get_tensor("logits").data.copy(), np.cumsum([len(part) for part in rows])[:-1])


def logits_in_steps(
    compiled: ov.CompiledModel, tokens: np.ndarray, cuts: Iterable[int] = (), wanted: np.ndarray | None = None
) -> np.ndarray:
    """Return the logits of a sequence by the paged graph, cut into steps before the given
    positions: (T, V), or the wanted rows.

    Logits are what takes memory where the vocabulary is large, so a certificate wants those of some
    positions.
    """
    context = PagedContext(compiled, 1, len(tokens))
    parts = [part for part in np.split(tokens, sorted(set(cuts))) if len(part)]
    return np.concatenate([_step_of(context, part, wanted) for part in parts])


def logits_beside_others(
    compiled: ov.CompiledModel, tokens: np.ndarray, chunk: int, wanted: np.ndarray | None = None
) -> np.ndarray:
    """Return the same, in chunks, each in one step with a token of two other sequences."""
    context = PagedContext(compiled, 3, len(tokens))
    rows = []
    for index, part in enumerate(np.split(tokens, range(chunk, len(tokens), chunk))):
        beside = [(other, tokens[index : index + 1]) for other in context.sequences[1:]]
        rows.append(_step_of(context, part, wanted, beside))
    return np.concatenate(rows)


def logits_after_rejected_drafts(
    compiled: ov.CompiledModel, tokens: np.ndarray, first: int, drafts: int = 3, wanted: np.ndarray | None = None
) -> np.ndarray:
    """Return the same, a token a step from a first one on, each time with draft tokens that are
    undone by a smaller past.
    """
    context = PagedContext(compiled, 1, len(tokens) + drafts)
    sequence = context.sequences[0]
    rows = [_step_of(context, tokens[:first], wanted)]
    for place in range(first, len(tokens)):
        part = np.concatenate([tokens[place : place + 1], np.roll(tokens, 7)[:drafts]])
        found = context.step([(sequence, part)], [np.array([0])])[0]
        sequence.past -= drafts
        rows.append(found if wanted is None or place in wanted else found[:0])
    return np.concatenate(rows)


def _step_of(
    context: PagedContext, part: np.ndarray, wanted: np.ndarray | None, beside: Iterable[tuple[Sequence, np.ndarray]] = ()
) -> np.ndarray:
    """Add a part to a context's first sequence, beside others, and return the logits of its wanted
    positions, if only none.
    """
    sequence = context.sequences[0]
    rows = np.arange(len(part)) if wanted is None else wanted - sequence.past
    rows = rows[(rows >= 0) & (rows < len(part))]
    asked = rows if len(rows) else np.array([0])  # a graph is never asked for no row
    others = list(beside)
    found = context.step([(sequence, part), *others], [asked, *(np.array([0]) for _ in others)])[0]
    return found[: len(rows)]


def stateful_logits(compiled: ov.CompiledModel, tokens: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
    """Return the logits of a sequence by the stateful graph, in one step of a fresh state: (T, V),
    or the wanted rows.
    """
    positions = np.arange(len(tokens), dtype=np.int32)
    inputs = {
        "input_ids": np.asarray(tokens, np.int32)[None],
        "position_ids": positions[None],
        "attention_mask": np.ones((1, len(tokens)), np.int32),
        "beam_idx": np.zeros(1, np.int32),
        "logit_idx": positions if wanted is None else wanted.astype(np.int32),
    }
    return compiled.create_infer_request().infer(inputs)["logits"].copy()


def greedy(compiled: ov.CompiledModel, prompt: list[int], count: int) -> list[int]:
    """Return the tokens that follow a prompt by the paged graph, each the most probable, the lowest
    id of equals, EOS too.
    """
    context = PagedContext(compiled, 1, len(prompt) + count)
    sequence, pending, tokens = context.sequences[0], list(prompt), []
    while len(tokens) < count:
        logits = context.step([(sequence, np.array(pending))], [np.array([len(pending) - 1])])[0][0]
        pending = [int(logits.argmax())]
        tokens += pending
    return tokens
