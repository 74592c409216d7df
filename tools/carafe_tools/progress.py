"""Tells a person on stderr what is being done; stdout stays for data."""

import sys
import time


class Progress:
    """Numbered steps of a command, each with the time that the one before took."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._number = 0
        self._started = time.monotonic()

    def step(self, text: str) -> None:
        """Say that the next step begins."""
        self._number += 1
        elapsed = time.monotonic() - self._started
        print(f"[{self._number}/{self._total}] {elapsed:6.1f} s  {text}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Say something that belongs to the step."""
        print(f"        {text}", file=sys.stderr, flush=True)
