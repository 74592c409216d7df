"""Runs scenarios: contestants side by side, in turn (A B C A B C …), so that whatever the machine does meanwhile meets all.

Every contestant is a process that is started once and kept. One that cannot take part, or fails, is noted with the reason and
left out; it is never silently absent.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from carafe_bench import timing
from carafe_bench.contestant import MissingError, Settings, Task
from carafe_bench.contestants.registry import ENTRIES
from carafe_bench.plan import Scenario
from carafe_bench.process import FailedError, Process

SEEDS_OF_A_ROUND = 1000
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


class Runner:
    """Contestants that are there, and what was measured of them."""

    def __init__(self, settings: Settings, wanted: list[str], log: Path, note: Callable[[dict[str, Any]], None]) -> None:
        self.settings, self.wanted, self.log, self.note = settings, wanted, log, note
        self.is_cold = False
        self.processes: dict[str, Process] = {}
        self.missing: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    def run(self, scenario: Scenario) -> None:
        """Run every round of a scenario; each result goes to `note`."""
        if scenario.name == "start-cold" and not os.access(DROP_CACHES, os.W_OK):
            self.missing[scenario.name] = f"only root may empty the file cache (`{DROP_CACHES}`), so it was not measured"
            return
        if scenario.is_cold != self.is_cold:
            self.stop()
            self.is_cold = scenario.is_cold
        names = [name for name in self.wanted if scenario.name in ENTRIES[name].scenarios and self._is_ready(name)]
        for round_ in range(scenario.rounds):
            say(f"{scenario.title}: round {round_ + 1} of {scenario.rounds}")
            for task_name in scenario.tasks:
                for name in names:
                    self._run(scenario, task_name, name, round_)

    def stop(self) -> None:
        """End every contestant."""
        for process in self.processes.values():
            process.stop()
        self.processes.clear()

    def _is_ready(self, name: str) -> bool:
        if name in self.processes:
            return True
        if name in self.missing or name in self.failed:
            return False
        say(f"start {name}")
        try:
            self.processes[name] = Process(name, self.settings, self.log, self.is_cold)
        except MissingError as missing:
            self._leave_out(self.missing, name, missing)
        except FailedError as failed:
            self._leave_out(self.failed, name, failed)
        return name in self.processes

    def _run(self, scenario: Scenario, task_name: str, name: str, round_: int) -> None:
        task = scenario.tasks_of(name).get(task_name)
        if task is None or name not in self.processes:
            return
        # other prompts in each round, so that nobody can keep what it has read of one
        task = replace(task, seed=task.seed + SEEDS_OF_A_ROUND * round_)
        if scenario.name == "start-cold":
            os.sync()
            DROP_CACHES.write_text("1", encoding="ascii")
        began = time.perf_counter()
        try:
            answer = self.processes[name].run(task, scenario.seconds)
        except (FailedError, MissingError) as reason:
            self._leave_out(self.missing if isinstance(reason, MissingError) else self.failed, name, reason)
            self.processes.pop(name).stop()
            return
        seconds = time.perf_counter() - began
        result = {"scenario": scenario.name, "task": task_name, "contestant": name, "round": round_, "seconds": seconds}
        self.note(result | {"figures": figures_of(answer, task)})

    def _leave_out(self, where: dict[str, str], name: str, reason: Exception) -> None:
        where[name] = str(reason)
        say(f"{name} is left out: {reason}")


def figures_of(answer: dict[str, Any], task: Task) -> timing.Figures:
    """Return the figures of an answer, those of its step and its load generator among them."""
    if "figures" in answer:
        return answer["figures"]
    requests = timing.from_json(answer)
    figures = timing.figures(requests)
    step = answer.get("step")
    if step is not None:
        figures |= {key: value for key, value in step.items() if key.endswith("_us")}
        figures["tokens_per_step"] = step["generated_tokens"] / step["steps"]
        if step["draft_tokens"]:
            figures["acceptance"] = step["accepted_tokens"] / step["draft_tokens"]
    if "generator_processor_seconds" in answer:
        figures["generator_share"] = answer["generator_processor_seconds"] / answer["wall_seconds"]
    if "background_texts" in answer:
        figures["background_texts"] = answer["background_texts"]
    return figures


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
