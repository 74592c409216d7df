"""A server that runs in a root, and a question for it.

Goes in: the root and the command. Comes out: what the server answers, over the loopback interface,
which roots share with this machine.
"""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any, Self

from root import Root

QUESTION = "What is the capital of France?"
EXPECTED = "Paris"
READY_WITHIN = 120.0
ANSWERS_WITHIN = 60.0


class Server:
    """A server that is ended with the block that it is for."""

    def __init__(self, root: Root, command: list[str], as_service: bool) -> None:
        """Start it: as a service, which cannot write anywhere, or as the person who installed
        it.
        """
        self.port = free_port()
        port = {"CARAFE_PORT": str(self.port)}
        if as_service:
            self.process = root.start(command, port)
        else:
            root.variables |= port
            self.process = root.run(command, subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # its child ends with it
        self.process.kill()
        self.process.wait()

    def ask(self, model: str) -> str:
        """Wait until it is ready, and return its answer to the question, which must be right."""
        self._wait_until_ready()
        body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 32}
        answer = self.post("/v1/chat/completions", json.dumps(body).encode(), "application/json")
        text = answer["choices"][0]["message"]["content"]
        if EXPECTED not in text:
            raise SystemExit(f"error: asked `{QUESTION}`, it answers `{text}`; `{EXPECTED}` was expected in it")
        return text

    def post(self, path: str, body: bytes, kind: str) -> dict[str, Any]:
        """Return the server's answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
            return json.load(answer)

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + READY_WITHIN
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("error: the server does not become ready")
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return True
        except OSError:
            return False


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
