"""Carafe through its server: `carafe serve` and the load generator, each a process of its own."""

import time
from pathlib import Path
from typing import Any

from carafe_bench.contestant import Settings, Task, memory_of
from carafe_bench.contestants.carafe_process import draft_flag, require_binary
from carafe_bench.contestants.server_process import ServerProcess, free_port, load, text_flags, tokenizer_flag
from carafe_bench.images import figures_of


class _Server:
    """A server of one model."""

    measures_itself = True

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

    def _serve(self) -> ServerProcess:
        port, settings = free_port(), self.settings
        model = ["--models", str(self.folder.parent), "--model", self.folder.name]
        running = ["--profile", settings.profile, "--threads", str(settings.threads), "--queue", "1024"]
        drafts = draft_flag(settings.carafe, "serve", 0)
        command = [settings.carafe, "serve", "--port", str(port), *model, *running, *drafts]
        return ServerProcess(command, f"http://127.0.0.1:{port}", "/readyz")

    def _load(self, server: ServerProcess, flags: list[str]) -> dict[str, Any]:
        return load(self.settings, server.url, self.folder.name, flags)


class CarafeServer(_Server):
    """A text model."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.model)

    def run(self, task: Task) -> dict[str, Any]:
        """Load the server, look at its memory, or start another one."""
        if task.kind == "memory":
            return {"figures": memory_of(self.server.process.pid)}
        if task.kind == "start":
            return {"figures": self._time_start()}
        return self._load(self.server, [*tokenizer_flag(self.settings), *text_flags(task)])

    def _time_start(self) -> dict[str, float]:
        server = self._serve()
        try:
            ready = time.perf_counter() - server.began
            first = Task("generate", prompt_tokens=8, new_tokens=1)
            self._load(server, [*tokenizer_flag(self.settings), *text_flags(first)])
            return {"start_seconds": time.perf_counter() - server.began, "ready_seconds": ready}
        finally:
            server.stop()


class CarafeImageServer(_Server):
    """An image model."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.image_model)

    def run(self, task: Task) -> dict[str, Any]:
        """Send images."""
        flags = ["--image", self.settings.image, "--concurrent", task.concurrent, "--requests", task.options["count"]]
        answer = self._load(self.server, [str(flag) for flag in flags])
        return {"figures": figures_of(answer["images"])}
