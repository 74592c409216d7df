"""Trains a small model of GPT-2's architecture from a text, on processor cores.

Goes in: a UTF-8 text whose books are separated by `<|endoftext|>`, a tokenizer, and either a
Hugging Face folder to go on from or sizes of a new model. Comes out: a Hugging Face folder, which
`carafe_tools` converts. Stopped with Ctrl-C, it goes on where it was when the same command is given
again; with another `--steps` then, it ends earlier or later. The last line of stdout is JSON.

    python -m carafe_train text.txt --tokenizer tokenizer.json --work WORK --out MODEL --steps 2000
    python -m carafe_train text.txt.xz --from OLD_MODEL --work WORK --out MODEL --focus 60
    python -m carafe_train text.txt.xz --from MODEL --work WORK --focus 60 --validate-only
"""

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from carafe_tools.errors import ConversionError, require
from carafe_tools.gpt2 import Dimensions
from carafe_tools.tokenizer_files import load
from carafe_train.checkpoint import Training, read_model, restore, save, write_model
from carafe_train.data import Books, open_books
from carafe_train.loop import Plan, Report, held_out_loss, train
from carafe_train.model import Weights, initial

SMALL = {"layers": 6, "width": 192, "heads": 3, "positions": 256}


def main(words: list[str] | None = None) -> int:
    """Train as the words, or else those of the command line, say; return the exit code."""
    arguments = _parser().parse_args(words)
    try:
        result = _run(arguments)
    except ConversionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: failed to use `{error.filename}`: {error.strerror}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    tokenizer = _tokenizer(arguments)
    size, weights = _model(arguments, tokenizer)
    arguments.work.mkdir(parents=True, exist_ok=True)
    books = open_books(arguments.text, tokenizer, arguments.work, arguments.focus)
    books.check(size.positions + 1)
    if arguments.held_out is not None:
        arguments.held_out.write_text(load(tokenizer).decode(books.held_out, skip_special_tokens=False), encoding="utf-8")
    if arguments.validate_only:
        return {"validation_loss": round(held_out_loss(weights, books.held_out, size), 4)}
    return _train(arguments, tokenizer, size, weights, books)


def _train(arguments: argparse.Namespace, tokenizer: Path, size: Dimensions, weights: Weights, books: Books) -> dict[str, Any]:
    require(arguments.out is not None, "a folder for the model is needed; name it with `--out`")
    plan = Plan(**{field.name: getattr(arguments, field.name) for field in fields(Plan)})
    plan.check()
    checkpoint = arguments.work / "checkpoint.safetensors"
    training = Training.begun(weights)
    if checkpoint.is_file():
        training = restore(checkpoint, size)
        Report.say(f"going on after step {training.step} of `{checkpoint}`")

    def keep(reached: Training) -> None:
        save(checkpoint, reached)
        write_model(arguments.out, size, reached.weights, tokenizer)

    train(training, books, size, plan, keep)
    return {
        "out": str(arguments.out),
        "steps": training.step,
        "tokens": training.tokens,
        "is_finished": training.step >= plan.steps,
        "validation_loss": round(held_out_loss(training.weights, books.held_out, size), 4),
    }


def _tokenizer(arguments: argparse.Namespace) -> Path:
    path = arguments.tokenizer or (arguments.from_folder / "tokenizer.json" if arguments.from_folder else None)
    require(path is not None, "a tokenizer is needed; name it with `--tokenizer`, or a model to go on from with `--from`")
    return path


def _model(arguments: argparse.Namespace, tokenizer: Path) -> tuple[Dimensions, Weights]:
    vocabulary = load(tokenizer).get_vocab_size()
    if arguments.from_folder is None:
        size = Dimensions(**{name: getattr(arguments, name) for name in SMALL}, vocabulary=vocabulary)
        size.check("the model to train")
        return size, initial(size, arguments.seed)
    size, weights = read_model(arguments.from_folder)
    require(
        size.vocabulary == vocabulary,
        f"`{arguments.from_folder}` has {size.vocabulary} tokens, but `{tokenizer}` has {vocabulary}",
    )
    return size, weights


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m carafe_train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=Path, metavar="TEXT", help="UTF-8, or that in .xz")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json; that of `--from` unless given")
    parser.add_argument("--from", dest="from_folder", type=Path, metavar="FOLDER", help="a Hugging Face folder to go on from")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="where ids and the checkpoint are kept")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="the Hugging Face folder to write")
    parser.add_argument(
        "--focus",
        type=int,
        default=2,
        metavar="BOOKS",
        help="how many books at the beginning to write like; the last is held out",
    )
    parser.add_argument("--held-out", type=Path, metavar="FILE", help="also write the held-out book, as it is scored")
    parser.add_argument("--validate-only", action="store_true", help="print the loss of `--from` on the held-out book")
    _add_plan(parser.add_argument_group("how to train"))
    sizes = parser.add_argument_group("a new model, without `--from`")
    for name, value in SMALL.items():
        sizes.add_argument(f"--{name}", type=int, default=value, help=f"{value} unless given")
    return parser


def _add_plan(group: Any) -> None:
    group.add_argument("--steps", type=int, default=2000, help="2000 unless given")
    group.add_argument(
        "--cooldown", type=int, default=1200, help="last steps, over which learning rates fall to zero; 1200 unless given"
    )
    group.add_argument("--warmup", type=int, default=40, help="first steps, over which they rise; 40 unless given")
    group.add_argument("--rows", type=int, default=32, help="rows of a step, each as long as the context; 32 unless given")
    group.add_argument("--muon", type=float, default=0.01, help="learning rate of matrices, 0.01 unless given")
    group.add_argument("--adam", type=float, default=0.002, help="learning rate of all else, 0.002 unless given")
    group.add_argument(
        "--share", type=float, default=0.5, help="of rows from the books to write like, rising to 1 at the end; 0.5 unless given"
    )
    group.add_argument("--seed", type=int, default=1, help="of the rows and of new weights, 1 unless given")
    group.add_argument("--bfloat16", action="store_true", help="multiply in bfloat16, quicker where the processor can")
    group.add_argument("--report", type=int, default=10, help="steps between two lines of progress, 10 unless given")
    group.add_argument("--validate", type=int, default=100, help="steps between two validations, 100 unless given")
    group.add_argument("--minutes", type=float, default=4, help="between two checkpoints, 4 unless given")


if __name__ == "__main__":
    sys.exit(main())
