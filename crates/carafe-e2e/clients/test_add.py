"""`carafe models add`: a source on this machine becomes a model under a name, with its licence; or nothing is there."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import BINARY, ROOT
from pulling import ENDS_WITHIN, TOKENIZER, Puller, repository  # noqa: F401 (a fixture)

pytest_plugins = ["pulling"]
README = "---\nlanguage: en\nlicense: apache-2.0\n---\n# Tiny\n"


@pytest.fixture
def source(repository: Path, tmp_path: Path) -> Path:  # noqa: F811
    """A folder as the hub has it, with a licence and what belongs to it."""
    folder = tmp_path / "Tiny Model"
    shutil.copytree(repository, folder, ignore=shutil.ignore_patterns("*.tflite"))
    (folder / "README.md").write_text(README)
    for name in ("LICENSE", "NOTICE.txt", "USE_POLICY.md"):
        (folder / name).write_text(f"the {name}\n")
    return folder


def add(user: Puller, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [BINARY, "models", "add", *map(str, words)]
    settings = {"capture_output": True, "text": True, "timeout": ENDS_WITHIN, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, env=user.environment | environment, check=False, **settings)


def test_a_folder_becomes_a_model_with_its_licence(source: Path, puller: Puller) -> None:
    result = add(puller, source)
    assert result.returncode == 0, result.stderr
    model = puller.models / "tiny-model"
    assert result.stdout.splitlines()[1:] == [f"in {model}", "licence: Apache-2.0"]
    for name in ("LICENSE", "NOTICE.txt", "USE_POLICY.md"):
        assert (model / name).read_text() == f"the {name}\n"
    words = ["generate", "--model", "tiny-model", "--prompt", "The fox", "--max-tokens", "3", "--json"]
    generated = subprocess.run([BINARY, *words], env=puller.environment, capture_output=True, check=True, timeout=ENDS_WITHIN)
    assert json.loads(generated.stdout)["usage"]["completion_tokens"] == 3


def test_a_name_that_is_taken_is_refused_unless_it_is_made_again(source: Path, puller: Puller) -> None:
    model = puller.models / "mine"
    assert add(puller, source, "--name", "mine").returncode == 0
    again = add(puller, source, "--name", "mine")
    assert again.returncode == 1
    assert again.stderr == (
        f"carafe: `mine` is there already, in `{model}`; `--again` replaces it, and `--name` gives another name\n"
    )
    (source / "README.md").write_text(README.replace("apache-2.0", "mit"))
    told = add(puller, source, "--name", "mine", "--again", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["licence"] == "MIT"


def test_a_tflite_goes_the_same_way_and_its_licence_is_unknown(tmp_path: Path, puller: Puller) -> None:
    models = tmp_path / "elsewhere"
    result = add(puller, ROOT / "fixtures/tiny.tflite", "--tokenizer", TOKENIZER, "--models", models)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[1:] == [f"in {models / 'tiny'}", "licence: unknown"]
    assert not puller.models.exists()


def test_what_is_no_model_is_refused_in_one_sentence_and_leaves_nothing(tmp_path: Path, puller: Puller) -> None:
    for name in ("picture.png", "folder"):
        source = tmp_path / name
        source.mkdir() if name == "folder" else source.write_bytes(b"png")
        result = add(puller, source)
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        assert result.stderr.splitlines()[-1].startswith("carafe: the conversion failed, as told above")
        assert not puller.models.exists() or not any(puller.models.iterdir())


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ai_edge_litert", "flatbuffers", "PIL", "tokenizers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def test_a_folder_becomes_the_same_model_with_numpy_and_openvino_alone(source: Path, puller: Puller, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    alone = add(puller, source, "--name", "alone", PYTHONPATH=str(tmp_path))
    assert alone.returncode == 0, alone.stderr
    assert "the tokenizer is not compared with the package `tokenizers`" in alone.stderr
    assert add(puller, source, "--name", "compared").returncode == 0
    found, expected = (json.loads((puller.models / name / "certificate.json").read_text()) for name in ("alone", "compared"))
    assert found["greedy"] == expected["greedy"]
    tflite = add(puller, ROOT / "fixtures/tiny.tflite", "--tokenizer", TOKENIZER, PYTHONPATH=str(tmp_path))
    assert "error: this needs the Python package `ai_edge_litert`" in tflite.stderr


def test_a_python_without_the_tools_is_named(source: Path, puller: Puller) -> None:
    result = add(puller, source, CARAFE_PYTHON="/bin/false")
    assert result.stderr.startswith("carafe: CARAFE_PYTHON is `/bin/false`, which cannot run carafe_tools")
