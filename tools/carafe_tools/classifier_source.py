"""Reads what a .tflite classifier is: the size of its image, what its scores mean, and whether
anything in it is foreign.

Goes in: a `TfliteFile` and the labels. Comes out: a `ClassifierSource`. The layout is the usual
one: one u8 image [1, H, W, 3] in, one row of scores [1, C] out, u8 with one scale and zero point or
f32, and a label for each score.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carafe_tools.errors import ConversionError, require
from carafe_tools.tflite_file import Tensor, TfliteFile

OPERATIONS = frozenset(
    [
        "ADD",
        "AVERAGE_POOL_2D",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "DEQUANTIZE",
        "FULLY_CONNECTED",
        "HARD_SWISH",
        "LOGISTIC",
        "MAX_POOL_2D",
        "MEAN",
        "MUL",
        "PAD",
        "QUANTIZE",
        "RELU",
        "RELU6",
        "RESHAPE",
        "SOFTMAX",
        "SQUEEZE",
        "SUB",
    ]
)
PROBABILITIES = ("SOFTMAX", "LOGISTIC")
PASSES_SCORES_ON = ("RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE")
ELEMENT_TYPES = {"UINT8": "u8", "FLOAT32": "f32"}
LONGEST_SIDE = 4096


@dataclass(frozen=True)
class ClassifierSource:
    """What the file says of itself."""

    height: int
    width: int
    classes: int
    output_type: str  # as in a manifest: `u8` or `f32`
    scores: dict[str, Any]  # the manifest's keys that tell what a score means


def check_classifier(file: TfliteFile) -> ClassifierSource:
    """Return what a classifier is, refusing a file of any other layout."""
    unknown = sorted({operation.code for operation in file.operations} - OPERATIONS)
    require(
        not unknown,
        f"`{file.path}` has the operation `{''.join(unknown[:1])}`; those of a classifier are {', '.join(sorted(OPERATIONS))}",
    )
    image = _only(file, file.inputs, "input")
    output = _only(file, file.outputs, "output")
    require(image.type == "UINT8", f"the input `{image.name}` of `{file.path}` is {image.type}; UINT8 was expected")
    require(
        len(image.shape) == 4
        and (image.shape[0], image.shape[3]) == (1, 3)
        and all(1 <= side <= LONGEST_SIDE for side in image.shape[1:3]),
        f"the input `{image.name}` of `{file.path}` has shape {list(image.shape)}; [1, height, width, 3] was expected, "
        f"sides of at most {LONGEST_SIDE}",
    )
    require(
        len(output.shape) == 2 and output.shape[0] == 1 and output.shape[1] >= 2,
        f"the output `{output.name}` of `{file.path}` has shape {list(output.shape)}; [1, classes] was expected",
    )
    require(
        output.type in ELEMENT_TYPES,
        f"the output `{output.name}` of `{file.path}` is {output.type}; {' or '.join(ELEMENT_TYPES)} was expected",
    )
    return ClassifierSource(*image.shape[1:3], output.shape[1], ELEMENT_TYPES[output.type], _scores(file, output))


def read_labels(path: Path, classes: int) -> list[str]:
    """Return the labels of a file, one a line, refusing blank lines and any other number than one
    for each score.
    """
    require(path.is_file(), f"`{path}` is not a file; the labels, one a line, were expected")
    try:
        labels = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ConversionError(f"`{path}` is not UTF-8: {error}") from error
    blank = next((number for number, label in enumerate(labels, 1) if not label.strip()), None)
    require(blank is None, f"line {blank} of `{path}` is blank; a label was expected")
    require(
        len(labels) == classes,
        f"`{path}` has {len(labels)} labels but the model has {classes} scores; they must be equal",
    )
    return labels


def _only(file: TfliteFile, indices: list[int], kind: str) -> Tensor:
    require(len(indices) == 1, f"`{file.path}` has {len(indices)} {kind}s; one was expected")
    return file.tensors[indices[0]]


def _scores(file: TfliteFile, output: Tensor) -> dict[str, Any]:
    meaning = "probabilities" if _last_operation(file) in PROBABILITIES else "logits"
    if output.type == "FLOAT32":
        return {"scores": meaning}
    require(
        output.scales.size == 1,
        f"the output `{output.name}` of `{file.path}` has {output.scales.size} scales; one was expected",
    )
    scale, zero_point = float(output.scales[0]), int(output.zero_points[0])
    return {"scores": f"quantised-{meaning}", "score_scale": scale, "score_zero_point": zero_point}


def _last_operation(file: TfliteFile) -> str:
    """Return the operation that makes the scores, those left out that only hand them on."""
    operation = file.producers.get(file.outputs[0])
    while operation is not None and operation.code in PASSES_SCORES_ON:
        operation = file.producers.get(operation.inputs[0])
    return "" if operation is None else operation.code
