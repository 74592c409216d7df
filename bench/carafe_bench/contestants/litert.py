"""The source .tflite in LiteRT: [1,64] ids in, all logits out, no cache, so everything is computed again for each token."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from carafe_bench.contestant import MissingError, Settings, Task
from carafe_bench.prompts import Words


class LiteRt:
    """An interpreter with XNNPACK, as LiteRT has it by default."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self) -> None:
        """Read the file and compute once."""
        if not self.settings.tflite:
            raise MissingError("there is no source .tflite of this model; give `--source FILE.tflite`")
        self.interpreter = Interpreter(model_path=self.settings.tflite, num_threads=self.settings.threads)
        self.interpreter.allocate_tensors()
        (self.input,) = self.interpreter.get_input_details()
        self.output = self.interpreter.get_output_details()[0]["index"]
        self.length = int(self.input["shape"][1])
        self.words = Words(Path(self.settings.model) / "tokenizer.json")
        self._next(self.words.prompt(8))

    def run(self, task: Task) -> dict[str, Any]:
        """Generate one text; once the window is full, its oldest token falls out."""
        tokens, began, times = self.words.prompt(task.prompt_tokens, task.seed), time.perf_counter(), []
        for _ in range(task.new_tokens):
            tokens.append(self._next(tokens[-self.length :]))
            times.append(time.perf_counter() - began)
        return {"requests": [{"prompt_tokens": task.prompt_tokens, "sent": 0.0, "tokens": times}]}

    def stop(self) -> None:
        """Free the interpreter."""
        del self.interpreter

    def _next(self, tokens: list[int]) -> int:
        window = np.zeros((1, self.length), self.input["dtype"])
        window[0, : len(tokens)] = tokens
        self.interpreter.set_tensor(self.input["index"], window)
        self.interpreter.invoke()
        return int(self.interpreter.get_tensor(self.output)[0, len(tokens) - 1].argmax())
