"""Reads a Containerfile as far as Carafe's uses what there is; anything else is refused.

Goes in: its text. Comes out: stages with their instructions.
"""

import json
import re
from dataclasses import dataclass, field

KNOWN = ("RUN", "ADD", "COPY", "WORKDIR", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD")


@dataclass(frozen=True)
class Stage:
    """A stage: what it starts from, what it is called, and its instructions as pairs of word and
    rest.
    """

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def read_stages(text: str) -> list[Stage]:
    """Return the stages of a Containerfile."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for instruction in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, rest = instruction.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name or str(len(stages))))
        elif word in KNOWN and stages:
            stages[-1].steps.append((word, rest.strip()))
        elif word:
            raise SystemExit(f"error: this check knows no instruction `{word}`; teach it or leave it out")
    return stages


def suite_of(base: str) -> str:
    """Return the Debian suite that a base image `debian:SUITE-slim` is made of."""
    found = re.fullmatch(r"debian:([a-z]+)(-slim)?", base)
    if found is None:
        raise SystemExit(f"error: the base `{base}` is not one of Debian's own; debootstrap makes only these")
    return found[1]


def read_list(text: str) -> list[str]:
    """Return the words of an instruction in JSON."""
    words = json.loads(text)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise SystemExit(f"error: `{text}` is not a JSON list of words")
    return words


def read_health(text: str) -> list[str]:
    """Return the command of a HEALTHCHECK."""
    return read_list(text[text.index("CMD ") + 4 :])


def read_variables(text: str) -> dict[str, str]:
    """Return the variables of an ENV whose values hold no spaces."""
    return dict(pair.split("=", 1) for pair in text.split())


def read_copy(text: str) -> tuple[str | None, list[str], str]:
    """Return the stage that a COPY takes from, if one is named, what it takes, and where it puts
    it.
    """
    *words, target = text.split()
    options = [word for word in words if word.startswith("--")]
    if any(not option.startswith("--from=") for option in options):
        raise SystemExit(f"error: this check knows no COPY option but --from: `{text}`")
    origin = options[0].removeprefix("--from=") if options else None
    return origin, [word for word in words if not word.startswith("--")], target
