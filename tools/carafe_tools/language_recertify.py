"""Makes a decoder's certificate again, from its model folder and, if it is at hand, its source.

Goes in: a folder that `add` made. Comes out: the contents of a new `certificate.json`, in the quick form or the full one. What
only the source knows, its sliding window and its size, is taken from the certificate that the folder has.
"""

from pathlib import Path
from typing import Any

from carafe_tools.certificate import CERTIFICATE
from carafe_tools.errors import ConversionError, require
from carafe_tools.exported import GRAPH, SourceGraph, is_exported
from carafe_tools.json_file import read_json_object, read_text
from carafe_tools.language_certificate import LanguageEvidence, certify_language_model
from carafe_tools.language_model import TOKENIZER
from carafe_tools.language_source import Witness
from carafe_tools.progress import Progress
from carafe_tools.tokenizer_files import open_tokenizer


def is_language_model(folder: Path) -> bool:
    """Say whether a folder's certificate is one of a decoder of any architecture, which has a form."""
    return (folder / CERTIFICATE).is_file() and "form" in read_json_object(folder / CERTIFICATE)


def recertify(folder: Path, manifest: dict[str, Any], source: Path | None, full: bool, progress: Progress) -> dict[str, Any]:
    """Return a new certificate; against the source as well where that is at hand, which must be an exported folder."""
    require(
        source is None or is_exported(source),
        f"`{source}` is no exported OpenVINO folder, and no other source of a decoder is compared again here; "
        "leave `--source` out, or add the model anew",
    )
    window, source_bytes = _remembered(folder)
    witnesses = [] if source is None else [Witness("source", SourceGraph(source / GRAPH), is_gated=True)]
    evidence = LanguageEvidence(
        folder,
        manifest["name"],
        manifest["text"]["context_length"],
        manifest["text"]["vocabulary_size"],
        window,
        open_tokenizer(read_text(folder / TOKENIZER), f"`{folder / TOKENIZER}`"),
        source_bytes,
        witnesses,
    )
    return certify_language_model(evidence, full, progress)


def _remembered(folder: Path) -> tuple[int | None, int]:
    """Return sliding window and source size as the folder's certificate has them."""
    certificate = read_json_object(folder / CERTIFICATE)
    try:
        window, size = certificate["form"]["sliding_window"], certificate["sizes"]["source_bytes"]
    except (KeyError, TypeError) as error:
        raise ConversionError(f"`{folder / CERTIFICATE}` has no {error}; add the model again") from error
    are_counts = (window is None or isinstance(window, int)) and isinstance(size, int)
    require(are_counts, f"`{folder / CERTIFICATE}` has a sliding_window or source_bytes that is no number; add the model again")
    return window, size
