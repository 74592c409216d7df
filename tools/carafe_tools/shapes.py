"""`shapes`: size, speed and certificate of GPT-2 in its shapes, as docs/model-sizes.md has them.

Goes in: names of shapes, the built `carafe`, and a folder to work in. Comes out: a row of the table
for each shape, in the document too; rows of other shapes stay. `tiny` and `tales` are the model
folders of the tree. The others are made here: a Hugging Face folder of random weights with GPT-2's
tokenizer, converted by `convert` in a process of its own, whose time and peak memory are in the
table; a shape that was converted in the folder before is taken from there. Speed is that of `carafe
generate`, greedy, in the sandbox, the best of several runs: let the machine do nothing else
meanwhile.

    python -m carafe_tools shapes tiny tales distil --document docs/model-sizes.md
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carafe_tools.certificate import CERTIFICATE, GRAPH
from carafe_tools.document import read_part, write_part
from carafe_tools.environment import processor, read_model
from carafe_tools.errors import require
from carafe_tools.gpt2 import Dimensions
from carafe_tools.huggingface import WEIGHTS
from carafe_tools.huggingface_writer import write_huggingface
from carafe_tools.manifest import read_manifest
from carafe_tools.weights import SEED

PART = "shapes"
HEADER = [
    "| shape | layers x width, context | on disk | tokens/s `fast` | tokens/s `latency` | tokens/s `exact` "
    "| error of `exact` | error of `fast` | rounding | conversion: source, time, peak memory |",
    "|---|---|---|---|---|---|---|---|---|---|",
]
TOKENIZER = Path("fixtures/gpt2-tokenizer/tokenizer.json")
PROMPT = "Once upon a time there was a king who"
RUNS = 5
TOKENS = 96
MADE = {
    "distil": Dimensions(layers=6, width=768, heads=12, positions=1024, vocabulary=50257),
    "small": Dimensions(layers=12, width=768, heads=12, positions=1024, vocabulary=50257),
    "medium": Dimensions(layers=24, width=1024, heads=16, positions=1024, vocabulary=50257),
    "large": Dimensions(layers=36, width=1280, heads=20, positions=1024, vocabulary=50257),
}
IN_TREE = {"tiny": Path("fixtures/models/tiny"), "tales": Path("models/tales")}
SHAPES = (*IN_TREE, *MADE)


@dataclass(frozen=True)
class Workshop:
    """Where shapes are made, and the program that they are measured with."""

    work: Path
    carafe: Path


def measure_shapes(names: list[str], workshop: Workshop, document: Path | None) -> dict[str, Any]:
    """Make and measure shapes, print their rows, and put them into the document if there is one."""
    require(workshop.carafe.is_file(), f"`{workshop.carafe}` is missing; `cargo xtask demo` builds it")
    folders = {name: IN_TREE.get(name) or _made(name, workshop) for name in names}
    rows = {name: _row(name, folder, workshop) for name, folder in folders.items()}
    print("\n".join([*HEADER, *rows.values()]))
    if document is not None:
        write_part(document, PART, _table(read_part(document, PART), rows))
    return {"shapes": names, "processor": processor()["name"]}


def _made(name: str, workshop: Workshop) -> Path:
    """Return the model folder of a shape, converted now if it was not before."""
    source, folder = workshop.work / name, workshop.work / "models" / name
    if not (folder / CERTIFICATE).is_file():
        write_huggingface(source, MADE[name], SEED, TOKENIZER)
        words = ["convert", str(source), "--out", str(folder), "--carafe", str(workshop.carafe)]
        words += ["--description", f"random weights in the shape {name}"]
        started = time.monotonic()
        result = subprocess.run([sys.executable, "-m", "carafe_tools", *words], stdout=subprocess.PIPE, text=True, check=False)
        require(result.returncode == 0, f"converting the shape `{name}` failed, as told above")
        peak = json.loads(result.stdout.splitlines()[-1])["peak_memory_bytes"]
        cost = {"seconds": time.monotonic() - started, "peak_memory_bytes": peak}
        _cost_file(folder).write_text(json.dumps(cost) + "\n", encoding="utf-8")
        (source / WEIGHTS).unlink()  # of the largest shapes several GB, and made again in seconds
    return folder


def _cost_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.cost.json")


def _row(name: str, folder: Path, workshop: Workshop) -> str:
    size = _dimensions(folder)
    speeds = [_speed(folder, profile, workshop.carafe, size["context"]) for profile in ("fast", "latency", "exact")]
    certificate = json.loads((folder / CERTIFICATE).read_text(encoding="utf-8"))
    errors = {key: entry["max_error"] for key, entry in certificate["logits"].items()}
    disk = sum(path.stat().st_size for path in folder.iterdir())
    cells = [
        f"`{name}`",
        f"{size['layers']} x {size['width']}, {size['context']}",
        f"{disk / 1e6:.1f} MB",
        *(f"{speed:.0f}" for speed in speeds),
        f"{errors['exact_against_float64']:.1e}",
        f"{errors['fast_against_float64']:.1e}",
        f"{errors['exact_against_unrounded']:.1e}" if "exact_against_unrounded" in errors else "",
        _cost(folder, certificate),
    ]
    return "| " + " | ".join(cells) + " |"


def _cost(folder: Path, certificate: dict[str, Any]) -> str:
    source = f"{certificate['sizes']['source_bytes'] / 1e6:.1f} MB"
    if not _cost_file(folder).is_file():
        return source
    cost = json.loads(_cost_file(folder).read_text(encoding="utf-8"))
    return f"{source}, {cost['seconds']:.0f} s, {cost['peak_memory_bytes'] / 1e6:.0f} MB"


def _dimensions(folder: Path) -> dict[str, int]:
    """Return a model folder's layers (each keeps its keys and its values), width (the token
    embedding's) and context.
    """
    text = read_manifest(folder)["text"]
    constants = [operation for operation in read_model(folder / GRAPH).get_ops() if operation.get_type_name() == "Constant"]
    shapes = [list(constant.get_output_shape(0)) for constant in constants]
    width = max(shape[1] for shape in shapes if len(shape) == 2 and shape[0] == text["vocabulary_size"])
    operations = json.loads((folder / CERTIFICATE).read_text(encoding="utf-8"))["graph"]["operations"]
    return {"layers": operations["ReadValue"] // 2, "width": width, "context": text["context_length"]}


def _speed(folder: Path, profile: str, carafe: Path, context: int) -> float:
    """Return the tokens a second of the fastest of several greedy runs."""
    count = min(TOKENS, context // 2)
    words = [
        "generate",
        "--json",
        "--model",
        folder.name,
        "--models",
        str(folder.parent),
        "--profile",
        profile,
        "--prompt",
        PROMPT,
    ]
    greedy = ["--temperature", "0", "--ignore-eos", "--max-tokens", str(count)]
    speeds = []
    for _ in range(RUNS):
        result = subprocess.run([carafe, *words, *greedy], capture_output=True, text=True, check=False)
        require(result.returncode == 0, f"`carafe generate` failed: {result.stderr.strip()[-300:]}")
        speeds.append(json.loads(result.stdout)["tokens_per_second"])
    return max(speeds)


def _table(before: list[str], rows: dict[str, str]) -> list[str]:
    """Return the table with new rows in the place of old ones, in the order of shapes."""
    kept = {name: line for line in before for name in SHAPES if line.startswith(f"| `{name}` |")}
    merged = {**kept, **rows}
    return [*HEADER, *(merged[name] for name in SHAPES if name in merged)]
