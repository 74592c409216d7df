"""What lies beside the weights in a model repository, as transformers and optimum-intel write it,
read as data alone.

Goes in: the folder. Comes out: context length, EOS ids, chat template, special tokens, defaults of
sampling, each checked for its type, since the files are a stranger's. Code that a repository names
(`auto_map`) or holds is never run. Under which licence it is given, `carafe` finds out, and says it
by an option.
"""

import math
from pathlib import Path
from typing import Any

from carafe_tools.errors import require
from carafe_tools.json_file import parse_json_object, read_text
from carafe_tools.language_source import served_context

CONFIG, GENERATION_CONFIG = "config.json", "generation_config.json"
TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
CHAT_TEMPLATE, CHAT_TEMPLATE_JSON = "chat_template.jinja", "chat_template.json"
MAX_JSON, MAX_TOKENIZER, MAX_TEXT = 16 << 20, 256 << 20, 4 << 20  # bytes of one file
CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx")
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def generation_defaults(config: dict[str, Any], origin: Path) -> dict[str, float | int]:
    """Return what the contents of a `generation_config.json` say of sampling; none where the model
    is to be read greedily.
    """
    if config.get("do_sample") is False:
        return {}
    found = {}
    for name, (lowest, highest) in GENERATION_RANGES.items():
        value = config.get(name)
        if value is None or (name == "top_k" and value == 0):  # transformers' "no such limit"
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        is_number = is_number and (name != "top_k" or isinstance(value, int))
        require(
            is_number and lowest <= value <= highest,
            f"`{origin}` has {name} `{value}`; {lowest:g} to {highest:g} was expected",
        )
        found[name] = value if name == "top_k" else float(value)
    return found


class RepositoryFiles:
    """The files beside a repository's weights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = self._object(CONFIG)
        self._generation = self._object(GENERATION_CONFIG)
        self._tokenizer = self._object(TOKENIZER_CONFIG)

    def setting(self, name: str) -> Any:
        """Return a value of `config.json`, or of the text part in it where a model has several
        parts.
        """
        part = self.config.get("text_config")
        return self.config.get(name, part.get(name) if isinstance(part, dict) else None)

    def context_length(self, asked: int | None) -> int:
        """Return the context that a person asks for, at most the model's own, or the model's
        own.
        """
        found = next((name for name in CONTEXT_KEYS if self.setting(name) is not None), None)
        if found is None:
            known = ", ".join(f"`{name}`" for name in CONTEXT_KEYS)
            require(
                asked is not None,
                f"`{self._path(CONFIG)}` has none of {known}; name the context's tokens by `--context-length N`",
            )
            return int(asked or 0)
        own = self._count(CONFIG, found, self.setting(found))
        return served_context(own, asked, f"`{self._path(CONFIG)}` has {found}")

    def sliding_window(self) -> int | None:
        """Return the tokens that sliding attention reaches back, where a model has some."""
        window = self.setting("sliding_window")
        if window is None or self.setting("use_sliding_window") is False:
            return None
        return self._count(CONFIG, "sliding_window", window)

    def eos_token_ids(self, vocabulary_size: int) -> list[int]:
        """Return the tokens that end a text: those of `generation_config.json`, else those of
        `config.json`.
        """
        name, value = GENERATION_CONFIG, self._generation.get("eos_token_id")
        if value is None:
            name, value = CONFIG, self.setting("eos_token_id")
        ids = value if isinstance(value, list) else [] if value is None else [value]
        for token in ids:
            is_token = isinstance(token, int) and not isinstance(token, bool) and 0 <= token < vocabulary_size
            require(is_token, f"`{self._path(name)}` has eos_token_id `{token}`; 0 to {vocabulary_size - 1} was expected")
        return list(dict.fromkeys(ids))

    def generation(self) -> dict[str, float | int]:
        """Return the defaults of sampling; none where the model is to be read greedily."""
        return generation_defaults(self._generation, self._path(GENERATION_CONFIG))

    def special_tokens(self) -> dict[str, str]:
        """Return the texts of the special tokens that a chat template may name."""
        mapped = self._object(SPECIAL_TOKENS_MAP)
        found = {}
        for name in SPECIAL_TOKENS:
            origin, value = (TOKENIZER_CONFIG, self._tokenizer.get(name))
            if value is None:
                origin, value = SPECIAL_TOKENS_MAP, mapped.get(name)
            value = value.get("content") if isinstance(value, dict) else value
            require(
                value is None or isinstance(value, str),
                f"`{self._path(origin)}` has {name} `{value}`; a text or an object with its `content` was expected",
            )
            if value is not None:
                found[name] = value
        return found

    def chat_template(self) -> tuple[str | None, list[str]]:
        """Return the Jinja2 template of a conversation and what to tell of it.

        As in transformers a file of its own stands above `tokenizer_config.json`; of several named
        templates `default` is taken.
        """
        if self._path(CHAT_TEMPLATE).is_file():
            return self.text(CHAT_TEMPLATE, MAX_TEXT), []
        name, value = CHAT_TEMPLATE_JSON, self._object(CHAT_TEMPLATE_JSON).get("chat_template")
        if value is None:
            name, value = TOKENIZER_CONFIG, self._tokenizer.get("chat_template")
        if isinstance(value, list):
            return self._default_template(value, name)
        require(
            value is None or isinstance(value, str),
            f"`{self._path(name)}` has a chat_template of type {type(value).__name__}; a text or named ones were expected",
        )
        return value, []

    def tokenizer_json(self, given: Path | None) -> str:
        """Return the contents of `tokenizer.json`, the folder's or another one that a person
        gives.
        """
        if given is not None:
            return read_text(given)
        require(
            self._path(TOKENIZER).is_file(),
            f"`{self.folder}` has no `{TOKENIZER}`; put it there, or name one by `--tokenizer FILE`",
        )
        return self.text(TOKENIZER, MAX_TOKENIZER)

    def text(self, name: str, limit: int) -> str:
        """Return the text of a file of at most `limit` bytes."""
        self._check_size(self._path(name), limit)
        return read_text(self._path(name))

    def _default_template(self, templates: list[Any], name: str) -> tuple[str | None, list[str]]:
        named = {}
        for template in templates:
            is_named = isinstance(template, dict) and {str} == {type(template.get(key)) for key in ("name", "template")}
            require(is_named, f"`{self._path(name)}` has a chat_template without `name` and `template`, which are texts")
            named[template["name"]] = template["template"]
        others = ", ".join(f"`{key}`" for key in named if key != "default")
        note = [f"of the chat templates `default` is taken, {others} not"] if others and "default" in named else []
        if "default" not in named:
            note = [f"none of the chat templates {others} is `default`, so none is taken"] if named else []
        return named.get("default"), note

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _object(self, name: str) -> dict[str, Any]:
        """Return the object in a file, an empty one where there is no file."""
        if not self._path(name).is_file():
            return {}
        return parse_json_object(self.text(name, MAX_JSON), f"`{self._path(name)}`")

    def _count(self, file: str, name: str, value: Any) -> int:
        is_count = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31
        require(is_count, f"`{self._path(file)}` has {name} `{value}`; a number from 1 to {(1 << 31) - 1} was expected")
        return value

    def _check_size(self, path: Path, limit: int) -> None:
        size = path.stat().st_size
        require(size <= limit, f"`{path}` has {size} bytes; at most {limit} were expected")


# what a request may ask for, too; the manifest has the same ranges
GENERATION_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0.0, 2.0),
    "top_k": (1, (1 << 31) - 1),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 0.999999),
    "repetition_penalty": (1e-6, 1e6),
}
