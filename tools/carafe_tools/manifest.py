"""`model.toml`, the manifest of a model folder: what each file, input and output is.

Goes in: a `Manifest` and the folder whose files it names. Comes out: `model.toml` in format 2, with
the size and SHA-256 of each file as it lies there. Every key is required by the readers, unknown
keys are errors, so this is the only place that writes the file.
"""

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carafe_tools import TOOL
from carafe_tools.environment import openvino_version
from carafe_tools.errors import ConversionError, require
from carafe_tools.folder import MANIFEST

FORMAT = 2
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


@dataclass(frozen=True)
class Port:
    """An input or output of an image graph; those of text graphs follow from the manifest's
    format.
    """

    name: str
    role: str
    type: str
    shape: list[int]


@dataclass(frozen=True)
class Licence:
    """Under which licence a model is, and who made it."""

    spdx: str
    notice: str


@dataclass(frozen=True)
class Manifest:
    """All that `model.toml` says; `files` maps a role (`graph`, `weights`, …) to a file name in the
    folder.

    `sections` holds the tables of the task, in order: `text` or `image`.
    """

    name: str
    task: str
    description: str
    files: dict[str, str]
    inputs: list[Port]
    outputs: list[Port]
    sections: dict[str, dict[str, Any]]
    licence: Licence
    source: Path
    source_sha256: str


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(files: list[Path]) -> str:
    """Return the SHA-256 of what a model is made from.

    Of several files it is that of the lines `HASH  NAME` in the order given, as `sha256sum FILES |
    sha256sum` has it.
    """
    if len(files) == 1:
        return sha256(files[0])
    return hashlib.sha256("".join(f"{sha256(file)}  {file.name}\n" for file in files).encode()).hexdigest()


def check_name(name: str) -> str:
    """Return the name if it can be a model's, else refuse it."""
    require(
        NAME.fullmatch(name) is not None,
        f"`{name}` cannot be a model's name; it must match `{NAME.pattern}`",
    )
    return name


def check_folder_name(name: str, out: Path) -> None:
    """Refuse a folder that is not called as its model: a model is found by the name of its
    folder.
    """
    check_name(name)
    found = out.resolve().name
    require(found == name, f"the model is to be called `{name}` but its folder `{out}`; the two names must be equal")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `model.toml` beside the files that it names."""
    check_name(manifest.name)
    head = {
        "format": FORMAT,
        "name": manifest.name,
        "task": manifest.task,
        "description": manifest.description,
    }
    parts = [_pairs(head), "[files]\n" + _pairs({role: _entry(folder, name) for role, name in manifest.files.items()})]
    parts += ["[[inputs]]\n" + _pairs(vars(port)) for port in manifest.inputs]
    parts += ["[[outputs]]\n" + _pairs(vars(port)) for port in manifest.outputs]
    parts += [f"[{title}]\n" + _pairs(table) for title, table in manifest.sections.items()]
    parts += ["[licence]\n" + _pairs(vars(manifest.licence)), "[provenance]\n" + _pairs(_provenance(manifest))]
    try:
        (folder / MANIFEST).write_text("\n".join(parts), encoding="utf-8")
    except UnicodeEncodeError as error:
        raise ConversionError(f"a name or a notice holds {error.object[error.start : error.end]!r}, which is no text") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the parsed `model.toml` of a model folder."""
    path = folder / MANIFEST
    require(path.is_file(), f"`{folder}` is not a model folder: it holds no `{MANIFEST}`")
    try:
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConversionError(f"`{path}` is not a manifest: {error}") from error
    require(
        manifest.get("format") == FORMAT,
        f"`{path}` has format `{manifest.get('format')}`; these tools read format {FORMAT}",
    )
    return manifest


def update_file(folder: Path, role: str, name: str) -> None:
    """Write a file's size and hash again after its contents changed."""
    path = folder / MANIFEST
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    entry = _pairs({role: _entry(folder, name)})
    path.write_text("".join(entry if line.startswith(f"{role} = {{") else line for line in lines), encoding="utf-8")


def _entry(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    return {"path": name, "size": path.stat().st_size, "sha256": sha256(path)}


def _provenance(manifest: Manifest) -> dict[str, Any]:
    return {
        "source": manifest.source.name,
        "source_sha256": manifest.source_sha256,
        "tool": TOOL,
        "openvino": openvino_version(),
    }


def _pairs(table: dict[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    """Return a value in TOML, whose strings, numbers, booleans and arrays of them are JSON's, but
    for one control character.
    """
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
