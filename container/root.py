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

    def build(self, command: list[str]) -> None:
        """Run a command that makes something, with the network and as the root user of it."""
        certificates = dict.fromkeys(CERTIFICATE_VARIABLES, "/run/certificates.crt") if CERTIFICATES.exists() else {}
        proxies = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
        variables = {"HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", **certificates, **proxies, **self.variables}
        subprocess.run(self._words(BUILDING, command, variables), env=self._environment(variables), check=True)

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
        return {"PATH": os.environ["PATH"], "VARIABLES": words, **settings}

    def _words(self, prepare: str, command: list[str], variables: dict[str, str]) -> list[str]:
        for name, value in variables.items():
            if shlex.quote(value) != value:
                raise SystemExit(f"error: the variable {name} is `{value}`, which holds more than plain characters")
        own = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        return [*own, "sh", "-c", prepare + ENTER, "sh", *command]


def bootstrap(folder: Path, suite: str) -> None:
    """Make what the image `debian:SUITE-slim` holds, nearly: its packages, from this machine's
    mirror.
    """
    mirror, security = _mirror("/debian"), _mirror("/debian-security")
    building = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(building, ignore_errors=True)
    subprocess.run(["debootstrap", "--variant=minbase", suite, str(building), mirror], check=True)
    lines = [f"deb {mirror} {suite} main", f"deb {mirror} {suite}-updates main", f"deb {security} {suite}-security main"]
    (building / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
    building.rename(folder)


def _mirror(ending: str) -> str:
    """Return the first of this machine's apt sources whose address ends like this."""
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for text in (place.read_text() for place in places if place.is_file()):
        for line in text.splitlines():
            addresses = re.findall(r"\bhttps?://\S+", line) if re.match(r"(deb|URIs:)\s", line) else []
            for address in addresses:
                if address.rstrip("/").endswith(ending):
                    return address.rstrip("/")
    raise SystemExit(f"error: no apt source of this machine ends in `{ending}`")
