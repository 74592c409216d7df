"""The commands of `python -m carafe_tools` for those who change Carafe or look into a .tflite.

Their packages (LiteRT, Pillow, flatbuffers, `tokenizers`) are not needed to add a model, and where
they are not installed these commands are missing.
"""

import argparse
from pathlib import Path
from typing import Any

from carafe_tools import image_matrix, images, weights, zoo
from carafe_tools.fixtures import write_fixtures
from carafe_tools.folder import atomic_file
from carafe_tools.gpt2 import Dimensions
from carafe_tools.gpt2_writer import SEQUENCE, gpt2_tflite
from carafe_tools.huggingface_writer import write_huggingface
from carafe_tools.layouts import certify_layouts
from carafe_tools.opening import add_options, chosen_carafe
from carafe_tools.probe import probe
from carafe_tools.shapes import SHAPES, Workshop, measure_shapes
from carafe_tools.tokenizer_files import from_gpt2_files

GPT2_SMALL = Dimensions(layers=12, width=768, heads=12, positions=1024, vocabulary=50257)


def add_commands(commands: Any) -> None:
    """Add these commands to a parser's."""
    for add_command in (
        _add_probe,
        _add_write_tflite,
        _add_tokenizer_json,
        _add_write_huggingface,
        _add_fixtures,
        _add_layouts,
        _add_shapes,
        images.add_command,
        image_matrix.add_command,
        zoo.add_command,
    ):
        add_command(commands)


def _add_probe(commands: Any) -> None:
    command = commands.add_parser("probe", help="print what a .tflite holds, and run it in LiteRT")
    command.add_argument("source", type=Path, metavar="FILE.tflite")
    command.add_argument("--tokenizer", type=Path, help="tokenizer.json of the model; without it no prompt is run")
    command.add_argument("--prompt", default="Once upon a time")
    command.set_defaults(run=_probe)


def _add_write_tflite(commands: Any) -> None:
    command = commands.add_parser("write-tflite", help="write an 8-bit GPT-2 .tflite")
    origin = command.add_mutually_exclusive_group(required=True)
    origin.add_argument("--weights", type=Path, metavar="FOLDER", help="a Hugging Face GPT-2 folder")
    origin.add_argument("--random", action="store_true", help="random weights; sizes are GPT-2 small's unless given")
    _add_dimensions(command)
    command.add_argument("--sequence", type=int, default=SEQUENCE, help="tokens that the file computes, at most the positions")
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(run=_write_tflite)


def _add_write_huggingface(commands: Any) -> None:
    command = commands.add_parser("write-huggingface", help="write a Hugging Face GPT-2 folder of random weights")
    _add_dimensions(command)
    command.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json to put into it")
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    command.set_defaults(run=_write_huggingface)


def _add_dimensions(command: Any) -> None:
    for name, value in vars(GPT2_SMALL).items():
        command.add_argument(f"--{name}", type=int, default=value, help=f"of random weights, {value} unless given")
    command.add_argument("--seed", type=int, default=weights.SEED, help="of random weights")


def _add_tokenizer_json(commands: Any) -> None:
    command = commands.add_parser("tokenizer-json", help="join GPT-2's two tokenizer files into a tokenizer.json")
    command.add_argument("--encoder", type=Path, required=True, help="encoder.json")
    command.add_argument("--merges", type=Path, required=True, help="vocab.bpe")
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(run=_tokenizer_json)


def _add_fixtures(commands: Any) -> None:
    command = commands.add_parser("fixtures", help="write the generated fixtures of the tests again")
    command.add_argument("--folder", type=Path, default=Path("fixtures"))
    add_options(command)
    command.set_defaults(run=_fixtures)


def _add_layouts(commands: Any) -> None:
    command = commands.add_parser("layouts", help="convert a tiny file of each .tflite layout and print the errors")
    command.add_argument("--fixtures", type=Path, default=Path("fixtures"))
    command.add_argument("--document", type=Path, help="put the table into this Markdown file, too")
    command.set_defaults(run=lambda arguments: certify_layouts(arguments.fixtures, arguments.document))


def _add_shapes(commands: Any) -> None:
    command = commands.add_parser("shapes", help="make GPT-2 in several shapes of random weights, and measure them")
    command.add_argument("shapes", nargs="+", choices=SHAPES, metavar="SHAPE", help=", ".join(SHAPES))
    command.add_argument("--work", type=Path, default=Path("target/shapes"), help="where to make them; what is there is kept")
    command.add_argument("--carafe", type=Path, default=Path("target/release/carafe"), help="the program to measure with")
    command.add_argument("--document", type=Path, help="put the rows into the table of this Markdown file, too")
    command.set_defaults(run=_shapes)


def _shapes(arguments: argparse.Namespace) -> dict[str, Any]:
    return measure_shapes(arguments.shapes, Workshop(arguments.work, arguments.carafe), arguments.document)


def _probe(arguments: argparse.Namespace) -> dict[str, Any]:
    return probe(arguments.source, arguments.tokenizer, arguments.prompt)


def _write_tflite(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.weights is not None:
        model = weights.from_folder(arguments.weights)
    else:
        model = weights.random(_dimensions(arguments), arguments.seed)
    with atomic_file(arguments.out) as building:
        building.write_bytes(gpt2_tflite(model, min(arguments.sequence, model.dimensions.positions)))
    return {"out": str(arguments.out), "bytes": arguments.out.stat().st_size, **vars(model.dimensions)}


def _write_huggingface(arguments: argparse.Namespace) -> dict[str, Any]:
    dimensions = _dimensions(arguments)
    write_huggingface(arguments.out, dimensions, arguments.seed, arguments.tokenizer)
    return {"out": str(arguments.out), **vars(dimensions)}


def _dimensions(arguments: argparse.Namespace) -> Dimensions:
    return Dimensions(**{name: getattr(arguments, name) for name in vars(GPT2_SMALL)})


def _tokenizer_json(arguments: argparse.Namespace) -> dict[str, Any]:
    with atomic_file(arguments.out) as building:
        building.write_text(from_gpt2_files(arguments.encoder, arguments.merges), encoding="utf-8")
    return {"out": str(arguments.out), "bytes": arguments.out.stat().st_size}


def _fixtures(arguments: argparse.Namespace) -> dict[str, Any]:
    return write_fixtures(arguments.folder, chosen_carafe(arguments))
