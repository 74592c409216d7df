"""Opens what was converted with the program that will serve it, so that nothing is certified which
that program refuses.

The rules of a model folder stand once, in `carafe` and in its guests: they are not written down
here again. `check_tokenizer` asks early, before anything is built, whether the guest reads a
`tokenizer.json` and cuts the same tokens; `check_folder` ends every conversion by running the
finished folder in the sandbox. `find_carafe` says which program that is.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carafe_tools.errors import ConversionError, require
from carafe_tools.tokenizer import ProgramTokenizer, Tokenizer
from carafe_tools.tokenizer_files import TokenizerFile

PROGRAM = "carafe"
NOT_COMPARED = "the tokenizer is not compared with the package `tokenizers`, which is not installed"


@dataclass(frozen=True)
class Carafe:
    """The program that opens models."""

    path: Path

    def version(self) -> str:
        """Return what the program calls itself, `carafe 0.1.0` say."""
        return self._run("--version").strip()

    def check_tokenizer(self, file: TokenizerFile, origin: Path, texts: Sequence[str]) -> None:
        """Refuse a `tokenizer.json` that the guest refuses, or cuts into other tokens than the
        package `tokenizers` does, where that is installed.
        """
        tokenizer = self.tokenizer(file, origin)
        for text in texts:
            found = tokenizer.encode(text).ids
            if file.library is None:
                continue
            expected = file.library.encode(text).ids
            require(
                found == expected,
                f"`{origin}` cuts {text[:40]!r} into {found[:8]}… in the sandbox; {expected[:8]}… was expected",
            )

    def tokenizer(self, file: TokenizerFile, origin: Path) -> ProgramTokenizer:
        """Return the program's own tokenizer, which came from a path."""

        def run(*words: str) -> Any:
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / "tokenizer.json"
                path.write_text(file.contents, encoding="utf-8")
                command = ("tokenize", *words, "--tokenizer", path, "--json")
                return json.loads(self._run(*command, refuses=f"`{origin}`", stands_for=(path, origin)))

        return ProgramTokenizer(
            cut=lambda text: [token["id"] for token in run(text)["tokens"]],
            join=lambda ids: run("--decode", ",".join(map(str, ids)))["text"],
            special=file.special,
        )

    def check_folder(self, folder: Path, stands_for: Path) -> dict[str, Any]:
        """Run a model folder, which is to become another, in the sandbox; return what to write into
        its certificate.
        """
        words = ("models", "verify", folder, "--run", "--json")
        answer = self._run(*words, refuses=f"the model folder `{stands_for}`", stands_for=(folder, stands_for))
        return {"by": self.version(), "repeated": json.loads(answer)["repeated"]}

    def inspect(self, gguf: Path) -> str:
        """Return what a GGUF file holds, with every length checked: an object of metadata and
        tensors, as JSON.
        """
        return self._run("models", "inspect", gguf, "--json", refuses=f"`{gguf}`")

    def _run(self, *words: object, refuses: str = "its options", stands_for: tuple[Path, Path] | None = None) -> str:
        command = [str(self.path), *map(str, words)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if result.returncode == 0:
            return result.stdout
        said = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1].removeprefix(f"{PROGRAM}: ")
        if stands_for is not None:
            said = said.replace(*map(str, stands_for))
        raise ConversionError(f"`{self.path}`, which is to serve it, refuses {refuses}: {said}")


def tokenizer_of(file: TokenizerFile, carafe: Carafe | None, origin: Path) -> Tokenizer:
    """Return what cuts texts: the package `tokenizers` where it is installed, or else the
    program.
    """
    if file.library is not None:
        return file.library
    require(
        carafe is not None,
        "without the Python package `tokenizers` texts are cut by the program that is to serve the model; leave `--unopened` "
        "out, or install the package",
    )
    return carafe.tokenizer(file, origin)


def find_carafe(named: Path | None) -> Carafe:
    """Return the program that a person named, or else the one that belongs to these tools, or the
    one on the search path.
    """
    if named is not None:
        require(_is_program(named), f"`{named}` is no program; `--carafe` names the `{PROGRAM}` that is to serve the model")
        return Carafe(named.resolve())
    tried = [*_own_places(), *filter(None, [_on_search_path()])]
    found = next(filter(_is_program, tried), None)
    require(
        found is not None,
        f"no `{PROGRAM}` was found to open the finished model with; tried {', '.join(f'`{place}`' for place in tried)} and the "
        "search path; name one by `--carafe FILE`, or pass `--unopened` to go without and have the certificate say so",
    )
    return Carafe(found)


def add_options(command: argparse.ArgumentParser) -> None:
    """Let a command name the program, or go without one."""
    way = command.add_mutually_exclusive_group()
    way.add_argument("--carafe", type=Path, metavar="FILE", help="the program to open the finished model with")
    way.add_argument("--unopened", action="store_true", help="go without, and say so in the certificate")


def chosen_carafe(arguments: argparse.Namespace) -> Carafe | None:
    """Return the program that is to open the model; nothing where the person goes without."""
    return None if arguments.unopened else find_carafe(arguments.carafe)


def _own_places() -> list[Path]:
    """Return where the program lies whose tools these are: in the same environment, installed
    around it, or in the source tree.
    """
    prefix = Path(sys.prefix)
    installed = [prefix.parents[2] / "bin" / PROGRAM] if len(prefix.parents) > 2 else []
    return [prefix / "bin" / PROGRAM, *installed, Path(__file__).resolve().parents[2] / "target/release" / PROGRAM]


def _on_search_path() -> Path | None:
    found = shutil.which(PROGRAM)
    return Path(found) if found is not None else None


def _is_program(path: Path) -> bool:
    return path.is_file() and shutil.which(str(path.resolve())) is not None
