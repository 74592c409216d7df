"""What serving a model takes: time until it is ready, memory after its first answers, tokens a second; a row of a table each.

Goes in: model folders. Comes out: the table, in a document as well if one is named. Memory is the anonymous one of `carafe
serve`: weights that the plugin has packed anew, the runtime, the guests. What the KV cache holds is taken off. The same of the
tiny model of the fixtures says what is there whatever the model. Pages of files, which the system takes back when it needs
them, are counted apart.

    PYTHONPATH=bench:tools .venv/bin/python -m carafe_bench.serving target/shapes/models/* --document docs/model-sizes.md
"""

import argparse
import json
import re
import statistics
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from carafe_bench import machine
from carafe_bench.contestant import memory_of
from carafe_bench.contestants.carafe_process import model_flags
from carafe_bench.contestants.server_process import ServerProcess, free_port
from carafe_tools.document import write_part

PART = "serving"
HEADER = [
    "| model | weights | anonymous memory | of the weights | without the runtime's | file pages | start to ready | tokens/s |",
    "|---|---|---|---|---|---|---|---|",
]
LOG = Path("target/bench/serving.log")
TINY = Path("fixtures/models/tiny")
CACHE = ("--context-length", "2048", "--kv-cache", "3GiB")
TINY_CACHE = ("--kv-cache", "3GiB")
PROMPT_TOKENS, NEW_TOKENS, CONCURRENT = 32, 24, 4
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Memory:
    """Memory of a server after its first answers, in bytes."""

    anonymous: float  # without what the KV cache holds
    of_files: float


def main() -> None:
    """Measure the folders that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="MODEL_FOLDER")
    parser.add_argument("--carafe", type=Path, default=Path("target/release/carafe"), help="the program to measure")
    parser.add_argument("--no-speed", action="store_true", help="measure memory alone, where other programs run as well")
    parser.add_argument("--document", type=Path, help="put the table into this Markdown file, too")
    arguments = parser.parse_args()
    _, tiny = _serve(arguments.carafe, TINY, TINY_CACHE)
    lines = [*HEADER, *(_row(folder, tiny, arguments) for folder in arguments.folders)]
    lines += ["", f"{machine.describe()['processor']}; the runtime's own memory is {tiny.anonymous / MEBIBYTE:.0f} MiB."]
    print("\n".join(lines))
    if arguments.document is not None:
        write_part(arguments.document, PART, lines)


def _row(folder: Path, tiny: Memory, arguments: argparse.Namespace) -> str:
    weights = (folder / "model.bin").stat().st_size
    ready, memory = _serve(arguments.carafe, folder, CACHE)
    cells = [
        f"`{folder.name}`",
        f"{weights / MEBIBYTE:.0f} MiB",
        f"{memory.anonymous / MEBIBYTE:.0f} MiB",
        f"{memory.anonymous / weights:.2f}",
        f"{(memory.anonymous - tiny.anonymous) / weights:.2f}",
        f"{memory.of_files / MEBIBYTE:.0f} MiB",
        *(("", "") if arguments.no_speed else (f"{ready:.1f} s", f"{_speed(arguments.carafe, folder):.1f}")),
    ]
    return "| " + " | ".join(cells) + " |"


def _serve(carafe: Path, folder: Path, cache: tuple[str, ...]) -> tuple[float, Memory]:
    """Start a server, ask it, and return the seconds until it was ready and its memory then."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(carafe), "serve", "--port", url.rpartition(":")[2], *model_flags(str(folder)), *cache]
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a", encoding="utf-8") as log:
        server = ServerProcess(command, url, "/readyz", log)
    try:
        for concurrent in (1, CONCURRENT):
            _ask(url, concurrent)
        found = memory_of(server.process.pid)
        anonymous = found["anonymous_mib"] * MEBIBYTE
        of_files = (found["rss_mib"] - found["anonymous_mib"]) * MEBIBYTE
        return server.ready_seconds, Memory(anonymous - _cache_bytes(url, server.process.pid), of_files)
    finally:
        server.stop()


def _ask(url: str, choices: int) -> None:
    """Let the model continue a prompt in this many ways at once."""
    prompt = [number % 250 + 1 for number in range(PROMPT_TOKENS)]
    body = {"prompt": prompt, "max_tokens": NEW_TOKENS, "n": choices, "ignore_eos": True, "temperature": 1, "seed": 1}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        answer.read()


def _cache_bytes(url: str, process: int) -> int:
    """Return the resident bytes of the KV cache, the only writable mapping as large; pages without a token are not resident."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        (size,) = re.findall(r"^carafe_kv_cache_bytes\{.*\} (\S+)$", answer.read().decode(), re.MULTILINE)
    mappings = re.split(
        r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{process}/smaps").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    sizes = (re.findall(r"^(?:Size|Anonymous): +(\d+) kB$", mapping, re.MULTILINE) for mapping in mappings if " rw-p " in mapping)
    (held,) = (int(anonymous) for mapped, anonymous in sizes if int(mapped) * 1024 >= float(size))
    return held * 1024


def _speed(carafe: Path, folder: Path) -> float:
    """Return the tokens a second of one sequence, the median of three rounds."""
    words = ["bench", *model_flags(str(folder)), *CACHE, "--new-tokens", "64", "--json"]
    ended = subprocess.run([carafe, *words], stdout=subprocess.PIPE, text=True, check=True)
    return statistics.median(run["tokens_per_second"] for run in json.loads(ended.stdout)["runs"])


if __name__ == "__main__":
    main()
