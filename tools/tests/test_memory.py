"""Adding a model takes little more memory than the model: what grows with vocabulary times prompt
never lies whole in it.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as opset
import pytest
from conftest import FIXTURES, UNOPENED

from carafe_tools.certificate import WEIGHTS
from carafe_tools.zoo import ARCHIVE, unpack

pytestmark = pytest.mark.openvino

VOCABULARY = 131_072
ROOM = 512 << 20  # logits of all positions of a prompt, 128 MiB, were kept several times over
BETWEEN_LOOKS = 0.005  # seconds


def with_a_large_vocabulary(source: Path, target: Path) -> Path:
    """Write a copy of an export whose embedding and head have many rows, and return its folder."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("openvino_model.*"))
    graph = ov.Core().read_model(source / "openvino_model.xml")
    tables = [node for node in graph.get_ordered_ops() if node.get_type_name() == "Constant" and is_table(node)]
    for table in tables:
        rows = np.resize(table.get_data(), (VOCABULARY, table.get_output_shape(0)[1]))
        table.output(0).replace(opset.constant(rows).output(0))
    assert len(tables) == 2
    graph.validate_nodes_and_infer_types()
    ov.save_model(graph, target / "openvino_model.xml", compress_to_fp16=False)
    return target


def is_table(node: ov.Node) -> bool:
    return list(node.get_output_shape(0)) == [512, 64]


def processes(root: int) -> Iterator[int]:
    """Yield the ids of a process and of all that it started."""
    yield root
    for thread in Path(f"/proc/{root}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from processes(int(child))


def anonymous_bytes(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def peak_of(command: list[str]) -> int:
    """Run a command, which must succeed, and return the most anonymous memory that it and all its
    processes had at once.
    """
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            with suppress(OSError):  # of a process that has just ended
                peak = max(peak, sum(map(anonymous_bytes, processes(running.pid))))
            time.sleep(BETWEEN_LOOKS)
    assert running.returncode == 0
    return peak


def test_adding_a_model_of_a_large_vocabulary_takes_little_more_memory_than_the_model(tmp_path: Path) -> None:
    source = with_a_large_vocabulary(unpack(FIXTURES / ARCHIVE, tmp_path)["llama"], tmp_path / "large")
    out = tmp_path / "models" / "large"
    command = [sys.executable, "-m", "carafe_tools", "add", str(source), "--out", str(out), UNOPENED]
    peak = peak_of(command)
    model = max((folder / name).stat().st_size for folder, name in ((source, "openvino_model.bin"), (out, WEIGHTS)))
    assert model < peak < model + ROOM
