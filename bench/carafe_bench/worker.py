"""The process of one contestant: tasks come in as lines of JSON on standard input, answers go out on standard output.

    python -m carafe_bench.worker NAME SETTINGS_JSON

Libraries that print find standard error where standard output was.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from typing import Any, TextIO

from carafe_bench.contestant import Contestant, MissingError, Settings, Task, own_memory
from carafe_bench.contestants import registry


def main() -> int:
    """Serve tasks until standard input ends."""
    name, settings = sys.argv[1], Settings(**json.loads(sys.argv[2]))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    contestant = _start(name, settings, answers)
    if contestant is None:
        return 1
    try:
        for line in sys.stdin:
            _answer(answers, _run(name, contestant, Task(**json.loads(line))))
    finally:
        contestant.stop()
    return 0


def _start(name: str, settings: Settings, answers: TextIO) -> Contestant | None:
    try:
        contestant = registry.make(name, settings)
        contestant.start()
    except MissingError as missing:
        _answer(answers, {"missing": str(missing)})
        return None
    except Exception:
        _answer(answers, {"failed": traceback.format_exc()})
        return None
    _answer(answers, {"ready": True})
    return contestant


def _run(name: str, contestant: Contestant, task: Task) -> dict[str, Any]:
    try:
        if task.kind == "start" and not contestant.measures_itself:
            return _start_again(name)
        if task.kind == "memory" and not contestant.measures_itself:
            return {"figures": own_memory()}
        return contestant.run(task)
    except Exception:
        return {"failed": traceback.format_exc()}


def _start_again(name: str) -> dict[str, Any]:
    """Time another process of the same contestant from its start to its first token."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "carafe_bench.worker", name, sys.argv[2]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        task = Task("generate", prompt_tokens=8, new_tokens=1)
        process.stdin.write(json.dumps(task.as_json()) + "\n")
        process.stdin.flush()
        ready = json.loads(process.stdout.readline())
        answer = json.loads(process.stdout.readline()) if "ready" in ready else ready
        seconds = time.perf_counter() - began
        process.stdin.close()
        process.wait(timeout=60)
    return {"figures": {"start_seconds": seconds}} if "requests" in answer else answer


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
