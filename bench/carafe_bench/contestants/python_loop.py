"""The best that a program can do with the graph alone: numpy, argmax and OpenVINO, rows in lock step, nothing around it."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from carafe_bench.contestant import Settings, Task
from carafe_bench.prompts import Words
from carafe_tools.environment import compile_model, read_model

STEP = 128  # positions of a row that one compute may read, as in Carafe


class PythonLoop:
    """A loop over the stateful graph."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self) -> None:
        """Compile the graph and compute once."""
        folder = Path(self.settings.model)
        self.compiled = compile_model(read_model(folder / "model.xml"), self.settings.profile, self.settings.threads)
        self.words = Words(folder / "tokenizer.json")
        self._generate(np.zeros((1, 8), np.int32), 2)

    def run(self, task: Task) -> dict[str, Any]:
        """Generate for all rows at once."""
        rows = [self.words.prompt(task.prompt_tokens, task.seed + row) for row in range(task.concurrent)]
        times = self._generate(np.array(rows, np.int32), task.new_tokens)
        return {"requests": [{"prompt_tokens": task.prompt_tokens, "sent": 0.0, "tokens": times}] * task.concurrent}

    def stop(self) -> None:
        """Free the graph."""
        del self.compiled

    def _generate(self, prompt: np.ndarray, count: int) -> list[float]:
        request, began, times = self.compiled.create_infer_request(), time.perf_counter(), []
        rows = len(prompt)
        everybody, position = np.arange(rows, dtype=np.int32), 0
        pieces = [prompt[:, start : start + STEP] for start in range(0, prompt.shape[1], STEP)]
        while len(times) < count:
            ids = pieces.pop(0)
            length = ids.shape[1]
            places = np.arange(position, position + length, dtype=np.int32)
            request.set_tensor("input_ids", ov.Tensor(np.ascontiguousarray(ids)))
            request.set_tensor("position_ids", ov.Tensor(np.tile(places, (rows, 1))))
            request.set_tensor("attention_mask", ov.Tensor(np.ones((rows, position + length), np.int32)))
            request.set_tensor("beam_idx", ov.Tensor(everybody))
            request.set_tensor("logit_idx", ov.Tensor(everybody * length + length - 1))
            request.infer()
            position += length
            if not pieces:
                pieces.append(request.get_tensor("logits").data.argmax(1).astype(np.int32)[:, None])  # (B, 1)
                times.append(time.perf_counter() - began)
        return times
