"""`carafe chat` at a pseudo-terminal and with pipes: turns, commands, and Ctrl-C, which ends an answer and not the program.

The model is the bundled `tales` with a template of this test's own: it writes no sense, but its prompts are known to the letter.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import BINARY, ROOT
from serving import chat_models
from terminal import PATIENCE, Terminal

TEMPLATE = """{% for message in messages %}{{ message.role }}: {{ message.content }}
{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"""
CTRL_C, CTRL_D = b"\x03", b"\x04"
PROMPT = "> "


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model that holds conversations, after a fashion."""
    return chat_models(tmp_path_factory.mktemp("models"), TEMPLATE, ROOT / "models/tales")


def environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("CARAFE_") or name == "CARAFE_OPENVINO"}
    return own | {"XDG_DATA_HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent", "TERM": "xterm"}


def piped(models: Path, text: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [BINARY, "chat", "--models", str(models), *flags]
    return subprocess.run(command, input=text, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False)


GREEDY = ("--temperature", "0", "--max-tokens", "8")


def test_each_line_is_a_message_and_answers_are_the_output(models: Path) -> None:
    one = piped(models, "The fox\n", *GREEDY)
    assert one.returncode == 0, one.stderr
    assert one.stdout.strip()
    two = piped(models, "The fox\nThe king\n", *GREEDY)
    assert two.stdout.startswith(one.stdout)
    assert len(two.stdout) > len(one.stdout)


def test_the_model_is_found_by_its_template_and_one_without_is_refused(models: Path) -> None:
    refused = piped(models, "The fox\n", "--model", "tales")
    assert refused.returncode == 1
    assert "`tales` has no chat template" in refused.stderr
    assert "`carafe generate --model tales`" in refused.stderr


def test_without_any_template_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    refused = piped(tmp_path / "models", "The fox\n")
    assert refused.returncode == 1
    *_, found, hint = refused.stderr.splitlines()
    assert found == "carafe: no model with a chat template was found"
    assert "`carafe chat --yes` fetches the default model first" in hint


def test_a_conversation_that_begins_anew_answers_as_the_first_time(models: Path) -> None:
    answers = piped(models, "The fox\n/clear\nThe fox\n", *GREEDY)
    first, second = answers.stdout[: len(answers.stdout) // 2], answers.stdout[len(answers.stdout) // 2 :]
    assert first == second


def test_an_answer_is_given_again_with_the_next_seed(models: Path) -> None:
    sampled = ("--temperature", "1.5", "--max-tokens", "12", "--seed", "7")
    again = piped(models, "The fox\n/regenerate\n", *sampled)
    assert again.returncode == 0, again.stderr
    assert again.stdout == piped(models, "The fox\n/regenerate\n", *sampled).stdout
    first = piped(models, "The fox\n", *sampled).stdout
    assert again.stdout.startswith(first)
    assert again.stdout != first * 2


def test_what_is_told_beforehand_changes_the_answer(models: Path) -> None:
    plain = piped(models, "The fox\n", *GREEDY).stdout
    flag = piped(models, "The fox\n", *GREEDY, "--system", "Speak of kings.").stdout
    command = piped(models, "/system Speak of kings.\nThe fox\n", *GREEDY).stdout
    assert flag == command
    assert flag != plain


def test_a_message_that_does_not_fit_ends_a_script_in_words(models: Path) -> None:
    refused = piped(models, "fox " * 2000 + "\nThe fox\n", *GREEDY)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "256" in refused.stderr.splitlines()[-1]


@pytest.fixture
def terminal(models: Path) -> Iterator[Callable[..., Terminal]]:
    terminals: list[Terminal] = []

    def open_terminal(*flags: str) -> Terminal:
        terminals.append(Terminal([str(BINARY), "chat", "--models", str(models), *flags], environment()))
        return terminals[-1]

    yield open_terminal
    for one in terminals:
        one.close()


def test_a_person_talks_and_leaves(terminal: Callable[..., Terminal]) -> None:
    person = terminal(*GREEDY)
    person.expect("tales-chat: context of 256 tokens. /help shows the commands, Ctrl-D ends")
    person.expect(PROMPT)
    person.type(b"/help\r")
    person.expect("/regenerate    answer the last message once more")
    person.expect(PROMPT)
    person.type(b"The fox\r")
    person.expect("(cut after 8 tokens, `--max-tokens`)")
    person.expect(PROMPT)
    person.type(CTRL_D)
    assert person.ends() == 0


def test_ctrl_c_at_the_prompt_ends_the_program_the_second_time(terminal: Callable[..., Terminal]) -> None:
    person = terminal(*GREEDY)
    person.expect(PROMPT)
    person.type(CTRL_C)
    person.expect("Ctrl-C once more ends, and so does Ctrl-D")
    person.expect(PROMPT)
    person.type(b"/clear\r")
    person.expect("the conversation begins anew")
    person.expect(PROMPT)
    person.type(CTRL_C)
    person.expect("Ctrl-C once more ends")
    person.expect(PROMPT)
    person.type(CTRL_C)
    assert person.ends() == 0


def full_pipe() -> tuple[int, int]:
    """Return a pipe that takes nothing until its other end is read, so that no answer is finished before."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


def catches_interrupts(process: int) -> bool:
    """Say whether a process has a handler for SIGINT, by the mask that Linux shows of it."""
    mask = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{process}/status").read_text(), re.M)
    return bool(int(mask[1], 16) & 1 << (signal.SIGINT - 1))


def test_ctrl_c_ends_an_answer_and_not_the_program(models: Path) -> None:
    reader, writer = full_pipe()
    # An answer that no EOS ends.
    command = [BINARY, "chat", "--models", str(models), "--temperature", "0", "--logit-bias", "0=-100"]
    streams = {"stdin": subprocess.PIPE, "stdout": writer, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=environment(), **streams)
    os.close(writer)
    process.stdin.write(b"The fox\n")
    process.stdin.flush()
    end = time.monotonic() + PATIENCE
    while not catches_interrupts(process.pid):  # as it does from the first answer on
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    with os.fdopen(reader, "rb") as out:
        process.stdin.write(b"/clear\n")
        process.stdin.close()
        out.read()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(PATIENCE) == 0, said
    assert said.splitlines() == ["(ended by Ctrl-C)", "the conversation begins anew"]


def test_a_message_that_does_not_fit_leaves_the_conversation_as_it_was(terminal: Callable[..., Terminal]) -> None:
    person = terminal(*GREEDY)
    person.expect(PROMPT)
    person.type(b"fox " * 500 + b"\r")
    person.expect("carafe: ")
    person.expect(PROMPT)
    person.type(b"The fox\r")
    person.expect("(cut after 8 tokens, `--max-tokens`)")
    person.type(CTRL_D)
    assert person.ends() == 0
