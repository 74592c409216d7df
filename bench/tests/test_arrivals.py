import json

from carafe_bench.arrivals import Load, arrivals, earlier
from carafe_bench.contestant import Task
from carafe_bench.prompts import Words

VOCABULARY = {"Ġthe": 1, "Ġcat": 2, "Ġan": 3, "the": 4, "ĠThe": 5, "Ġhouse": 6}


def _words(folder):
    file = folder / "tokenizer.json"
    file.write_text(json.dumps({"model": {"vocab": VOCABULARY}}), encoding="utf-8")
    return Words(file)


def test_the_load_is_the_one_of_the_load_generator():
    # bench/load/src/arrivals.rs has the same numbers
    first, second = Load(2, 1.0, (16, 512), (16, 256), 7).draw()
    assert first == (0.0, 209, 20)
    assert second[1:] == (305, 125)


def test_a_prompt_is_the_same_words_as_tokens_and_as_text(tmp_path):
    words = _words(tmp_path)
    texts = {"the": 1, "cat": 2, "house": 6}
    assert [texts[word] for word in words.text(40, 3).split()] == words.prompt(40, 3)
    assert words.prompt(40, 3) != words.prompt(40, 4)


def test_a_prompt_is_the_one_of_the_load_generator(tmp_path):
    # bench/load/src/words.rs has the same numbers
    assert _words(tmp_path).prompt(8, 3) == [2, 6, 6, 2, 6, 1, 2, 6]


def test_a_longer_prompt_does_not_begin_with_a_shorter_one(tmp_path):
    words = _words(tmp_path)
    assert words.prompt(128, 3)[:64] != words.prompt(64, 3)


def test_prompts_that_share_tokens_begin_alike_and_end_otherwise(tmp_path):
    task, words = Task("generate", 32, 64, 3, options={"shared_tokens": 50}), _words(tmp_path)
    prompts = [arrival.prompt for arrival in arrivals(task, words)] + [earlier(task, words)]
    assert {tuple(prompt[:50]) for prompt in prompts} == {tuple(words.prompt(50))}
    assert len({tuple(prompt[50:]) for prompt in prompts}) == 4
    assert {len(prompt) for prompt in prompts} == {82}


def test_nothing_is_sent_earlier_if_prompts_share_nothing(tmp_path):
    assert earlier(Task("generate", 32, 64, 3), _words(tmp_path)) is None
