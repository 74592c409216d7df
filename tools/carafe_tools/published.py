"""Compares a model with what others published of the same weights: OpenAI's GPT-2 small, in
float32.

Goes in: a model folder and its source. Comes out: the certificate's `published`, or None where the
source is not one of the files that data/gpt2-reference.json names by SHA-256. The conversion of the
float32 weights is gated: rounding each row to 8 bits must not change what the model says. The 8-bit
.tflite was rounded by others, so for it the same figures are only reported.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from carafe_tools.certificate import load_graph
from carafe_tools.huggingface import is_huggingface, source_sha256
from carafe_tools.text_context import compile_paged, greedy, logits_in_steps
from carafe_tools.text_source import TextSource

REFERENCE = Path(__file__).parent / "data" / "gpt2-reference.json"
BEST = 5
DECIDED_MARGIN = 0.5  # between the best two; closer ones may change places by rounding to 8 bits
LEAST_OVERLAP = 0.8
GATE = f"argmax equal where the margin exceeds {DECIDED_MARGIN}; of the best {BEST}, {LEAST_OVERLAP} in common on average"


def check_published(folder: Path, source: TextSource, reference_path: Path = REFERENCE) -> dict[str, Any] | None:
    """Return how a model folder compares with the published outputs of its source, None where none
    are known.
    """
    reference = json.loads(reference_path.read_text(encoding="utf-8"))
    if source_sha256(source.path) not in [weights["sha256"] for weights in reference["weights"]]:
        return None
    compiled = compile_paged(load_graph(folder), "exact")
    rows = [_compare_row(compiled, source, row) for row in _published_rows(reference)]
    decided = [row for row in rows if row["margin"] is None or row["margin"] > DECIDED_MARGIN]
    overlaps = [row["overlap"] for row in rows if row["overlap"] is not None]
    is_gated = is_huggingface(source.path)
    holds = all(row["argmax_equal"] for row in decided) and float(np.mean(overlaps)) >= LEAST_OVERLAP
    return {
        "gate": GATE if is_gated else None,
        "passed": bool(holds) if is_gated else None,
        "argmax_equal": sum(row["argmax_equal"] for row in rows),
        "rows": len(rows),
        "decided": len(decided),
        "top5_overlap": round(float(np.mean(overlaps)), 4),
        "greedy": [_compare_greedy(compiled, source, entry) for entry in reference["greedy"]],
    }


def _published_rows(reference: dict[str, Any]) -> list[tuple[str, list[int], float | None]]:
    """Return prompt, best ids and the margin of the best two for each published row; some have the
    best id alone.
    """
    rows: list[tuple[str, list[int], float | None]] = []
    for row in reference["last_position"]:
        best = row["top10"]
        rows.append((row["prompt"], [entry["id"] for entry in best[:BEST]], best[0]["logit"] - best[1]["logit"]))
    return rows + [(row["prompt"], [row["id"]], None) for row in reference["argmax"]]


def _compare_row(compiled: ov.CompiledModel, source: TextSource, row: tuple[str, list[int], float | None]) -> dict[str, Any]:
    prompt, best, margin = row
    tokens = np.array(source.tokenizer.encode(prompt).ids, np.int32)
    found = np.argsort(-logits_in_steps(compiled, tokens)[-1], kind="stable")[:BEST].tolist()
    overlap = len(set(found) & set(best)) / BEST if len(best) == BEST else None
    return {"argmax_equal": found[0] == best[0], "margin": margin, "overlap": overlap}


def _compare_greedy(compiled: ov.CompiledModel, source: TextSource, entry: dict[str, Any]) -> dict[str, Any]:
    """Return how many of a published greedy continuation's tokens come again before the first other
    one.
    """
    prompt = entry.get("ids") or source.tokenizer.encode(entry["prompt"]).ids
    published = entry.get("result") or source.tokenizer.encode(entry["text"]).ids
    expected = published[len(prompt) :]
    found = greedy(compiled, prompt, len(expected))
    same = next(
        (position for position, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]), len(expected)
    )
    return {"prompt": source.tokenizer.decode(prompt), "tokens": len(expected), "equal": same}
