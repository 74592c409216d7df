"""Runs the text graph for one sequence, by the rules that Carafe's host keeps.

A context starts with one masked dummy position, then takes steps of up to 128 positions. Goes in: a compiled graph and
token ids, cut into steps as the caller likes. Comes out: the logits of every position, or a greedy continuation.
"""

from collections.abc import Iterable

import numpy as np
import openvino as ov

LARGEST_STEP = 128


class TextContext:
    """One context of a compiled text graph with one row, past its dummy position."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._request = compiled.create_infer_request()
        self._length = 0
        self._run(np.zeros(1, np.int32), 0, np.zeros(1, np.int32), np.zeros(1, np.int32))

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """Add up to 128 tokens and return their logits, (len(tokens), V)."""
        wanted = np.arange(len(tokens), dtype=np.int32)
        mask = np.ones(1 + self._length + len(tokens), np.int32)
        mask[0] = 0
        logits = self._run(np.asarray(tokens, np.int32), self._length, mask, wanted)
        self._length += len(tokens)
        return logits

    def _run(self, tokens: np.ndarray, start: int, mask: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        positions = np.arange(start, start + len(tokens), dtype=np.int32)
        inputs = {
            "input_ids": tokens[None],
            "position_ids": positions[None],
            "attention_mask": mask[None],
            "beam_idx": np.zeros(1, np.int32),
            "logit_idx": wanted,
        }
        return self._request.infer(inputs)["logits"].copy()


def logits_in_steps(compiled: ov.CompiledModel, tokens: np.ndarray, cuts: Iterable[int] = ()) -> np.ndarray:
    """Return the logits (T, V) of a sequence in a fresh context, cut into steps before the given positions."""
    ends = [*range(LARGEST_STEP, len(tokens), LARGEST_STEP), *cuts]
    context = TextContext(compiled)
    return np.concatenate([context.step(part) for part in np.split(tokens, sorted(set(ends))) if len(part)])


def greedy(compiled: ov.CompiledModel, prompt: list[int], count: int) -> list[int]:
    """Return the tokens that follow a prompt, each the most probable, the lowest id of equals; end of text does not stop it."""
    context = TextContext(compiled)
    logits = context.step(np.array(prompt, np.int32))[-1]
    tokens = [int(logits.argmax())]
    while len(tokens) < count:
        tokens.append(int(context.step(np.array(tokens[-1:], np.int32))[-1].argmax()))
    return tokens
