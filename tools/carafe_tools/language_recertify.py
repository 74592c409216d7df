"""Makes a decoder's certificate again, from its model folder and, if it is at hand, its source.

Goes in: a folder that `add` made. Comes out: the contents of a new `certificate.json`, in the quick
form or the full one. What only the making knew, a sliding window, the source's size, to what
weights were rounded, is taken from the certificate that the folder has. Without the source the
graph is compared with its own stateful form alone, and the certificate says so.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carafe_tools import exported, gguf_source, llama_source
from carafe_tools.certificate import CERTIFICATE
from carafe_tools.errors import ConversionError, require
from carafe_tools.gguf_file import is_gguf
from carafe_tools.json_file import read_json_object, read_text
from carafe_tools.language_certificate import LanguageEvidence, certify_language_model
from carafe_tools.language_model import TOKENIZER
from carafe_tools.language_source import References
from carafe_tools.llama_folder import is_llama_folder
from carafe_tools.opening import Carafe, find_carafe
from carafe_tools.progress import Progress
from carafe_tools.tokenizer_files import open_tokenizer


@dataclass(frozen=True)
class _Remembered:
    """What a folder's certificate has of the making."""

    sliding_window: int | None
    source_bytes: int
    rounded_to: str | None


def is_language_model(folder: Path) -> bool:
    """Say whether a folder's certificate is one of a decoder of any architecture, which has a
    form.
    """
    return (folder / CERTIFICATE).is_file() and "form" in read_json_object(folder / CERTIFICATE)


def recertify(
    folder: Path, manifest: dict[str, Any], source: Path | None, carafe: Carafe | None, full: bool, progress: Progress
) -> dict[str, Any]:
    """Return a new certificate; against the source as well where that is at hand."""
    remembered, text = _remembered(folder), manifest["text"]
    evidence = LanguageEvidence(
        folder=folder,
        name=manifest["name"],
        context_length=text["context_length"],
        vocabulary_size=text["vocabulary_size"],
        sliding_window=remembered.sliding_window,
        tokenizer=open_tokenizer(read_text(folder / TOKENIZER), f"`{folder / TOKENIZER}`").tokenizer,
        source_bytes=remembered.source_bytes,
        rounded_to=remembered.rounded_to,
        activations=text.get("activations"),
        references=_references(source, manifest, remembered.rounded_to, carafe),
    )
    return certify_language_model(evidence, full, progress)


def _references(source: Path | None, manifest: dict[str, Any], rounded_to: str | None, carafe: Carafe | None) -> References:
    if source is None:
        named = manifest["provenance"]["source"]
        return References(lacking={"source": f"`{named}`, which it was made from, is not at hand; `--source PATH` names it"})
    if exported.is_exported(source):
        return exported.references(source)
    if is_gguf(source):
        return gguf_source.references(source, carafe or find_carafe(None), rounded_to)
    require(
        is_llama_folder(source),
        f"`{source}` is no source of a decoder; an exported OpenVINO folder, a GGUF file or a Hugging Face folder was expected",
    )
    return llama_source.references(source, manifest["text"]["context_length"], rounded_to)


def _remembered(folder: Path) -> _Remembered:
    certificate = read_json_object(folder / CERTIFICATE)
    try:
        window, size = certificate["form"]["sliding_window"], certificate["sizes"]["source_bytes"]
    except (KeyError, TypeError) as error:
        raise ConversionError(f"`{folder / CERTIFICATE}` has no {error}; add the model again") from error
    are_counts = (window is None or isinstance(window, int)) and isinstance(size, int)
    require(are_counts, f"`{folder / CERTIFICATE}` has a sliding_window or source_bytes that is no number; add the model again")
    rounded_to = certificate.get("rounded_to")
    require(rounded_to is None or isinstance(rounded_to, str), f"`{folder / CERTIFICATE}` has rounded_to `{rounded_to}`")
    return _Remembered(window, size, rounded_to)
