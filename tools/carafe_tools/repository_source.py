"""What is known of a language model beside its graph, from the files of its repository and from
what its weights' reader found.

Goes in: the folder's files, and what was found of the weights. Comes out: a `LanguageModelSource`.
Exported graphs and .safetensors lie in the same kind of folder, so both readers end here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import openvino as ov

from carafe_tools.errors import require
from carafe_tools.language_source import LanguageModelSource, References
from carafe_tools.repository_files import RepositoryFiles
from carafe_tools.tokenizer_files import TokenizerFile, open_tokenizer


@dataclass(frozen=True)
class WeightFiles:
    """The files that hold a model's weights, and what was found in them."""

    kind: str  # of source, for people
    files: list[Path]
    bits: int  # of most weights
    count: int
    vocabulary_size: int  # the width of the logits
    graph: Callable[[], ov.Model]
    references: References
    rounded_to: str | None = None


def repository_source(
    files: RepositoryFiles, weights: WeightFiles, context_length: int, tokenizer_path: Path | None
) -> LanguageModelSource:
    """Return a model's source, refusing a tokenizer that does not belong to its logits."""
    path = files.folder
    file = open_tokenizer(files.tokenizer_json(tokenizer_path), f"`{tokenizer_path or path}`")
    check_vocabulary(file, f"the tokenizer of `{path}`", weights.vocabulary_size)
    template, notes = files.chat_template()
    special_tokens, window = files.special_tokens(), files.sliding_window()
    notes += [f"`{key}` of the `tokenizer.json` is dropped: it prepares batches for training" for key in file.dropped]
    return LanguageModelSource(
        path=path,
        graph=weights.graph,
        kind=weights.kind,
        files=weights.files,
        context_length=context_length,
        vocabulary_size=weights.vocabulary_size,
        eos_token_ids=files.eos_token_ids(weights.vocabulary_size) or _eos_by_text(file, special_tokens),
        weight_bits=weights.bits,
        num_weights=weights.count,
        tokenizer_file=file,
        chat_template=template,
        special_tokens=special_tokens,
        generation=files.generation(),
        sliding_window=window if window is not None and window < context_length else None,
        references=weights.references,
        rounded_to=weights.rounded_to,
        notes=notes,
    )


def _eos_by_text(file: TokenizerFile, special_tokens: dict[str, str]) -> list[int]:
    token = file.vocabulary.get(special_tokens.get("eos_token", ""))
    return [] if token is None else [token]


def check_vocabulary(file: TokenizerFile, origin: str, vocabulary_size: int) -> None:
    """Refuse a tokenizer with ids that the logits do not have; they may have more, which no text
    becomes.
    """
    largest = max(file.vocabulary.values(), default=-1)
    require(largest >= 0, f"{origin} has no tokens")
    require(largest < vocabulary_size, f"{origin} has a token with id {largest}; the logits have ids 0 to {vocabulary_size - 1}")
