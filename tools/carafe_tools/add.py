"""`add` and `convert`: from a source of any kind to a model folder, whole and certified or not at
all.

Goes in: a source and what a person says of it. Comes out: the model folder. The kinds of sources
stand in one table, `KINDS`; the first that takes a source reads it. A decoder's reader returns a
`LanguageModelSource`, from which `language_model` goes on; .tflite files and GPT-2's Hugging Face
folders have the ways of their own of `convert` and `classifier`.

    python -m carafe_tools add FOLDER --out models/NAME
    python -m carafe_tools convert model.tflite --tokenizer tokenizer.json --out models/NAME
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carafe_tools import classifier, language_model
from carafe_tools.convert import convert_text, is_classifier
from carafe_tools.environment import HAS_VNNI
from carafe_tools.errors import require
from carafe_tools.exported import is_exported, read_exported
from carafe_tools.gguf_file import is_gguf
from carafe_tools.gguf_source import has_real_zero_points, read_gguf
from carafe_tools.huggingface import is_huggingface
from carafe_tools.json_file import read_json_object
from carafe_tools.language_model import Wanted, write_language_model
from carafe_tools.language_source import LanguageModelSource
from carafe_tools.llama_folder import is_llama_folder
from carafe_tools.llama_source import read_llama_source
from carafe_tools.manifest import Licence, check_folder_name
from carafe_tools.model_folder import NO_NOTICE, UNKNOWN_LICENCE, About
from carafe_tools.opening import Carafe, add_options, chosen_carafe, find_carafe
from carafe_tools.progress import Progress
from carafe_tools.repository_files import generation_defaults
from carafe_tools.rounding import INT8, INTEGER_ZERO_POINTS, STORED
from carafe_tools.tflite_file import read_tflite

WEIGHTS = (STORED, INT8, INTEGER_ZERO_POINTS)


@dataclass(frozen=True)
class Request:
    """What a person asks for."""

    source: Path
    out: Path
    about: About
    carafe: Carafe | None
    tokenizer: Path | None = None
    labels: Path | None = None
    random_weights: bool = False
    context_length: int | None = None
    weights: str | None = None
    full: bool = False
    generation_config: Path | None = None

    def refuse(self, what: str, *foreign: str) -> None:
        """Refuse options that a kind of source has no use for."""
        for name in foreign:
            require(not getattr(self, name), f"{what} takes no option `--{name.replace('_', '-')}`")


@dataclass(frozen=True)
class SourceKind:
    """A kind of source: its name for people, how it is recognised, and what makes a model folder of
    it.
    """

    name: str
    takes: Callable[[Path], bool]
    add: Callable[[Request], dict[str, Any]]


def add(request: Request) -> dict[str, Any]:
    """Make a model folder of a source and return what to tell about it."""
    require(request.source.exists(), f"`{request.source}` does not exist")
    kind = next((kind for kind in KINDS if kind.takes(request.source)), None)
    known = ", ".join(kind.name for kind in KINDS)
    require(kind is not None, f"`{request.source}` is no source of a model; one of these was expected: {known}")
    check_folder_name(request.about.name, request.out)
    return {**kind.add(request), "kind": kind.name}


def _exported(request: Request) -> dict[str, Any]:
    request.refuse("an exported OpenVINO folder, whose weights stay as they are,", "labels", "random_weights", "weights")
    return _decoder(request, lambda: read_exported(request.source, request.tokenizer, request.context_length))


def _llama(request: Request) -> dict[str, Any]:
    request.refuse("a Hugging Face folder", "labels", "random_weights")
    no_zero_points = f"a Hugging Face folder takes no `--weights {INTEGER_ZERO_POINTS}`: it has no zero points"
    require(request.weights != INTEGER_ZERO_POINTS, no_zero_points)
    weights = None if request.weights == STORED else request.weights
    return _decoder(request, lambda: read_llama_source(request.source, request.tokenizer, request.context_length, weights))


def _gguf(request: Request) -> dict[str, Any]:
    request.refuse("a GGUF file, which holds its tokenizer,", "labels", "random_weights", "tokenizer")
    reader = request.carafe or find_carafe(None)
    weights = _gguf_weights(request, reader)
    return _decoder(request, lambda: read_gguf(request.source, reader, request.context_length, weights))


def _gguf_weights(request: Request, reader: Carafe) -> str | None:
    """Return the form that weights are rounded to: the one asked for, or integer zero points where
    this processor multiplies those faster; none where they stay as they are.
    """
    asked = request.weights
    if asked in (STORED, INT8) or (asked is None and not HAS_VNNI):
        return None if asked == STORED else asked
    has_real = has_real_zero_points(request.source, reader)
    require(
        has_real or asked is None,
        f"`{request.source}` takes no `--weights {INTEGER_ZERO_POINTS}`: its zero points are integers, or it has none",
    )
    return INTEGER_ZERO_POINTS if has_real else None


def _decoder(request: Request, read: Callable[[], LanguageModelSource]) -> dict[str, Any]:
    """Make a model folder of a decoder by the reader of its kind."""
    progress = Progress(1 + language_model.STEPS)
    progress.step(f"read `{request.source}`")
    source = read()
    if request.generation_config is not None:
        path = request.generation_config
        source = replace(source, generation=generation_defaults(read_json_object(path), path))
    return write_language_model(source, Wanted(request.out, request.about, request.carafe, request.full), progress)


def _tflite(request: Request) -> dict[str, Any]:
    if not is_classifier(read_tflite(request.source)):
        return _gpt2(request)
    require(request.labels is not None, "an image classifier needs the option `--labels`")
    request.refuse("an image classifier", "tokenizer", "random_weights", "context_length", "weights", "generation_config")
    return classifier.convert(request.source, request.out, request.labels, request.about, request.carafe)


def _gpt2(request: Request) -> dict[str, Any]:
    request.refuse("a text model", "labels")
    request.refuse("a GPT-2 in 8 bits", "context_length", "weights", "generation_config")
    return convert_text(request.source, request.tokenizer, request.out, request.about, request.carafe, request.random_weights)


KINDS = (
    SourceKind("exported OpenVINO folder", is_exported, _exported),
    SourceKind("Hugging Face folder of the llama kind", is_llama_folder, _llama),
    SourceKind("Hugging Face folder of a GPT-2", is_huggingface, _gpt2),
    SourceKind("GGUF file", is_gguf, _gguf),
    SourceKind(".tflite file", Path.is_file, _tflite),
)


def add_commands(commands: Any) -> None:
    """Add `add` and `convert` to a parser's commands."""
    command = commands.add_parser("add", help="make a certified model folder of a source of any kind")
    _add_common(command)
    command.add_argument("--context-length", type=int, metavar="N", help="tokens of the context, at most the source's own")
    weights = f"the form of a GGUF's or a Hugging Face folder's weights; `{INTEGER_ZERO_POINTS}` for real ones with VNNI"
    command.add_argument("--weights", choices=WEIGHTS, help=weights)
    generation = "a `generation_config.json`, by which tokens are chosen where a request says nothing; the source's unless given"
    command.add_argument("--generation-config", type=Path, metavar="FILE", help=generation)
    command.add_argument("--full", action="store_true", help="certify on long prompts, too; it takes several times as long")
    command.set_defaults(run=_run, random_weights=False)
    command = commands.add_parser("convert", help="the same of a .tflite or of a GPT-2's Hugging Face folder")
    _add_common(command)
    command.add_argument("--random-weights", action="store_true", help="of a text model: do not gate agreement with LiteRT")
    command.set_defaults(run=_run, context_length=None, weights=None, full=False, generation_config=None)


def _add_common(command: argparse.ArgumentParser) -> None:
    kinds = ", ".join(kind.name for kind in KINDS)
    command.add_argument("source", type=Path, metavar="SOURCE", help=kinds)
    command.add_argument("--out", type=Path, required=True, help="the model folder to write")
    command.add_argument("--tokenizer", type=Path, help="tokenizer.json, for a .tflite or where a folder has none")
    command.add_argument("--labels", type=Path, help="a label a line, for an image classifier")
    command.add_argument("--name", help="the model's name, the folder's unless given")
    command.add_argument("--description", default="", help="one line for people")
    command.add_argument("--licence", default=UNKNOWN_LICENCE, help="SPDX identifier of the licence, unknown unless given")
    command.add_argument("--notice", default=NO_NOTICE, help="who made the model, from where")
    texts = "the licence in full, to copy into the folder; may be given again, for a notice or a use policy"
    command.add_argument("--licence-text", type=Path, metavar="FILE", action="append", default=[], help=texts)
    add_options(command)


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    name = arguments.name or arguments.out.resolve().name
    return add(
        Request(
            source=arguments.source,
            out=arguments.out,
            about=About(name, Licence(arguments.licence, arguments.notice), arguments.description, tuple(arguments.licence_text)),
            carafe=chosen_carafe(arguments),
            tokenizer=arguments.tokenizer,
            labels=arguments.labels,
            random_weights=arguments.random_weights,
            context_length=_positive(arguments.context_length),
            weights=arguments.weights,
            full=arguments.full,
            generation_config=arguments.generation_config,
        )
    )


def _positive(context_length: int | None) -> int | None:
    require(
        context_length is None or context_length > 0, f"a context of {context_length} tokens was asked for; at least 1 is needed"
    )
    return context_length
