#!/usr/bin/env python3
"""Runs the steps of the Containerfile in fresh roots by debootstrap, starts the server as the image
says, and asks it.

Goes in: the source tree. Comes out: each step as it runs, then what the server answered; the last
line is JSON, the exit code 1 if anything failed. It must be root and needs debootstrap; it takes as
long as building Carafe does. What `--reuse` finds finished in its folder is taken as it is.

    sudo python3 container/check.py
    sudo python3 container/check.py --folder /var/tmp/carafe --reuse
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Any

from containerfile import Context, Stage, read_copy, read_health, read_list, read_stages, read_variables, suite_of
from root import Root, bootstrap

SOURCE = Path(__file__).resolve().parents[1]
READY_WITHIN = 120.0
ENDS_WITHIN = 60.0


def main() -> int:
    """Check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to make the roots, which then stay; else a temporary folder")
    parser.add_argument("--reuse", action="store_true", help="take stages that are in the folder, finished, as they are")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("error: chroot and mounts need to be root")
    if arguments.folder is not None:
        return _check(arguments.folder.absolute(), arguments.reuse)
    with tempfile.TemporaryDirectory(prefix="carafe-container-") as folder:
        return _check(Path(folder), reuse=False)


def _check(folder: Path, reuse: bool) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    image = None
    for stage in read_stages((SOURCE / "Containerfile").read_text()):
        image = _Building(folder, stage).make(reuse)
    found = image.try_out()
    size = int(subprocess.check_output(["du", "-sb", str(image.root.path / "opt")], text=True).split()[0])
    print(json.dumps({**found, "carafe_bytes": size}))
    return 0


class _Building:
    """A stage in the making, and the image that it is at last."""

    def __init__(self, folder: Path, stage: Stage) -> None:
        self.folder, self.stage = folder, stage
        self.root = Root(folder / f"stage-{stage.name}")
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        self.health: list[str] = []

    def make(self, reuse: bool) -> "_Building":
        """Carry out every instruction; those that change files only if the stage is not taken as it
        is.
        """
        finished = self.folder / f"{self.root.path.name}.finished"
        is_there = reuse and finished.exists()
        if not is_there:
            finished.unlink(missing_ok=True)
            self._start()
        for word, rest in self.stage.steps:
            _tell(f"{word} {rest}")
            if not (is_there and word in ("RUN", "COPY")):
                getattr(self, f"_{word.lower()}")(rest)
        finished.touch()
        return self

    def _start(self) -> None:
        suite = suite_of(self.stage.base)
        base = self.folder / f"debian-{suite}"
        _tell(f"FROM {self.stage.base}, by debootstrap")
        if not base.exists():
            bootstrap(base, suite)
        shutil.rmtree(self.root.path, ignore_errors=True)
        subprocess.run(["cp", "--archive", "--reflink=auto", str(base), str(self.root.path)], check=True)

    def _run(self, rest: str) -> None:
        self.root.build(["/bin/sh", "-c", rest])

    def _copy(self, rest: str) -> None:
        origin, sources, target = read_copy(rest)
        place = self.root.path / str(PurePosixPath(self.root.folder) / target).lstrip("/")
        for source in sources:
            if origin is None:
                _copy_context(SOURCE / source, place)
            else:
                shutil.copytree(self.folder / f"stage-{origin}" / source.lstrip("/"), place, symlinks=True)

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
        port = {"CARAFE_PORT": str(_free_port())}
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


def _copy_context(source: Path, target: Path) -> None:
    """Copy a file or folder of the build's context without what .dockerignore leaves out."""
    context = Context((SOURCE / ".dockerignore").read_text())

    def left_out(folder: str, names: list[str]) -> set[str]:
        inside = PurePosixPath(Path(folder).resolve().relative_to(SOURCE))
        return {name for name in names if context.leaves_out(inside / name)}

    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=left_out, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


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


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _tell(line: str) -> None:
    print(f"check: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
