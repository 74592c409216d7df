"""Runs a .tflite in LiteRT, the runtime that such files are made for.

Goes in: a path. Comes out: an interpreter whose first output is taken as the logits. Used by
`probe` and as the outside reference of a certificate; its kernels quantise activations to 8 bits,
so it differs from the float64 reference visibly.
"""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from carafe_tools.errors import ConversionError

THREADS = 2


class LiteRt:
    """A .tflite loaded into LiteRT."""

    def __init__(self, path: Path, kernels: OpResolverType = OpResolverType.AUTO) -> None:
        try:
            self.interpreter = Interpreter(str(path), num_threads=THREADS, experimental_op_resolver_type=kernels)
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ConversionError(f"LiteRT cannot load `{path}`: {str(error).strip().splitlines()[-1]}") from error

    @property
    def sequence(self) -> int:
        """The number of tokens that the file takes, T."""
        return int(self.interpreter.get_input_details()[0]["shape"][-1])

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """Return the logits (T, V) of exactly T tokens."""
        return self.run(tokens[None].astype(np.int32))[0]

    def run(self, values: np.ndarray) -> np.ndarray:
        """Return the first output for the only input."""
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], values)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])

    def greedy(self, prompt: list[int], count: int, padding: int) -> list[int]:
        """Return the tokens that follow a prompt, as many as fit in T, each found by computing the
        whole sequence again.
        """
        tokens = list(prompt)
        while len(tokens) < min(len(prompt) + count, self.sequence):
            padded = np.full(self.sequence, padding, np.int32)
            padded[: len(tokens)] = tokens
            tokens.append(int(self.logits(padded)[len(tokens) - 1].argmax()))
        return tokens[len(prompt) :]
