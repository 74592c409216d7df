"""The neutral half of `add`: a decoder's source becomes a model folder, whole and certified.

Goes in: a `LanguageModelSource`, whose graph has the inputs and the output of `text_graph`. Comes
out: `DIR/NAME` with graph, weights, tokenizer, chat template, `certificate.json` and `model.toml`.
A graph that OpenVINO cannot page, or whose paged form wants inputs that Carafe does not set, is
refused by name before anything is computed. The graph is made in a process of its own, so that its
weights are not in memory while the certificate is made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino as ov

from carafe_tools import language_certificate
from carafe_tools.apart import apart
from carafe_tools.certificate import CERTIFICATE, GRAPH, WEIGHTS, load_graph
from carafe_tools.folder import atomic_folder
from carafe_tools.language_certificate import LanguageEvidence, certify_language_model
from carafe_tools.language_source import LanguageModelSource
from carafe_tools.manifest import Manifest, check_folder_name, files_sha256
from carafe_tools.model_folder import About, copy_licence, finish
from carafe_tools.narrow import require_narrow
from carafe_tools.opening import Carafe
from carafe_tools.prefill import prefill_chunk
from carafe_tools.progress import Progress
from carafe_tools.text_context import check_paged
from carafe_tools.text_run import TASK, TEXTS

TOKENIZER, CHAT_TEMPLATE = "tokenizer.json", "chat_template.jinja"
STEPS = 2 + language_certificate.STEPS  # that `write_language_model` tells of


@dataclass(frozen=True)
class Wanted:
    """What a person wants of a model folder."""

    out: Path
    about: About
    carafe: Carafe | None  # the program that is to serve the model
    full: bool = False  # whether it is certified in the full form


def write_language_model(source: LanguageModelSource, wanted: Wanted, progress: Progress) -> dict[str, Any]:
    """Write the model folder of a decoder, certified, and return what to tell about it."""
    about = wanted.about
    check_folder_name(about.name, wanted.out)
    ends = [] if source.eos_token_ids else [f"`{source.path}` names no token that ends a text; it ends where its length does"]
    for note in [*ends, *source.notes]:
        progress.note(note)
    if wanted.carafe is not None:
        wanted.carafe.check_tokenizer(source.tokenizer_file, source.path, TEXTS)
    with atomic_folder(wanted.out) as folder:
        progress.step("make the graph, save it, and put its KV cache into pages")
        apart("make the graph", _save_graph, source.graph, folder, f"`{source.path}`")
        _write_texts(source, about, folder)
        evidence = LanguageEvidence(
            folder=folder,
            name=about.name,
            context_length=source.context_length,
            vocabulary_size=source.vocabulary_size,
            sliding_window=source.sliding_window,
            tokenizer=source.tokenizer_file.tokenizer,
            source_bytes=sum(path.stat().st_size for path in source.files),
            rounded_to=source.rounded_to,
            activations=source.activations,
            references=source.references,
        )
        certificate = certify_language_model(evidence, wanted.full, progress)
        told = finish(folder, wanted.out, certificate, _manifest(source, about), wanted.carafe, progress)
        return {**told, "licence": about.licence.spdx, "context_length": source.context_length, "form": certificate["form"]}


def _save_graph(make: Callable[[], ov.Model], folder: Path, where: str) -> None:
    """Make a graph and save it; reload it, and prove that it can be served."""
    graph = make()
    require_narrow(graph, f"the graph of {where}")
    ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)
    del graph
    check_paged(load_graph(folder), where)


def _write_texts(source: LanguageModelSource, about: About, folder: Path) -> None:
    (folder / TOKENIZER).write_text(source.tokenizer_file.contents, encoding="utf-8")
    if source.chat_template is not None:
        (folder / CHAT_TEMPLATE).write_text(source.chat_template, encoding="utf-8", newline="")
    copy_licence(about, folder)


def _manifest(source: LanguageModelSource, about: About) -> Manifest:
    template = {} if source.chat_template is None else {"chat_template": CHAT_TEMPLATE}
    return Manifest(
        name=about.name,
        task=TASK,
        description=about.description or _description(source),
        files={"graph": GRAPH, "weights": WEIGHTS, "tokenizer": TOKENIZER, **template, "certificate": CERTIFICATE},
        inputs=[],
        outputs=[],
        sections={"text": _text(source)},
        licence=about.licence,
        source=source.path,
        source_sha256=files_sha256(source.files),
    )


def _description(source: LanguageModelSource) -> str:
    millions = source.num_weights / 1e6
    size = f"{millions / 1e3:.1f} billion" if millions >= 1000 else f"{millions:.1f} million"
    return f"{source.path.name}, from {source.kind}: {size} weights, most of {source.weight_bits} bits"


def _text(source: LanguageModelSource) -> dict[str, Any]:
    optional = {
        "activations": source.activations,
        "special_tokens": source.special_tokens,
        "generation": source.generation,
    }
    return {
        "context_length": source.context_length,
        "vocabulary_size": source.vocabulary_size,
        "eos_token_ids": source.eos_token_ids,
        "prefill_chunk": prefill_chunk(source.num_weights, source.context_length),
        "weight_bits": source.weight_bits,
        **{name: value for name, value in optional.items() if value},
    }
