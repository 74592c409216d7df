"""The runner's side of a contestant's process: start it, ask it, end it, never wait for ever."""

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from carafe_bench.contestant import MissingError, Settings, Task

START_SECONDS = 180
STOP_SECONDS = 20


class FailedError(Exception):
    """A contestant has failed or not answered in time."""


class Process:
    """A contestant that is ready."""

    def __init__(self, name: str, settings: Settings, log: Path, is_idle: bool = False) -> None:
        self.name = name
        command = [sys.executable, "-m", "carafe_bench.worker", name, json.dumps(settings.as_json())]
        command += ["idle"] if is_idle else []
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8"
            )
        self.log = log
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._wait(START_SECONDS)

    def run(self, task: Task, seconds: float) -> dict[str, Any]:
        """Run a task, for so many seconds at most."""
        try:
            self.process.stdin.write(json.dumps(task.as_json()) + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise FailedError(f"`{self.name}` has ended; its words are in `{self.log}`") from error
        return self._wait(seconds)

    def stop(self) -> None:
        """End the process; it is asked first."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_SECONDS)

    def _read(self) -> None:
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def _wait(self, seconds: float) -> dict[str, Any]:
        try:
            line = self.answers.get(timeout=seconds)
        except queue.Empty:
            self.process.kill()
            raise FailedError(f"`{self.name}` did not answer within {seconds:.0f} s") from None
        if not line:
            raise FailedError(f"`{self.name}` has ended; its words are in `{self.log}`")
        answer = json.loads(line)
        if "missing" in answer:
            self.stop()
            raise MissingError(answer["missing"])
        if "failed" in answer:
            raise FailedError(f"`{self.name}` failed: {answer['failed'].strip().splitlines()[-1]}")
        return answer
