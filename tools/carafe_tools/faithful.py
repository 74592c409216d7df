"""The faithful graph: a .tflite as OpenVINO's own frontend reads it, only narrowed to 32 bits.

Goes in: the .tflite. Comes out: a stateless `ov.Model` from ids [1,T] to logits [1,T,V], made
without any of this package's reading of weights and roles: what the stateful graph is checked
against. It is slow to serve and is not bundled.
"""

from pathlib import Path

import numpy as np
import openvino as ov

from carafe_tools.environment import read_model
from carafe_tools.errors import require
from carafe_tools.narrow import narrow, remove_identity_fake_quantizes


def read_faithful(path: Path) -> ov.Model:
    """Return OpenVINO's reading of a GPT-2 .tflite, no tensor wider than 32 bits, its first output
    being the logits.
    """
    model = read_model(path)
    _, kept = remove_identity_fake_quantizes(model)
    require(kept == 0, f"`{path}` quantises {kept} activations as OpenVINO reads it; 8-bit weights alone were expected")
    for present in model.get_results()[1:]:
        model.remove_result(present)
    narrow(model)
    return model


def faithful_logits(compiled: ov.CompiledModel, tokens: np.ndarray) -> np.ndarray:
    """Return the logits (T, V) of exactly as many tokens as the graph takes."""
    return compiled.create_infer_request().infer([tokens[None].astype(np.int32)])[0][0].copy()
