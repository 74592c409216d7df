"""The commands of `python -m carafe_tools`: progress on stderr, data on stdout, the last line of
which is JSON.

    python -m carafe_tools probe model.tflite --tokenizer tokenizer.json --prompt "Once upon a time"
    python -m carafe_tools add FOLDER_OR_GGUF_FILE --out models/NAME
    python -m carafe_tools convert model.tflite --tokenizer tokenizer.json --out models/NAME
    python -m carafe_tools convert HUGGING_FACE_FOLDER --out models/NAME
    python -m carafe_tools convert classifier.tflite --labels labels.txt --out models/NAME
    python -m carafe_tools certify models/NAME --source model.tflite --write
    python -m carafe_tools perplexity models/NAME text.txt
    python -m carafe_tools write-tflite --weights FOLDER --out model.tflite
    python -m carafe_tools write-tflite --random --out random.tflite
    python -m carafe_tools write-huggingface --tokenizer tokenizer.json --out FOLDER
    python -m carafe_tools tokenizer-json --encoder encoder.json --merges vocab.bpe --out FILE
    python -m carafe_tools fixtures
    python -m carafe_tools layouts --document docs/models.md
    python -m carafe_tools shapes tales --document docs/model-sizes.md
    python -m carafe_tools images
    python -m carafe_tools image-matrix
    python -m carafe_tools zoo --document docs/models.md

What the tools refuse they refuse in one sentence on stderr, with exit code 1 and nothing
half-written.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from carafe_tools import add, image_matrix, images, weights, zoo
from carafe_tools.certify import Request, certify_folder
from carafe_tools.environment import PROFILES, peak_memory_bytes
from carafe_tools.errors import ConversionError
from carafe_tools.fixtures import write_fixtures
from carafe_tools.folder import atomic_file
from carafe_tools.gpt2 import Dimensions
from carafe_tools.gpt2_writer import SEQUENCE, gpt2_tflite
from carafe_tools.huggingface_writer import write_huggingface
from carafe_tools.layouts import certify_layouts
from carafe_tools.opening import add_options, chosen_carafe
from carafe_tools.perplexity import perplexity
from carafe_tools.probe import probe
from carafe_tools.shapes import SHAPES, Workshop, measure_shapes
from carafe_tools.tokenizer_files import from_gpt2_files

GPT2_SMALL = Dimensions(layers=12, width=768, heads=12, positions=1024, vocabulary=50257)


def main(words: list[str] | None = None) -> int:
    """Run the command that the words, or else those of the command line, give; return the exit
    code.
    """
    arguments = _parser().parse_args(words)
    try:
        result = arguments.run(arguments)
    except ConversionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: failed to use `{error.filename}`: {error.strerror}", file=sys.stderr)
        return 1
    print(json.dumps({**result, "peak_memory_bytes": peak_memory_bytes()}, ensure_ascii=False))
    return 0


def _certify(arguments: argparse.Namespace) -> dict[str, Any]:
    return certify_folder(
        Request(
            folder=arguments.folder,
            source=arguments.source,
            carafe=chosen_carafe(arguments),
            write=arguments.write,
            full=arguments.full,
            random_weights=arguments.random_weights,
        )
    )


def _perplexity(arguments: argparse.Namespace) -> dict[str, Any]:
    return perplexity(arguments.folder, arguments.text, arguments.profile, arguments.window, arguments.limit)


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m carafe_tools", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    own = (_add_probe, add.add_commands, _add_certify, _add_perplexity, _add_write_tflite, _add_tokenizer_json)
    for add_command in (
        *own,
        _add_write_huggingface,
        _add_fixtures,
        _add_layouts,
        _add_shapes,
        images.add_command,
        image_matrix.add_command,
        zoo.add_command,
    ):
        add_command(commands)
    return parser


def _add_probe(commands: Any) -> None:
    command = commands.add_parser("probe", help="print what a .tflite holds, and run it in LiteRT")
    command.add_argument("source", type=Path, metavar="FILE.tflite")
    command.add_argument("--tokenizer", type=Path, help="tokenizer.json of the model; without it no prompt is run")
    command.add_argument("--prompt", default="Once upon a time")
    command.set_defaults(run=_probe)


def _add_certify(commands: Any) -> None:
    command = commands.add_parser("certify", help="prove a model folder against its source again")
    command.add_argument("folder", type=Path, metavar="MODEL_FOLDER")
    command.add_argument("--source", type=Path, help="what it was made from; not needed for a decoder of `add`")
    command.add_argument("--full", action="store_true", help="of a decoder of `add`: on long prompts, too")
    command.add_argument("--write", action="store_true", help="replace the folder's certificate by the new one")
    command.add_argument("--random-weights", action="store_true", help="of a text model: do not gate agreement with LiteRT")
    add_options(command)
    command.set_defaults(run=_certify)


def _add_perplexity(commands: Any) -> None:
    command = commands.add_parser("perplexity", help="measure how well a text model predicts a text")
    command.add_argument("folder", type=Path, metavar="MODEL_FOLDER")
    command.add_argument("text", type=Path, metavar="TEXT", help="UTF-8, scored as it is")
    command.add_argument("--profile", choices=sorted(PROFILES), default="exact", help="exact unless given")
    command.add_argument("--window", type=int, help="tokens of a window; the model's context unless given")
    command.add_argument("--limit", type=int, help="score only the first tokens, as many as this")
    command.set_defaults(run=_perplexity)


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


if __name__ == "__main__":
    sys.exit(main())
