"""The `llm` command line with a model of `extra-openai-models.yaml`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROMPT = "Once upon a time"
LLM = Path(sys.executable).with_name("llm")
ENDS_WITHIN = 600
MODELS = """
- model_id: tales
  model_name: tales
  api_base: "{url}/v1"
  completion: true
"""


@pytest.fixture
def llm(server, tmp_path, environment):
    """Runs the command line with these words; what it prints."""
    (tmp_path / "extra-openai-models.yaml").write_text(MODELS.format(url=server.url))

    def run(*words):
        environment["LLM_USER_PATH"] = str(tmp_path)
        ran = subprocess.run(
            [LLM, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


def test_the_model_is_listed(llm):
    assert "OpenAI Completion: tales" in llm("models")


def test_a_text_is_the_same_streamed_and_not(llm):
    words = ["-m", "tales", "-o", "max_tokens", "12", "-o", "temperature", "0", PROMPT]
    streamed = llm(*words)
    assert streamed.strip() != ""
    assert llm(*words, "--no-stream") == streamed


def test_the_log_keeps_the_text_and_its_log_probabilities(llm):
    text = llm("-m", "tales", "-o", "max_tokens", "6", "-o", "logprobs", "3", PROMPT)
    [entry] = json.loads(llm("logs", "--json"))
    assert entry["response"] == text.removesuffix("\n")
    assert len(entry["response_json"]["logprobs"]) == 6
