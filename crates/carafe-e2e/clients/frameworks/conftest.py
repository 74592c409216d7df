"""Frameworks as clients of a server on loopback. They may use no other network: nothing is fetched, and no usage is reported."""

import os
from pathlib import Path

import pytest

#: Set before anything is imported that looks at them.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "LANGSMITH_TRACING": "false",
    "TOKENIZERS_PARALLELISM": "false",
}
os.environ |= OFFLINE


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """For a program in a process of its own: offline, and with a home that is the test's."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, **OFFLINE, "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "huggingface"), "OPENAI_API_KEY": "not asked for"}
