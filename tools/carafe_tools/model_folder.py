"""How the model folder of any task is finished: its licence, its certificate and, last, its manifest.

Goes in: a folder that holds a task's own files, the certificate and the `Manifest`. Comes out: the folder, whole, and what
to tell about it. `convert` and `classifier` make the files and the certificate; this module knows no task.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carafe_tools.certificate import comparisons, require_passed, write_certificate
from carafe_tools.manifest import Licence, Manifest, write_manifest

LICENCE_TEXT = "LICENSE"


@dataclass(frozen=True)
class About:
    """What the .tflite itself does not say about a model."""

    name: str
    licence: Licence
    description: str = ""
    licence_text: Path | None = None  # the licence in full, to copy into the folder


def copy_licence(about: About, folder: Path) -> None:
    """Copy the licence in full, where one is given, into a model folder."""
    if about.licence_text is not None:
        shutil.copyfile(about.licence_text, folder / LICENCE_TEXT)


def finish(folder: Path, out: Path, certificate: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """Write certificate and manifest into a folder that becomes `out`, or refuse; return what to tell about the model."""
    require_passed(certificate, f"`{manifest.source}` was converted but the certificate failed, so nothing was written")
    write_certificate(folder, certificate)
    write_manifest(folder, manifest)
    kind, entries = comparisons(certificate)
    errors = {name: entry["max_error"] for name, entry in entries.items()}
    return {"model": manifest.name, "out": str(out), "passed": True, "sizes": certificate["sizes"], kind: errors}
