"""Makes tables of results: a summary for the terminal, and the generated parts of docs/benchmarks.md.

The document's own words stand outside of the markers; between `<!-- generated: NAME -->` and `<!-- end -->` everything is made
here. Ratios are medians of the ratios within rounds.
"""

import re
from collections.abc import Callable
from pathlib import Path

from carafe_bench.contestants.registry import ENTRIES
from carafe_bench.figures import DIGITS, LABELS, bandwidth, limit
from carafe_bench.goals import goals_table
from carafe_bench.plots import plots
from carafe_bench.results import Results
from carafe_bench.statistics import Spread
from carafe_bench.tables import markdown
from carafe_bench.tenants import FLOODING, MODEST

ABSENT = "-"
MIXED = ["tokens_per_second", "ttft_p50_ms", "ttft_p99_ms", "per_token_p50_ms", "per_token_p99_ms", "gap_max_ms"]
BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def summary(results: Results) -> str:
    """Return every table as text for the terminal."""
    blocks = [f"{name}\n\n{make(results)}" for name, make in _blocks().items() if make(results)]
    return "\n\n".join(blocks)


def write_document(results: Results, document: Path) -> None:
    """Fill the document's generated blocks, and write its plots into the folder of its name."""
    folder = document.with_suffix("")
    for name, svg in plots(results).items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    blocks = _blocks()

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{blocks[match[2]](results) or 'Not measured.'}\n\n{match[3]}"

    document.write_text(BLOCK.sub(fill, document.read_text(encoding="utf-8")), encoding="utf-8")


def _blocks() -> dict[str, Callable[[Results], str]]:
    return {
        "machine": machine_table,
        "missing": missing_list,
        "decode": lambda results: one_task(results, "decode", "decode_tokens_per_second"),
        "prefill": lambda results: by_task(results, "prefill", "prompt_tokens_per_second"),
        "aggregate": lambda results: by_task(results, "aggregate", "decode_tokens_per_second"),
        "aggregate-whole": lambda results: by_task(results, "aggregate", "tokens_per_second"),
        "mixed": lambda results: figures_table(results, "mixed", MIXED),
        "mixed-chat": lambda results: figures_table(results, "mixed-chat", MIXED),
        "long-texts": long_texts_table,
        "second-turn": lambda results: figures_table(
            results, "second-turn", ["second_ttft_ms", "cold_ttft_ms", "second_to_cold", "cached_tokens"]
        ),
        "shared-prompt": shared_prompt_table,
        "fairness": fairness_table,
        "start": start_table,
        "memory": lambda results: figures_table(results, "memory", ["anonymous_mib", "rss_mib", "peak_rss_mib", "guest_mib"]),
        "images": images_table,
        "context": lambda results: by_task(results, "context", "decode_tokens_per_second"),
        "context-first": lambda results: by_task(results, "context", "ttft_p50_ms"),
        "width": lambda results: by_task(results, "width", "decode_tokens_per_second"),
        "speculation": speculation_table,
        "step": lambda results: step_table(results, "aggregate"),
        "sampling": lambda results: step_table(results, "sampling"),
        "generator": lambda results: by_task(results, "aggregate", "generator_share"),
        "goals": goals_table,
        "sessions": sessions_table,
    }


def title(name: str) -> str:
    """Return what a contestant is called in tables."""
    return ENTRIES[name].title


def number(spread: Spread | None, figure: str) -> str:
    """Return a median with its quartiles, or a dash."""
    if spread is None:
        return ABSENT
    digits = DIGITS.get(figure, 1)
    text = f"{spread.median:,.{digits}f}"
    return text if spread.count == 1 else f"{text} ({spread.low:,.{digits}f} to {spread.high:,.{digits}f})"


def ratio(value: float | None) -> str:
    """Return a ratio, or a dash."""
    return ABSENT if value is None else f"{value:.2f}"


def best_native(results: Results, scenario: str, task: str, figure: str) -> str | None:
    """Return the fastest engine without a sandbox that Carafe is compared with."""
    peers = [name for name in results.contestants(scenario) if ENTRIES[name].is_native_peer]
    measured = {name: results.spread((scenario, task, name), figure) for name in peers}
    found = {name: spread.median for name, spread in measured.items() if spread is not None}
    return max(found, key=found.get) if found else None


def one_task(results: Results, scenario: str, figure: str) -> str:
    """Return the table of a scenario with one task: the figure, and its ratios to the best native peer and to the limit."""
    if not results.tasks(scenario):
        return ""
    (task,) = results.tasks(scenario)
    peer = best_native(results, scenario, task, figure)
    rows = []
    for name in results.contestants(scenario):
        cell = (scenario, task, name)
        spread = results.spread(cell, figure)
        to_peer = results.ratio(cell, (scenario, task, peer), figure) if peer else None
        to_limit = spread.median / limit(results.session_of(scenario, name))
        first = results.spread(cell, "ttft_p50_ms")
        rows.append([title(name), number(spread, figure), ratio(to_peer), ratio(to_limit), number(first, "ttft_p50_ms")])
    head = ["", LABELS[figure], "to the best native peer", "to the machine's limit", LABELS["ttft_p50_ms"]]
    return markdown(head, rows)


def by_task(results: Results, scenario: str, figure: str) -> str:
    """Return the table of one figure with a column for each task, each with its ratio to the best native peer."""
    tasks = results.tasks(scenario)
    peers = {task: best_native(results, scenario, task, figure) for task in tasks}
    rows = []
    for name in results.contestants(scenario):
        if not any(results.values((scenario, task, name), figure) for task in tasks):
            continue
        row = [title(name)]
        for task in tasks:
            cell = (scenario, task, name)
            spread, peer = results.spread(cell, figure), peers[task]
            to_peer = results.ratio(cell, (scenario, task, peer), figure) if peer else None
            text = ABSENT if spread is None else f"{spread.median:,.{DIGITS.get(figure, 1)}f}"
            row.append(f"{text} ({to_peer:.2f})" if to_peer is not None and figure.endswith("per_second") else text)
        rows.append(row)
    return markdown(["", *tasks], rows) if rows else ""


def figures_table(results: Results, scenario: str, figures: list[str]) -> str:
    """Return the table of a scenario's only task with a column for each figure."""
    tasks = results.tasks(scenario)
    if not tasks:
        return ""
    rows = []
    for name in results.contestants(scenario):
        cells = [number(results.spread((scenario, tasks[0], name), figure), figure) for figure in figures]
        rows.append([title(name), *cells])
    return markdown(["", *(LABELS[figure] for figure in figures)], rows)


def start_table(results: Results) -> str:
    """Return the time from a process's start to its first token, with the files in the cache and without."""
    names = list(dict.fromkeys([*results.contestants("start"), *results.contestants("start-cold")]))
    rows = []
    for name in names:
        cells = [results.spread((scenario, "start", name), "start_seconds") for scenario in ("start", "start-cold")]
        rows.append([title(name), *(number(cell, "start_seconds") for cell in cells)])
    return markdown(["", "s, files in the cache", "s, file cache emptied before"], rows) if rows else ""


def images_table(results: Results) -> str:
    """Return throughput, latency and parts, one and several images at a time."""
    figures = ["images_per_second", "latency_p50_ms", "latency_p99_ms", "decode_ms", "resize_ms", "model_ms"]
    rows = []
    for task in results.tasks("images"):
        peer = best_native(results, "images", task, "images_per_second")
        for name in results.contestants("images"):
            cell = ("images", task, name)
            cells = [number(results.spread(cell, figure), figure) for figure in figures]
            to_peer = results.ratio(cell, ("images", task, peer), "images_per_second") if peer else None
            rows.append([task, title(name), *cells, ratio(to_peer)])
    head = ["at a time", "", *(LABELS[figure] for figure in figures), "to the best peer"]
    return markdown(head, rows) if rows else ""


def long_texts_table(results: Results) -> str:
    """Return what requests that are generating notice of long texts that arrive."""
    figures = ["decode_tokens_per_second", "per_token_p50_ms", "gap_p99_ms", "gap_max_ms", "background_texts"]
    rows = [
        [task, *(number(results.spread(("long-texts", task, name), figure), figure) for figure in figures)]
        for name in results.contestants("long-texts")
        for task in results.tasks("long-texts")
    ]
    return markdown(["texts that arrive", *(LABELS[figure] for figure in figures)], rows) if rows else ""


def shared_prompt_table(results: Results) -> str:
    """Return what prompts that begin alike gain from a prefix cache."""
    scenario, figures = "shared-prompt", ["tokens_per_second", "ttft_p50_ms", "ttft_p99_ms"]
    baselines = ("carafe-server-no-prefix-cache", "genai-prefix-cache")
    rows = []
    for name in results.contestants(scenario):
        cell = (scenario, scenario, name)
        cells = [number(results.spread(cell, figure), figure) for figure in figures]
        ratios = [results.ratio(cell, (scenario, scenario, baseline), figures[0]) for baseline in baselines]
        rows.append([title(name), *cells, *map(ratio, ratios)])
    head = ["", *(LABELS[figure] for figure in figures), "to Carafe, cache off", "to openvino-genai, cache on"]
    return markdown(head, rows) if rows else ""


def fairness_table(results: Results) -> str:
    """Return what each tenant gets, and how long modest ones wait, without one that floods and with it."""
    shares = [f"{name}_tokens_per_second" for name in (*MODEST, FLOODING)]
    waits = ["modest_ttft_p50_ms", "modest_ttft_p99_ms"]
    figures, tasks = [*shares, "jain_index", *waits, "refused"], results.tasks("fairness")
    rows = []
    for name in results.contestants("fairness"):
        alone = ("fairness", tasks[0], name)
        for task in tasks:
            cell = ("fairness", task, name)
            cells = [number(results.spread(cell, figure), figure) for figure in figures]
            slower = [ratio(results.ratio(cell, alone, figure)) for figure in waits]
            rows.append([task, *cells, " and ".join(slower)])
    head = ["tenants", *(LABELS[figure] for figure in figures), "waits to those without the one that floods, p50 and p99"]
    return markdown(head, rows) if rows else ""


def speculation_table(results: Results) -> str:
    """Return speed without and with drafts, and how many tokens a step gave."""
    kinds = list(dict.fromkeys(task.rpartition(", ")[0] for task in results.tasks("speculation")))
    rows = []
    for kind in kinds:
        off, on = (("speculation", f"{kind}, {state}", "carafe") for state in ("off", "on"))
        figure = "decode_tokens_per_second"
        cells = [number(results.spread(cell, figure), figure) for cell in (off, on)]
        steps, taken = results.spread(on, "tokens_per_step"), results.spread(on, "acceptance")
        told = [number(steps, "tokens_per_step"), ABSENT if taken is None else f"{100 * taken.median:.0f} %"]
        rows.append([kind, *cells, ratio(results.ratio(on, off, figure)), *told])
    head = ["text", "tokens/s, off", "tokens/s, on", "speed-up", "tokens a step, on", "drafts accepted"]
    return markdown(head, rows) if rows else ""


def step_table(results: Results, scenario: str) -> str:
    """Return where the time of Carafe's steps goes, as `carafe bench --explain` tells it, for each task of a scenario."""
    rows = []
    for task in results.tasks(scenario):
        names = ("step_us", "openvino_us", "host_us", "guest_us")
        parts = [results.spread((scenario, task, "carafe"), name) for name in names]
        if all(parts):
            whole = parts[0].median
            shares = [f"{part.median:,.0f} ({100 * part.median / whole:.1f} %)" for part in parts[1:]]
            rows.append([task, f"{whole:,.0f}", *shares])
    head = ["at once", "a step, us", "OpenVINO", "host: checks and copies", "guest, with copies into and out of it"]
    return markdown(head, rows) if rows else ""


def machine_table(results: Results) -> str:
    """Return the machine, its limit and the versions of the latest session."""
    if not results.sessions:
        return ""
    session = results.sessions[-1]
    machine, tested = session["machine"], session["versions"]
    rows = [
        ["Processor", f"{machine['processor']}, {machine['processors']} used as {session['threads']} threads"],
        ["Instructions", ", ".join(machine["instructions"])],
        ["Memory", f"{machine['memory_gib']} GiB"],
        ["System", machine["system"]],
        [
            "Memory bandwidth",
            f"{bandwidth(session) / 1e9:.1f} GB/s, read by all threads together; the best of a look after each scenario",
        ],
        ["Weights", f"{session['model']}: {session['weight_bytes'] / 1e6:.1f} MB are read for each token"],
        ["Limit of one sequence", f"{limit(session):.0f} tokens/s: bandwidth by weights"],
        ["Profile", session["profile"]],
        ["Versions", ", ".join(f"{name} {version}" for name, version in tested.items())],
    ]
    return markdown(["", ""], rows)


def missing_list(results: Results) -> str:
    """Return who could not take part, and why."""
    names = {name: title(name) if name in ENTRIES else name for name in results.missing}
    return "\n".join(f"- {names[name]}: {why}" for name, why in results.missing.items()) or "All contestants took part."


def sessions_table(results: Results) -> str:
    """Return which command measured what, when and of which commit."""
    rows = []
    for session in results.sessions:
        scenarios = dict.fromkeys(run["scenario"] for run in results.runs if run["session"] == session["id"])
        rows.append([session["id"], session["commit"], f"`{session['command']}`", ", ".join(scenarios)])
    return markdown(["time", "commit", "command", "measured"], rows)
