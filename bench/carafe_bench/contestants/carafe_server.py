"""Carafe through its server: `carafe serve` and the load generator, each a process of its own."""

import tempfile
from pathlib import Path
from typing import Any

from carafe_bench import conversation, tenants
from carafe_bench.contestant import Settings, Task
from carafe_bench.contestants.carafe_process import drafts, model_flags, require_binary
from carafe_bench.contestants.server_process import (
    ServerProcess,
    free_port,
    load,
    measure_again,
    text_flags,
    tokenizer_flag,
)
from carafe_bench.images import figures_of


class _Server:
    """A server of one model."""

    flags: tuple[str, ...] = ()

    def __init__(self, settings: Settings, folder: str) -> None:
        self.settings, self.folder = settings, Path(folder)
        self.server: ServerProcess | None = None

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        require_binary(self.settings)
        self.server = self._serve()

    def stop(self) -> None:
        """End the server."""
        if self.server is not None:
            self.server.stop()

    def _serve(self, *flags: str) -> ServerProcess:
        port, settings = free_port(), self.settings
        model = model_flags(str(self.folder))
        running = ["--profile", settings.profile, "--threads", str(settings.threads), "--queue", "1024"]
        command = [settings.carafe, "serve", "--port", str(port), *model, *running, *drafts(0), *self.flags, *flags]
        return ServerProcess(command, f"http://127.0.0.1:{port}", "/readyz")

    def _load(self, server: ServerProcess, flags: list[str]) -> dict[str, Any]:
        return load(self.settings, server.url, self.folder.name, flags)


class CarafeServer(_Server):
    """A text model."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.model)

    def run(self, task: Task) -> dict[str, Any]:
        """Load the server, or measure another one."""
        if task.kind in ("start", "memory"):
            return {"figures": measure_again(self._serve, self._ask, task)}
        if task.kind == "tenants":
            return {"figures": self._serve_tenants(task)}
        answer = self._ask(self.server, task)
        return {"figures": conversation.figures(answer["turns"])} if task.kind == "second-turn" else answer

    def _ask(self, server: ServerProcess, task: Task, *flags: str) -> dict[str, Any]:
        return self._load(server, [*tokenizer_flag(self.settings), *text_flags(task), *flags])

    def _serve_tenants(self, task: Task) -> tenants.Figures:
        """Start a server that knows the tenants, load it and end it."""
        names, seconds = task.options["tenants"], task.options["seconds"]
        keys = {name: f"key-of-tenant-{name}" for name in names}
        with tempfile.NamedTemporaryFile("w", suffix=".keys", encoding="ascii") as file:
            file.write("\n".join(keys.values()))
            file.flush()
            server = self._serve("--api-key-file", file.name)
            try:
                flags = [word for name, count in names.items() for word in ("--tenant", f"{keys[name]}={count}")]
                return tenants.figures(self._ask(server, task, *flags), list(names), seconds)
            finally:
                server.stop()


class CarafeServerNoPrefixCache(CarafeServer):
    """The same without the prefix cache."""

    flags = ("--no-prefix-cache",)


class CarafeImageServer(_Server):
    """An image model."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.image_model)

    def run(self, task: Task) -> dict[str, Any]:
        """Send images."""
        flags = ["--image", self.settings.image, "--concurrent", task.concurrent, "--requests", task.options["count"]]
        answer = self._load(self.server, [str(flag) for flag in flags])
        return {"figures": figures_of(answer["images"])}
