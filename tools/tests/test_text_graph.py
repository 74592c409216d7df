"""The stateful graph computes what the float64 reference does, however rows join, leave, reorder
and are padded.
"""

import numpy as np
import openvino as ov
import pytest

from carafe_tools.environment import compile_model
from carafe_tools.fixtures import TINY
from carafe_tools.gpt2 import Gpt2
from carafe_tools.narrow import wide_tensors
from carafe_tools.reference import reference_logits
from carafe_tools.text_context import (
    PagedContext,
    compile_paged,
    greedy,
    logits_after_rejected_drafts,
    logits_beside_others,
    logits_in_steps,
    stateful_logits,
)
from carafe_tools.text_graph import build_text_graph
from carafe_tools.weights import random

pytestmark = pytest.mark.openvino
CLOSE = 1e-4
TOKENS = np.random.default_rng(3).integers(0, TINY.vocabulary, (3, 20), np.int32)


@pytest.fixture(scope="module")
def model() -> Gpt2:
    """The tiny model's weights."""
    return random(TINY)


@pytest.fixture(scope="module")
def graph(model: Gpt2) -> ov.Model:
    """Its graph."""
    return build_text_graph(model)


@pytest.fixture(scope="module")
def compiled(graph: ov.Model) -> ov.CompiledModel:
    """Its graph, compiled in `exact`."""
    return compile_model(graph, "exact")


@pytest.fixture(scope="module")
def paged(model: Gpt2) -> ov.CompiledModel:
    """Its graph with its KV cache in pages, compiled in `exact`."""
    return compile_paged(build_text_graph(model), "exact")


def test_no_tensor_of_the_graph_is_wider_than_32_bits(graph: ov.Model) -> None:
    assert wide_tensors(graph) == []


def test_the_token_embedding_and_the_head_share_one_constant(graph: ov.Model) -> None:
    shape = [TINY.vocabulary, TINY.width]
    tables = [op for op in graph.get_ops() if op.get_type_name() == "Constant" and list(op.shape) == shape]
    assert len(tables) == 1
    assert len(tables[0].output(0).get_target_inputs()) == 2


def test_logits_are_those_of_the_reference(model: Gpt2, compiled: ov.CompiledModel, paged: ov.CompiledModel) -> None:
    expected = reference_logits(model, TOKENS[0])
    np.testing.assert_allclose(stateful_logits(compiled, TOKENS[0]), expected, atol=CLOSE)
    np.testing.assert_allclose(logits_in_steps(paged, TOKENS[0]), expected, atol=CLOSE)


@pytest.mark.parametrize("cuts", [(1,), (19,), (3, 4, 11), range(1, 20)])
def test_a_prompt_may_be_cut_anywhere(cuts: tuple[int, ...], paged: ov.CompiledModel) -> None:
    whole, cut = logits_in_steps(paged, TOKENS[0]), logits_in_steps(paged, TOKENS[0], cuts)
    np.testing.assert_allclose(cut, whole, atol=CLOSE)


def test_a_sequence_is_computed_beside_others_and_after_rejected_drafts(paged: ov.CompiledModel) -> None:
    whole = logits_in_steps(paged, TOKENS[0])
    np.testing.assert_allclose(logits_beside_others(paged, TOKENS[0], 7), whole, atol=CLOSE)
    np.testing.assert_allclose(logits_after_rejected_drafts(paged, TOKENS[0], len(TOKENS[0]) // 2), whole, atol=CLOSE)


def test_sequences_of_one_context_do_not_see_each_other(paged: ov.CompiledModel) -> None:
    context = PagedContext(paged, 2, 20)
    one, other = context.sequences
    context.step([(one, TOKENS[0, :5]), (other, TOKENS[1, :9])])
    found, _ = context.step([(one, TOKENS[0, 5:]), (other, TOKENS[1, 9:])])
    np.testing.assert_allclose(found, logits_in_steps(paged, TOKENS[0])[5:], atol=CLOSE)


def test_a_greedy_continuation_follows_the_most_probable_token(model: Gpt2, paged: ov.CompiledModel) -> None:
    tokens = list(TOKENS[0, :4])
    for token in greedy(paged, tokens, 6):
        assert token == reference_logits(model, np.array(tokens)).astype(np.float32)[-1].argmax()
        tokens.append(token)


def test_rows_join_leave_and_reorder_with_padding_and_holes(model: Gpt2, compiled: ov.CompiledModel) -> None:
    """Row 0 runs alone, row 1 joins with a longer step, they change places, row 0 leaves."""
    expected = [reference_logits(model, tokens) for tokens in TOKENS]
    request = compiled.create_infer_request()
    zero = np.zeros((1, 1), np.int32)

    def step(ids: list, positions: list, mask: list, beams: list, wanted: list) -> np.ndarray:
        names = ("input_ids", "position_ids", "attention_mask", "beam_idx", "logit_idx")
        values = (np.array(value, np.int32) for value in (ids, positions, mask, beams, wanted))
        return request.infer(dict(zip(names, values, strict=True)))["logits"].copy()

    step(zero, zero, zero, [0], [0])
    a, b = TOKENS[0], TOKENS[1]
    alone = step([a[:3]], [[0, 1, 2]], [[0, 1, 1, 1]], [0], [2])
    np.testing.assert_allclose(alone, expected[0][2:3], atol=CLOSE)
    # row 0 takes one token, padded on the left to the two of row 1, whose copy of row 0's cache is
    # masked
    joined = step([[0, a[3]], b[:2]], [[0, 3], [0, 1]], [[0, 1, 1, 1, 0, 1], [0, 0, 0, 0, 1, 1]], [0, 0], [1, 2, 3])
    np.testing.assert_allclose(joined, [expected[0][3], *expected[1][:2]], atol=CLOSE)
    masks = [[0, 0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 0, 1, 1]]
    swapped = step([[b[2]], [a[4]]], [[2], [4]], masks, [1, 0], [1, 0])
    np.testing.assert_allclose(swapped, [expected[0][4], expected[1][2]], atol=CLOSE)
    left = step([[b[3]]], [[3]], [[*masks[0], 1]], [0], [0])
    np.testing.assert_allclose(left, expected[1][3:4], atol=CLOSE)
