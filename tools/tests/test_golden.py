"""Golden files are what their scripts make: each script is run again, and its bytes compared."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("script", "golden"), [("sampler", "sampler"), ("tokenizer_kinds", "tokenizers")])
def test_the_cores_golden_files_are_made_again_with_the_same_bytes(tmp_path, script, golden):
    again = tmp_path / "again.json"
    subprocess.run([sys.executable, ROOT / f"tools/golden/{script}.py", "--out", again], check=True)
    assert again.read_bytes() == (ROOT / f"crates/carafe-core/tests/golden/{golden}.json").read_bytes()
