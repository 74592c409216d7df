"""Gives a Carafe text graph the form that openvino-genai reads: the same weights and layers between other inputs and outputs.

Goes in: a model folder. Comes out: a folder with `openvino_model.xml`, whose inputs are i64 where Optimum's are (`input_ids`,
`attention_mask`, `position_ids`), whose logits are those of every position, (B, S, V), and whose states have the names of
Optimum's. openvino-genai itself then asks for the last position only, or turns attention into paged attention.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as opset
from openvino import PartialShape, Type

WIDENED = ("input_ids", "attention_mask", "position_ids")


def write_genai_folder(model_folder: Path, out: Path) -> None:
    """Write the folder of openvino-genai for a model folder, unless it is there."""
    graph_file = out / "openvino_model.xml"
    if graph_file.exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    graph = widened(ov.Core().read_model(model_folder / "model.xml"))
    ov.save_model(graph, out / "building.xml", compress_to_fp16=False)
    shutil.copyfile(model_folder / "tokenizer.json", out / "tokenizer.json")
    (out / "config.json").write_text(json.dumps({"model_type": "gpt2"}), encoding="utf-8")
    (out / "generation_config.json").write_text(json.dumps({"eos_token_id": 50256}), encoding="utf-8")
    (out / "building.bin").rename(out / "openvino_model.bin")
    (out / "building.xml").rename(graph_file)


def widened(graph: ov.Model) -> ov.Model:
    """Return the graph with openvino-genai's inputs, and the logits of every position."""
    inputs = {parameter.output(0).get_any_name(): parameter for parameter in graph.get_parameters()}
    replaced = {name: _widen(parameter, name) for name, parameter in inputs.items() if name in WIDENED}
    kept = [replaced.get(name, parameter) for name, parameter in inputs.items() if name != "logit_idx"]
    _ungather(inputs["logit_idx"])
    result = graph.get_results()[0]
    logits = _of_every_position(result.input_value(0), replaced["input_ids"])
    return ov.Model([logits], graph.get_sinks(), kept, "gpt2")


def _widen(parameter: ov.Node, name: str) -> ov.Node:
    """Replace an i32 input by an i64 one that is narrowed at once."""
    wide = opset.parameter(PartialShape([-1, -1]), Type.i64, name=name)
    wide.output(0).set_names({name})
    narrow = opset.convert(wide, "i32")
    parameter.output(0).set_names(set())
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(narrow.output(0))
    return wide


def _ungather(logit_idx: ov.Node) -> None:
    """Let the last layer norm see every position instead of those that `logit_idx` names."""
    (gather,) = (target.get_node() for target in logit_idx.output(0).get_target_inputs())
    flat = gather.input_value(0)
    for target in gather.output(0).get_target_inputs():
        target.replace_source_output(flat)


def _of_every_position(flat: ov.Output, ids: ov.Node) -> ov.Node:
    """Return the result (B, S, V) of logits (B*S, V)."""
    shape = opset.shape_of(ids)
    vocabulary = opset.constant(np.array([flat.get_partial_shape()[1].get_length()], np.int64))
    logits = opset.reshape(flat, opset.concat([shape, vocabulary], 0), False)
    flat.set_names(set())
    logits.output(0).set_names({"logits"})
    return opset.result(logits)
