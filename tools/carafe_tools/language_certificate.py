"""Makes the certificate of a language model of any architecture.

Goes in: a folder with the saved graph, and samples of a length. Comes out: the contents of
`certificate.json`. In `exact` the graph with its KV cache in pages is compared with the stateful
one of the file, with itself a token a step, and with those who compute the source by other means;
the other profiles are compared with `exact`. The quick form takes short prompts, the full form long
ones, and more of them; the certificate says which it was. Every computation runs in a process of
its own, and of long prompts only some positions' logits are compared, so memory holds one compiled
graph and a few rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from carafe_tools import genai, text_run
from carafe_tools.apart import apart
from carafe_tools.certificate import describe
from carafe_tools.comparison import Comparison, compare, gated, reported
from carafe_tools.environment import with_activations
from carafe_tools.errors import ConversionError, require
from carafe_tools.language_source import References
from carafe_tools.progress import Progress
from carafe_tools.text_run import Determinism, Logits, Run, Samples

STEPS = 6  # that `certify_language_model` tells of
QUICK_TOKENS, FULL_TOKENS = 256, 1000
ROOM = 64  # of the context, left free of the prompt
QUICK_STEPS = 64  # of the quick form's last tokens, computed a token a step
PAST_WINDOW = 64  # tokens that a quick prompt goes beyond a sliding window
FULL_WINDOWS = 1.5  # sliding windows that a full prompt is long
LOGITS_BYTES = 32 << 20  # of one sequence that are compared
OTHERS = ("fast", "latency")


@dataclass(frozen=True, eq=False)
class LanguageEvidence:
    """What a certificate is made from."""

    folder: Path  # of the saved graph
    name: str
    context_length: int
    vocabulary_size: int
    sliding_window: int | None
    tokenizer: Tokenizer
    source_bytes: int
    rounded_to: str | None  # the form that the source's weights were rounded to, if they were
    activations: str | None  # the manifest's, which hold in every profile then
    references: References


def certify_language_model(evidence: LanguageEvidence, full: bool, progress: Progress) -> dict[str, Any]:
    """Return the certificate of a language model, in its full form or the quick one."""
    samples = _samples(evidence, full)
    form = f"{'full' if full else 'quick'} form, {len(samples.sequences[0])} tokens"
    progress.step(f"certify: profile `exact`, {form}")
    exact, determinism = _profile(evidence, "exact", samples)
    logits = {**_against_references(evidence, samples, exact, progress), "exact_step_by_step": gated(exact.stepwise)}
    by_genai, lacking = _against_genai(evidence, samples, exact)
    for name, reason in lacking.items():
        progress.note(f"not compared with `{name}`: {reason}")
    properties, found = {"exact": exact.properties}, {"exact": determinism}
    for profile in OTHERS:
        progress.step(f"certify: profile `{profile}`")
        run, found[profile] = _profile(evidence, profile, samples)
        logits[f"{profile}_against_exact"] = reported(compare(run.whole, exact.whole))
        properties[profile] = run.properties
        del run
    progress.step("certify: memory")
    described = text_run.describe_determinism(found, samples)
    passed = all(entry["passed"] is not False for entry in (*logits.values(), *by_genai.values()))
    return {
        **describe(evidence.folder, evidence.name, text_run.TASK, evidence.source_bytes),
        "form": _form(samples, evidence, full),
        "rounded_to": evidence.rounded_to,
        "profiles": properties,
        "logits": logits,
        **by_genai,
        "not_compared": lacking,
        "greedy": text_run.describe_greedy(exact, samples.prompts, "exact", evidence.tokenizer),
        "determinism": described,
        "passed": passed and text_run.is_deterministic(described),
    }


def _against_references(
    evidence: LanguageEvidence, samples: Samples, exact: Run, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Compare `exact` with the stateful graph and with the source; memory holds the logits of one
    of them at a time.
    """

    def against(what: str, function: Callable[..., Logits], *arguments: Any) -> Comparison:
        return compare(exact.whole, apart(what, function, *arguments))

    progress.step("certify: the stateful graph of the file")
    stateful = gated(against("run the stateful graph", text_run.run_stateful, evidence.folder, samples))
    progress.step("certify: the source as others compute it")
    by_name = {}
    for reference in evidence.references.logits:
        found = against(f"compute the source as `{reference.name}`", reference.compute, samples)
        by_name[f"exact_against_{reference.name}"] = gated(found) if reference.is_gated else reported(found)
    return {"exact_against_stateful": stateful, **by_name}


def _profile(evidence: LanguageEvidence, profile: str, samples: Samples) -> tuple[Run, Determinism]:
    """Run one profile in two processes, each of which compiles the graph."""
    served = with_activations(profile, evidence.activations)
    run = apart(f"run `{profile}`", text_run.run_profile, evidence.folder, served, samples)
    again = apart(f"run `{profile}` again", text_run.run_reloaded, evidence.folder, served, samples)
    return run, text_run.compare_reloaded(run, again)


def prompt_tokens(context_length: int, sliding_window: int | None, full: bool) -> int:
    """Return the length of the sequences to compare: past any sliding window, but for what the
    context must keep free.
    """
    window = sliding_window or 0
    wanted = max(FULL_TOKENS, int(FULL_WINDOWS * window)) if full else max(QUICK_TOKENS, window + PAST_WINDOW if window else 0)
    return min(max(context_length - ROOM, context_length // 2), wanted)


def _samples(evidence: LanguageEvidence, full: bool) -> Samples:
    length = prompt_tokens(evidence.context_length, evidence.sliding_window, full)
    prompts = text_run.encode_prompts(evidence.tokenizer, evidence.context_length)
    require(length >= text_run.GREEDY_TOKENS, f"a context of {evidence.context_length} tokens is too short to certify")
    texts = 2 if full else 1
    sequences = text_run.sample_sequences(evidence.tokenizer, evidence.vocabulary_size, length, texts)
    wanted = _wanted(length, evidence.vocabulary_size)
    if full:
        return Samples(sequences, prompts, stepwise=len(sequences), wanted=wanted)
    return Samples(sequences, prompts, stepwise=1, single_steps=QUICK_STEPS, wanted=wanted, repeats=1, reloads=1)


def _wanted(length: int, vocabulary_size: int) -> np.ndarray:
    """Return the positions whose logits are compared: all, or as many as memory allows, evenly, the
    last one among them.
    """
    count = max(1, min(length, LOGITS_BYTES // (4 * vocabulary_size)))
    return np.unique(np.linspace(length - 1, 0, count).round().astype(np.int32))


def _against_genai(evidence: LanguageEvidence, samples: Samples, exact: Run) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the part of the certificate about the source's own runtime, and all that is not
    compared.
    """
    source, lacking = evidence.references.genai, evidence.references.lacking
    if source is None:
        return {}, lacking
    if not genai.is_installed():
        return {}, {**lacking, "genai": genai.NOT_INSTALLED}
    try:
        found = genai.compare_with_genai(evidence.folder, source, samples.prompts, exact.greedy)
    except ConversionError as error:  # it does not know every family, nor every type of weights
        return {}, {**lacking, "genai": str(error)}
    return {"genai": found}, lacking


def _form(samples: Samples, evidence: LanguageEvidence, full: bool) -> dict[str, Any]:
    return {
        "name": "full" if full else "quick",
        "sequences": len(samples.sequences),
        "tokens": len(samples.sequences[0]),
        "positions": len(samples.wanted) if samples.wanted is not None else len(samples.sequences[0]),
        "sliding_window": evidence.sliding_window,
    }
