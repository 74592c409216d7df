"""The command line of the benchmark; `cargo xtask bench` installs what it needs and starts it.

cargo xtask bench                                   everything, about 40 minutes, into docs/benchmarks.md
cargo xtask bench --quick                           a few minutes, into target/bench/quick.json, and a summary
cargo xtask bench --only decode aggregate           some scenarios; merged into what was measured before
cargo xtask bench --contestants carafe llama-cpp    some contestants
cargo xtask bench --report                          measure nothing, write docs/benchmarks.md again
cargo xtask bench --model NAME --source FILE.gguf   a model that was added from a GGUF file, into docs/benchmarks-NAME.md
"""

import argparse
import datetime
import sys
from pathlib import Path
from typing import Any

from carafe_bench import machine, models
from carafe_bench.contestant import Settings
from carafe_bench.contestants.registry import ENTRIES
from carafe_bench.genai_graph import write_genai_folder
from carafe_bench.images import write_image
from carafe_bench.plan import scenarios
from carafe_bench.report import summary, write_document
from carafe_bench.results import Results
from carafe_bench.runner import Runner, say

CACHE = Path("target/bench")
DOCUMENTS = Path("docs")
BINARIES = Path("target/release")
PICTURE = Path("images/cat_720p.jpg")
TALES = Path("models/tales")


def main() -> int:
    """Measure what the command line asks for, and report."""
    arguments = _parser().parse_args()
    results_of_model = (
        DOCUMENTS / f"benchmarks{'' if arguments.model == models.RANDOM else f'-{Path(arguments.model).name}'}.json"
    )
    out = arguments.out or (CACHE / "quick.json" if arguments.quick else results_of_model)
    if not arguments.report:
        _measure(arguments, out)
    results = Results.read(out)
    print(summary(results))
    if out == results_of_model:
        write_document(results, out.with_suffix(".md"))
    return 0


def _measure(arguments: argparse.Namespace, out: Path) -> None:
    model = models.prepare(arguments.model, arguments.source, CACHE)
    settings = _settings(arguments, model)
    new, session = Results(), _session(arguments, settings, model)
    new.sessions.append(session)

    def note(run: dict[str, Any]) -> None:
        new.runs.append(run | {"session": session["id"]})

    runner = Runner(settings, arguments.contestants, CACHE / "contestants.log", note)
    results = Results() if arguments.fresh else Results.read(out)
    try:
        for scenario in scenarios(arguments.quick, TALES):
            if scenario.name in arguments.only:
                runner.run(scenario)
                session["bandwidth"].append(_bandwidth(settings.threads))
                new.missing = runner.missing | runner.failed
                # after each scenario: a run that is stopped has not been for nothing
                results.merge(new)
                results.write(out)
    finally:
        runner.stop()
    say(f"results are in `{out}`")


def _settings(arguments: argparse.Namespace, model: models.Model) -> Settings:
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "contestants.log").write_text("", encoding="utf-8")
    image = CACHE / "image.jpg"
    write_image(PICTURE, image)
    try:
        if model.genai.suffix != models.GGUF:
            write_genai_folder(model.folder, model.genai)
    except RuntimeError as error:
        say(f"openvino-genai's graph could not be made: {error}")
    return Settings(
        model=str(model.folder),
        gguf=str(model.gguf or ""),
        genai=str(model.genai),
        tflite=str(model.tflite or ""),
        carafe=str(BINARIES / "carafe"),
        load=str(BINARIES / "carafe-load"),
        image_model=str(arguments.image_model),
        image=str(image),
        profile=arguments.profile,
        threads=arguments.threads,
    )


def _session(arguments: argparse.Namespace, settings: Settings, model: models.Model) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "id": now,
        "commit": machine.commit(),
        "command": " ".join(["cargo xtask bench", *sys.argv[1:]]),
        "quick": arguments.quick,
        "model": model.folder.name,
        "weight_bytes": model.weight_bytes,
        "profile": arguments.profile,
        "threads": arguments.threads,
        "machine": machine.describe(),
        "versions": machine.versions(settings.carafe),
        "bandwidth": [_bandwidth(settings.threads)],
    }


def _bandwidth(threads: int) -> float:
    return machine.bandwidth(str(BINARIES / "carafe-bandwidth"), threads)


def _parser() -> argparse.ArgumentParser:
    names = [scenario.name for scenario in scenarios(False, TALES)]
    parser = argparse.ArgumentParser(
        prog="cargo xtask bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer rounds, shorter texts; not for publication")
    add("--only", nargs="+", choices=names, default=names, metavar="SCENARIO", help=f"of {', '.join(names)}")
    add("--contestants", nargs="+", choices=ENTRIES, default=list(ENTRIES), metavar="NAME", help=f"of {', '.join(ENTRIES)}")
    add("--model", default=models.RANDOM, help="name or folder of a text model [default: GPT-2 small's shape, random weights]")
    add("--source", type=Path, help="the .tflite, Hugging Face folder or GGUF file of --model, for llama.cpp, genai and LiteRT")
    add("--image-model", type=Path, default=Path("models/mobilenet-v2"), help="folder of the image classifier")
    add("--profile", choices=("auto", "fast", "latency", "exact"), default="auto", help="Carafe's, and the plain loop's")
    add("--threads", type=int, default=machine.threads(), help="of every contestant [default: one for each core]")
    add(
        "--out",
        type=Path,
        help=f"results as JSON [default: docs/benchmarks.json, that of a model by its name; with --quick {CACHE}/quick.json]",
    )
    add("--fresh", action="store_true", help="forget earlier results instead of adding to them")
    add("--report", action="store_true", help="measure nothing; write the document from the results that are there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
