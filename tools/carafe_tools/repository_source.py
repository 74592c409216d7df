"""What is known of a language model beside its graph, from the files of its repository and from what its weights' reader found.

Goes in: the folder's files, and the weights' sizes. Comes out: a `LanguageModelSource`. Exported graphs and .safetensors lie in
the same kind of folder, so both readers end here.
"""

from dataclasses import dataclass
from pathlib import Path

from carafe_tools.errors import require
from carafe_tools.language_source import LanguageModelSource, Witness
from carafe_tools.repository_files import RepositoryFiles
from carafe_tools.tokenizer_files import open_tokenizer, without_batching


@dataclass(frozen=True)
class WeightFiles:
    """The files that hold a model's weights, and how many weights of how many bits these are."""

    files: list[Path]
    bits: int  # of most weights
    count: int


def repository_source(
    files: RepositoryFiles,
    kind: str,
    weights: WeightFiles,
    context_length: int,
    vocabulary_size: int,
    witnesses: list[Witness],
    tokenizer_path: Path | None,
) -> LanguageModelSource:
    """Return a model's source, refusing a tokenizer that does not belong to its logits."""
    path = files.folder
    tokenizer_json, dropped = without_batching(files.tokenizer_json(tokenizer_path), tokenizer_path or path)
    check_vocabulary(tokenizer_json, f"the tokenizer of `{path}`", vocabulary_size)
    template, notes = files.chat_template()
    special_tokens = files.special_tokens()
    eos_token_ids = files.eos_token_ids(vocabulary_size) or _eos_by_text(tokenizer_json, special_tokens)
    notes += [] if eos_token_ids else [f"`{path}` names no token that ends a text; it ends where its length does"]
    notes += [f"`{key}` of the `tokenizer.json` is dropped: it prepares batches for training" for key in dropped]
    return LanguageModelSource(
        path=path,
        kind=kind,
        files=weights.files,
        context_length=context_length,
        vocabulary_size=vocabulary_size,
        eos_token_ids=eos_token_ids,
        weight_bits=weights.bits,
        num_weights=weights.count,
        tokenizer_json=tokenizer_json,
        chat_template=template,
        special_tokens=special_tokens,
        generation=files.generation(),
        sliding_window=files.sliding_window(),
        licence=files.licence(),
        licence_files=files.licence_files(),
        witnesses=witnesses,
        notes=notes,
    )


def _eos_by_text(tokenizer_json: str, special_tokens: dict[str, str]) -> list[int]:
    token = open_tokenizer(tokenizer_json, "the tokenizer").token_to_id(special_tokens.get("eos_token", ""))
    return [] if token is None else [token]


def check_vocabulary(tokenizer_json: str, origin: str, vocabulary_size: int) -> None:
    """Refuse a tokenizer with ids that the logits do not have; they may have more, which no text becomes."""
    vocabulary = open_tokenizer(tokenizer_json, origin).get_vocab()
    largest = max(vocabulary.values(), default=-1)
    require(largest >= 0, f"{origin} has no tokens")
    require(largest < vocabulary_size, f"{origin} has a token with id {largest}; the logits have ids 0 to {vocabulary_size - 1}")
