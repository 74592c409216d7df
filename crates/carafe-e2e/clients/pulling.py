"""What the tests of `carafe models pull` share: a tiny repository, a hub that has it, and a user who pulls from it.

Test modules import it and name it as their plugin, for its fixtures: PYTEST_DONT_REWRITE.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BINARY, ROOT
from hub import COMMIT, Hub

PYTHON = ROOT / ".venv/bin/python"
TOKENIZER = ROOT / "fixtures/models/tiny/tokenizer.json"
TINY = {"layers": 2, "width": 64, "heads": 2, "positions": 64, "vocabulary": 512}
ENDS_WITHIN = 600
CONVERTS_NOTHING = {"CARAFE_PYTHON": "/bin/true"}  # a test of fetching need not wait for Python


def tools(*words: object) -> None:
    subprocess.run([PYTHON, "-m", "carafe_tools", *map(str, words)], check=True, capture_output=True, timeout=ENDS_WITHIN)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a tiny repository: a configuration, weights, a tokenizer and a .tflite."""
    folder = tmp_path_factory.mktemp("repository")
    sizes = [word for name, value in TINY.items() for word in (f"--{name}", value)]
    tools("write-huggingface", *sizes, "--tokenizer", TOKENIZER, "--out", folder)
    (folder / "8bit.tflite").write_bytes((ROOT / "fixtures/tiny.tflite").read_bytes())
    return folder


@pytest.fixture
def hub(repository: Path) -> Iterator[Hub]:
    """A hub with that repository."""
    hub = Hub(repository)
    yield hub
    hub.close()


class Puller:
    """Runs `carafe models pull` with a home of its own."""

    def __init__(self, hub: Hub, home: Path) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CARAFE_", "HF_", "XDG_"))}
        self.environment = own | {"HOME": str(home), "HF_ENDPOINT": hub.url, "CARAFE_PYTHON": str(PYTHON)}
        self.models = home / ".local/share/carafe/models"
        self.cache = home / ".cache/huggingface/hub"

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [BINARY, "models", "pull", *words]
        settings = {"capture_output": True, "text": True, "timeout": ENDS_WITHIN, "stdin": subprocess.DEVNULL}
        return subprocess.run(command, env=self.environment | environment, check=False, **settings)

    def pull(self, *words: str, **environment: str) -> dict[str, str]:
        result = self.run(*words, "--json", **environment)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def fetch(self, repository: str, *words: str, **environment: str) -> dict[str, bytes]:
        """Fetch a repository with a converter that makes nothing of it, and return the files that came."""
        result = self.run(repository, *words, **(CONVERTS_NOTHING | environment))
        assert "model.toml" in result.stderr.splitlines()[-1], result.stderr
        snapshot = self.cache / f"models--{repository.replace('/', '--')}" / "snapshots" / COMMIT
        return {path.name: path.read_bytes() for path in snapshot.iterdir()}

    def refuse(self, *words: str, **environment: str) -> str:
        """Pull what is refused before anything is converted, and return why."""
        result = self.run(*words, **(CONVERTS_NOTHING | environment))
        assert result.returncode == 1, result.stderr
        assert "panicked" not in result.stderr
        assert not self.models.exists() or not any(self.models.iterdir())
        return result.stderr.splitlines()[-1]


@pytest.fixture
def puller(hub: Hub, tmp_path: Path) -> Puller:
    return Puller(hub, tmp_path)
