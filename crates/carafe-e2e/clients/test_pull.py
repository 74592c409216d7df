"""`carafe models pull` against a hub on loopback: what it fetches, what it resumes, and what it refuses."""

import json
import re
import subprocess

import pytest
from conftest import BINARY
from hub import COMMIT, Hub
from pulling import CONVERTS_NOTHING, ENDS_WITHIN, Puller

pytest_plugins = ["pulling"]


def test_a_repository_becomes_a_certified_model_that_generates(hub: Hub, puller: Puller) -> None:
    assert puller.pull(hub.repository)["path"] == str(puller.models / "tiny")
    assert COMMIT in (puller.models / "tiny/model.toml").read_text()
    words = ["generate", "--model", "tiny", "--models", str(puller.models), "--prompt", "The fox", "--max-tokens", "3", "--json"]
    generated = subprocess.run([BINARY, *words], capture_output=True, check=True, timeout=ENDS_WITHIN)
    assert json.loads(generated.stdout)["usage"]["completion_tokens"] == 3
    fetched = len(hub.ranges)
    assert "is there already" in puller.run(hub.repository).stderr
    puller.pull(hub.repository, "--again")
    assert len(hub.ranges) == fetched, "what the cache holds is not fetched again"


def test_a_tflite_of_a_repository_is_taken_if_it_is_asked_for(hub: Hub, puller: Puller) -> None:
    model = puller.pull(hub.repository, "--file", "8bit.tflite", "--name", "eight")
    assert model["path"] == str(puller.models / "eight")
    assert [name for name, _ in hub.ranges] == ["8bit.tflite"]


def test_the_revision_that_is_asked_for_is_the_one_that_is_fetched(hub: Hub, puller: Puller) -> None:
    hub.revision = "v1.0"
    assert "the hub has no repository `test/tiny` (revision `main`), or no such revision of it" in puller.refuse(hub.repository)
    puller.pull(hub.repository, "--revision", "v1.0")
    assert COMMIT in (puller.models / "tiny/model.toml").read_text()


def test_a_download_that_is_cut_twice_goes_on_where_it_broke(hub: Hub, puller: Puller) -> None:
    hub.cuts = [100_000, 50_000]
    puller.pull(hub.repository)
    assert [asked for _, asked in hub.ranges] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_pull_that_gave_up_is_resumed_by_the_next(hub: Hub, puller: Puller) -> None:
    hub.cuts = [100_000] + [0] * 4
    assert "what came is kept, the same command goes on from there" in puller.refuse(hub.repository)
    hub.ranges.clear()
    puller.pull(hub.repository)
    assert [asked for _, asked in hub.ranges] == ["bytes=100000-"]


def test_contents_that_are_not_what_the_hub_named_are_thrown_away(hub: Hub, puller: Puller) -> None:
    hub.claimed_hash = lambda _: "0" * 64
    sentence = puller.refuse(hub.repository)
    assert f"{'0' * 64} was expected. It was thrown away" in sentence
    assert not list(puller.cache.rglob("0" * 64))


def test_gpt2_must_be_the_file_that_is_known(hub: Hub, puller: Puller) -> None:
    hub.repository = "openai-community/gpt2"
    hub.files["64-8bits.tflite"] = hub.files["8bit.tflite"]
    for revision in ("a-branch", "main"):
        hub.revision = revision
        sentence = puller.refuse("gpt2", "--revision", revision)
        assert f"is {len(hub.files['8bit.tflite'])} bytes long; 125162496 were expected" in sentence
        assert "`carafe models pull openai-community/gpt2 --file 64-8bits.tflite` takes it all the same" in sentence
    puller.pull("openai-community/gpt2", "--file", "64-8bits.tflite")


def test_what_is_missing_is_named_before_anything_is_fetched(hub: Hub, puller: Puller) -> None:
    del hub.files["config.json"]
    assert "there is no `config.json` beside the weights; there is `" in puller.refuse(hub.repository)
    assert "the hub has no repository `nobody/nothing`" in puller.refuse("nobody/nothing")
    del hub.files["model.safetensors"]
    sentence = puller.refuse(hub.repository)
    assert "`openvino_model.xml`, `model.safetensors` or shards of it, or a .gguf was expected; there is `" in sentence
    assert "there is no file `other.gguf`; there is `" in puller.refuse(hub.repository, "--file", "other.gguf")
    assert hub.requests == []


def test_a_file_that_is_listed_and_not_there_is_named(hub: Hub, puller: Puller) -> None:
    hub.play = lambda request: request.file == "config.json" and (request.finish_with(404) or True)
    assert "`test/tiny` (revision `main`) has no file `config.json`" in puller.refuse(hub.repository)


def test_a_model_is_unpinned_unless_its_hash_is_known(hub: Hub, puller: Puller) -> None:
    result = puller.run(hub.repository, **CONVERTS_NOTHING)
    assert f"unpinned: what `{hub.repository}` holds at commit {COMMIT} is checked against the hub's own hashes" in result.stderr
    assert "`distilgpt2` cannot be a repository; `gpt2`, `smollm2`, or one as `owner/name`, was expected" in puller.refuse(
        "distilgpt2"
    )


EXPORT = {"openvino_model.xml": b"<net/>", "openvino_model.bin": bytes(1000), "chat_template.jinja": b"{{ messages }}"}


def test_of_an_exported_repository_the_graph_is_fetched_with_all_that_tells_of_it(hub: Hub, puller: Puller) -> None:
    texts = {name: name.encode() for name in ("LICENSE.txt", "NOTICE", "USE_POLICY.md", "README.md", "generation_config.json")}
    hub.files |= EXPORT | texts | {"modeling_tiny.py": b"raise SystemExit", "openvino_tokenizer.bin": bytes(9)}
    fetched = puller.fetch(hub.repository)
    assert set(fetched) == {*EXPORT, *texts, "config.json", "tokenizer.json"}
    assert all(contents == hub.files[name] for name, contents in fetched.items())


def test_of_a_repository_of_gguf_the_one_that_is_named_is_fetched(hub: Hub, puller: Puller) -> None:
    hub.files = {"tiny.Q4_0.gguf": b"four", "tiny.Q8_0.gguf": b"eight", "README.md": b"---\nlicense: mit\n---\n"}
    assert "it has several .gguf, name one by `--file`: `tiny.Q4_0.gguf`, `tiny.Q8_0.gguf`" in puller.refuse(hub.repository)
    fetched = puller.fetch(hub.repository, "--file", "tiny.Q8_0.gguf")
    assert fetched == {name: hub.files[name] for name in ("tiny.Q8_0.gguf", "README.md")}


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_offline_the_hub_is_not_asked(environment: dict[str, str], hub: Hub, puller: Puller) -> None:
    flags = [] if environment else ["--offline"]
    sentence = puller.refuse(hub.repository, *flags, **environment)
    assert "nothing of `test/tiny` (revision `main`) was fetched before, and `--offline` or HF_HUB_OFFLINE forbids" in sentence
    assert (hub.lists, hub.requests) == (0, [])
    fetched = puller.fetch(hub.repository)
    (lists, requests) = (hub.lists, len(hub.requests))
    assert puller.fetch(hub.repository, *flags, **environment) == fetched
    assert (hub.lists, len(hub.requests)) == (lists, requests)


def test_a_repository_that_is_not_public_wants_a_token(hub: Hub, puller: Puller) -> None:
    hub.token = "hf_secret"
    assert "Set HF_TOKEN" in puller.refuse(hub.repository)
    sentence = puller.refuse(hub.repository, HF_TOKEN="hf_wrong")
    assert "hf_wrong" not in sentence
    puller.pull(hub.repository, HF_TOKEN="hf_secret")


@pytest.mark.parametrize("name", ["../../../../evil.safetensors", "/etc/passwd", ".hidden", "a\nb"])
def test_shards_with_hostile_names_are_refused(name: str, hub: Hub, puller: Puller) -> None:
    del hub.files["model.safetensors"]
    hub.files["model.safetensors.index.json"] = json.dumps({"weight_map": {"wte.weight": name}}).encode()
    assert "a plain name was expected" in puller.refuse(hub.repository)


def test_shards_are_fetched(hub: Hub, puller: Puller) -> None:
    hub.files["one-of-one.safetensors"] = hub.files.pop("model.safetensors")
    hub.files["model.safetensors.index.json"] = json.dumps({"weight_map": {"wte.weight": "one-of-one.safetensors"}}).encode()
    puller.pull(hub.repository)
    assert [name for name, _ in hub.ranges] == ["one-of-one.safetensors"]


@pytest.mark.parametrize("name", ["../../escape", "..", "a/b"])
def test_a_hub_that_names_paths_is_refused(name: str, hub: Hub, puller: Puller) -> None:
    hub.commit = name
    assert "in a way that no hub does" in puller.refuse(hub.repository)
    hub.commit, hub.claimed_hash = COMMIT, lambda _: name
    assert "in a way that no hub does" in puller.refuse(hub.repository)


@pytest.mark.parametrize(
    "words",
    [
        ("../gpt2",),
        ("a/b/c",),
        ("",),
        ("tiny",),
        ("test/tiny", "--revision", "../main"),
        ("test/tiny", "--file", "../8bit.tflite"),
        ("test/tiny", "--name", "../tiny"),
        ("test/tiny", "--name", "Tiny"),
        ("test/___",),
        (f"test/{'a' * 65}",),
    ],
)
def test_names_that_cannot_be_are_refused_before_anything_is_fetched(words: tuple[str, ...], hub: Hub, puller: Puller) -> None:
    assert re.search("w(as|ere) expected", puller.refuse(*words))
    assert hub.requests == []


def test_what_cannot_be_converted_leaves_nothing(hub: Hub, puller: Puller) -> None:
    configuration = json.loads(hub.files["config.json"])
    hub.files["config.json"] = json.dumps(configuration | {"activation_function": "relu"}).encode()
    result = puller.run(hub.repository)
    assert "has activation_function `relu`" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("carafe: the conversion failed")
    assert not puller.models.exists()


def test_without_a_hub_what_was_fetched_before_is_used(hub: Hub, puller: Puller) -> None:
    puller.pull(hub.repository)
    hub.close()
    result = puller.run(hub.repository, "--again")
    assert result.returncode == 0, result.stderr
    assert "the hub cannot be reached" in result.stderr


def test_a_python_without_the_tools_is_named(hub: Hub, puller: Puller) -> None:
    assert "CARAFE_PYTHON is `/bin/false`" in puller.refuse(hub.repository, CARAFE_PYTHON="/bin/false")
