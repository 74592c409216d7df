"""The machine and what it can do at best: processor, memory bandwidth, versions, the state of the source."""

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "openvino",
    "openvino-genai",
    "llama-cpp-python",
    "ai-edge-litert",
    "numpy",
    "pillow",
    "opencv-python-headless",
)


def describe() -> dict[str, Any]:
    """Return what a reader must know of the machine."""
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gib": round(int(memory["MemTotal"].split()[0]) / 2**20, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "instructions": [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if name in _flags()],
    }


def threads() -> int:
    """Return the number of cores that this process may use: two threads of one core share what computes."""
    available = os.sched_getaffinity(0)
    siblings = (Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list") for number in available)
    cores = {path.read_text(encoding="ascii") if path.exists() else str(path) for path in siblings}
    return len(cores)


def versions(carafe: str) -> dict[str, str]:
    """Return the versions of all that is measured."""
    found = {"carafe": _output([carafe, "--version"]).split()[-1], "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit() -> str:
    """Return the commit of the source, and whether it has been changed since; empty outside a repository."""
    try:
        name = _output(["git", "rev-parse", "--short=10", "HEAD"])
        changed = _output(["git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"])
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{name}, changed" if changed else name


def bandwidth(probe: str, threads: int) -> float:
    """Return the bytes a second at which all processors together read memory."""
    return json.loads(_output([probe, str(threads)]))["bytes_per_second"]


def _processor() -> str:
    fields = _cpu_fields()
    family, model = fields.get("cpu family", "?"), fields.get("model", "?")
    return f"{fields.get('model name', platform.machine())} (family {family}, model {model})"


def _flags() -> list[str]:
    return _cpu_fields().get("flags", "").split()


def _cpu_fields() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
