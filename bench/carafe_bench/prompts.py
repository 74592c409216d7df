"""Prompts of a known number of tokens: the same for every contestant, as token ids and as text.

A prompt is a row of words each of which is one token (` the`, ` house`), so that its text is cut into the same tokens by
every tokenizer of GPT-2's vocabulary. The words are chosen by an arithmetic rule: the same prompt for the same length and seed.
"""

import json
import re
from pathlib import Path

WORD = re.compile(r"Ġ[a-z]{3,}")  # Ġ is how a byte-level vocabulary writes a space


class Words:
    """The words of a vocabulary that are one token each."""

    def __init__(self, tokenizer_json: Path) -> None:
        vocabulary = json.loads(tokenizer_json.read_text(encoding="utf-8"))["model"]["vocab"]
        words = sorted((token, text[1:]) for text, token in vocabulary.items() if WORD.fullmatch(text))
        self.tokens = [token for token, _ in words]
        self.texts = [text for _, text in words]

    def prompt(self, length: int, seed: int = 0) -> list[int]:
        """Return a prompt of so many tokens; those of different lengths differ from their first tokens on."""
        return [self.tokens[index] for index in self._indices(length, seed)]

    def text(self, length: int, seed: int = 0) -> str:
        """Return the same prompt as text; every word has a space before it."""
        return "".join(f" {self.texts[index]}" for index in self._indices(length, seed))

    def _indices(self, length: int, seed: int) -> list[int]:
        # a multiplicative generator: words repeat far too seldom for a prompt's own n-grams to predict it
        # the length counts too, so that no prefix cache finds a short prompt in a long one
        state, indices = (2 * (seed + (length << 32)) + 12345) % 2**64, []
        for _ in range(length):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            indices.append((state >> 33) % len(self.tokens))
        return indices
