"""What was measured, as JSON that several runs can add to.

Each run of the suite is a *session* with its time, commit, command and machine. A contestant's results of a scenario are those of
the session that measured them last; only results of one session are compared round by round.
"""

import json
from pathlib import Path
from typing import Any

from carafe_bench.statistics import Spread, ratio_of_rounds, spread

FORMAT = 1
Cell = tuple[str, str, str]  # scenario, task, contestant


class Results:
    """Sessions and what they measured."""

    def __init__(self, contents: dict[str, Any] | None = None) -> None:
        contents = contents or {"format": FORMAT, "sessions": [], "runs": [], "missing": {}}
        if contents["format"] != FORMAT:
            raise ValueError(f"results of format {contents['format']}; this program reads {FORMAT}")
        self.sessions: list[dict[str, Any]] = contents["sessions"]
        self.runs: list[dict[str, Any]] = contents["runs"]
        self.missing: dict[str, str] = contents["missing"]

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Return the results of a file; none if there is no file."""
        return cls(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else cls()

    def write(self, path: Path) -> None:
        """Write all results, a run a line, so that changes can be read."""
        used = {run["session"] for run in self.runs}
        self.sessions = [session for session in self.sessions if session["id"] in used]
        runs = ",\n".join(f"  {json.dumps(run)}" for run in self.runs)
        parts = [
            f'"format": {FORMAT}',
            f'"sessions": {json.dumps(self.sessions, indent=1)}',
            f'"missing": {json.dumps(self.missing, indent=1)}',
            f'"runs": [\n{runs}\n]',
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")

    def merge(self, other: "Results") -> None:
        """Add another run's results; what it has measured again replaces what was there."""
        measured = {(run["scenario"], run["contestant"]) for run in other.runs}
        self.runs = [run for run in self.runs if (run["scenario"], run["contestant"]) not in measured] + other.runs
        ids = {session["id"] for session in other.sessions}
        self.sessions = [session for session in self.sessions if session["id"] not in ids] + other.sessions
        present = {run["contestant"] for run in other.runs} | {run["scenario"] for run in other.runs}
        self.missing = {name: why for name, why in self.missing.items() if name not in present} | other.missing

    def tasks(self, scenario: str) -> list[str]:
        """Return the names of a scenario's tasks, in the order in which they were run."""
        return list(dict.fromkeys(run["task"] for run in self.runs if run["scenario"] == scenario))

    def contestants(self, scenario: str) -> list[str]:
        """Return who was measured in a scenario."""
        return list(dict.fromkeys(run["contestant"] for run in self.runs if run["scenario"] == scenario))

    def values(self, cell: Cell, figure: str) -> list[float]:
        """Return a figure of each round."""
        runs = self._runs(cell)
        return [run["figures"][figure] for run in runs if figure in run["figures"]]

    def spread(self, cell: Cell, figure: str) -> Spread | None:
        """Return the spread of a figure over the rounds; nothing if it was not measured."""
        values = self.values(cell, figure)
        return spread(values) if values else None

    def ratio(self, cell: Cell, baseline: Cell, figure: str) -> float | None:
        """Return the median ratio within rounds, or of the medians where two sessions measured the two."""
        values, base = self.values(cell, figure), self.values(baseline, figure)
        if not values or not base:
            return None
        if self._session(cell) == self._session(baseline):
            return ratio_of_rounds(values, base).median
        return spread(values).median / spread(base).median

    def ratio_of(self, cell: Cell, figure: str, baseline: str) -> float | None:
        """Return the median ratio of two figures of the same runs."""
        values, base = self.values(cell, figure), self.values(cell, baseline)
        return ratio_of_rounds(values, base).median if values and base else None

    def session_of(self, scenario: str, contestant: str) -> dict[str, Any]:
        """Return the session that measured a contestant in a scenario."""
        ids = [run["session"] for run in self.runs if (run["scenario"], run["contestant"]) == (scenario, contestant)]
        return next(session for session in self.sessions if session["id"] == ids[-1])

    def _runs(self, cell: Cell) -> list[dict[str, Any]]:
        return [run for run in self.runs if (run["scenario"], run["task"], run["contestant"]) == cell]

    def _session(self, cell: Cell) -> str:
        return self._runs(cell)[-1]["session"]
