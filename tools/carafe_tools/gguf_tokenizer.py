"""Makes the `tokenizer.json` of a GGUF file's vocabulary, which llama.cpp keeps in the file's
metadata.

Goes in: an open file. Comes out: the text that Hugging Face's library, and so the guest, reads.
There are two kinds:

- `gpt2`: byte-level BPE, with its merges. How text is cut before is only named
  (`tokenizer.ggml.pre`); `PRE_TOKENIZERS` says what the names mean, as `llama-vocab.cpp` has them.
  An unknown name is refused: a near miss would read texts wrongly in silence.
- `llama`: SentencePiece's BPE, without merges: it joins the two neighbours whose joint piece has
  the highest score. That is BPE with all pairs that make a piece as merges, in the order of scores.
  What has no piece is spelled in bytes (`<0x0A>`).
"""

import json
from dataclasses import dataclass
from typing import Any

from carafe_tools.errors import require
from carafe_tools.gguf_file import GgufFile

MODEL, PRE = "tokenizer.ggml.model", "tokenizer.ggml.pre"
# `tokenizer.ggml.token_type`; 5 is unused, 6 a byte
NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
UNDERSCORE = "\N{LOWER ONE EIGHTH BLOCK}"  # SentencePiece's space

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORDS_AND_DIGITS = (
    CONTRACTIONS + r"|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class PreTokenizer:
    """How byte-level BPE cuts a text, and what goes with it."""

    patterns: tuple[str, ...]  # each cuts what the one before it left
    adds_bos: bool = False  # unless the file says otherwise
    ignores_merges: bool = False  # a piece that is a token is taken whole
    is_normalised: bool = False  # Unicode's NFC first


LLAMA3 = PreTokenizer((WORDS_AND_DIGITS.format(digits=r"\p{N}{1,3}"),), adds_bos=True, ignores_merges=True)
QWEN2 = PreTokenizer((WORDS_AND_DIGITS.format(digits=r"\p{N}"),), is_normalised=True)
PRE_TOKENIZERS = {
    "default": PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
    "gpt-2": PreTokenizer((GPT2,)),
    "smollm": PreTokenizer((r"\p{N}", GPT2)),
    "starcoder": PreTokenizer((r"\p{N}", GPT2)),
    "llama-bpe": LLAMA3,
    "llama3": LLAMA3,
    "llama-v3": LLAMA3,
    "qwen2": QWEN2,
    "deepseek-r1-qwen": QWEN2,
}
# transformers' names of special tokens, and llama.cpp's of their ids
SPECIAL_IDS = {
    "bos_token": "tokenizer.ggml.bos_token_id",
    "eos_token": "tokenizer.ggml.eos_token_id",
    "unk_token": "tokenizer.ggml.unknown_token_id",
    "sep_token": "tokenizer.ggml.seperator_token_id",  # sic
    "pad_token": "tokenizer.ggml.padding_token_id",
    "cls_token": "tokenizer.ggml.cls_token_id",
    "mask_token": "tokenizer.ggml.mask_token_id",
}
ENDS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id")


class GgufTokenizer:
    """The vocabulary of a file."""

    def __init__(self, file: GgufFile) -> None:
        self.file = file
        self.tokens: list[str] = file.array("tokenizer.ggml.tokens", str)
        self.types: list[int] = file.array("tokenizer.ggml.token_type", int, None) or [NORMAL] * len(self.tokens)
        require(
            len(self.types) == len(self.tokens),
            f"`{file.path}` has {len(self.tokens)} tokens but {len(self.types)} types of tokens",
        )
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        require(len(self.ids) == len(self.tokens), f"`{file.path}` has two tokens of the same text")

    def tokenizer_json(self) -> str:
        """Return the contents of `tokenizer.json`."""
        kind = self.file.text(MODEL)
        makers = {"gpt2": self._byte_level, "llama": self._sentence_piece}
        known = " or ".join(f"`{name}`" for name in makers)
        require(kind in makers, f"`{self.file.path}` has {MODEL} `{kind}`; {known} was expected")
        parts = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": self._added_tokens(), **makers[kind]()}
        return json.dumps(parts, ensure_ascii=False) + "\n"

    def special_tokens(self) -> dict[str, str]:
        """Return the texts of the special tokens that a chat template may name."""
        ids = {name: self._id(key) for name, key in SPECIAL_IDS.items()}
        return {name: self.tokens[token] for name, token in ids.items() if token is not None}

    def eos_token_ids(self) -> list[int]:
        """Return the tokens that end a text or a turn."""
        return list(dict.fromkeys(token for token in map(self._id, ENDS) if token is not None))

    def _id(self, key: str) -> int | None:
        token = self.file.count(key, None)
        require(
            token is None or token < len(self.tokens),
            f"`{self.file.path}` has {key} `{token}`; the tokens have ids from 0 to {len(self.tokens) - 1}",
        )
        return token

    def _added_tokens(self) -> list[dict[str, Any]]:
        special = {CONTROL: True, UNKNOWN: True, USER_DEFINED: False}
        return [
            {
                "id": index,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": special[kind],
            }
            for index, (token, kind) in enumerate(zip(self.tokens, self.types, strict=True))
            if kind in special and token
        ]

    def _byte_level(self) -> dict[str, Any]:
        name = self.file.text(PRE, "default")
        known = ", ".join(f"`{one}`" for one in PRE_TOKENIZERS)
        require(name in PRE_TOKENIZERS, f"`{self.file.path}` cuts text by `{name}` ({PRE}); one of {known} was expected")
        pre = PRE_TOKENIZERS[name]
        merges = [merge.split(" ") for merge in self.file.array("tokenizer.ggml.merges", str)]
        wrong = next((merge for merge in merges if len(merge) != 2 or not {*merge, "".join(merge)} <= self.ids.keys()), None)
        require(
            wrong is None, f"`{self.file.path}` has a merge `{' '.join(wrong or [])}`; two tokens that make a third were expected"
        )
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        return {
            "normalizer": {"type": "NFC"} if pre.is_normalised else None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*map(_split, pre.patterns), byte_level]},
            "post_processor": self._post_processor(pre.adds_bos),
            "decoder": byte_level,
            "model": _bpe(self.ids, merges, None, False, pre.ignores_merges),
        }

    def _sentence_piece(self) -> dict[str, Any]:
        scores = self.file.array("tokenizer.ggml.scores", float)
        require(len(scores) == len(self.tokens), f"`{self.file.path}` has {len(self.tokens)} tokens but {len(scores)} scores")
        has_prefix = self.file.flag("tokenizer.ggml.add_space_prefix", True)
        unknown = self._id(SPECIAL_IDS["unk_token"])
        prepend = [{"type": "Prepend", "prepend": UNDERSCORE}] if has_prefix else []
        strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if has_prefix else []
        to_space = {"type": "Replace", "pattern": {"String": UNDERSCORE}, "content": " "}
        to_piece = {"type": "Replace", "pattern": {"String": " "}, "content": UNDERSCORE}
        return {
            "normalizer": {"type": "Sequence", "normalizers": [*prepend, to_piece]},
            "pre_tokenizer": None,
            "post_processor": self._post_processor(True),
            "decoder": {"type": "Sequence", "decoders": [to_space, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]},
            "model": _bpe(self.ids, self._merges(scores), None if unknown is None else self.tokens[unknown], True, False),
        }

    def _merges(self, scores: list[float]) -> list[list[str]]:
        """Return each pair of pieces that make a piece, best first; of equal scores the longer
        left, then right piece first.
        """
        normal = {token for token, kind in zip(self.tokens, self.types, strict=True) if kind == NORMAL}
        found = []
        for token, score in zip(self.tokens, scores, strict=True):
            if token in normal:
                pairs = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
                found += [(score, left, right) for left, right in pairs if left in normal and right in normal]
        found.sort(key=lambda merge: (-merge[0], -len(merge[1]), -len(merge[2])))
        return [[left, right] for _, left, right in found]

    def _post_processor(self, adds_bos: bool) -> dict[str, Any] | None:
        """Return what puts BOS before a text and EOS behind it, where the file asks for that."""
        adds = {"bos_token": adds_bos, "eos_token": False}
        names = [name for name, default in adds.items() if self.file.flag(f"tokenizer.ggml.add_{name}", default)]
        ids = {name: self._id(SPECIAL_IDS[name]) for name in names}
        missing = next((name for name, token in ids.items() if token is None), None)
        require(missing is None, f"`{self.file.path}` adds a {missing} to each text, but does not say which one")
        if not ids:
            return None
        texts = {name: self.tokens[token] for name, token in ids.items()}

        def template(*sequences: str) -> list[dict[str, Any]]:
            body = [{"Sequence": {"id": name, "type_id": 0}} for name in sequences]
            around = {name: [{"SpecialToken": {"id": text, "type_id": 0}}] for name, text in texts.items()}
            return [*around.get("bos_token", []), *body, *around.get("eos_token", [])]

        special = {texts[name]: {"id": texts[name], "ids": [ids[name]], "tokens": [texts[name]]} for name in names}
        return {"type": "TemplateProcessing", "single": template("A"), "pair": template("A", "B"), "special_tokens": special}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _bpe(
    vocabulary: dict[str, int], merges: list[list[str]], unknown: str | None, falls_back: bool, ignores_merges: bool
) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": falls_back,
        "byte_fallback": falls_back,
        "ignore_merges": ignores_merges,
        "vocab": vocabulary,
        "merges": merges,
    }
