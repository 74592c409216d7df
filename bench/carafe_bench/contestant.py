"""The one interface of all contestants, and what they are told.

A contestant lives in a process of its own (`worker`). It is started once, runs tasks, and is stopped. What it answers is
JSON: either the times of requests (`requests`, see `timing`) or figures that it has made itself (`figures`).
"""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol


class MissingError(Exception):
    """A contestant cannot take part; the text says why, and what would help."""


@dataclass(frozen=True)
class Settings:
    """What every contestant is told before it starts."""

    model: str  # the model folder
    gguf: str  # llama.cpp's file of the same weights
    genai: str  # openvino-genai's folder of the same weights
    tflite: str  # the source file; empty if the model has none
    carafe: str  # the binary
    load: str  # the load generator's binary
    image_model: str  # the model folder of the image classifier
    image: str  # the JPEG
    profile: str  # Carafe's, and that of the loop over its graph
    threads: int

    def as_json(self) -> dict[str, Any]:
        """Return the settings for another process."""
        return asdict(self)


@dataclass(frozen=True)
class Task:
    """What to run once."""

    kind: str  # `generate`, `mixed`, `second-turn`, `tenants`, `start`, `memory` or `images`
    prompt_tokens: int = 32
    new_tokens: int = 128
    concurrent: int = 1
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the task for another process."""
        return asdict(self)


class Contestant(Protocol):
    """Something that is measured."""

    def start(self) -> None:
        """Load what is to be measured and warm it up; raise `MissingError` if it cannot take part."""

    def run(self, task: Task) -> dict[str, Any]:
        """Run a task once."""

    def stop(self) -> None:
        """Free what was loaded, and end what was started."""


def memory_of(process: int | str) -> dict[str, float]:
    """Return the memory of a process in MiB: resident, the anonymous part of it, and the most there has been."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines())

    def mebibytes(key: str) -> float:
        return int(lines[key].split()[0]) / 1024

    return {"rss_mib": mebibytes("VmRSS"), "anonymous_mib": mebibytes("RssAnon"), "peak_rss_mib": mebibytes("VmHWM")}


def own_memory() -> dict[str, float]:
    """Return the memory of this process."""
    return memory_of(os.getpid())
