"""A person at a pseudo-terminal: types keys, and waits for what the screen shows."""

import fcntl
import os
import pty
import re
import subprocess
import termios
import time
from collections.abc import Callable

#: A bound that only a program that hangs exceeds.
PATIENCE = 600


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        streams = {"stdin": slave, "stdout": slave, "stderr": slave}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=own_terminal, **streams)
        os.close(slave)
        os.set_blocking(self.master, False)
        self.shown = ""

    def read(self) -> None:
        """Take in what is on the screen by now."""
        try:
            self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self.master, 1 << 16).decode(errors="replace"))
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:  # the program has ended
            time.sleep(0.01)

    def wait_for(self, what: str, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"waited for {what}: {self.shown}"
            self.read()

    def expect(self, text: str) -> None:
        """Wait until the screen shows a text behind what was expected before."""
        self.wait_for(repr(text), lambda: text in self.shown)
        self.shown = self.shown.partition(text)[2]

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def ends(self) -> int:
        self.wait_for("the end", lambda: self.process.poll() is not None)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


def own_terminal() -> None:
    """Make the terminal the one that the program is controlled by, so that Ctrl-C there interrupts it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
