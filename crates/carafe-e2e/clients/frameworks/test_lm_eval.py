"""lm-evaluation-harness with `local-completions`, on tasks and a tokenizer that the test makes: nothing is fetched."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving import ROOT

ENDS_WITHIN = 1200
#: What a token's log-probability may differ by between a request alone and one in a batch
#: (docs/precision.md).
TOLERANCE = {"exact": 1e-4, "fast": 2e-1}
LONGEST_ENDING = 16

CHOICE = """
task: tales_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{start}}}}"
doc_to_choice: "{{{{endings}}}}"
doc_to_target: "{{{{right}}}}"
metric_list: [{{metric: acc}}]
"""
CONTINUATION = """
task: tales_continuation
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{start}}}}"
doc_to_target: "{{{{endings[right]}}}}"
generation_kwargs: {{until: ["\\n\\n"], max_gen_toks: 8}}
metric_list: [{{metric: exact_match}}]
"""
PERPLEXITY = """
task: tales_perplexity
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{start}}}}{{{{endings[right]}}}}"
metric_list: [{{metric: word_perplexity}}]
"""
STORIES = [
    ("Once upon a time", [" there was a king.", " quickly the of.", " a"]),
    ("The king said", [" to his daughter, who was very beautiful,", " seven", " that he would go."]),
    ("The fox", [" went", " purple mountains ate them all", " said to the wolf"]),
    ("In the middle of the night the old woman rose and", [" went into the forest.", " sky table", " looked"]),
]


@pytest.fixture
def evaluate(tmp_path, environment):
    """Runs `lm_eval` against a server; the results by task, and the samples."""
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    shutil.copy(ROOT / "models/tales/tokenizer.json", tokenizer)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "model_max_length": 256}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(settings))
    data = tmp_path / "stories.jsonl"
    data.write_text("".join(json.dumps({"start": start, "endings": endings, "right": 0}) + "\n" for start, endings in STORIES))
    tasks = {"choice": CHOICE, "continuation": CONTINUATION, "perplexity": PERPLEXITY}
    for name, text in tasks.items():
        (tmp_path / f"{name}.yaml").write_text(text.format(data=data))

    def evaluate(server, *names: str, batch_size: int, num_concurrent: int = 1) -> dict[str, list]:
        output = tmp_path / "results" / "-".join(map(str, [*names, batch_size, num_concurrent]))
        model = {"model": "tales", "base_url": f"{server.url}/v1/completions", "tokenizer": tokenizer, "max_length": 256}
        given = ",".join(f"{name}={value}" for name, value in (model | {"num_concurrent": num_concurrent}).items())
        words = ["--model", "local-completions", "--batch_size", batch_size, "--model_args", given]
        words += ["--include_path", tmp_path, "--output_path", output, "--log_samples"]
        tasks = ",".join(f"tales_{name}" for name in names)
        ran = subprocess.run(
            [sys.executable, "-m", "lm_eval", *map(str, words), "--tasks", tasks],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return {name: samples(output, name) for name in names}

    return evaluate


def samples(output: Path, name: str) -> list:
    """The answers to a task's documents, in the documents' order."""
    [file] = output.rglob(f"samples_tales_{name}_*.jsonl")
    entries = sorted(map(json.loads, file.read_text().splitlines()), key=lambda entry: entry["doc_id"])
    return [entry["filtered_resps"] for entry in entries]


@pytest.mark.parametrize("profile", ["exact", "fast"])
def test_log_likelihoods_are_those_of_a_request_alone_in_any_batch(start, evaluate, profile):
    server = start("--model", "tales", "--profile", profile)
    alone = likelihoods(evaluate(server, "choice", batch_size=1)["choice"])
    assert len(alone) == 12
    batched = likelihoods(evaluate(server, "choice", batch_size=4, num_concurrent=3)["choice"])
    assert batched == pytest.approx(alone, abs=LONGEST_ENDING * TOLERANCE[profile])


def likelihoods(answers: list) -> list[float]:
    return [float(likelihood) for document in answers for likelihood, _ in document]


def test_texts_are_continued_and_their_perplexity_is_measured(server, evaluate):
    answers = evaluate(server, "continuation", "perplexity", batch_size=2)
    assert [len(answers[name]) for name in ("continuation", "perplexity")] == [4, 4]
    assert all(text != "" for [text] in answers["continuation"])
