import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from carafe_bench import report
from carafe_bench.goals import goals_table
from carafe_bench.plots import plots
from carafe_bench.results import Results

FIGURE = "decode_tokens_per_second"


def session(name):
    return {"id": name, "bandwidth": [20e9, 20e9], "weight_bytes": 100e6, "commit": "c", "command": "x", "model": "m"}


def run(contestant, round_, value, scenario="decode", task="decode", at="one"):
    figures = {FIGURE: value, "ttft_p50_ms": 10.0, "tokens_per_second": value}
    return {
        "scenario": scenario,
        "task": task,
        "contestant": contestant,
        "round": round_,
        "session": at,
        "figures": figures,
    }


def results(*runs, sessions=("one",)):
    return Results({"format": 1, "sessions": [session(name) for name in sessions], "runs": list(runs), "missing": {}})


def test_ratios_are_those_within_rounds_and_the_limit_is_bandwidth_by_weights():
    measured = results(run("carafe", 0, 200), run("llama-cpp", 0, 100), run("carafe", 1, 100), run("llama-cpp", 1, 50))
    table = report.one_task(measured, "decode", FIGURE)
    carafe = next(line for line in table.splitlines() if "carafe bench" in line)
    cells = [cell.strip() for cell in carafe.split("|")[2:5]]
    assert cells == ["150 (125 to 175)", "2.00", "0.75"]


def test_what_was_measured_again_replaces_what_was_there():
    old = results(run("carafe", 0, 1), run("llama-cpp", 0, 2))
    old.missing = {"litert": "not there"}
    new = results(run("carafe", 0, 3, at="two"), run("litert", 0, 4, at="two"), sessions=("two",))
    old.merge(new)
    assert old.values(("decode", "decode", "carafe"), FIGURE) == [3]
    assert old.values(("decode", "decode", "llama-cpp"), FIGURE) == [2]
    assert old.missing == {}
    assert old.ratio(("decode", "decode", "carafe"), ("decode", "decode", "llama-cpp"), FIGURE) == 1.5


def test_results_survive_their_file(tmp_path):
    measured = results(run("carafe", 0, 1))
    measured.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json").runs == measured.runs


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="format 9"):
        Results({"format": 9, "sessions": [], "runs": [], "missing": {}})


def test_only_what_stands_between_markers_is_written(tmp_path):
    document = tmp_path / "benchmarks.md"
    document.write_text("before\n<!-- generated: decode -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    report.write_document(results(run("carafe", 0, 200)), document)
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    assert "| 200 |" in text


def test_a_plot_has_a_line_for_each_contestant():
    widths = [run(name, 0, 100 * width, "aggregate", str(width)) for name in ("carafe", "llama-cpp") for width in (1, 4)]
    (svg,) = plots(results(*widths)).values()
    root = ElementTree.fromstring(svg)
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 2
    assert re.search(r"llama\.cpp", svg)


def figures_of(scenario, task, contestant, figures):
    return {"scenario": scenario, "task": task, "contestant": contestant, "round": 0, "session": "one", "figures": figures}


def test_prompts_that_begin_alike_are_compared_with_no_cache_and_with_the_peer_s():
    rates = {"carafe-server": 300, "carafe-server-no-prefix-cache": 100, "genai-prefix-cache": 200}
    measured = results(
        *(
            figures_of("shared-prompt", "shared-prompt", name, {"tokens_per_second": rate, "ttft_p50_ms": 1, "ttft_p99_ms": 2})
            for name, rate in rates.items()
        )
    )
    line = report.shared_prompt_table(measured).splitlines()[2]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["300", "1.0", "2.0", "3.00", "1.50"]


def test_modest_tenants_waits_are_compared_with_those_without_the_one_that_floods():
    def tenants(task, wait, **figures):
        waits = {"modest_ttft_p50_ms": wait, "modest_ttft_p99_ms": 2 * wait}
        return figures_of("fairness", task, "carafe-server", {"jain_index": 0.99, "refused": 0, **waits, **figures})

    alone, flooded = "three modest ones", "and one that floods"
    measured = results(tenants(alone, 100), tenants(flooded, 150, flooding_tokens_per_second=40))
    first, second = report.fairness_table(measured).splitlines()[2:]
    assert first.split("|")[5].strip() == "-"
    assert second.split("|")[5].strip() == "40.0"
    assert second.split("|")[-2].strip() == "1.50 and 1.50"
    assert "met" in goals_table(measured)


@pytest.mark.parametrize(("value", "verdict"), [(0.14, "met"), (0.16, "not met")])
def test_a_second_turn_is_to_take_little_of_the_time_of_a_cold_one(value, verdict):
    measured = results(figures_of("second-turn", "second-turn", "carafe-server", {"second_to_cold": value}))
    assert goals_table(measured).splitlines()[-1].split("|")[-2].strip() == verdict


def test_every_block_of_the_documents_is_one_that_is_made():
    texts = [path.read_text(encoding="utf-8") for path in Path("docs").glob("benchmarks*.md")]
    assert {name for text in texts for _, name, _ in report.BLOCK.findall(text)} == set(report._blocks())
