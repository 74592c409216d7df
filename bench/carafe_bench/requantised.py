"""Makes a GGUF file of another's weights in blocks of another type, by llama.cpp's own quantiser.

Goes in: a GGUF file, and a type of blocks without smallest weights. Comes out: the file to compare with openvino-genai on equal
weights: of other types it rounds zero points, and computes something else.

PYTHONPATH=bench target/bench/venv/bin/python -m carafe_bench.requantised MODEL.Q4_1.gguf MODEL.Q4_0.gguf Q4_0
"""

import argparse
import sys
from pathlib import Path

import llama_cpp

TYPES = {"Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0, "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0}


def main() -> int:
    """Write the file that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m carafe_bench.requantised", description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, metavar="SOURCE.gguf")
    parser.add_argument("out", type=Path, metavar="OUT.gguf")
    parser.add_argument("type", choices=TYPES)
    arguments = parser.parse_args()
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype, parameters.allow_requantize = TYPES[arguments.type], True
    return llama_cpp.llama_model_quantize(bytes(arguments.source), bytes(arguments.out), parameters)


if __name__ == "__main__":
    sys.exit(main())
