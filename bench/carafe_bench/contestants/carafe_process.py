"""Carafe in its own process: `carafe bench`, with and without the sandbox, and for images; a process for each run."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from carafe_bench.contestant import MissingError, Settings, Task
from carafe_bench.images import figures_of

SECONDS = 300


class Sandboxed:
    """A text model in the sandbox."""

    flags: tuple[str, ...] = ()
    profile: str | None = None  # that of the settings, unless said

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.running = ["--profile", self.profile or settings.profile, "--threads", str(settings.threads)]

    def start(self) -> None:
        """Run once, so that what is missing is told of now."""
        require_binary(self.settings)
        self.run(Task("generate", prompt_tokens=8, new_tokens=2))

    def run(self, task: Task) -> dict[str, Any]:
        """Run one round of `carafe bench`, or time `carafe generate` from its start to its first output."""
        if task.kind == "start":
            return {"figures": {"start_seconds": self._time_start()}}
        answer = self._bench(task)
        (run,) = answer["runs"]
        memory = {name.replace("_bytes", "_mib"): size / 2**20 for name, size in answer["memory"].items()}
        if task.kind == "memory":
            guest = answer["guest_memory_bytes"]
            return {"figures": memory | ({} if guest is None else {"guest_mib": guest / 2**20})}
        return {"requests": run["requests"], "step": run["step"]}

    def stop(self) -> None:
        """Nothing: each run is a process that has ended."""

    def _bench(self, task: Task) -> dict[str, Any]:
        options = {"--new-tokens": task.new_tokens, "--concurrent": task.concurrent, "--rounds": 1, **sampling(task)}
        if "prompt" in task.options:
            options["--prompt"] = task.options["prompt"]
        else:
            options["--prompt-tokens"] = task.prompt_tokens
        words = [str(word) for pair in options.items() for word in pair] + drafts(task.options.get("draft_tokens", 0))
        model = model_flags(task.options.get("model", self.settings.model))
        return run_carafe(self.settings, ["bench", *model, *self.running, "--json", *words, *self.flags])

    def _time_start(self) -> float:
        flags = ["--prompt", " house", "--max-tokens", "1", "--temperature", "0", "--ignore-eos", "--json"]
        native = [flag for flag in self.flags if flag == "--native"]
        began = time.perf_counter()
        run_carafe(self.settings, ["generate", *model_flags(self.settings.model), *self.running, *flags, *native])
        return time.perf_counter() - began


class Native(Sandboxed):
    """The same core without the sandbox."""

    flags = ("--native",)


class Latency(Sandboxed):
    """The same in the profile for one sequence at a time."""

    profile = "latency"


class Images:
    """An image model in the sandbox."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.flags = [*model_flags(settings.image_model), "--profile", settings.profile]

    def start(self) -> None:
        """See that the binary is there."""
        require_binary(self.settings)

    def run(self, task: Task) -> dict[str, Any]:
        """Run one round of `carafe bench --image`."""
        options = ["--image", self.settings.image, "--images", str(task.options["count"])]
        counts = ["--concurrent", str(task.concurrent), "--rounds", "1", "--threads", str(self.settings.threads)]
        answer = run_carafe(self.settings, ["bench", *self.flags, "--json", *options, *counts])
        return {"figures": figures_of(answer["runs"][0]["images"]) | {"guest_mib": answer["guest_memory_bytes"] / 2**20}}

    def stop(self) -> None:
        """Nothing: each run is a process that has ended."""


def require_binary(settings: Settings) -> None:
    """Refuse to start without the binaries."""
    for binary in (settings.carafe, settings.load):
        if not Path(binary).exists():
            raise MissingError(f"`{binary}` is not there; `cargo xtask bench` builds it")


def model_flags(folder: str) -> list[str]:
    """Return the flags that name a model by its folder."""
    return ["--models", str(Path(folder).parent), "--model", Path(folder).name]


def sampling(task: Task) -> dict[str, Any]:
    """Return the flags by which tokens are chosen: greedy unless the task says otherwise."""
    return {"--seed": task.seed, "--temperature": 0, **task.options.get("sampling", {})}


def drafts(tokens: int | None) -> list[str]:
    """Return the flag that sets how many tokens are guessed ahead; none for Carafe's default."""
    return [] if tokens is None else ["--draft-tokens", str(tokens)]


def run_carafe(settings: Settings, words: list[str]) -> dict[str, Any]:
    """Run the binary and return the JSON that it prints."""
    ended = subprocess.run([settings.carafe, *words], capture_output=True, text=True, timeout=SECONDS, check=False)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr.strip().splitlines()[-1])
    return json.loads(ended.stdout)
