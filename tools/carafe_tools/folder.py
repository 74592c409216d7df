"""Output that is whole or absent: built in a temporary sibling, renamed into place at the end.

Goes in: the path that a person asked for. Comes out: a context manager with the path to write to
meanwhile. Whatever goes wrong inside, the sibling is removed and what stood at the path before
stays as it was. What a killed process leaves is removed by `carafe models list`, `add` and `pull`:
the process holds the lock of its sibling, so a lock that is free says that nobody works there.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from carafe_tools.errors import require

MANIFEST = "model.toml"
# `leftovers.rs` of `carafe` has the same two names
PREFIX = ".carafe-"
REPLACED = ".replaced"


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """Yield a folder of the same name, in a temporary one beside `out`, that becomes `out` if the
    body ends well.

    An existing `out` is replaced only when it is empty or a model folder: a typing error must not
    delete anything else.
    """
    require(
        not out.exists() or (out / MANIFEST).is_file() or (out.is_dir() and not any(out.iterdir())),
        f"`{out}` exists and holds no `{MANIFEST}`, so it is not replaced; name another folder",
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with _locked_sibling(out) as scratch:
        building = scratch / out.name
        building.mkdir()
        yield building
        _replace(out, building, scratch / REPLACED)


@contextmanager
def atomic_file(out: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes the file `out` if the body ends well."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        building = Path(folder) / out.name
        yield building
        building.replace(out)


@contextmanager
def _locked_sibling(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `out` whose lock is held, and was before anybody could see it
    free.
    """
    with _locked(out.parent):
        scratch = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{out.name}.", dir=out.parent)
        lock = _lock(Path(scratch.name))
    try:
        with scratch as folder:
            yield Path(folder)
    finally:
        os.close(lock)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = _lock(folder)
    try:
        yield
    finally:
        os.close(lock)


def _lock(folder: Path) -> int:
    """Return a folder's open descriptor, which holds its lock, and which no other process
    inherits.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks, where `carafe` removes nothing
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _replace(out: Path, building: Path, aside: Path) -> None:
    """Give `out` its new contents, what it held before put aside, in the sibling that will be
    removed.
    """
    if not out.exists():
        building.rename(out)
        return
    aside.mkdir()
    out.rename(aside / out.name)
    try:
        building.rename(out)
    except OSError:
        (aside / out.name).rename(out)
        raise
