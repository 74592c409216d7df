"""What `convert` certifies runs in the real program; what that refuses is refused by `convert`, in the program's words."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BINARY, ROOT
from pulling import ENDS_WITHIN, PYTHON, TINY, TOKENIZER, tools
from safetensors.numpy import load_file, save_file

# a change of a `tokenizer.json`
Change = Callable[[dict[str, Any]], object]
TRUNCATION = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 9},
    "direction": "Left",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "x",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder of random weights."""
    folder = tmp_path_factory.mktemp("source")
    sizes = [word for name, value in TINY.items() for word in (f"--{name}", value)]
    tools("write-huggingface", *sizes, "--tokenizer", TOKENIZER, "--out", folder)
    return folder


def convert(source: Path, out: Path, *options: object) -> subprocess.CompletedProcess[str]:
    command = [PYTHON, "-m", "carafe_tools", "convert", source, "--out", out, "--carafe", BINARY, *options]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600, check=False)


def with_tokenizer(source: Path, folder: Path, change: Change) -> Path:
    """Copy a folder with a changed `tokenizer.json`."""
    shutil.copytree(source, folder)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    change(tokenizer)
    path.write_text(json.dumps(tokenizer))
    return folder


def as_newer_transformers_write(tokenizer: dict[str, Any]) -> None:
    """Set what newer releases save, in the forms in which they save it: none of it changes the tokens of a text."""
    merges = tokenizer["model"]["merges"]
    tokenizer["model"]["merges"] = [pair.split(" ") if isinstance(pair, str) else " ".join(pair) for pair in merges]
    tokenizer["model"] |= {"unk_token": "<|endoftext|>", "fuse_unk": True, "byte_fallback": False, "ignore_merges": False}
    tokenizer |= {"truncation": TRUNCATION, "padding": PADDING}
    tokenizer["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    tokenizer["added_tokens"][0] |= {"normalized": True, "special": True}


def cut_into_bfloat16(folder: Path) -> None:
    """Cut a folder's weights into two files of bfloat16, in the place of one in f32."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, held in shards.items():
        save_file({name: (weights[name].view(np.uint32) >> 16).astype(np.uint16) for name in held}, folder / shard)
        contents = (folder / shard).read_bytes()
        length = int.from_bytes(contents[:8], "little")
        header = contents[8 : 8 + length].replace(b'"U16"', b'"BF16"')
        (folder / shard).write_bytes(len(header).to_bytes(8, "little") + header + contents[8 + length :])
    places = {name: shard for shard, held in shards.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def test_what_is_certified_runs_whatever_its_source_holds(source: Path, tmp_path: Path) -> None:
    odd = with_tokenizer(source, tmp_path / "odd", as_newer_transformers_write)
    cut_into_bfloat16(odd)
    name = "a" * 64
    out = tmp_path / "models" / name
    about = (
        "--description",
        'says "no" \\ and \x7f\x01 ü\n\t',
        "--notice",
        "'''",
        "--licence",
        "MIT AND (Apache-2.0 OR BSD-3-Clause)",
    )
    result = convert(odd, out, *about)
    assert result.returncode == 0, result.stderr
    assert "`truncation` of the `tokenizer.json` is dropped" in result.stderr
    told = json.loads(result.stdout)
    assert told["dropped"] == ["truncation", "padding"]
    assert told["opened"]["by"].startswith("carafe ")
    assert len(told["opened"]["repeated"]) == 3
    assert json.loads((out / "certificate.json").read_text())["opened"] == told["opened"]
    words = ["generate", "--model", name, "--models", str(out.parent), "--prompt", "Once upon a time there was", "--json"]
    generated = subprocess.run([BINARY, *words, "--max-tokens", "3"], capture_output=True, check=True, timeout=ENDS_WITHIN)
    assert json.loads(generated.stdout)["usage"]["prompt_tokens"] > 4
    shown = subprocess.run([BINARY, "models", "verify", f"{out}/", "--run"], capture_output=True, check=True, timeout=ENDS_WITHIN)
    assert b"as in the certificate" in shown.stdout


def of_model(**options: object) -> Change:
    return lambda tokenizer: tokenizer["model"].update(options)


def of_file(**parts: object) -> Change:
    return lambda tokenizer: tokenizer.update(parts)


CTC = {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (of_file(decoder=CTC), "unknown variant `CTC`"),
        (of_model(dropout=0.5), "`model.dropout` must be null, for a text has the same tokens every time"),
    ],
)
def test_a_tokenizer_that_the_guest_refuses_is_refused_in_its_words_before_anything_is_built(
    change: Change, sentence: str, source: Path, tmp_path: Path
) -> None:
    odd = with_tokenizer(source, tmp_path / "odd", change)
    result = convert(odd, tmp_path / "models/tiny")
    assert result.returncode == 1, result.stderr
    assert sentence in result.stderr.splitlines()[-1]
    assert f"refuses `{odd}`" in result.stderr.splitlines()[-1]
    assert "build the stateful graph" not in result.stderr
    assert not (tmp_path / "models").exists()


def more_tokens(tokenizer: dict[str, Any]) -> None:
    token = {
        "id": 512,
        "content": "[PAD]",
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    tokenizer["added_tokens"].append(token)


def one_id_twice(tokenizer: dict[str, Any]) -> None:
    vocabulary = tokenizer["model"]["vocab"]
    *_, last, other = vocabulary
    vocabulary[last] = vocabulary[other]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (more_tokens, "has 513 tokens but the token embedding"),
        (one_id_twice, " to both `"),
        (of_model(type="Unigram"), "as a `tokenizer.json`"),
        (of_model(continuing_subword_prefix="##"), "as a `tokenizer.json`: the library panics"),
        (of_file(version="9.9"), "as a `tokenizer.json`"),
        (lambda tokenizer: tokenizer.clear(), "as a `tokenizer.json`"),
    ],
)
def test_a_tokenizer_that_is_another_model_s_or_none_is_refused(
    change: Change, sentence: str, source: Path, tmp_path: Path
) -> None:
    result = convert(with_tokenizer(source, tmp_path / "odd", change), tmp_path / "models/tiny")
    assert result.returncode == 1, result.stderr
    assert sentence in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert "panicked" not in result.stderr
    assert not (tmp_path / "models").exists()


def test_certify_refuses_a_folder_that_does_not_open(tmp_path: Path) -> None:
    folder = tmp_path / "another-name"
    shutil.copytree(ROOT / "fixtures/models/tiny", folder)
    words = ["certify", folder, "--source", ROOT / "fixtures/tiny.tflite", "--random-weights", "--write", "--carafe", BINARY]
    command = [str(word) for word in (PYTHON, "-m", "carafe_tools", *words)]
    before = (folder / "certificate.json").read_bytes()
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 1
    assert f"refuses the model folder `{folder}`" in result.stderr.splitlines()[-1]
    assert "they must be equal" in result.stderr.splitlines()[-1]
    assert (folder / "certificate.json").read_bytes() == before
