import json

from carafe_bench.arrivals import Load
from carafe_bench.prompts import Words

VOCABULARY = {"Ġthe": 1, "Ġcat": 2, "Ġan": 3, "the": 4, "ĠThe": 5, "Ġhouse": 6}


def test_the_load_is_the_one_of_the_load_generator():
    # bench/load/src/arrivals.rs has the same numbers
    first, second = Load(2, 1.0, (16, 512), (16, 256), 7).draw()
    assert first == (0.0, 209, 20)
    assert second[1:] == (305, 125)


def test_a_prompt_is_the_same_words_as_tokens_and_as_text(tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({"model": {"vocab": VOCABULARY}}), encoding="utf-8")
    words = Words(file)
    texts = {"the": 1, "cat": 2, "house": 6}
    assert [texts[word] for word in words.text(40, 3).split()] == words.prompt(40, 3)
    assert words.prompt(40, 3) != words.prompt(40, 4)
