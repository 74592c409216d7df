"""A server of one contestant: started on a free port of this machine, waited for, loaded, measured and ended."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from carafe_bench.arrivals import load_of
from carafe_bench.contestant import Settings, Task, memory_of

READY_SECONDS = 120
LOAD_SECONDS = 300
STOP_SECONDS = 20
PAUSE = 0.01


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class ServerProcess:
    """A process that serves HTTP."""

    def __init__(self, command: list[str], url: str, ready_path: str, log: TextIO | None = None) -> None:
        self.url = url
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        self._wait(lambda: self._answers(ready_path))
        self.ready_seconds = time.perf_counter() - self.began

    def stop(self) -> None:
        """End the process; it is asked first."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS)

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _wait(self, is_ready: Callable[[], bool]) -> None:
        while not is_ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with exit code {self.process.returncode} before it was ready")
            if time.perf_counter() - self.began > READY_SECONDS:
                self.stop()
                raise RuntimeError(f"the server was not ready within {READY_SECONDS} s")
            time.sleep(PAUSE)


def measure_again(serve: Callable[[], ServerProcess], ask: Callable[[ServerProcess, Task], Any], task: Task) -> dict[str, float]:
    """Start another server, and measure the time to its first token, or its memory after some."""
    server = serve()
    try:
        ask(server, Task("generate", task.prompt_tokens, task.new_tokens))
        if task.kind == "memory":
            return memory_of(server.process.pid)
        return {"start_seconds": time.perf_counter() - server.began, "ready_seconds": server.ready_seconds}
    finally:
        server.stop()


def text_flags(task: Task) -> list[str]:
    """Return the load generator's flags of a task."""
    counts = {"--prompt-tokens": task.prompt_tokens, "--new-tokens": task.new_tokens}
    if task.kind == "generate":
        counts["--concurrent"] = task.concurrent
    elif task.kind == "second-turn":
        counts["--second-turn"] = task.options["added_tokens"]
    elif task.kind == "tenants":
        counts["--seconds"] = task.options["seconds"]
    elif task.kind == "mixed":
        load = load_of(task)
        counts = {
            "--prompt-tokens": "-".join(map(str, load.prompt_tokens)),
            "--new-tokens": "-".join(map(str, load.new_tokens)),
            "--rate": load.rate,
            "--requests": load.requests,
        }
    for option in ("background_text", "shared_tokens"):
        if task.options.get(option):
            counts[f"--{option.replace('_', '-')}"] = task.options[option]
    return [str(word) for pair in (counts | {"--seed": task.seed}).items() for word in pair]


def load(settings: Settings, url: str, model: str, flags: list[str]) -> dict[str, Any]:
    """Run the load generator and return what it prints."""
    command = [settings.load, "--url", url, "--model", model, *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_SECONDS, check=False)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr.strip().splitlines()[-1])
    return json.loads(ended.stdout)


def tokenizer_flag(settings: Settings) -> list[str]:
    """Return the flag that names the file whose words make the prompts."""
    return ["--tokenizer", str(Path(settings.model) / "tokenizer.json")]
