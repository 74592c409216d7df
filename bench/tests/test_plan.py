from pathlib import Path

import pytest

from carafe_bench.contestants.registry import ENTRIES
from carafe_bench.plan import scenarios
from carafe_bench.runner import SEEDS_OF_A_ROUND

QUICK = pytest.mark.parametrize("quick", [False, True])


# who takes part in these has a process of its own for each task; the load of `mixed` has lengths that are drawn
APART = {"speculation", "sampling", "mixed", "mixed-chat", "fairness"}


def openings(task):
    """Return length and seed of what each prompt of a task begins with."""
    if task.kind == "second-turn":
        return {(task.prompt_tokens + more, task.seed) for more in (0, task.new_tokens + task.options["added_tokens"])}
    if "shared_tokens" in task.options:
        return {(task.options["shared_tokens"], task.seed)}
    return {(task.prompt_tokens, task.seed + number) for number in range(task.concurrent)}


@QUICK
def test_no_prompt_begins_like_one_of_another_task_or_round(quick):
    found = [scenario for scenario in scenarios(quick, Path("tales")) if scenario.name not in APART]
    tasks = [task for scenario in found for task in scenario.tasks.values() if task.kind in ("generate", "second-turn")]
    all_of_them = [opening for task in tasks for opening in openings(task)]
    assert len(set(all_of_them)) == len(all_of_them)
    assert max(seed for _, seed in all_of_them) < SEEDS_OF_A_ROUND


@QUICK
def test_every_scenario_has_contestants_and_every_contestant_scenarios(quick):
    names = {scenario.name for scenario in scenarios(quick, Path("tales"))}
    taken = {name for entry in ENTRIES.values() for name in entry.scenarios}
    assert taken == names
