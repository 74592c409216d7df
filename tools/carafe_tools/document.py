"""Puts generated lines into a document, between two comments that name them.

Goes in: a Markdown file with `<!-- NAME: made by … -->` and `<!-- end of NAME -->`, and lines.
Comes out: the file with these lines between the two; what stands outside is a person's.
"""

from pathlib import Path

from carafe_tools.errors import require
from carafe_tools.folder import atomic_file


def read_part(document: Path, name: str) -> list[str]:
    """Return the lines between a part's two comments."""
    lines = document.read_text(encoding="utf-8").splitlines()
    start, end = _borders(lines, document, name)
    return lines[start + 1 : end]


def write_part(document: Path, name: str, part: list[str]) -> None:
    """Replace the lines between a part's two comments."""
    lines = document.read_text(encoding="utf-8").splitlines()
    start, end = _borders(lines, document, name)
    with atomic_file(document) as building:
        building.write_text("\n".join([*lines[: start + 1], *part, *lines[end:]]) + "\n", encoding="utf-8")


def _borders(lines: list[str], document: Path, name: str) -> tuple[int, int]:
    starts = [index for index, line in enumerate(lines) if line.startswith(f"<!-- {name}: ")]
    ends = [index for index, line in enumerate(lines) if line == f"<!-- end of {name} -->"]
    require(
        len(starts) == 1 and len(ends) == 1 and starts[0] < ends[0],
        f"`{document}` has no part `{name}`: `<!-- {name}: … -->` and, below it, `<!-- end of {name} -->` were expected",
    )
    return starts[0], ends[0]
