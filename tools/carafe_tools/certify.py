"""`certify`: proves an existing model folder against its source again, and that the program which
is to serve it opens it.

Goes in: a model folder and the source that it came from. Comes out: a new certificate, shown, and
on request put into the folder, whole or not at all. The source must be the one that the manifest
names: its SHA-256 is compared first. A classifier's pictures are prepared as its manifest says
today, so an edited `[image]` is certified too. A folder that `add` made of a decoder can be proved
without its source, against its own stateful form, in the quick form or the full one.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carafe_tools import language_certificate, text_certificate, text_run
from carafe_tools.certificate import CERTIFICATE, IMAGE_TASK, require_passed, write_certificate
from carafe_tools.convert import TOKENIZER
from carafe_tools.errors import require
from carafe_tools.exported import source_files
from carafe_tools.folder import MANIFEST, atomic_folder
from carafe_tools.language_recertify import is_language_model, recertify
from carafe_tools.manifest import files_sha256, read_manifest, update_file
from carafe_tools.model_folder import open_folder
from carafe_tools.opening import Carafe
from carafe_tools.progress import Progress
from carafe_tools.text_certificate import TextEvidence, certify_text
from carafe_tools.text_source import read_text_source


@dataclass(frozen=True)
class Request:
    """What a person asks for."""

    folder: Path
    source: Path | None
    carafe: Carafe | None
    write: bool = False  # put the new certificate into the folder
    full: bool = False
    random_weights: bool = False


def certify_folder(request: Request) -> dict[str, Any]:
    """Certify a model folder and return the certificate; if so asked, also put it into the folder,
    or leave that as it is.
    """
    folder, manifest = request.folder, read_manifest(request.folder)
    task = manifest.get("task")
    require(task in TASKS, f"`{folder}` has task `{task}`; `certify` proves {' and '.join(f'`{known}`' for known in TASKS)}")
    _check_source(request, manifest)
    certificate, progress = (_decoder if is_language_model(folder) else _by_source)(request, manifest)
    require_passed(certificate, f"`{folder}` does not compute what `{request.source or folder}` does")
    with _renewed(folder, request.write) as renewed:
        certificate["opened"] = None
        _put(renewed, certificate)
        certificate["opened"] = open_folder(renewed, folder, request.carafe, progress)
        _put(renewed, certificate)
    return certificate


def _check_source(request: Request, manifest: dict[str, Any]) -> None:
    """Refuse a source that a folder was not made from."""
    if request.source is None:
        return
    require(request.source.exists(), f"`{request.source}` does not exist")
    found, provenance = files_sha256(source_files(request.source)), manifest["provenance"]
    require(
        found == provenance["source_sha256"],
        f"`{request.source}` has SHA-256 {found}, but `{request.folder}` was made from `{provenance['source']}`, "
        f"which has {provenance['source_sha256']}",
    )


def _decoder(request: Request, manifest: dict[str, Any]) -> tuple[dict[str, Any], Progress]:
    """Certify a folder that `add` made of a decoder."""
    folder = request.folder
    require(not request.random_weights, f"`{folder}` is proved against itself; it takes no option `--random-weights`")
    progress = Progress(language_certificate.STEPS + 1)
    return recertify(folder, manifest, request.source, request.carafe, request.full, progress), progress


def _by_source(request: Request, manifest: dict[str, Any]) -> tuple[dict[str, Any], Progress]:
    """Certify a folder of a kind whose certificate has one form alone and wants the source."""
    folder = request.folder
    require(request.source is not None, f"`{folder}` is proved against its source; name it by `--source PATH`")
    return (_text if manifest["task"] == text_run.TASK else _image)(request, manifest)


def _progress(request: Request, steps: int) -> Progress:
    progress = Progress(steps + 1)
    if request.full:
        progress.note(f"a certificate of `{request.folder}` has one form, which is the full one")
    return progress


@contextmanager
def _renewed(folder: Path, write: bool) -> Iterator[Path]:
    """Yield the folder as it is, to be given its new certificate; if that is to be written, it
    takes the old one's place at once.
    """
    if write:
        with atomic_folder(folder.resolve()) as future:
            _fill(future, folder, _link_or_copy)
            yield future
        return
    with tempfile.TemporaryDirectory() as scratch:
        future = Path(scratch) / folder.resolve().name
        future.mkdir()
        _fill(future, folder, os.symlink)
        yield future


def _fill(future: Path, folder: Path, link: Callable[[Path, Path], None]) -> None:
    """Copy what a certificate changes, and link all else, which may be gigabytes."""
    for path in folder.iterdir():
        if path.name in (MANIFEST, CERTIFICATE):
            shutil.copyfile(path, future / path.name)
        else:
            link(path.resolve(), future / path.name)


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(path, target)


def _put(folder: Path, certificate: dict[str, Any]) -> None:
    write_certificate(folder, certificate)
    update_file(folder, "certificate", CERTIFICATE)


def _text(request: Request, manifest: dict[str, Any]) -> tuple[dict[str, Any], Progress]:
    progress = _progress(request, text_certificate.STEPS)
    source = read_text_source(request.source, request.folder / TOKENIZER, request.carafe)
    return certify_text(TextEvidence(request.folder, manifest["name"], source, request.random_weights), progress), progress


def _image(request: Request, manifest: dict[str, Any]) -> tuple[dict[str, Any], Progress]:
    # what these import is installed only where .tflite files are converted
    from carafe_tools.classifier import image_evidence
    from carafe_tools.classifier_certificate import STEPS, certify_image
    from carafe_tools.classifier_rule import check_rule
    from carafe_tools.classifier_source import check_classifier
    from carafe_tools.tflite_file import read_tflite

    require(not request.random_weights, "an image classifier takes no option `--random-weights`")
    classifier = check_classifier(read_tflite(request.source))
    rule = check_rule(manifest.get("image", {}), classifier, request.folder)
    progress = _progress(request, STEPS)
    evidence = image_evidence(request.folder, manifest["name"], request.source, classifier, rule)
    return certify_image(evidence, progress), progress


TASKS = (text_run.TASK, IMAGE_TASK)
