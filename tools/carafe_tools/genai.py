"""A source's own runtime, openvino_genai, as a reference: does it continue prompts as Carafe's
graph does?

Goes in: the source, prompts, and the greedy tokens of Carafe's graph in `exact`. Comes out: a part
of the certificate. The runtime is no dependency of these tools: where its Python module cannot be
imported, the certificate says so. It gives tokens and no logits, so of the first token that differs
this graph's logits say how far both candidates are apart: two that are nearly equal may be taken
for one another by any other order of additions. Of some types of a GGUF's weights the runtime
rounds scales and zero points; of these its tokens are only reported.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from carafe_tools.apart import apart
from carafe_tools.certificate import load_graph
from carafe_tools.environment import PROFILES
from carafe_tools.errors import ConversionError
from carafe_tools.language_source import RuntimeSource
from carafe_tools.text_context import compile_paged, logits_in_steps

MODULE = "openvino_genai"
NOT_INSTALLED = f"the Python module `{MODULE}`, the runtime of such sources, is not installed"
# of the largest logit: how far two candidates may be apart that the runtime takes for one another
ROUNDING = 1e-3
GATE = f"where a token differs first, both candidates' logits are at most {ROUNDING:g} x max(1, largest logit) apart"
Tokens = list[list[int]]


def is_installed() -> bool:
    """Say whether the runtime can be imported."""
    return importlib.util.find_spec(MODULE) is not None


def compare_with_genai(folder: Path, source: RuntimeSource, prompts: Tokens, found: Tokens) -> dict[str, Any]:
    """Return how the runtime's greedy tokens of a source agree with those of a folder's graph."""
    version, expected = apart(f"continue prompts by {MODULE}", _continued, source.path, prompts, len(found[0]))
    differences = [
        apart("compare two tokens' logits", first_difference, folder, prompt, ours, theirs)
        for prompt, ours, theirs in zip(prompts, found, expected, strict=True)
        if ours != theirs
    ]
    is_gated = source.rounded is None
    return {
        "version": version,
        "gate": GATE if is_gated else None,
        "rounded": source.rounded,
        "prompts": len(prompts),
        "tokens": len(found[0]),
        "equal_prompts": len(prompts) - len(differences),
        "first_differences": differences,
        "passed": all(difference["gap"] <= difference["limit"] for difference in differences) if is_gated else None,
    }


def _continued(source: Path, prompts: Tokens, count: int) -> tuple[str, Tokens]:
    """Return the runtime's version and the tokens that follow each prompt, in 32-bit floats
    throughout.
    """
    import openvino_genai as genai

    config = genai.GenerationConfig()
    config.max_new_tokens, config.ignore_eos, config.do_sample = count, True, False
    try:
        pipeline = genai.LLMPipeline(str(source), "CPU", ATTENTION_BACKEND="SDPA", **PROFILES["exact"])
        return genai.__version__, list(_continuations(genai, pipeline, config, prompts))
    except RuntimeError as error:
        raise ConversionError(f"{MODULE} cannot run `{source}`: {str(error).strip().splitlines()[-1]}") from error


def _continuations(genai: Any, pipeline: Any, config: Any, prompts: Tokens) -> Iterator[list[int]]:
    for prompt in prompts:
        tokens = ov.Tensor(np.array([prompt], np.int64))
        mask = ov.Tensor(np.ones((1, len(prompt)), np.int64))
        yield list(pipeline.generate(genai.TokenizedInputs(tokens, mask), config).tokens[0])


def first_difference(folder: Path, prompt: list[int], ours: list[int], theirs: list[int]) -> dict[str, Any]:
    """Return where two continuations differ first, and how far the two tokens' logits are apart
    there.
    """
    position = next(position for position, pair in enumerate(zip(ours, theirs, strict=True)) if len({*pair}) == 2)
    tokens = np.array([*prompt, *ours[:position]], np.int32)
    compiled = compile_paged(load_graph(folder), "exact")
    logits = logits_in_steps(compiled, tokens, wanted=np.array([len(tokens) - 1]))[0]
    return {
        "prompt_tokens": prompt,
        "position": position,
        "token": ours[position],
        "genai_token": theirs[position],
        "gap": float(f"{logits[ours[position]] - logits[theirs[position]]:.4g}"),
        "limit": float(f"{ROUNDING * max(1.0, float(np.abs(logits).max())):.4g}"),
    }
