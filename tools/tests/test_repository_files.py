"""What lies beside a repository's weights is read as transformers reads it, and refused by name
where it is of a wrong type.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from carafe_tools.errors import ConversionError
from carafe_tools.repository_files import MAX_JSON, RepositoryFiles


def repository(folder: Path, **files: Any) -> RepositoryFiles:
    """Write JSON files, `config` into `config.json` and so on, and return what reads them."""
    for name, contents in files.items():
        (folder / f"{name}.json").write_text(json.dumps(contents), encoding="utf-8")
    return RepositoryFiles(folder)


@pytest.mark.parametrize("key", ["max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"])
def test_the_context_is_found_under_the_name_that_a_family_gives_it(key: str, tmp_path: Path) -> None:
    assert repository(tmp_path, config={key: 2048}).context_length(None) == 2048


def test_a_smaller_context_may_be_asked_for_and_a_larger_one_not(tmp_path: Path) -> None:
    files = repository(tmp_path, config={"n_positions": 1024})
    assert files.context_length(512) == 512
    with pytest.raises(ConversionError, match=r"a context of 2048 tokens was asked for; .* has n_positions 1024, at most"):
        files.context_length(2048)


def test_a_missing_context_is_refused_with_the_option_that_gives_one(tmp_path: Path) -> None:
    files = repository(tmp_path, config={"model_type": "bloom"})
    with pytest.raises(ConversionError, match="name the context's tokens by `--context-length N`"):
        files.context_length(None)
    assert files.context_length(512) == 512


def test_the_text_part_of_a_model_with_several_parts_is_read(tmp_path: Path) -> None:
    config = {"text_config": {"max_position_embeddings": 4096, "sliding_window": 512}}
    files = repository(tmp_path, config=config)
    assert (files.context_length(None), files.sliding_window()) == (4096, 512)


def test_a_sliding_window_that_is_switched_off_is_none(tmp_path: Path) -> None:
    assert repository(tmp_path, config={"sliding_window": 4096, "use_sliding_window": False}).sliding_window() is None


def test_eos_ids_are_those_of_the_generation_config_before_those_of_the_config(tmp_path: Path) -> None:
    files = repository(tmp_path, config={"eos_token_id": 2}, generation_config={"eos_token_id": [7, 9, 7]})
    assert files.eos_token_ids(16) == [7, 9]
    assert repository(tmp_path, generation_config={}).eos_token_ids(16) == [2]


@pytest.mark.parametrize(
    ("generation", "expected"),
    [
        ({"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95}, {"temperature": 0.6, "top_k": 20, "top_p": 0.95}),
        ({"do_sample": False, "temperature": 0.6}, {}),
        ({"_from_model_config": True, "eos_token_id": 2}, {}),
        ({"top_k": 0, "min_p": 0.05, "repetition_penalty": 1}, {"min_p": 0.05, "repetition_penalty": 1.0}),
    ],
)
def test_defaults_of_sampling_are_those_that_the_generation_config_has(
    generation: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    assert repository(tmp_path, generation_config=generation).generation() == expected


def test_a_special_token_is_a_text_or_an_object_and_the_tokenizers_own_file_wins(tmp_path: Path) -> None:
    tokenizer = {"bos_token": {"content": "<s>", "special": True}, "eos_token": "</s>", "pad_token": None}
    mapped = {"eos_token": "<other>", "pad_token": {"content": "<pad>"}, "additional_special_tokens": ["<x>"]}
    files = repository(tmp_path, tokenizer_config=tokenizer, special_tokens_map=mapped)
    assert files.special_tokens() == {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}


def test_a_chat_template_in_a_file_of_its_own_stands_above_the_others(tmp_path: Path) -> None:
    files = repository(tmp_path, tokenizer_config={"chat_template": "in the configuration"})
    assert files.chat_template() == ("in the configuration", [])
    files = repository(tmp_path, chat_template={"chat_template": "in JSON"})
    assert files.chat_template() == ("in JSON", [])
    (tmp_path / "chat_template.jinja").write_text("in a file\n", encoding="utf-8")
    assert files.chat_template() == ("in a file\n", [])


def test_of_several_chat_templates_the_default_is_taken_and_the_others_are_named(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "chat"}]
    template, notes = repository(tmp_path, tokenizer_config={"chat_template": named}).chat_template()
    assert template == "chat"
    assert notes == ["of the chat templates `default` is taken, `tool_use` not"]
    template, notes = repository(tmp_path, tokenizer_config={"chat_template": named[:1]}).chat_template()
    assert template is None
    assert notes == ["none of the chat templates `tool_use` is `default`, so none is taken"]


def test_a_model_without_chat_template_has_none(tmp_path: Path) -> None:
    assert repository(tmp_path, tokenizer_config={}).chat_template() == (None, [])


WRONG = [
    ("config", {"max_position_embeddings": "many"}, "has max_position_embeddings `many`"),
    ("config", {"max_position_embeddings": True}, "has max_position_embeddings `True`"),
    ("config", {"n_positions": 8, "sliding_window": -1}, "has sliding_window `-1`"),
    ("generation_config", {"eos_token_id": 99}, "has eos_token_id `99`; 0 to 15 was expected"),
    ("generation_config", {"eos_token_id": ["</s>"]}, "has eos_token_id `</s>`"),
    ("generation_config", {"temperature": 2.5}, "has temperature `2.5`; 0 to 2 was expected"),
    ("generation_config", {"top_k": 1.5}, "has top_k `1.5`"),
    ("tokenizer_config", {"bos_token": 1}, "has bos_token `1`; a text or an object with its `content` was expected"),
    ("tokenizer_config", {"chat_template": {}}, "has a chat_template of type dict"),
    ("tokenizer_config", {"chat_template": ["chat"]}, "has a chat_template without `name` and `template`"),
]


@pytest.mark.parametrize(("name", "contents", "sentence"), WRONG)
def test_a_value_of_a_wrong_type_is_refused_by_file_and_key(
    name: str, contents: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    files = repository(tmp_path, **{"config": {"n_positions": 8}, name: contents})
    with pytest.raises(ConversionError) as refusal:
        read_everything(files)
    assert sentence in str(refusal.value)
    assert str(tmp_path / f"{name}.json") in str(refusal.value)


def read_everything(files: RepositoryFiles) -> None:
    files.context_length(None)
    files.sliding_window()
    files.eos_token_ids(16)
    files.generation()
    files.special_tokens()
    files.chat_template()


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(MAX_JSON + 1)
    with pytest.raises(ConversionError, match=f"has {MAX_JSON + 1} bytes; at most {MAX_JSON} were expected"):
        RepositoryFiles(tmp_path)
