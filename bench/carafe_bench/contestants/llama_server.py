"""llama.cpp through the server of llama-cpp-python, which works on one request at a time and lets the others wait.

That is the server which the package has; llama.cpp's own parallel decoding is measured in process (`llama`). Prompts go as text:
the server takes no token ids.
"""

import importlib.util
import sys
from typing import Any

from carafe_bench.contestant import MissingError, Settings, Task
from carafe_bench.contestants.server_process import (
    ServerProcess,
    free_port,
    load,
    measure_again,
    text_flags,
    tokenizer_flag,
)

CONTEXT = 1024
MODEL = "gpt2"


class LlamaServer:
    """`python -m llama_cpp.server`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server: ServerProcess | None = None

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        if not self.settings.gguf:
            raise MissingError("llama.cpp reads a GGUF file, which is made from a model's source; give `--source`")
        if importlib.util.find_spec("llama_cpp") is None:
            raise MissingError("`llama-cpp-python` is not installed; `cargo xtask bench` installs it")
        self.server = self._serve()
        self.run(Task("generate", prompt_tokens=8, new_tokens=2))

    def run(self, task: Task) -> dict[str, Any]:
        """Load the server, or measure another one."""
        if task.kind in ("start", "memory"):
            return {"figures": measure_again(self._serve, self._load, task)}
        return self._load(self.server, task)

    def stop(self) -> None:
        """End the server."""
        if self.server is not None:
            self.server.stop()

    def _serve(self) -> ServerProcess:
        port, threads = free_port(), str(self.settings.threads)
        flags = {
            "--model": self.settings.gguf,
            "--model_alias": MODEL,
            "--host": "127.0.0.1",
            "--port": str(port),
            "--n_ctx": str(CONTEXT),
            "--n_threads": threads,
            "--n_threads_batch": threads,
            "--flash_attn": "true",
            "--verbose": "false",
            "--interrupt_requests": "false",
        }
        words = [word for pair in flags.items() for word in pair]
        return ServerProcess([sys.executable, "-m", "llama_cpp.server", *words], f"http://127.0.0.1:{port}", "/v1/models")

    def _load(self, server: ServerProcess, task: Task) -> dict[str, Any]:
        return load(self.settings, server.url, MODEL, ["--text", *tokenizer_flag(self.settings), *text_flags(task)])
