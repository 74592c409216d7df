"""What is no JSON, or none that the tools can use, is refused in one sentence."""

from pathlib import Path

import pytest

from carafe_tools.errors import ConversionError
from carafe_tools.huggingface import HuggingFaceFolder
from carafe_tools.safetensors_file import LENGTH, read_header

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [(DEEP, "its brackets are nested too deep"), ("{", "Expecting property name"), ("[]", "it does not hold an object")],
)
def test_a_configuration_that_cannot_be_read_is_refused(contents: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(contents, encoding="utf-8")
    with pytest.raises(ConversionError, match=rf"failed to read `{tmp_path}/config.json`: {sentence}"):
        HuggingFaceFolder(tmp_path)


def test_a_safetensors_header_nested_too_deep_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(LENGTH.pack(len(DEEP)) + DEEP.encode())
    with pytest.raises(ConversionError, match=r"the header of .* its brackets are nested too deep"):
        read_header(path)
