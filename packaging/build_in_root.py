#!/usr/bin/env python3
"""Runs `build.sh` in the root of the oldest Debian that the mirror still has, with that Debian's
C++ compiler and this machine's Rust.

Goes in: a folder for roots, which are kept for the next time, and the words of `build.sh`, whose
paths are relative to the source tree. Comes out: what it builds. A program runs where the C library
is as new as the one it was built with, so an old one means many systems. The source tree is
`/source` in it, so that no path of this machine gets into the program. It must be root and needs
debootstrap.

    python3 packaging/build_in_root.py --roots target/roots -- target/build LIBRARIES c++ …
"""

import argparse
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from root import Root, fresh, mirror, require_roots

SOURCE = Path(__file__).resolve().parents[1]
# oldest first
SUITES = ("bullseye", "bookworm", "trixie")
PACKAGES = ("g++", "dpkg-dev", "ca-certificates")


def main() -> int:
    """Build; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--roots", type=Path, required=True, metavar="FOLDER", help="where roots are, or are to be made")
    parser.add_argument("--suite", choices=SUITES, help="which Debian, the oldest of the mirror unless given")
    parser.add_argument("words", nargs="+", help="of build.sh")
    arguments = parser.parse_args()
    require_roots()
    suite = arguments.suite or next(filter(_is_on_mirror, SUITES), None)
    if suite is None:
        raise SystemExit(f"error: the mirror `{mirror('/debian')}` has none of {', '.join(SUITES)}")
    root = _prepared(arguments.roots.absolute(), suite)
    rust = Path(_said("rustc", "--print", "sysroot"))
    registry = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo") / "registry"
    root.mounts = {"/source": SOURCE, "/rust": rust, "/cargo/registry": registry}
    root.folder = "/source"
    root.variables |= {
        "PATH": "/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "CARGO_HOME": "/cargo",
        "RUSTFLAGS": "--remap-path-prefix=/cargo/registry/src=crates",
    }
    root.build(["sh", "packaging/build.sh", *arguments.words])
    return 0


def _prepared(roots: Path, suite: str) -> Root:
    """Return a root with the compiler, made unless it is there."""
    folder, finished = roots / f"build-{suite}", roots / f"build-{suite}.finished"
    root = Root(folder)
    if not finished.exists():
        print(f"build_in_root: make a root of Debian {suite} in `{folder}`", file=sys.stderr, flush=True)
        root = fresh(folder, suite, roots)
        root.build(["apt-get", "update", "-qq"])
        root.build(["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *PACKAGES])
        finished.touch()
    return root


def _is_on_mirror(suite: str) -> bool:
    try:
        with urllib.request.urlopen(f"{mirror('/debian')}/dists/{suite}/Release", timeout=30):
            return True
    except urllib.error.URLError:
        return False


def _said(*words: str) -> str:
    return subprocess.run(words, cwd=SOURCE, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
