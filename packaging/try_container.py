#!/usr/bin/env python3
"""Runs the steps of the Containerfile in fresh roots by debootstrap, starts the server as the image
says, and asks it.

Goes in: the folder that `cargo xtask dist` has filled, which is the build's context. Comes out:
each step as it runs, then what the server answered and what the steps took; the last line is JSON,
the exit code 1 if anything failed. It must be root and needs debootstrap.

    sudo python3 packaging/try_container.py
    sudo python3 packaging/try_container.py --dist target/dist --roots /var/tmp/carafe
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Any

from containerfile import Stage, read_copy, read_health, read_list, read_stages, read_variables, suite_of
from root import base_of, fresh, require_roots
from server import free_port

SOURCE = Path(__file__).resolve().parents[1]
READY_WITHIN = 120.0
ENDS_WITHIN = 60.0


def main() -> int:
    """Check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=SOURCE / "target/dist", help="what `cargo xtask dist` made")
    parser.add_argument("--roots", type=Path, help="where to keep Debian's roots for the next time")
    arguments = parser.parse_args()
    require_roots()
    with tempfile.TemporaryDirectory(prefix="carafe-container-") as folder:
        print(json.dumps(check(arguments.dist, Path(folder), arguments.roots or Path(folder))))
    return 0


def check(dist: Path, folder: Path, roots: Path) -> dict[str, Any]:
    """Build the image in a folder, start it, and return what was found."""
    stages = read_stages((dist / "Containerfile").read_text())
    for stage in stages:
        _tell(f"FROM {stage.base}, by debootstrap")
        base_of(suite_of(stage.base), roots)
    image, started = None, time.monotonic()
    for stage in stages:
        image = _Building(dist, folder, roots, stage).make()
    built = time.monotonic() - started
    found = image.try_out()
    size = int(subprocess.check_output(["du", "-sb", str(image.root.path / "opt")], text=True).split()[0])
    return {**found, "build_seconds": round(built, 1), "carafe_bytes": size}


class _Building:
    """A stage in the making, and the image that it is at last."""

    def __init__(self, dist: Path, folder: Path, roots: Path, stage: Stage) -> None:
        self.dist, self.folder, self.stage = dist, folder, stage
        self.root = fresh(folder / f"stage-{stage.name}", suite_of(stage.base), roots)
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        self.health: list[str] = []

    def make(self) -> "_Building":
        """Carry out every instruction."""
        for word, rest in self.stage.steps:
            _tell(f"{word} {rest}")
            getattr(self, f"_{word.lower()}")(rest)
        return self

    def _run(self, rest: str) -> None:
        self.root.build(["/bin/sh", "-c", rest])

    def _add(self, rest: str) -> None:
        """Unpack the archives that a pattern names, as an engine does with those of the context."""
        pattern, target = rest.split()
        for archive in sorted(self.dist.glob(pattern)):
            place = self._place(target)
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["tar", "--extract", "--file", str(archive), "--directory", str(place)], check=True)

    def _copy(self, rest: str) -> None:
        origin, sources, target = read_copy(rest)
        if origin is None:
            raise SystemExit(f"error: this check knows COPY from another stage alone: `{rest}`")
        for source in sources:
            shutil.copytree(self.folder / f"stage-{origin}" / source.lstrip("/"), self._place(target), symlinks=True)

    def _place(self, target: str) -> Path:
        return self.root.path / str(PurePosixPath(self.root.folder) / target).lstrip("/")

    def _workdir(self, rest: str) -> None:
        self.root.folder = rest
        (self.root.path / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _env(self, rest: str) -> None:
        self.root.variables |= read_variables(rest)

    def _user(self, rest: str) -> None:
        self.root.user = rest

    def _expose(self, rest: str) -> None:
        pass

    def _healthcheck(self, rest: str) -> None:
        self.health = read_health(rest)

    def _entrypoint(self, rest: str) -> None:
        self.entrypoint = read_list(rest)

    def _cmd(self, rest: str) -> None:
        self.command = read_list(rest)

    def try_out(self) -> dict[str, Any]:
        """Start the image's program, ask it for everything, and end it as an engine does."""
        port = {"CARAFE_PORT": str(free_port())}
        _tell(f"start {' '.join([*self.entrypoint, *self.command])} as {self.root.user}, the root read-only")
        process = self.root.start([*self.entrypoint, *self.command], port)
        try:
            self._wait_until_healthy(process, port)
            first = _only_child(process.pid)
            found = {**_state(first), **_ask(f"http://127.0.0.1:{port['CARAFE_PORT']}")}
            os.kill(first, signal.SIGTERM)
            found["exit_code"] = process.wait(ENDS_WITHIN)
        finally:
            process.kill()
        if found["exit_code"] != 0 or found["user"] == 0 or not found["read_only"]:
            raise SystemExit(f"error: the container is not as it shall be: {found}")
        return found

    def _wait_until_healthy(self, process: subprocess.Popen[str], port: dict[str, str]) -> None:
        end = time.monotonic() + READY_WITHIN
        while self.root.start(self.health, port).wait() != 0:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("error: the server does not become healthy")
            time.sleep(1)


def _ask(url: str) -> dict[str, Any]:
    body = json.dumps({"model": "tales", "prompt": "Once upon a time", "max_tokens": 12, "temperature": 0}).encode()
    text = _post(f"{url}/v1/completions", body, "application/json")["choices"][0]["text"]
    labels = _post(f"{url}/v1/classify", (SOURCE / "images/cat_720p.jpg").read_bytes(), "image/jpeg")
    return {"completion": text, "label": labels["labels"][0]["label"]}


def _post(url: str, body: bytes, kind: str) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=ENDS_WITHIN) as answer:
        return json.load(answer)


def _state(process: int) -> dict[str, Any]:
    """Return who runs a process, and whether it could write to its root file system."""
    user = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("Uid:"))
    mounts = [line.split() for line in Path(f"/proc/{process}/mountinfo").read_text().splitlines()]
    options = next(words[5] for words in mounts if words[4] == "/")
    return {"user": int(user.split()[1]), "read_only": "ro" in options.split(",")}


def _only_child(process: int) -> int:
    (child,) = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(child)


def _tell(line: str) -> None:
    print(f"check: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
