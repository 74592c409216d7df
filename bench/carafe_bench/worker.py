"""The process of one contestant: tasks come in as lines of JSON on standard input, answers go out on standard output.

    python -m carafe_bench.worker NAME SETTINGS_JSON [idle]

An idle one loads nothing: it is for measuring other processes of the contestant, from their start.
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
    name, settings, is_idle = sys.argv[1], Settings(**json.loads(sys.argv[2])), "idle" in sys.argv[3:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        contestant = _make(name, settings, is_idle)
    except MissingError as missing:
        _answer(answers, {"missing": str(missing)})
        return 1
    except Exception:
        _answer(answers, {"failed": traceback.format_exc()})
        return 1
    _answer(answers, {"ready": True})
    try:
        for line in sys.stdin:
            _answer(answers, _run(name, contestant, Task(**json.loads(line))))
    finally:
        if contestant is not None and not is_idle:
            contestant.stop()
    return 0


def _make(name: str, settings: Settings, is_idle: bool) -> Contestant | None:
    """Make a contestant and start it; an idle worker holds no file in the cache by having it open."""
    if is_idle and not registry.ENTRIES[name].measures_itself:
        return None
    contestant = registry.make(name, settings)
    if not is_idle:
        contestant.start()
    return contestant


def _run(name: str, contestant: Contestant | None, task: Task) -> dict[str, Any]:
    try:
        if task.kind == "own-memory":
            return {"figures": own_memory()}
        if task.kind in ("start", "memory") and not registry.ENTRIES[name].measures_itself:
            return _measure_again(name, task)
        return contestant.run(task)
    except Exception:
        return {"failed": traceback.format_exc()}


def _measure_again(name: str, task: Task) -> dict[str, Any]:
    """Start another process of the same contestant, and measure the time to its first token, or its memory after some."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "carafe_bench.worker", name, sys.argv[2]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        ready = json.loads(process.stdout.readline())
        if "ready" not in ready:
            return ready
        answer = _ask(process, Task("generate", task.prompt_tokens, task.new_tokens))
        seconds = time.perf_counter() - began
        memory = _ask(process, Task("own-memory"))
        process.stdin.close()
        process.wait(timeout=60)
    if "requests" not in answer:
        return answer
    return {"figures": {"start_seconds": seconds}} if task.kind == "start" else memory


def _ask(process: subprocess.Popen[str], task: Task) -> dict[str, Any]:
    process.stdin.write(json.dumps(task.as_json()) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
