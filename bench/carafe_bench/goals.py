"""The goals of the project with what was measured, met or not."""

from dataclasses import dataclass

from carafe_bench.results import Results
from carafe_bench.tables import markdown

DECODE, AGGREGATE = "decode_tokens_per_second", "aggregate"
ENGINES = tuple(("decode", "decode", peer) for peer in ("genai-sdpa", "genai-pa", "genai-continuous", "llama-cpp"))


@dataclass(frozen=True)
class Goal:
    """A ratio of two measured figures and the bound that it must keep."""

    text: str
    figure: str
    cell: tuple[str, str, str]
    baselines: tuple[tuple[str, str, str], ...]  # the best of them counts
    bound: float


@dataclass(frozen=True)
class Absolute:
    """A measured figure and the bound that it must keep."""

    text: str
    figure: str
    cell: tuple[str, str, str]
    bound: float
    is_at_least: bool = False


ABSOLUTE = (
    Absolute("process start to first token, s, files in the cache", "start_seconds", ("start", "start", "carafe"), 0.8),
    Absolute(
        "first token of an 800-token conversation's second turn to that of a prompt of which nothing is known",
        "second_to_cold",
        ("second-turn", "second-turn", "carafe-server"),
        0.15,
    ),
    Absolute(
        "Jain's index of the tokens of four tenants, one of which floods",
        "jain_index",
        ("fairness", "and one that floods", "carafe-server"),
        0.95,
        True,
    ),
)

GOALS = (
    Goal(
        "sandboxed decode to `--native`", DECODE, ("decode", "decode", "carafe"), (("decode", "decode", "carafe-native"),), 0.98
    ),
    Goal(
        "sandboxed decode to the plain Python loop",
        DECODE,
        ("decode", "decode", "carafe"),
        (("decode", "decode", "python-loop"),),
        0.98,
    ),
    *(
        Goal(
            f"sandboxed decode to the best native peer, without speculation, profile `{profile}`",
            DECODE,
            ("decode", "decode", contestant),
            ENGINES,
            1.0,
        )
        for profile, contestant in (("auto", "carafe"), ("latency", "carafe-latency"))
    ),
    Goal("16 requests to 1, in process", DECODE, (AGGREGATE, "16", "carafe"), ((AGGREGATE, "1", "carafe"),), 7.0),
    Goal(
        "16 requests through the server to 1 in process",
        DECODE,
        (AGGREGATE, "16", "carafe-server"),
        ((AGGREGATE, "1", "carafe"),),
        6.0,
    ),
    Goal(
        "16 requests to openvino-genai's continuous batching",
        DECODE,
        (AGGREGATE, "16", "carafe"),
        ((AGGREGATE, "16", "genai-continuous"),),
        1.0,
    ),
    Goal(
        "16 requests through the server to llama.cpp's server",
        DECODE,
        (AGGREGATE, "16", "carafe-server"),
        ((AGGREGATE, "16", "llama-cpp-server"),),
        2.0,
    ),
    Goal(
        "16 requests to llama.cpp's parallel batch, in process",
        DECODE,
        (AGGREGATE, "16", "carafe"),
        ((AGGREGATE, "16", "llama-cpp"),),
        2.0,
    ),
    *(
        Goal(
            f"speculation on greedy text: {kind}",
            DECODE,
            ("speculation", f"{kind}, on", "carafe"),
            (("speculation", f"{kind}, off", "carafe"),),
            bound,
        )
        for kind, bound in (("tale", 1.4), ("repetitive", 2.0))
    ),
    *(
        Goal(
            f"images to OpenVINO in Python with Pillow, {width} at a time",
            "images_per_second",
            ("images", width, "carafe-image"),
            (("images", width, "openvino-pillow"),),
            1.0,
        )
        for width in ("1", "4")
    ),
)


def goals_table(results: Results) -> str:
    """Return every goal with the measured ratio."""
    rows = [row for row in (_row(results, goal) for goal in GOALS) if row]
    rows += [row for row in (_absolute(results, goal) for goal in ABSOLUTE) if row] + _memory(results) + _sampling(results)
    return markdown(["goal", "at least, or at most", "measured", ""], rows) if rows else ""


def _row(results: Results, goal: Goal) -> list[str] | None:
    ratios = [results.ratio(goal.cell, baseline, goal.figure) for baseline in goal.baselines]
    found = [ratio for ratio in ratios if ratio is not None]
    return _line(goal.text, goal.bound, min(found), min(found) >= goal.bound) if found else None


def _absolute(results: Results, goal: Absolute) -> list[str] | None:
    found = results.spread(goal.cell, goal.figure)
    if found is None:
        return None
    is_met = found.median >= goal.bound if goal.is_at_least else found.median <= goal.bound
    return _line(goal.text, goal.bound, found.median, is_met)


def _memory(results: Results) -> list[list[str]]:
    memory = results.spread(("memory", "memory", "carafe"), "anonymous_mib")
    if memory is None:
        return []
    ratio = memory.median / (results.session_of("memory", "carafe")["weight_bytes"] / 2**20)
    return [_line("anonymous memory to the weights' size", 1.6, ratio, ratio <= 1.6)]


def _sampling(results: Results) -> list[list[str]]:
    """Return the goals about sampling; all of the guest's time is counted, so the sampling alone is less."""
    rows = []
    for width, bound in (("1", 0.03), ("16", 0.08)):
        for kind in ("peaked", "flat"):
            cell = ("sampling", f"{width}, {kind}", "carafe")
            share = results.ratio_of(cell, "guest_us", "step_us")
            if share is not None:
                text = f"the guest's share of a step with temperature and top-p, {width} at once, {kind} logits"
                rows.append(_line(text, bound, share, share <= bound))
    return rows


def _line(text: str, bound: float, value: float, is_met: bool) -> list[str]:
    return [text, f"{bound:g}", f"{value:.3g}", "met" if is_met else "not met"]
