"""How the model folder of any task is finished: its licence, its certificate, its manifest and,
last, that it opens.

Goes in: a folder that holds a task's own files, the certificate, the `Manifest` and the program
that is to serve the model. Comes out: the folder, whole, and what to tell about it. `convert` and
`classifier` make the files and the certificate; this module knows no task.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carafe_tools.certificate import CERTIFICATE, comparisons, require_passed, write_certificate
from carafe_tools.manifest import Licence, Manifest, update_file, write_manifest
from carafe_tools.opening import Carafe
from carafe_tools.progress import Progress

LICENCE_TEXT = "LICENSE"
# what is known of a licence that nobody named; `carafe` looks for one in the source and names it
UNKNOWN_LICENCE, NO_NOTICE = "unknown", "No notice was given."
# texts that keep their names in a model folder, where no other file is called so
LICENCE_FILES = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|USE[_-]POLICY|ACCEPTABLE[_-]USE)([._-][\w.-]*)?", re.IGNORECASE)


@dataclass(frozen=True)
class About:
    """What the .tflite itself does not say about a model."""

    name: str
    licence: Licence
    description: str = ""
    # the licence in full and what it asks to be kept, to copy into the folder
    licence_texts: tuple[Path, ...] = ()


def copy_licence(about: About, folder: Path) -> None:
    """Copy the licence in full, where one is given, into a model folder, and notices and use
    policies under their names.
    """
    for path in about.licence_texts:
        shutil.copyfile(path, folder / (path.name if LICENCE_FILES.fullmatch(path.name) else LICENCE_TEXT))


def finish(
    folder: Path, out: Path, certificate: dict[str, Any], manifest: Manifest, carafe: Carafe | None, progress: Progress
) -> dict[str, Any]:
    """Write certificate and manifest into a folder that becomes `out`, and open it, or refuse;
    return what to tell about it.
    """
    require_passed(certificate, f"`{manifest.source}` was converted but the certificate failed, so nothing was written")
    write_certificate(folder, certificate)
    write_manifest(folder, manifest)
    certificate["opened"] = open_folder(folder, out, carafe, progress)
    write_certificate(folder, certificate)
    update_file(folder, "certificate", CERTIFICATE)
    kind, entries = comparisons(certificate)
    errors = {name: entry["max_error"] for name, entry in entries.items()}
    told = {"model": manifest.name, "out": str(out), "passed": True, "opened": certificate["opened"]}
    return {**told, "sizes": certificate["sizes"], kind: errors}


def open_folder(folder: Path, out: Path, carafe: Carafe | None, progress: Progress) -> dict[str, Any] | None:
    """Run a finished folder that becomes `out` in the program that is to serve it; nothing where
    there is none.
    """
    if carafe is None:
        progress.step("not opened in `carafe`, as `--unopened` asks: whether it can be served is not proved")
        return None
    progress.step(f"open the model in `{carafe.path}`, as the server does")
    return carafe.check_folder(folder, out)
