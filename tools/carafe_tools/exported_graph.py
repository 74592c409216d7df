"""Makes the graph of an exported language model one that Carafe serves, without knowing its
architecture.

Goes in: an `ov.Model` as optimum-intel exports decoders, stateful, with i64 inputs and the logits
of every position. Comes out: the same model in place, every tensor 32 bits or narrower, with the
inputs and the output of `text_graph.INPUTS`: the rows that `logit_idx` names are gathered before
the head, an absent `position_ids` becomes an input that nothing reads, and the logits are f32. An
input that Carafe does not know how to set is refused by its name, and so is a head that is not
found.
"""

import numpy as np
import openvino as ov
import openvino.opset13 as opset
from openvino import Node, Output, PartialShape, Type

from carafe_tools.errors import require
from carafe_tools.narrow import narrow
from carafe_tools.text_graph import INPUTS, OUTPUT

HEAD = "MatMul"
# what may stand between the head and the logits: a bias, scales, soft caps, other element types
ELEMENTWISE = frozenset({"Add", "Clamp", "Convert", "Divide", "Maximum", "Minimum", "Multiply", "Subtract", "Tanh"})
REQUIRED = ("input_ids", "attention_mask", "beam_idx")
# by which constants are decompressed
WEIGHT_STEPS = frozenset({"Convert", "Multiply", "Reshape", "Subtract", "Transpose"})


def prepare(model: ov.Model, where: str) -> None:
    """Rewrite an exported model in place; `where` says for people what it was read from."""
    _check_inputs(model, where)
    logits = _logits(model, where)
    head = _find_head(logits, where)
    hidden = head.input_value(0)
    width = hidden.get_partial_shape()[-1]
    require(
        hidden.get_partial_shape().rank.is_static and len(hidden.get_partial_shape()) == 3 and width.is_static,
        f"the head `{head.get_friendly_name()}` of {where} takes {hidden.get_partial_shape()}; [?,?,E] was expected",
    )
    narrow(model)
    _require_positions(model)
    _gather_rows(model, head, width.get_length())
    _finish_logits(model)
    model.validate_nodes_and_infer_types()


def ask_for_rows(model: ov.Model, wanted: np.ndarray, where: str) -> None:
    """Let the head of an exported model, which is not prepared, compute the wanted rows alone."""
    head = _find_head(_logits(model, where), where)
    rows = opset.gather(head.input_value(0), opset.constant(wanted, Type.i32), opset.constant(1, Type.i32))
    head.input(0).replace_source_output(rows.output(0))
    model.validate_nodes_and_infer_types()


def vocabulary_size(model: ov.Model) -> int:
    """Return V, the width of a prepared model's logits."""
    width = model.output(OUTPUT).get_partial_shape()[1]
    require(width.is_static, f"the logits have the shape {model.output(OUTPUT).get_partial_shape()}; [N,V] was expected")
    return width.get_length()


def _check_inputs(model: ov.Model, where: str) -> None:
    names = [port.get_any_name() for port in model.inputs]
    for name in names:
        require(
            name in INPUTS and name != "logit_idx",
            f"{where} wants the input `{name}`, which Carafe does not know how to set; "
            f"it sets {', '.join(f'`{known}`' for known in INPUTS if known != 'logit_idx')}",
        )
    for name in REQUIRED:
        require(
            name in names,
            f"{where} has no input `{name}`; a stateful export of a decoder was expected, "
            "as `optimum-cli export openvino --task text-generation-with-past` makes it",
        )


def _logits(model: ov.Model, where: str) -> Node:
    """Return what the output of logits is computed by."""
    names = [port.get_any_name() for port in model.outputs]
    require(names == [OUTPUT], f"{where} has the outputs {', '.join(f'`{name}`' for name in names)}; `{OUTPUT}` was expected")
    return model.get_results()[0].input_value(0).get_node()


def _find_head(node: Node, where: str) -> Node:
    """Walk back from the logits, over what is done to each of them alone, to the matrix product
    that makes them.
    """
    while node.get_type_name() != HEAD:
        kind = node.get_type_name()
        require(
            kind in ELEMENTWISE,
            f"the logits of {where} come out of {kind} `{node.get_friendly_name()}`; "
            f"a {HEAD} with nothing but {', '.join(sorted(ELEMENTWISE))} behind it was expected",
        )
        node = _computed(node)
    require(
        _is_constant(node.input_value(1).get_node()) and not node.get_attributes()["transpose_a"],
        f"the {HEAD} `{node.get_friendly_name()}` of {where} does not multiply by constant weights, so it is no head",
    )
    return node


def _computed(node: Node) -> Node:
    """Return the first input of an operation that is no constant."""
    sources = [value.get_node() for value in node.input_values()]
    return next((source for source in sources if not _is_constant(source)), sources[0])


def _is_constant(node: Node) -> bool:
    """Say whether a node is a constant or a constant's decompression."""
    if node.get_type_name() in WEIGHT_STEPS:
        return all(_is_constant(value.get_node()) for value in node.input_values())
    return node.get_type_name() == "Constant"


def _require_positions(model: ov.Model) -> None:
    """Add an input `position_ids` that nothing reads where there is none, so that all graphs are
    driven alike.
    """
    if all(port.get_any_name() != "position_ids" for port in model.inputs):
        model.add_parameters([_input("position_ids")])


def _gather_rows(model: ov.Model, head: Node, width: int) -> None:
    """Let the head see only the rows that are asked for: (B, S, E) becomes (1, N, E)."""
    wanted = _input("logit_idx")
    flat = opset.reshape(head.input_value(0), _integers(-1, width), False)  # (B*S, E)
    rows = opset.unsqueeze(opset.gather(flat, wanted, opset.constant(0, Type.i32)), _integers(0))
    head.input(0).replace_source_output(rows.output(0))
    model.add_parameters([wanted])
    model.validate_nodes_and_infer_types()


def _finish_logits(model: ov.Model) -> None:
    """Make the output f32 (N, V)."""
    result = model.get_results()[0]
    source: Output = result.input_value(0)
    source.set_names(set())
    logits = opset.squeeze(source, _integers(0))  # (N, V)
    if source.get_element_type() != Type.f32:
        logits = opset.convert(logits, "f32")
    logits.output(0).set_names({OUTPUT})
    result.input(0).replace_source_output(logits.output(0))


def _input(name: str) -> Node:
    parameter = opset.parameter(PartialShape([-1] * INPUTS[name]), Type.i32, name=name)
    parameter.output(0).set_names({name})
    return parameter


def _integers(*values: int) -> Node:
    return opset.constant(list(values), Type.i32)
