"""`certify`: proves an existing model folder against its source again, and that the program which is to serve it opens it.

Goes in: a model folder and the source that it came from. Comes out: a new certificate, shown, and on request put in the place of
the old one. The source must be the one that the manifest names: its SHA-256 is compared first. A classifier's pictures are
prepared as its manifest says today, so an edited `[image]` is certified too. A folder that `add` made of a decoder can be proved
without its source, against its own stateful form, in the quick form or the full one.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from carafe_tools import classifier_certificate, language_certificate, text_certificate, text_run
from carafe_tools.certificate import CERTIFICATE, require_passed, write_certificate
from carafe_tools.classifier import image_evidence
from carafe_tools.classifier_certificate import certify_image
from carafe_tools.classifier_rule import check_rule
from carafe_tools.classifier_source import check_classifier
from carafe_tools.convert import TOKENIZER
from carafe_tools.errors import require
from carafe_tools.exported import source_files
from carafe_tools.folder import MANIFEST
from carafe_tools.language_recertify import is_language_model, recertify
from carafe_tools.manifest import files_sha256, read_manifest, update_file
from carafe_tools.model_folder import open_folder
from carafe_tools.opening import Carafe
from carafe_tools.progress import Progress
from carafe_tools.text_certificate import TextEvidence, certify_text
from carafe_tools.text_source import read_text_source
from carafe_tools.tflite_file import read_tflite


def certify_folder(
    folder: Path,
    source_path: Path | None,
    random_weights: bool,
    write: bool,
    carafe: Carafe | None = None,
    full: bool = False,
) -> dict[str, Any]:
    """Certify a model folder and return the certificate; with `write`, also put it into the folder."""
    manifest = read_manifest(folder)
    task = manifest.get("task")
    require(task in TASKS, f"`{folder}` has task `{task}`; `certify` proves {' and '.join(f'`{known}`' for known in TASKS)}")
    if source_path is not None:
        found, named = files_sha256(source_files(source_path)), manifest["provenance"]["source_sha256"]
        require(found == named, f"`{source_path}` has SHA-256 {found} but `{folder}` was made from {named}")
    if is_language_model(folder):
        require(not random_weights, f"`{folder}` is proved against itself; it takes no option `--random-weights`")
        progress = Progress(language_certificate.STEPS + 1)
        certificate = recertify(folder, manifest, source_path, full, progress)
    else:
        require(source_path is not None, f"`{folder}` is proved against its source; name it by `--source`")
        require(not full, f"`{folder}` has a certificate of one form alone; it takes no option `--full`")
        steps, prove = TASKS[task]
        progress = Progress(steps + 1)
        certificate = prove(folder, manifest, source_path, random_weights, progress)
    require_passed(certificate, f"`{folder}` does not compute what `{source_path or folder}` does")
    certificate["opened"] = _open(folder, certificate, carafe, progress)
    if write:
        _put(folder, certificate)
    return certificate


def _open(folder: Path, certificate: dict[str, Any], carafe: Carafe | None, progress: Progress) -> dict[str, Any] | None:
    """Open the folder as it will be with its new certificate, which is not yet its own."""
    with tempfile.TemporaryDirectory() as scratch:
        future = Path(scratch) / folder.resolve().name
        future.mkdir()
        for path in folder.iterdir():
            if path.name in (MANIFEST, CERTIFICATE):
                shutil.copyfile(path, future / path.name)
            else:
                (future / path.name).symlink_to(path.resolve())
        _put(future, certificate)
        return open_folder(future, folder, carafe, progress)


def _put(folder: Path, certificate: dict[str, Any]) -> None:
    write_certificate(folder, certificate)
    update_file(folder, "certificate", CERTIFICATE)


def _text(folder: Path, manifest: dict[str, Any], source_path: Path, random_weights: bool, progress: Progress) -> dict[str, Any]:
    source = read_text_source(source_path, folder / TOKENIZER)
    return certify_text(TextEvidence(folder, manifest["name"], source, random_weights), progress)


def _image(folder: Path, manifest: dict[str, Any], source_path: Path, random_weights: bool, progress: Progress) -> dict[str, Any]:
    require(not random_weights, "an image classifier takes no option `--random-weights`")
    classifier = check_classifier(read_tflite(source_path))
    rule = check_rule(manifest.get("image", {}), classifier, folder)
    return certify_image(image_evidence(folder, manifest["name"], source_path, classifier, rule), progress)


TASKS = {
    text_run.TASK: (text_certificate.STEPS, _text),
    classifier_certificate.TASK: (classifier_certificate.STEPS, _image),
}
