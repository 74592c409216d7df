"""Images in Python over the same graph: decoded and resized by Pillow (or OpenCV, `opencv_images`), classified by OpenVINO.

One image at a time uses every thread for each; several at a time have a thread and a request of their own each, and OpenVINO
is told to serve throughput. Pillow, OpenCV and OpenVINO all let go of Python's lock while they work.
"""

import io
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
import openvino as ov
from PIL import Image

from carafe_bench.contestant import Settings, Task
from carafe_bench.images import figures_of


class PythonImages:
    """What is the same for both; `decode` and `resize` are theirs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.image = Path(settings.image).read_bytes()
        manifest = tomllib.loads((Path(settings.image_model) / "model.toml").read_text(encoding="utf-8"))
        self.rule = manifest["image"]
        self.input = manifest["inputs"][0]

    def start(self) -> None:
        """Compile the graph for latency and for throughput."""
        core, threads = ov.Core(), str(self.settings.threads)
        graph = core.read_model(Path(self.settings.image_model) / "model.xml")
        self.latency = core.compile_model(graph, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads})
        self.throughput = core.compile_model(graph, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_NUM_THREADS": threads})
        for compiled in (self.latency, self.throughput):
            self._classify(compiled.create_infer_request(), 0.0)

    def run(self, task: Task) -> dict[str, Any]:
        """Classify the image again and again, so many at a time."""
        compiled = self.latency if task.concurrent == 1 else self.throughput
        kept, began = local(), time.perf_counter()

        def classify(_: int) -> dict[str, float]:
            if not hasattr(kept, "request"):
                kept.request = compiled.create_infer_request()
            return self._classify(kept.request, began)

        with ThreadPoolExecutor(task.concurrent) as pool:
            return {"figures": figures_of(list(pool.map(classify, range(task.options["count"]))))}

    def stop(self) -> None:
        """Free the graph."""
        del self.latency, self.throughput

    def _classify(self, request: ov.InferRequest, began: float) -> dict[str, float]:
        sent = time.perf_counter()
        rgb = self.decode()
        decoded = time.perf_counter()
        pixels = self._pixels(self.resize(rgb, self.rule["width"], self.rule["height"]))
        resized = time.perf_counter()
        request.infer({self.input["name"]: pixels})
        int(request.get_output_tensor(0).data.argmax())
        done = time.perf_counter()
        return {
            "sent": sent - began,
            "done": done - began,
            "decode_ms": 1e3 * (decoded - sent),
            "resize_ms": 1e3 * (resized - decoded),
            "model_ms": 1e3 * (done - resized),
        }

    def _pixels(self, rgb: np.ndarray) -> np.ndarray:
        """Return what the graph takes, by the manifest's rule."""
        if self.rule.get("channels") == "bgr":
            rgb = rgb[:, :, ::-1]
        if self.input["type"] == "f32":
            rgb = (rgb.astype(np.float32) - np.float32(self.rule["mean"])) * np.float32(self.rule["scale"])
        if self.rule["layout"] == "nchw":
            rgb = rgb.transpose(2, 0, 1)
        return np.ascontiguousarray(rgb[None])


class Pillow(PythonImages):
    """With Pillow."""

    def decode(self) -> Any:
        """Return the image in Pillow's form."""
        image = Image.open(io.BytesIO(self.image))
        image.load()
        return image.convert("RGB")

    def resize(self, image: Any, width: int, height: int) -> np.ndarray:
        """Return the pixels of the image stretched to a size."""
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
