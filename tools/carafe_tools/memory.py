"""Measures what a graph needs: the peak memory of a fresh process after loading it and after
running it.

Goes in: `model.xml`. Comes out: one line of JSON, `{"peak_load_bytes": …, "peak_run_bytes": …}`.
The process has Python, numpy and OpenVINO in it, about 90 MB. Figures are rounded up to 16 MiB, so
that a certificate made again is the same.

    python -m carafe_tools.memory models/tales/model.xml
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from carafe_tools.environment import compile_model, peak_memory_bytes, read_model
from carafe_tools.errors import require
from carafe_tools.text_context import PagedContext, compile_paged

ROUNDING = 16 << 20
STEPS = 16


def measure_apart(graph: Path) -> dict[str, int]:
    """Return the peaks of a process of its own that loads and runs a graph in `fast`."""
    command = [sys.executable, "-m", "carafe_tools.memory", str(graph)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    require(result.returncode == 0, f"the process that measures memory failed: {result.stderr.strip()[-300:]}")
    return json.loads(result.stdout)


def _rounded_peak() -> int:
    return -(-peak_memory_bytes() // ROUNDING) * ROUNDING


def _text_step(compiled: ov.CompiledModel) -> Callable[[], Any]:
    context = PagedContext(compiled, 1, STEPS)
    return lambda: context.step([(context.sequences[0], np.zeros(1, np.int32))])


def _image_step(compiled: ov.CompiledModel) -> Callable[[], Any]:
    request, port = compiled.create_infer_request(), compiled.input(0)
    return lambda: request.infer([np.zeros(port.shape, port.get_element_type().to_dtype())])


def main() -> None:
    """Load, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path)
    graph = read_model(parser.parse_args().graph)
    is_text = graph.input(0).get_partial_shape().is_dynamic
    compiled = (compile_paged if is_text else compile_model)(graph, "fast")
    loaded = _rounded_peak()
    step = (_text_step if is_text else _image_step)(compiled)
    for _ in range(STEPS):
        step()
    print(json.dumps({"peak_load_bytes": loaded, "peak_run_bytes": _rounded_peak()}))


if __name__ == "__main__":
    main()
