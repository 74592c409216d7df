"""Text and JSON from outside: files of people and of other programs.

Goes in: a path, or contents and where they came from. Comes out: the text, or the object that the
JSON holds. What cannot be read is refused in one sentence, brackets nested too deep for Python's
reader included.
"""

import json
from pathlib import Path
from typing import Any

from carafe_tools.errors import ConversionError, require


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except ValueError as error:
        raise ConversionError(f"failed to read `{path}`: {error}") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object that a file holds."""
    return parse_json_object(read_text(path), f"`{path}`")


def parse_json_object(contents: str | bytes, origin: str) -> dict[str, Any]:
    """Return the object that JSON holds; `origin` says for people what was read."""
    try:
        value = json.loads(contents)
    except ValueError as error:
        raise ConversionError(f"failed to read {origin}: {error}") from error
    except RecursionError as error:
        raise ConversionError(f"failed to read {origin}: its brackets are nested too deep") from error
    require(isinstance(value, dict), f"failed to read {origin}: it does not hold an object")
    return value
