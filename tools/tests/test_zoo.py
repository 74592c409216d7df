"""Every exported architecture of the fixtures is served as it comes, within the limit of PyTorch's
logits.
"""

from pathlib import Path

import pytest
from conftest import FIXTURES, ROOT

from carafe_tools.comparison import RELATIVE_LIMIT
from carafe_tools.document import read_part
from carafe_tools.zoo import ARCHIVE, HEADER, PART, PARTICULARS, measure, unpack

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return unpack(FIXTURES / ARCHIVE, tmp_path_factory.mktemp("zoo"))


def test_the_archive_holds_the_architectures_that_are_described(folders: dict[str, Path]) -> None:
    assert sorted(folders) == sorted(PARTICULARS)


@pytest.mark.parametrize("name", PARTICULARS)
def test_an_export_in_pages_has_the_logits_of_pytorch_or_of_its_own_quantised_graph(name: str, folders: dict[str, Path]) -> None:
    found = measure(folders[name])
    limit = RELATIVE_LIMIT * found.largest
    assert found.largest > 1
    assert max(found.whole, found.stepwise, found.stateful) <= limit


def test_the_document_has_a_line_for_every_architecture() -> None:
    lines = read_part(ROOT / "docs" / "models.md", PART)
    assert lines[: len(HEADER)] == HEADER
    assert [line.split("`")[1] for line in lines[len(HEADER) :]] == sorted(PARTICULARS)
