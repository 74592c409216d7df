"""Blocks of Python in the documents: each document's, in its order, run as one program against a real server.

`tests/documents.rs` runs the blocks of shell commands, and checks that no block is left out silently.
"""

import contextlib
import io
import re

import pytest
from serving import PLAIN_TEMPLATE, ROOT, Server, chat_models

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ADDRESS = "http://127.0.0.1:3000"


def programs() -> dict[str, str]:
    """Return the program of each document that has one."""
    texts = {path: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
    found = {path.name: "\n".join(BLOCK.findall(text)) for path, text in texts.items()}
    return {name: program for name, program in found.items() if program}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose first model answers conversations."""
    models = chat_models(tmp_path_factory.mktemp("models"), PLAIN_TEMPLATE, ROOT / "models/tales")
    server = Server("--models", str(models), "--model", "tales-chat", "--model", "tales")
    yield server
    assert server.stop() == 0


def test_there_are_programs():
    assert {"first-program.md", "clients.md"} <= programs().keys()


@pytest.mark.parametrize("name", programs())
def test_a_documents_program_runs_as_it_is_written(server: Server, name: str):
    program = programs()[name]
    assert ADDRESS in program
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(program.replace(ADDRESS, server.url), name, "exec"), {})
    assert said.getvalue().strip(), "the program prints what it was answered"
