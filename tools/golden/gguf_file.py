"""Write the golden file of `carafe-gguf`'s tests: every type of metadata, and tensors of several
types.

pip install gguf==0.19.0
python tools/golden/gguf_file.py crates/carafe-gguf/tests/golden/types.gguf
"""

import sys

import gguf
import numpy as np


def main() -> None:
    """Write the file that the command line names."""
    writer = gguf.GGUFWriter(sys.argv[1], "llama")
    writer.add_custom_alignment(64)
    for name, value in {"uint8": 3, "int8": -3, "uint16": 300, "int16": -300, "uint32": 70_000, "int32": -70_000}.items():
        getattr(writer, f"add_{name}")(f"a.{name}", value)
    writer.add_uint64("a.uint64", 5_000_000_000)
    writer.add_key_value("a.int64", -5_000_000_000, gguf.GGUFValueType.INT64)
    writer.add_float32("a.float32", 0.1)
    writer.add_float64("a.float64", 0.1)
    writer.add_bool("a.bool", True)
    writer.add_string("a.text", "tschüß 👋")
    writer.add_array("some.numbers", [1, -2, 3])
    writer.add_array("some.floats", [0.5, -1.0])
    writer.add_array("some.bools", [True, False])
    writer.add_array("some.texts", ["a", "", "ß"])
    writer.add_tensor("whole.weight", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("half.weight", np.arange(5, dtype=np.float16))
    rows = np.random.default_rng(7).normal(size=(2, 64)).astype(np.float32)
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor("eight.weight", gguf.quants.quantize(rows, kind), raw_dtype=kind)
    rows = np.random.default_rng(8).normal(size=(3, 1, 32)).astype(np.float32)
    kind = gguf.GGMLQuantizationType.Q4_1
    writer.add_tensor("four.weight", gguf.quants.quantize(rows, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
