"""Manifests say what lies in the folder, and folders come into being whole or not at all."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import FIXTURES, ROOT, Tiny, program

from carafe_tools.certificate import load_graph
from carafe_tools.convert import num_weights
from carafe_tools.errors import ConversionError
from carafe_tools.fixtures import SOURCE, TINY, write_tiny_source
from carafe_tools.folder import atomic_file, atomic_folder
from carafe_tools.gpt2 import Dimensions
from carafe_tools.manifest import Licence, Manifest, Port, read_manifest, sha256, update_file, write_manifest
from carafe_tools.prefill import prefill_chunk
from carafe_tools.text_context import compile_paged, greedy

LARGEST_BUNDLED = 16 << 20


def manifest_of(folder: Path, name: str = "test") -> Manifest:
    """Return a manifest of one file, written into the folder, with text that TOML must escape."""
    (folder / "model.xml").write_text("<net/>")
    return Manifest(
        name=name,
        task="text-generation",
        description='says "no" \\ and ü\n',
        files={"graph": "model.xml"},
        inputs=[Port("pixels", "pixels", "u8", [1, 2])],
        outputs=[Port("scores", "scores", "f32", [1, 8])],
        sections={"text": {"eos_token_ids": [0], "ratio": 0.5, "on": True}},
        licence=Licence("MIT", "a notice"),
        source=folder / "model.xml",
        source_sha256=sha256(folder / "model.xml"),
    )


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest_of(tmp_path))
    found = read_manifest(tmp_path)
    assert found["description"] == 'says "no" \\ and ü\n'
    assert found["files"]["graph"] == {"path": "model.xml", "size": 6, "sha256": sha256(tmp_path / "model.xml")}
    assert found["inputs"] == [{"name": "pixels", "role": "pixels", "type": "u8", "shape": [1, 2]}]
    assert found["text"] == {"eos_token_ids": [0], "ratio": 0.5, "on": True}
    assert found["provenance"]["tool"].startswith("carafe_tools ")


@pytest.mark.parametrize("name", ["", "Tiny", "-tiny", "a/b", "a" * 65, "tiny\n"])
def test_a_name_that_no_model_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="cannot be a model's name"):
        write_manifest(tmp_path, manifest_of(tmp_path, name))


def test_a_changed_file_is_entered_again_and_nothing_else_changes(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest_of(tmp_path))
    before = read_manifest(tmp_path)
    (tmp_path / "model.xml").write_text("<longer/>")
    update_file(tmp_path, "graph", "model.xml")
    after = read_manifest(tmp_path)
    assert after["files"]["graph"]["size"] == 9
    assert {**before, "files": None} == {**after, "files": None}


@pytest.mark.parametrize(("text", "sentence"), [("format = 1", "has format `1`"), ("format =", "is not a manifest")])
def test_a_manifest_of_another_format_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text(text)
    with pytest.raises(ConversionError, match=sentence):
        read_manifest(tmp_path)


def test_a_folder_that_fails_halfway_leaves_nothing_and_the_old_one_stays(tmp_path: Path) -> None:
    old = tmp_path / "model"
    old.mkdir()
    (old / "model.toml").write_text("format = 1")
    with pytest.raises(ConversionError), atomic_folder(old) as building:
        (building / "half").write_text("half")
        raise ConversionError("no")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (old / "model.toml").read_text() == "format = 1"


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    old = tmp_path / "model"
    old.mkdir()
    (old / "model.toml").write_text("old")
    (old / "left-over").write_text("old")
    with atomic_folder(old) as building:
        (building / "model.toml").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [(path.name, path.read_text()) for path in old.iterdir()] == [("model.toml", "new")]


WORK = """
import sys
from pathlib import Path
from carafe_tools.folder import atomic_folder
with atomic_folder(Path(sys.argv[1])) as building:
    (building / "half").write_text("half")
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_leaves_is_removed_by_the_next_list_and_nothing_while_it_works(tmp_path: Path) -> None:
    listing = [program().path, "models", "list", "--models", tmp_path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", WORK, tmp_path / "model"], **pipes) as working:
        assert working.stdout.readline() == "at work\n"
        (left,) = tmp_path.iterdir()
        beside = subprocess.run(listing, capture_output=True, text=True, check=True)
        assert (left / "model" / "half").is_file()
        assert "had left" not in beside.stderr
        working.kill()
    after = subprocess.run(listing, capture_output=True, text=True, check=True)
    assert f"removed `{left}`, which a command that was killed had left" in after.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_fails_halfway_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConversionError), atomic_file(tmp_path / "file") as building:
        building.write_text("half")
        raise ConversionError("no")
    assert list(tmp_path.iterdir()) == []


def without_certificate(folder: Path) -> str:
    """Return a manifest's text but for the entry of the certificate, which tells of the machine."""
    lines = (folder / "model.toml").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("certificate = "))


def test_the_fixture_is_what_the_tools_make_today(tiny: Tiny) -> None:
    bundled = FIXTURES / "models" / "tiny"
    for name in ("model.xml", "model.bin", "tokenizer.json"):
        assert sha256(bundled / name) == sha256(tiny.folder / name), name
    found, expected = (tomllib.loads(without_certificate(folder)) for folder in (bundled, tiny.folder))
    assert found["provenance"] == expected["provenance"]
    assert (found["files"], found["text"]) == (expected["files"], expected["text"])


def test_the_fixture_source_is_what_the_tools_write_today(tmp_path: Path) -> None:
    assert write_tiny_source(tmp_path).read_bytes() == (FIXTURES / SOURCE).read_bytes()


def test_a_text_model_has_its_sizes_and_no_tensors(tiny: Tiny) -> None:
    manifest = read_manifest(tiny.folder)
    assert "inputs" not in manifest
    assert "outputs" not in manifest
    assert manifest["text"] == {
        "context_length": TINY.positions,
        "vocabulary_size": TINY.vocabulary,
        "eos_token_ids": [0],
        "prefill_chunk": 64,
        "weight_bits": 8,
    }


@pytest.mark.parametrize(("layers", "width", "chunk"), [(2, 64, 256), (12, 768, 128), (36, 1280, 64), (48, 4096, 32)])
def test_the_larger_a_model_the_shorter_its_prompt_chunks(layers: int, width: int, chunk: int) -> None:
    assert prefill_chunk(num_weights(Dimensions(layers, width, 8, 1024, 50257)), 1024) == chunk


def bundled_text_models() -> list[Path]:
    """Return the folders of the bundled text models."""
    return [
        path.parent for path in sorted((ROOT / "models").glob("*/model.toml")) if 'task = "text-generation"' in path.read_text()
    ]


@pytest.mark.parametrize("folder", bundled_text_models(), ids=lambda folder: folder.name)
def test_a_bundled_text_model_is_small_and_whole(folder: Path) -> None:
    for entry in read_manifest(folder)["files"].values():
        path = folder / entry["path"]
        assert (path.stat().st_size, sha256(path)) == (entry["size"], entry["sha256"])
    assert sum(path.stat().st_size for path in folder.iterdir()) <= LARGEST_BUNDLED


@pytest.mark.openvino
@pytest.mark.parametrize("folder", bundled_text_models(), ids=lambda folder: folder.name)
def test_a_bundled_text_model_continues_its_certificate_s_prompt(folder: Path) -> None:
    certificate = json.loads((folder / "certificate.json").read_text())
    entry = certificate["greedy"][0]
    compiled = compile_paged(load_graph(folder), "exact")
    assert greedy(compiled, entry["prompt_tokens"], len(entry["tokens"])) == entry["tokens"]
    assert certificate["passed"] is True
