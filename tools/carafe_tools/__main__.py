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
    python -m carafe_tools shapes tales --document docs/models.md
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

from carafe_tools import add
from carafe_tools.certify import Request, certify_folder
from carafe_tools.environment import PROFILES, peak_memory_bytes
from carafe_tools.errors import ConversionError
from carafe_tools.opening import add_options, chosen_carafe
from carafe_tools.optional import lacks, require_optional
from carafe_tools.perplexity import perplexity


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
    except ModuleNotFoundError as error:
        require_optional(error)
        print(f"error: {lacks(error)}", file=sys.stderr)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m carafe_tools", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add.add_commands(commands)
    _add_certify(commands)
    _add_perplexity(commands)
    try:
        from carafe_tools import developer

        developer.add_commands(commands)
    except ModuleNotFoundError as error:
        require_optional(error)
    return parser


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


if __name__ == "__main__":
    sys.exit(main())
