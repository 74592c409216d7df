"""The model that is measured, in the form that each contestant reads, made of the same weights and kept in target/bench.

The default is GPT-2 small's shape with random weights: its speed is that of the real one. `--model` names a bundled or pulled
model, or a folder; with `--source` (its .tflite or Hugging Face folder) llama.cpp and LiteRT can take part as well. With
`--source` a GGUF file, the model folder is one that `carafe models add` made of it, and llama.cpp and openvino-genai read the
file itself, each by its own loader.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from carafe_bench.gguf_file import write_gguf
from carafe_tools.text_source import read_text_source

RANDOM = "gpt2-random"
GGUF = ".gguf"
TOKENIZER = Path("fixtures/gpt2-tokenizer/tokenizer.json")


@dataclass(frozen=True)
class Model:
    """A model in all its forms; an empty path where there is none."""

    folder: Path
    gguf: Path | None
    genai: Path  # a folder, or a GGUF file
    tflite: Path | None

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that are read for each token."""
        return (self.folder / "model.bin").stat().st_size


def prepare(name: str, source: Path | None, cache: Path) -> Model:
    """Return a model by its name or folder, made or converted where needed."""
    if name == RANDOM:
        folder, source = _random(cache)
    else:
        folder = _find(name)
    if source is not None and source.suffix == GGUF:
        return Model(folder, source, source, None)
    return Model(folder, _gguf(folder, source, cache), cache / "genai" / folder.name, _tflite(source))


def _random(cache: Path) -> tuple[Path, Path]:
    source, folder = cache / f"{RANDOM}.tflite", cache / "models" / RANDOM
    if not source.exists():
        _tools("write-tflite", "--random", "--out", source)
    if not (folder / "model.toml").exists():
        _tools("convert", source, "--tokenizer", TOKENIZER, "--out", folder, "--random-weights")
    return folder, source


def _find(name: str) -> Path:
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    users = [folder / "carafe/models" / name for folder in (data, kept)]
    folders = [Path(name), Path("models") / name, *users]
    for folder in folders:
        if (folder / "model.toml").exists():
            return folder
    tried = ", ".join(f"`{folder}`" for folder in folders)
    raise SystemExit(f"bench: no model `{name}`: tried {tried}; `carafe models pull` gets published ones")


def _gguf(folder: Path, source: Path | None, cache: Path) -> Path | None:
    if source is None:
        return None
    out = cache / f"{folder.name}.gguf"
    if not out.exists():
        tokenizer = folder / "tokenizer.json"
        write_gguf(read_text_source(source, tokenizer).model, tokenizer, out)
    return out


def _tflite(source: Path | None) -> Path | None:
    return source if source is not None and source.suffix == ".tflite" else None


def _tools(*words: object) -> None:
    command = [sys.executable, "-m", "carafe_tools", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
