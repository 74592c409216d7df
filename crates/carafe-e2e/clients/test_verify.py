"""`carafe models verify --full`: an added model's certificate is made anew, against its source, and put into its folder."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from conftest import BINARY, ROOT
from pulling import ENDS_WITHIN, Puller

pytest_plugins = ["pulling"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An exported folder of a tiny decoder in 4 bits."""
    with tarfile.open(ROOT / "fixtures/llm-zoo.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    folder = tmp_path / "llm-zoo" / "qwen3-int4"
    shutil.copyfile(tmp_path / "llm-zoo" / "tokenizer.json", folder / "tokenizer.json")
    return folder


def models(user: Puller, *words: object) -> subprocess.CompletedProcess[str]:
    command = [BINARY, "models", *map(str, words)]
    settings = {"capture_output": True, "text": True, "timeout": ENDS_WITHIN, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, env=user.environment, check=False, **settings)


def test_a_full_certificate_takes_the_quick_ones_place_and_another_source_changes_nothing(source: Path, puller: Puller) -> None:
    added = models(puller, "add", source)
    assert added.returncode == 0, added.stderr
    certificate = puller.models / "qwen3-int4" / "certificate.json"
    quick = certificate.read_bytes()

    other = shutil.copytree(source, source.with_name("other"))
    (other / "config.json").write_text("{}")
    with (other / "openvino_model.bin").open("ab") as weights:
        weights.write(b"x")
    refused = models(puller, "verify", "qwen3-int4", "--full", "--source", other)
    assert refused.returncode == 1
    assert "was made from `qwen3-int4`, which has " in refused.stderr
    assert certificate.read_bytes() == quick

    verified = models(puller, "verify", "qwen3-int4", "--full", "--source", source)
    assert verified.returncode == 0, verified.stderr
    assert "certificate: full form, 4 prompts of 448 tokens" in verified.stdout
    assert "exact_against_source: largest error " in verified.stdout
    assert json.loads(certificate.read_text())["form"]["name"] == "full"
    assert [path.name for path in puller.models.iterdir()] == ["qwen3-int4"]
    assert models(puller, "verify", "qwen3-int4", "--run").returncode == 0


def test_a_source_without_full_is_refused(puller: Puller) -> None:
    refused = models(puller, "verify", "tales", "--source", "somewhere")
    assert refused.returncode == 2
    assert "--full" in refused.stderr
