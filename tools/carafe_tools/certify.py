"""`certify`: proves an existing model folder against its source again.

Goes in: a model folder and the .tflite or Hugging Face folder that it came from. Comes out: a new certificate, shown, and on
request put in the place of the old one. The source must be the one that the manifest names: its SHA-256 is compared first. A
classifier's pictures are prepared as its manifest says today, so an edited `[image]` is certified too.
"""

from pathlib import Path
from typing import Any

from carafe_tools import classifier_certificate, text_certificate
from carafe_tools.certificate import CERTIFICATE, require_passed, write_certificate
from carafe_tools.classifier import image_evidence
from carafe_tools.classifier_certificate import certify_image
from carafe_tools.classifier_rule import check_rule
from carafe_tools.classifier_source import check_classifier
from carafe_tools.convert import TOKENIZER
from carafe_tools.errors import require
from carafe_tools.huggingface import source_sha256
from carafe_tools.manifest import read_manifest, update_file
from carafe_tools.progress import Progress
from carafe_tools.text_certificate import TextEvidence, certify_text
from carafe_tools.text_source import read_text_source
from carafe_tools.tflite_file import read_tflite


def certify_folder(folder: Path, source_path: Path, random_weights: bool, write: bool) -> dict[str, Any]:
    """Certify a model folder and return the certificate; with `write`, also put it into the folder."""
    manifest = read_manifest(folder)
    task = manifest.get("task")
    require(task in TASKS, f"`{folder}` has task `{task}`; `certify` proves {' and '.join(f'`{known}`' for known in TASKS)}")
    found, named = source_sha256(source_path), manifest["provenance"]["source_sha256"]
    require(found == named, f"`{source_path}` has SHA-256 {found} but `{folder}` was made from {named}")
    certificate = TASKS[task](folder, manifest, source_path, random_weights)
    require_passed(certificate, f"`{folder}` does not compute what `{source_path}` does")
    if write:
        write_certificate(folder, certificate)
        update_file(folder, "certificate", CERTIFICATE)
    return certificate


def _text(folder: Path, manifest: dict[str, Any], source_path: Path, random_weights: bool) -> dict[str, Any]:
    evidence = TextEvidence(folder, manifest["name"], read_text_source(source_path, folder / TOKENIZER), random_weights)
    return certify_text(evidence, Progress(text_certificate.STEPS))


def _image(folder: Path, manifest: dict[str, Any], source_path: Path, random_weights: bool) -> dict[str, Any]:
    require(not random_weights, "an image classifier takes no option `--random-weights`")
    classifier = check_classifier(read_tflite(source_path))
    rule = check_rule(manifest.get("image", {}), classifier, folder)
    evidence = image_evidence(folder, manifest["name"], source_path, classifier, rule)
    return certify_image(evidence, Progress(classifier_certificate.STEPS))


TASKS = {text_certificate.TASK: _text, classifier_certificate.TASK: _image}
