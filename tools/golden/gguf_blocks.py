"""Write the golden file of the block types: bytes of a few blocks of each, and the weights that the
package `gguf` makes of them.

pip install gguf==0.19.0
python tools/golden/gguf_blocks.py tools/tests/golden/gguf_blocks.json

Scales are drawn as numbers, so that they are finite; all other bytes are random, which no quantiser
would write but every reader must read. The first block of a type with minima has a scale of zero.
"""

import base64
import json
import sys
from pathlib import Path

import gguf
import numpy as np

BLOCKS = 4
# of each type where its f16 numbers lie
HALVES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def main() -> None:
    """Write the file that the command line names."""
    generator = np.random.default_rng(11)
    found = {}
    for name, places in HALVES.items():
        kind = gguf.GGMLQuantizationType[name]
        size = gguf.GGML_QUANT_SIZES[kind][1]
        data = generator.integers(0, 256, (BLOCKS, size), np.uint8)
        for place in places:
            halves = generator.normal(0, 0.01, BLOCKS).astype("<f2")
            if len(places) == 2 and place == 0:
                halves[0] = 0
            data[:, place : place + 2] = halves.view(np.uint8).reshape(BLOCKS, 2)
        weights = gguf.quants.dequantize(data, kind).astype(np.float32)
        found[name] = {
            "blocks": base64.b64encode(data.tobytes()).decode(),
            "weights": base64.b64encode(weights.astype("<f4").tobytes()).decode(),
        }
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
