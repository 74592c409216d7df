"""Golden files are what their scripts make: each script is run again, and its bytes compared."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_samplers_golden_file_is_made_again_with_the_same_bytes(tmp_path):
    again = tmp_path / "sampler.json"
    subprocess.run([sys.executable, ROOT / "tools/golden/sampler.py", "--out", again], check=True)
    assert again.read_bytes() == (ROOT / "crates/carafe-core/tests/golden/sampler.json").read_bytes()
