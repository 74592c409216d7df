"""Which requests a task has, and when they arrive: all at once, or as a Poisson process.

The load generator (`bench/load`) follows the same rule, the same generator included, so that every contestant gets the same
load for the same seed.
"""

import math
from dataclasses import dataclass

from carafe_bench.contestant import Task
from carafe_bench.prompts import Words


@dataclass(frozen=True)
class Arrival:
    """A request that arrives so many seconds after the run has begun."""

    at: float
    prompt: list[int]
    new_tokens: int


class Splitmix:
    """The generator SplitMix64."""

    def __init__(self, seed: int) -> None:
        self.state = seed % 2**64

    def next(self) -> int:
        """Return 64 random bits."""
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        mixed = ((self.state ^ (self.state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) % 2**64
        return mixed ^ (mixed >> 31)

    def unit(self) -> float:
        """Return a number in [0,1)."""
        return (self.next() >> 11) / 2**53

    def between(self, low: int, high: int) -> int:
        """Return a whole number of the range, both ends included."""
        return low + int(self.unit() * (high - low + 1))


@dataclass(frozen=True)
class Load:
    """A mixed load: so many requests at so many a second, lengths drawn evenly from their ranges."""

    requests: int
    rate: float
    prompt_tokens: tuple[int, int]
    new_tokens: tuple[int, int]
    seed: int

    def draw(self) -> list[tuple[float, int, int]]:
        """Return time of arrival, prompt tokens and new tokens of each request."""
        generator, at, drawn = Splitmix(self.seed), 0.0, []
        for _ in range(self.requests):
            prompt, new = generator.between(*self.prompt_tokens), generator.between(*self.new_tokens)
            drawn.append((at, prompt, new))
            at += -math.log(1 - generator.unit()) / self.rate
        return drawn


def load_of(task: Task) -> Load:
    """Return the load of a `mixed` task."""
    options = task.options
    return Load(options["requests"], options["rate"], tuple(options["prompt_range"]), tuple(options["new_range"]), task.seed)


def arrivals(task: Task, words: Words) -> list[Arrival]:
    """Return a task's requests in the order in which they arrive; all may begin with the same tokens."""
    at_once = [(0.0, task.prompt_tokens, task.new_tokens)] * task.concurrent
    drawn = load_of(task).draw() if task.kind == "mixed" else at_once
    shared = _shared(task, words)
    seeds = range(task.seed, task.seed + len(drawn))
    return [Arrival(at, shared + words.prompt(prompt, seed), new) for seed, (at, prompt, new) in zip(seeds, drawn, strict=True)]


def earlier(task: Task, words: Words) -> list[int] | None:
    """Return the prompt that is answered before those that begin like it are sent; nothing if none do."""
    shared = _shared(task, words)
    return shared + words.prompt(task.prompt_tokens, task.seed + task.concurrent) if shared else None


def _shared(task: Task, words: Words) -> list[int]:
    return words.prompt(task.options.get("shared_tokens", 0), task.seed)
