"""The loop: rows in, better weights out, a line on stderr now and then, a checkpoint every few
minutes.

A step depends on the weights, the optimiser's state and the step's number, and on nothing else:
what goes on from a checkpoint ends with the very bytes of what was never interrupted. Where the end
is may change on the way, as only the last `cooldown` steps look at it: learning rates fall to zero
over them, and the share of the books to write like rises to one.
"""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType

import jax
import numpy as np

from carafe_tools.errors import require
from carafe_tools.gpt2 import Dimensions
from carafe_train.checkpoint import Training
from carafe_train.data import Books
from carafe_train.model import Weights, loss
from carafe_train.optimiser import State, improve


@dataclass(frozen=True)
class Plan:
    """How to train; the options of the same names say more."""

    steps: int
    cooldown: int
    warmup: int
    rows: int
    muon: float
    adam: float
    share: float
    seed: int
    bfloat16: bool
    report: int
    validate: int
    minutes: float

    def check(self) -> None:
        """Refuse a plan that cannot be followed."""
        for name in ("steps", "rows", "report", "validate"):
            require(getattr(self, name) >= 1, f"`--{name}` is {getattr(self, name)}; at least 1 is needed")
        require(0 <= self.share <= 1, f"`--share` is {self.share}; 0 to 1 are possible")

    def rest(self, step: int) -> float:
        """Return how much of the cool-down is ahead of a step: 1 before it, 0 at the end."""
        return min(1.0, (self.steps - step) / max(1, self.cooldown))

    def rate(self, step: int) -> float:
        """Return the factor of the learning rates at a step."""
        return min(self.rest(step), (step + 1) / max(1, self.warmup))

    def focus(self, step: int) -> float:
        """Return the share of rows from the books to write like at a step."""
        return 1 - (1 - self.share) * self.rest(step)


class Stop:
    """Whether Ctrl-C or a request to terminate came: the step is finished then, and a checkpoint
    written.
    """

    def __init__(self) -> None:
        self.is_asked = False

    def __enter__(self) -> "Stop":
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._ask) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.is_asked = True


class Report:
    """Lines of progress on stderr."""

    def __init__(self, training: Training, plan: Plan) -> None:
        self._plan = plan
        self._began, self._tokens = time.monotonic(), training.tokens
        self._losses: list[float] = []

    def step(self, training: Training, value: float) -> None:
        """Take the loss of a step; say the mean of them now and then, with the speed and the time
        left.
        """
        self._losses.append(value)
        if training.step % self._plan.report:
            return
        seconds_a_token = (time.monotonic() - self._began) / (training.tokens - self._tokens)
        left = (self._plan.steps - training.step) * training.tokens / training.step * seconds_a_token / 60
        progress = f"step {training.step}/{self._plan.steps}  loss {np.mean(self._losses):.3f}"
        self.say(f"{progress}  {1 / seconds_a_token:.0f} tokens/s  {left:.0f} min left")
        self._losses = []

    @staticmethod
    def say(text: str) -> None:
        """Say something at a time of day."""
        print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def train(training: Training, books: Books, size: Dimensions, plan: Plan, keep: Callable[[Training], None]) -> None:
    """Train up to the plan's last step, or until a stop is asked for; `keep` is given what to save,
    at the end too.
    """
    report, saved = Report(training, plan), time.monotonic()
    with Stop() as stop:
        while training.step < plan.steps and not stop.is_asked:
            rows = books.rows(plan.seed, training.step, plan.rows, size.positions + 1, plan.focus(training.step))
            rates = [plan.rate(training.step) * peak for peak in (plan.muon, plan.adam)]
            training.weights, training.state, value = _advance(
                training.weights, training.state, rows, float(training.step), *rates, size, plan.bfloat16
            )
            training.step, training.tokens = training.step + 1, training.tokens + plan.rows * size.positions
            report.step(training, float(value))
            if training.step % plan.validate == 0:
                report.say(f"step {training.step}  validation loss {held_out_loss(training.weights, books.held_out, size):.4f}")
            if time.monotonic() - saved > plan.minutes * 60:
                keep(training)
                saved = time.monotonic()
        keep(training)


def held_out_loss(weights: Weights, ids: np.ndarray, size: Dimensions) -> float:
    """Return the mean loss in float32 over windows of the context's length, side by side, each
    scored from its second token on.

    It is the protocol of `carafe_tools perplexity`, so that the number can be compared with that of
    a converted model.
    """
    windows = [part for part in np.split(ids, range(size.positions, len(ids), size.positions)) if len(part) > 1]
    total = sum(float(_score(weights, part[None].astype(np.int32), size, False)) * (len(part) - 1) for part in windows)
    return total / sum(len(part) - 1 for part in windows)


@partial(jax.jit, static_argnames=("size", "low"))
def _advance(
    weights: Weights,
    state: State,
    rows: jax.Array,
    number: jax.Array,
    muon: jax.Array,
    adam: jax.Array,
    size: Dimensions,
    low: bool,
) -> tuple[Weights, State, jax.Array]:
    value, gradients = jax.value_and_grad(loss)(weights, rows, size, low)
    return *improve(weights, gradients, state, number, muon, adam), value


_score = jax.jit(loss, static_argnames=("size", "low"))
