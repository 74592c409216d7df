"""A root file system of Debian's, and programs that run within it: what a container engine would
do, by debootstrap and chroot.

Goes in: a Debian suite and a folder. Comes out: a `Root` whose programs see it alone, in namespaces
of their own for mounts and processes. Mirror and certificates are this machine's, read when they
are needed. Needs to be root; leaves nothing mounted.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "CARGO_HTTP_CAINFO", "PIP_CERT")
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

BUILDING = """
set -e
mount --rbind /dev "$ROOT/dev"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs tmpfs "$ROOT/run"
mount --bind /etc/resolv.conf "$ROOT/etc/resolv.conf"
[ ! -e "$CERTIFICATES" ] || cp "$CERTIFICATES" "$ROOT/run/certificates.crt"
for pair in $MOUNTS; do
    mkdir -p "$ROOT${pair%%=*}"
    mount --bind "${pair#*=}" "$ROOT${pair%%=*}"
done
"""
SERVING = """
set -e
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --bind /dev/null "$ROOT/dev/null"
mount --bind /dev/urandom "$ROOT/dev/urandom"
mount -o remount,bind,ro "$ROOT"
"""
ENTER = 'exec chroot --userspec="$AS" "$ROOT" /usr/bin/env --ignore-environment --chdir="$AT" $VARIABLES "$@"'


@dataclass
class Root:
    """A root file system, with what instructions have said about its programs."""

    path: Path
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    folder: str = "/"
    user: str = "0:0"
    mounts: dict[str, Path] = field(default_factory=dict)  # folders of this machine, by their place in it

    def build(self, command: list[str]) -> None:
        """Run a command that makes something, with the network and as the root user of it."""
        with self.run(command) as process:
            code = process.wait()
        if code != 0:
            raise SystemExit(f"error: `{' '.join(command)}` failed in `{self.path}` with exit code {code}")

    def run(self, command: list[str], output: int | None = None) -> subprocess.Popen[str]:
        """Start a command that may do all that the root user may, with the network; its standard
        output goes where this program's does unless `output` says otherwise.
        """
        certificates = dict.fromkeys(CERTIFICATE_VARIABLES, "/run/certificates.crt") if CERTIFICATES.exists() else {}
        proxies = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
        variables = {"HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", **certificates, **proxies, **self.variables}
        words, environment = self._words(BUILDING, command, variables), self._environment(variables)
        return subprocess.Popen(words, env=environment, text=True, stdout=output)

    def start(self, command: list[str], extra: dict[str, str]) -> subprocess.Popen[str]:
        """Start a command as the image's user, its root file system read-only and without any
        folder to write to.
        """
        variables = {"HOME": "/", **self.variables, **extra}
        words = self._words(SERVING, command, variables)
        return subprocess.Popen(words, env=self._environment(variables), stdout=subprocess.PIPE, text=True)

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        settings = {"ROOT": str(self.path), "AS": self.user, "AT": self.folder, "CERTIFICATES": str(CERTIFICATES)}
        words = " ".join(f"{name}={value}" for name, value in variables.items())
        mounts = " ".join(f"{place}={folder}" for place, folder in self.mounts.items())
        return {"PATH": os.environ["PATH"], "VARIABLES": words, "MOUNTS": mounts, **settings}

    def _words(self, prepare: str, command: list[str], variables: dict[str, str]) -> list[str]:
        for name, value in variables.items():
            if shlex.quote(value) != value:
                raise SystemExit(f"error: the variable {name} is `{value}`, which holds more than plain characters")
        own = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        return [*own, "sh", "-c", prepare + ENTER, "sh", *command]


def fresh(folder: Path, suite: str, cache: Path) -> Root:
    """Return a new root of a suite, whose packages are fetched once for all roots of a cache."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", "--reflink=auto", str(base_of(suite, cache)), str(folder)], check=True)
    return Root(folder)


def base_of(suite: str, cache: Path) -> Path:
    """Return the folder of a cache that roots of a suite are copied from, making it if need be."""
    base = cache / f"debian-{suite}"
    if not base.exists():
        bootstrap(base, suite)
    return base


def require_roots() -> None:
    """End in words where no root can be made."""
    lacks = [name for name in ("debootstrap", "unshare", "chroot") if shutil.which(name) is None]
    if lacks:
        raise SystemExit(f"error: {', '.join(lacks)} not found (Debian: `apt install debootstrap`)")
    if os.geteuid() != 0:
        raise SystemExit("error: debootstrap, chroot and mounts need to be root")


def bootstrap(folder: Path, suite: str) -> None:
    """Make what the image `debian:SUITE-slim` holds, nearly: its packages, from this machine's
    mirror.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    archive, security = mirror("/debian"), mirror("/debian-security")
    building = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(building, ignore_errors=True)
    subprocess.run(["debootstrap", "--variant=minbase", suite, str(building), archive], check=True, stdout=sys.stderr)
    lines = [f"deb {archive} {suite} main", f"deb {archive} {suite}-updates main", f"deb {security} {suite}-security main"]
    (building / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
    building.rename(folder)


def mirror(ending: str) -> str:
    """Return the first of this machine's apt sources whose address ends like this."""
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for text in (place.read_text() for place in places if place.is_file()):
        for line in text.splitlines():
            addresses = re.findall(r"\bhttps?://\S+", line) if re.match(r"(deb|URIs:)\s", line) else []
            for address in addresses:
                if address.rstrip("/").endswith(ending):
                    return address.rstrip("/")
    raise SystemExit(f"error: no apt source of this machine ends in `{ending}`")
