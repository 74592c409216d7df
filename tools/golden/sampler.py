"""Writes the golden file of the sampler: the algorithm of carafe-core once more, the plain way.

In:  nothing; the logits follow from the same integer generator (SplitMix64) that the core draws
with. Out: `crates/carafe-core/tests/golden/sampler.json`: settings, and for each the number of
tokens left, the most probable
     ones, and the token that each draw gives. The same bytes every time.
     cuts so near a border, that rounding could decide are left out here, or refused.

    python tools/golden/sampler.py
    python tools/golden/sampler.py --out /tmp/sampler.json
"""

import argparse
import json
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
GAMMA = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1
DRAWS = 24
SHOWN = 8
BLOCK = 64  # tokens that race together after their block has won
# draws from all tokens that top-k leaves, before one from those that may be drawn
MAX_REJECTIONS = 4
# Of the time of the first to arrive. The core's f32 weights move times by less than this.
MARGIN = 2e-6


def fold_in(key: int, index: int) -> int:
    """Output `index` of SplitMix64 started with `key`."""
    state = (key + GAMMA * (index + 1)) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def draw(key: int, index: int) -> float:
    """Draw `index` of `key`, in [0, 1)."""
    return (fold_in(key, index) >> 11) / 2.0**53


def make_logits(rule: dict) -> np.ndarray:
    """Logit i is `(draw(seed, i) - 0.5) * spread`, rounded to f32."""
    draws = np.array([draw(rule["seed"], i) for i in range(rule["size"])])
    return ((draws - 0.5) * rule["spread"]).astype(np.float32).astype(np.float64)


def penalise(logits: np.ndarray, case: dict) -> np.ndarray:
    """Repetition penalty on prompt and output, frequency and presence penalty on the output, then
    bias.
    """
    parameters = case["parameters"]
    logits = logits.copy()
    seen = sorted(set(case["prompt"]) | set(case["output"]))
    repetition = parameters["repetition_penalty"]
    logits[seen] = np.where(logits[seen] > 0, logits[seen] / repetition, logits[seen] * repetition)
    written, counts = np.unique(np.array(case["output"], dtype=np.int64), return_counts=True)
    logits[written] -= counts * parameters["frequency_penalty"] + parameters["presence_penalty"]
    for token, bias in parameters["logit_bias"]:
        logits[token] += bias
    return logits


def probabilities_of(logits: np.ndarray, parameters: dict) -> tuple[np.ndarray, np.ndarray]:
    """Temperature, top-k, top-p, min-p, in this order, each on what the one before has left: after
    two, and after all.
    """
    weights = np.exp((logits - logits.max()) / parameters["temperature"])
    weights[weights < 2.0**-126] = 0  # less than the smallest normal f32
    ranking = np.lexsort((np.arange(len(logits)), -logits))
    if parameters["top_k"] is not None:
        ranking = ranking[: parameters["top_k"]]
    before = _normal(weights, ranking)
    if parameters["top_p"] < 1:
        reached = np.cumsum(weights[ranking]) / weights[ranking].sum()
        assert np.abs(reached - parameters["top_p"]).min() > 1e-7, "top_p lies on a border; choose another"
        ranking = ranking[: int(np.searchsorted(reached, parameters["top_p"])) + 1]
    if parameters["min_p"] > 0:
        assert np.abs(weights[ranking] - parameters["min_p"]).min() > 1e-7, "min_p lies on a border; choose another"
        ranking = ranking[weights[ranking] >= parameters["min_p"]]
    return before, _normal(weights, ranking)


def _normal(weights: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The probabilities of the tokens that are kept, by their weights."""
    probabilities = np.zeros_like(weights)
    probabilities[kept] = weights[kept] / weights[kept].sum()
    return probabilities


def tokens_of(before: np.ndarray, kept: np.ndarray, seed: int) -> list[list[int]]:
    """The first draws whose races are clear, with their tokens: one that is not kept is drawn
    again.
    """
    chosen: list[list[int]] = []
    index = 0
    while len(chosen) < DRAWS:
        keys = [fold_in(fold_in(seed, index), number) for number in range(MAX_REJECTIONS + 1)]
        tries = [_token_of(before, key) for key in keys[:MAX_REJECTIONS]] + [_token_of(kept, keys[MAX_REJECTIONS])]
        used = next(number for number, (token, _) in enumerate(tries) if kept[token] > 0)
        if min(margin for _, margin in tries[: used + 1]) > MARGIN:
            chosen.append([index, tries[used][0]])
        index += 1
        assert index < 100 * DRAWS, "nearly every race is close"
    return chosen


def _token_of(probabilities: np.ndarray, key: int) -> tuple[int, float]:
    """The token that wins the races of its block and in it, and by how much of its time."""
    starts = range(0, len(probabilities), BLOCK)
    sums = np.array([probabilities[start : start + BLOCK].sum() for start in starts])
    block, block_margin = _race(sums, fold_in(key, 0))
    token, margin = _race(probabilities[block * BLOCK : (block + 1) * BLOCK], fold_in(key, 1))
    return block * BLOCK + token, min(block_margin, margin)


def _race(weights: np.ndarray, key: int) -> tuple[int, float]:
    """Who arrives first, after an exponentially distributed time divided by the weight, and by how
    much of that time.
    """
    draws = np.array([draw(key, number) for number in range(len(weights))])
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(weights > 0, -np.log1p(-draws) / weights, np.inf)
    first, *others = np.sort(times)[:2]
    return int(np.argmin(times)), others[0] / first - 1 if others else np.inf


def solve(case: dict) -> dict:
    """The case with its results."""
    parameters = case["parameters"]
    logits = penalise(make_logits(case["logits"]), case)
    if parameters["temperature"] == 0:
        best = int(np.argmax(logits))
        return case | {"kept": 1, "probabilities": [[best, 1.0]], "draws": [[i, best] for i in range(3)]}
    before, probabilities = probabilities_of(logits, parameters)
    kept = int(np.count_nonzero(probabilities))
    best = np.lexsort((np.arange(len(logits)), -probabilities))[: min(SHOWN, kept)]
    return case | {
        "kept": kept,
        "probabilities": [[int(token), float(f"{probabilities[token]:.9g}")] for token in best],
        "draws": tokens_of(before, probabilities, parameters["seed"]),
    }


def cases() -> list[dict]:
    """Every parameter alone and together, over a small and over GPT-2's vocabulary."""
    neutral = {
        "temperature": 1.0,
        "top_k": None,
        "top_p": 1.0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "logit_bias": [],
    }
    settings = {
        "greedy": {"temperature": 0.0},
        "temperature 0.25": {"temperature": 0.25},
        "temperature 2": {"temperature": 2.0},
        "top-k 1": {"top_k": 1},
        "top-k 40": {"top_k": 40},
        "top-k beyond the vocabulary": {"top_k": 100000},
        "top-p 0.5": {"top_p": 0.5},
        "top-p 0.875": {"top_p": 0.875},
        "min-p 0.125": {"min_p": 0.125},
        "temperature 0.75, top-k 30, top-p 0.75": {"temperature": 0.75, "top_k": 30, "top_p": 0.75},
        "temperature 1.5, top-p 0.9375, min-p 0.0625": {"temperature": 1.5, "top_p": 0.9375, "min_p": 0.0625},
        "penalties": {"repetition_penalty": 1.25, "frequency_penalty": 0.5, "presence_penalty": -0.25},
        "everything": {
            "temperature": 0.875,
            "top_k": 60,
            "top_p": 0.9375,
            "min_p": 0.03125,
            "repetition_penalty": 1.5,
            "frequency_penalty": 0.75,
            "presence_penalty": 0.5,
            "logit_bias": [[3, 4.5], [20, -100.0], [5, 2.25]],
        },
    }
    vocabularies = [
        {"size": 97, "seed": 11, "spread": 8.0},
        {"size": 50257, "seed": 12, "spread": 24.0},
    ]
    made = []
    for number, (name, changes) in enumerate(settings.items()):
        for rule in vocabularies:
            made.append(
                {
                    "name": f"{name}, {rule['size']} tokens",
                    "logits": rule,
                    "prompt": [3, 4, 4, 50],
                    "output": [5, 6, 6, 6, 50],
                    "parameters": neutral | changes | {"seed": 1000 + number},
                }
            )
    return made


def main() -> None:
    """Writes the file and says how many cases it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "crates/carafe-core/tests/golden/sampler.json")
    out = parser.parse_args().out
    golden = {"format": 1, "script": "tools/golden/sampler.py", "cases": [solve(case) for case in cases()]}
    lines = ",\n".join("  " + json.dumps(case) for case in golden["cases"])
    head = json.dumps({"format": 1, "script": golden["script"]})[:-1]
    out.write_text(f'{head}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
    print(json.dumps({"file": str(out), "cases": len(golden["cases"])}))


if __name__ == "__main__":
    main()
