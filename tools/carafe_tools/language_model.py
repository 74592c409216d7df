"""The neutral half of `add`: a decoder's graph and what is known beside it become a model folder, whole and certified.

Goes in: a `LanguageModelSource` and the graph, an `ov.Model` with the inputs and the output of `text_graph`. Comes out:
`DIR/NAME` with graph, weights, tokenizer, chat template, licence files, `certificate.json` and `model.toml`. A graph that
OpenVINO cannot page, or whose paged form wants inputs that Carafe does not set, is refused by name before anything is computed.
"""

import shutil
from pathlib import Path
from typing import Any

import openvino as ov

from carafe_tools import language_certificate
from carafe_tools.apart import apart
from carafe_tools.certificate import CERTIFICATE, GRAPH, WEIGHTS, load_graph
from carafe_tools.folder import atomic_folder
from carafe_tools.language_certificate import LanguageEvidence, certify_language_model
from carafe_tools.language_source import LanguageModelSource
from carafe_tools.manifest import Licence, Manifest, check_folder_name, files_sha256
from carafe_tools.model_folder import NO_NOTICE, About, copy_licence, finish
from carafe_tools.narrow import require_narrow
from carafe_tools.opening import Carafe
from carafe_tools.prefill import prefill_chunk
from carafe_tools.progress import Progress
from carafe_tools.text_context import check_paged
from carafe_tools.text_run import TASK, TEXTS
from carafe_tools.tokenizer_files import open_tokenizer

TOKENIZER, CHAT_TEMPLATE = "tokenizer.json", "chat_template.jinja"
STEPS = 3 + language_certificate.STEPS  # that `write_language_model` tells of
UNKNOWN_LICENCE = "unknown"


def write_language_model(
    source: LanguageModelSource,
    graph: ov.Model,
    out: Path,
    about: About,
    carafe: Carafe | None,
    progress: Progress,
    full: bool = False,
) -> dict[str, Any]:
    """Write the model folder of a decoder, certified in the full form or the quick one, and return what to tell about it."""
    check_folder_name(about.name, out)
    for note in source.notes:
        progress.note(note)
    tokenizer = open_tokenizer(source.tokenizer_json, f"the tokenizer of `{source.path}`")
    if carafe is not None:
        carafe.check_tokenizer(source.tokenizer_json, source.path, tokenizer, TEXTS)
    with atomic_folder(out) as folder:
        progress.step("save the graph")
        require_narrow(graph, f"the graph of `{source.path}`")
        ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)
        del graph
        _write_texts(source, about, folder)
        progress.step("reload the saved graph and put its KV cache into pages")
        apart("page the graph", _check_graph, folder, f"`{source.path}`")
        evidence = LanguageEvidence(
            folder,
            about.name,
            source.context_length,
            source.vocabulary_size,
            source.sliding_window,
            tokenizer,
            sum(path.stat().st_size for path in source.files),
            source.witnesses,
        )
        certificate = certify_language_model(evidence, full, progress)
        told = finish(folder, out, certificate, _manifest(source, about), carafe, progress)
        return {**told, "licence": _spdx(source, about), "context_length": source.context_length, "form": certificate["form"]}


def _write_texts(source: LanguageModelSource, about: About, folder: Path) -> None:
    (folder / TOKENIZER).write_text(source.tokenizer_json, encoding="utf-8")
    if source.chat_template is not None:
        (folder / CHAT_TEMPLATE).write_text(source.chat_template, encoding="utf-8", newline="")
    for path in source.licence_files:
        shutil.copyfile(path, folder / path.name)
    copy_licence(about, folder)


def _check_graph(folder: Path, where: str) -> None:
    check_paged(load_graph(folder), where)


def _spdx(source: LanguageModelSource, about: About) -> str:
    """Return the licence that a person named, or else the source, or that it is unknown."""
    return about.licence.spdx or source.licence or UNKNOWN_LICENCE


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
        licence=Licence(_spdx(source, about), about.licence.notice or _notice(source)),
        source=source.path,
        source_sha256=files_sha256(source.files),
    )


def _description(source: LanguageModelSource) -> str:
    millions = source.num_weights / 1e6
    size = f"{millions / 1e3:.1f} billion" if millions >= 1000 else f"{millions:.1f} million"
    return f"{source.path.name}, from {source.kind}: {size} weights, most of {source.weight_bits} bits"


def _notice(source: LanguageModelSource) -> str:
    names = [path.name for path in source.licence_files]
    return f"See {', '.join(names)}." if names else NO_NOTICE


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
