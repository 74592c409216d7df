"""`convert`: from a .tflite or a Hugging Face folder to a model folder, whole and certified or not
at all.

Goes in: an 8-bit GPT-2 .tflite and its `tokenizer.json`, or a Hugging Face folder with a GPT-2's
weights, which are rounded to 8 bits, each row with a scale of its own. Comes out: `models/NAME`
with the graph, its weights, the tokenizer, `certificate.json` and `model.toml`. The way is: check
the source, find the weights' roles, build, narrow, save, reload, certify, open in `carafe`; each
border has its check, and a failed gate leaves nothing behind. Image classifiers go another way,
`classifier.py`; here is only the question which of both a file is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import openvino as ov

from carafe_tools import text_certificate, text_run
from carafe_tools.certificate import CERTIFICATE, GRAPH, WEIGHTS, load_graph
from carafe_tools.folder import atomic_folder
from carafe_tools.gpt2 import Dimensions
from carafe_tools.huggingface import source_sha256
from carafe_tools.manifest import Manifest, check_folder_name
from carafe_tools.model_folder import About, copy_licence, finish
from carafe_tools.narrow import require_narrow
from carafe_tools.opening import NOT_COMPARED, Carafe
from carafe_tools.prefill import prefill_chunk
from carafe_tools.progress import Progress
from carafe_tools.text_certificate import TextEvidence, certify_text
from carafe_tools.text_graph import build_text_graph
from carafe_tools.text_source import read_text_source
from carafe_tools.tokenizer_files import END_OF_TEXT

if TYPE_CHECKING:
    from carafe_tools.tflite_file import TfliteFile

TOKENIZER = "tokenizer.json"
STEPS = 4 + text_certificate.STEPS
WEIGHT_BITS = 8


def is_classifier(file: TfliteFile) -> bool:
    """Say whether a .tflite takes one image: a single input with four dimensions."""
    inputs = [file.tensors[index] for index in file.inputs]
    return len(inputs) == 1 and len(inputs[0].shape) == 4


def convert_text(
    path: Path, tokenizer_path: Path | None, out: Path, about: About, carafe: Carafe | None, random_weights: bool = False
) -> dict[str, Any]:
    """Write the model folder of a GPT-2 and return what to tell about it."""
    check_folder_name(about.name, out)
    progress = Progress(STEPS)
    progress.step(f"check the source `{path}` and find the weights' roles")
    source = read_text_source(path, tokenizer_path, carafe)
    for key in source.tokenizer_file.dropped:
        progress.note(f"`{key}` of the `tokenizer.json` is dropped: it prepares batches for training, and no text is served so")
    if carafe is not None:
        carafe.check_tokenizer(source.tokenizer_file, tokenizer_path or path, text_run.TEXTS)
    if source.tokenizer_file.library is None:
        progress.note(NOT_COMPARED)
    with atomic_folder(out) as folder:
        progress.step("build the stateful graph and save it")
        graph = build_text_graph(source.model)
        require_narrow(graph, "the built graph")
        ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)
        del graph
        (folder / TOKENIZER).write_text(source.tokenizer_file.contents, encoding="utf-8")
        copy_licence(about, folder)
        progress.step("reload the saved graph")
        load_graph(folder)
        evidence = TextEvidence(folder, about.name, source, random_weights)
        certificate = certify_text(evidence, progress)
        told = finish(folder, out, certificate, _manifest(evidence, about), carafe, progress)
        return {**told, "dropped": source.tokenizer_file.dropped}


def _manifest(evidence: TextEvidence, about: About) -> Manifest:
    size = evidence.source.model.dimensions
    return Manifest(
        name=about.name,
        task=text_run.TASK,
        description=about.description or _description(size),
        files={"graph": GRAPH, "weights": WEIGHTS, "tokenizer": TOKENIZER, "certificate": CERTIFICATE},
        inputs=[],
        outputs=[],
        sections={"text": _text(size, evidence.source.tokenizer_file.vocabulary[END_OF_TEXT])},
        licence=about.licence,
        source=evidence.source.path,
        source_sha256=source_sha256(evidence.source.path),
    )


def _description(size: Dimensions) -> str:
    return f"GPT-2 architecture, {size.layers} layers of width {size.width}, {WEIGHT_BITS}-bit weights"


def _text(size: Dimensions, eos: int) -> dict[str, Any]:
    return {
        "context_length": size.positions,
        "vocabulary_size": size.vocabulary,
        "eos_token_ids": [eos],
        "prefill_chunk": prefill_chunk(num_weights(size), size.positions),
        "weight_bits": WEIGHT_BITS,
    }


def num_weights(size: Dimensions) -> int:
    """Return the number of a model's weights, but for its vectors."""
    return 12 * size.layers * size.width**2 + size.vocabulary * size.width
