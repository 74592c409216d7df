"""The layouts of 8-bit GPT-2 .tflite files that `convert` takes, each as a fixture, and the table
of their errors.

Goes in: a tokenizer for the tiny vocabulary. Comes out: for each layout its name, how it is
written, and, by `layouts`, what its certificate found. Tests convert every one; the table in
docs/models.md is made by

    python -m carafe_tools layouts --document docs/models.md
"""

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carafe_tools.certificate import CERTIFICATE
from carafe_tools.convert import convert_text
from carafe_tools.document import write_part
from carafe_tools.fixtures import ABOUT, TINY, TINY_SEQUENCE, tiny_tokenizer
from carafe_tools.gpt2 import Gpt2
from carafe_tools.gpt2_writer import Layout, gpt2_tflite
from carafe_tools.weights import random

TENSORFLOW_2_19 = Layout(gathers_int8=True, head="batch-matmul", presents=False, fused_bias=True, single_gelu=True)


@dataclass(frozen=True)
class Case:
    """One layout of a file, and the weights that it needs."""

    layout: Layout = field(default_factory=Layout)
    per_row: bool = False
    tied: bool = True
    folded: bool = False

    def model(self) -> Gpt2:
        """Return the tiny model with weights of this kind."""
        return random(TINY, per_row=self.per_row, tied=self.tied, folded=self.folded)

    @property
    def sequence(self) -> int:
        """The tokens that the file computes; folded positions fix the context to them."""
        return TINY.positions if self.folded else TINY_SEQUENCE

    def write(self, path: Path) -> Path:
        """Write the .tflite and return its path."""
        path.write_bytes(gpt2_tflite(self.model(), self.sequence, self.layout))
        return path


CASES = {
    "of the 2019 quantiser": Case(),
    "a scale for each channel": Case(per_row=True),
    "tied by equal values": Case(Layout(head="copied")),
    "tied, the head a BATCH_MATMUL": Case(Layout(head="batch-matmul")),
    "an untied head": Case(tied=False),
    "int8 GATHER": Case(Layout(gathers_int8=True)),
    "folded positions": Case(folded=True),
    "no presents": Case(Layout(presents=False)),
    "fused bias": Case(Layout(fused_bias=True)),
    "GELU as one operation": Case(Layout(single_gelu=True)),
    "operator codes from before 2020": Case(Layout(old_codes=True)),
    "of TensorFlow 2.19": Case(TENSORFLOW_2_19, per_row=True, folded=True),
}


PART = "layouts"
HEADER = ["| layout | float64 | OpenVINO's own reading | LiteRT |", "|---|---|---|---|"]


def certify_layouts(fixtures: Path, document: Path | None) -> dict[str, Any]:
    """Convert every layout, print the table of errors, also into a document if there is one, and
    return the errors.
    """
    lines = list(HEADER)
    print("\n".join(HEADER))
    errors = {}
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = tiny_tokenizer(fixtures, Path(scratch) / "tokenizer.json")
        for name, case in CASES.items():
            source = case.write(Path(scratch) / "layout.tflite")
            convert_text(source, tokenizer, Path(scratch) / "models" / "tiny", ABOUT, carafe=None, random_weights=True)
            certificate = json.loads((Path(scratch) / "models" / "tiny" / CERTIFICATE).read_text(encoding="utf-8"))
            errors[name] = {key: entry["max_error"] for key, entry in certificate["logits"].items()}
            lines.append(_line(name, errors[name]))
            print(lines[-1], flush=True)
    if document is not None:
        write_part(document, PART, lines)
    return {"layouts": errors}


def _line(name: str, errors: dict[str, float]) -> str:
    columns = ("exact_against_float64", "exact_against_faithful", "exact_against_litert")
    return f"| {name} | " + " | ".join(f"{errors[column]:.1e}" for column in columns) + " |"
