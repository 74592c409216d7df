"""`certify`: proves an existing text model's folder against its source again.

Goes in: a model folder and the .tflite that it came from. Comes out: a new certificate, shown, and on request put in the
place of the old one. The source must be the one that the manifest names: its SHA-256 is compared first.
"""

from pathlib import Path
from typing import Any

from carafe_tools.certificate import require_passed
from carafe_tools.convert import CERTIFICATE, TOKENIZER, check_text_source, write_certificate
from carafe_tools.errors import require
from carafe_tools.manifest import read_manifest, sha256, update_file
from carafe_tools.progress import Progress
from carafe_tools.text_certificate import STEPS, TextEvidence, certify_text


def certify_folder(folder: Path, source_path: Path, random_weights: bool, write: bool) -> dict[str, Any]:
    """Certify a text model's folder and return the certificate; with `write`, also put it into the folder."""
    manifest = read_manifest(folder)
    task = manifest.get("task")
    require(task == "text-generation", f"`{folder}` has task `{task}`; `certify` proves `text-generation` alone")
    source, tokenizer = check_text_source(source_path, folder / TOKENIZER)
    found, named = sha256(source_path), manifest["provenance"]["source_sha256"]
    require(found == named, f"`{source_path}` has SHA-256 {found} but `{folder}` was made from {named}")
    evidence = TextEvidence(folder, manifest["name"], source_path, source, tokenizer, random_weights)
    certificate = certify_text(evidence, Progress(STEPS))
    require_passed(certificate, f"`{folder}` does not compute what `{source_path}` does")
    if write:
        write_certificate(folder, certificate)
        update_file(folder, "certificate", CERTIFICATE)
    return certificate
