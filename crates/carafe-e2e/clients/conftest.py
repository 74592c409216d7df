"""A running server for each test that asks for one, and OpenAI's client to talk to it."""

from collections.abc import Callable, Iterator

import openai
import pytest
from serving import BINARY, ENDLESS_SEQUENCES, ROOT, Server

__all__ = ["BINARY", "ROOT", "Server"]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all tests that change nothing. In `exact`, texts do not depend on what else is in a batch."""
    server = Server("--profile", "exact")
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


@pytest.fixture
def start_busy(start: Callable[..., Server]) -> Callable[..., Server]:
    """Starts a server whose permits [`Server.busy`] can hold."""
    return lambda *flags: start("--model", "tales", "--queue", str(ENDLESS_SEQUENCES), "--request-timeout", "3600", *flags)
