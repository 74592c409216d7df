import json

import pytest

from carafe_bench.contestant import Task
from carafe_bench.conversation import ask_in_process, figures
from carafe_bench.prompts import Words

ANSWER = [7, 8]


@pytest.fixture
def words(tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({"model": {"vocab": {"Ġthe": 1, "Ġcat": 2, "Ġhouse": 6}}}), encoding="utf-8")
    return Words(file)


def test_the_second_turn_is_the_first_with_its_answer_and_new_words_and_the_cold_one_begins_otherwise(words):
    prompts = []

    def complete(prompt, count):
        prompts.append(prompt)
        return [1.0] * count, ANSWER

    turns = ask_in_process(Task("second-turn", 40, 2, options={"added_tokens": 3}), words, complete)
    cold, first, second = prompts
    assert second[:42] == [*first, *ANSWER]
    assert len(second) == len(cold) == 45
    assert cold[:32] != first[:32]
    assert turns["second"]["prompt_tokens"] == 45
    assert len(turns["first"]["tokens"]) == 2


def test_a_turn_counts_from_its_sending_and_what_was_cached_is_told_if_it_is_known():
    turns = {"cold": {"sent": 1.0, "tokens": [3.0, 3.1]}, "second": {"sent": 5.0, "tokens": [5.5, 5.6]}}
    assert figures(turns) == {"second_ttft_ms": 500, "cold_ttft_ms": 2000, "second_to_cold": 0.25}
    turns["second"]["cached_tokens"] = 800
    assert figures(turns)["cached_tokens"] == 800
