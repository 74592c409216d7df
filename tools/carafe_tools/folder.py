"""Output that is whole or absent: built in a temporary sibling, renamed into place at the end.

Goes in: the path that a person asked for. Comes out: a context manager with the path to write to meanwhile.
Whatever goes wrong inside, the sibling is removed and what stood at the path before stays as it was.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carafe_tools.errors import require

MANIFEST = "model.toml"


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """Yield a folder of the same name, in a temporary one beside `out`, that becomes `out` if the body ends well.

    An existing `out` is replaced only when it is empty or a model folder: a typing error must not delete anything else.
    """
    require(
        not out.exists() or (out / MANIFEST).is_file() or (out.is_dir() and not any(out.iterdir())),
        f"`{out}` exists and holds no `{MANIFEST}`, so it is not replaced; name another folder",
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        building = Path(scratch) / out.name
        building.mkdir()
        yield building
        _replace(out, building)


@contextmanager
def atomic_file(out: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes the file `out` if the body ends well."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        building = Path(folder) / out.name
        yield building
        building.replace(out)


def _replace(out: Path, building: Path) -> None:
    if not out.exists():
        building.rename(out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
    out.rename(old / out.name)
    try:
        building.rename(out)
    except OSError:
        (old / out.name).rename(out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
