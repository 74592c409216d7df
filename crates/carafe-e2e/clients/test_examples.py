"""The programs in `examples/`: with a real model, whatever it says; and with answers of these tests' own, for every branch."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Server
from real import MODEL
from scripted import Scripted

pytest_plugins = ["real"]
EXAMPLES = ROOT / "examples"
ENDS_WITHIN = 600
LINES = 80
MULTIPLY = '{"tool": "multiply", "arguments": {"a": 417, "b": 23}}'
ORDER = {"product": "coffee beans", "quantity": 2, "price": 31.5}


def run(program: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / program), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=ENDS_WITHIN, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def chat(smollm2_models: Path) -> Iterator[Server]:
    """A server of the default model."""
    server = Server("--models", str(smollm2_models), "--model", MODEL)
    yield server
    assert server.stop() == 0


@pytest.fixture
def script() -> Iterator[Callable[..., Scripted]]:
    servers: list[Scripted] = []

    def play(*texts: str) -> Scripted:
        servers.append(Scripted(*texts))
        return servers[-1]

    yield play
    for server in servers:
        server.close()


def test_every_program_is_short_and_listed_with_its_command() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    programs = [path for path in EXAMPLES.iterdir() if path.suffix in (".py", ".mjs")]
    assert len(programs) == 5
    for path in programs:
        assert len(path.read_text().splitlines()) < LINES, path
        (command,) = re.findall(rf"`((?:python|node) examples/{re.escape(path.name)} [^`]+)`", listed)
        assert command in path.read_text(), command


def test_a_real_model_with_tools_ends_in_an_answer_or_says_that_there_is_none(chat: Server) -> None:
    ran = run("tools.py", "What is 417 times 23?", "--url", chat.url)
    assert ran.returncode in (0, 1), ran.stderr
    calls, is_answered, _ = ran.stdout.partition("answer: ")
    if not is_answered:
        *calls, last = calls.splitlines()
        assert (ran.returncode, last) == (1, "no answer in 6 turns")
        calls = "\n".join(calls)
    for line in calls.splitlines():
        assert re.match(r"call: (multiply|letters) \{.*\} gives |refused: ", line)


def test_a_call_is_carried_out_and_its_result_given_back(script: Callable[..., Scripted]) -> None:
    model = script("I am not sure. " + MULTIPLY, "It is 9591.")
    ran = run("tools.py", "What is 417 times 23?", "--url", model.url)
    assert ran.stdout == 'call: multiply {"a": 417, "b": 23} gives 9591\nanswer: It is 9591.\n'
    assert [message["role"] for message in model.requests[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert "The result is 9591" in model.requests[1]["messages"][3]["content"]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("{", "Expecting property name"),
        ('{"tool": "open", "arguments": {"path": "/etc/passwd"}}', "expected `tool`, one of multiply, letters"),
        ('{"tool": ["multiply"], "arguments": {}}', "expected `tool`"),
        ('{"tool": "multiply", "arguments": {"a": 1}}', "`multiply` has the arguments a, b"),
        ('{"tool": "multiply", "arguments": {"a": true, "b": 2}}', "`a` must be a number"),
        ('{"tool": "letters", "arguments": {"text": 7}}', "`text` must be a text"),
    ],
)
def test_a_call_of_another_form_is_refused_and_may_be_mended(call: str, reason: str, script: Callable[..., Scripted]) -> None:
    model = script(call, MULTIPLY, "9591")
    ran = run("tools.py", "What is 417 times 23?", "--url", model.url)
    assert ran.returncode == 0, ran.stderr
    refused, called, answered = ran.stdout.splitlines()
    assert refused.startswith(f"refused: {reason}")
    assert (called[:5], answered) == ("call:", "answer: 9591")


def test_a_model_that_only_calls_is_stopped(script: Callable[..., Scripted]) -> None:
    ran = run("tools.py", "What?", "--url", script(*[MULTIPLY] * 9).url)
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[-1] == "no answer in 6 turns"


def test_passages_are_found_by_their_words_and_a_real_model_answers(chat: Server) -> None:
    ran = run("retrieval.py", "docs", "How much memory does the KV cache take?", "--url", chat.url)
    assert ran.returncode == 0, ran.stderr
    *found, answer = re.split(r"\n(?=answer: )", ran.stdout, maxsplit=1)
    lines = found[0].splitlines()
    assert len(lines) == 3
    scores = [float(line.split()[0]) for line in lines]
    assert scores == sorted(scores, reverse=True)
    for line in lines:
        path, _, text = line.split(None, 1)[1].partition(": ")
        assert text in " ".join((ROOT / path).read_text().split())
    assert answer.startswith("answer: ")


def test_the_passage_that_says_it_comes_first_and_reaches_the_model(tmp_path: Path, script: Callable[..., Scripted]) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below/birds.md").write_text(
        "# Birds\n\nThe kingfisher dives for fish.\n\nThe owl hunts at night and sleeps by day.\n"
    )
    (tmp_path / "fish.txt").write_text("The pike hunts other fish in still waters.\n")
    model = script("At night.")
    ran = run("retrieval.py", tmp_path, "When does the owl hunt?", "--passages", 1, "--url", model.url)
    assert re.fullmatch(r" +[\d.]+  \S+/below/birds\.md: The owl hunts at night.*\nanswer: At night\.\n", ran.stdout), ran.stdout
    assert "The owl hunts at night" in model.requests[0]["messages"][1]["content"]
    nothing = run("retrieval.py", tmp_path, "Zebra?", "--url", model.url)
    assert nothing.stdout == "no passage shares a word with the question\n"


def test_a_real_models_order_has_the_fields_or_is_none(chat: Server) -> None:
    ran = run("extraction.py", "Please send me two kilos of coffee beans for 31.50 euros.", "--url", chat.url)
    if ran.returncode == 0:
        order = json.loads(ran.stdout)
        assert set(order) == set(ORDER)
        assert isinstance(order["quantity"], int)
    else:
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.splitlines()[-1] == "no valid answer in 5 attempts"


def test_an_order_is_asked_for_again_until_it_is_one(script: Callable[..., Scripted]) -> None:
    wrong = ["No.", "{}", json.dumps(ORDER | {"quantity": "two"}), "{quantity"]
    ran = run("extraction.py", "Coffee!", "--url", script(*wrong, f"Here it is: {json.dumps(ORDER)}").url)
    assert json.loads(ran.stdout) == ORDER
    assert [line.split(":")[0] for line in ran.stderr.splitlines()] == [f"attempt {number}" for number in (1, 2, 3, 4)]
    assert run("extraction.py", "Coffee!", "--url", script(*["No."] * 5).url).returncode == 1


def test_pictures_are_listed_or_moved_by_what_they_show(server: Server, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    shutil.copytree(ROOT / "images", pictures)
    (pictures / "broken.jpg").write_bytes((pictures / "parrot.jpg").read_bytes()[:1000])
    before = sorted(path.name for path in pictures.iterdir())
    listed = run("sort_images.py", pictures, "--url", server.url)
    assert "cat_720p.jpg -> egyptian-cat  (Egyptian cat, " in listed.stdout
    assert sorted(path.name for path in pictures.iterdir()) == before
    moved = run("sort_images.py", pictures, "--move", "--url", server.url)
    assert (moved.stdout, moved.returncode) == (listed.stdout, 1)
    assert "broken.jpg: " in moved.stderr
    there = {path.name: path.parent.name for path in pictures.rglob("*.*") if path.parent != pictures}
    assert there["cat_720p.jpg"] == "egyptian-cat"
    for line in moved.stdout.splitlines():
        name, place = re.match(r"(\S+) -> (\S+)", line).groups()
        assert there.pop(name) == place
    assert not there
    assert sorted(path.name for path in pictures.iterdir() if path.is_file()) == ["README.md", "broken.jpg"]
    unsure = run("sort_images.py", ROOT / "images", "--least", 1.1, "--url", server.url)
    assert all("-> unsure" in line for line in unsure.stdout.splitlines())
