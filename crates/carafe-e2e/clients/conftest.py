"""A running `carafe serve` for each test that asks for one, and OpenAI's client to talk to it."""

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest

ROOT = Path(__file__).resolve().parents[3]
BINARY = ROOT / "target/release/carafe"
READY_WITHIN = 120.0
ENDS_WITHIN = 60.0


class Server:
    """A server on a port of its own, with the models of the tree and nothing of the user's."""

    def __init__(self, *flags: str, port: int = 0) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CARAFE_")}
        if "CARAFE_OPENVINO" in os.environ:
            environment["CARAFE_OPENVINO"] = os.environ["CARAFE_OPENVINO"]
        environment |= {"CARAFE_MODELS": str(ROOT / "fixtures/models"), "XDG_DATA_HOME": "/nonexistent"}
        self.process = subprocess.Popen(
            [BINARY, "serve", "--port", str(port), *flags],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self.process.stdout.readline()
        self.url = re.fullmatch(r"listening on (http://\S+)\n", line)[1]
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        end = time.monotonic() + READY_WITHIN
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=5).close()
                return
            except urllib.error.HTTPError:
                assert time.monotonic() < end, "the server does not become ready"
                time.sleep(0.1)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(ENDS_WITHIN)
        self.process.stdout.close()
        return code

    def client(self, **options: object) -> openai.OpenAI:
        options = {"api_key": "not asked for", "max_retries": 0, "timeout": 60} | options
        return openai.OpenAI(base_url=f"{self.url}/v1", **options)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all tests that change nothing."""
    server = Server()
    yield server
    if server.process.poll() is None:
        assert server.stop() == 0


@pytest.fixture(scope="session")
def client(server: Server) -> openai.OpenAI:
    return server.client()


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Starts servers with flags of their own, and ends those that still run."""
    servers: list[Server] = []

    def start(*flags: str, port: int = 0) -> Server:
        servers.append(Server(*flags, port=port))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        server.process.stdout.close()
